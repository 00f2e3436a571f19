using Runsc.Linux;

namespace Runsc.Boot;

/// <summary>What strerror(3) says of the errors that starting a process can meet, in the spelling that callers of OCI runtimes match.</summary>
internal static class ErrorText
{
    public static string Of(Errno error) => error switch
    {
        Errno.ENOENT => "no such file or directory",
        Errno.EACCES => "permission denied",
        Errno.EPERM => "operation not permitted",
        Errno.ENOEXEC => "exec format error",
        Errno.ENOTDIR => "not a directory",
        Errno.EISDIR => "is a directory",
        Errno.ELOOP => "too many levels of symbolic links",
        Errno.ENAMETOOLONG => "file name too long",
        Errno.ENOMEM => "cannot allocate memory",
        Errno.E2BIG => "argument list too long",
        Errno.ELIBBAD => "accessing a corrupted shared library",
        Errno.EIO => "input/output error",
        _ => $"errno {(int)error}",
    };
}
