using System;
using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel.Ipc;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;

namespace Runsc.Boot;

/// <summary>Root with all rights in a container's mounts, who is no task: sets the container up, and reads its files for the command line.</summary>
internal sealed class BuilderCaller : ICaller, INamespaceUser
{
    /// <summary>For files only.</summary>
    public BuilderCaller(MountNamespace mounts)
        : this(mounts, new UtsNamespace(), new IpcNamespace())
    {
    }

    public BuilderCaller(MountNamespace mounts, UtsNamespace uts, IpcNamespace ipc)
    {
        MountNamespace = mounts;
        Uts = uts;
        Ipc = ipc;
        VfsPath root = mounts.GetRootPath();
        root.IncRef();
        Fs = new FsContext(root, root, 0);
    }

    public Credentials Credentials { get; } = new() { Effective = Credentials.AllCapabilities, Permitted = Credentials.AllCapabilities };

    public IUserMemory UserMemory => throw new InvalidOperationException("there is no application here");

    public FsContext? Fs { get; }

    public MountNamespace MountNamespace { get; }

    public UtsNamespace Uts { get; }

    public IpcNamespace Ipc { get; }

    public int ProcessId => 0;

    public ulong FileSizeLimit => ulong.MaxValue;

    public void FileSizeExceeded()
    {
    }

    /// <summary>What a path leads to, with references; links are followed inside the container.</summary>
    public Errno Resolve(ReadOnlySpan<byte> path, out VfsPath place)
    {
        VfsPath root = MountNamespace.GetRootPath();
        Errno error = PathWalker.Resolve(this, root, path, WalkFlags.FollowLast, out place);
        root.DecRef();
        return error;
    }
}
