using System;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.FileSystems.DevPts;

/// <summary>What opening /dev/ptmx gives: the line's end of a new pseudo-terminal.</summary>
internal sealed class PtyMasterDescription(Pty pty, in VfsPath path, int flags) : FileDescription(path, flags)
{
    private const int ChunkSize = 1024;

    public Pty Pty => pty;

    public override bool SupportsPoll => true;

    public override string ShownInfo => System.FormattableString.Invariant($"tty-index:\t{pty.Index}\n");

    public override long Read(ICaller caller, ref IoBuffer destination)
    {
        Span<byte> chunk = stackalloc byte[ChunkSize];
        long done = 0;
        while (destination.Remaining > 0)
        {
            long n = pty.ReadOutput(chunk[..(int)Math.Min(destination.Remaining, ChunkSize)]);
            if (n < 0)
            {
                return done > 0 ? done : n;
            }

            long copied = destination.CopyOut(chunk[..(int)n]);
            if (copied < 0)
            {
                return done > 0 ? done : copied;
            }

            done += copied;

            // A packet has one header: one is read at a time.
            if (copied < n || pty.IsPacketMode)
            {
                break;
            }
        }

        return done;
    }

    public override long Write(ICaller caller, ref IoBuffer source)
    {
        Span<byte> chunk = stackalloc byte[ChunkSize];
        long done = 0;
        while (source.Remaining > 0)
        {
            IoBuffer rest = source;
            long n = rest.CopyIn(chunk);
            n = n < 0 ? n : pty.WriteLine(chunk[..(int)n]);
            if (n < 0)
            {
                return done > 0 ? done : n;
            }

            source.Advance(n);
            done += n;
        }

        return done;
    }

    public override long Ioctl(ICaller caller, uint command, ulong argument) => TerminalIoctls.Master(this, caller, command, argument);

    public override EventMask Readiness(EventMask mask) => pty.MasterReadiness(mask);

    public override void Register(Waiter waiter) => pty.MasterEvents.Register(waiter);

    public override void Unregister(Waiter waiter) => pty.MasterEvents.Unregister(waiter);

    protected override void OnRelease() => pty.ReleaseMaster();
}
