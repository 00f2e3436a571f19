using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.FileSystems.Pseudo;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.DevPts;

/// <summary>A device file of devpts, whose owner and mode can be changed.</summary>
internal abstract class TerminalInode(PseudoSuperBlock super, uint permissions, uint uid, uint gid) : PseudoInode(super, (uint)Stat.S_IFCHR | permissions)
{
    private readonly Lock _mu = new();

    // Guarded by _mu.
    private uint _permissions = permissions;
    private uint _uid = uid;
    private uint _gid = gid;

    public override bool OpensItself => true;

    public override Errno GetAttributes(out FileAttributes attributes)
    {
        Errno error = base.GetAttributes(out attributes);
        attributes.DeviceNumber = DeviceNumber;
        lock (_mu)
        {
            attributes.Mode = (uint)Stat.S_IFCHR | _permissions;
            attributes.Uid = _uid;
            attributes.Gid = _gid;
        }

        return error;
    }

    /// <summary>Times are accepted and not kept.</summary>
    public override Errno SetAttributes(in AttributeChange change)
    {
        lock (_mu)
        {
            _permissions = (change.Mask & AttributeMask.Mode) != 0 ? change.Mode & 0xfff : _permissions;
            _uid = (change.Mask & AttributeMask.Uid) != 0 ? change.Uid : _uid;
            _gid = (change.Mask & AttributeMask.Gid) != 0 ? change.Gid : _gid;
            return Errno.None;
        }
    }
}

/// <summary>The ptmx of a devpts: each opening makes a pseudo-terminal.</summary>
internal sealed class PtmxInode(PseudoSuperBlock super, DevPtsDirectory directory, in DevPtsOptions options)
    : TerminalInode(super, options.PtmxMode, options.Uid ?? 0, options.Gid ?? 0)
{
    public override ulong DeviceNumber => SpecialFiles.DeviceNumber(5, 2);

    public override Errno Open(ICaller caller, in VfsPath path, int flags, out FileDescription? file) => directory.OpenMaster(caller, path, flags, out file);
}

/// <summary>/dev/pts/N.</summary>
internal sealed class PtySlaveInode : TerminalInode
{
    private readonly Pty _pty;

    public PtySlaveInode(PseudoSuperBlock super, Pty pty, uint permissions, uint uid, uint gid)
        : base(super, permissions, uid, gid)
    {
        _pty = pty;

        // As in Linux: the root is 1, ptmx 2.
        Number = (ulong)pty.Index + 3;
    }

    public override ulong DeviceNumber => _pty.DeviceNumber;

    public override Errno Open(ICaller caller, in VfsPath path, int flags, out FileDescription? file) => _pty.OpenSlave(caller, path, flags, out file);
}
