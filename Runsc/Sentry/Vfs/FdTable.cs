using System;
using System.Numerics;
using System.Threading;
using Runsc.Linux;

namespace Runsc.Sentry.Vfs;

/// <summary>File descriptors of a process (Linux: struct files_struct); shared by tasks made with CLONE_FILES.</summary>
internal sealed class FdTable
{
    private readonly Lock _mu = new();

    // Guarded by _mu. Each entry holds a reference.
    private FileDescription?[] _files = new FileDescription?[64];
    private ulong[] _closeOnExec = new ulong[1];
    private int _lowestFree;

    private int _users = 1;

    /// <summary>The description with a reference for the caller, or null (EBADF).</summary>
    public FileDescription? Get(int fd)
    {
        lock (_mu)
        {
            if (fd < 0 || fd >= _files.Length || _files[fd] is not FileDescription file)
            {
                return null;
            }

            file.IncRef();
            return file;
        }
    }

    /// <summary>
    /// Puts a description (whose reference passes on success) at the lowest free number from <paramref name="minimum"/> on:
    /// the number, or −EMFILE when that is not below <paramref name="limit"/> (RLIMIT_NOFILE).
    /// </summary>
    public int Add(FileDescription file, bool closeOnExec, ulong limit, int minimum = 0)
    {
        lock (_mu)
        {
            int fd = Math.Max(minimum, _lowestFree);
            while (fd < _files.Length && _files[fd] is not null)
            {
                fd++;
            }

            if ((ulong)fd >= limit)
            {
                return -(int)Errno.EMFILE;
            }

            SetLocked(fd, file, closeOnExec);
            if (minimum <= _lowestFree)
            {
                _lowestFree = fd + 1;
            }

            return fd;
        }
    }

    /// <summary>dup2: puts a description (whose reference passes) at a number; what was there comes back for the caller to release.</summary>
    public FileDescription? Replace(int fd, FileDescription file, bool closeOnExec)
    {
        lock (_mu)
        {
            FileDescription? old = fd < _files.Length ? _files[fd] : null;
            SetLocked(fd, file, closeOnExec);
            return old;
        }
    }

    /// <summary>Takes a description out of the table; its reference passes to the caller. Null: EBADF.</summary>
    public FileDescription? Remove(int fd)
    {
        lock (_mu)
        {
            return RemoveLocked(fd);
        }
    }

    public bool? GetCloseOnExec(int fd)
    {
        lock (_mu)
        {
            return fd >= 0 && fd < _files.Length && _files[fd] is not null ? (_closeOnExec[fd >> 6] >> (fd & 63) & 1) != 0 : null;
        }
    }

    public bool SetCloseOnExec(int fd, bool value)
    {
        lock (_mu)
        {
            if (fd < 0 || fd >= _files.Length || _files[fd] is null)
            {
                return false;
            }

            SetBitLocked(fd, value);
            return true;
        }
    }

    /// <summary>The lowest open number at or after <paramref name="fd"/>, or −1.</summary>
    public int Next(int fd)
    {
        lock (_mu)
        {
            for (; fd < _files.Length; fd++)
            {
                if (_files[fd] is not null)
                {
                    return fd;
                }
            }

            return -1;
        }
    }

    /// <summary>Capacity, as FDSize of /proc/PID/status.</summary>
    public int Capacity
    {
        get
        {
            lock (_mu)
            {
                return _files.Length;
            }
        }
    }

    /// <summary>A copy for fork: the same descriptions.</summary>
    public FdTable Fork()
    {
        FdTable copy = new();
        lock (_mu)
        {
            copy._files = (FileDescription?[])_files.Clone();
            copy._closeOnExec = (ulong[])_closeOnExec.Clone();
            copy._lowestFree = _lowestFree;
            foreach (FileDescription? file in copy._files)
            {
                file?.IncRef();
            }
        }

        return copy;
    }

    /// <summary>execve: closes what is marked.</summary>
    public void CloseOnExec(ICaller caller)
    {
        for (int word = 0; word < _closeOnExec.Length; word++)
        {
            ulong bits;
            lock (_mu)
            {
                bits = _closeOnExec[word];
            }

            while (bits != 0)
            {
                int fd = (word << 6) + BitOperations.TrailingZeroCount(bits);
                bits &= bits - 1;
                Close(caller, fd);
            }
        }
    }

    /// <summary>close(2): EBADF, or what the file says.</summary>
    public Errno Close(ICaller caller, int fd)
    {
        FileDescription? file = Remove(fd);
        if (file is null)
        {
            return Errno.EBADF;
        }

        Errno error = file.OnClose(caller);

        // Record locks of a process go when it closes any descriptor of the file (fcntl(2)).
        file.Inode.Locks?.ReleaseAllOf(this);
        file.DecRef();
        return error;
    }

    public bool IsShared => Volatile.Read(ref _users) > 1;

    public void IncUsers() => Interlocked.Increment(ref _users);

    /// <summary>A task goes; the last closes everything.</summary>
    public void DecUsers(ICaller caller)
    {
        if (Interlocked.Decrement(ref _users) > 0)
        {
            return;
        }

        for (int fd = Next(0); fd >= 0; fd = Next(fd + 1))
        {
            Close(caller, fd);
        }
    }

    private void SetLocked(int fd, FileDescription file, bool closeOnExec)
    {
        if (fd >= _files.Length)
        {
            int size = (int)BitOperations.RoundUpToPowerOf2((uint)fd + 1);
            Array.Resize(ref _files, size);
            Array.Resize(ref _closeOnExec, size / 64);
        }

        _files[fd] = file;
        SetBitLocked(fd, closeOnExec);
    }

    private void SetBitLocked(int fd, bool value)
    {
        ulong bit = 1UL << (fd & 63);
        if (value)
        {
            _closeOnExec[fd >> 6] |= bit;
        }
        else
        {
            _closeOnExec[fd >> 6] &= ~bit;
        }
    }

    private FileDescription? RemoveLocked(int fd)
    {
        if (fd < 0 || fd >= _files.Length || _files[fd] is not FileDescription file)
        {
            return null;
        }

        _files[fd] = null;
        SetBitLocked(fd, false);
        _lowestFree = Math.Min(_lowestFree, fd);
        return file;
    }
}
