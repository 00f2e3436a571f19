using System;
using System.Collections.Generic;
using Runsc.Common;

namespace Runsc.Shim;

/// <summary>What containerd passes on the shim's command line: Go-style flags, then start or delete; `serve` is the shim's own.</summary>
internal sealed record ShimArguments
{
    public string Namespace { get; init; } = "";

    public string Id { get; init; } = "";

    /// <summary>containerd's own socket.</summary>
    public string Address { get; init; } = "";

    public string PublishBinary { get; init; } = "";

    /// <summary>The bundle; empty: the working directory.</summary>
    public string Bundle { get; init; } = "";

    /// <summary>serve: the path of the socket, which is standard input.</summary>
    public string Socket { get; init; } = "";

    public bool Debug { get; init; }

    public bool Version { get; init; }

    public string Action { get; init; } = "";

    /// <exception cref="RunscException">A flag is unknown or has no value.</exception>
    public static ShimArguments Parse(IReadOnlyList<string> words)
    {
        ShimArguments result = new();
        for (int i = 0; i < words.Count; i++)
        {
            string word = words[i];
            if (!word.StartsWith('-') || word.Trim('-').Length == 0)
            {
                return result with { Action = word };
            }

            string name = word.TrimStart('-');
            int equals = name.IndexOf('=', StringComparison.Ordinal);
            string? given = equals < 0 ? null : name[(equals + 1)..];
            name = equals < 0 ? name : name[..equals];
            if (name is "debug" or "v")
            {
                bool on = given is null or "true" or "1";
                result = name == "debug" ? result with { Debug = on } : result with { Version = on };
                continue;
            }

            string value = given ?? (++i < words.Count ? words[i] : throw new RunscException($"-{name}: the value is missing"));
            result = name switch
            {
                "namespace" => result with { Namespace = value },
                "id" => result with { Id = value },
                "address" => result with { Address = value },
                "publish-binary" => result with { PublishBinary = value },
                "bundle" => result with { Bundle = value },
                "socket" => result with { Socket = value },
                _ => throw new RunscException($"-{name}: unknown flag"),
            };
        }

        return result;
    }
}
