using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Kernel.Terminals;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.FileSystems.DevPts;

/// <summary>
/// A pseudo-terminal (pty(7)): the terminal that programs use (the slave), and the master that stands for the line. Other parts: Data, Settings.
/// </summary>
/// <remarks>
/// Its lock guards all that has no other word. Signals are sent and waiters told after it has been released (<see cref="Effects"/>), since signals need
/// the task lock, which is outermost.
/// </remarks>
internal sealed partial class Pty : Terminal
{
    // What a master may have on its way to the line discipline, and a slave to the master, before they have to wait.
    private const int LineCapacity = 8192;
    private const int OutputCapacity = 12288;

    // So much of the slave's output can be the master's already.
    private const int MasterCapacity = 4096;

    private readonly Lock _mu = new();
    private readonly DevPtsDirectory _home;

    private readonly OutputProcessor _column = new();
    private readonly LineDiscipline _discipline;
    private readonly ByteRing _line = new(LineCapacity);
    private readonly ByteRing _output = new(OutputCapacity);

    // Output from before the present operation that has reached the master meanwhile: a flush does not take it back.
    private int _delivered;

    private int _slaves;
    private bool _isMasterClosed;

    // The last descriptor of the slave was closed: the master reads EIO until it is opened again.
    private bool _isSlaveClosed;

    public Pty(SentryKernel kernel, DevPtsDirectory home, int index)
        : base(kernel)
    {
        _home = home;
        Index = index;
        _discipline = new LineDiscipline(_column);
    }

    /// <summary>The N of /dev/pts/N.</summary>
    public int Index { get; }

    public override ulong DeviceNumber => SpecialFiles.DeviceNumber(136 + ((uint)Index >> 8), (uint)Index & 0xff);

    public WaitQueue MasterEvents { get; } = new();

    public WaitQueue SlaveEvents { get; } = new();

    /// <summary>Grows with each hang-up: descriptions from before are dead.</summary>
    public int Generation { get; private set; }

    /// <summary>Opening the slave fails with EIO until unlockpt(3).</summary>
    public bool IsLocked { get; set; } = true;

    /// <summary>TIOCEXCL: nobody but root may open it again.</summary>
    public bool IsExclusive { get; set; }

    /// <summary>What is to be done when the lock is free.</summary>
    private struct Effects
    {
        public EventMask Slave;
        public EventMask Master;
        public ulong Signals;
    }

    private void Apply(in Effects effects)
    {
        for (int signal = 1; effects.Signals >> (signal - 1) is not 0 and ulong rest; signal++)
        {
            if ((rest & 1) != 0)
            {
                SignalForeground(signal);
            }
        }

        if (effects.Slave != EventMask.None)
        {
            SlaveEvents.Notify(effects.Slave);
        }

        if (effects.Master != EventMask.None)
        {
            MasterEvents.Notify(effects.Master);
        }
    }

    /// <summary>Opens the slave. EIO while it is locked or when the master is gone, EBUSY when somebody has it alone.</summary>
    public Errno OpenSlave(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
    {
        file = null;
        lock (_mu)
        {
            if (_isMasterClosed || IsLocked)
            {
                return Errno.EIO;
            }

            if (IsExclusive && _slaves > 0 && !caller.Credentials.HasCapability(Capability.CAP_SYS_ADMIN))
            {
                return Errno.EBUSY;
            }

            _slaves++;
            _isSlaveClosed = false;
        }

        file = new PtySlaveDescription(this, path, flags);
        if (caller is Task task)
        {
            TakeOnOpen(task, flags);
        }

        return Errno.None;
    }

    public override Errno OpenAgain(ICaller caller, in VfsPath path, int flags, out FileDescription? file) => OpenSlave(caller, path, flags | Fcntl.O_NOCTTY, out file);

    /// <summary>A description of the slave has gone.</summary>
    public void ReleaseSlave()
    {
        bool gone;
        lock (_mu)
        {
            if (--_slaves > 0)
            {
                return;
            }

            _isSlaveClosed = true;
            IsExclusive = false;
            gone = _isMasterClosed;
        }

        MasterEvents.Notify(EventMask.Hup | EventMask.Readable);
        if (gone)
        {
            _home.Free(Index);
        }
    }

    /// <summary>The master has gone: the line is hung up.</summary>
    public void ReleaseMaster()
    {
        // The name goes first: as soon as the master counts as closed, the last slave may free the number for another.
        _home.Hide(Index);
        bool gone;
        lock (_mu)
        {
            _isMasterClosed = true;
            gone = _slaves == 0;
        }

        HangUp();
        if (gone)
        {
            _home.Free(Index);
        }
    }

    /// <summary>All present descriptions of the slave are dead from now on; the session loses its terminal.</summary>
    public void HangUp()
    {
        lock (_mu)
        {
            Generation++;
            _discipline.Flush();
            _line.Clear();
        }

        HangUpSession();
        SlaveEvents.Notify(EventMask.Readable | EventMask.Writable | EventMask.Err | EventMask.Hup);
    }
}
