using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;

namespace Runsc.Tests.Support;

/// <summary>The host's kernel, by syscall(2).</summary>
internal sealed unsafe partial class HostSystemCalls : ISystemCalls, IDisposable
{
    private readonly List<nint> _memory = [];

    public string Directory { get; } = System.IO.Directory.CreateTempSubdirectory("runsc-sys-").FullName;

    public int ProcessId => Environment.ProcessId;

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial long Syscall(long number, ulong a, ulong b, ulong c, ulong d, ulong e, ulong f);

    public long Call(int number, params ReadOnlySpan<ulong> arguments)
    {
        Span<ulong> all = stackalloc ulong[6];
        arguments.CopyTo(all);
        long result = Syscall(number, all[0], all[1], all[2], all[3], all[4], all[5]);
        return result == -1 ? -Marshal.GetLastPInvokeError() : result;
    }

    public ulong Allocate(int length)
    {
        nint memory = (nint)NativeMemory.AllocZeroed((nuint)Math.Max(length, 1));
        lock (_memory)
        {
            _memory.Add(memory);
        }

        return (ulong)memory;
    }

    public void Write(ulong address, ReadOnlySpan<byte> bytes) => bytes.CopyTo(new Span<byte>((void*)address, bytes.Length));

    public byte[] Read(ulong address, int length) => new ReadOnlySpan<byte>((void*)address, length).ToArray();

    public ISystemCalls NewThread() => this;

    public void Dispose()
    {
        foreach (nint memory in _memory)
        {
            NativeMemory.Free((void*)memory);
        }

        System.IO.Directory.Delete(Directory, recursive: true);
    }
}
