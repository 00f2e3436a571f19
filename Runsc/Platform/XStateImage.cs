using System;
using System.Buffers.Binary;

namespace Runsc.Platform;

/// <summary>
/// XSAVE areas in standard format: 512 bytes as FXSAVE writes them, the header at 512 (XSTATE_BV, XCOMP_BV, zeros), the components at the
/// offsets of CPUID leaf 0xd.
/// </summary>
internal static class XStateImage
{
    public const int LegacySize = 512;

    /// <summary>Where software may keep data of its own (a signal frame's fpx_sw_bytes); the processor ignores it.</summary>
    public const int SoftwareOffset = 464;
    public const int MxcsrMaskOffset = 28;

    private const int HeaderSize = 64;
    private const int MxcsrOffset = 24;
    private const int XmmOffset = 160;
    private const ushort InitialFcw = 0x37f;
    private const uint InitialMxcsr = 0x1f80;

    /// <summary>MXCSR bits of a processor that reports no mask (SDM vol. 1, 11.6.6).</summary>
    private const uint DefaultMxcsrMask = 0xffbf;
    private const ulong X87Component = 1;
    private const ulong SseComponent = 2;
    private const ulong LegacyComponents = X87Component | SseComponent;

    /// <summary>The MXCSR bits that this processor has, from an image that it wrote.</summary>
    public static uint ReadMxcsrMask(ReadOnlySpan<byte> area)
    {
        uint mask = BinaryPrimitives.ReadUInt32LittleEndian(area[MxcsrMaskOffset..]);
        return mask == 0 ? DefaultMxcsrMask : mask;
    }

    /// <summary>The state after FNINIT and reset.</summary>
    public static void WriteInitial(Span<byte> area)
    {
        area.Clear();
        WriteInitialX87(area);
        BinaryPrimitives.WriteUInt32LittleEndian(area[MxcsrOffset..], InitialMxcsr);
        BinaryPrimitives.WriteUInt64LittleEndian(area[LegacySize..], LegacyComponents);
    }

    /// <summary>
    /// Makes an area that XRSTOR accepts of an untrusted image, of which at most <paramref name="size"/> bytes count. False if the processor would
    /// refuse the image. <paramref name="area"/> is at least a legacy area with its header, and is changed in either case.
    /// </summary>
    public static bool TryAccept(ReadOnlySpan<byte> image, Span<byte> area, int size, ulong features, uint mxcsrMask)
    {
        WriteInitial(area);
        int length = Math.Min(image.Length, size);
        if (length < LegacySize)
        {
            return false;
        }

        image[..SoftwareOffset].CopyTo(area);
        BinaryPrimitives.WriteUInt32LittleEndian(area[MxcsrMaskOffset..], 0);
        ulong present = LegacyComponents;
        if (length >= LegacySize + HeaderSize)
        {
            ReadOnlySpan<byte> header = image.Slice(LegacySize, HeaderSize);
            present = BinaryPrimitives.ReadUInt64LittleEndian(header);
            bool valid = (present & ~features) == 0 && !header[8..].ContainsAnyExcept((byte)0);
            if (!valid)
            {
                return false;
            }

            image[(LegacySize + HeaderSize)..length].CopyTo(area[(LegacySize + HeaderSize)..]);
        }

        if ((present & X87Component) == 0)
        {
            WriteInitialX87(area);
        }

        // MXCSR is loaded and checked whether or not the SSE component is marked, as XRSTOR does with the standard format.
        if ((BinaryPrimitives.ReadUInt32LittleEndian(area[MxcsrOffset..]) & ~mxcsrMask) != 0)
        {
            return false;
        }

        if ((present & SseComponent) == 0)
        {
            area.Slice(XmmOffset, 256).Clear();
        }

        BinaryPrimitives.WriteUInt64LittleEndian(area[LegacySize..], present | LegacyComponents);
        return true;
    }

    /// <summary>FCW, FSW, FTW, FOP, FIP, FDP; then ST0 to ST7 behind MXCSR and its mask.</summary>
    private static void WriteInitialX87(Span<byte> area)
    {
        area[..MxcsrOffset].Clear();
        area.Slice(32, 128).Clear();
        BinaryPrimitives.WriteUInt16LittleEndian(area, InitialFcw);
    }
}
