using System;
using System.Collections.Generic;
using System.Threading;
using Runsc.Common;
using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Gofer;

/// <summary>A tree, or a single file, that the gofer serves over one socket.</summary>
/// <param name="Socket">This end of a SOCK_SEQPACKET pair. The server closes it.</param>
/// <param name="Root">An O_PATH descriptor of the attach point. The server closes it.</param>
/// <param name="IsReadOnly">Nothing may be changed through this connection: EROFS.</param>
/// <param name="Ids">What owners look like and are written as; null: as they are.</param>
internal readonly record struct GoferExport(int Socket, int Root, bool IsReadOnly, OwnerMap? Ids = null);

/// <summary>The only process that opens files of the container. It trusts nothing that comes over its sockets, and never follows a symbolic link.</summary>
internal static class GoferServer
{
    /// <summary>
    /// /proc/self/fd, by which an O_PATH descriptor is opened for I/O. To be called before /proc is out of reach; belongs to the calling process.
    /// −errno when it fails.
    /// </summary>
    public static int OpenDescriptorDirectory() => HostFile.OpenAt(Fcntl.AT_FDCWD, "/proc/self/fd\0"u8, Fcntl.O_PATH | Fcntl.O_DIRECTORY);

    /// <summary>Serves every export until its peer has closed, one thread each, the first on the caller's.</summary>
    public static void Run(ReadOnlySpan<GoferExport> exports, int descriptorDirectory)
    {
        HostLimits.RaiseOpenFiles(0);
        List<Thread> threads = [];
        for (int i = 1; i < exports.Length; i++)
        {
            GoferExport export = exports[i];
            Thread thread = new(() => Serve(export, descriptorDirectory), 256 << 10) { Name = "gofer", IsBackground = true };
            thread.Start();
            threads.Add(thread);
        }

        if (exports.Length > 0)
        {
            Serve(exports[0], descriptorDirectory);
        }

        foreach (Thread thread in threads)
        {
            thread.Join();
        }
    }

    private static void Serve(in GoferExport export, int descriptorDirectory)
    {
        using GoferConnection connection = new(export, descriptorDirectory);
        try
        {
            connection.Serve();
        }
        catch (Exception error)
        {
            // A bug of ours that this peer has found: the others go on.
            Log.Error($"gofer connection failed: {error}");
        }
    }
}
