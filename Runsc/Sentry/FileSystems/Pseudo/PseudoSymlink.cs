using System;
using System.Text;
using Runsc.Linux;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Pseudo;

/// <summary>A symbolic link whose target may depend on who reads it.</summary>
internal sealed class PseudoSymlink(PseudoSuperBlock super, Func<ICaller, string> target) : PseudoInode(super, (uint)Stat.S_IFLNK | 0x1ff)
{
    public PseudoSymlink(PseudoSuperBlock super, string target)
        : this(super, _ => target)
    {
    }

    public override Errno ReadLink(ICaller caller, out byte[] bytes)
    {
        string text = target(caller);
        bytes = Encoding.Latin1.GetBytes(text);
        return text.Length == 0 ? Errno.ENOENT : Errno.None;
    }

    public override Errno Open(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
    {
        file = null;
        return Errno.ELOOP;
    }
}
