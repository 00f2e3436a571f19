using System;
using Runsc.Host.Processes;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Platform.Systrap.Stub;

namespace Runsc.Platform.Systrap;

/// <summary>
/// The process that makes the stub processes: it ends when its socket is closed, and they with it. Used by one thread at a time.
/// </summary>
internal sealed unsafe class StubMaster : IDisposable
{
    private readonly int _socket;
    private readonly int _process;

    /// <summary>Starts it.</summary>
    public StubMaster(int memoryFd, int controlFd, Lanes lanes)
    {
        int code = StubImage.Create();
        int paired = HostPacketSocket.Pair(out _socket, out int other);
        if (paired < 0)
        {
            throw new PlatformException($"systrap: socketpair failed (errno {-paired})");
        }

        int* descriptors = stackalloc int[StubLayout.FirstLaneFd + StubLayout.LaneCount];
        descriptors[StubLayout.CodeFd] = Above(code);
        descriptors[StubLayout.CommandFd] = Above(other);
        descriptors[StubLayout.ControlFd] = Above(controlFd);
        descriptors[StubLayout.MemoryFd] = Above(memoryFd);
        int count = StubLayout.FirstLaneFd + StubLayout.LaneCount;
        for (int i = 0; i < StubLayout.LaneCount; i++)
        {
            descriptors[StubLayout.FirstLaneFd + i] = Above(lanes[i]);
        }

        _process = Start(code, descriptors, count);

        for (int i = 0; i < count; i++)
        {
            _ = HostFile.Close(descriptors[i]);
        }

        _ = HostFile.Close(code);
        _ = HostFile.Close(other);
        if (_process < 0)
        {
            throw new PlatformException($"systrap: the master process cannot be started (errno {-_process})");
        }
    }

    /// <summary>A new stub process that uses the part of the control file at an offset: its id, or −errno.</summary>
    public int CreateProcess(long offset)
    {
        Span<byte> message = stackalloc byte[8];
        BitConverter.TryWriteBytes(message, offset);
        if (HostPacketSocket.Send(_socket, message) != 8 || HostPacketSocket.Receive(_socket, message, default, out _) != 8)
        {
            return -(int)Errno.ESRCH;
        }

        return (int)BitConverter.ToInt64(message);
    }

    public void Dispose()
    {
        _ = HostFile.Close(_socket);
        _ = HostProcess.Wait(_process, out _);
    }

    /// <summary>Executes the code file with these descriptors as 0, 1, 2, …; all are above those numbers. The process's id, or −errno.</summary>
    private static int Start(int code, int* descriptors, int count)
    {
        nint mapped = HostMemory.Map(0, StubLayout.CodeSize, Mman.PROT_READ | Mman.PROT_EXEC, Mman.MAP_PRIVATE, code, StubLayout.CodeFileOffset);
        if (mapped < 0)
        {
            return (int)mapped;
        }

        byte* empty = stackalloc byte[1];
        *empty = 0;
        byte** arguments = stackalloc byte*[2];
        arguments[1] = null;
        long process;
        fixed (byte* name = "runsc-stub\0"u8)
        {
            arguments[0] = name;

            // SAFETY: a complete function of the System V ABI (stub.S, spawn), which returns in the parent only.
            var spawn = (delegate* unmanaged<int*, int, int, byte**, byte*, long>)(mapped + (nint)StubCode.Spawn);
            process = spawn(descriptors, count, descriptors[StubLayout.CodeFd], arguments, empty);
        }

        _ = HostMemory.Unmap(mapped, StubLayout.CodeSize);
        return (int)process;
    }

    /// <summary>A copy with a number that no descriptor of the master has.</summary>
    private static int Above(int fd)
    {
        const int Minimum = 64;
        int copy = HostFile.Duplicate(fd, Minimum);
        return copy >= 0 ? copy : throw new PlatformException($"systrap: fcntl(F_DUPFD_CLOEXEC) failed (errno {-copy})");
    }
}
