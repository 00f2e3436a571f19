namespace Runsc.NetStack.Core;

/// <summary>Where the packet filter looks at IP packets, with the values of NF_INET_*.</summary>
internal enum FilterHook
{
    PreRouting = 0,
    Input = 1,
    Forward = 2,
    Output = 3,
    PostRouting = 4,
}
