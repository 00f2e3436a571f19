using System;
using System.Globalization;
using System.Text;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Tasks;

namespace Runsc.Sentry.Syscalls;

/// <summary>Writes decoded system calls in the manner of strace(1): one line for each call when it ends, with its duration.</summary>
internal sealed class Strace(Action<string> write, string[]? only) : SyscallTable.ITrace
{
    private const int MaxText = 96;

    private sealed record Call(string[] Before, long Start);

    public object? Enter(Task task, SyscallTable table, in SyscallArguments arguments)
    {
        string name = table.NameOf(arguments.Number);
        if (only is { Length: > 0 } && Array.IndexOf(only, name) < 0)
        {
            return null;
        }

        string[] kinds = KindsOf(table, arguments.Number);
        string[] before = new string[kinds.Length];
        for (int i = 0; i < kinds.Length; i++)
        {
            // A path may be changed, or unmapped, before the call is over; results are looked at afterwards.
            before[i] = kinds[i] is "outbuf" or "outsockaddr" or "outmsghdr" ? "" : StraceFormat.Argument(task, kinds[i], arguments, i);
        }

        if (arguments.Number is SysNo.execve or SysNo.execveat or SysNo.exit or SysNo.exit_group or SysNo.rt_sigreturn)
        {
            // Perhaps there will be no task to speak of afterwards.
            write($"[{task.ThreadId,5}:{task.Name}] {name}({string.Join(", ", before)})");
        }

        return new Call(before, task.Kernel.Clock.Monotonic);
    }

    public void Leave(Task task, SyscallTable table, in SyscallArguments arguments, object? state, long result)
    {
        if (state is not Call call)
        {
            return;
        }

        string[] kinds = KindsOf(table, arguments.Number);
        for (int i = 0; i < kinds.Length; i++)
        {
            if (kinds[i] is "outsockaddr" or "outmsghdr")
            {
                call.Before[i] = result >= 0 ? StraceFormat.Argument(task, kinds[i], arguments, i) : StraceFormat.Hex(ArgumentAt(arguments, i));
            }
            else if (kinds[i] == "outbuf")
            {
                call.Before[i] = result >= 0 ? StraceFormat.Text(task, ArgumentAt(arguments, i), (ulong)result) : StraceFormat.Hex(ArgumentAt(arguments, i));
            }
        }

        double seconds = (task.Kernel.Clock.Monotonic - call.Start) / 1e9;
        write(string.Create(
            CultureInfo.InvariantCulture,
            $"[{task.ThreadId,5}:{task.Name}] {table.NameOf(arguments.Number)}({string.Join(", ", call.Before)}) = {StraceFormat.Result(table, arguments.Number, result)} <{seconds:F6}>"));
    }

    private static string[] KindsOf(SyscallTable table, int number)
    {
        string format = table.FormatOf(number);
        return format.Length == 0 ? [] : format.Split(',');
    }

    internal static ulong ArgumentAt(in SyscallArguments a, int index) => index switch
    {
        0 => a.A0,
        1 => a.A1,
        2 => a.A2,
        3 => a.A3,
        4 => a.A4,
        _ => a.A5,
    };

    internal static string Shorten(StringBuilder text, bool cut) => text.Append(cut ? "\"..." : "\"").ToString();

    internal const int TextLimit = MaxText;
}
