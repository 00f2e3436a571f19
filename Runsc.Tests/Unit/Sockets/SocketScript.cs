using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;
using Runsc.Linux;
using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Unit.Sockets;

/// <summary>Socket calls in short form, on either kernel; each says what came of it, so that two transcripts can be compared.</summary>
internal sealed class SocketScript(ISystemCalls kernel)
{
    private readonly StringBuilder _log = new();

    public ISystemCalls Kernel { get; } = kernel;

    public string Log => _log.ToString();

    /// <summary>Runs a scenario on the host's kernel and on ours and compares what they said.</summary>
    public static void Compare(Action<SocketScript> scenario)
    {
        using HostSystemCalls host = new();
        SocketScript native = new(host), ours = new(new SentrySystemCalls());

        // SIGPIPE, which the host's runtime ignores.
        ulong action = ours.Kernel.Allocate(32);
        ours.Kernel.Write(action, BitConverter.GetBytes(1L));
        Assert.Equal(0, ours.Kernel.Call(SysNo.rt_sigaction, Signal.SIGPIPE, action, 0, 8));
        RunApart(native, scenario);
        scenario(ours);
        Assert.NotEqual("", native.Log);
        Assert.True(native.Log == ours.Log, Difference(native.Log, ours.Log));
    }

    // On the host, with a descriptor table of its own: tests that run at the same time open and close descriptors too.
    private static void RunApart(SocketScript native, Action<SocketScript> scenario)
    {
        Exception? failure = null;
        Thread thread = new(() =>
        {
            try
            {
                Assert.Equal(0, native.Kernel.Call(SysNo.unshare, (ulong)Sched.CLONE_FILES));
                scenario(native);
            }
            catch (Exception error) when (error is not OutOfMemoryException)
            {
                failure = error;
            }
        });
        thread.Start();
        thread.Join();
        if (failure is not null)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
        }
    }

    private static string Difference(string host, string ours)
    {
        string[] left = host.Split('\n'), right = ours.Split('\n');
        StringBuilder text = new("host | ours\n");
        for (int i = 0; i < Math.Max(left.Length, right.Length); i++)
        {
            string a = i < left.Length ? left[i] : "(nothing)", b = i < right.Length ? right[i] : "(nothing)";
            text.Append(a == b ? $"  {i} {a}\n" : $"! {i} {a} | {b}\n");
        }

        return text.ToString();
    }

    public void Say(string text) => _log.Append(text).Append('\n');

    public long Said(string what, long result)
    {
        Say($"{what} = {Result(result)}");
        return result;
    }

    public static string Result(long result) => result is < 0 and > -4096 ? ((Errno)(-result)).ToString() : result.ToString(CultureInfo.InvariantCulture);

    public SocketScript NewThread() => new(Kernel.NewThread());

    /// <summary>Joins what another thread's script said.</summary>
    public void Append(SocketScript other) => _log.Append(other._log);

    public int Socket(int type, int family = Linux.Socket.AF_UNIX, int protocol = 0) =>
        (int)Kernel.Call(SysNo.socket, Word(family), Word(type), Word(protocol));

    // A C int in a register.
    private static ulong Word(int value) => unchecked((ulong)value);

    public (int A, int B) Pair(int type)
    {
        ulong pair = Kernel.Allocate(8);
        Assert.Equal(0, Kernel.Call(SysNo.socketpair, Linux.Socket.AF_UNIX, (ulong)type, 0, pair));
        byte[] bytes = Kernel.Read(pair, 8);
        return (BitConverter.ToInt32(bytes), BitConverter.ToInt32(bytes, 4));
    }

    public void Close(params ReadOnlySpan<int> fds)
    {
        foreach (int fd in fds)
        {
            Assert.Equal(0, Kernel.Call(SysNo.close, Word(fd)));
        }
    }

    public ulong Put(ReadOnlySpan<byte> bytes)
    {
        ulong address = Kernel.Allocate(bytes.Length);
        Kernel.Write(address, bytes);
        return address;
    }

    public ulong Put<T>(T value)
        where T : unmanaged => Put(MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)));

    public int GetInt(ulong address) => BitConverter.ToInt32(Kernel.Read(address, 4));

    /// <summary>A path under the scenario's directory.</summary>
    public byte[] Path(string name)
    {
        byte[] path = Encoding.UTF8.GetBytes($"{Kernel.Directory}/{name}");
        byte[] address = new byte[2 + path.Length + 1];
        address[0] = Linux.Socket.AF_UNIX;
        path.CopyTo(address, 2);
        return address;
    }

    /// <summary>An abstract name of the test's own.</summary>
    public byte[] Abstract(string name)
    {
        byte[] bytes = Encoding.UTF8.GetBytes($"runsc-test-{Environment.ProcessId}-{name}");
        byte[] address = new byte[3 + bytes.Length];
        address[0] = Linux.Socket.AF_UNIX;
        bytes.CopyTo(address, 3);
        return address;
    }

    public long Bind(int fd, byte[] address) => Said("bind", Kernel.Call(SysNo.bind, Word(fd), Put(address), (ulong)address.Length));

    public long Connect(int fd, byte[] address) => Said("connect", Kernel.Call(SysNo.connect, Word(fd), Put(address), (ulong)address.Length));

    public long Listen(int fd, int backlog) => Said("listen", Kernel.Call(SysNo.listen, Word(fd), Word(backlog)));

    /// <summary>The new descriptor; the transcript shows whether there is one.</summary>
    public int Accept(int fd, int flags = 0)
    {
        long result = Kernel.Call(SysNo.accept4, Word(fd), 0, 0, Word(flags));
        Said("accept", Math.Min(result, 0));
        return (int)result;
    }

    public long Send(int fd, string text, int flags = 0, byte[]? to = null)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(text);
        return Said(
            $"send({bytes.Length}, {flags:x})",
            Kernel.Call(SysNo.sendto, Word(fd), Put(bytes), (ulong)bytes.Length, Word(flags) | Linux.Socket.MSG_NOSIGNAL, to is null ? 0 : Put(to), (ulong)(to?.Length ?? 0)));
    }

    public string Receive(int fd, int length, int flags = 0)
    {
        ulong buffer = Kernel.Allocate(length);
        long n = Kernel.Call(SysNo.recvfrom, Word(fd), buffer, (ulong)length, Word(flags), 0, 0);
        string text = n > 0 ? Encoding.Latin1.GetString(Kernel.Read(buffer, (int)Math.Min(n, length))) : "";
        Said($"recv({length}, {flags:x}) \"{(text.Length > 64 ? text[..64] + "…" : text)}\"", n);
        return text;
    }

    public void Name(int fd, bool peer = false, int room = 128)
    {
        ulong address = Kernel.Allocate(128), length = Put(room);
        long result = Kernel.Call(peer ? SysNo.getpeername : SysNo.getsockname, Word(fd), address, length);
        int full = GetInt(length);
        Said(peer ? "getpeername" : "getsockname", result);
        if (result == 0)
        {
            byte[] name = Kernel.Read(address, Math.Min(full, room));
            bool isPath = name.Length > 2 && name[2] != 0;
            Say(isPath && room < 128 ? "cut path" : Describe(name) + $" [{full - (isPath ? Kernel.Directory.Length : 0)}]");
        }
    }

    private string Describe(byte[] address)
    {
        if (address.Length <= 2)
        {
            return $"family {(address.Length == 2 ? address[0] : 0)}";
        }

        string name = Encoding.Latin1.GetString(address, 2, address.Length - 2).Replace('\0', '@');
        return name.Replace(Kernel.Directory.Length == 0 ? "\n" : Kernel.Directory, "").Replace(Environment.ProcessId.ToString(CultureInfo.InvariantCulture), "PID");
    }

    public long Shutdown(int fd, int how) => Said("shutdown", Kernel.Call(SysNo.shutdown, Word(fd), Word(how)));

    public long SetOption(int fd, int name, int value, int level = Linux.Socket.SOL_SOCKET) =>
        Said($"setsockopt({level}, {name}, {value})", Kernel.Call(SysNo.setsockopt, Word(fd), Word(level), Word(name), Put(value), 4));

    public int Option(int fd, int name, int level = Linux.Socket.SOL_SOCKET)
    {
        ulong value = Kernel.Allocate(4), length = Put(4);
        long result = Kernel.Call(SysNo.getsockopt, Word(fd), Word(level), Word(name), value, length);
        int got = GetInt(value);
        Said($"getsockopt({level}, {name}) {(result == 0 ? got : 0)} [{GetInt(length)}]", result);
        return got;
    }

    public short Poll(int fd, int events = 0x3fff)
    {
        Span<byte> item = stackalloc byte[8];
        MemoryMarshal.Write(item, fd);
        MemoryMarshal.Write(item[4..], (short)events);
        ulong address = Put(item);
        long result = Kernel.Call(SysNo.poll, address, 1, 0);
        short returned = BitConverter.ToInt16(Kernel.Read(address + 6, 2));
        Said($"poll {returned:x}", result);
        return returned;
    }

    public int Ioctl(int fd, ulong command)
    {
        ulong value = Put(0);
        long result = Kernel.Call(SysNo.ioctl, Word(fd), command, value);
        Said($"ioctl {command:x} {GetInt(value)}", result);
        return GetInt(value);
    }

    /// <summary>A control message.</summary>
    public static byte[] Control(int level, int type, ReadOnlySpan<byte> data)
    {
        byte[] bytes = new byte[16 + ((data.Length + 7) & ~7)];
        MemoryMarshal.Write(bytes, 16L + data.Length);
        MemoryMarshal.Write(bytes.AsSpan(8), level);
        MemoryMarshal.Write(bytes.AsSpan(12), type);
        data.CopyTo(bytes.AsSpan(16));
        return bytes;
    }

    public static byte[] Rights(params ReadOnlySpan<int> fds) => Control(Linux.Socket.SOL_SOCKET, Linux.Socket.SCM_RIGHTS, MemoryMarshal.AsBytes(fds));

    public long SendMessage(int fd, string text, byte[]? control = null, int flags = 0, byte[]? to = null)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(text);
        ulong header = Header(Put(bytes), bytes.Length, control is null ? 0 : Put(control), control?.Length ?? 0, to is null ? 0 : Put(to), to?.Length ?? 0);
        return Said($"sendmsg({bytes.Length}, control {control?.Length ?? 0})", Kernel.Call(SysNo.sendmsg, Word(fd), header, Word(flags) | Linux.Socket.MSG_NOSIGNAL));
    }

    private ulong Header(ulong data, int length, ulong control, int controlLength, ulong name, int nameLength)
    {
        byte[] header = new byte[56];
        ulong vector = Put([.. BitConverter.GetBytes(data), .. BitConverter.GetBytes((long)length)]);
        MemoryMarshal.Write(header, name);
        MemoryMarshal.Write(header.AsSpan(8), nameLength);
        MemoryMarshal.Write(header.AsSpan(16), vector);
        MemoryMarshal.Write(header.AsSpan(24), 1L);
        MemoryMarshal.Write(header.AsSpan(32), control);
        MemoryMarshal.Write(header.AsSpan(40), (long)controlLength);
        return Put(header);
    }

    /// <summary>Receives with control messages; descriptors are counted in the transcript and returned.</summary>
    public List<int> ReceiveMessage(int fd, int length, int room = 512, int flags = 0)
    {
        ulong data = Kernel.Allocate(length), control = Kernel.Allocate(Math.Max(room, 1)), name = Kernel.Allocate(128);
        ulong header = Header(data, length, room > 0 ? control : 0, room, name, 128);
        long n = Kernel.Call(SysNo.recvmsg, Word(fd), header, Word(flags));
        List<int> fds = [];
        if (n < 0)
        {
            Said($"recvmsg({length}, {flags:x})", n);
            return fds;
        }

        byte[] result = Kernel.Read(header, 56);
        int nameLength = BitConverter.ToInt32(result, 8), controlLength = (int)BitConverter.ToInt64(result, 40), resultFlags = BitConverter.ToInt32(result, 48);
        Said($"recvmsg({length}, {flags:x}) \"{Encoding.Latin1.GetString(Kernel.Read(data, (int)Math.Min(n, length)))}\" name {Describe(Kernel.Read(name, nameLength))} control {controlLength} flags {resultFlags:x}", n);
        ReadOnlySpan<byte> rest = Kernel.Read(control, controlLength);
        while (rest.Length >= 16)
        {
            int size = (int)BitConverter.ToInt64(rest), type = BitConverter.ToInt32(rest[12..]);
            ReadOnlySpan<int> words = MemoryMarshal.Cast<byte, int>(rest[16..Math.Min(size, rest.Length)]);
            if (type == Linux.Socket.SCM_RIGHTS)
            {
                fds.AddRange(words.ToArray());
                Say($"  SCM_RIGHTS {words.Length}");
            }
            else if (type == Linux.Socket.SCM_CREDENTIALS)
            {
                Say($"  SCM_CREDENTIALS {string.Join(' ', words.ToArray().Select(word => word == Kernel.ProcessId ? "me" : word.ToString(CultureInfo.InvariantCulture)))}");
            }
            else
            {
                Say($"  control {BitConverter.ToInt32(rest[8..])} {type} {size}");
            }

            rest = rest[Math.Min((size + 7) & ~7, rest.Length)..];
        }

        return fds;
    }

    /// <summary>Runs a blocking piece on another thread, waits a little for it to block, goes on, and joins.</summary>
    public void Meanwhile(Action<SocketScript> blocking, Action<SocketScript> then)
    {
        SocketScript other = NewThread();
        Thread thread = new(() => blocking(other));
        thread.Start();
        Thread.Sleep(30);
        then(this);
        Assert.True(thread.Join(20_000), "the other thread is still blocked");
        Append(other);
    }
}
