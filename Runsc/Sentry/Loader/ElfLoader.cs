using System;
using System.Collections.Generic;
using System.Text;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Memory;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Loader;

/// <summary>execve(2)'s work on memory: scripts, ELF programs with and without a dynamic linker, the initial stack.</summary>
internal sealed class ElfLoader(Vdso? vdso, Vdso? withoutClock = null)
{
    private const ulong PageSize = 4096;
    private const int MaxScripts = 4;

    /// <summary>Most of the stack that arguments and environment may take, as on Linux: a quarter of RLIMIT_STACK, at most 6 MiB.</summary>
    private const ulong MaxArguments = 6UL << 20;

    /// <summary>A single string's limit (MAX_ARG_STRLEN).</summary>
    private const int MaxString = 128 << 10;

    /// <summary>Loads a program into a new address space; the caller's is untouched. <paramref name="file"/> stays the caller's.</summary>
    public Errno Load(Task task, FileDescription file, byte[] path, List<byte[]> arguments, List<byte[]> environment, out LoadedProgram? program)
    {
        program = null;
        file.IncRef();
        byte[] name = path;
        for (int depth = 0; ; depth++)
        {
            Errno error = ReadScript(task, file, out byte[]? interpreter, out byte[]? option);
            if (error != Errno.None || interpreter is null)
            {
                if (error == Errno.None)
                {
                    error = LoadElf(task, file, name, path, arguments, environment, out program);
                }

                file.DecRef();
                return error;
            }

            file.DecRef();
            if (depth == MaxScripts)
            {
                return Errno.ELOOP;
            }

            // "#!interpreter option": the script's path takes the place of argument 0.
            arguments = [.. arguments];
            if (arguments.Count > 0)
            {
                arguments.RemoveAt(0);
            }

            arguments.Insert(0, path);
            if (option is not null)
            {
                arguments.Insert(0, option);
            }

            arguments.Insert(0, interpreter);
            path = interpreter;
            error = OpenExecutable(task, interpreter, out FileDescription? opened);
            if (error != Errno.None)
            {
                return error;
            }

            file = opened!;
        }
    }

    /// <summary>Opens a file for execution: a regular one with execute permission, not on a noexec mount. EACCES, ENOENT, ….</summary>
    public static Errno OpenExecutable(Task task, ReadOnlySpan<byte> path, out FileDescription? file)
    {
        VfsPath start = task.Fs.GetWorkingDirectory();
        Errno error = PathWalker.Resolve(task, start, path, WalkFlags.FollowLast, out VfsPath place);
        start.DecRef();
        file = null;
        return error != Errno.None ? error : OpenExecutable(task, place, out file);
    }

    /// <summary>As above, for a resolved place, whose references are taken over.</summary>
    public static Errno OpenExecutable(Task task, VfsPath place, out FileDescription? file)
    {
        file = null;
        Inode inode = place.Dentry.Inode!;
        Errno error = !inode.IsRegular || (place.Mount.Flags & Linux.Mount.MS_NOEXEC) != 0
            ? Errno.EACCES
            : inode.CheckPermission(task.Credentials, Permissions.Execute);
        if (error == Errno.None && !inode.TryBeginExecution())
        {
            error = Errno.ETXTBSY;
        }
        else if (error == Errno.None)
        {
            // Opened without asking for the right to read: execution needs none.
            error = inode.Open(task, place, Fcntl.O_RDONLY, out file);
            if (error == Errno.None)
            {
                file!.Use = FileUse.Execution;
            }
            else
            {
                inode.EndExecution();
            }
        }

        if (error != Errno.None)
        {
            place.DecRef();
        }

        return error;
    }

    private static Errno ReadScript(Task task, FileDescription file, out byte[]? interpreter, out byte[]? option)
    {
        interpreter = null;
        option = null;
        Span<byte> line = stackalloc byte[256];
        IoBuffer buffer = new(line);
        long n = file.PRead(task, ref buffer, 0);
        if (n < 0)
        {
            return (Errno)(-n);
        }

        line = line[..(int)n];
        if (!line.StartsWith("#!"u8))
        {
            return Errno.None;
        }

        int end = line.IndexOf((byte)'\n');
        if (end < 0 && n == 256)
        {
            return Errno.ENOEXEC;
        }

        ReadOnlySpan<byte> text = (end < 0 ? line : line[..end])[2..].Trim(" \t"u8);
        int blank = text.IndexOfAny((byte)' ', (byte)'\t');
        ReadOnlySpan<byte> name = blank < 0 ? text : text[..blank];
        if (name.IsEmpty)
        {
            return Errno.ENOEXEC;
        }

        interpreter = name.ToArray();
        if (blank >= 0)
        {
            option = text[blank..].Trim(" \t"u8).ToArray();
        }

        return Errno.None;
    }

    private Errno LoadElf(
        Task task, FileDescription file, byte[] name, byte[] path, List<byte[]> arguments, List<byte[]> environment, out LoadedProgram? program)
    {
        program = null;
        Errno error = ElfImage.TryRead(task, file, out ElfImage? image);
        if (error != Errno.None)
        {
            return error;
        }

        FileDescription? linkerFile = null;
        ElfImage? linker = null;
        if (image!.Interpreter is not null)
        {
            error = OpenExecutable(task, image.Interpreter, out linkerFile);
            if (error == Errno.None)
            {
                error = ElfImage.TryRead(task, linkerFile!, out linker);
                error = error == Errno.ENOEXEC ? Errno.ELIBBAD : error;
            }
        }

        MemoryManager? memory = null;
        Credentials credentials = task.Credentials;
        bool isSecure = false;
        if (error == Errno.None)
        {
            error = ExecCredentials.Compute(task, file, out credentials, out isSecure);
        }

        if (error == Errno.None)
        {
            memory = new MemoryManager(task.Kernel.Platform, task.Kernel.Memory) 
            {
                StackLimit = task.ThreadGroup.Limit(Resource.RLIMIT_STACK),
                AddressSpaceLimit = task.ThreadGroup.Limit(Resource.RLIMIT_AS),
            };
            error = Fill(task, memory, file, image, linkerFile, linker, credentials, isSecure, path, arguments, environment, out ulong entry, out ulong stack);
            if (error == Errno.None)
            {
                file.IncRef();
                string comm = Encoding.Latin1.GetString(name)[(Array.LastIndexOf(name, (byte)'/') + 1)..];
                program = new LoadedProgram
                {
                    Memory = memory,
                    EntryPoint = entry,
                    StackPointer = stack,
                    Name = comm.Length > 15 ? comm[..15] : comm,
                    Executable = file,
                    IsUnreadable = file.Inode.CheckPermission(task.Credentials, Permissions.Read) != Errno.None,
                    Credentials = credentials,
                };
            }
            else
            {
                memory.DecUsers();
            }
        }

        linkerFile?.DecRef();
        return error;
    }

    private Errno Fill(
        Task task, MemoryManager memory, FileDescription file, ElfImage image, FileDescription? linkerFile, ElfImage? linker, Credentials credentials, bool isSecure, byte[] path,
        List<byte[]> arguments, List<byte[]> environment, out ulong entry, out ulong stack)
    {
        entry = stack = 0;
        Span<ulong> random = stackalloc ulong[4];
        HostTime.FillRandom(System.Runtime.InteropServices.MemoryMarshal.AsBytes(random));
        ulong limit = task.Kernel.Platform.UserAddressLimit;
        ulong stackTop = limit - ((random[0] & 0x3fffff) << 12);
        ulong gap = Math.Clamp(memory.StackLimit, 128UL << 20, limit / 6 * 5);
        ulong mmapTop = stackTop - gap - ((random[1] & 0xfffffff) << 12);
        memory.SetLayout(mmapTop, 0);

        ulong bias = 0;
        if (image.IsPositionIndependent)
        {
            // As Linux: programs with a dynamic linker at two thirds of the address space, static ones where mappings go.
            ulong wanted = linker is not null ? (limit / 3 * 2) + ((random[2] & 0xfffffff) << 12) : mmapTop - (1UL << 30) - ((random[2] & 0xffff) << 12);
            bias = (wanted & ~(image.MaxAlignment - 1)) - image.Lowest;
        }

        Errno error = MapImage(memory, file, image, bias);
        if (error != Errno.None)
        {
            return error;
        }

        entry = image.Entry + bias;
        ulong linkerBase = 0;
        if (linker is not null)
        {
            ulong span = (linker.Highest - linker.Lowest + PageSize - 1) & ~(PageSize - 1);
            linkerBase = linker.IsPositionIndependent ? ((mmapTop - span) & ~(linker.MaxAlignment - 1)) - linker.Lowest : 0;
            error = MapImage(memory, linkerFile!, linker, linkerBase);
            if (error != Errno.None)
            {
                return error;
            }

            entry = linker.Entry + linkerBase;
        }

        ulong brk = ((image.Highest + bias + PageSize - 1) & ~(PageSize - 1)) + ((random[3] & 0x1fff) << 12);
        memory.SetLayout(mmapTop, brk);
        memory.CodeStart = image.Lowest + bias;
        memory.CodeEnd = image.Highest + bias;
        if ((task.TimeOffsets.IsNone ? vdso : withoutClock) is Vdso shown)
        {
            error = shown.Map(memory, out ulong vdsoBase);
            if (error != Errno.None)
            {
                return error;
            }

            memory.VdsoBase = vdsoBase;
        }

        AccessType access = AccessType.Read | AccessType.Write | (image.ExecutableStack ? AccessType.Execute : AccessType.None);
        const ulong initial = 132 << 10;
        ulong size = ArgumentSize(arguments, environment, out error);
        if (error != Errno.None)
        {
            return error;
        }

        ulong length = initial + ((size + PageSize - 1) & ~(PageSize - 1));
        MmapRequest request = new() { Address = stackTop - length, Length = length, Protection = access, Fixed = true, GrowsDown = true, Name = "[stack]" };
        error = memory.Mmap(request, out _);
        if (error != Errno.None)
        {
            return error;
        }

        AuxiliaryVector auxiliary = new(task, credentials, isSecure, image, bias, linker is null ? 0 : linkerBase + linker.Lowest, memory.VdsoBase);
        return InitialStack.Build(memory, stackTop, path, arguments, environment, auxiliary, out stack);
    }

    private static Errno MapImage(MemoryManager memory, FileDescription file, ElfImage image, ulong bias)
    {
        Errno error = file.GetMappable(out IMappable? mappable);
        if (error != Errno.None)
        {
            return Errno.ENOEXEC;
        }

        error = image.Map(memory, mappable!, bias);
        mappable!.DecRef();
        return error;
    }

    private static ulong ArgumentSize(List<byte[]> arguments, List<byte[]> environment, out Errno error)
    {
        ulong size = 0;
        error = Errno.None;
        foreach (List<byte[]> list in (ReadOnlySpan<List<byte[]>>)[arguments, environment])
        {
            foreach (byte[] text in list)
            {
                size += (ulong)text.Length + 1 + 8;
                if (text.Length >= MaxString)
                {
                    error = Errno.E2BIG;
                }
            }
        }

        if (size > MaxArguments)
        {
            error = Errno.E2BIG;
        }

        return size;
    }
}
