// seccomp(2): strict mode, filters and their actions, inheritance, threads.
#include "guest.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>

#define NUMBER BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define ARGUMENT(n) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[n]))
#define IS(value, action) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1), BPF_STMT(BPF_RET | BPF_K, action)
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static long filter(struct sock_filter *program, int length, unsigned flags)
{
    struct sock_fprog p = {length, program};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &p);
}
#define FILTER(flags, ...) ({ struct sock_filter f_[] = {__VA_ARGS__}; filter(f_, sizeof f_ / sizeof *f_, flags); })

static void status(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    while (fgets(line, sizeof line, file))
        if (!strncmp(line, "Seccomp", 7) || !strncmp(line, "NoNewPrivs", 10))
            fputs(line, stdout);
    fclose(file);
    fflush(stdout);
}

static void trapped(int signal, siginfo_t *info, void *context)
{
    ucontext_t *c = context;
    printf("trapped %d code %d errno %d call %d arch %x at rip %d, rax %lld\n", signal, info->si_code, info->si_errno, info->si_syscall, info->si_arch,
        info->si_call_addr == (void *)c->uc_mcontext.gregs[REG_RIP], c->uc_mcontext.gregs[REG_RAX]);
    c->uc_mcontext.gregs[REG_RAX] = 77;
}

static volatile int ready;

static void *other(void *unused)
{
    ready = 1;
    while (ready == 1)
        usleep(1000);
    show("getppid in the other thread", syscall(SYS_getppid) > 0 ? 1 : -1);
    return NULL;
}

int main(void)
{
    status();
    if (child("strict") == 1) {
        show("set", prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
        write(1, "still writing\n", 14);
        syscall(SYS_getpid);
        _exit(0);
    }
    if (child("strict, leaving") == 1) {
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
        syscall(SYS_exit, 3);
    }

    if (child("without the right") == 1) {
        setuid(33);
        show("set", FILTER(0, ALLOW));
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        show("set with no_new_privs", FILTER(0, ALLOW));
        show("mode", prctl(PR_GET_SECCOMP));
        status();
        _exit(0);
    }

    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (child("actions") == 1) {
        struct sigaction action = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO};
        sigaction(SIGSYS, &action, NULL);
        show("set", FILTER(0, NUMBER, IS(SYS_getppid, SECCOMP_RET_ERRNO | ENOTTY), IS(SYS_getuid, SECCOMP_RET_TRAP | 9), IS(SYS_getgid, SECCOMP_RET_TRACE),
            IS(SYS_geteuid, SECCOMP_RET_LOG), IS(SYS_getegid, SECCOMP_RET_ERRNO | 5000), ALLOW));
        show("errno", syscall(SYS_getppid));
        show("trap", syscall(SYS_getuid));
        show("trace", syscall(SYS_getgid));
        show("log", syscall(SYS_geteuid));
        show("too large an errno", syscall(SYS_getegid) == -1 ? errno : 0);
        // The more severe one counts, whatever the order.
        show("second", FILTER(0, NUMBER, IS(SYS_getppid, SECCOMP_RET_ALLOW), IS(SYS_geteuid, SECCOMP_RET_ERRNO | EIO), ALLOW));
        show("errno of the first", syscall(SYS_getppid));
        show("errno of the second", syscall(SYS_geteuid));
        status();
        if (child("inherited") == 1) {
            show("errno", syscall(SYS_getppid));
            _exit(0);
        }
        _exit(0);
    }
    if (child("kill process") == 1) {
        FILTER(0, NUMBER, IS(SYS_getppid, SECCOMP_RET_KILL_PROCESS), ALLOW);
        syscall(SYS_getppid);
        _exit(0);
    }
    if (child("kill thread") == 1) {
        FILTER(0, NUMBER, IS(SYS_getppid, SECCOMP_RET_KILL_THREAD), ALLOW);
        syscall(SYS_getppid);
        _exit(0);
    }
    if (child("argument and arithmetic") == 1) {
        show("set", FILTER(0, NUMBER, BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_dup, 0, 8), ARGUMENT(0), BPF_STMT(BPF_ST, 3), BPF_STMT(BPF_LDX | BPF_MEM, 3),
            BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0), BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 1), BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 400, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ERANGE), BPF_STMT(BPF_MISC | BPF_TXA, 0), ALLOW));
        show("100", syscall(SYS_dup, 100));
        show("101", syscall(SYS_dup, 101));
        _exit(0);
    }
    if (child("threads") == 1) {
        pthread_t thread;
        pthread_create(&thread, NULL, other, NULL);
        while (ready == 0)
            usleep(1000);
        show("set for all", FILTER(SECCOMP_FILTER_FLAG_TSYNC, NUMBER, IS(SYS_getppid, SECCOMP_RET_ERRNO | ENOTTY), ALLOW));
        ready = 2;
        pthread_join(thread, NULL);
        _exit(0);
    }

    show("no program", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL));
    show("empty", filter(NULL, 0, 0));
    show("no end", FILTER(0, NUMBER));
    show("jump out", FILTER(0, BPF_STMT(BPF_JMP | BPF_JA, 1), ALLOW));
    show("beyond the data", FILTER(0, BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), ALLOW));
    show("misaligned", FILTER(0, BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), ALLOW));
    show("byte", FILTER(0, BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), ALLOW));
    show("division by zero", FILTER(0, BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), ALLOW));
    show("flags", FILTER(1 << 20, ALLOW));
    show("operation", syscall(SYS_seccomp, 77, 0, NULL));
    unsigned available = SECCOMP_RET_TRAP, unknown = 0x12340000;
    show("trap there", syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &available));
    show("unknown there", syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &unknown));
    return 0;
}
