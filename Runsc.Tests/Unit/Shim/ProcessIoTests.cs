using System;
using System.IO;
using System.Text;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Shim;
using Runsc.Shim.Io;
using Xunit;

namespace Runsc.Tests.Unit.Shim;

public sealed class ProcessIoTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("runsc-io-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private string Fifo(string name)
    {
        string path = Path.Combine(_directory, name);
        Assert.Equal(0, HostFile.MknodAt(Fcntl.AT_FDCWD, OutputTarget.Name(path), 0x1180, 0));
        return path;
    }

    private static int Open(string path, int flags)
    {
        int fd = HostFile.OpenAt(Fcntl.AT_FDCWD, OutputTarget.Name(path), flags | Fcntl.O_CLOEXEC);
        Assert.True(fd >= 0, $"{path}: {fd}");
        return fd;
    }

    private static string ReadToEnd(int fd)
    {
        using MemoryStream bytes = new();
        byte[] buffer = new byte[4096];
        for (long n; (n = HostFile.Read(fd, buffer)) > 0;)
        {
            bytes.Write(buffer, 0, (int)n);
        }

        return Encoding.UTF8.GetString(bytes.ToArray());
    }

    // The child's side is copied as a child would inherit it.
    private static (int Input, int Output, int Error) Inherit(ProcessIo io)
    {
        (int Input, int Output, int Error) child = (HostFile.Duplicate(io.Input), HostFile.Duplicate(io.Output), HostFile.Duplicate(io.Error));
        io.Started();
        return child;
    }

    [Fact]
    public void Output_OfTheProcess_ReachesTheFifosAndEnds()
    {
        string stdout = Fifo("out"), stderr = Fifo("err");
        using ProcessIo io = new(new StdioPaths("", stdout, stderr, false), new Reaper(), "ns", "c");
        (int input, int output, int error) = Inherit(io);
        int reader = Open(stdout, Fcntl.O_RDONLY), errors = Open(stderr, Fcntl.O_RDONLY);
        Assert.Equal(0, HostFile.Read(input, new byte[1]));
        string text = new('x', 3000);
        Assert.Equal(3000, HostFile.Write(output, Encoding.UTF8.GetBytes(text)));
        Assert.Equal(2, HostFile.Write(error, "ee"u8));
        foreach (int fd in (int[])[input, output, error])
        {
            _ = HostFile.Close(fd);
        }

        io.Drain(10_000);
        Assert.Equal(text, ReadToEnd(reader));
        Assert.Equal("ee", ReadToEnd(errors));
        _ = HostFile.Close(reader);
        _ = HostFile.Close(errors);
    }

    [Fact]
    public void Input_WriterThatGoes_EndsItOnlyAfterClose()
    {
        string stdin = Fifo("in");
        using ProcessIo io = new(new StdioPaths(stdin, "", "", false), new Reaper(), "ns", "c");
        (int input, int output, int error) = Inherit(io);
        for (int i = 0; i < 2; i++)
        {
            int writer = Open(stdin, Fcntl.O_WRONLY);
            Assert.Equal(5, HostFile.Write(writer, "hello"u8));
            _ = HostFile.Close(writer);
            byte[] buffer = new byte[16];
            Assert.Equal(5, HostFile.Read(input, buffer));
        }

        Assert.Equal(0, HostEvents.Poll(input, Poll.POLLIN, 0) & Poll.POLLHUP);
        io.CloseInput();
        Assert.Equal(0, HostFile.Read(input, new byte[1]));
        foreach (int fd in (int[])[input, output, error])
        {
            _ = HostFile.Close(fd);
        }
    }

    [Fact]
    public void Output_ToAFile_IsAppended()
    {
        string file = Path.Combine(_directory, "logs", "a.log");
        for (int i = 0; i < 2; i++)
        {
            using ProcessIo io = new(new StdioPaths("", "file://" + file, "file://" + file, false), new Reaper(), "ns", "c");
            (int input, int output, int error) = Inherit(io);
            Assert.Equal(4, HostFile.Write(output, "line"u8));
            foreach (int fd in (int[])[input, output, error])
            {
                _ = HostFile.Close(fd);
            }

            io.Drain(10_000);
        }

        Assert.Equal("lineline", File.ReadAllText(file));
    }

    [Fact]
    public void Dispose_NobodyReadsAndTheProcessGoesOn_DoesNotWait()
    {
        string stdout = Fifo("out");
        ProcessIo io = new(new StdioPaths(Fifo("in"), stdout, "", false), new Reaper(), "ns", "c");
        (int input, int output, int error) = Inherit(io);
        byte[] block = new byte[64 << 10];
        Assert.Equal(block.Length, HostFile.Write(output, block));
        Assert.Equal(block.Length, HostFile.Write(output, block));
        io.Drain(0);
        io.Dispose();
        foreach (int fd in (int[])[input, output, error])
        {
            _ = HostFile.Close(fd);
        }
    }

    [Fact]
    public void Terminal_SentByTheRuntime_CarriesOutputAndSize()
    {
        string stdout = Fifo("out");
        using ProcessIo io = new(new StdioPaths("", stdout, "", true), new Reaper(), "ns", "c");
        Assert.Equal(0, HostTerminal.OpenPair(out int master, out int replica));
        int socket = HostPacketSocket.ConnectStream(io.ConsoleSocket!);
        Assert.True(HostPacketSocket.Send(socket, "/dev/pts/0"u8, [master]) > 0);
        _ = HostFile.Close(socket);
        io.Started();
        int reader = Open(stdout, Fcntl.O_RDONLY);
        io.Resize(120, 40);
        Assert.Equal(0, HostTerminal.GetSize(replica, out WindowSize size));
        Assert.Equal((120, 40), (size.Columns, size.Rows));
        Assert.Equal(3, HostFile.Write(replica, "hi\n"u8));
        _ = HostFile.Close(master);
        _ = HostFile.Close(replica);
        io.Drain(10_000);
        Assert.Equal("hi\r\n", ReadToEnd(reader));
        _ = HostFile.Close(reader);
    }
}
