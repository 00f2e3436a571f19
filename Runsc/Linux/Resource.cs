namespace Runsc.Linux;

/// <summary>sys/resource.h: getrlimit(2), getrusage(2), getpriority(2).</summary>
internal static class Resource
{
    public const int PRIO_PROCESS = 0;
    public const int PRIO_PGRP = 1;
    public const int PRIO_USER = 2;
    public const int PRIO_MAX = 20;
    public const int PRIO_MIN = -20;

    public const int RLIMIT_CPU = 0;
    public const int RLIMIT_FSIZE = 1;
    public const int RLIMIT_DATA = 2;
    public const int RLIMIT_STACK = 3;
    public const int RLIMIT_CORE = 4;
    public const int RLIMIT_RSS = 5;
    public const int RLIMIT_NPROC = 6;
    public const int RLIMIT_NOFILE = 7;
    public const int RLIMIT_OFILE = 7;
    public const int RLIMIT_MEMLOCK = 8;
    public const int RLIMIT_AS = 9;
    public const int RLIMIT_LOCKS = 10;
    public const int RLIMIT_SIGPENDING = 11;
    public const int RLIMIT_MSGQUEUE = 12;
    public const int RLIMIT_NICE = 13;
    public const int RLIMIT_RTPRIO = 14;
    public const int RLIMIT_RTTIME = 15;
    public const int RLIMIT_NLIMITS = 16;

    public const int RLIM_NLIMITS = 16;
    public const ulong RLIM_INFINITY = 0xffffffffffffffff;
    public const ulong RLIM_SAVED_CUR = 0xffffffffffffffff;
    public const ulong RLIM_SAVED_MAX = 0xffffffffffffffff;

    public const int RUSAGE_SELF = 0;
    public const int RUSAGE_LWP = 1;
    public const int RUSAGE_THREAD = 1;
    public const int RUSAGE_CHILDREN = -1;
}
