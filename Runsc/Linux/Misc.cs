namespace Runsc.Linux;

/// <summary>sys/random.h, linux/xattr.h, linux/seccomp.h, linux/rseq.h, sys/reboot.h, linux/membarrier.h, sys/personality.h, limits.h.</summary>
internal static class Misc
{
    /// <summary>oom_score_adj of a process that is never killed.</summary>
    public const int OOM_SCORE_ADJ_MIN = -1000;

    public const int ADDR_NO_RANDOMIZE = 0x40000;
    public const int ADDR_COMPAT_LAYOUT = 0x200000;
    public const int ADDR_LIMIT_32BIT = 0x800000;
    public const int ADDR_LIMIT_3GB = 0x8000000;

    public const int GRND_NONBLOCK = 1;
    public const int GRND_RANDOM = 2;
    public const int GRND_INSECURE = 4;

    public const int KCMP_FILE = 0;
    public const int KCMP_VM = 1;
    public const int KCMP_FILES = 2;
    public const int KCMP_FS = 3;
    public const int KCMP_SIGHAND = 4;
    public const int KCMP_IO = 5;
    public const int KCMP_SYSVSEM = 6;
    public const int KCMP_EPOLL_TFD = 7;
    public const int KCMP_TYPES = 8;

    public const int MEMBARRIER_CMD_QUERY = 0;
    public const int MEMBARRIER_CMD_FLAG_CPU = 1;
    public const int MEMBARRIER_CMD_GLOBAL = 1;
    public const int MEMBARRIER_CMD_SHARED = 1;
    public const int MEMBARRIER_CMD_GLOBAL_EXPEDITED = 2;
    public const int MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED = 4;
    public const int MEMBARRIER_CMD_PRIVATE_EXPEDITED = 8;
    public const int MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED = 16;
    public const int MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE = 32;
    public const int MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE = 64;
    public const int MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ = 128;
    public const int MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ = 256;

    public const int PER_LINUX = 0;
    public const int PER_MASK = 0xff;
    public const int PER_LINUX32 = 8;
    public const int PER_LINUX_FDPIC = 0x80000;
    public const int PER_LINUX_32BIT = 0x800000;
    public const int PER_LINUX32_3GB = 0x8000008;

    public const int PTRACE_SYSCALL_INFO_NONE = 0;
    public const int PTRACE_TRACEME = 0;
    public const int PTRACE_EVENT_FORK = 1;
    public const int PTRACE_O_TRACESYSGOOD = 1;
    public const int PTRACE_PEEKSIGINFO_SHARED = 1;
    public const int PTRACE_PEEKTEXT = 1;
    public const int PTRACE_SYSCALL_INFO_ENTRY = 1;
    public const int PTRACE_EVENT_VFORK = 2;
    public const int PTRACE_O_TRACEFORK = 2;
    public const int PTRACE_PEEKDATA = 2;
    public const int PTRACE_SYSCALL_INFO_EXIT = 2;
    public const int PTRACE_EVENT_CLONE = 3;
    public const int PTRACE_PEEKUSER = 3;
    public const int PTRACE_SYSCALL_INFO_SECCOMP = 3;
    public const int PTRACE_EVENT_EXEC = 4;
    public const int PTRACE_O_TRACEVFORK = 4;
    public const int PTRACE_POKETEXT = 4;
    public const int PTRACE_EVENT_VFORK_DONE = 5;
    public const int PTRACE_POKEDATA = 5;
    public const int PTRACE_EVENT_EXIT = 6;
    public const int PTRACE_POKEUSER = 6;
    public const int PTRACE_CONT = 7;
    public const int PTRACE_EVENT_SECCOMP = 7;
    public const int PTRACE_KILL = 8;
    public const int PTRACE_O_TRACECLONE = 8;
    public const int PTRACE_SINGLESTEP = 9;
    public const int PTRACE_GETREGS = 12;
    public const int PTRACE_SETREGS = 13;
    public const int PTRACE_GETFPREGS = 14;
    public const int PTRACE_SETFPREGS = 15;
    public const int PTRACE_ATTACH = 16;
    public const int PTRACE_O_TRACEEXEC = 16;
    public const int PTRACE_DETACH = 17;
    public const int PTRACE_GETFPXREGS = 18;
    public const int PTRACE_SETFPXREGS = 19;
    public const int PTRACE_SYSCALL = 24;
    public const int PTRACE_GET_THREAD_AREA = 25;
    public const int PTRACE_SET_THREAD_AREA = 26;
    public const int PTRACE_ARCH_PRCTL = 30;
    public const int PTRACE_SYSEMU = 31;
    public const int PTRACE_O_TRACEVFORKDONE = 32;
    public const int PTRACE_SYSEMU_SINGLESTEP = 32;
    public const int PTRACE_SINGLEBLOCK = 33;
    public const int PTRACE_O_TRACEEXIT = 64;
    public const int PTRACE_EVENT_STOP = 128;
    public const int PTRACE_O_TRACESECCOMP = 128;
    public const int PTRACE_SETOPTIONS = 0x4200;
    public const int PTRACE_GETEVENTMSG = 0x4201;
    public const int PTRACE_GETSIGINFO = 0x4202;
    public const int PTRACE_SETSIGINFO = 0x4203;
    public const int PTRACE_GETREGSET = 0x4204;
    public const int PTRACE_SETREGSET = 0x4205;
    public const int PTRACE_SEIZE = 0x4206;
    public const int PTRACE_INTERRUPT = 0x4207;
    public const int PTRACE_LISTEN = 0x4208;
    public const int PTRACE_PEEKSIGINFO = 0x4209;
    public const int PTRACE_GETSIGMASK = 0x420a;
    public const int PTRACE_SETSIGMASK = 0x420b;
    public const int PTRACE_SECCOMP_GET_FILTER = 0x420c;
    public const int PTRACE_SECCOMP_GET_METADATA = 0x420d;
    public const int PTRACE_GET_SYSCALL_INFO = 0x420e;
    public const int PTRACE_GET_RSEQ_CONFIGURATION = 0x420f;
    public const int PTRACE_O_EXITKILL = 0x100000;
    public const int PTRACE_O_SUSPEND_SECCOMP = 0x200000;
    public const int PTRACE_O_MASK = 0x3000ff;

    public const int SECCOMP_MODE_DISABLED = 0;
    public const uint SECCOMP_RET_KILL = 0;
    public const uint SECCOMP_RET_KILL_THREAD = 0;
    public const int SECCOMP_SET_MODE_STRICT = 0;
    public const ulong SECCOMP_ADDFD_FLAG_SETFD = 1;
    public const ulong SECCOMP_FILTER_FLAG_TSYNC = 1;
    public const int SECCOMP_MODE_STRICT = 1;
    public const int SECCOMP_SET_MODE_FILTER = 1;
    public const ulong SECCOMP_USER_NOTIF_FLAG_CONTINUE = 1;
    public const ulong SECCOMP_ADDFD_FLAG_SEND = 2;
    public const ulong SECCOMP_FILTER_FLAG_LOG = 2;
    public const int SECCOMP_GET_ACTION_AVAIL = 2;
    public const int SECCOMP_MODE_FILTER = 2;
    public const int SECCOMP_GET_NOTIF_SIZES = 3;
    public const ulong SECCOMP_FILTER_FLAG_SPEC_ALLOW = 4;
    public const ulong SECCOMP_FILTER_FLAG_NEW_LISTENER = 8;
    public const ulong SECCOMP_FILTER_FLAG_TSYNC_ESRCH = 16;
    public const ulong SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV = 32;
    public const int SECCOMP_IOC_MAGIC = 33;
    public const uint SECCOMP_RET_DATA = 0xffff;
    public const uint SECCOMP_RET_TRAP = 0x30000;
    public const uint SECCOMP_RET_ERRNO = 0x50000;
    public const uint SECCOMP_RET_USER_NOTIF = 0x7fc00000;
    public const uint SECCOMP_RET_TRACE = 0x7ff00000;
    public const uint SECCOMP_RET_LOG = 0x7ffc0000;
    public const uint SECCOMP_RET_ACTION = 0x7fff0000;
    public const uint SECCOMP_RET_ALLOW = 0x7fff0000;
    public const uint SECCOMP_RET_KILL_PROCESS = 0x80000000;
    public const uint SECCOMP_RET_ACTION_FULL = 0xffff0000;

    public const int XATTR_CREATE = 1;
    public const int XATTR_REPLACE = 2;
}
