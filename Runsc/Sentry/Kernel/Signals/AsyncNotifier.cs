using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Kernel.Signals;

/// <summary>Tells the owner of a file of input and output by signals: SIGIO with O_ASYNC, SIGURG for urgent data (fcntl(2), "Managing signals").</summary>
/// <remarks>An event comes with locks of the file held, so it is only noted; the timer thread sends the signal.</remarks>
internal sealed class AsyncNotifier : Waiter
{
    private const int OwnerThread = 0, OwnerGroup = 2;

    // si_code and si_band of SIGIO (sigaction(2)).
    private const int PollIn = 1, PollOut = 2, PollError = 4, PollPriority = 5, PollHangup = 6;

    private readonly SentryKernel _kernel;
    private readonly FileDescription _file;
    private readonly KernelTimer _timer;

    // Events to be told, as bits of EventMask.
    private uint _pending;

    public AsyncNotifier(SentryKernel kernel, FileDescription file)
    {
        _kernel = kernel;
        _file = file;
        _timer = new KernelTimer(kernel.Timers, _ => Tell());
        Mask = EventMask.Readable | EventMask.Writable | EventMask.Pri | EventMask.ReadHup;
    }

    /// <summary>si_fd: the descriptor that O_ASYNC was set by.</summary>
    public int Descriptor { get; set; } = -1;

    /// <summary>Whose numbers the owner's id is of, and who made it owner: a signal is sent if that one may send it.</summary>
    public string Container { get; set; } = "";

    public Credentials? Sender { get; set; }

    public override void Notify(EventMask events)
    {
        // A file that has room is no news unless somebody found it full.
        bool wasFull = (events & EventMask.Writable) != 0 && _file.WasFull;
        if (wasFull)
        {
            _file.WasFull = false;
        }

        events = wasFull ? events : events & ~EventMask.Writable;
        if ((events & (EventMask.Readable | EventMask.Writable | EventMask.Pri | EventMask.ReadHup | EventMask.Unmaskable)) != 0)
        {
            Interlocked.Or(ref _pending, (uint)events);
            _timer.Set(0, 0);
        }
    }

    private void Tell()
    {
        EventMask events = (EventMask)Interlocked.Exchange(ref _pending, 0);
        AsyncOwner owner = _file.AsyncOwner;
        if ((events & EventMask.Pri) != 0)
        {
            Send(owner, SignalInfo.Kernel(Signal.SIGURG));
        }

        bool isUrgentOnly = (events & ~(EventMask.Pri | EventMask.ReadBand)) == 0;
        if ((_file.StatusFlags & Fcntl.O_ASYNC) == 0 || events == 0 || (isUrgentOnly && owner.Signal == 0))
        {
            return;
        }

        if (owner.Signal == 0)
        {
            Send(owner, SignalInfo.Kernel(Signal.SIGIO));
            return;
        }

        (int code, uint band) = (events & EventMask.Hup) != 0 ? (PollHangup, (uint)(EventMask.Hup | EventMask.Err))
            : (events & EventMask.Err) != 0 ? (PollError, (uint)EventMask.Err)
            : (events & EventMask.Readable) != 0 ? (PollIn, (uint)EventMask.Readable)
            : (events & EventMask.Pri) != 0 ? (PollPriority, (uint)(EventMask.Pri | EventMask.ReadBand))
            : (events & EventMask.Writable) != 0 ? (PollOut, (uint)(EventMask.Writable | EventMask.WriteBand))
            : (PollIn, (uint)EventMask.Readable);
        Send(owner, new SignalInfo { Signal = owner.Signal, Code = code, Address = band, Fd = Descriptor });
    }

    private void Send(AsyncOwner owner, in SignalInfo info)
    {
        if (owner.Id == 0)
        {
            return;
        }

        if (owner.Kind == OwnerGroup)
        {
            foreach (ThreadGroup member in _kernel.SnapshotGroups(Container))
            {
                if (member.ProcessGroup.Id == owner.Id && MayTell(member))
                {
                    member.SendSignal(info);
                }
            }

            return;
        }

        Task? target;
        lock (_kernel.TaskLock)
        {
            target = _kernel.FindTaskLocked(owner.Id, Container);
        }

        if (target is not null && MayTell(target.ThreadGroup))
        {
            if (owner.Kind == OwnerThread)
            {
                _ = target.SendSignal(info);
            }
            else
            {
                target.ThreadGroup.SendSignal(info);
            }
        }
    }

    // Linux: sigio_perm.
    private bool MayTell(ThreadGroup target)
    {
        if (Sender is not Credentials own)
        {
            return false;
        }

        Credentials other = target.Credentials;
        return own.EffectiveUid == 0 || own.EffectiveUid == other.SavedUid || own.EffectiveUid == other.RealUid
            || own.RealUid == other.SavedUid || own.RealUid == other.RealUid;
    }
}
