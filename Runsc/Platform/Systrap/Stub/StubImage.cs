using System;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Platform.Systrap.Stub;

/// <summary>The file that the master executes and that every stub process has mapped: a small ELF program, its code and the filters. Sealed.</summary>
internal static class StubImage
{
    private const ulong StartAddress = 0x10000;
    private const uint MFD_EXEC = 0x10;

    /// <summary>A descriptor of a new file, close-on-exec.</summary>
    /// <exception cref="PlatformException">The host refuses.</exception>
    public static int Create()
    {
        byte[] image = new byte[StubLayout.CodeFileOffset + StubLayout.CodeSize];
        WriteElfHeader(image);
        Span<byte> code = image.AsSpan(StubLayout.CodeFileOffset);
        StubCode.Bytes.CopyTo(code[..StubLayout.ServeFilter]);
        WriteFilter(code, StubLayout.ServeFilter, StubLayout.ServeInstructions, StubLayout.GuestInstructions, StubFilters.Serve());
        WriteFilter(code, StubLayout.GuestFilter, StubLayout.GuestInstructions, StubLayout.CodeSize, StubFilters.Guest());

        // Linux 6.3 wants to be told that a memory file may be executed.
        const uint Flags = Mman.MFD_CLOEXEC | Mman.MFD_ALLOW_SEALING;
        int fd = HostMemory.CreateFile("runsc-stub\0"u8, Flags | MFD_EXEC);
        fd = fd == -(int)Errno.EINVAL ? HostMemory.CreateFile("runsc-stub\0"u8, Flags) : fd;
        if (fd < 0 || HostFile.PWrite(fd, image, 0) != image.Length)
        {
            throw new PlatformException($"systrap: the stub's file cannot be made (errno {-fd})");
        }

        int sealedResult = SystrapCalls.Seal(fd, Fcntl.F_SEAL_SEAL | Fcntl.F_SEAL_SHRINK | Fcntl.F_SEAL_GROW | Fcntl.F_SEAL_WRITE);
        return sealedResult == 0 ? fd : throw new PlatformException($"systrap: the stub's file cannot be sealed (errno {-sealedResult})");
    }

    /// <summary>struct sock_fprog, and the instructions that it points to.</summary>
    private static void WriteFilter(Span<byte> code, int header, int offset, int end, BpfInstruction[] instructions)
    {
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(instructions.AsSpan());
        bytes.CopyTo(code[offset..end]);
        BinaryPrimitives.WriteUInt16LittleEndian(code[header..], checked((ushort)instructions.Length));
        BinaryPrimitives.WriteUInt64LittleEndian(code[(header + 8)..], StubLayout.Code + (ulong)offset);
    }

    /// <summary>ELF-64 for x86-64: one segment, loaded low, and a stack that is not executable.</summary>
    private static void WriteElfHeader(Span<byte> image)
    {
        const int HeaderSize = 64, ProgramHeaderSize = 56;
        const uint PT_LOAD = 1, PT_GNU_STACK = 0x6474e551, PF_X = 1, PF_W = 2, PF_R = 4;
        ReadOnlySpan<byte> identification = [0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1];
        identification.CopyTo(image);
        BinaryPrimitives.WriteUInt16LittleEndian(image[16..], 2); // ET_EXEC
        BinaryPrimitives.WriteUInt16LittleEndian(image[18..], 62); // EM_X86_64
        BinaryPrimitives.WriteUInt32LittleEndian(image[20..], 1);
        BinaryPrimitives.WriteUInt64LittleEndian(image[24..], StartAddress);
        BinaryPrimitives.WriteUInt64LittleEndian(image[32..], HeaderSize);
        BinaryPrimitives.WriteUInt16LittleEndian(image[52..], HeaderSize);
        BinaryPrimitives.WriteUInt16LittleEndian(image[54..], ProgramHeaderSize);
        BinaryPrimitives.WriteUInt16LittleEndian(image[56..], 2);

        Span<byte> load = image[HeaderSize..];
        BinaryPrimitives.WriteUInt32LittleEndian(load, PT_LOAD);
        BinaryPrimitives.WriteUInt32LittleEndian(load[4..], PF_R | PF_X);
        BinaryPrimitives.WriteUInt64LittleEndian(load[8..], StubLayout.CodeFileOffset);
        BinaryPrimitives.WriteUInt64LittleEndian(load[16..], StartAddress);
        BinaryPrimitives.WriteUInt64LittleEndian(load[24..], StartAddress);
        BinaryPrimitives.WriteUInt64LittleEndian(load[32..], StubLayout.CodeSize);
        BinaryPrimitives.WriteUInt64LittleEndian(load[40..], StubLayout.CodeSize);
        BinaryPrimitives.WriteUInt64LittleEndian(load[48..], 4096);

        Span<byte> stack = load[ProgramHeaderSize..];
        BinaryPrimitives.WriteUInt32LittleEndian(stack, PT_GNU_STACK);
        BinaryPrimitives.WriteUInt32LittleEndian(stack[4..], PF_R | PF_W);
    }
}
