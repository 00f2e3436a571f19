// Filters that a program sets for itself: verdicts, inheritance, threads, strict mode.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int install(int number, unsigned verdict, unsigned flags)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, verdict),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof code / sizeof *code, code };
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

static const char *error(long result) { return result < 0 ? strerrorname_np(errno) : "ok"; }

static void trap(int signal, siginfo_t *info, void *context)
{
    printf("SIGSYS code %d errno %d syscall %d arch %x address %d\n", info->si_code, info->si_errno, info->si_syscall, info->si_arch, info->si_call_addr != NULL);
}

static void *in_thread(void *unused)
{
    usleep(50000);
    printf("thread: getppid %s\n", error(syscall(SYS_getppid)));
    return NULL;
}

static void child(const char *name, void (*run)(void))
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        run();
        fflush(stdout);
        _exit(0);
    }

    int status;
    waitpid(pid, &status, 0);
    printf("%s: %s %d\n", name, WIFSIGNALED(status) ? "signal" : "exit", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void with_errno(void)
{
    printf("install %s\n", error(install(SYS_getppid, SECCOMP_RET_ERRNO | 77, 0)));
    printf("getppid %ld errno %d\n", syscall(SYS_getppid), errno);
    printf("zero %s %ld\n", error(install(SYS_getppid, SECCOMP_RET_ERRNO, 0)), syscall(SYS_getppid));
    printf("mode %d\n", prctl(PR_GET_SECCOMP));
}

static void with_trap(void)
{
    struct sigaction action = { .sa_sigaction = trap, .sa_flags = SA_SIGINFO };
    sigaction(SIGSYS, &action, NULL);
    install(SYS_getppid, SECCOMP_RET_TRAP | 5, 0);
    syscall(SYS_getppid);
    printf("after\n");
}

static void with_kill(void)
{
    install(SYS_getppid, SECCOMP_RET_KILL_PROCESS, 0);
    printf("alive\n");
    fflush(stdout);
    syscall(SYS_getppid);
}

static void with_trace(void)
{
    install(SYS_getppid, SECCOMP_RET_TRACE, 0);
    printf("trace %s\n", error(syscall(SYS_getppid)));
}

static void with_threads(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, in_thread, NULL);
    printf("tsync %s\n", error(install(SYS_getppid, SECCOMP_RET_ERRNO | EDOM, SECCOMP_FILTER_FLAG_TSYNC)));
    pthread_join(thread, NULL);
}

static void with_argument(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getsid, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOTTY),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof code / sizeof *code, code };
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
    printf("getsid 0 %s, 1 %s\n", error(getsid(0)), error(getsid(1)));
    code[0].k = 2;
    printf("bad program %s\n", error(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)));
}

static void strict(void)
{
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
    write(1, "strict\n", 7);
    getppid();
    write(1, "not reached\n", 12);
}

int main(void)
{
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    child("errno", with_errno);
    child("trap", with_trap);
    child("kill", with_kill);
    child("trace", with_trace);
    child("threads", with_threads);
    child("argument", with_argument);
    child("strict", strict);
    unsigned action = SECCOMP_RET_TRAP, unknown = 0x12340000;
    printf("available %s, unknown %s, bad operation %s\n", error(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action)),
        error(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &unknown)), error(syscall(SYS_seccomp, 99, 0, NULL)));
    return 0;
}
