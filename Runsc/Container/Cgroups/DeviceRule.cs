using System.Collections.Generic;
using System.Globalization;
using Runsc.Oci;

namespace Runsc.Container.Cgroups;

/// <summary>A rule about devices (cgroups-v1 devices): what may be done with those that it matches.</summary>
/// <param name="Allow">Or deny.</param>
/// <param name="Type">'c', 'b', or 'a' for all devices whatever their numbers.</param>
/// <param name="Major">−1 for all.</param>
/// <param name="Minor">−1 for all.</param>
/// <param name="Access">Bits of BPF_DEVCG_ACC_*: 1 mknod, 2 read, 4 write.</param>
internal readonly record struct DeviceRule(bool Allow, char Type, long Major, long Minor, int Access)
{
    public const int Mknod = 1, Read = 2, Write = 4, Everything = Mknod | Read | Write;

    // Allowed whatever the rules say, as callers expect of a runtime: /dev/null, zero, full, random, urandom, tty, ptmx, terminals; and nodes may be made.
    private static readonly DeviceRule[] s_default =
    [
        new(true, 'c', 1, 3, Everything), new(true, 'c', 1, 5, Everything), new(true, 'c', 1, 7, Everything), new(true, 'c', 1, 8, Everything), new(true, 'c', 1, 9, Everything),
        new(true, 'c', 5, 0, Everything), new(true, 'c', 5, 2, Everything), new(true, 'c', 136, -1, Everything), new(true, 'c', -1, -1, Mknod), new(true, 'b', -1, -1, Mknod),
    ];

    /// <summary>The rules of linux.resources.devices in their order, with those that always hold.</summary>
    public static List<DeviceRule> All(List<DeviceRuleSpec> specs)
    {
        List<DeviceRule> rules = [];
        foreach (DeviceRuleSpec spec in specs)
        {
            rules.Add(Of(spec));
        }

        rules.AddRange(s_default);
        return rules;
    }

    private static DeviceRule Of(DeviceRuleSpec spec)
    {
        int access = 0;
        foreach (char letter in string.IsNullOrEmpty(spec.Access) ? "rwm" : spec.Access)
        {
            access |= letter switch { 'r' => Read, 'w' => Write, _ => Mknod };
        }

        char type = string.IsNullOrEmpty(spec.Type) ? 'a' : spec.Type[0];
        return new DeviceRule(spec.Allow, type, spec.Major is long major and >= 0 ? major : -1, spec.Minor is long minor and >= 0 ? minor : -1, access);
    }

    /// <summary>As devices.allow takes it.</summary>
    public override string ToString()
    {
        string access = ((Access & Read) != 0 ? "r" : "") + ((Access & Write) != 0 ? "w" : "") + ((Access & Mknod) != 0 ? "m" : "");
        return Type == 'a' ? "a" : string.Create(CultureInfo.InvariantCulture, $"{Type} {Number(Major)}:{Number(Minor)} {access}");
    }

    private static string Number(long number) => number < 0 ? "*" : number.ToString(CultureInfo.InvariantCulture);
}
