using System;
using System.IO;
using System.Text;
using Runsc.Common;
using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Shim;

/// <summary>The socket of a shim: its path is made of whom it serves, so that a pod's second container finds the first one's shim.</summary>
internal static class ShimSocket
{
    private const string Directory = "/run/containerd/s";

    /// <param name="address">containerd's socket.</param>
    /// <param name="ns">containerd's namespace.</param>
    /// <param name="group">The container, or the group to which it belongs.</param>
    public static string PathOf(string address, string ns, string group)
    {
        byte[] hash = Sha256.Hash(Encoding.UTF8.GetBytes($"{address}/{ns}/{group}"));
        return Path.Combine(Directory, Convert.ToHexStringLower(hash));
    }

    public static string AddressOf(string path) => "unix://" + path;

    /// <summary>Listens at the path; −1 when a shim serves there already. The socket of a shim that is gone is taken over.</summary>
    public static int Listen(string path)
    {
        System.IO.Directory.CreateDirectory(Path.GetDirectoryName(path)!, (UnixFileMode)0x1c9);
        for (int i = 0; i < 3; i++)
        {
            int socket = HostPacketSocket.ListenStream(path);
            if (socket >= 0)
            {
                return socket;
            }

            if (socket != -(int)Errno.EADDRINUSE)
            {
                throw new RunscException($"cannot listen on {path}: errno {-socket}");
            }

            if (IsServed(path))
            {
                return -1;
            }

            File.Delete(path);
        }

        throw new RunscException($"cannot listen on {path}: others do so, too");
    }

    public static bool IsServed(string path)
    {
        int connection = HostPacketSocket.ConnectStream(path);
        if (connection < 0)
        {
            return false;
        }

        _ = HostFile.Close(connection);
        return true;
    }
}
