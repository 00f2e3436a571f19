using System;
using Runsc.Linux;

namespace Runsc.Sentry.FileSystems.DevPts;

/// <summary>
/// What is to be echoed: it waits while output is stopped or has no room, and is processed by the modes of the moment when it goes out. What does not fit
/// is lost. Not thread-safe.
/// </summary>
internal sealed class EchoQueue(OutputProcessor output)
{
    private const int Capacity = 4096;

    // An entry: what it is in the upper half, its byte or number in the lower.
    private const uint Plain = 0 << 16, Control = 1 << 16, Tab = 2 << 16, TabAfterTab = 3 << 16, Mark = 4 << 16, Back = 5 << 16, KindMask = 0xffff_0000;

    private uint[]? _entries;
    private int _first;
    private int _count;

    public bool IsEmpty => _count == 0;

    public void Clear() => _first = _count = 0;

    private void Add(uint entry)
    {
        if (_count < Capacity)
        {
            _entries ??= new uint[Capacity];
            _entries[(_first + _count) % Capacity] = entry;
            _count++;
        }
    }

    /// <summary>A byte as it is, but for output processing.</summary>
    public void Raw(byte c) => Add(Plain | c);

    /// <summary>A character of the input: control characters as ^X with ECHOCTL.</summary>
    public void Character(in TerminalModes modes, byte c) =>
        Add((modes.HasLocal(Ioctls.ECHOCTL) && TerminalModes.IsControl(c) && c != (byte)'\t' ? Control : Plain) | c);

    /// <summary>Wipes out the character before the cursor.</summary>
    public void Rubout()
    {
        Raw((byte)'\b');
        Raw((byte)' ');
        Raw((byte)'\b');
    }

    /// <summary>Goes back over a tab: <paramref name="width"/> columns lie between it and the tab before, or the beginning of the line.</summary>
    public void EraseTab(uint width, bool afterTab) => Add((afterTab ? TabAfterTab : Tab) | (width & 7));

    /// <summary>The input line begins at the column of this moment.</summary>
    public void MarkLine() => Add(Mark);

    /// <summary>The cursor does not move although a byte was echoed (the rest of a multi-byte character in ECHOPRT).</summary>
    public void StepBack() => Add(Back);

    /// <summary>Sends what there is room for: true when anything went out.</summary>
    public bool Flush(in TerminalModes modes, ByteRing target)
    {
        Span<byte> bytes = stackalloc byte[OutputProcessor.MaxExpansion];
        bool sent = false;
        while (_count > 0 && target.Free >= OutputProcessor.MaxExpansion)
        {
            uint entry = _entries![_first];
            _first = (_first + 1) % Capacity;
            _count--;
            int n = Process(modes, entry & KindMask, (byte)(entry & 0xff), bytes);
            sent |= target.Write(bytes[..n]) > 0;
        }

        return sent;
    }

    private int Process(in TerminalModes modes, uint kind, byte value, Span<byte> bytes)
    {
        switch (kind)
        {
            case Control:
                output.Advance(2);
                bytes[0] = (byte)'^';
                bytes[1] = (byte)(value ^ 0x40);
                return 2;
            case Tab or TabAfterTab:
                uint columns = kind == Tab ? value + output.LineColumn : value;
                int back = 8 - (int)(columns & 7);
                for (int i = 0; i < back; i++)
                {
                    bytes[i] = (byte)'\b';
                    output.StepBack();
                }

                return back;
            case Mark:
                output.MarkLine();
                return 0;
            case Back:
                output.StepBack();
                return 0;
            case Plain when value == 0xff:
                // The echo of this byte is never processed: it is the escape character of Linux's own echo buffer.
                output.Advance(1);
                bytes[0] = value;
                return 1;
            case Plain when modes.HasOutput(Ioctls.OPOST):
                return output.Process(modes, value, bytes);
            default:
                bytes[0] = value;
                return 1;
        }
    }
}
