using System.Text.Json;

namespace Runsc.Oci;

/// <summary>
/// A specification inside of another document. It stays JSON until someone asks for it: the description of its hundred types is dear for a
/// process that only passes it on, and is made once for all documents that have one.
/// </summary>
internal struct KeptSpec
{
    private Spec? _value;
    private JsonElement? _json;

    public Spec? Value
    {
        get => _value ??= _json?.Deserialize(SpecJson.Default.Spec);
        set => (_value, _json) = (value, null);
    }

    /// <summary>As the document has it. What was asked for may have been changed since, and is written anew.</summary>
    public JsonElement? Json
    {
        readonly get => _value is null ? _json : JsonSerializer.SerializeToElement(_value, SpecJson.Default.Spec);
        set => (_value, _json) = (null, value is { ValueKind: JsonValueKind.Null } ? null : value);
    }
}
