using System;
using System.IO;
using System.Text.Json.Nodes;
using Runsc.Common;
using Runsc.Container;
using Runsc.Container.Hooks;
using Runsc.Oci;
using Xunit;

namespace Runsc.Tests.Unit.Container;

public sealed class HookTests : IDisposable
{
    private readonly string _top = Directory.CreateTempSubdirectory("runsc-hook-").FullName;
    private readonly OciState _state = new() { OciVersion = "1.2.0", Id = "c1", Status = "creating", Pid = 77, Bundle = "/b" };

    public void Dispose() => Directory.Delete(_top, recursive: true);

    private static HookSpec Shell(string script, int? timeout = null) => new() { Path = "/bin/sh", Args = ["sh", "-c", script], Env = ["A=b"], Timeout = timeout };

    [Fact]
    public void Hook_ReadsTheState_AndHasItsEnvironmentOnly()
    {
        HookRunner.Run("prestart", [Shell($"cat > {_top}/state; env > {_top}/env")], _state);
        JsonNode state = JsonNode.Parse(File.ReadAllText(Path.Combine(_top, "state")))!;
        Assert.Equal("c1", (string)state["id"]!);
        Assert.Equal(77, (int)state["pid"]!);
        Assert.Equal("creating", (string)state["status"]!);
        string environment = File.ReadAllText(Path.Combine(_top, "env"));
        Assert.Contains("A=b", environment, StringComparison.Ordinal);
        Assert.DoesNotContain("PATH=", environment, StringComparison.Ordinal);
    }

    [Fact]
    public void Failure_StopsTheList()
    {
        RunscException error = Assert.Throws<RunscException>(() => HookRunner.Run("createRuntime", [Shell("exit 3"), Shell($"touch {_top}/second")], _state));
        Assert.Equal("createRuntime hook /bin/sh: exit status 3", error.Message);
        Assert.False(File.Exists(Path.Combine(_top, "second")));
    }

    [Fact]
    public void Failure_AfterTheStart_ChangesNothing()
    {
        HookRunner.RunAll("poststop", [Shell("exit 3"), Shell($"touch {_top}/second")], _state);
        Assert.True(File.Exists(Path.Combine(_top, "second")));
    }

    [Fact]
    public void Timeout_EndsTheHook()
    {
        RunscException error = Assert.Throws<RunscException>(() => HookRunner.Run("prestart", [Shell("exec sleep 60", timeout: 1)], _state));
        Assert.Contains("has not ended within 1 s", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void MissingProgram_IsAnError()
    {
        RunscException error = Assert.Throws<RunscException>(() => HookRunner.Run("prestart", [new HookSpec { Path = "/no/such/hook" }], _state));
        Assert.Equal("prestart hook /no/such/hook: cannot be started: errno 2", error.Message);
    }
}
