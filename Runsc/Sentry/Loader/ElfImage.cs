using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Memory;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Loader;

/// <summary>An ELF file's headers, checked (elf(5)). Everything in them is hostile until it has passed <see cref="TryRead"/>.</summary>
internal sealed class ElfImage
{
    private const int HeaderSize = 64;
    private const int ProgramHeaderSize = 56;
    private const int MaxProgramHeaders = 128;
    private const ulong PageSize = 4096;

    internal readonly record struct Segment(uint Flags, ulong Offset, ulong Address, ulong FileSize, ulong MemorySize, ulong Alignment);

    public bool IsPositionIndependent { get; private init; }

    public ulong Entry { get; private init; }

    public ushort ProgramHeaderCount { get; private init; }

    /// <summary>Address of the program headers in memory before relocation, 0 when no segment holds them.</summary>
    public ulong ProgramHeaderAddress { get; private set; }

    public List<Segment> Segments { get; } = [];

    /// <summary>Path of the dynamic linker; null for a static program.</summary>
    public byte[]? Interpreter { get; private set; }

    /// <summary>PT_GNU_STACK asks for an executable stack.</summary>
    public bool ExecutableStack { get; private set; }

    public ulong Lowest { get; private set; } = ulong.MaxValue;

    public ulong Highest { get; private set; }

    public ulong MaxAlignment { get; private set; } = PageSize;

    /// <summary>Reads and checks the headers of a file. ENOEXEC when it is no program for this machine.</summary>
    public static Errno TryRead(ICaller caller, FileDescription file, out ElfImage? image)
    {
        image = null;
        Span<byte> header = stackalloc byte[HeaderSize];
        if (!ReadAll(caller, file, 0, header) || !header.StartsWith("\u007fELF"u8) || header[4] != Elf.ELFCLASS64 || header[5] != Elf.ELFDATA2LSB)
        {
            return Errno.ENOEXEC;
        }

        ushort type = BinaryPrimitives.ReadUInt16LittleEndian(header[16..]), machine = BinaryPrimitives.ReadUInt16LittleEndian(header[18..]);
        ulong tableOffset = BinaryPrimitives.ReadUInt64LittleEndian(header[32..]);
        ushort entrySize = BinaryPrimitives.ReadUInt16LittleEndian(header[54..]), count = BinaryPrimitives.ReadUInt16LittleEndian(header[56..]);
        if (type is not (Elf.ET_EXEC or Elf.ET_DYN) || machine != Elf.EM_X86_64 || entrySize != ProgramHeaderSize || count is 0 or > MaxProgramHeaders
            || tableOffset > long.MaxValue)
        {
            return Errno.ENOEXEC;
        }

        Span<byte> table = stackalloc byte[count * ProgramHeaderSize];
        if (!ReadAll(caller, file, (long)tableOffset, table))
        {
            return Errno.ENOEXEC;
        }

        ElfImage made = new()
        {
            IsPositionIndependent = type == Elf.ET_DYN,
            Entry = BinaryPrimitives.ReadUInt64LittleEndian(header[24..]),
            ProgramHeaderCount = count,
        };
        for (int i = 0; i < count; i++)
        {
            Errno error = made.AddProgramHeader(caller, file, table.Slice(i * ProgramHeaderSize, ProgramHeaderSize), tableOffset);
            if (error != Errno.None)
            {
                return error;
            }
        }

        if (made.Segments.Count == 0)
        {
            return Errno.ENOEXEC;
        }

        image = made;
        return Errno.None;
    }

    /// <summary>
    /// Maps the segments; <paramref name="bias"/> is added to every address. Positions in the file that do not fit: ENOEXEC, ENOMEM, EINVAL.
    /// </summary>
    public Errno Map(MemoryManager memory, IMappable mappable, ulong bias)
    {
        foreach (Segment segment in Segments)
        {
            AccessType access = ((segment.Flags & Elf.PF_R) != 0 ? AccessType.Read : 0) | ((segment.Flags & Elf.PF_W) != 0 ? AccessType.Write : 0)
                | ((segment.Flags & Elf.PF_X) != 0 ? AccessType.Execute : 0);
            ulong address = segment.Address + bias, inPage = address % PageSize;
            ulong fileEnd = address + segment.FileSize, memoryEnd = address + segment.MemorySize;
            if (segment.FileSize > 0)
            {
                MmapRequest request = new()
                {
                    Address = address - inPage,
                    Length = segment.FileSize + inPage,
                    Protection = access,
                    Fixed = true,
                    Mappable = mappable,
                    Offset = segment.Offset - inPage,
                };
                Errno error = memory.Mmap(request, out _);
                if (error != Errno.None)
                {
                    return error;
                }

                // What follows the file's part in its last page is zero up to the page's end, beyond the BSS too: ld.so allocates there.
                if (segment.MemorySize > segment.FileSize && fileEnd % PageSize != 0 && (access & AccessType.Write) != 0)
                {
                    ulong rest = PageSize - (fileEnd % PageSize);
                    if (memory.ZeroOut(fileEnd, rest) != (long)rest)
                    {
                        return Errno.EFAULT;
                    }
                }
            }

            ulong bss = segment.FileSize > 0 ? (fileEnd + PageSize - 1) & ~(PageSize - 1) : address - inPage;
            if (memoryEnd > bss)
            {
                MmapRequest request = new() { Address = bss, Length = memoryEnd - bss, Protection = access, Fixed = true };
                Errno error = memory.Mmap(request, out _);
                if (error != Errno.None)
                {
                    return error;
                }
            }
        }

        return Errno.None;
    }

    /// <summary>Reads exactly as many bytes from an offset; false at an error or the end.</summary>
    internal static bool ReadAll(ICaller caller, FileDescription file, long offset, Span<byte> destination)
    {
        IoBuffer buffer = new(destination);
        while (buffer.Remaining > 0)
        {
            long n = file.PRead(caller, ref buffer, offset + (destination.Length - buffer.Remaining));
            if (n <= 0)
            {
                return false;
            }
        }

        return true;
    }

    private Errno AddProgramHeader(ICaller caller, FileDescription file, ReadOnlySpan<byte> entry, ulong tableOffset)
    {
        uint type = BinaryPrimitives.ReadUInt32LittleEndian(entry), flags = BinaryPrimitives.ReadUInt32LittleEndian(entry[4..]);
        ulong offset = BinaryPrimitives.ReadUInt64LittleEndian(entry[8..]), address = BinaryPrimitives.ReadUInt64LittleEndian(entry[16..]);
        ulong fileSize = BinaryPrimitives.ReadUInt64LittleEndian(entry[32..]), memorySize = BinaryPrimitives.ReadUInt64LittleEndian(entry[40..]);
        ulong alignment = BinaryPrimitives.ReadUInt64LittleEndian(entry[48..]);
        switch (type)
        {
            case Elf.PT_LOAD:
                const ulong limit = 1UL << 47;
                if (fileSize > memorySize || memorySize >= limit || address >= limit - memorySize || offset > long.MaxValue - fileSize
                    || address % PageSize != offset % PageSize)
                {
                    return Errno.ENOEXEC;
                }

                if (memorySize == 0)
                {
                    break;
                }

                if (alignment > PageSize && (alignment & (alignment - 1)) == 0 && alignment <= 1UL << 30)
                {
                    MaxAlignment = Math.Max(MaxAlignment, alignment);
                }

                if (offset <= tableOffset && tableOffset < offset + fileSize)
                {
                    ProgramHeaderAddress = address + (tableOffset - offset);
                }

                Segments.Add(new Segment(flags, offset, address, fileSize, memorySize, alignment));
                Lowest = Math.Min(Lowest, address & ~(PageSize - 1));
                Highest = Math.Max(Highest, address + memorySize);
                break;
            case Elf.PT_INTERP when Interpreter is null:
                if (fileSize is < 2 or > 4096)
                {
                    return Errno.ENOEXEC;
                }

                byte[] name = new byte[fileSize];
                if (offset > long.MaxValue || !ReadAll(caller, file, (long)offset, name) || name[^1] != 0)
                {
                    return Errno.ENOEXEC;
                }

                Interpreter = name[..name.AsSpan().IndexOf((byte)0)];
                break;
            case Elf.PT_GNU_STACK:
                ExecutableStack = (flags & Elf.PF_X) != 0;
                break;
            default:
                break;
        }

        return Errno.None;
    }
}
