using System;
using System.Threading;
using Runsc.Platform;
using Xunit;

namespace Runsc.Tests.Platforms;

/// <summary>
/// A thread that runs a guest loop: load a word, store it to the data page, count. Faults are given to <see cref="FaultIn"/>, at a gate that the
/// test can close.
/// </summary>
internal sealed class LoopingGuest : IDisposable
{
    private readonly GuestMachine _machine;
    private readonly ulong _target;
    private readonly ManualResetEventSlim _gate = new(true);
    private readonly Thread _thread;
    private volatile bool _stop;
    private volatile int _heldFaults;
    private string? _failure;

    public LoopingGuest(GuestMachine machine, ulong target)
    {
        _machine = machine;
        _target = target;

        // 0:  mov (%rdi), %rax ; mov %rax, (%rsi) ; incq 8(%rsi) ; jmp 0
        Task = new GuestTask(machine, [0x48, 0x8b, 0x07, 0x48, 0x89, 0x06, 0x48, 0xff, 0x46, 0x08, 0xeb, 0xf4]);
        Task.Frame.Rdi = target;
        Task.Frame.Rsi = GuestTask.Data;
        _thread = new Thread(Loop);
    }

    public GuestTask Task { get; }

    /// <summary>Maps the page that the loop loads.</summary>
    public Action<IAddressSpace>? FaultIn { get; set; }

    public ulong Rounds => Volatile.Read(ref _machine.Word(Task.DataOffset + 8));

    public ulong LastValue => Volatile.Read(ref _machine.Word(Task.DataOffset));

    public void Start() => _thread.Start();

    public void WaitForRounds(ulong count)
    {
        ulong end = Rounds + count;
        SpinUntil(() => Rounds >= end || _failure != null);
        Assert.Null(_failure);
    }

    public void HoldFaults()
    {
        _heldFaults = 0;
        _gate.Reset();
    }

    public void WaitForHeldFault() => SpinUntil(() => _heldFaults > 0 || _failure != null);

    public void ReleaseFaults() => _gate.Set();

    public void Stop()
    {
        _stop = true;
        _gate.Set();
        Task.Context.Interrupt();
        _thread.Join();
        Assert.Null(_failure);
    }

    public void Dispose()
    {
        if (_thread.IsAlive)
        {
            _stop = true;
            _gate.Set();
            Task.Context.Interrupt();
            _thread.Join();
        }

        Task.Dispose();
        _gate.Dispose();
    }

    private static void SpinUntil(Func<bool> condition)
    {
        SpinWait spin = default;
        while (!condition())
        {
            spin.SpinOnce();
        }
    }

    private void Loop()
    {
        while (!_stop)
        {
            TrapInfo trap = Task.Run();
            if (trap.Kind == TrapKind.Interrupted)
            {
                continue;
            }

            if (trap.Kind != TrapKind.PageFault || FaultIn == null)
            {
                _failure = Task.Describe(trap);
                return;
            }

            if (!_gate.IsSet)
            {
                _heldFaults++;
                _gate.Wait();
            }

            // Code, data and stack too: an unmapping of everything takes them away.
            Task.Space.Map(GuestTask.Code, Task.DataOffset - 4096, 4096, AccessType.Read | AccessType.Execute);
            Task.Space.Map(GuestTask.Data, Task.DataOffset, 4096, AccessType.Read | AccessType.Write);
            FaultIn(Task.Space);
        }
    }
}
