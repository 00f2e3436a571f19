using System;

namespace Runsc.NetStack.Core;

/// <summary>net.ipv4.conf.IF and net.ipv6.conf.IF of an interface, of all together ("all"), or of those that come ("default"). Guarded by the stack's lock.</summary>
internal sealed class InterfaceParameters
{
    private readonly int[] _values = new int[(int)InterfaceSetting.Count];

    // Settings that were made here, a bit each: they do not follow the default any more.
    private uint _own;

    public InterfaceParameters()
    {
        this[InterfaceSetting.AcceptRouterAdvertisements] = 1;
        this[InterfaceSetting.Autoconfiguration] = 1;
        this[InterfaceSetting.DadTransmits] = 1;
        this[InterfaceSetting.HopLimit] = 64;
    }

    /// <summary>Whose they are; null for "all" and "default".</summary>
    public NetworkInterface? Owner { get; set; }

    public int this[InterfaceSetting setting]
    {
        get => _values[(int)setting];
        set => _values[(int)setting] = value;
    }

    public bool IsOn(InterfaceSetting setting) => _values[(int)setting] != 0;

    public bool Follows(InterfaceSetting setting) => (_own & (1u << (int)setting)) == 0;

    public void SetOwn(InterfaceSetting setting, int value)
    {
        this[setting] = value;
        _own |= 1u << (int)setting;
    }

    /// <summary>What IPv4 has, or everything.</summary>
    public void CopyFrom(InterfaceParameters other, bool onlyV4 = false)
    {
        int count = onlyV4 ? (int)InterfaceSetting.FirstOfIpv6 : _values.Length;
        Array.Copy(other._values, _values, count);
    }
}
