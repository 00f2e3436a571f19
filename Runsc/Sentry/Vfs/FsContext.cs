using System.Threading;

namespace Runsc.Sentry.Vfs;

/// <summary>Root, working directory and umask; shared by tasks made with CLONE_FS (Linux: struct fs_struct).</summary>
internal sealed class FsContext
{
    private readonly Lock _mu = new();

    // Guarded by _mu; the context holds a reference on each.
    private VfsPath _root;
    private VfsPath _workingDirectory;
    private uint _umask;

    private int _references = 1;

    /// <summary>The references of both paths pass to the context.</summary>
    public FsContext(in VfsPath root, in VfsPath workingDirectory, uint umask)
    {
        _root = root;
        _workingDirectory = workingDirectory;
        _umask = umask;
    }

    /// <summary>With a reference for the caller.</summary>
    public VfsPath GetRoot()
    {
        lock (_mu)
        {
            _root.IncRef();
            return _root;
        }
    }

    /// <summary>With a reference for the caller.</summary>
    public VfsPath GetWorkingDirectory()
    {
        lock (_mu)
        {
            _workingDirectory.IncRef();
            return _workingDirectory;
        }
    }

    /// <summary>chroot(2). Takes over the caller's reference.</summary>
    public void SetRoot(in VfsPath path)
    {
        VfsPath old;
        lock (_mu)
        {
            old = _root;
            _root = path;
        }

        old.DecRef();
    }

    /// <summary>chdir(2). Takes over the caller's reference.</summary>
    public void SetWorkingDirectory(in VfsPath path)
    {
        VfsPath old;
        lock (_mu)
        {
            old = _workingDirectory;
            _workingDirectory = path;
        }

        old.DecRef();
    }

    public uint Umask
    {
        get
        {
            lock (_mu)
            {
                return _umask;
            }
        }
    }

    /// <summary>umask(2): the old one.</summary>
    public uint ExchangeUmask(uint umask)
    {
        lock (_mu)
        {
            uint old = _umask;
            _umask = umask & 0x1ff;
            return old;
        }
    }

    /// <summary>A copy for fork without CLONE_FS or unshare(CLONE_FS).</summary>
    public FsContext Fork()
    {
        lock (_mu)
        {
            _root.IncRef();
            _workingDirectory.IncRef();
            return new FsContext(_root, _workingDirectory, _umask);
        }
    }

    /// <summary>A new mount namespace: both paths go to the copies of their mounts.</summary>
    public void MoveTo(System.Collections.Generic.Dictionary<Mount, Mount> map)
    {
        VfsPath oldRoot = default, oldWorking = default;
        lock (_mu)
        {
            if (map.TryGetValue(_root.Mount, out Mount? root))
            {
                oldRoot = _root;
                _root = new VfsPath(root, oldRoot.Dentry);
                _root.IncRef();
            }

            if (map.TryGetValue(_workingDirectory.Mount, out Mount? working))
            {
                oldWorking = _workingDirectory;
                _workingDirectory = new VfsPath(working, oldWorking.Dentry);
                _workingDirectory.IncRef();
            }
        }

        if (oldRoot.Mount is not null)
        {
            oldRoot.DecRef();
        }

        if (oldWorking.Mount is not null)
        {
            oldWorking.DecRef();
        }
    }

    /// <summary>pivot_root(2): whoever stands at the old root stands at the new one.</summary>
    public void ReplaceRoot(in VfsPath old, in VfsPath now)
    {
        int replaced = 0;
        lock (_mu)
        {
            if (_root == old)
            {
                now.IncRef();
                _root = now;
                replaced++;
            }

            if (_workingDirectory == old)
            {
                now.IncRef();
                _workingDirectory = now;
                replaced++;
            }
        }

        for (; replaced > 0; replaced--)
        {
            old.DecRef();
        }
    }

    public bool IsShared => Volatile.Read(ref _references) > 1;

    public void IncRef() => Interlocked.Increment(ref _references);

    /// <summary>Takes a reference unless the last task that used it has ended: for readers of /proc.</summary>
    public bool TryIncRef()
    {
        int count = Volatile.Read(ref _references);
        while (count > 0)
        {
            int seen = Interlocked.CompareExchange(ref _references, count + 1, count);
            if (seen == count)
            {
                return true;
            }

            count = seen;
        }

        return false;
    }

    public void DecRef()
    {
        if (Interlocked.Decrement(ref _references) == 0)
        {
            _root.DecRef();
            _workingDirectory.DecRef();
        }
    }
}
