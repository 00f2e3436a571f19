using System;
using System.Collections.Generic;
using System.Threading;

namespace Runsc.Sentry.FileSystems.Gofer;

/// <summary>Names of a directory that the gofer was asked about a short time ago, whether they were there or not: they are not asked about again.</summary>
internal sealed class SeenNames
{
    private const int Limit = 256;

    private readonly Lock _mu = new();

    // Guarded by _mu. By a hash of the name: when to ask again, in milliseconds. Names with the same hash only make each other's time longer.
    private readonly Dictionary<ulong, long> _until = [];

    public bool IsRecent(ReadOnlySpan<byte> name)
    {
        lock (_mu)
        {
            return _until.TryGetValue(Hash(name), out long until) && Environment.TickCount64 < until;
        }
    }

    /// <param name="name">The name.</param>
    /// <param name="time">How long it is good, in milliseconds.</param>
    public void Add(ReadOnlySpan<byte> name, long time)
    {
        lock (_mu)
        {
            if (_until.Count == Limit)
            {
                _until.Clear();
            }

            _until[Hash(name)] = Environment.TickCount64 + time;
        }
    }

    /// <summary>FNV-1a.</summary>
    private static ulong Hash(ReadOnlySpan<byte> name)
    {
        ulong hash = 0xcbf29ce484222325;
        foreach (byte one in name)
        {
            hash = unchecked((hash ^ one) * 0x100000001b3);
        }

        return hash;
    }
}
