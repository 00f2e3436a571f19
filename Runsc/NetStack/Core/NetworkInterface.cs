namespace Runsc.NetStack.Core;

/// <summary>A network interface of a stack. Guarded by the stack's lock.</summary>
internal sealed partial class NetworkInterface
{
    internal NetworkInterface(NetworkStack stack, int index, string name)
    {
        Stack = stack;
        Index = index;
        Name = name;
    }

    public NetworkStack Stack { get; }

    /// <summary>The number that applications know it by; 1 is the loopback one.</summary>
    public int Index { get; }

    public string Name { get; internal set; }
}
