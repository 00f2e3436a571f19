// ptrace(2): stops of all kinds, events, and who is told of what.
#include "trace.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>

static int pipes[2];

static void nothing(void)
{
    for (;;)
        pause();
}

static pid_t runner(void (*body)(void))
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        body();
        _exit(0);
    }
    return pid;
}

static unsigned long message(pid_t pid)
{
    unsigned long value = 0;
    quietly(PTRACE_GETEVENTMSG, pid, 0, (unsigned long)&value);
    return value;
}

static volatile int handled;

static void handler(int signal)
{
    handled = signal;
}

static void signals(void)
{
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
    signal(SIGHUP, SIG_IGN);
    raise(SIGUSR1);
    int first = handled;
    handled = 0;
    raise(SIGUSR1);
    int second = handled;
    raise(SIGHUP);
    raise(SIGCHLD);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    sigqueue(getpid(), SIGUSR2, (union sigval){.sival_int = 7});
    raise(SIGTERM);
    kill(getpid(), SIGCONT);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    _exit(first == SIGUSR2 && second == 0 ? 5 : 1);
}

static void test_signals(void)
{
    pid_t pid = tracee(signals);
    stop_info("info", pid);
    quietly(PTRACE_CONT, pid, 0, 0);
    await("signal", pid);
    quietly(PTRACE_CONT, pid, 0, SIGUSR2);
    await("another, then", pid);
    quietly(PTRACE_CONT, pid, 0, 0);
    await("taken away, then an ignored one", pid);
    quietly(PTRACE_CONT, pid, 0, SIGHUP);
    await("one ignored by default", pid);
    quietly(PTRACE_CONT, pid, 0, SIGCHLD);
    await("continue", pid);
    unsigned long mask = 0;
    ask("mask", PTRACE_GETSIGMASK, pid, 8, (unsigned long)&mask);
    printf("%lx\n", mask);
    ask("mask of another size", PTRACE_GETSIGMASK, pid, 4, (unsigned long)&mask);
    siginfo_t queued[4];
    struct __ptrace_peeksiginfo_args peek = {0, 0, 4};
    ask("own signals", PTRACE_PEEKSIGINFO, pid, (unsigned long)&peek, (unsigned long)queued);
    printf("%d\n", queued[0].si_signo);
    peek.flags = PTRACE_PEEKSIGINFO_SHARED;
    ask("the process's signals", PTRACE_PEEKSIGINFO, pid, (unsigned long)&peek, (unsigned long)queued);
    printf("%d %d\n", queued[0].si_signo, queued[0].si_value.sival_int);
    peek.off = 1;
    ask("later ones", PTRACE_PEEKSIGINFO, pid, (unsigned long)&peek, (unsigned long)queued);
    peek.flags = 2;
    ask("flags", PTRACE_PEEKSIGINFO, pid, (unsigned long)&peek, (unsigned long)queued);
    mask = 0;
    ask("set mask", PTRACE_SETSIGMASK, pid, 8, (unsigned long)&mask);
    quietly(PTRACE_CONT, pid, 0, 0);
    await("unblocked", pid);
    siginfo_t info;
    quietly(PTRACE_GETSIGINFO, pid, 0, (unsigned long)&info);
    info.si_value.sival_int = 8;
    ask("set information", PTRACE_SETSIGINFO, pid, 0, (unsigned long)&info);
    quietly(PTRACE_CONT, pid, 0, 0);
    await("unblocked", pid);
    quietly(PTRACE_CONT, pid, 0, SIGUSR2);
    await("end", pid);
}

static void test_job_stops(void)
{
    // Attached: the stop of the process is a stop of the tracee's, without information.
    pid_t pid = runner(nothing);
    ask("attach", PTRACE_ATTACH, pid, 0, 0);
    await("attached", pid);
    stop_info("info", pid);
    quietly(PTRACE_CONT, pid, 0, SIGSTOP);
    await("stopped", pid);
    stop_info("info", pid);
    ask("listen", PTRACE_LISTEN, pid, 0, 0);
    ask("interrupt", PTRACE_INTERRUPT, pid, 0, 0);
    ask("detach", PTRACE_DETACH, pid, 0, 0);
    int status;
    printf("stopped for its parent: %d\n", waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
    kill(pid, SIGCONT);
    printf("and continued: %d\n", waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status));

    // Seized: the same, with events.
    ask("seize", PTRACE_SEIZE, pid, 0, 0);
    kill(pid, SIGSTOP);
    await("signal", pid);
    quietly(PTRACE_CONT, pid, 0, SIGSTOP);
    await("stopped", pid);
    stop_info("info", pid);
    ask("listen", PTRACE_LISTEN, pid, 0, 0);
    ask("request to one who listens", PTRACE_CONT, pid, 0, 0);
    printf("nothing new: %d\n", waitpid(pid, &status, WNOHANG | __WALL));
    ask("interrupt", PTRACE_INTERRUPT, pid, 0, 0);
    await("shown again", pid);
    ask("listen", PTRACE_LISTEN, pid, 0, 0);
    kill(pid, SIGCONT);
    await("continued", pid);
    quietly(PTRACE_CONT, pid, 0, 0);
    await("signal", pid);
    quietly(PTRACE_CONT, pid, 0, SIGCONT);
    ask("interrupt", PTRACE_INTERRUPT, pid, 0, 0);
    await("interrupted", pid);
    stop_info("info", pid);
    ask("detach with a signal, which no stop is for", PTRACE_DETACH, pid, 0, SIGTERM);
    usleep(20000);
    printf("still there: %d\n", waitpid(pid, &status, WNOHANG) == 0);
    kill(pid, SIGTERM);
    await("end", pid);

    // Stopped before it is attached to.
    pid = runner(nothing);
    kill(pid, SIGSTOP);
    printf("stopped: %d\n", waitpid(pid, &status, WUNTRACED) == pid);
    ask("seize", PTRACE_SEIZE, pid, 0, 0);
    await("at once", pid);
    ask("listen", PTRACE_LISTEN, pid, 0, 0);
    kill(pid, SIGCONT);
    await("continued", pid);
    quietly(PTRACE_CONT, pid, 0, 0);
    await("signal", pid);
    kill(pid, SIGKILL);
    await("end", pid);
}

static void *thread_body(void *unused)
{
    return NULL;
}

static void forking(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(7);
    waitpid(pid, NULL, 0);
    pid = vfork();
    if (pid == 0)
        _exit(8);
    waitpid(pid, NULL, 0);
    pthread_t thread;
    pthread_create(&thread, NULL, thread_body, NULL);
    pthread_join(thread, NULL);
    execl("/proc/self/exe", "ptrace_stops", "run", NULL);
}

static void follow(const char *how, int seize)
{
    printf("events, %s\n", how);
    const long options = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEVFORKDONE | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT;
    pid_t pid;
    if (seize) {
        pipe(pipes);
        fflush(stdout);
        pid = fork();
        if (pid == 0) {
            char c;
            close(pipes[1]);
            read(pipes[0], &c, 1);
            forking();
            _exit(1);
        }
        close(pipes[0]);
        ask("seize", PTRACE_SEIZE, pid, 0, options);
        close(pipes[1]);
    } else {
        pid = tracee(forking);
        ask("options", PTRACE_SETOPTIONS, pid, 0, options);
        quietly(PTRACE_CONT, pid, 0, 0);
    }

    pid_t others[3];
    int count = 0;
    for (;;) {
        if (await("tracee", pid) < 0 || count > 3)
            break;
        siginfo_t info;
        if (quietly(PTRACE_GETSIGINFO, pid, 0, (unsigned long)&info) < 0)
            break;
        int event = info.si_code >> 8;
        if (event >= 1 && event <= 3) {
            pid_t other = message(pid);
            others[count++] = other;
            // The new one stops by itself, and goes on to its end.
            int status;
            for (int first = 1;; first = 0) {
                status = await("  its child", other);
                if (status == -1 || !WIFSTOPPED(status))
                    break;
                if (first && !seize)
                    stop_info("  info", other);
                if (status >> 16 == PTRACE_EVENT_EXIT)
                    printf("  exit code %lx\n", message(other));
                quietly(PTRACE_CONT, other, 0, 0);
            }
            quietly(PTRACE_CONT, pid, 0, 0);
        } else if (event == PTRACE_EVENT_VFORK_DONE) {
            printf("same child: %d\n", message(pid) == others[count - 1]);
            quietly(PTRACE_CONT, pid, 0, 0);
        } else if (event == PTRACE_EVENT_EXEC) {
            printf("was itself: %d\n", message(pid) == pid);
            quietly(PTRACE_CONT, pid, 0, 0);
        } else if (event == PTRACE_EVENT_EXIT) {
            printf("exit code %lx\n", message(pid));
            quietly(PTRACE_CONT, pid, 0, 0);
        } else
            quietly(PTRACE_CONT, pid, 0, info.si_signo == SIGTRAP ? 0 : info.si_signo);
    }
}

static void executing(void)
{
    execl("/proc/self/exe", "ptrace_stops", "run", NULL);
}

static void test_exec(void)
{
    // Without the option it is a signal.
    pid_t pid = tracee(executing);
    quietly(PTRACE_CONT, pid, 0, 0);
    await("exec", pid);
    stop_info("info", pid);
    ask("options", PTRACE_SETOPTIONS, pid, 0, PTRACE_O_EXITKILL);
    quietly(PTRACE_CONT, pid, 0, 0);
    await("end", pid);

    // By another thread: it becomes the leader, who has gone without a word.
    pid = tracee(executing);
    quietly(PTRACE_KILL, pid, 0, 0);
    await("killed", pid);
}

static void test_parents(void)
{
    // The parent waits only after the tracer has.
    int told[2];
    pipe(told);
    pid_t pid = runner(nothing);
    fflush(stdout);
    pid_t tracer = fork();
    if (tracer == 0) {
        quietly(PTRACE_SEIZE, pid, 0, 0);
        write(told[1], "x", 1);
        usleep(100000);
        int status;
        int heard = waitpid(pid, &status, __WALL) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        _exit(heard && waitpid(pid, &status, __WALL) < 0 ? 0 : 1);
    }
    char c;
    read(told[0], &c, 1);
    kill(pid, SIGTERM);
    int status;
    // The signal is reported to the tracer, who lets it through by going away or waits for the end: it dies here by a second one.
    usleep(20000);
    kill(pid, SIGKILL);
    printf("not yet: %d\n", waitpid(pid, &status, WNOHANG));
    await("parent", pid);
    await("tracer", tracer);

    // A tracer that goes leaves its tracees, unless it wants them to go, too.
    for (int kills = 0; kills < 2; kills++) {
        pid = runner(nothing);
        tracer = fork();
        if (tracer == 0) {
            quietly(PTRACE_SEIZE, pid, 0, kills ? PTRACE_O_EXITKILL : 0);
            quietly(PTRACE_INTERRUPT, pid, 0, 0);
            waitpid(pid, &status, __WALL);
            _exit(0);
        }
        waitpid(tracer, &status, 0);
        usleep(50000);
        printf("gone with its tracer: %d\n", waitpid(pid, &status, WNOHANG) == pid);
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
    }

    // A thread is waited for by its id.
    pid = runner(nothing);
    ask("seize", PTRACE_SEIZE, pid, 0, PTRACE_O_EXITKILL);
    siginfo_t info = {0};
    ask("interrupt", PTRACE_INTERRUPT, pid, 0, 0);
    show("waitid", waitid(P_PID, pid, &info, WEXITED | WSTOPPED | __WALL));
    printf("code %d status %x\n", info.si_code, info.si_status);
    quietly(PTRACE_CONT, pid, 0, 0);
    kill(pid, SIGKILL);
    await("end", pid);
}

static void filtered(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE | 77),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {4, code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
    long made = syscall(SYS_getppid), skipped = syscall(SYS_getppid);
    _exit(made > 0 && skipped == -1 && errno == ENOTTY ? 6 : 1);
}

static void test_seccomp(void)
{
    pid_t pid = tracee(filtered);
    ask("options", PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESECCOMP);
    quietly(PTRACE_CONT, pid, 0, 0);
    await("filter", pid);
    struct user_regs_struct regs = registers(pid);
    printf("call %lld rax %lld data %lu\n", regs.orig_rax, regs.rax, message(pid));
    quietly(PTRACE_CONT, pid, 0, 0);
    await("filter", pid);
    regs = registers(pid);
    regs.orig_rax = -1;
    regs.rax = -ENOTTY;
    quietly(PTRACE_SETREGS, pid, 0, (unsigned long)&regs);
    quietly(PTRACE_CONT, pid, 0, 0);
    await("end", pid);
}

static volatile pid_t thread_id;

static void *sleeper(void *unused)
{
    thread_id = syscall(SYS_gettid);
    nothing();
    return NULL;
}

static void threads(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, sleeper, NULL);
    nothing();
}

static void test_threads(void)
{
    pid_t pid = tracee(threads);
    ask("options", PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACECLONE | PTRACE_O_TRACESYSGOOD);
    quietly(PTRACE_CONT, pid, 0, 0);
    await("leader", pid);
    pid_t other = message(pid);
    await("thread", other);
    quietly(PTRACE_CONT, pid, 0, 0);
    quietly(PTRACE_CONT, other, 0, 0);
    usleep(50000);
    // A stop of the process stops each.
    kill(pid, SIGSTOP);
    int status;
    pid_t first = waitpid(-1, &status, __WALL);
    printf("signal for one: %d\n", WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP && (first == pid || first == other));
    quietly(PTRACE_CONT, first, 0, SIGSTOP);
    await("leader", pid);
    stop_info("info", pid);
    await("thread", other);
    stop_info("info", other);
    quietly(PTRACE_CONT, pid, 0, 0);
    quietly(PTRACE_CONT, other, 0, 0);
    kill(pid, SIGTERM);
    first = waitpid(-1, &status, __WALL);
    printf("signal for one: %d\n", WSTOPSIG(status) == SIGTERM);
    quietly(PTRACE_CONT, first, 0, SIGTERM);
    await("thread", other);
    await("leader", pid);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return 4;
    test_signals();
    test_job_stops();
    follow("attached", 0);
    follow("seized", 1);
    test_exec();
    test_parents();
    test_seccomp();
    test_threads();
    return 0;
}
