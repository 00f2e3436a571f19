using System;
using System.Collections.Generic;
using System.IO;
using System.Threading;
using System.Threading.Tasks;
using Runsc.Common;
using Runsc.Host.Processes;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Shim.Rpc;
using Runsc.Shim.Wire;

namespace Runsc.Shim.Events;

/// <summary>
/// Tells containerd what happens, in order: by ttRPC to the address it gave, else through its `publish` command. While it is away (restarted), events wait;
/// of more than <see cref="MaxWaiting"/> the oldest are lost.
/// </summary>
internal sealed class EventPublisher(Reaper reaper, ShimArguments arguments, string? ttrpcAddress)
{
    private const int MaxWaiting = 2048, MaxPause = 2000;

    /// <summary>Guards what is below; pulsed when there is more.</summary>
    private readonly object _mu = new();

    /// <summary>What has not been delivered; the first may be under way.</summary>
    private readonly LinkedList<ShimEvent> _waiting = [];

    public void Start() => new Thread(Run, 256 << 10) { IsBackground = true, Name = "events" }.Start();

    /// <summary>Never waits.</summary>
    public void Publish(ShimEvent happened)
    {
        lock (_mu)
        {
            if (_waiting.Count >= MaxWaiting)
            {
                _waiting.RemoveFirst();
            }

            _waiting.AddLast(happened);
            Monitor.Pulse(_mu);
        }
    }

    /// <summary>Waits until everything is delivered, at most so long.</summary>
    public void Flush(int milliseconds)
    {
        for (long end = Environment.TickCount64 + milliseconds; Environment.TickCount64 < end; Thread.Sleep(5))
        {
            lock (_mu)
            {
                if (_waiting.Count == 0)
                {
                    return;
                }
            }
        }
    }

    private void Run()
    {
        using TtrpcClient? client = string.IsNullOrEmpty(ttrpcAddress) ? null : new TtrpcClient(ttrpcAddress);
        int pause = 50;
        while (true)
        {
            ShimEvent next = First();
            if (Deliver(client, next))
            {
                pause = 50;
                lock (_mu)
                {
                    _waiting.Remove(next);
                }
            }
            else
            {
                Thread.Sleep(pause);
                pause = Math.Min(pause * 2, MaxPause);
            }
        }
    }

    private ShimEvent First()
    {
        lock (_mu)
        {
            while (_waiting.First is null)
            {
                Monitor.Wait(_mu);
            }

            return _waiting.First.Value;
        }
    }

    /// <summary>False: try again later.</summary>
    private bool Deliver(TtrpcClient? client, ShimEvent happened)
    {
        try
        {
            if (client is null)
            {
                return PublishByCommand(happened);
            }

            WireWriter envelope = new WireWriter().Message(1, Timestamp.Write(happened.Time)).Text(2, arguments.Namespace).Text(3, happened.Topic)
                .Message(4, happened.Message.Write());
            client.Call("containerd.services.events.ttrpc.v1.Events", "Forward", new WireWriter().Message(1, envelope).ToArray());
            Log.Debug($"event {happened.Topic}");
            return true;
        }
        catch (IOException error)
        {
            Log.Debug($"event {happened.Topic}: {error.Message}");
            return false;
        }
        catch (Exception error) when (error is RpcException or WireException)
        {
            Log.Warning($"event {happened.Topic}: {error.Message}");
            return true;
        }
    }

    private bool PublishByCommand(ShimEvent happened)
    {
        if (arguments.PublishBinary.Length == 0)
        {
            return true;
        }

        byte[] message = happened.Message.Write().ToArray();
        int input = HostMemory.CreateFile("runsc-event\0"u8, Mman.MFD_CLOEXEC);
        if (input < 0 || HostFile.PWrite(input, message, 0) != message.Length)
        {
            return true;
        }

        int none = HostFile.OpenAt(Fcntl.AT_FDCWD, "/dev/null\0"u8, Fcntl.O_WRONLY | Fcntl.O_CLOEXEC);
        List<string> words = [arguments.PublishBinary, "--address", arguments.Address, "publish", "--topic", happened.Topic, "--namespace", arguments.Namespace];
        int process = reaper.Spawn(() => HostProcess.Spawn(arguments.PublishBinary, words, Runtime.OwnEnvironment(), input, none, none), out Task<int> ended);
        _ = HostFile.Close(input);
        _ = HostFile.Close(none);
        return process > 0 && ended.Wait(10_000) && ended.Result == 0;
    }
}
