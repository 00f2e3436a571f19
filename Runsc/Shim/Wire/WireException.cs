using System;

namespace Runsc.Shim.Wire;

/// <summary>Bytes that are no protocol buffer.</summary>
internal sealed class WireException(string message) : Exception(message);
