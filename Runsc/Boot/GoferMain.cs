using System;
using System.Collections.Generic;
using System.Text;
using Runsc.Boot.Filters;
using Runsc.Common;
using Runsc.Control;
using Runsc.Gofer;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Oci;

namespace Runsc.Boot;

/// <summary>The gofer's second stage (`runsc gofer`).</summary>
internal static class GoferMain
{
    public static int Run(int infoFd)
    {
        StartInfo info = Stage.ReadInfo(infoFd);
        HostFile.Close(infoFd);
        HostFile.Close(info.ProgramFd);
        HostMemory.LimitArenas(2);
        List<GoferExport> exports = [];
        foreach (TreeInfo tree in info.Trees)
        {
            OwnerMap? ids = tree.UserIds.Count > 0 ? new OwnerMap(Ranges(tree.UserIds), Ranges(tree.GroupIds), tree.MapsBelow) : null;
            exports.Add(new GoferExport(tree.Socket, tree.RootFd, tree.ReadOnly, ids));
        }

        try
        {
            FilterInstaller.Install(GoferFilter.Create());
        }
        catch (RunscException error)
        {
            Handshake.Fail(info.ReadyFd, error.Message);
            return 128;
        }

        if (!Handshake.Begin(info.ReadyFd))
        {
            return 1;
        }

        GoferServer.Run(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(exports), info.DescriptorsFd);
        return 0;
    }

    private static List<IdRange> Ranges(List<IdMappingSpec> map) => map.ConvertAll(range => new IdRange(range.ContainerID, range.HostID, range.Size));
}

/// <summary>How a process of a sandbox comes to life: it says that it is ready, and ends unless it is told to go on.</summary>
internal static class Handshake
{
    public static bool Begin(int socket)
    {
        Span<byte> buffer = stackalloc byte[1];
        buffer[0] = 0;
        if (HostPacketSocket.Send(socket, buffer) < 0)
        {
            return false;
        }

        long n;
        do
        {
            n = HostFile.Read(socket, buffer);
        }
        while (n == -(long)Errno.EINTR);
        HostFile.Close(socket);
        return n > 0;
    }

    public static void Fail(int socket, string message) => _ = HostPacketSocket.Send(socket, Encoding.UTF8.GetBytes(message.ReplaceLineEndings(" ")));
}
