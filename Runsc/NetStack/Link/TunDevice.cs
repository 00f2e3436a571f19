using System.Collections.Generic;
using System.Threading;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Link;

/// <summary>A tun or tap interface: frames that go out wait for a program to read them, and what that writes comes in.</summary>
internal sealed class TunDevice(MacAddress address, bool isTap) : LinkDevice
{
    /// <summary>Frames that wait at most, and the interface's queue length.</summary>
    public const int MaxQueue = 500;

    // A leaf.
    private readonly Lock _mu = new();

    // Guarded by _mu.
    private readonly Queue<PacketBuffer> _queue = new();
    private ITunProgram? _program;
    private bool _isClosed;

    private Wake? _wake;

    public override LinkKind Kind => isTap ? LinkKind.Ethernet : LinkKind.None;

    public override string? Driver => "tun";

    public override MacAddress Address => address;

    public override bool CanMove => true;

    public override bool CanBeRemoved => true;

    public override bool TellsState => false;

    public override bool HasCarrier => Volatile.Read(ref _program) is not null;

    /// <summary>The interface stays when the program goes.</summary>
    public bool IsPersistent { get; set; }

    /// <summary>What the program asked for: IFF_*, for show.</summary>
    public int Flags { get; set; }

    /// <summary>Who may attach beside those who may do anything; null: nobody.</summary>
    public uint? OwnerUid { get; set; }

    public uint? OwnerGid { get; set; }

    /// <summary>The interface is gone.</summary>
    public bool IsClosed
    {
        get
        {
            lock (_mu)
            {
                return _isClosed;
            }
        }
    }

    public bool HasFrames
    {
        get
        {
            lock (_mu)
            {
                return _queue.Count > 0;
            }
        }
    }

    /// <summary>Joins a program to the interface. False if there is one already, or the interface is gone. Precondition: the stack's lock is held.</summary>
    public bool TryAttach(ITunProgram program)
    {
        lock (_mu)
        {
            if (_program is not null || _isClosed)
            {
                return false;
            }

            Volatile.Write(ref _program, program);
        }

        Interface!.Stack.CarrierChanged(Interface);
        return true;
    }

    /// <summary>The program goes; frames that wait for it are lost. Precondition: the stack's lock is held.</summary>
    public void Detach()
    {
        lock (_mu)
        {
            Volatile.Write(ref _program, null);
            Drop();
        }

        Interface!.Stack.CarrierChanged(Interface);
    }

    /// <summary>The next frame, which is the caller's; null when none waits. No lock of a stack is needed.</summary>
    public PacketBuffer? Take()
    {
        lock (_mu)
        {
            return _queue.TryDequeue(out PacketBuffer? frame) ? frame : null;
        }
    }

    public override bool Transmit(PacketBuffer frame)
    {
        lock (_mu)
        {
            if (_program is null || _isClosed || _queue.Count >= MaxQueue)
            {
                frame.Release();
                return false;
            }

            _queue.Enqueue(frame);
        }

        Interface!.Stack.Defer(_wake ??= new Wake(this));
        return true;
    }

    public override void OnSetUp() => Interface!.Stack.Defer(_wake ??= new Wake(this));

    public override void Close()
    {
        lock (_mu)
        {
            _isClosed = true;
            Drop();
        }

        Interface!.Stack.Defer(_wake ??= new Wake(this));
    }

    private void Drop()
    {
        while (_queue.TryDequeue(out PacketBuffer? frame))
        {
            frame.Release();
        }
    }

    private sealed class Wake(TunDevice owner) : DeferredWork
    {
        public override void Run() => Volatile.Read(ref owner._program)?.OnChange();
    }
}
