using System;
using System.Text;
using Runsc.Linux;
using Runsc.Sentry.FileSystems.DevPts;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;
using Xunit;

namespace Runsc.Tests.Unit.DevPts;

/// <summary>Names, opening and closing, packet mode and readiness of pseudo-terminals.</summary>
public sealed class PtyTests
{
    private static string Text(ReadOnlySpan<byte> bytes) => Encoding.Latin1.GetString(bytes);

    [Fact]
    public void Slave_IsLockedAtFirst()
    {
        using SentryPair pair = new();
        FileDescription second = pair.Files.Open("ptmx", Fcntl.O_RDWR);
        Assert.Equal(Errno.EIO, pair.Files.Open("1", Fcntl.O_RDWR, out _));
        ((PtyMasterDescription)second).Pty.IsLocked = false;
        pair.Files.Open("1", Fcntl.O_RDWR).DecRef();
        second.DecRef();
        Assert.Equal(Errno.ENOENT, pair.Files.Open("1", Fcntl.O_RDWR, out _));
    }

    [Fact]
    public void Numbers_AreUsedAgain()
    {
        using SentryPair pair = new();
        FileDescription second = pair.Files.Open("ptmx", Fcntl.O_RDWR), third = pair.Files.Open("ptmx", Fcntl.O_RDWR);
        Assert.Equal(["0", "1", "2", "ptmx"], pair.Files.List("/"));
        second.DecRef();
        Assert.Equal(["0", "2", "ptmx"], pair.Files.List("/"));
        Assert.Equal(1, ((PtyMasterDescription)pair.Files.Open("ptmx", Fcntl.O_RDWR)).Pty.Index);
        third.DecRef();
    }

    [Fact]
    public void Options_GiveOwnerModeAndLimit()
    {
        using SentryPair pair = new("newinstance,mode=620,gid=5,uid=7,ptmxmode=666,max=1");
        FileAttributes slave = pair.Files.Stat("0"), ptmx = pair.Files.Stat("ptmx");
        Assert.Equal(((uint)Stat.S_IFCHR | 0x190, 7U, 5U, SpecialFiles.DeviceNumber(136, 0)), (slave.Mode, slave.Uid, slave.Gid, slave.DeviceNumber));
        Assert.Equal(((uint)Stat.S_IFCHR | 0x1b6, SpecialFiles.DeviceNumber(5, 2)), (ptmx.Mode, ptmx.DeviceNumber));
        Assert.Equal(Errno.ENOSPC, pair.Files.Open("ptmx", Fcntl.O_RDWR, out _));
        Assert.Equal(Errno.EINVAL, DevPtsOptions.TryParse("mode=9", out _));
        Assert.Equal(Errno.EINVAL, DevPtsOptions.TryParse("size=1", out _));
    }

    [Fact]
    public void ClosedSlave_EndsTheMastersInputBehindTheRest()
    {
        using SentryPair pair = new();
        byte[] room = new byte[64];
        Assert.Equal(-(long)Errno.EAGAIN, pair.ReadMaster(room));
        pair.WriteSlave("last"u8);
        pair.Slave.DecRef();
        Assert.True((pair.Master.Readiness(EventMask.In) & EventMask.Hup) != 0);
        Assert.Equal("last", Text(room.AsSpan(0, (int)pair.ReadMaster(room))));
        Assert.Equal(-(long)Errno.EIO, pair.ReadMaster(room));

        // What is typed now waits for who opens it next.
        Assert.Equal(3, pair.WriteMaster("hi\n"u8));
        FileDescription again = pair.OpenSlave();
        Assert.Equal("hi\n", Text(room.AsSpan(0, (int)pair.Read(again, room))));
        Assert.Equal("hi\r\n", Text(room.AsSpan(0, (int)pair.ReadMaster(room))));
        Assert.Equal(-(long)Errno.EAGAIN, pair.ReadMaster(room));
    }

    [Fact]
    public void ClosedMaster_HangsTheSlaveUp()
    {
        using SentryPair pair = new();
        byte[] room = new byte[64];
        pair.WriteMaster("lost\n"u8);
        pair.Master.DecRef();
        Assert.Equal(0, pair.ReadSlave(room));
        Assert.Equal(-(long)Errno.EIO, pair.WriteSlave("x"u8));
        EventMask all = EventMask.In | EventMask.Out | EventMask.Err | EventMask.Hup;
        Assert.Equal(all, pair.Slave.Readiness(all));
        Assert.Equal(-(long)Errno.EIO, pair.Slave.Ioctl(pair.Files.Caller, Ioctls.TCGETS, 0));
        Assert.Equal(-(long)Errno.ENOTTY, pair.Slave.Ioctl(pair.Files.Caller, Ioctls.TIOCSPGRP, 0));
        Assert.Equal(Errno.ENOENT, pair.Files.Open("0", Fcntl.O_RDWR, out _));
    }

    [Fact]
    public void Readiness_FollowsLinesRoomAndFlow()
    {
        using SentryPair pair = new();
        Assert.Equal(EventMask.Out, pair.Slave.Readiness(EventMask.In | EventMask.Out));
        pair.WriteMaster("no line yet"u8);
        Assert.Equal(EventMask.Out, pair.Slave.Readiness(EventMask.In | EventMask.Out));
        Assert.Equal(EventMask.In | EventMask.Out, pair.Master.Readiness(EventMask.In | EventMask.Out));
        pair.WriteMaster("\n\x13"u8);
        Assert.Equal(EventMask.In, pair.Slave.Readiness(EventMask.In | EventMask.Out));
        Assert.Equal(-(long)Errno.EAGAIN, pair.WriteSlave("stopped"u8));
        pair.WriteMaster("\x11"u8);
        Assert.Equal(EventMask.In | EventMask.Out, pair.Slave.Readiness(EventMask.In | EventMask.Out));
    }

    [Fact]
    public void FullOutput_MakesTheWriterWaitForTheMaster()
    {
        using SentryPair pair = new();
        byte[] block = new byte[1000];
        Array.Fill(block, (byte)'x');
        long total = 0, n;
        while ((n = pair.WriteSlave(block)) > 0)
        {
            total += n;
        }

        Assert.Equal(-(long)Errno.EAGAIN, n);
        Assert.Equal(EventMask.None, pair.Slave.Readiness(EventMask.Out));
        CountingWaiter waiter = new() { Mask = EventMask.Out };
        pair.Slave.Register(waiter);
        byte[] room = new byte[100_000];
        Assert.Equal(total, pair.ReadMaster(room));
        Assert.True(waiter.Count > 0);
        Assert.Equal(EventMask.Out, pair.Slave.Readiness(EventMask.Out));
        pair.Slave.Unregister(waiter);
    }

    [Fact]
    public void SignalCharacter_LeavesWhatTheMasterHas()
    {
        using SentryPair pair = new();
        byte[] room = new byte[20_000];
        pair.WriteSlave("before"u8);
        pair.WriteMaster("\x03"u8);
        Assert.Equal("before^C", Text(room.AsSpan(0, (int)pair.ReadMaster(room))));
        byte[] block = new byte[10_000];
        Array.Fill(block, (byte)'x');
        pair.WriteSlave(block);
        pair.Flush(input: false, output: true);
        Assert.Equal(4096, pair.ReadMaster(room));
    }

    [Fact]
    public void PacketMode_TellsOfFlushesFlowAndModes()
    {
        using SentryPair pair = new();
        byte[] room = new byte[64];
        pair.Pty.IsPacketMode = true;
        pair.WriteSlave("data"u8);
        Assert.Equal("\0data", Text(room.AsSpan(0, (int)pair.ReadMaster(room))));
        pair.WriteMaster("\x13"u8);
        Assert.True((pair.Master.Readiness(EventMask.Pri) & EventMask.Pri) != 0);
        Assert.Equal([(byte)Ioctls.TIOCPKT_STOP], room[..(int)pair.ReadMaster(room)]);
        pair.WriteMaster("\x11"u8);
        Assert.Equal([(byte)Ioctls.TIOCPKT_START], room[..(int)pair.ReadMaster(room)]);
        pair.Flush(input: true, output: true);
        Assert.Equal([(byte)(Ioctls.TIOCPKT_FLUSHREAD | Ioctls.TIOCPKT_FLUSHWRITE)], room[..(int)pair.ReadMaster(room)]);
        Host.Syscalls.TerminalAttributes modes = TerminalModes.Default;
        modes.Input &= ~(uint)Ioctls.IXON;
        pair.SetModes(modes, flush: false);
        Assert.Equal([(byte)Ioctls.TIOCPKT_NOSTOP], room[..(int)pair.ReadMaster(room)]);
        Assert.Equal(-(long)Errno.EAGAIN, pair.ReadMaster(room));
    }

    private sealed class CountingWaiter : Waiter
    {
        public int Count { get; private set; }

        public override void Notify(EventMask events) => Count++;
    }
}
