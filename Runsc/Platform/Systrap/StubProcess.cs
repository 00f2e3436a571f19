using System;
using System.Runtime.CompilerServices;
using System.Threading;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Platform.Systrap.Stub;

namespace Runsc.Platform.Systrap;

/// <summary>
/// A stub process: its first thread carries out orders on its address space, the others run the application. Orders are given by the holder of
/// the address space's lock. What the process can write (its slots) is never trusted; orders are in a page that it can only read, and it
/// answers through a descriptor that the application's threads may not use.
/// </summary>
internal sealed unsafe class StubProcess
{
    /// <summary>Rounds of a PAUSE that a stub thread looks for its next order: some 30 µs.</summary>
    private const int MaxStubSpin = 1024;

    /// <summary>Rounds of about 40 ns: an order takes a system call or a few, and where it has to wake the thread up, that too.</summary>
    private const int MaxAnswerSpin = 4000;

    private readonly SystrapPlatform _platform;

    /// <summary>The process's part of the control file as the Sentry sees it. Stays mapped for the platform's life.</summary>
    private readonly byte* _part;

    /// <summary>The address space, the monitor, and each thread that a context holds. The part is used again when nobody is left.</summary>
    private int _references = 2;
    private volatile bool _dead;
    private volatile int _slots = 1;
    private int _sequence;
    private SpinBudget _spin = new(MaxStubSpin);
    private SpinBudget _answerSpin = new(MaxAnswerSpin);
    private int _operations;

    public StubProcess(SystrapPlatform platform, int index, byte* part, int id, int descriptor)
    {
        _platform = platform;
        _part = part;
        Index = index;
        Id = id;
        Descriptor = descriptor;
    }

    public int Index { get; }

    public int Id { get; }

    /// <summary>The process, by pidfd_open(2).</summary>
    public int Descriptor { get; }

    /// <summary>It has ended, or nobody must rely on it any more.</summary>
    public bool IsDead => _dead;

    /// <summary>Operations can be added until <see cref="Execute"/>.</summary>
    public bool IsFull => _operations == StubLayout.MaxOperations;

    /// <summary>Adds a system call to the order. It has to return <paramref name="expected"/>.</summary>
    public void Add(long number, ulong a, ulong b, ulong c, ulong d, ulong e, ulong f, ulong expected)
    {
        ulong* operation = (ulong*)(_part + StubLayout.Operations + (StubLayout.OperationSize * _operations++));
        operation[0] = (ulong)number;
        operation[1] = a;
        operation[2] = b;
        operation[3] = c;
        operation[4] = d;
        operation[5] = e;
        operation[6] = f;
        operation[7] = expected;
    }

    /// <summary>Has the order carried out. False if a call did not give what was expected, or the process is dead.</summary>
    public bool Execute()
    {
        int operations = _operations;
        _operations = 0;
        if (_dead)
        {
            return false;
        }

        int lane = _platform.Lanes.Acquire();
        int fd = _platform.Lanes[lane];
        Control(StubLayout.Count) = operations;
        Control(StubLayout.Lane) = StubLayout.FirstLaneFd + lane;
        Interlocked.Exchange(ref Control(StubLayout.Sequence), ++_sequence);
        int* header = (int*)(SlotAddress(0) + StubLayout.Header);
        bool woken = Volatile.Read(ref header[StubLayout.StubSleeps / 4]) != 0;
        if (woken)
        {
            SystrapCalls.Wake((int*)_part);
        }

        if (_platform.MaySpin)
        {
            SpinForAnswer(ref header[StubLayout.State / 4]);
        }

        if (!woken)
        {
            SystrapCalls.Wake((int*)_part);
        }

        bool success = AwaitAnswer(fd);
        _platform.Lanes.Release(lane);
        return success;
    }

    /// <summary>Looks for a while whether the order has been carried out. It is a hint, which the process can forge: the answer comes by the lane.</summary>
    private void SpinForAnswer(ref int state)
    {
        for (int i = _answerSpin.Rounds; i > 0; i--)
        {
            if (Volatile.Read(ref state) == _sequence)
            {
                _answerSpin.Succeeded();
                return;
            }

            Thread.SpinWait(1);
        }

        _answerSpin.Failed();
    }

    /// <summary>A new thread that waits in its handler; null if it cannot be made.</summary>
    public StubThread? CreateThread()
    {
        int slot = _slots;
        if (slot == StubLayout.SlotCount || _dead)
        {
            return null;
        }

        byte* address = SlotAddress(slot);
        ulong inStub = StubLayout.Slots + ((ulong)slot * StubLayout.SlotSize);
        byte* header = address + StubLayout.Header;
        *(int*)(header + StubLayout.State) = StubLayout.Running;
        ulong* stack = (ulong*)(header + StubLayout.Stack);
        stack[0] = inStub;
        stack[1] = 0;
        stack[2] = StubLayout.Header;
        _slots = slot + 1;
        Add(SysNo.clone, StubFilters.ThreadFlags, inStub + StubLayout.Header, inStub + StubLayout.Header + StubLayout.ThreadId, 0, 0, 0, 0);
        if (!Execute())
        {
            return null;
        }

        StubThread thread = new(_platform, this, address, inStub);
        return thread.AwaitStart() ? thread : null;
    }

    /// <summary>Ends the process; it may take a moment.</summary>
    public void Kill()
    {
        _dead = true;
        SystrapCalls.KillProcess(Descriptor);
    }

    /// <summary>A thread was found waiting in its loop, or asleep: how long the next waits.</summary>
    public void TuneSpin(bool found)
    {
        if (found)
        {
            _spin.Succeeded();
        }
        else
        {
            _spin.Failed();
        }

        Volatile.Write(ref Control(StubLayout.Spin), _platform.MaySpin ? _spin.Rounds : 0);
    }

    public void Hold() => Interlocked.Increment(ref _references);

    public void Release()
    {
        if (Interlocked.Decrement(ref _references) == 0)
        {
            _platform.Recycle(this);
        }
    }

    /// <summary>The process has ended: whoever waits for one of its threads is told.</summary>
    public void OnDeath()
    {
        _dead = true;
        for (int slot = 1; slot < _slots; slot++)
        {
            int* state = (int*)(SlotAddress(slot) + StubLayout.Header + StubLayout.State);
            Interlocked.Exchange(ref *state, StubLayout.Dead);
            SystrapCalls.Wake(state);
        }
    }

    private byte* SlotAddress(int slot) => _part + StubLayout.SlotsOffset + ((long)slot * StubLayout.SlotSize);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ref int Control(int offset) => ref *(int*)(_part + offset);

    private bool AwaitAnswer(int fd)
    {
        Span<byte> value = stackalloc byte[8];
        Span<PollFd> waits = stackalloc PollFd[2];
        while (HostFile.Read(fd, value) != 8)
        {
            waits[0] = new PollFd { Fd = fd, Events = Poll.POLLIN };
            waits[1] = new PollFd { Fd = Descriptor, Events = Poll.POLLIN };
            _ = HostEvents.Poll(waits, -1);
            if (waits[0].Returned == 0 && waits[1].Returned != 0)
            {
                // Nobody is left to write to the lane, and nothing was written.
                _dead = true;
                return false;
            }
        }

        return value[0] == 1;
    }
}
