using System;
using System.Globalization;
using System.Text;
using Runsc.Linux;
using Runsc.Sentry.FileSystems.Pseudo;
using Runsc.Sentry.Kernel.Ipc;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Proc;

/// <summary>/proc/sysvipc: the objects of the reader's IPC namespace, as ipcs(1) reads them.</summary>
internal static class SysvIpcFiles
{
    public static PseudoDirectory Create(PseudoSuperBlock super) =>
        new PseudoDirectory(super)
            .Add("msg", new TableFile(super, Queues))
            .Add("sem", new TableFile(super, Semaphores))
            .Add("shm", new TableFile(super, Segments));

    private static void Segments(IpcNamespace space, StringBuilder text)
    {
        text.Append("       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap\n");
        lock (space.Segments.Mu)
        {
            foreach (SharedSegment s in space.Segments.AllLocked)
            {
                Head(text, s);
                text.Append(CultureInfo.InvariantCulture, $"{s.Size,21} {s.CreatorPid,5} {s.LastPid,5}  {s.Attachments,5} {s.Uid,5} {s.Gid,5} {s.CreatorUid,5} {s.CreatorGid,5} ")
                    .Append(CultureInfo.InvariantCulture, $"{s.AttachTime,10} {s.DetachTime,10} {s.ChangeTime,10} {s.ResidentPages * 4096,21} {0,21}\n");
            }
        }
    }

    private static void Semaphores(IpcNamespace space, StringBuilder text)
    {
        text.Append("       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n");
        lock (space.Semaphores.Mu)
        {
            foreach (SemaphoreSet s in space.Semaphores.AllLocked)
            {
                Head(text, s);
                text.Append(CultureInfo.InvariantCulture, $"{s.Values.Length,10} {s.Uid,5} {s.Gid,5} {s.CreatorUid,5} {s.CreatorGid,5} {s.OperationTime,10} {s.ChangeTime,10}\n");
            }
        }
    }

    private static void Queues(IpcNamespace space, StringBuilder text)
    {
        text.Append("       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n");
        lock (space.Queues.Mu)
        {
            foreach (MessageQueue q in space.Queues.AllLocked)
            {
                Head(text, q);
                text.Append(CultureInfo.InvariantCulture, $" {q.Bytes,10} {q.Count,10} {q.LastSender,5} {q.LastReceiver,5} {q.Uid,5} {q.Gid,5} {q.CreatorUid,5} {q.CreatorGid,5} ")
                    .Append(CultureInfo.InvariantCulture, $"{q.SendTime,10} {q.ReceiveTime,10} {q.ChangeTime,10}\n");
            }
        }
    }

    private static void Head(StringBuilder text, IpcObject item) =>
        text.Append(CultureInfo.InvariantCulture, $"{item.Key,10} {item.Id,10}  {Convert.ToString(item.Mode, 8),4} ");

    private sealed class TableFile(PseudoSuperBlock super, Action<IpcNamespace, StringBuilder> write) : PseudoFile(super, 0x124)
    {
        public override Errno Generate(ICaller caller, StringBuilder text)
        {
            if (caller is Task task)
            {
                write(task.Ipc, text);
            }

            return Errno.None;
        }
    }
}
