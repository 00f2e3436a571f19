namespace Runsc.NetStack.Filter.Expressions;

/// <summary>NFT_META_*, with their values, as far as they are there.</summary>
internal enum MetaKey
{
    Length = 0,
    Protocol = 1,
    Priority = 2,
    Mark = 3,
    InputInterface = 4,
    OutputInterface = 5,
    InputName = 6,
    OutputName = 7,
    InputType = 8,
    OutputType = 9,
    SocketUser = 10,
    SocketGroup = 11,
    Family = 15,
    TransportProtocol = 16,
    PacketType = 19,
    Cpu = 20,
    InputGroup = 21,
    OutputGroup = 22,
    Random = 24,
}
