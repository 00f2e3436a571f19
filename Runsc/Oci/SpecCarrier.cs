using System.Text.Json;
using System.Text.Json.Serialization;

namespace Runsc.Oci;

/// <summary>A document with a specification inside, "spec".</summary>
internal abstract class SpecCarrier
{
    private KeptSpec _spec;

    [JsonIgnore]
    public Spec? Spec
    {
        get => _spec.Value;
        set => _spec.Value = value;
    }

    [JsonPropertyName("spec")]
    public JsonElement? SpecDocument
    {
        get => _spec.Json;
        set => _spec.Json = value;
    }
}
