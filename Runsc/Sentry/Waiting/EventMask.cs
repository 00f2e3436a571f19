using System;

namespace Runsc.Sentry.Waiting;

/// <summary>Readiness of a file, with the values of poll(2).</summary>
[Flags]
internal enum EventMask : uint
{
    None = 0,
    In = 0x001,
    Pri = 0x002,
    Out = 0x004,
    Err = 0x008,
    Hup = 0x010,
    Nval = 0x020,
    ReadNormal = 0x040,
    ReadBand = 0x080,
    WriteNormal = 0x100,
    WriteBand = 0x200,
    ReadHup = 0x2000,

    Readable = In | ReadNormal,
    Writable = Out | WriteNormal,

    /// <summary>Always reported, asked for or not.</summary>
    Unmaskable = Err | Hup | Nval,

    /// <summary>Not of poll(2): something that is no file became ready (a child's end, a timer, a lock).</summary>
    Internal = 0x8000_0000,

    All = 0xffff_ffff,
}
