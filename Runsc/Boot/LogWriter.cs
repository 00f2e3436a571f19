using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;
using System.Threading;
using Runsc.Common;
using Runsc.Host.Syscalls;

namespace Runsc.Boot;

/// <summary>Writes log lines to a descriptor.</summary>
internal static class LogWriter
{
    private static readonly Lock s_mu = new();

    // Guarded by s_mu.
    private static int s_fd = -1;

    public static void Configure(int fd, LogLevel level)
    {
        s_fd = fd;
        SetLevel(level);
    }

    public static void SetLevel(LogLevel level) => Log.Configure(level, s_fd < 0 ? null : (lineLevel, text) => Write(lineLevel.ToString().ToLowerInvariant(), text));

    /// <summary>A sandbox that has no log gets one from a request: its first descriptor, which is copied.</summary>
    public static void Open(List<int> descriptors)
    {
        lock (s_mu)
        {
            if (s_fd < 0 && descriptors.Count > 0)
            {
                s_fd = HostFile.Duplicate(descriptors[0]);
            }
        }
    }

    public static void Write(string kind, string text)
    {
        byte[] line = Encoding.UTF8.GetBytes(
            string.Create(CultureInfo.InvariantCulture, $"{DateTime.UtcNow:HH:mm:ss.ffffff} {kind,-7} {text}\n"));
        lock (s_mu)
        {
            if (s_fd >= 0)
            {
                _ = HostFile.Write(s_fd, line);
            }
        }
    }
}
