using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Architecture;

/// <summary>The rules of Runsc/ARCHITECTURE.md that can be read off the source.</summary>
public sealed partial class SourceTests
{
    /// <summary>A folder may use folders of a lower rank only, and itself with what lies below it. The longest matching prefix counts.</summary>
    private static readonly Dictionary<string, int> s_ranks = new()
    {
        ["Common"] = 0,
        ["Linux"] = 1,
        ["Host"] = 2,
        ["NetStack"] = 2,
        ["NineP"] = 3,
        ["Platform"] = 3,
        ["Platform.Kvm"] = 4,
        ["Platform.Systrap"] = 4,
        ["Gofer"] = 4,
        ["Sentry.Waiting"] = 5,
        ["Sentry.Auth"] = 5,
        ["Sentry.Mapping"] = 5,
        ["Sentry.Vfs"] = 6,
        ["Sentry.Memory"] = 6,
        ["Sentry.Kernel"] = 7,
        ["Sentry.Loader"] = 8,
        ["Sentry.FileSystems"] = 8,
        ["Sentry.Sockets"] = 8,
        ["Sentry.Syscalls"] = 9,
        ["Oci"] = 10,
        ["Config"] = 10,
        ["Control"] = 10,
        ["Boot"] = 11,
        ["Container"] = 11,
        ["Shim"] = 11,
        ["Cli"] = 12,
    };

    /// <summary>Folders that must not use others although their rank would allow it.</summary>
    private static readonly Dictionary<string, string[]> s_forbidden = new()
    {
        ["Gofer"] = ["Sentry", "Platform", "NetStack"],
        ["Container"] = ["Sentry", "Platform", "NetStack", "NineP", "Gofer", "Boot"],
        ["Cli"] = ["Sentry", "Platform", "NetStack", "NineP", "Gofer"],
        ["Shim"] = ["Sentry", "Platform", "NetStack", "NineP", "Gofer", "Boot", "Container"],
        ["NetStack"] = ["Linux", "Host"],
        ["Sentry"] = ["Platform.Kvm", "Platform.Systrap", "Gofer"],
        ["Platform.Kvm"] = ["Platform.Systrap"],
        ["Platform.Systrap"] = ["Platform.Kvm"],
        ["Sentry.Vfs"] = ["Host", "NineP"],
        ["Sentry.Syscalls"] = ["Host", "NineP"],
        ["Oci"] = ["Sentry", "Platform", "NineP", "Gofer"],
        ["Config"] = ["Sentry", "Platform", "NineP", "Gofer"],
        ["Control"] = ["Sentry", "Platform", "NineP", "Gofer"],
    };

    private static readonly string s_source = Path.Combine(TestEnvironment.Top, "Runsc");

    [GeneratedRegex(@"\bRunsc\.((?:[A-Z]\w*\.?)+)")]
    private static partial Regex NamespaceUse();

    [Fact]
    public void Folders_UseOnlyLowerRanks()
    {
        List<string> bad = [];
        foreach ((string file, string text) in Sources())
        {
            string own = FolderName(file);
            foreach (Match match in NamespaceUse().Matches(Code(text)))
            {
                string used = match.Groups[1].Value.TrimEnd('.');
                string? target = LongestPrefix(used);
                string? home = LongestPrefix(own);
                if (target is null || home is null || target == home)
                {
                    continue;
                }

                if (s_ranks[target] > s_ranks[home] || IsForbidden(own, used))
                {
                    bad.Add($"{file}: {own} uses {used}");
                }
            }
        }

        Assert.True(bad.Count == 0, string.Join('\n', bad.Distinct()));
    }

    [Fact]
    public void NativeImports_AreInHostAndPlatformsOnly()
    {
        IEnumerable<string> bad = Sources()
            .Where(source => Code(source.Text).Contains("[LibraryImport", StringComparison.Ordinal) || Code(source.Text).Contains("[DllImport", StringComparison.Ordinal))
            .Select(source => source.File)
            .Where(file => !file.StartsWith("Host/", StringComparison.Ordinal) && !file.StartsWith("Platform/Kvm/", StringComparison.Ordinal) &&
                !file.StartsWith("Platform/Systrap/", StringComparison.Ordinal));
        Assert.Empty(bad);
    }

    [Fact]
    public void Files_HaveAtMost800Lines()
    {
        IEnumerable<string> bad = Sources().Where(source => source.Text.Count(c => c == '\n') > 800).Select(source => source.File);
        Assert.Empty(bad);
    }

    [Fact]
    public void Syscalls_ThrowNothing()
    {
        IEnumerable<string> bad = Sources()
            .Where(source => source.File.StartsWith("Sentry/Syscalls/", StringComparison.Ordinal) && Regex.IsMatch(Code(source.Text), @"\bthrow\b"))
            .Select(source => source.File);
        Assert.Empty(bad);
    }

    [Fact]
    public void Namespaces_AreFolders()
    {
        List<string> bad = [];
        foreach ((string file, string text) in Sources())
        {
            Match match = Regex.Match(text, @"^namespace ([\w.]+);", RegexOptions.Multiline);
            string folder = FolderName(file);
            string expected = folder.Length == 0 ? "Runsc" : "Runsc." + folder;
            if (match.Success && match.Groups[1].Value != expected)
            {
                bad.Add($"{file}: {match.Groups[1].Value}");
            }
        }

        Assert.True(bad.Count == 0, string.Join('\n', bad));
    }

    private static IEnumerable<(string File, string Text)> Sources() =>
        Directory.EnumerateFiles(s_source, "*.cs", SearchOption.AllDirectories)
            .Where(path => !path.Contains("/obj/", StringComparison.Ordinal))
            .Select(path => (Path.GetRelativePath(s_source, path), File.ReadAllText(path)));

    private static string FolderName(string file) => (Path.GetDirectoryName(file) ?? "").Replace('/', '.');

    /// <summary>The text without its comments and strings.</summary>
    private static string Code(string text) =>
        Regex.Replace(text, """//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*" """.TrimEnd(), "", RegexOptions.Singleline);

    private static string? LongestPrefix(string name)
    {
        for (string prefix = name; prefix.Length > 0; prefix = prefix.Contains('.', StringComparison.Ordinal) ? prefix[..prefix.LastIndexOf('.')] : "")
        {
            if (s_ranks.ContainsKey(prefix))
            {
                return prefix;
            }
        }

        return null;
    }

    private static bool IsForbidden(string own, string used) =>
        s_forbidden.Any(rule => IsBelow(own, rule.Key) && rule.Value.Any(target => IsBelow(used, target)));

    private static bool IsBelow(string name, string folder) => name == folder || name.StartsWith(folder + ".", StringComparison.Ordinal);
}
