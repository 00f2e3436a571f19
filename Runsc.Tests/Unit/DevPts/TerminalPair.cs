using System;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Sentry.FileSystems.DevPts;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;
using Xunit;

namespace Runsc.Tests.Unit.DevPts;

/// <summary>Both ends of a pseudo-terminal, without waiting: −EAGAIN when there is nothing.</summary>
internal interface ITerminalPair
{
    long WriteMaster(ReadOnlySpan<byte> bytes);

    long ReadMaster(Span<byte> bytes);

    long WriteSlave(ReadOnlySpan<byte> bytes);

    long ReadSlave(Span<byte> bytes);

    void SetModes(TerminalAttributes modes, bool flush);

    int CountSlaveInput();

    void Flush(bool input, bool output);
}

/// <summary>The project's, as a devpts that is the root of a tree.</summary>
internal sealed class SentryPair : ITerminalPair, IDisposable
{
    private readonly FileSystemFixture _files = new();

    public SentryPair(string options = "")
    {
        Assert.Equal(Errno.None, DevPtsOptions.TryParse(options, out DevPtsOptions parsed));
        _files.Mount(DevPtsFileSystem.Create(_files.Kernel, parsed));
        Master = _files.Open("ptmx", Fcntl.O_RDWR | Fcntl.O_NONBLOCK);
        Pty = ((PtyMasterDescription)Master).Pty;
        Pty.IsLocked = false;
        Slave = OpenSlave();
    }

    public FileSystemFixture Files => _files;

    public FileDescription Master { get; }

    public FileDescription Slave { get; }

    public Pty Pty { get; }

    public FileDescription OpenSlave() => _files.Open("0", Fcntl.O_RDWR | Fcntl.O_NOCTTY | Fcntl.O_NONBLOCK);

    public long WriteMaster(ReadOnlySpan<byte> bytes) => Write(Master, bytes);

    public long ReadMaster(Span<byte> bytes) => Read(Master, bytes);

    public long WriteSlave(ReadOnlySpan<byte> bytes) => Write(Slave, bytes);

    public long ReadSlave(Span<byte> bytes) => Read(Slave, bytes);

    public void SetModes(TerminalAttributes modes, bool flush) => Pty.SetModes(modes, flush);

    public int CountSlaveInput() => Pty.CountInput(asMaster: false);

    public void Flush(bool input, bool output) => Pty.FlushSlave(input, output);

    public long Write(FileDescription file, ReadOnlySpan<byte> bytes)
    {
        IoBuffer buffer = new(bytes.ToArray());
        return file.Write(_files.Caller, ref buffer);
    }

    public long Read(FileDescription file, Span<byte> bytes)
    {
        byte[] room = new byte[bytes.Length];
        IoBuffer buffer = new(room);
        long n = file.Read(_files.Caller, ref buffer);
        room.CopyTo(bytes);
        return n;
    }

    public void Dispose() => _files.Dispose();
}

/// <summary>
/// The host's. A worker thread of its kernel carries the bytes, so after each step a byte goes through a second pair, in raw mode: when it has arrived, so have those before it.
/// </summary>
internal sealed class HostPair : ITerminalPair, IDisposable
{
    private readonly int _master;
    private readonly int _slave;
    private readonly int _pilotMaster;
    private readonly int _pilotSlave;

    public HostPair()
    {
        Open(out _master, out _slave);
        Open(out _pilotMaster, out _pilotSlave);
        Assert.Equal(0, HostTerminal.GetAttributes(_pilotSlave, out TerminalAttributes modes));
        Assert.Equal(0, HostTerminal.SetAttributes(_pilotSlave, HostTerminal.MakeRaw(modes)));
    }

    private static void Open(out int master, out int slave)
    {
        Assert.Equal(0, HostTerminal.OpenPair(out master, out slave));
        Assert.Equal(0, HostFile.SetNonBlocking(master));
        Assert.Equal(0, HostFile.SetNonBlocking(slave));
    }

    private void Settle()
    {
        Span<byte> room = stackalloc byte[16];
        for (int i = 0; i < 3; i++)
        {
            // A poll of an end without input hurries what is on its way to it.
            HostEvents.Poll(_slave, (short)Poll.POLLIN, 0);
            HostEvents.Poll(_master, (short)Poll.POLLIN, 0);
            Assert.Equal(1, HostFile.Write(_pilotMaster, [1]));
            for (int wait = 0; Count(_pilotSlave) == 0 && wait < 5000; wait++)
            {
                System.Threading.Thread.Sleep(1);
            }

            Assert.Equal(1, HostFile.Read(_pilotSlave, room));
        }
    }

    private static unsafe int Count(int fd)
    {
        int count;
        Assert.Equal(0, HostFile.Ioctl(fd, (uint)Ioctls.FIONREAD, (nint)(&count)));
        return count;
    }

    public long WriteMaster(ReadOnlySpan<byte> bytes)
    {
        long n = HostFile.Write(_master, bytes);
        Settle();
        return n;
    }

    public long ReadMaster(Span<byte> bytes) => HostFile.Read(_master, bytes);

    public long WriteSlave(ReadOnlySpan<byte> bytes)
    {
        long n = HostFile.Write(_slave, bytes);
        Settle();
        return n;
    }

    public long ReadSlave(Span<byte> bytes) => HostFile.Read(_slave, bytes);

    public unsafe void SetModes(TerminalAttributes modes, bool flush)
    {
        Assert.Equal(0, HostFile.Ioctl(_slave, flush ? Ioctls.TCSETSF : (uint)Ioctls.TCSETS, (nint)(&modes)));
        Settle();
    }

    public int CountSlaveInput() => Count(_slave);

    public void Flush(bool input, bool output)
    {
        Assert.Equal(0, HostFile.Ioctl(_slave, Ioctls.TCFLSH, input && output ? Ioctls.TCIOFLUSH : input ? Ioctls.TCIFLUSH : Ioctls.TCOFLUSH));
        Settle();
    }

    public void Dispose()
    {
        foreach (int fd in (int[])[_slave, _master, _pilotSlave, _pilotMaster])
        {
            _ = HostFile.Close(fd);
        }
    }
}
