using System;
using Runsc.Linux;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Memory;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Dev;

/// <summary>/dev/null, /dev/zero, /dev/full, /dev/random, /dev/urandom (null(4), full(4), random(4)).</summary>
internal static class MemoryDevices
{
    private enum Kind
    {
        Null,
        Zero,
        Full,
        Random,
    }

    public static void Register(SentryKernel kernel, SpecialFiles special)
    {
        special.Register(1, 3, (ICaller _, in VfsPath path, int flags, out FileDescription? file) => Open(kernel, Kind.Null, path, flags, out file));
        special.Register(1, 5, (ICaller _, in VfsPath path, int flags, out FileDescription? file) => Open(kernel, Kind.Zero, path, flags, out file));
        special.Register(1, 7, (ICaller _, in VfsPath path, int flags, out FileDescription? file) => Open(kernel, Kind.Full, path, flags, out file));
        special.Register(1, 8, (ICaller _, in VfsPath path, int flags, out FileDescription? file) => Open(kernel, Kind.Random, path, flags, out file));
        special.Register(1, 9, (ICaller _, in VfsPath path, int flags, out FileDescription? file) => Open(kernel, Kind.Random, path, flags, out file));
    }

    private static Errno Open(SentryKernel kernel, Kind kind, in VfsPath path, int flags, out FileDescription? file)
    {
        file = new Description(kernel, kind, path, flags);
        return Errno.None;
    }

    private sealed class Description(SentryKernel kernel, Kind kind, in VfsPath path, int flags) : FileDescription(path, flags)
    {
        // Larger than any mapping can be.
        private const ulong EndlessSize = 1UL << 47;

        public override bool SupportsPoll => kind == Kind.Random;

        public override long Read(ICaller caller, ref IoBuffer destination)
        {
            switch (kind)
            {
                case Kind.Null:
                    return 0;
                case Kind.Zero or Kind.Full:
                    return destination.Remaining == 0 ? 0 : destination.ZeroOut(destination.Remaining);
                default:
                    return ReadRandom(ref destination);
            }
        }

        private static long ReadRandom(ref IoBuffer destination)
        {
            Span<byte> chunk = stackalloc byte[512];
            long done = 0;
            while (destination.Remaining > 0)
            {
                Span<byte> part = chunk[..(int)Math.Min(destination.Remaining, chunk.Length)];
                SentryKernel.FillRandom(part);
                long n = destination.CopyOut(part);
                if (n <= 0)
                {
                    return done > 0 ? done : n;
                }

                done += n;
            }

            return done;
        }

        public override long PRead(ICaller caller, ref IoBuffer destination, long offset) => Read(caller, ref destination);

        public override long Write(ICaller caller, ref IoBuffer source) => kind == Kind.Full ? -(long)Errno.ENOSPC : source.Remaining;

        public override long PWrite(ICaller caller, ref IoBuffer source, long offset) => Write(caller, ref source);

        public override long Seek(ICaller caller, long offset, int whence) => 0;

        /// <summary>A mapping of /dev/zero is anonymous memory.</summary>
        public override Errno GetMappable(out IMappable? mappable)
        {
            mappable = null;
            if (kind != Kind.Zero)
            {
                return Errno.ENODEV;
            }

            PageCache pages = new(kernel.Memory, null, new MappingIdentity("/dev/zero", Inode.Super.Device, 0));
            pages.SetSize(EndlessSize);
            mappable = pages;
            return Errno.None;
        }
    }
}
