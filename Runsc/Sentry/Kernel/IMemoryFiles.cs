using System;
using Runsc.Linux;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Kernel;

/// <summary>Makes nameless files in memory (memfd_create(2)): a file system of a higher rank.</summary>
internal interface IMemoryFiles
{
    /// <summary>An empty file, open for reading and writing; the name is for /proc only. ENOSPC, ENOMEM.</summary>
    Errno Create(ICaller caller, ReadOnlySpan<byte> name, uint mode, bool sealable, out FileDescription? file);
}
