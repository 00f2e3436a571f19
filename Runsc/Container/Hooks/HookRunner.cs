using System;
using System.Collections.Generic;
using System.Text.Json;
using System.Threading;
using Runsc.Common;
using Runsc.Host.Processes;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Oci;

namespace Runsc.Container.Hooks;

/// <summary>Runs the hooks of a specification: one after the other, with the container's state on standard input (config.md, "POSIX-platform Hooks").</summary>
internal static class HookRunner
{
    private const int PollMilliseconds = 5;

    /// <param name="kind">For messages.</param>
    /// <param name="hooks">In this order.</param>
    /// <param name="state">What they read.</param>
    /// <param name="network">Network namespace that they run in; −1 for this process's.</param>
    /// <exception cref="RunscException">One has failed; those after it have not run.</exception>
    public static void Run(string kind, IReadOnlyList<HookSpec>? hooks, OciState state, int network = -1)
    {
        foreach (HookSpec hook in hooks ?? [])
        {
            string? problem = Run(hook, state, network);
            if (problem is not null)
            {
                throw new RunscException($"{kind} hook {hook.Path}: {problem}");
            }
        }
    }

    /// <summary>For hooks whose failure changes nothing (poststart, poststop): failures are logged, the rest run.</summary>
    public static void RunAll(string kind, IReadOnlyList<HookSpec>? hooks, OciState state)
    {
        foreach (HookSpec hook in hooks ?? [])
        {
            if (Run(hook, state, -1) is string problem)
            {
                Log.Warning($"{kind} hook {hook.Path}: {problem}");
            }
        }
    }

    /// <summary>A file with the state, to be a hook's standard input: a hook that does not read it blocks nobody. Or −errno.</summary>
    public static int Pack(OciState state)
    {
        byte[] json = JsonSerializer.SerializeToUtf8Bytes(state, StateJson.Default.OciState);
        int file = HostMemory.CreateFile("runsc-hook\0"u8, Mman.MFD_CLOEXEC);
        if (file >= 0 && HostFile.PWrite(file, json, 0) != json.Length)
        {
            _ = HostFile.Close(file);
            return -(int)Errno.EIO;
        }

        return file;
    }

    private static string? Run(HookSpec hook, OciState state, int network)
    {
        int input = Pack(state);
        if (input < 0)
        {
            return $"cannot pass the state: errno {-input}";
        }

        int process = HostProcess.Spawn(hook.Path!, hook.Args is { Count: > 0 } ? hook.Args : [hook.Path!], hook.Env ?? [], input, 2, 2, network);
        _ = HostFile.Close(input);
        if (process < 0)
        {
            return $"cannot be started: errno {-process}";
        }

        return Wait(process, hook.Timeout);
    }

    private static string? Wait(int process, int? timeout)
    {
        long deadline = timeout is int seconds ? Environment.TickCount64 + (seconds * 1000L) : long.MaxValue;
        int status, result;
        while ((result = HostProcess.Wait(process, out status, timeout is null ? 0 : Linux.Wait.WNOHANG)) == 0)
        {
            if (Environment.TickCount64 > deadline)
            {
                _ = HostProcess.Kill(process, Signal.SIGKILL);
                _ = HostProcess.Wait(process, out _);
                return $"has not ended within {timeout} s";
            }

            Thread.Sleep(PollMilliseconds);
        }

        int signal = status & 0x7f;
        return result < 0 ? $"errno {-result}" : signal != 0 ? $"killed by signal {signal}" : status == 0 ? null : $"exit status {(status >> 8) & 0xff}";
    }
}
