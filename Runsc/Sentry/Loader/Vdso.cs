using Runsc.Linux;
using Runsc.Sentry.Memory;

namespace Runsc.Sentry.Loader;

/// <summary>The virtual dynamic shared object (vdso(7)): an ELF image and a data page, mapped into every program.</summary>
internal abstract class Vdso
{
    /// <summary>Maps image and data page where the address space has room.</summary>
    public abstract Errno Map(MemoryManager memory, out ulong address);
}
