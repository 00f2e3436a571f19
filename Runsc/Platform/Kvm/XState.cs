using System;
using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Runsc.Platform.Kvm;

/// <summary>
/// FPU and vector state of one context: in its vCPU, in memory, or not yet different from the initial one.
/// Every method is called by who may change the place: with the vCPU held that has the state, or, if it is in none, by the task.
/// Layout of the area: 512 bytes as FXSAVE writes them, the XSAVE header at 512 (XSTATE_BV, XCOMP_BV, zeros), the components at the offsets of
/// CPUID leaf 0xd.
/// </summary>
internal sealed unsafe class XState : IDisposable
{
    /// <summary>Size of <c>struct kvm_xsave</c>.</summary>
    private const int AreaSize = 4096;
    private const int LegacySize = 512;
    private const int HeaderSize = 64;
    private const int MxcsrOffset = 24;
    private const int MxcsrMaskOffset = 28;

    /// <summary>Where software may keep data of its own (a signal frame's fpx_sw_bytes); the processor ignores it.</summary>
    private const int SoftwareOffset = 464;

    private const ushort InitialFcw = 0x37f;
    private const uint InitialMxcsr = 0x1f80;

    /// <summary>MXCSR bits of a processor that reports no mask (SDM vol. 1, 11.6.6).</summary>
    private const uint DefaultMxcsrMask = 0xffbf;
    private const ulong X87Component = 1;
    private const ulong SseComponent = 2;
    private const ulong LegacyComponents = X87Component | SseComponent;

    private readonly KvmPlatform _platform;
    private byte* _area;
    private Place _place;

    public XState(KvmPlatform platform) => _platform = platform;

    private enum Place
    {
        /// <summary>As after FNINIT; nothing stored.</summary>
        Initial,

        /// <summary>In the area; must be loaded before the next run.</summary>
        Memory,

        /// <summary>In the vCPU; the area is out of date.</summary>
        VCpu,
    }

    /// <summary>Before a run on <paramref name="vcpu"/>: loads what it does not have.</summary>
    public void Install(VCpu vcpu)
    {
        if (_place == Place.VCpu)
        {
            return;
        }

        if (_place == Place.Initial && vcpu.XStateIsInitial)
        {
            _place = Place.VCpu;
            return;
        }

        if (_place == Place.Initial)
        {
            WriteInitial(Area());
        }

        if (vcpu.WriteXState(_area) < 0)
        {
            // The area was checked when it came in. What passed and is refused all the same is not worth more than its default.
            WriteInitial(_area);
            if (vcpu.WriteXState(_area) < 0)
            {
                KvmFailure.Fatal("KVM_SET_XSAVE refuses the initial state");
            }
        }

        _place = Place.VCpu;
    }

    /// <summary>Copies the state into the area, wherever it is, and leaves it in its place.</summary>
    public void Fetch(VCpu? vcpu)
    {
        switch (_place)
        {
            case Place.VCpu:
                vcpu!.ReadXState(Area());
                break;
            case Place.Initial:
                WriteInitial(Area());
                break;
            case Place.Memory:
                break;
        }
    }

    /// <summary>The vCPU will get another state: the area, fetched before, is the place from now on.</summary>
    public void Detach()
    {
        if (_place == Place.VCpu)
        {
            _place = Place.Memory;
        }
    }

    public void Save(VCpu? vcpu, Span<byte> destination)
    {
        Fetch(vcpu);
        new ReadOnlySpan<byte>(_area, AreaSize)[.._platform.XSaveSize].CopyTo(destination);
    }

    /// <summary>Takes an untrusted image over; false if the processor would fault on it.</summary>
    public bool Load(ReadOnlySpan<byte> image)
    {
        byte* area = stackalloc byte[AreaSize];
        WriteInitial(area);
        var checkedArea = new Span<byte>(area, AreaSize);
        int length = Math.Min(image.Length, _platform.XSaveSize);
        if (length < LegacySize)
        {
            return false;
        }

        image[..SoftwareOffset].CopyTo(checkedArea);
        BinaryPrimitives.WriteUInt32LittleEndian(checkedArea[MxcsrMaskOffset..], 0);
        ulong present = LegacyComponents;
        if (length >= LegacySize + HeaderSize)
        {
            ReadOnlySpan<byte> header = image.Slice(LegacySize, HeaderSize);
            present = BinaryPrimitives.ReadUInt64LittleEndian(header);
            bool valid = (present & ~_platform.XFeatureMask) == 0 && !header[8..].ContainsAnyExcept((byte)0);
            if (!valid)
            {
                return false;
            }

            image[(LegacySize + HeaderSize)..length].CopyTo(checkedArea[(LegacySize + HeaderSize)..]);
        }

        if ((present & X87Component) == 0)
        {
            WriteInitialX87(area);
        }

        // MXCSR is loaded and checked whether or not the SSE component is marked, as XRSTOR does with the standard format.
        uint mxcsr = BinaryPrimitives.ReadUInt32LittleEndian(checkedArea[MxcsrOffset..]);
        if ((mxcsr & ~_platform.MxcsrMask) != 0)
        {
            return false;
        }

        if ((present & SseComponent) == 0)
        {
            const int XmmOffset = 160;
            checkedArea[XmmOffset..(XmmOffset + 256)].Clear();
        }

        BinaryPrimitives.WriteUInt64LittleEndian(checkedArea[LegacySize..], present | LegacyComponents);
        Unsafe.CopyBlock(Area(), area, AreaSize);
        _place = Place.Memory;
        return true;
    }

    /// <summary>Takes over another context's state, which has been fetched.</summary>
    public void CopyFrom(XState other)
    {
        if (other._place == Place.Initial)
        {
            _place = Place.Initial;
            return;
        }

        Unsafe.CopyBlock(Area(), other._area, AreaSize);
        _place = Place.Memory;
    }

    public void Reset() => _place = Place.Initial;

    public void Dispose()
    {
        NativeMemory.AlignedFree(_area);
        _area = null;
    }

    /// <summary>The MXCSR bits that this processor has, from an image that KVM wrote.</summary>
    internal static uint ReadMxcsrMask(byte* area)
    {
        uint mask = Unsafe.ReadUnaligned<uint>(area + MxcsrMaskOffset);
        return mask == 0 ? DefaultMxcsrMask : mask;
    }

    private static void WriteInitial(byte* area)
    {
        Unsafe.InitBlock(area, 0, AreaSize);
        WriteInitialX87(area);
        Unsafe.WriteUnaligned(area + MxcsrOffset, InitialMxcsr);
        Unsafe.WriteUnaligned(area + LegacySize, LegacyComponents);
    }

    private static void WriteInitialX87(byte* area)
    {
        // FCW, FSW, FTW, FOP, FIP, FDP; then ST0 to ST7 behind MXCSR and its mask.
        Unsafe.InitBlock(area, 0, MxcsrOffset);
        Unsafe.InitBlock(area + 32, 0, 128);
        Unsafe.WriteUnaligned(area, InitialFcw);
    }

    private byte* Area()
    {
        if (_area == null)
        {
            _area = (byte*)NativeMemory.AlignedAlloc(AreaSize, 64);
        }

        return _area;
    }
}
