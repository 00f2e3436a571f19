using System.Runtime.InteropServices;
using Runsc.Host.Syscalls;

namespace Runsc.Sentry.FileSystems.DevPts;

/// <summary>struct termios2 (asm-generic/termbits.h): modes and speeds as numbers.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct Termios2(in TerminalAttributes attributes)
{
    public const int SizeInBytes = 44;

    // A pseudo-terminal has no speed: what B38400 means.
    private const uint UsualSpeed = 38400;

    public TerminalAttributes Attributes = attributes;
    public uint InputSpeed = UsualSpeed;
    public uint OutputSpeed = UsualSpeed;
}

/// <summary>struct termio (asm-generic/termios.h): the modes of System V, 16 bits each and 8 characters.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct Termio
{
    public const int SizeInBytes = 18;
    private const int CharacterCount = 8;

    public ushort Input;
    public ushort Output;
    public ushort Control;
    public ushort Local;
    public byte Line;
    public fixed byte Characters[CharacterCount];
    public byte Padding;

    public Termio(TerminalAttributes attributes)
    {
        Input = unchecked((ushort)attributes.Input);
        Output = unchecked((ushort)attributes.Output);
        Control = unchecked((ushort)attributes.Control);
        Local = unchecked((ushort)attributes.Local);
        Line = attributes.Line;
        for (int i = 0; i < CharacterCount; i++)
        {
            Characters[i] = attributes.Characters[i];
        }
    }

    /// <summary>The upper halves and the other characters stay.</summary>
    public readonly TerminalAttributes ApplyTo(TerminalAttributes attributes)
    {
        const uint upper = 0xffff0000;
        attributes.Input = (attributes.Input & upper) | Input;
        attributes.Output = (attributes.Output & upper) | Output;
        attributes.Control = (attributes.Control & upper) | Control;
        attributes.Local = (attributes.Local & upper) | Local;
        attributes.Line = Line;
        for (int i = 0; i < CharacterCount; i++)
        {
            attributes.Characters[i] = Characters[i];
        }

        return attributes;
    }
}
