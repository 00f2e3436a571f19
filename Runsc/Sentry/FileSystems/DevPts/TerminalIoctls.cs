using System;
using System.Runtime.InteropServices;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.DevPts;

/// <summary>ioctl_tty(2) for both ends of a pseudo-terminal. Modes, size and session asked for at the master are those of the slave.</summary>
internal static class TerminalIoctls
{
    public static long Slave(PtySlaveDescription file, ICaller caller, uint command, ulong argument)
    {
        Pty pty = file.Pty;
        if (file.IsHungUp)
        {
            return command == Ioctls.TIOCSPGRP ? -(long)Errno.ENOTTY : -(long)Errno.EIO;
        }

        switch (command)
        {
            case Ioctls.TCSBRK or Ioctls.TCSBRKP or Ioctls.TIOCSBRK or Ioctls.TIOCCBRK:
                // Output is at the master at once, so there is nothing to wait for; and the line knows no break.
                return -(long)CheckJob(pty, caller);
            case Ioctls.TCXONC:
                return Flow(pty, caller, argument);
            case Ioctls.TCFLSH:
                Errno error = CheckJob(pty, caller);
                if (error != Errno.None || argument > Ioctls.TCIOFLUSH)
                {
                    return error != Errno.None ? -(long)error : -(long)Errno.EINVAL;
                }

                pty.FlushSlave(argument != Ioctls.TCOFLUSH, argument != Ioctls.TCIFLUSH);
                return 0;
            case Ioctls.TIOCSCTTY:
                return caller is Task task ? -(long)pty.SetControlling(task, argument == 1, file.IsReadable) : -(long)Errno.EPERM;
            case Ioctls.TIOCNOTTY:
                return caller is Task leaving ? -(long)pty.GiveUp(leaving) : -(long)Errno.ENOTTY;
            case Ioctls.TIOCSTI:
                return Simulate(pty, caller, argument);
            case Ioctls.TIOCVHANGUP:
                if (!caller.Credentials.HasCapability(Capability.CAP_SYS_ADMIN))
                {
                    return -(long)Errno.EPERM;
                }

                pty.HangUp();
                return 0;
            default:
                return Common(pty, file, caller, command, argument, asMaster: false);
        }
    }

    public static long Master(PtyMasterDescription file, ICaller caller, uint command, ulong argument)
    {
        Pty pty = file.Pty;
        switch ((ulong)command)
        {
            case Ioctls.TIOCSPTLCK:
                if (!TryRead(caller, argument, out int isLocked))
                {
                    return -(long)Errno.EFAULT;
                }

                pty.IsLocked = isLocked != 0;
                return 0;
            case Ioctls.TIOCGPTLCK:
                return Write(caller, argument, pty.IsLocked ? 1 : 0);
            case Ioctls.TIOCGPTN:
                return Write(caller, argument, pty.Index);
            case Ioctls.TIOCGPTPEER:
                return OpenPeer(file, caller, unchecked((int)argument));
            case Ioctls.TIOCPKT:
                if (!TryRead(caller, argument, out int packets))
                {
                    return -(long)Errno.EFAULT;
                }

                pty.IsPacketMode = packets != 0;
                return 0;
            case Ioctls.TIOCGPKT:
                return Write(caller, argument, pty.IsPacketMode ? 1 : 0);
            case Ioctls.TIOCSIG:
                if (argument is not ((ulong)Signal.SIGINT or (ulong)Signal.SIGQUIT or (ulong)Signal.SIGTSTP))
                {
                    return -(long)Errno.EINVAL;
                }

                pty.SignalForeground((int)argument);
                return 0;
            case Ioctls.TCFLSH:
                if (argument > Ioctls.TCIOFLUSH)
                {
                    return -(long)Errno.EINVAL;
                }

                pty.FlushMaster(argument != Ioctls.TCOFLUSH, argument != Ioctls.TCIFLUSH);
                return 0;
            case Ioctls.TCSBRK or Ioctls.TCSBRKP or Ioctls.TIOCSBRK or Ioctls.TIOCCBRK:
                return 0;
            case Ioctls.TIOCSCTTY:
                return -(long)Errno.EPERM;
            default:
                return Common(pty, file, caller, command, argument, asMaster: true);
        }
    }

    private static long Common(Pty pty, FileDescription file, ICaller caller, uint command, ulong argument, bool asMaster)
    {
        switch ((ulong)command)
        {
            case Ioctls.TCGETS:
                return Write(caller, argument, pty.Modes.Attributes);
            case Ioctls.TCGETS2:
                return Write(caller, argument, new Termios2(pty.Modes.Attributes));
            case Ioctls.TCGETA:
                return Write(caller, argument, new Termio(pty.Modes.Attributes));
            case Ioctls.TCSETS or Ioctls.TCSETSW or Ioctls.TCSETSF:
            {
                Errno error = CheckJob(pty, caller);
                if (error != Errno.None || !TryRead(caller, argument, out TerminalAttributes wished))
                {
                    return error != Errno.None ? -(long)error : -(long)Errno.EFAULT;
                }

                pty.SetModes(wished, command == Ioctls.TCSETSF);
                return 0;
            }

            case Ioctls.TCSETS2 or Ioctls.TCSETSW2 or Ioctls.TCSETSF2:
            {
                Errno error = CheckJob(pty, caller);
                if (error != Errno.None || !TryRead(caller, argument, out Termios2 wished))
                {
                    return error != Errno.None ? -(long)error : -(long)Errno.EFAULT;
                }

                pty.SetModes(wished.Attributes, command == Ioctls.TCSETSF2);
                return 0;
            }

            case Ioctls.TCSETA or Ioctls.TCSETAW or Ioctls.TCSETAF:
            {
                Errno error = CheckJob(pty, caller);
                if (error != Errno.None || !TryRead(caller, argument, out Termio wished))
                {
                    return error != Errno.None ? -(long)error : -(long)Errno.EFAULT;
                }

                pty.SetModes(wished.ApplyTo(pty.Modes.Attributes), command == Ioctls.TCSETAF);
                return 0;
            }

            case Ioctls.TIOCGWINSZ:
                return Write(caller, argument, pty.Size);
            case Ioctls.TIOCSWINSZ:
                if (!TryRead(caller, argument, out WindowSize size))
                {
                    return -(long)Errno.EFAULT;
                }

                pty.SetSize(size);
                return 0;
            case Ioctls.TIOCGPGRP:
            {
                long id = caller is Task task ? pty.GetForeground(task, asMaster) : -(long)Errno.ENOTTY;
                return id < 0 ? id : Write(caller, argument, (int)id);
            }

            case Ioctls.TIOCGSID:
            {
                long id = caller is Task task ? pty.GetSession(task, asMaster) : -(long)Errno.ENOTTY;
                return id < 0 ? id : Write(caller, argument, (int)id);
            }

            case Ioctls.TIOCSPGRP:
                if (!TryRead(caller, argument, out int wanted))
                {
                    return -(long)Errno.EFAULT;
                }

                return caller is Task setter ? -(long)pty.SetForeground(setter, wanted) : -(long)Errno.ENOTTY;
            case Ioctls.FIONREAD:
                return Write(caller, argument, pty.CountInput(asMaster));
            case Ioctls.TIOCOUTQ:
                return Write(caller, argument, 0);
            case Ioctls.TIOCEXCL:
                pty.IsExclusive = true;
                return 0;
            case Ioctls.TIOCNXCL:
                pty.IsExclusive = false;
                return 0;
            case Ioctls.TIOCGEXCL:
                return Write(caller, argument, pty.IsExclusive ? 1 : 0);
            case Ioctls.TIOCGDEV:
                return Write(caller, argument, (uint)pty.DeviceNumber);
            case Ioctls.TIOCGETD:
                return Write(caller, argument, 0);
            case Ioctls.TIOCSETD:
                return !TryRead(caller, argument, out int discipline) ? -(long)Errno.EFAULT : discipline == 0 ? 0 : -(long)Errno.EINVAL;
            case Ioctls.TIOCGSOFTCAR:
                return Write(caller, argument, (pty.Modes.Attributes.Control & Ioctls.CLOCAL) != 0 ? 1 : 0);
            default:
                return -(long)Errno.ENOTTY;
        }
    }

    /// <summary>A background job must not change the terminal: SIGTTOU. Processes that have another terminal are free to.</summary>
    private static Errno CheckJob(Pty pty, ICaller caller) => caller is Task task ? pty.CheckJob(task, Signal.SIGTTOU) : Errno.None;

    private static long Flow(Pty pty, ICaller caller, ulong argument)
    {
        Errno error = CheckJob(pty, caller);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        switch (argument)
        {
            case Ioctls.TCOOFF or Ioctls.TCOON:
                pty.HoldOutput(argument == Ioctls.TCOOFF);
                return 0;
            case Ioctls.TCIOFF or Ioctls.TCION:
                pty.SendFlowCharacter(argument == Ioctls.TCIOFF);
                return 0;
            default:
                return -(long)Errno.EINVAL;
        }
    }

    /// <summary>TIOCSTI puts words into another's mouth: only root may (Linux with dev.tty.legacy_tiocsti 0).</summary>
    private static long Simulate(Pty pty, ICaller caller, ulong argument)
    {
        if (!caller.Credentials.HasCapability(Capability.CAP_SYS_ADMIN))
        {
            return -(long)Errno.EIO;
        }

        if (!TryRead(caller, argument, out byte c))
        {
            return -(long)Errno.EFAULT;
        }

        pty.Simulate(c);
        return 0;
    }

    /// <summary>TIOCGPTPEER: the slave, opened without its name.</summary>
    private static long OpenPeer(PtyMasterDescription file, ICaller caller, int flags)
    {
        if (caller is not Task task)
        {
            return -(long)Errno.EIO;
        }

        Errno error = DevPtsFileSystem.FindSlave(caller, file.Path, file.Pty.Index, out VfsPath place);
        if (error != Errno.None)
        {
            return -(long)Errno.EIO;
        }

        // The name's permissions do not count here: whoever has the master may have the slave.
        error = file.Pty.OpenSlave(caller, place, flags, out FileDescription? slave);
        if (error != Errno.None)
        {
            place.DecRef();
            return -(long)error;
        }

        long fd = task.Files.Add(slave!, (flags & Fcntl.O_CLOEXEC) != 0, task.DescriptorLimit);
        if (fd < 0)
        {
            slave!.DecRef();
        }

        return fd;
    }

    private static bool TryRead<T>(ICaller caller, ulong address, out T value)
        where T : unmanaged
    {
        value = default;
        Span<byte> bytes = MemoryMarshal.AsBytes(new Span<T>(ref value));
        return caller.UserMemory.CopyIn(address, bytes) == bytes.Length;
    }

    private static long Write<T>(ICaller caller, ulong address, T value)
        where T : unmanaged
    {
        Span<byte> bytes = MemoryMarshal.AsBytes(new Span<T>(ref value));
        return caller.UserMemory.CopyOut(address, bytes) == bytes.Length ? 0 : -(long)Errno.EFAULT;
    }
}
