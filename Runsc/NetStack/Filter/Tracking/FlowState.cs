namespace Runsc.NetStack.Filter.Tracking;

/// <summary>What a packet is to its connection, with the bits of NF_CT_STATE_BIT.</summary>
internal enum FlowState
{
    Invalid = 1 << 0,
    Established = 1 << 1,
    Related = 1 << 2,
    New = 1 << 3,
    Untracked = 1 << 6,
}
