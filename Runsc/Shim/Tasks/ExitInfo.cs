using System;

namespace Runsc.Shim.Tasks;

/// <summary>How and when a process has ended; the status as a shell tells it.</summary>
internal sealed record ExitInfo(uint Status, DateTime Time)
{
    /// <summary>Of a status of wait4(2).</summary>
    public static ExitInfo FromWait(int status)
    {
        int signal = status & 0x7f;
        return new ExitInfo(signal != 0 ? (uint)(128 + signal) : (uint)(status >> 8) & 0xff, DateTime.UtcNow);
    }
}
