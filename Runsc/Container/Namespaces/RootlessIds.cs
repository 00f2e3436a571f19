using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using Runsc.Common;
using Runsc.Host.Processes;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Oci;

namespace Runsc.Container.Namespaces;

/// <summary>
/// The ids of an ordinary user's sandbox: the user is root inside, and where newuidmap(1) and newgidmap(1) are installed and subuid(5) and subgid(5) grant
/// ranges, those follow from 1 on. Otherwise the kernel allows the one id only (user_namespaces(7)).
/// </summary>
internal static class RootlessIds
{
    private const string UserTool = "/usr/bin/newuidmap", GroupTool = "/usr/bin/newgidmap";

    public static (List<IdMappingSpec> Users, List<IdMappingSpec> Groups) Read()
    {
        uint user = HostProcess.EffectiveUser, group = HostProcess.EffectiveGroup;
        List<IdMappingSpec> users = [new IdMappingSpec { ContainerID = 0, HostID = user, Size = 1 }];
        List<IdMappingSpec> groups = [new IdMappingSpec { ContainerID = 0, HostID = group, Size = 1 }];
        string? name = NameOf(user, ReadLines("/etc/passwd"));
        if (File.Exists(UserTool) && File.Exists(GroupTool)
            && Range(ReadLines("/etc/subuid"), name, user) is IdMappingSpec moreUsers && Range(ReadLines("/etc/subgid"), name, user) is IdMappingSpec moreGroups)
        {
            users.Add(moreUsers);
            groups.Add(moreGroups);
        }

        return (users, groups);
    }

    /// <summary>Maps the ids of a process of this user.</summary>
    /// <exception cref="RunscException">The kernel or the tools refuse.</exception>
    public static void Write(int process, IReadOnlyList<IdMappingSpec> users, IReadOnlyList<IdMappingSpec> groups)
    {
        if (IsOwnOnly(users) && IsOwnOnly(groups))
        {
            try
            {
                // Without it a user could leave groups that deny access to files.
                File.WriteAllText($"/proc/{process}/setgroups", "deny");
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                throw new RunscException($"cannot set up the user namespace: {error.Message}");
            }

            NamespacePlan.WriteMap($"/proc/{process}/uid_map", users);
            NamespacePlan.WriteMap($"/proc/{process}/gid_map", groups);
            return;
        }

        Run(UserTool, process, users);
        Run(GroupTool, process, groups);
    }

    /// <summary>The first range that a file like subuid(5) grants to a user, by name or number; as ids from 1 on.</summary>
    internal static IdMappingSpec? Range(IEnumerable<string> lines, string? name, uint id)
    {
        string number = id.ToString(CultureInfo.InvariantCulture);
        foreach (string line in lines)
        {
            string[] fields = line.Trim().Split(':');
            if (fields.Length == 3 && (fields[0] == name || fields[0] == number)
                && uint.TryParse(fields[1], NumberStyles.None, CultureInfo.InvariantCulture, out uint first)
                && uint.TryParse(fields[2], NumberStyles.None, CultureInfo.InvariantCulture, out uint count) && count > 0)
            {
                return new IdMappingSpec { ContainerID = 1, HostID = first, Size = count };
            }
        }

        return null;
    }

    /// <summary>The name of a user in passwd(5).</summary>
    internal static string? NameOf(uint id, IEnumerable<string> lines)
    {
        string number = id.ToString(CultureInfo.InvariantCulture);
        foreach (string line in lines)
        {
            string[] fields = line.Split(':');
            if (fields.Length >= 3 && fields[2] == number)
            {
                return fields[0];
            }
        }

        return null;
    }

    /// <summary>Root, and not just that of a user namespace (Podman's, of an ordinary user), which may not do all that root does.</summary>
    public static bool IsHostRoot()
    {
        try
        {
            string[] map = File.ReadAllText("/proc/self/uid_map").Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            return Environment.IsPrivilegedProcess && (map.Length < 3 || (map[1] == "0" && map[2] == "4294967295"));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return Environment.IsPrivilegedProcess;
        }
    }

    private static bool IsOwnOnly(IReadOnlyList<IdMappingSpec> map) => map.Count == 1 && map[0].Size == 1;

    private static string[] ReadLines(string file)
    {
        try
        {
            return File.ReadAllLines(file);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    private static void Run(string tool, int process, IReadOnlyList<IdMappingSpec> map)
    {
        List<string> arguments = [tool, process.ToString(CultureInfo.InvariantCulture)];
        foreach (IdMappingSpec range in map)
        {
            arguments.Add(range.ContainerID.ToString(CultureInfo.InvariantCulture));
            arguments.Add(range.HostID.ToString(CultureInfo.InvariantCulture));
            arguments.Add(range.Size.ToString(CultureInfo.InvariantCulture));
        }

        int none = HostFile.OpenAt(Fcntl.AT_FDCWD, "/dev/null\0"u8, Fcntl.O_RDWR | Fcntl.O_CLOEXEC);
        int child = HostProcess.Spawn(tool, arguments, [], none, none, none);
        int result = child < 0 ? child : HostProcess.Wait(child, out child);
        _ = HostFile.Close(none);
        if (result < 0 || child != 0)
        {
            throw new RunscException($"{tool} refuses the map of ids: {(result < 0 ? $"errno {-result}" : $"status {child >> 8}")}");
        }
    }
}
