using System;

namespace Runsc.NetStack;

/// <summary>An address with a port, and the interface (0 is any) where the address has a scope.</summary>
internal readonly struct IpEndpoint(IpAddress address, ushort port, int scope = 0) : IEquatable<IpEndpoint>
{
    public readonly IpAddress Address = address;
    public readonly ushort Port = port;
    public readonly int Scope = scope;

    public static bool operator ==(IpEndpoint left, IpEndpoint right) => left.Equals(right);

    public static bool operator !=(IpEndpoint left, IpEndpoint right) => !left.Equals(right);

    public bool Equals(IpEndpoint other) => Address == other.Address && Port == other.Port && Scope == other.Scope;

    public override bool Equals(object? obj) => obj is IpEndpoint other && Equals(other);

    public override int GetHashCode() => HashCode.Combine(Address, Port, Scope);

    public override string ToString() => Address.IsV4 ? $"{Address}:{Port}" : $"[{Address}]:{Port}";
}
