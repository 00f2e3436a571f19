using System;

namespace Runsc.Platform;

/// <summary>Rights on guest memory, and the kind of an access that faulted. Values are those of PROT_READ, PROT_WRITE, PROT_EXEC.</summary>
[Flags]
internal enum AccessType : byte
{
    None = 0,
    Read = 1,
    Write = 2,
    Execute = 4,
}
