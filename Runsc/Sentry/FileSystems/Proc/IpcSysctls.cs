using System;
using System.Globalization;
using System.Text;
using Runsc.Linux;
using Runsc.Sentry.FileSystems.Mqueue;
using Runsc.Sentry.FileSystems.Pseudo;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Ipc;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Proc;

/// <summary>Sysctls of IPC namespaces below /proc/sys/kernel and /proc/sys/fs/mqueue: those of the namespace of who reads or writes.</summary>
internal static class IpcSysctls
{
    /// <summary>msgmax, sem, shmall, …</summary>
    public static PseudoDirectory AddSystemV(PseudoDirectory directory, PseudoSuperBlock super, SentryKernel kernel)
    {
        return directory
            .Add("msgmax", new Value(super, kernel, space => space.Limits.MessageBytes, (space, value) => space.Limits.MessageBytes = value, 0, IpcLimits.HardMessage))
            .Add("msgmnb", new Value(super, kernel, space => space.Limits.QueueBytes, (space, value) => space.Limits.QueueBytes = value, 0, IpcLimits.HardQueueBytes))
            .Add("msgmni", new Value(super, kernel, space => space.Queues.Limit, (space, value) => space.Queues.Limit = (int)value, 0, IpcNamespace.MaxQueues))
            .Add("sem", new SemaphoreFile(super, kernel))
            .Add("shm_rmid_forced", new Value(super, kernel, _ => 0, (_, _) => { }, 0, 0))
            .Add("shmall", new BigValue(super, kernel, space => space.Limits.SegmentPages, (space, value) => space.Limits.SegmentPages = value))
            .Add("shmmax", new BigValue(super, kernel, space => space.Limits.SegmentBytes, (space, value) => space.Limits.SegmentBytes = value))
            .Add("shmmni", new Value(super, kernel, space => space.Segments.Limit, (space, value) => space.Segments.Limit = (int)value, 0, IpcNamespace.MaxSegments));
    }

    public static PseudoDirectory Mqueue(PseudoSuperBlock super, SentryKernel kernel)
    {
        return new PseudoDirectory(super)
            .Add("msg_default", new Value(super, kernel, space => space.Limits.PosixMessagesByDefault, (space, value) => space.Limits.PosixMessagesByDefault = value, 1, PosixQueue.HardMessages))
            .Add("msg_max", new Value(super, kernel, space => space.Limits.PosixMessages, (space, value) => space.Limits.PosixMessages = value, 1, PosixQueue.HardMessages))
            .Add("msgsize_default", new Value(super, kernel, space => space.Limits.PosixMessageBytesByDefault, (space, value) => space.Limits.PosixMessageBytesByDefault = value, 128, PosixQueue.HardSize))
            .Add("msgsize_max", new Value(super, kernel, space => space.Limits.PosixMessageBytes, (space, value) => space.Limits.PosixMessageBytes = value, 128, PosixQueue.HardSize))
            .Add("queues_max", new Value(super, kernel, space => space.Limits.PosixQueues, (space, value) => space.Limits.PosixQueues = value, 0, int.MaxValue));
    }

    /// <summary>A file with numbers of an IPC namespace; CAP_SYS_RESOURCE writes them.</summary>
    private abstract class NamespaceFile(PseudoSuperBlock super, SentryKernel kernel) : PseudoFile(super, 0x1a4)
    {
        public override Errno Generate(ICaller caller, StringBuilder text)
        {
            text.Append(Read(Of(caller))).Append('\n');
            return Errno.None;
        }

        public override Errno Store(ICaller caller, ReadOnlySpan<byte> value)
        {
            if (!caller.Credentials.HasCapability(Capability.CAP_SYS_RESOURCE))
            {
                return Errno.EPERM;
            }

            return Write(Of(caller), Encoding.Latin1.GetString(value).Split((char[])[' ', '\t', '\n', '\0'], StringSplitOptions.RemoveEmptyEntries));
        }

        protected abstract string Read(IpcNamespace space);

        protected abstract Errno Write(IpcNamespace space, string[] words);

        private IpcNamespace Of(ICaller caller) => caller is INamespaceUser user ? user.Ipc : kernel.RootIpc;
    }

    private sealed class Value(PseudoSuperBlock super, SentryKernel kernel, Func<IpcNamespace, long> get, Action<IpcNamespace, long> set, long minimum, long maximum) : NamespaceFile(super, kernel)
    {
        protected override string Read(IpcNamespace space) => get(space).ToString(CultureInfo.InvariantCulture);

        protected override Errno Write(IpcNamespace space, string[] words)
        {
            if (words.Length != 1 || !long.TryParse(words[0], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long value) || value < minimum || value > maximum)
            {
                return Errno.EINVAL;
            }

            set(space, value);
            return Errno.None;
        }
    }

    private sealed class BigValue(PseudoSuperBlock super, SentryKernel kernel, Func<IpcNamespace, ulong> get, Action<IpcNamespace, ulong> set) : NamespaceFile(super, kernel)
    {
        protected override string Read(IpcNamespace space) => get(space).ToString(CultureInfo.InvariantCulture);

        protected override Errno Write(IpcNamespace space, string[] words)
        {
            if (words.Length != 1 || !ulong.TryParse(words[0], NumberStyles.None, CultureInfo.InvariantCulture, out ulong value))
            {
                return Errno.EINVAL;
            }

            set(space, Math.Min(value, IpcLimits.HardSegment));
            return Errno.None;
        }
    }

    /// <summary>kernel.sem: SEMMSL SEMMNS SEMOPM SEMMNI. As in Linux, numbers at the end may be left out.</summary>
    private sealed class SemaphoreFile(PseudoSuperBlock super, SentryKernel kernel) : NamespaceFile(super, kernel)
    {
        private const int Count = 4;

        private static readonly long[] s_maximum = [Kernel.Ipc.SemaphoreSet.MaxPerSet, int.MaxValue, IpcLimits.HardOperations, IpcNamespace.MaxSets];

        protected override string Read(IpcNamespace space) => string.Join('\t', Values(space));

        protected override Errno Write(IpcNamespace space, string[] words)
        {
            long[] values = Values(space);
            if (words.Length is 0 or > Count)
            {
                return Errno.EINVAL;
            }

            for (int i = 0; i < words.Length; i++)
            {
                if (!long.TryParse(words[i], NumberStyles.None, CultureInfo.InvariantCulture, out values[i]) || values[i] > s_maximum[i])
                {
                    return Errno.EINVAL;
                }
            }

            IpcLimits limits = space.Limits;
            (limits.SemaphoresPerSet, limits.Semaphores, limits.SemaphoreOperations) = (values[0], values[1], values[2]);
            space.Semaphores.Limit = (int)values[3];
            return Errno.None;
        }

        private static long[] Values(IpcNamespace space) =>
            [space.Limits.SemaphoresPerSet, space.Limits.Semaphores, space.Limits.SemaphoreOperations, space.Semaphores.Limit];
    }
}
