using System;
using System.Text;
using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.FileSystems.Pseudo;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Proc;

/// <summary>Which of the files.</summary>
internal enum IdMapKind
{
    Users,
    Groups,
    SetGroups,
}

/// <summary>/proc/PID/uid_map, gid_map and setgroups (user_namespaces(7)). What counts are the rights of who opened it: writing may be left to a program that has more.</summary>
internal sealed class IdMapFile : PseudoFile
{
    private readonly PseudoSuperBlock _super;
    private readonly Task _task;
    private readonly IdMapKind _kind;

    // Set in what an open file refers to.
    private Credentials? _opener;
    private UserNamespace _users = UserNamespace.Initial;

    public IdMapFile(PseudoSuperBlock super, Task task, ulong number, IdMapKind kind)
        : base(super, 0x1a4)
    {
        _super = super;
        _task = task;
        _kind = kind;
        Number = number;
    }

    protected override (uint Uid, uint Gid) Owner => TaskFile.OwnerOf(_task);

    protected override bool StoresNothing => true;

    protected override Errno CheckOpen(ICaller caller, int flags)
    {
        bool writes = (flags & Fcntl.O_ACCMODE) != Fcntl.O_RDONLY;
        return _kind == IdMapKind.SetGroups && writes && !caller.Credentials.HasCapability(Capability.CAP_SYS_ADMIN, _users) ? Errno.EACCES : Errno.None;
    }

    public override Errno Open(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
    {
        if (_opener is not null)
        {
            return base.Open(caller, path, flags, out file);
        }

        IdMapFile opened = new(_super, _task, Number, _kind) { _opener = caller.Credentials, _users = _task.Credentials.UserNamespace };
        return opened.Open(caller, path, flags, out file);
    }

    public override Errno Generate(ICaller caller, StringBuilder text)
    {
        UserNamespace reader = _opener!.UserNamespace;
        if (_kind == IdMapKind.SetGroups)
        {
            text.Append(_users.AllowsSetGroups ? "allow\n" : "deny\n");
        }
        else if (_users.Parent is null)
        {
            text.Append(_kind == IdMapKind.Users ? _task.IdMaps.Users : _task.IdMaps.Groups);
        }
        else
        {
            // Who is inside sees the ids of the parent.
            reader = reader == _users ? _users.Parent : reader;
            (_kind == IdMapKind.Users ? _users.Uids : _users.Gids).AppendTo(text, _kind == IdMapKind.Users ? reader.Uids : reader.Gids);
        }

        return Errno.None;
    }

    public override Errno Store(ICaller caller, ReadOnlySpan<byte> value)
    {
        const int maximum = 4096;
        if (_kind != IdMapKind.SetGroups)
        {
            return value.Length >= maximum ? Errno.EINVAL : _users.SetMap(value, _kind == IdMapKind.Users, _opener!, caller.Credentials);
        }

        ReadOnlySpan<byte> word = value.TrimEnd(" \t\n\v\f\r\0"u8);
        bool allow = word.SequenceEqual("allow"u8);
        return value.Length >= 8 || (!allow && !word.SequenceEqual("deny"u8)) ? Errno.EINVAL : _users.SetSetGroups(allow);
    }
}
