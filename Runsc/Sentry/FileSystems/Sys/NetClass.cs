using System.Text;
using Runsc.Linux;
using Runsc.Sentry.FileSystems.Pseudo;
using Runsc.Sentry.Sockets;
using Runsc.Sentry.Sockets.Inet;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Sys;

/// <summary>/sys/class/net and /sys/devices/virtual/net: the interfaces of a network namespace, as links or as directories.</summary>
internal sealed class NetClass(PseudoSuperBlock super, NetNamespace network, bool isClass) : PseudoDirectory(super)
{
    private readonly PseudoSuperBlock _super = super;

    protected override Errno LookupDynamic(System.ReadOnlySpan<byte> name, out Inode? child)
    {
        string text = Encoding.Latin1.GetString(name);
        child = null;
        if (!LinkAttributes.Exists(network, text))
        {
            return Errno.ENOENT;
        }

        child = isClass ? new PseudoSymlink(_super, "../../devices/virtual/net/" + text) : Describe(text);
        return Errno.None;
    }

    protected override void ListDynamic(ICaller caller, long from, DynamicEntryVisitor visit)
    {
        // Numbers of their own, above those of the fixed tree.
        const ulong firstNumber = 1 << 20;
        foreach ((int index, string name) in LinkAttributes.Interfaces(network))
        {
            if (index >= from && !visit(index, name, firstNumber + (ulong)index, (byte)(isClass ? Dirent.DT_LNK : Dirent.DT_DIR)))
            {
                return;
            }
        }
    }

    private PseudoDirectory Describe(string name)
    {
        PseudoDirectory directory = new(_super), statistics = new(_super);
        foreach ((string file, var text) in LinkAttributes.Files)
        {
            directory.Add(file, new PseudoTextFile(_super, () => LinkAttributes.Read(network, name, text)));
        }

        foreach ((string file, var text) in LinkAttributes.IsTun(network, name) ? LinkAttributes.Tun : [])
        {
            directory.Add(file, new PseudoTextFile(_super, () => LinkAttributes.Read(network, name, text)));
        }

        foreach ((string file, var text) in LinkAttributes.Statistics)
        {
            statistics.Add(file, new PseudoTextFile(_super, () => LinkAttributes.Read(network, name, text)));
        }

        return directory.Add("statistics", statistics).Add("subsystem", new PseudoSymlink(_super, "../../../../class/net"));
    }
}
