using System;
using System.Collections.Generic;
using System.IO;
using System.Text;
using Runsc.Common;
using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Shim.Io;

/// <summary>Where a process's output goes.</summary>
internal static class OutputTarget
{
    /// <summary>Splits a path or URI into scheme and path; a bare path is a fifo's.</summary>
    public static (string Scheme, string Path, Uri? Uri) Parse(string text)
    {
        if (!text.Contains("://", StringComparison.Ordinal))
        {
            return ("fifo", text, null);
        }

        return Uri.TryCreate(text, UriKind.Absolute, out Uri? uri)
            ? (uri.Scheme, Uri.UnescapeDataString(uri.AbsolutePath), uri)
            : throw new RunscException($"standard output: \"{text}\" is neither a path nor a URI");
    }

    /// <summary>
    /// Opens a fifo or a file for writing. A fifo is opened for both directions, so that the opening does not wait for a reader and
    /// a reader that goes and comes back (containerd, when it is restarted) costs the container nothing but, once the fifo is full, the wait.
    /// </summary>
    public static int Open(string text)
    {
        (string scheme, string path, _) = Parse(text);
        int flags;
        switch (scheme)
        {
            case "fifo":
                flags = Fcntl.O_RDWR | Fcntl.O_NONBLOCK;
                break;
            case "file":
                Directory.CreateDirectory(Path.GetDirectoryName(path)!);
                flags = Fcntl.O_WRONLY | Fcntl.O_CREAT | Fcntl.O_APPEND;
                break;
            default:
                throw new RunscException($"standard output: unknown scheme \"{scheme}\"");
        }

        int fd = HostFile.OpenAt(Fcntl.AT_FDCWD, Name(path), flags | Fcntl.O_CLOEXEC, 0x1a4);
        return fd >= 0 ? fd : throw new RunscException($"cannot open {path}: errno {-fd}");
    }

    /// <summary>Arguments of a logging program (binary:///PATH?KEY=VALUE&amp;…): each key and its value.</summary>
    public static List<string> LoggerArguments(Uri uri)
    {
        List<string> arguments = [];
        foreach (string pair in uri.Query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            int equals = pair.IndexOf('=', StringComparison.Ordinal);
            arguments.Add(Unescape(equals < 0 ? pair : pair[..equals]));
            if (equals >= 0 && equals + 1 < pair.Length)
            {
                arguments.Add(Unescape(pair[(equals + 1)..]));
            }
        }

        return arguments;
    }

    public static byte[] Name(string path) => [.. Encoding.UTF8.GetBytes(path), 0];

    private static string Unescape(string text) => Uri.UnescapeDataString(text.Replace('+', ' '));
}
