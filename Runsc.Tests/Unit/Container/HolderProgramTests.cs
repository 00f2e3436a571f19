using System;
using System.IO;
using System.Threading;
using Runsc.Host.Processes;
using Runsc.Host.Syscalls;
using Xunit;

namespace Runsc.Tests.Unit.Container;

/// <summary>The process that stands for a container on the host.</summary>
public sealed class HolderProgramTests
{
    private static int Start(out int socket)
    {
        Assert.Equal(0, HostPacketSocket.Pair(out socket, out int other));
        int program = HolderProgram.Open(other);
        Assert.True(program >= 0);
        _ = HostFile.SetCloseOnExec(other, false);
        int process = HostProcess.Spawn($"/proc/{Environment.ProcessId}/fd/{program}", ["the container", "x"], [], 0, 1, 2);
        Assert.True(process > 0);
        _ = HostFile.Close(other);
        _ = HostFile.Close(program);
        return process;
    }

    [Theory]
    [InlineData(0)]
    [InlineData(42)]
    [InlineData(255)]
    public void EndsWithTheByteThatItReads(int status)
    {
        int process = Start(out int socket);
        Assert.Equal(1, HostFile.Write(socket, [(byte)status]));
        Assert.Equal(process, HostProcess.Wait(process, out int seen));
        Assert.Equal(status << 8, seen);
        _ = HostFile.Close(socket);
    }

    [Fact]
    public void EndsAsKilled_WhenNobodyWillWrite()
    {
        int process = Start(out int socket);
        _ = HostFile.Close(socket);
        Assert.Equal(process, HostProcess.Wait(process, out int seen));
        Assert.Equal(137 << 8, seen);
    }

    [Fact]
    public void KeepsNothingOfTheCaller()
    {
        int process = Start(out int socket);
        for (int i = 0; Directory.GetFileSystemEntries($"/proc/{process}/fd").Length != 1 || new DirectoryInfo($"/proc/{process}/cwd").LinkTarget != "/"; i++)
        {
            Assert.True(i < 1000, "it keeps descriptors or its directory");
            Thread.Sleep(5);
        }

        Assert.Equal("the container\0x\0", File.ReadAllText($"/proc/{process}/cmdline"));

        // The other end is seen to go.
        Assert.Equal(0, HostProcess.Kill(process, Runsc.Linux.Signal.SIGKILL));
        byte[] nothing = new byte[1];
        Assert.Equal(0, HostFile.Read(socket, nothing));
        Assert.Equal(process, HostProcess.Wait(process, out _));
        _ = HostFile.Close(socket);
    }

    [Fact]
    public void GivesUpWhatItCouldDo()
    {
        int process = Start(out int socket);
        string status;
        for (int i = 0; !(status = File.ReadAllText($"/proc/{process}/status")).Contains("Seccomp:\t1", StringComparison.Ordinal); i++)
        {
            Assert.True(i < 1000, status);
            Thread.Sleep(5);
        }

        Assert.Contains("NoNewPrivs:\t1", status, StringComparison.Ordinal);
        foreach (string set in (string[])["CapInh", "CapPrm", "CapEff"])
        {
            Assert.Contains($"{set}:\t0000000000000000", status, StringComparison.Ordinal);
        }

        _ = HostFile.Close(socket);
        Assert.Equal(process, HostProcess.Wait(process, out int seen));
        Assert.Equal(137 << 8, seen);
    }
}
