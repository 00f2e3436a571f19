using System;
using System.Collections.Generic;
using System.IO;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;
using Runsc.Linux;
using Xunit;

namespace Runsc.Tests.Abi;

/// <summary>The structures of ptrace(2), rseq(2) and io_submit(2) against the installed headers.</summary>
public sealed class TraceAbiTests
{
    /// <summary>C name of each structure, and of the fields whose names are not the lower case of ours.</summary>
    private static readonly (Type Type, string CName, Dictionary<string, string> Fields)[] s_structures =
    [
        (typeof(UserRegisters), "user_regs_struct", new() { ["OrigRax"] = "orig_rax", ["FsBase"] = "fs_base", ["GsBase"] = "gs_base" }),
        (typeof(PtraceSyscallInfo), "ptrace_syscall_info", new()
        {
            ["Pad0"] = "pad[0]", ["Pad1"] = "pad[1]", ["InstructionPointer"] = "instruction_pointer", ["StackPointer"] = "stack_pointer", ["Number"] = "entry.nr",
            ["Arguments"] = "entry.args", ["RetData"] = "seccomp.ret_data", ["Pad2"] = "seccomp.ret_data",
        }),
        (typeof(PtracePeekSigInfoArguments), "ptrace_peeksiginfo_args", new() { ["Offset"] = "off", ["Count"] = "nr" }),
        (typeof(PtraceRseqConfiguration), "ptrace_rseq_configuration", new() { ["RseqAbiPointer"] = "rseq_abi_pointer", ["RseqAbiSize"] = "rseq_abi_size" }),
        (typeof(Iocb), "iocb", new()
        {
            ["AioData"] = "aio_data", ["AioKey"] = "aio_key", ["AioRwFlags"] = "aio_rw_flags", ["AioLioOpcode"] = "aio_lio_opcode", ["AioReqprio"] = "aio_reqprio",
            ["AioFildes"] = "aio_fildes", ["AioBuf"] = "aio_buf", ["AioNbytes"] = "aio_nbytes", ["AioOffset"] = "aio_offset", ["AioReserved2"] = "aio_reserved2",
            ["AioFlags"] = "aio_flags", ["AioResfd"] = "aio_resfd",
        }),
        (typeof(IoEvent), "io_event", []),
        (typeof(RseqCriticalSection), "rseq_cs", new() { ["StartIp"] = "start_ip", ["PostCommitOffset"] = "post_commit_offset", ["AbortIp"] = "abort_ip" }),
    ];

    [Fact]
    public void SizeInBytes_IsTheSize()
    {
        foreach ((Type type, _, _) in s_structures)
        {
            Assert.Equal((int)type.GetField("SizeInBytes")!.GetRawConstantValue()!, Marshal.SizeOf(type));
        }
    }

    /// <summary>gcc checks every offset and size.</summary>
    [Fact]
    public void Headers_AgreeOnEveryField()
    {
        if (!File.Exists("/usr/include/linux/rseq.h") || !File.Exists("/usr/bin/gcc"))
        {
            return;
        }

        StringBuilder source = new("#include <stddef.h>\n#include <linux/aio_abi.h>\n#include <linux/ptrace.h>\n#include <linux/rseq.h>\n#include <sys/user.h>\n");
        foreach ((Type type, string cName, Dictionary<string, string> fields) in s_structures)
        {
            foreach (FieldInfo field in type.GetFields(BindingFlags.Instance | BindingFlags.Public))
            {
                string cField = fields.GetValueOrDefault(field.Name) ?? field.Name.ToLowerInvariant();
                string extra = field.Name == "Pad2" ? " + 4" : "";
                source.AppendLine($"_Static_assert(offsetof(struct {cName}, {cField}){extra} == {Marshal.OffsetOf(type, field.Name)}, \"{type.Name}.{field.Name}\");");
            }

            source.AppendLine($"_Static_assert(sizeof(struct {cName}) == {Marshal.SizeOf(type)}, \"{cName}\");");
        }

        source.AppendLine($"_Static_assert(offsetof(struct rseq, rseq_cs) == {Rseq.CriticalSection} && offsetof(struct rseq, flags) == {Rseq.Flags}, \"rseq\");");
        source.AppendLine($"_Static_assert(sizeof(struct user) <= {Ptrace.UserSize} && offsetof(struct user, u_debugreg) == {Ptrace.DebugRegistersOffset}, \"user\");");
        using System.Diagnostics.Process gcc = new();
        gcc.StartInfo = new System.Diagnostics.ProcessStartInfo("/usr/bin/gcc", ["-xc", "-fsyntax-only", "-"]) { RedirectStandardInput = true, RedirectStandardError = true };
        gcc.Start();
        gcc.StandardInput.Write(source);
        gcc.StandardInput.Close();
        string output = gcc.StandardError.ReadToEnd();
        gcc.WaitForExit();
        Assert.True(gcc.ExitCode == 0, output);
    }
}
