using System;
using System.Collections.Generic;
using System.Threading;
using Runsc.Common;
using Runsc.Host.Syscalls;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;

namespace Runsc.Boot.Wiring;

/// <summary>Writes frames of a stack's interfaces to a file (--pcap-log) and lines about them to the log (--log-packets).</summary>
/// <remarks>
/// Frames are put into memory under the stack's lock, and whoever releases that writes them. What comes in over loopback went out there, so only one of the two is
/// recorded. The file is that of pcap-savefile(5), in this machine's byte order, with times in microseconds.
/// </remarks>
internal sealed class PacketRecorder : IPacketTap
{
    /// <summary>The most that is kept of a frame; the record says how long it was.</summary>
    public const int SnapLength = 4096;

    private const int FileHeader = 24;
    private const int RecordHeader = 16;

    // Beyond this the file is too slow, and frames are left out.
    private const int MaximumBacklog = 4 << 20;

    private readonly NetworkStack _stack;
    private readonly int _fd;
    private readonly bool _logs;
    private readonly Flush _flush;
    private readonly HashSet<NetworkInterface> _watched = [];
    private readonly Lock _mu = new();

    // Guarded by _mu, a leaf: records that are not written yet, and whether a thread writes.
    private byte[] _pending = new byte[64 << 10];
    private byte[] _spare = new byte[64 << 10];
    private int _length;
    private readonly Queue<string> _lines = new();
    private long _omitted;
    private bool _isWriting;
    private bool _hasFailed;

    /// <param name="stack">Its clock gives the times.</param>
    /// <param name="fd">An empty file, open for writing, this object's by now; or −1.</param>
    /// <param name="logs">A line in the log for each frame.</param>
    public PacketRecorder(NetworkStack stack, int fd, bool logs)
    {
        _stack = stack;
        _fd = fd;
        _logs = logs;
        _flush = new Flush(this);
        if (fd >= 0)
        {
            Span<byte> header = stackalloc byte[FileHeader];
            WriteFileHeader(header);
            _hasFailed = HostFile.Write(fd, header) != header.Length;
        }
    }

    /// <summary>Begins with the interfaces that are there and were not watched yet. The stack's lock is not held.</summary>
    public void Watch()
    {
        using (_stack.Enter())
        {
            foreach (NetworkInterface one in _stack.Interfaces)
            {
                if (one.Device.HasHeader && _watched.Add(one))
                {
                    one.AddTap(this);
                }
            }
        }
    }

    public void OnFrame(NetworkInterface networkInterface, PacketBuffer frame, PacketType type)
    {
        if (networkInterface.IsLoopback && type == PacketType.Outgoing)
        {
            return;
        }

        lock (_mu)
        {
            if (_fd >= 0 && !_hasFailed)
            {
                Append(frame);
            }

            if (_logs && _lines.Count < MaximumBacklog / SnapLength)
            {
                Span<byte> front = stackalloc byte[PacketText.Needed];
                front = front[..frame.CopyTo(0, front[..Math.Min(front.Length, frame.Length)])];
                _lines.Enqueue($"{networkInterface.Name} {(type == PacketType.Outgoing ? "out" : "in")} {PacketText.Describe(front, frame.Length)}");
            }
        }

        _stack.Defer(_flush);
    }

    /// <summary>The head of a file: magic number, version 2.4, no zone, SnapLength, LINKTYPE_ETHERNET.</summary>
    private static void WriteFileHeader(Span<byte> header)
    {
        const uint magic = 0xa1b2c3d4;
        const ushort major = 2, minor = 4;
        const uint ethernet = 1;
        header.Clear();
        BitConverter.TryWriteBytes(header, magic);
        BitConverter.TryWriteBytes(header[4..], major);
        BitConverter.TryWriteBytes(header[6..], minor);
        BitConverter.TryWriteBytes(header[16..], (uint)SnapLength);
        BitConverter.TryWriteBytes(header[20..], ethernet);
    }

    private void Append(PacketBuffer frame)
    {
        int kept = Math.Min(frame.Length, SnapLength);
        int needed = _length + RecordHeader + kept;
        if (needed > MaximumBacklog)
        {
            _omitted++;
            return;
        }

        if (needed > _pending.Length)
        {
            Array.Resize(ref _pending, Math.Max(needed, 2 * _pending.Length));
        }

        long microseconds = _stack.Clock.RealTime / 1000;
        Span<byte> record = _pending.AsSpan(_length, RecordHeader + kept);
        BitConverter.TryWriteBytes(record, (uint)(microseconds / 1_000_000));
        BitConverter.TryWriteBytes(record[4..], (uint)(microseconds % 1_000_000));
        BitConverter.TryWriteBytes(record[8..], kept);
        BitConverter.TryWriteBytes(record[12..], frame.Length);
        _ = frame.CopyTo(0, record[RecordHeader..]);
        _length = needed;
    }

    private void WritePending()
    {
        while (true)
        {
            int length;
            string[] lines;
            long omitted;
            lock (_mu)
            {
                if (_isWriting || (_length == 0 && _lines.Count == 0))
                {
                    return;
                }

                _isWriting = true;
                length = _length;
                _length = 0;
                (_pending, _spare) = (_spare, _pending);
                lines = [.. _lines];
                _lines.Clear();
                (omitted, _omitted) = (_omitted, 0);
            }

            bool failed = length > 0 && !TryWrite(_spare.AsSpan(0, length));
            foreach (string line in lines)
            {
                LogWriter.Write("packet", line);
            }

            if (omitted > 0)
            {
                Log.Warning($"packet capture: the file is too slow, {omitted} frames are left out");
            }

            lock (_mu)
            {
                _isWriting = false;
                _hasFailed |= failed;
            }
        }
    }

    private bool TryWrite(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            long written = HostFile.Write(_fd, bytes);
            if (written <= 0)
            {
                Log.Warning($"packet capture ends: errno {-written}");
                return false;
            }

            bytes = bytes[(int)written..];
        }

        return true;
    }

    private sealed class Flush(PacketRecorder recorder) : DeferredWork
    {
        public override void Run() => recorder.WritePending();
    }
}
