using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Text;
using Runsc.Linux;

namespace Runsc.Sentry.Loader;

/// <summary>
/// Builds the vDSO's ELF image: what dynamic linkers need (DT_HASH, symbols with version LINUX_2.6) and the section headers that debuggers read. Code at
/// <see cref="VdsoCode.Offset"/>.
/// </summary>
internal static class VdsoImage
{
    public const int Size = 4096;

    private const int ProgramHeaders = 64;
    private const int Tables = 0xb0;
    private const int SectionNames = 0x600;
    private const int SectionHeaders = 0x680;
    private const int SymbolSize = 24;
    private const int Buckets = 5;
    private const ushort VersionIndex = 2;
    private const string Name = "linux-vdso.so.1";
    private const string Version = "LINUX_2.6";

    // Section numbers.
    private const int DynamicSymbols = 2;
    private const int DynamicStrings = 3;
    private const int TextSection = 7;

    private static readonly (string Name, int Place, int Length)[] s_functions =
    [
        ("__vdso_clock_gettime", VdsoCode.ClockGetTime, VdsoCode.GetTimeOfDay - VdsoCode.ClockGetTime),
        ("__vdso_gettimeofday", VdsoCode.GetTimeOfDay, VdsoCode.Time - VdsoCode.GetTimeOfDay),
        ("__vdso_time", VdsoCode.Time, VdsoCode.ClockGetRes - VdsoCode.Time),
        ("__vdso_clock_getres", VdsoCode.ClockGetRes, VdsoCode.GetCpu - VdsoCode.ClockGetRes),
        ("__vdso_getcpu", VdsoCode.GetCpu, VdsoCode.Offset + VdsoCode.Bytes.Length - VdsoCode.GetCpu),
    ];

    public static byte[] Build()
    {
        byte[] image = new byte[Size];
        StringBuilder strings = new("\0");
        List<(int Name, byte Info, ushort Section, ulong Value, ulong Length)> symbols = [(0, 0, 0, 0, 0)];
        List<string> names = [""];
        foreach ((string name, int place, int length) in s_functions)
        {
            // The name without __vdso_ is the end of the same string.
            const int prefix = 7;
            int at = AddString(strings, name);
            symbols.Add((at, (1 << 4) | 2, TextSection, (ulong)place, (ulong)length));
            names.Add(name);
            symbols.Add((at + prefix, (2 << 4) | 2, TextSection, (ulong)place, (ulong)length));
            names.Add(name[prefix..]);
        }

        // The version itself: an absolute object.
        int version = AddString(strings, Version), soname = AddString(strings, Name);
        symbols.Add((version, (1 << 4) | 1, 0xfff1, 0, 0));
        names.Add(Version);

        Writer writer = new(image) { Position = Tables };
        int hash = writer.Position;
        WriteHash(ref writer, names);
        writer.Align(8);
        int symbolTable = writer.Position;
        foreach ((int name, byte info, ushort section, ulong value, ulong length) in symbols)
        {
            writer.Put32((uint)name);
            writer.Put8(info);
            writer.Put8(0);
            writer.Put16(section);
            writer.Put64(value);
            writer.Put64(length);
        }

        int stringTable = writer.Position;
        writer.PutText(strings.ToString());
        writer.Align(2);
        int versions = writer.Position;
        for (int i = 0; i < symbols.Count; i++)
        {
            writer.Put16(i == 0 ? (ushort)0 : VersionIndex);
        }

        writer.Align(8);
        int definitions = writer.Position;
        PutDefinition(ref writer, flags: 1, index: 1, Name, soname, last: false);
        PutDefinition(ref writer, flags: 0, VersionIndex, Version, version, last: true);
        writer.Align(8);
        int dynamic = writer.Position;
        (int Tag, long Value)[] entries =
        [
            (Elf.DT_SONAME, soname), (Elf.DT_HASH, hash), (Elf.DT_STRTAB, stringTable), (Elf.DT_SYMTAB, symbolTable), (Elf.DT_STRSZ, strings.Length),
            (Elf.DT_SYMENT, SymbolSize), (Elf.DT_VERDEF, definitions), (Elf.DT_VERDEFNUM, 2), (Elf.DT_VERSYM, versions), (Elf.DT_NULL, 0),
        ];
        foreach ((int tag, long value) in entries)
        {
            writer.Put64((ulong)tag);
            writer.Put64((ulong)value);
        }

        int end = writer.Position;
        VdsoCode.Bytes.CopyTo(image.AsSpan(VdsoCode.Offset));
        (string Name, uint Type, uint Flags, int Place, int Length, uint Link, uint Info, uint Alignment, uint Entry)[] sections =
        [
            ("", 0, 0, 0, 0, 0, 0, 0, 0),
            (".hash", Elf.SHT_HASH, 2, hash, symbolTable - hash, DynamicSymbols, 0, 8, 4),
            (".dynsym", Elf.SHT_DYNSYM, 2, symbolTable, symbols.Count * SymbolSize, DynamicStrings, 1, 8, SymbolSize),
            (".dynstr", Elf.SHT_STRTAB, 2, stringTable, strings.Length, 0, 0, 1, 0),
            (".gnu.version", Elf.SHT_GNU_versym, 2, versions, symbols.Count * 2, DynamicSymbols, 0, 2, 2),
            (".gnu.version_d", Elf.SHT_GNU_verdef, 2, definitions, 56, DynamicStrings, 2, 8, 0),
            (".dynamic", Elf.SHT_DYNAMIC, 2, dynamic, end - dynamic, DynamicStrings, 0, 8, 16),
            (".text", Elf.SHT_PROGBITS, 6, VdsoCode.Offset, VdsoCode.Bytes.Length, 0, 0, 16, 0),
            (".shstrtab", Elf.SHT_STRTAB, 0, SectionNames, 0, 0, 0, 1, 0),
        ];
        StringBuilder sectionNames = new();
        Writer headers = new(image) { Position = SectionHeaders };
        foreach ((string name, uint type, uint flags, int place, int length, uint link, uint info, uint alignment, uint entry) in sections)
        {
            headers.Put32((uint)AddString(sectionNames, name));
            headers.Put32(type);
            headers.Put64(flags);
            headers.Put64(flags == 0 ? 0 : (ulong)place);
            headers.Put64((ulong)place);
            headers.Put64((ulong)(name == ".shstrtab" ? sectionNames.Length : length));
            headers.Put32(link);
            headers.Put32(info);
            headers.Put64(alignment);
            headers.Put64(entry);
        }

        writer.Position = SectionNames;
        writer.PutText(sectionNames.ToString());
        WriteHeader(image, sections.Length);
        writer.Position = ProgramHeaders;
        PutSegment(ref writer, Elf.PT_LOAD, flags: 5, 0, Size, Size);
        PutSegment(ref writer, Elf.PT_DYNAMIC, flags: 4, dynamic, end - dynamic, 8);
        return image;
    }

    private static int AddString(StringBuilder strings, string text)
    {
        int at = strings.Length;
        strings.Append(text).Append('\0');
        return at;
    }

    private static void WriteHeader(byte[] image, int sections)
    {
        // e_ident: ELF, 64 bits, little-endian, version 1, System V; then ET_DYN, EM_X86_64, version 1.
        Writer writer = new(image);
        ((ReadOnlySpan<byte>)[0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1]).CopyTo(image);
        writer.Position = 16;
        writer.Put16(3);
        writer.Put16(62);
        writer.Put32(1);
        writer.Put64(0);
        writer.Put64(ProgramHeaders);
        writer.Put64(SectionHeaders);
        writer.Put32(0);
        writer.Put16(64);
        writer.Put16(56);
        writer.Put16(2);
        writer.Put16(64);
        writer.Put16((ushort)sections);
        writer.Put16((ushort)(sections - 1));
    }

    private static void PutSegment(ref Writer writer, int type, uint flags, int place, int length, int alignment)
    {
        writer.Put32((uint)type);
        writer.Put32(flags);
        for (int i = 0; i < 3; i++)
        {
            writer.Put64((ulong)place);
        }

        writer.Put64((ulong)length);
        writer.Put64((ulong)length);
        writer.Put64((ulong)alignment);
    }

    /// <summary>DT_HASH: buckets and chains of symbol numbers.</summary>
    private static void WriteHash(ref Writer writer, List<string> names)
    {
        uint[] buckets = new uint[Buckets], chains = new uint[names.Count];
        for (int i = names.Count - 1; i > 0; i--)
        {
            uint bucket = Hash(names[i]) % Buckets;
            chains[i] = buckets[bucket];
            buckets[bucket] = (uint)i;
        }

        writer.Put32(Buckets);
        writer.Put32((uint)names.Count);
        foreach (uint bucket in buckets)
        {
            writer.Put32(bucket);
        }

        foreach (uint chain in chains)
        {
            writer.Put32(chain);
        }
    }

    /// <summary>The hash of the System V ABI.</summary>
    internal static uint Hash(string name)
    {
        uint hash = 0;
        foreach (char c in name)
        {
            hash = unchecked((hash << 4) + c);
            uint high = hash & 0xf0000000;
            hash = (hash ^ (high >> 24)) & ~high;
        }

        return hash;
    }

    /// <summary>Elf64_Verdef with its one Elf64_Verdaux.</summary>
    private static void PutDefinition(ref Writer writer, ushort flags, ushort index, string name, int nameAt, bool last)
    {
        writer.Put16(1);
        writer.Put16(flags);
        writer.Put16(index);
        writer.Put16(1);
        writer.Put32(Hash(name));
        writer.Put32(20);
        writer.Put32(last ? 0u : 28);
        writer.Put32((uint)nameAt);
        writer.Put32(0);
    }

    private ref struct Writer(Span<byte> image)
    {
        private readonly Span<byte> _image = image;

        public int Position { get; set; }

        public void Align(int alignment) => Position = (Position + alignment - 1) & ~(alignment - 1);

        public void Put8(byte value) => _image[Position++] = value;

        public void Put16(ushort value)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(_image[Position..], value);
            Position += 2;
        }

        public void Put32(uint value)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(_image[Position..], value);
            Position += 4;
        }

        public void Put64(ulong value)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(_image[Position..], value);
            Position += 8;
        }

        public void PutText(string text)
        {
            Encoding.ASCII.GetBytes(text, _image[Position..]);
            Position += text.Length;
        }
    }
}
