using System;
using System.Text;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.FileSystems.Pseudo;

/// <summary>
/// A regular file whose text is made when it is read. As in Linux's seq_file, a read at position 0 makes it anew and later reads go on in
/// that text, so that a reader with several reads sees one consistent text.
/// </summary>
internal abstract class PseudoFile(PseudoSuperBlock super, uint permissions) : PseudoInode(super, (uint)Stat.S_IFREG | permissions)
{
    /// <summary>
    /// Appends the text. Each char stands for one byte (Latin-1), so that names that are not UTF-8 come out as they are.
    /// ESRCH when the process is gone, EACCES, …
    /// </summary>
    public abstract Errno Generate(ICaller caller, StringBuilder text);

    /// <summary>A write of one value (at most a page, as for sysctl). EINVAL for a bad one, EACCES or EPERM when it cannot be written.</summary>
    public virtual Errno Store(ICaller caller, ReadOnlySpan<byte> value) => Errno.EACCES;

    /// <summary>A write of nothing is a value, too. Elsewhere it is done at once.</summary>
    protected virtual bool StoresNothing => false;

    /// <summary>What poll(2) of an open file tells of, as an exceptional condition; null where a file is always ready.</summary>
    protected virtual ChangeCount? GetChanges() => null;

    /// <summary>Checked at open, after the mode bits.</summary>
    protected virtual Errno CheckOpen(ICaller caller, int flags) => Errno.None;

    /// <summary>O_TRUNC on a writable file (echo x > file) has nothing to do.</summary>
    public override Errno SetAttributes(in AttributeChange change) => change.Mask == AttributeMask.Size ? Errno.None : Errno.EPERM;

    public override Errno Open(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
    {
        file = null;
        Errno error = CheckOpen(caller, flags);
        if (error == Errno.None)
        {
            file = new Description(this, path, flags);
        }

        return error;
    }

    private sealed class Description(PseudoFile inode, in VfsPath path, int flags) : FileDescription(path, flags)
    {
        private readonly Lock _mu = new();

        // Guarded by _mu.
        private byte[]? _text;
        private long _position;

        private readonly ChangeCount? _changes = inode.GetChanges();
        private int _told = inode.GetChanges()?.Value ?? 0;

        public override bool SupportsPoll => _changes is not null;

        // As in Linux, a change is told once for each open file: whoever is told looks.
        public override EventMask Readiness(EventMask mask)
        {
            EventMask ready = base.Readiness(mask);
            if (_changes is { } changes && (mask & (EventMask.Pri | EventMask.Err)) != 0 && changes.Value is int now && Interlocked.Exchange(ref _told, now) != now)
            {
                ready |= EventMask.Err | (mask & EventMask.Pri);
            }

            return ready;
        }

        public override void Register(Waiter waiter) => _changes?.Waiters.Register(waiter);

        public override void Unregister(Waiter waiter) => _changes?.Waiters.Unregister(waiter);

        public override long Read(ICaller caller, ref IoBuffer destination)
        {
            byte[] text;
            long position;
            lock (_mu)
            {
                position = _position;
            }

            Errno error = GetText(caller, position, out text);
            if (error != Errno.None)
            {
                return -(long)error;
            }

            long done = CopyFrom(text, position, ref destination);
            if (done > 0)
            {
                lock (_mu)
                {
                    _position = position + done;
                }
            }

            return done;
        }

        /// <summary>As at open: there is nothing to cut off. pam_loginuid(8) does so before it writes.</summary>
        public override Errno Truncate(ICaller caller, long length) => Errno.None;

        public override long PRead(ICaller caller, ref IoBuffer destination, long offset)
        {
            Errno error = GetText(caller, offset, out byte[] text);
            return error != Errno.None ? -(long)error : CopyFrom(text, offset, ref destination);
        }

        public override long Write(ICaller caller, ref IoBuffer source)
        {
            Span<byte> value = stackalloc byte[4096];
            long total = source.Remaining;
            long n = source.CopyIn(value);
            if (n < 0 || (n == 0 && (total != 0 || !inode.StoresNothing)))
            {
                return n;
            }

            Errno error = inode.Store(caller, value[..(int)n]);
            return error == Errno.None ? total : -(long)error;
        }

        public override long PWrite(ICaller caller, ref IoBuffer source, long offset) => offset == 0 ? Write(caller, ref source) : -(long)Errno.EINVAL;

        public override long Seek(ICaller caller, long offset, int whence)
        {
            lock (_mu)
            {
                if (whence is not (Fcntl.SEEK_SET or Fcntl.SEEK_CUR))
                {
                    return -(long)Errno.EINVAL;
                }

                long origin = whence == Fcntl.SEEK_CUR ? _position : 0;
                long target = unchecked(origin + offset);
                if (target < 0)
                {
                    return -(long)Errno.EINVAL;
                }

                _position = target;
                return target;
            }
        }

        private Errno GetText(ICaller caller, long position, out byte[] text)
        {
            lock (_mu)
            {
                if (position != 0 && _text is not null)
                {
                    text = _text;
                    return Errno.None;
                }
            }

            // Made with no lock held: it takes locks of tasks and address spaces.
            StringBuilder builder = new();
            Errno error = inode.Generate(caller, builder);
            text = error == Errno.None ? Encoding.Latin1.GetBytes(builder.ToString()) : [];
            if (error == Errno.None)
            {
                lock (_mu)
                {
                    _text = text;
                }
            }

            return error;
        }

        private static long CopyFrom(byte[] text, long position, ref IoBuffer destination) =>
            position >= text.Length ? 0 : destination.CopyOut(text.AsSpan((int)position));
    }
}

/// <summary>A file with a text given by a function that needs no caller.</summary>
internal sealed class PseudoTextFile(PseudoSuperBlock super, Func<ICaller, string> text, uint permissions = 0x124) : PseudoFile(super, permissions)
{
    public PseudoTextFile(PseudoSuperBlock super, Func<string> text, uint permissions = 0x124)
        : this(super, _ => text(), permissions)
    {
    }

    public override Errno Generate(ICaller caller, StringBuilder builder)
    {
        builder.Append(text(caller));
        return Errno.None;
    }
}
