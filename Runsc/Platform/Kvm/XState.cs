using System;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Runsc.Platform.Kvm;

/// <summary>
/// FPU and vector state of one context: in its vCPU, in memory, or not yet different from the initial one.
/// Every method is called by who may change the place: with the vCPU held that has the state, or, if it is in none, by the task.
/// Layout of the area: <see cref="XStateImage"/>.
/// </summary>
internal sealed unsafe class XState : IDisposable
{
    /// <summary>Size of <c>struct kvm_xsave</c>.</summary>
    private const int AreaSize = 4096;

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

    /// <summary>The vCPU has it: the next run needs no <see cref="Install"/>.</summary>
    public bool IsInVCpu => _place == Place.VCpu;

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
        if (!XStateImage.TryAccept(image, new Span<byte>(area, AreaSize), _platform.XSaveSize, _platform.XFeatureMask, _platform.MxcsrMask))
        {
            return false;
        }

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
    internal static uint ReadMxcsrMask(byte* area) => XStateImage.ReadMxcsrMask(new ReadOnlySpan<byte>(area, XStateImage.LegacySize));

    private static void WriteInitial(byte* area) => XStateImage.WriteInitial(new Span<byte>(area, AreaSize));

    private byte* Area()
    {
        if (_area == null)
        {
            _area = (byte*)NativeMemory.AlignedAlloc(AreaSize, 64);
        }

        return _area;
    }
}
