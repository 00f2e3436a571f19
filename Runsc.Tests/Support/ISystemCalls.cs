using System;

namespace Runsc.Tests.Support;

/// <summary>A kernel as an application sees it: numbers in, a number out, and memory. The host's and ours look alike.</summary>
internal interface ISystemCalls
{
    /// <summary>The directory that paths of a scenario begin with.</summary>
    string Directory { get; }

    /// <summary>Result or −errno.</summary>
    long Call(int number, params ReadOnlySpan<ulong> arguments);

    /// <summary>Zeroed memory that stays until the end.</summary>
    ulong Allocate(int length);

    void Write(ulong address, ReadOnlySpan<byte> bytes);

    byte[] Read(ulong address, int length);

    /// <summary>The same process on another thread; use it there only.</summary>
    ISystemCalls NewThread();

    /// <summary>getpid().</summary>
    int ProcessId { get; }
}
