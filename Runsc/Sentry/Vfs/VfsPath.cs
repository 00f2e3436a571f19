namespace Runsc.Sentry.Vfs;

/// <summary>A place in the tree: a dentry as seen through a mount (Linux: struct path).</summary>
internal readonly record struct VfsPath(Mount Mount, Dentry Dentry)
{
    public bool IsNull => Mount is null;

    public void IncRef()
    {
        Mount.IncRef();
        Dentry.IncRef();
    }

    public void DecRef()
    {
        Dentry.DecRef();
        Mount.DecRef();
    }
}
