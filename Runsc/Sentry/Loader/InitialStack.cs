using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Memory;

namespace Runsc.Sentry.Loader;

/// <summary>What goes into the auxiliary vector besides addresses on the stack (getauxval(3)).</summary>
internal sealed record AuxiliaryVector(Task Task, Credentials Credentials, bool IsSecure, ElfImage Image, ulong Bias, ulong LinkerBase, ulong VdsoBase);

/// <summary>The stack as a program finds it: argc, argv, envp, auxiliary vector; above them strings and random bytes (System V ABI, 3.4.1).</summary>
internal static class InitialStack
{
    public static Errno Build(
        MemoryManager memory, ulong top, byte[] path, List<byte[]> arguments, List<byte[]> environment, AuxiliaryVector auxiliary, out ulong stackPointer)
    {
        stackPointer = 0;
        ulong strings = path.Length + 1 > 0 ? (ulong)path.Length + 1 : 1;
        foreach (byte[] text in arguments)
        {
            strings += (ulong)text.Length + 1;
        }

        foreach (byte[] text in environment)
        {
            strings += (ulong)text.Length + 1;
        }

        // From the top: 8 zero bytes, the path, environment, arguments; then platform name and random bytes.
        byte[] block = new byte[strings];
        ulong blockStart = top - 8 - strings;
        ulong at = 0;
        ulong[] argumentAddresses = new ulong[arguments.Count], environmentAddresses = new ulong[environment.Count];
        memory.ArgumentStart = blockStart;
        Put(arguments, argumentAddresses);
        memory.ArgumentEnd = memory.EnvironmentStart = blockStart + at;
        Put(environment, environmentAddresses);
        memory.EnvironmentEnd = blockStart + at;
        ulong pathAddress = blockStart + at;
        path.CopyTo(block, (int)at);

        ulong platformAddress = (blockStart - 8) & ~15UL, randomAddress = platformAddress - 16;
        Span<byte> random = stackalloc byte[16];
        HostTime.FillRandom(random);
        byte[] vector = BuildAuxiliary(auxiliary, randomAddress, platformAddress, pathAddress);
        ulong words = 1 + (ulong)arguments.Count + 1 + (ulong)environment.Count + 1;
        stackPointer = (randomAddress - (words * 8) - (ulong)vector.Length) & ~15UL;

        byte[] frame = new byte[(words * 8) + (ulong)vector.Length];
        int offset = 0;
        Word((ulong)arguments.Count);
        foreach (ulong address in argumentAddresses)
        {
            Word(address);
        }

        Word(0);
        foreach (ulong address in environmentAddresses)
        {
            Word(address);
        }

        Word(0);
        vector.CopyTo(frame, offset);
        memory.AuxiliaryVector = vector;
        memory.StackStart = stackPointer;
        bool ok = memory.CopyOut(blockStart, block) == block.Length && memory.CopyOut(platformAddress, "x86_64\0"u8) == 7
            && memory.CopyOut(randomAddress, random) == 16 && memory.CopyOut(stackPointer, frame) == frame.Length;
        return ok ? Errno.None : Errno.E2BIG;

        void Put(List<byte[]> texts, ulong[] addresses)
        {
            for (int i = 0; i < texts.Count; i++)
            {
                addresses[i] = blockStart + at;
                texts[i].CopyTo(block, (int)at);
                at += (ulong)texts[i].Length + 1;
            }
        }

        void Word(ulong value)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(frame.AsSpan(offset), value);
            offset += 8;
        }
    }

    private static byte[] BuildAuxiliary(AuxiliaryVector auxiliary, ulong random, ulong platform, ulong path)
    {
        Task task = auxiliary.Task;
        ElfImage image = auxiliary.Image;
        byte[] vector = new byte[26 * 16];
        int offset = 0;
        if (auxiliary.VdsoBase != 0)
        {
            Add(Elf.AT_SYSINFO_EHDR, auxiliary.VdsoBase);
        }

        Credentials credentials = auxiliary.Credentials;
        Add(Elf.AT_HWCAP, task.Kernel.Platform.HwCap);
        Add(Elf.AT_PAGESZ, 4096);
        Add(Elf.AT_CLKTCK, 100);
        Add(Elf.AT_PHDR, image.ProgramHeaderAddress == 0 ? 0 : image.ProgramHeaderAddress + auxiliary.Bias);
        Add(Elf.AT_PHENT, 56);
        Add(Elf.AT_PHNUM, image.ProgramHeaderCount);
        Add(Elf.AT_BASE, auxiliary.LinkerBase);
        Add(Elf.AT_FLAGS, 0);
        Add(Elf.AT_ENTRY, image.Entry + auxiliary.Bias);
        IdMap uids = credentials.UserNamespace.Uids, gids = credentials.UserNamespace.Gids;
        Add(Elf.AT_UID, uids.Shown(credentials.RealUid));
        Add(Elf.AT_EUID, uids.Shown(credentials.EffectiveUid));
        Add(Elf.AT_GID, gids.Shown(credentials.RealGid));
        Add(Elf.AT_EGID, gids.Shown(credentials.EffectiveGid));
        Add(Elf.AT_SECURE, auxiliary.IsSecure ? 1u : 0u);
        Add(Elf.AT_RANDOM, random);
        Add(Elf.AT_HWCAP2, task.Kernel.Platform.HwCap2);
        Add(Elf.AT_RSEQ_FEATURE_SIZE, Rseq.FeatureSize);
        Add(Elf.AT_RSEQ_ALIGN, Rseq.Alignment);
        Add(Elf.AT_EXECFN, path);
        Add(Elf.AT_PLATFORM, platform);

        // AT_MINSIGSTKSZ: the frame that a signal needs: siginfo, ucontext, and the extended state.
        Add(51, (ulong)task.Kernel.Platform.XSaveSize + 1024);
        Add(Elf.AT_NULL, 0);
        return vector[..offset];

        void Add(int type, ulong value)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(vector.AsSpan(offset), (ulong)type);
            BinaryPrimitives.WriteUInt64LittleEndian(vector.AsSpan(offset + 8), value);
            offset += 16;
        }
    }
}
