using System;
using System.Collections.Generic;
using System.Globalization;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.FileSystems.Pseudo;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.DevPts;

/// <summary>The root of a devpts: its pseudo-terminals by number.</summary>
internal sealed class DevPtsDirectory : PseudoDirectory
{
    private readonly PseudoSuperBlock _super;
    private readonly SentryKernel _kernel;
    private readonly DevPtsOptions _options;
    private readonly Lock _mu = new();

    // Guarded by _mu. A null inode: the name is gone, the number is still in use. The table holds a reference on each inode.
    private readonly SortedDictionary<int, PtySlaveInode?> _terminals = [];

    public DevPtsDirectory(PseudoSuperBlock super, SentryKernel kernel, in DevPtsOptions options)
        : base(super, 0x1ed)
    {
        _super = super;
        _kernel = kernel;
        _options = options;
        Number = 1;
    }

    public override bool CachesChildren => false;

    /// <summary>A new pseudo-terminal, its slave owned by <paramref name="credentials"/>. ENOSPC when there are too many.</summary>
    public Errno Allocate(Credentials credentials, out Pty? pty)
    {
        pty = null;
        lock (_mu)
        {
            int index = 0;
            while (_terminals.ContainsKey(index))
            {
                index++;
            }

            if (index >= _options.Maximum)
            {
                return Errno.ENOSPC;
            }

            pty = new Pty(_kernel, this, index);
            _terminals.Add(index, new PtySlaveInode(_super, pty, _options.Mode, _options.Uid ?? credentials.FsUid, _options.Gid ?? credentials.FsGid));
            return Errno.None;
        }
    }

    public Errno OpenMaster(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
    {
        file = null;
        Errno error = Allocate(caller.Credentials, out Pty? pty);
        if (error == Errno.None)
        {
            file = new PtyMasterDescription(pty!, path, flags);
        }

        return error;
    }

    /// <summary>The master is closed: the name goes.</summary>
    public void Hide(int index)
    {
        PtySlaveInode? inode;
        lock (_mu)
        {
            inode = _terminals[index];
            _terminals[index] = null;
        }

        inode?.DecRef();
    }

    /// <summary>Both ends are closed: the number is free.</summary>
    public void Free(int index)
    {
        lock (_mu)
        {
            _terminals.Remove(index);
        }
    }

    /// <summary>A name that somebody still holds leads nowhere once its master is closed.</summary>
    public override bool IsChildValid(ReadOnlySpan<byte> name, Inode? child)
    {
        if (child is not PtySlaveInode || !TryParse(name, out int index))
        {
            return child is PtmxInode;
        }

        lock (_mu)
        {
            return _terminals.GetValueOrDefault(index) == child;
        }
    }

    private static bool TryParse(ReadOnlySpan<byte> name, out int index) =>
        int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out index) && (name.Length == 1 || name[0] != (byte)'0');

    protected override Errno LookupDynamic(ReadOnlySpan<byte> name, out Inode? child)
    {
        child = null;
        if (!TryParse(name, out int index))
        {
            return Errno.ENOENT;
        }

        lock (_mu)
        {
            child = _terminals.GetValueOrDefault(index);
            child?.IncRef();
        }

        return child is null ? Errno.ENOENT : Errno.None;
    }

    protected override void ListDynamic(ICaller caller, long from, DynamicEntryVisitor visit)
    {
        List<(int Index, ulong Number)> entries = [];
        lock (_mu)
        {
            foreach ((int index, PtySlaveInode? inode) in _terminals)
            {
                if (index >= from && inode is not null)
                {
                    entries.Add((index, inode.Number));
                }
            }
        }

        foreach ((int index, ulong number) in entries)
        {
            if (!visit(index, index.ToString(CultureInfo.InvariantCulture), number, (byte)Dirent.DT_CHR))
            {
                return;
            }
        }
    }
}
