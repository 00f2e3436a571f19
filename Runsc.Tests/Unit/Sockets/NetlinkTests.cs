using System;
using System.Collections.Generic;
using System.Linq;
using Runsc.Linux;
using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Unit.Sockets;

/// <summary>NETLINK_ROUTE: the loopback interface as the host's kernel tells of it, errors, and changes in a namespace of its own.</summary>
[Collection("sockets")]
public sealed class NetlinkTests
{
    private const int GetLink = 18, GetAddress = 22, GetRoute = 26;
    private const int Dump = 0x301;

    private static byte[] Message(int type, int flags, params byte[] body) =>
        [.. BitConverter.GetBytes(16 + body.Length), .. BitConverter.GetBytes((ushort)type), .. BitConverter.GetBytes((ushort)flags), .. BitConverter.GetBytes(7), .. BitConverter.GetBytes(0), .. body];

    private static List<(int Type, byte[] Body)> Ask(SocketScript s, int fd, byte[] request)
    {
        Assert.Equal(request.Length, s.Kernel.Call(SysNo.sendto, (ulong)fd, s.Put(request), (ulong)request.Length, 0, 0, 0));
        List<(int, byte[])> answers = [];
        bool more = true;
        while (more)
        {
            ulong buffer = s.Kernel.Allocate(32768);
            long n = s.Kernel.Call(SysNo.recvfrom, (ulong)fd, buffer, 32768, 0, 0, 0);
            Assert.True(n > 0, $"recv: {n}");
            byte[] bytes = s.Kernel.Read(buffer, (int)n);
            for (int at = 0; at + 16 <= n;)
            {
                int length = BitConverter.ToInt32(bytes, at), type = BitConverter.ToUInt16(bytes, at + 4), flags = BitConverter.ToUInt16(bytes, at + 6);
                answers.Add((type, bytes[(at + 16)..(at + length)]));
                more = (flags & 2) != 0 && type != 3;
                at += (length + 3) & ~3;
            }
        }

        return answers;
    }

    private static string Attributes(byte[] body, int start, params int[] wanted)
    {
        SortedDictionary<int, string> text = [];
        for (int at = start; at + 4 <= body.Length;)
        {
            int length = BitConverter.ToUInt16(body, at), type = BitConverter.ToUInt16(body, at + 2) & 0x3fff;
            if (wanted.Contains(type))
            {
                text[type] = Convert.ToHexString(body, at + 4, length - 4);
            }

            at += (length + 3) & ~3;
        }

        return string.Concat(text.Select(pair => $" {pair.Key}:{pair.Value}"));
    }

    [Fact]
    public void Loopback_IsToldAsByTheHost() => SocketScript.Compare(s =>
    {
        int fd = s.Socket(Socket.SOCK_RAW | Socket.SOCK_CLOEXEC, Socket.AF_NETLINK);
        byte[] address = new byte[12];
        address[0] = Socket.AF_NETLINK;
        s.Bind(fd, address);
        foreach ((int type, byte[] body) in Ask(s, fd, Message(GetLink, Dump, new byte[16])).Where(a => a.Type == 16 && BitConverter.ToInt32(a.Body, 4) == 1))
        {
            s.Say($"link {type} {Convert.ToHexString(body, 0, 12)}{Attributes(body, 16, 1, 2, 3, 4, 16)}");
        }

        foreach ((int type, byte[] body) in Ask(s, fd, Message(GetAddress, Dump, new byte[8])).Where(a => a.Type == 20 && BitConverter.ToInt32(a.Body, 4) == 1))
        {
            s.Say($"address {type} {Convert.ToHexString(body, 0, 8)}{Attributes(body, 8, 1, 2, 3, 8)}");
        }

        s.Close(fd);
    });

    [Fact]
    public void Errors_AreAnswered() => SocketScript.Compare(s =>
    {
        s.Said("unknown family", s.Socket(Socket.SOCK_RAW, Socket.AF_NETLINK, 99));
        s.Said("stream", s.Socket(Socket.SOCK_STREAM, Socket.AF_NETLINK));
        int fd = s.Socket(Socket.SOCK_RAW, Socket.AF_NETLINK);
        s.Poll(fd);
        byte[] link = new byte[16];
        BitConverter.TryWriteBytes(link.AsSpan(4), 99999);
        foreach ((int type, byte[] body) in Ask(s, fd, Message(GetLink, 5, link)))
        {
            s.Say($"{type} {BitConverter.ToInt32(body)} {body.Length}");
        }

        link[4] = 1;
        (link[5], link[6]) = (0, 0);
        s.Say(string.Join(' ', Ask(s, fd, Message(GetLink, 1, link)).Select(a => a.Type)));
        s.Close(fd);
    });

    [Fact]
    public void NewNamespace_HasALoopbackThatIsDown_AndCanBePutUp()
    {
        SentrySystemCalls kernel = new();
        SocketScript s = new(kernel);
        Assert.Equal(0, kernel.Call(SysNo.unshare, (ulong)Sched.CLONE_NEWNET));
        int fd = s.Socket(Socket.SOCK_RAW, Socket.AF_NETLINK);
        Assert.Equal(0x8u, Flags());
        byte[] up = new byte[16];
        BitConverter.TryWriteBytes(up.AsSpan(4), 1);
        (up[8], up[12]) = (1, 1);
        Assert.Equal(0, BitConverter.ToInt32(Ask(s, fd, Message(16, 5, up))[0].Body));
        Assert.Equal(0x10049u, Flags());
        Assert.Contains(Ask(s, fd, Message(GetRoute, Dump, new byte[12])), a => a.Type == 24);
        s.Close(fd);

        uint Flags() => BitConverter.ToUInt32(Ask(s, fd, Message(GetLink, Dump, new byte[16]))[0].Body, 8);
    }
}
