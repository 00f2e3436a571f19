using System;
using System.Buffers.Binary;
using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Host.Processes;

/// <summary>
/// The program of the process that stands for a container on the host: callers of an OCI runtime wait for one process, and read the container's exit status from it.
/// It waits for one byte from the sandbox, and ends with that as its status; when the sandbox goes without a word, with that of SIGKILL. There is
/// one for each container, so it is no copy of this program but a few instructions: it costs a page of memory. It gives up what it could do before it waits.
/// </summary>
internal static class HolderProgram
{
    private const int HeaderSize = 64, SegmentSize = 56;
    private const ulong Base = 0x400000;
    private const uint MFD_EXEC = 0x10;

    // Where in the code the number of the socket stands.
    private const int SocketOffset = 1;

    /// <summary>Its machine code.</summary>
    private static ReadOnlySpan<byte> Code =>
    [
        // dup2(SOCKET, 0)
        0xbf, 0, 0, 0, 0, 0x31, 0xf6, 0xb8, SysNo.dup2, 0, 0, 0, 0x0f, 0x05,

        // close_range(1, ~0, 0): nothing of the caller's is kept open. Before Linux 5.9, close(2) of 1023 down to 1.
        0xbf, 1, 0, 0, 0, 0x83, 0xce, 0xff, 0x31, 0xd2, 0xb8, 0xb4, 1, 0, 0, 0x0f, 0x05,
        0xbb, 0xff, 3, 0, 0, 0x85, 0xc0, 0x74, 0x0d,
        0x89, 0xdf, 0xb8, SysNo.close, 0, 0, 0, 0x0f, 0x05, 0xff, 0xcb, 0x75, 0xf3,

        // chdir("/"), setsid()
        0x48, 0x8d, 0x3d, 0x92, 0, 0, 0, 0xb8, SysNo.chdir, 0, 0, 0, 0x0f, 0x05, 0xb8, SysNo.setsid, 0, 0, 0, 0x0f, 0x05,

        // prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        0xbf, 38, 0, 0, 0, 0xbe, 1, 0, 0, 0, 0x31, 0xd2, 0x45, 0x31, 0xd2, 0x45, 0x31, 0xc0, 0xb8, SysNo.prctl, 0, 0, 0, 0x0f, 0x05,

        // capset(header, none)
        0x48, 0x8d, 0x3d, 0x44, 0, 0, 0, 0x48, 0x8d, 0x77, 8, 0xb8, SysNo.capset, 0, 0, 0, 0x0f, 0x05,

        // prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT): nothing but read, write, exit.
        0xbf, 22, 0, 0, 0, 0xbe, 1, 0, 0, 0, 0xb8, SysNo.prctl, 0, 0, 0, 0x0f, 0x05,

        // while ((n = read(0, stack, 1)) == -EINTR);
        0x31, 0xc0, 0x31, 0xff, 0x48, 0x89, 0xe6, 0xba, 1, 0, 0, 0, 0x0f, 0x05, 0x83, 0xf8, 0xfc, 0x74, 0xed,

        // exit(n == 1 ? *stack : 128 + SIGKILL)
        0xbf, 128 + Signal.SIGKILL, 0, 0, 0, 0x83, 0xf8, 1, 0x75, 0x04, 0x0f, 0xb6, 0x3c, 0x24, 0xb8, SysNo.exit, 0, 0, 0, 0x0f, 0x05,

        // _LINUX_CAPABILITY_VERSION_3, this process; and two words each of the effective, permitted and inheritable sets.
        0x22, 0x05, 0x08, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,

        // "/"
        (byte)'/', 0,
    ];

    /// <summary>The program as a file to execute, close-on-exec; or −errno.</summary>
    /// <param name="socket">The descriptor that it inherits to wait on.</param>
    public static int Open(int socket)
    {
        byte[] file = Build(socket);

        // Before Linux 6.3 there is no such flag, and every memfd may be executed.
        int fd = HostMemory.CreateFile("runsc-container\0"u8, Mman.MFD_CLOEXEC | MFD_EXEC);
        fd = fd == -(int)Errno.EINVAL ? HostMemory.CreateFile("runsc-container\0"u8, Mman.MFD_CLOEXEC) : fd;
        if (fd >= 0 && HostFile.PWrite(fd, file, 0) != file.Length)
        {
            _ = HostFile.Close(fd);
            return -(int)Errno.EIO;
        }

        return fd;
    }

    /// <summary>A static ELF program of one segment.</summary>
    internal static byte[] Build(int socket)
    {
        byte[] file = new byte[HeaderSize + SegmentSize + Code.Length];
        Span<byte> header = file;
        "\u007fELF\u0002\u0001\u0001"u8.CopyTo(header);
        BinaryPrimitives.WriteUInt16LittleEndian(header[16..], 2);               // ET_EXEC
        BinaryPrimitives.WriteUInt16LittleEndian(header[18..], 62);              // EM_X86_64
        BinaryPrimitives.WriteUInt32LittleEndian(header[20..], 1);
        BinaryPrimitives.WriteUInt64LittleEndian(header[24..], Base + HeaderSize + SegmentSize);
        BinaryPrimitives.WriteUInt64LittleEndian(header[32..], HeaderSize);
        BinaryPrimitives.WriteUInt16LittleEndian(header[52..], HeaderSize);
        BinaryPrimitives.WriteUInt16LittleEndian(header[54..], SegmentSize);
        BinaryPrimitives.WriteUInt16LittleEndian(header[56..], 1);

        Span<byte> segment = header[HeaderSize..];
        BinaryPrimitives.WriteUInt32LittleEndian(segment, 1);                    // PT_LOAD
        BinaryPrimitives.WriteUInt32LittleEndian(segment[4..], 5);               // PF_R | PF_X
        BinaryPrimitives.WriteUInt64LittleEndian(segment[16..], Base);
        BinaryPrimitives.WriteUInt64LittleEndian(segment[24..], Base);
        BinaryPrimitives.WriteUInt64LittleEndian(segment[32..], (ulong)file.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(segment[40..], (ulong)file.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(segment[48..], 4096);

        Span<byte> code = segment[SegmentSize..];
        Code.CopyTo(code);
        BinaryPrimitives.WriteInt32LittleEndian(code[SocketOffset..], socket);
        return file;
    }
}
