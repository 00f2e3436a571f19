using System;
using System.Collections.Generic;
using Runsc.Linux;

namespace Runsc.Oci;

/// <summary>A mount's options, taken apart: flags by the names of mount(8) and of the specification, the rest for the file system.</summary>
internal sealed class MountOptions
{
    private static readonly Dictionary<string, (ulong Set, ulong Clear)> s_flags = new(StringComparer.Ordinal)
    {
        ["defaults"] = (0, 0),
        ["ro"] = (Mount.MS_RDONLY, 0),
        ["rw"] = (0, Mount.MS_RDONLY),
        ["nosuid"] = (Mount.MS_NOSUID, 0),
        ["suid"] = (0, Mount.MS_NOSUID),
        ["nodev"] = (Mount.MS_NODEV, 0),
        ["dev"] = (0, Mount.MS_NODEV),
        ["noexec"] = (Mount.MS_NOEXEC, 0),
        ["exec"] = (0, Mount.MS_NOEXEC),
        ["sync"] = (Mount.MS_SYNCHRONOUS, 0),
        ["async"] = (0, Mount.MS_SYNCHRONOUS),
        ["dirsync"] = (Mount.MS_DIRSYNC, 0),
        ["mand"] = (Mount.MS_MANDLOCK, 0),
        ["nomand"] = (0, Mount.MS_MANDLOCK),
        ["atime"] = (0, Mount.MS_NOATIME),
        ["noatime"] = (Mount.MS_NOATIME, 0),
        ["diratime"] = (0, Mount.MS_NODIRATIME),
        ["nodiratime"] = (Mount.MS_NODIRATIME, 0),
        ["relatime"] = (Mount.MS_RELATIME, 0),
        ["norelatime"] = (0, Mount.MS_RELATIME),
        ["strictatime"] = (Mount.MS_STRICTATIME, 0),
        ["nostrictatime"] = (0, Mount.MS_STRICTATIME),
        ["lazytime"] = (Mount.MS_LAZYTIME, 0),
        ["nolazytime"] = (0, Mount.MS_LAZYTIME),
        ["iversion"] = (Mount.MS_I_VERSION, 0),
        ["noiversion"] = (0, Mount.MS_I_VERSION),
        ["acl"] = (Mount.MS_POSIXACL, 0),
        ["noacl"] = (0, Mount.MS_POSIXACL),
        ["silent"] = (Mount.MS_SILENT, 0),
        ["loud"] = (0, Mount.MS_SILENT),
        ["nosymfollow"] = (Mount.MS_NOSYMFOLLOW, 0),
        ["symfollow"] = (0, Mount.MS_NOSYMFOLLOW),
        ["remount"] = (Mount.MS_REMOUNT, 0),
    };

    private static readonly string[] s_propagation = ["private", "rprivate", "shared", "rshared", "slave", "rslave", "unbindable", "runbindable"];

    // Attributes that hold for all mounts of the bound tree: a tree is one mount here.
    private static readonly string[] s_recursive = ["rro", "rrw", "rnosuid", "rsuid", "rnodev", "rdev", "rnoexec", "rexec", "rnoatime", "ratime", "rnodiratime", "rdiratime",
        "rrelatime", "rnorelatime", "rstrictatime", "rnostrictatime", "rnosymfollow", "rsymfollow"];

    /// <summary>MS_* flags of the mount.</summary>
    public ulong Flags { get; private set; }

    public bool IsBind { get; private set; }

    /// <summary>With what is mounted below the source.</summary>
    public bool IsRecursive { get; private set; }

    /// <summary>tmpfs: starts with what is at the mount point.</summary>
    public bool CopiesUp { get; private set; }

    /// <summary>idmap, ridmap.</summary>
    public bool MapsIds { get; private set; }

    /// <summary>ridmap: also what is mounted below the source.</summary>
    public bool MapsBelow { get; private set; }

    /// <summary>One of private, rprivate, …; null when not given.</summary>
    public string? Propagation { get; private set; }

    /// <summary>What the file system itself is to understand, with commas between.</summary>
    public string Data { get; private set; } = "";

    /// <summary>Names of all options that are not a file system's, for `features`.</summary>
    public static List<string> Names
    {
        get
        {
            List<string> names = [.. s_flags.Keys, .. s_propagation, .. s_recursive, "bind", "rbind", "idmap", "ridmap", "tmpcopyup"];
            names.Sort(StringComparer.Ordinal);
            return names;
        }
    }

    public static bool IsPropagation(string word) => Array.IndexOf(s_propagation, word) >= 0;

    public static MountOptions Parse(MountSpec mount)
    {
        MountOptions result = new() { IsBind = mount.Type == "bind" };
        List<string> data = [];
        foreach (string option in mount.Options ?? [])
        {
            string word = option;
            if (Array.IndexOf(s_recursive, word) >= 0)
            {
                word = word[1..];
            }

            if (s_flags.TryGetValue(word, out (ulong Set, ulong Clear) flag))
            {
                result.Flags = (result.Flags & ~flag.Clear) | flag.Set;
            }
            else if (word is "bind" or "rbind")
            {
                result.IsBind = true;
                result.IsRecursive |= word == "rbind";
            }
            else if (IsPropagation(word))
            {
                result.Propagation = word;
            }
            else if (word == "tmpcopyup")
            {
                result.CopiesUp = true;
            }
            else if (word is "idmap" or "ridmap")
            {
                result.MapsIds = true;
                result.MapsBelow |= word == "ridmap";
            }
            else
            {
                data.Add(word);
            }
        }

        result.Data = string.Join(',', data);
        return result;
    }
}
