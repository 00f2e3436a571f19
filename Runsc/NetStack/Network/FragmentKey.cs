using System;

namespace Runsc.NetStack.Network;

/// <summary>Which fragments belong together.</summary>
internal readonly record struct FragmentKey(IpAddress Source, IpAddress Destination, uint Id, byte Protocol, int Interface) : IEquatable<FragmentKey>;
