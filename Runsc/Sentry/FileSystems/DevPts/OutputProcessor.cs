using System;
using Runsc.Linux;

namespace Runsc.Sentry.FileSystems.DevPts;

/// <summary>Output processing (termios(3), c_oflag), and the column where the cursor stands by it. Not thread-safe.</summary>
internal sealed class OutputProcessor
{
    /// <summary>No byte becomes more than this many: a tab.</summary>
    public const int MaxExpansion = 8;

    private uint _column;

    /// <summary>The column where the present input line began: erasing a tab needs it.</summary>
    public uint LineColumn { get; private set; }

    public void MarkLine() => LineColumn = _column;

    /// <summary>Control characters echoed as ^X take columns without being processed.</summary>
    public void Advance(uint columns) => _column += columns;

    public void StepBack()
    {
        if (_column > 0)
        {
            _column--;
        }
    }

    /// <summary>What is sent for one byte: the number of bytes in <paramref name="result"/>, which has room for <see cref="MaxExpansion"/>.</summary>
    public int Process(in TerminalModes modes, byte c, Span<byte> result)
    {
        switch (c)
        {
            case (byte)'\n':
                if (modes.HasOutput(Ioctls.ONLRET))
                {
                    _column = 0;
                }

                if (modes.HasOutput(Ioctls.ONLCR))
                {
                    _column = LineColumn = 0;
                    result[0] = (byte)'\r';
                    result[1] = c;
                    return 2;
                }

                LineColumn = _column;
                break;
            case (byte)'\r':
                if (modes.HasOutput(Ioctls.ONOCR) && _column == 0)
                {
                    return 0;
                }

                if (modes.HasOutput(Ioctls.OCRNL))
                {
                    c = (byte)'\n';
                    if (modes.HasOutput(Ioctls.ONLRET))
                    {
                        _column = LineColumn = 0;
                    }

                    break;
                }

                _column = LineColumn = 0;
                break;
            case (byte)'\t':
                int spaces = 8 - (int)(_column & 7);
                _column += (uint)spaces;
                if ((modes.Attributes.Output & Ioctls.TABDLY) == Ioctls.XTABS)
                {
                    result[..spaces].Fill((byte)' ');
                    return spaces;
                }

                break;
            case (byte)'\b':
                StepBack();
                break;
            default:
                if (!TerminalModes.IsControl(c))
                {
                    if (modes.HasOutput(Ioctls.OLCUC))
                    {
                        c = TerminalModes.ToUpper(c);
                    }

                    if (!modes.IsContinuation(c))
                    {
                        _column++;
                    }
                }

                break;
        }

        result[0] = c;
        return 1;
    }
}
