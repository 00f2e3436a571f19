using System;
using System.Runtime.InteropServices;

namespace Runsc.Platform.Systrap;

/// <summary>FPU and vector state of one context: in its stub thread's signal frame, in memory, or not yet different from the initial one.</summary>
internal sealed unsafe class GuestXState : IDisposable
{
    private readonly SystrapPlatform _platform;
    private byte* _area;
    private Place _place;

    public GuestXState(SystrapPlatform platform) => _platform = platform;

    private enum Place
    {
        /// <summary>As after reset; nothing stored.</summary>
        Initial,

        /// <summary>In the area; must be put into the frame before the next run.</summary>
        Memory,

        /// <summary>In the frame of the thread; the area is out of date.</summary>
        Thread,
    }

    /// <summary>Before a run: puts the state into the frame, if it is not there.</summary>
    public void Install(StubThread thread)
    {
        if (_place == Place.Thread)
        {
            return;
        }

        Span<byte> frame = thread.XState;
        if (_place == Place.Initial)
        {
            XStateImage.WriteInitial(frame);
        }
        else
        {
            Area.CopyTo(frame);
        }

        // The host's kernel takes an area for more than FXSAVE's 512 bytes only with its own marks.
        _platform.FrameMarks.CopyTo(frame[XStateImage.SoftwareOffset..]);
        _platform.WriteEndMark(thread);
        _place = Place.Thread;
    }

    /// <summary>Copies the state into the area, and leaves it in its place.</summary>
    public void Fetch(StubThread? thread)
    {
        switch (_place)
        {
            case Place.Thread:
                thread!.XState.CopyTo(Area);
                Area[XStateImage.SoftwareOffset..XStateImage.LegacySize].Clear();
                break;
            case Place.Initial:
                XStateImage.WriteInitial(Area);
                break;
            case Place.Memory:
                break;
        }
    }

    /// <summary>The thread will be another context's.</summary>
    public void Detach(StubThread thread)
    {
        if (_place == Place.Thread)
        {
            Fetch(thread);
            _place = Place.Memory;
        }
    }

    public void Save(StubThread? thread, Span<byte> destination)
    {
        Fetch(thread);
        Area[.._platform.XSaveSize].CopyTo(destination);
    }

    /// <summary>Takes an untrusted image over; false if the processor would fault on it.</summary>
    public bool Load(ReadOnlySpan<byte> image)
    {
        Span<byte> accepted = stackalloc byte[SystrapPlatform.MaxXSaveSize];
        if (!XStateImage.TryAccept(image, accepted[..AreaSize], _platform.XSaveSize, _platform.XFeatureMask, _platform.MxcsrMask))
        {
            return false;
        }

        accepted[..AreaSize].CopyTo(Area);
        _place = Place.Memory;
        return true;
    }

    /// <summary>Takes over another context's state, which has been fetched.</summary>
    public void CopyFrom(GuestXState other)
    {
        if (other._place == Place.Initial)
        {
            _place = Place.Initial;
            return;
        }

        other.Area.CopyTo(Area);
        _place = Place.Memory;
    }

    public void Reset() => _place = Place.Initial;

    public void Dispose()
    {
        NativeMemory.Free(_area);
        _area = null;
    }

    /// <summary>With room for the header, which a processor without XSAVE does not have.</summary>
    private int AreaSize => Math.Max(_platform.XSaveSize, XStateImage.LegacySize + 64);

    private Span<byte> Area
    {
        get
        {
            if (_area == null)
            {
                _area = (byte*)NativeMemory.AllocZeroed((nuint)AreaSize);
            }

            return new Span<byte>(_area, AreaSize);
        }
    }
}
