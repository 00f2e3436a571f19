using System.Text.Json;
using Runsc.Container;
using Runsc.Control;
using Runsc.Oci;
using Xunit;

namespace Runsc.Tests.Unit.Container;

/// <summary>The specification inside of the state and of the start information.</summary>
public sealed class KeptSpecTests
{
    [Fact]
    public void State_WithSpecification_HasItAsAnObject()
    {
        ContainerState state = new() { Id = "c", Spec = new Spec { OciVersion = "1.2.0", Process = new ProcessSpec { Args = ["a", "b"] } } };
        string text = JsonSerializer.Serialize(state, StateJson.Default.ContainerState);
        using JsonDocument document = JsonDocument.Parse(text);
        Assert.Equal("b", document.RootElement.GetProperty("spec").GetProperty("process").GetProperty("args")[1].GetString());

        ContainerState read = JsonSerializer.Deserialize(text, StateJson.Default.ContainerState)!;
        Assert.Equal(text, JsonSerializer.Serialize(read, StateJson.Default.ContainerState));
        Assert.Equal(["a", "b"], read.Spec!.Process!.Args);
    }

    [Fact]
    public void Specification_ChangedAfterReading_IsWrittenAsChanged()
    {
        StartInfo info = new() { Spec = new Spec { Hostname = "before" } };
        info = JsonSerializer.Deserialize(JsonSerializer.Serialize(info, StartInfoJson.Default.StartInfo), StartInfoJson.Default.StartInfo)!;
        info.Spec!.Hostname = "after";
        info = JsonSerializer.Deserialize(JsonSerializer.Serialize(info, StartInfoJson.Default.StartInfo), StartInfoJson.Default.StartInfo)!;
        Assert.Equal("after", info.Spec!.Hostname);
    }

    [Fact]
    public void NoSpecification_StaysNone()
    {
        StartInfo info = JsonSerializer.Deserialize(JsonSerializer.Serialize(new StartInfo(), StartInfoJson.Default.StartInfo), StartInfoJson.Default.StartInfo)!;
        Assert.Null(info.Spec);
        Assert.Null(info.SpecDocument);
    }
}
