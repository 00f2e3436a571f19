using System;
using System.Buffers;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.FileSystems.Pseudo;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Memory;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Proc;

/// <summary>/proc/PID/mem: the address space that the process had at the open, whatever its protection, for who may trace it.</summary>
internal sealed class TaskMemoryFile : PseudoInode
{
    private readonly Task _task;

    public TaskMemoryFile(PseudoSuperBlock super, Task task, ulong number)
        : base(super, (uint)Stat.S_IFREG | 0x180)
    {
        _task = task;
        Number = number;
    }

    protected override (uint Uid, uint Gid) Owner => TaskFile.OwnerOf(_task);

    public override Errno SetAttributes(in AttributeChange change) => change.Mask == AttributeMask.Size ? Errno.None : Errno.EPERM;

    public override Errno Open(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
    {
        file = null;
        Errno error = TaskFile.CheckAccess(caller, _task);
        if (error == Errno.None)
        {
            // It keeps no user of the address space: that may end meanwhile.
            file = new Description(_task.HasExited ? null : _task.Memory, path, flags);
        }

        return error;
    }

    private sealed class Description(MemoryManager? memory, in VfsPath path, int flags) : FileDescription(path, flags)
    {
        private const int ChunkSize = 64 << 10;

        private long _position;

        public override long Read(ICaller caller, ref IoBuffer destination) => Advance(PRead(caller, ref destination, Volatile.Read(ref _position)));

        public override long Write(ICaller caller, ref IoBuffer source) => Advance(PWrite(caller, ref source, Volatile.Read(ref _position)));

        public override long PRead(ICaller caller, ref IoBuffer destination, long offset)
        {
            if (memory is null || !memory.TryIncUsers())
            {
                return 0;
            }

            byte[] buffer = ArrayPool<byte>.Shared.Rent(ChunkSize);
            long done = 0;
            while (destination.Remaining > 0)
            {
                int step = (int)Math.Min(destination.Remaining, ChunkSize);
                long got = memory.CopyInForced(unchecked((ulong)(offset + done)), buffer.AsSpan(0, step));
                long stored = got <= 0 ? -(long)Errno.EIO : destination.CopyOut(buffer.AsSpan(0, (int)got));
                if (stored <= 0)
                {
                    done = done > 0 ? done : stored;
                    break;
                }

                done += stored;
                if (got < step)
                {
                    break;
                }
            }

            ArrayPool<byte>.Shared.Return(buffer);
            memory.DecUsers();
            return done;
        }

        public override long PWrite(ICaller caller, ref IoBuffer source, long offset)
        {
            if (memory is null || !memory.TryIncUsers())
            {
                return 0;
            }

            byte[] buffer = ArrayPool<byte>.Shared.Rent(ChunkSize);
            long done = 0;
            while (source.Remaining > 0)
            {
                long got = source.CopyIn(buffer.AsSpan(0, (int)Math.Min(source.Remaining, ChunkSize)));
                long stored = got <= 0 ? got : memory.CopyOutForced(unchecked((ulong)(offset + done)), buffer.AsSpan(0, (int)got));
                if (stored <= 0)
                {
                    done = done > 0 ? done : got <= 0 ? got : -(long)Errno.EIO;
                    break;
                }

                done += stored;
                if (stored < got)
                {
                    break;
                }
            }

            ArrayPool<byte>.Shared.Return(buffer);
            memory.DecUsers();
            return done;
        }

        public override long Seek(ICaller caller, long offset, int whence)
        {
            // Any address is a position, those above the middle too.
            if (whence is not (Fcntl.SEEK_SET or Fcntl.SEEK_CUR))
            {
                return -(long)Errno.EINVAL;
            }

            long target = unchecked(offset + (whence == Fcntl.SEEK_CUR ? Volatile.Read(ref _position) : 0));
            Volatile.Write(ref _position, target);
            return target;
        }

        private long Advance(long done)
        {
            if (done > 0)
            {
                Interlocked.Add(ref _position, done);
            }

            return done;
        }
    }
}
