using System;
using Runsc.Linux;
using Runsc.Platform;

namespace Runsc.Sentry.Memory;

/// <summary>Access by a debugger (ptrace(2), /proc/PID/mem): what the program may not do itself is done for it, as far as a mapping could be given the right.</summary>
internal sealed unsafe partial class MemoryManager
{
    /// <summary>As <see cref="CopyIn(ulong, Span{byte})"/>, whatever the protection.</summary>
    public long CopyInForced(ulong address, Span<byte> destination)
    {
        int done = 0;
        lock (_mu)
        {
            while (done < destination.Length)
            {
                int step = ForcedPieceLocked(unchecked(address + (ulong)done), destination.Length - done, AccessType.Read, out byte* source);
                if (step == 0)
                {
                    break;
                }

                new ReadOnlySpan<byte>(source, step).CopyTo(destination[done..]);
                done += step;
            }
        }

        return done > 0 || destination.IsEmpty ? done : -(long)Errno.EFAULT;
    }

    /// <summary>As <see cref="CopyOut(ulong, ReadOnlySpan{byte})"/>, whatever the protection of private mappings: they get a page of their own. A breakpoint in a program's text.</summary>
    public long CopyOutForced(ulong address, ReadOnlySpan<byte> source)
    {
        int done = 0;
        lock (_mu)
        {
            while (done < source.Length)
            {
                int step = ForcedPieceLocked(unchecked(address + (ulong)done), source.Length - done, AccessType.Write, out byte* destination);
                if (step == 0)
                {
                    break;
                }

                source.Slice(done, step).CopyTo(new Span<byte>(destination, step));
                done += step;
            }
        }

        return done > 0 || source.IsEmpty ? done : -(long)Errno.EFAULT;
    }

    /// <summary>Lock held: _mu. As PieceLocked.</summary>
    private int ForcedPieceLocked(ulong address, int length, AccessType access, out byte* pointer)
    {
        pointer = null;
        Vma? vma = address < _limit ? _vmas.Find(PageDown(address)) : null;
        if (vma is null)
        {
            return 0;
        }

        AccessType own = vma.Protection;
        if ((own & access) != 0)
        {
            return PieceLocked(address, length, access, out pointer);
        }

        if ((vma.MaxProtection & access) == 0 || (access == AccessType.Write && vma.Shared))
        {
            return 0;
        }

        // The mapping gets the right for the moment. What the platform was told meanwhile is taken back: the next access of the program faults and gets what it may have.
        vma.Protection = own | AccessType.Read | access;
        int step = PieceLocked(address, length, access, out pointer);
        vma.Protection = own;
        ulong start = Math.Max(address & ~(AnonymousAround - 1), vma.Start), end = Math.Min((address & ~(AnonymousAround - 1)) + AnonymousAround, vma.End);
        _space.Unmap(start, end - start);
        return step;
    }
}
