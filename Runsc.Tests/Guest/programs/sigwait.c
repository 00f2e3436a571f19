// Signals that are waited for: sigtimedwait(2) of one whose default would end the process, pidfd_send_signal(2).
#include "guest.h"
#include <pthread.h>
#include <sys/signalfd.h>
#include <time.h>

static void *later(void *unused)
{
    usleep(50000);
    kill(getpid(), SIGUSR1);
    return NULL;
}

int main(void)
{
    sigset_t set, old;
    siginfo_t info;
    pthread_t thread;
    struct timespec soon = {0, 10000000}, bad = {0, 2000000000};
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, &old);
    pthread_create(&thread, NULL, later, NULL);
    show("waited for", sigwaitinfo(&set, &info));
    pthread_join(thread, NULL);
    printf("code %d from oneself %d\n", info.si_code, info.si_pid == getpid());
    show("nothing comes", sigtimedwait(&set, &info, &soon));
    show("bad time", sigtimedwait(&set, &info, &bad));
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGUSR1);
    show("pending", sigtimedwait(&set, &info, &soon));
    show("only once", sigtimedwait(&set, &info, &soon));
    sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 5});
    show("real-time", sigtimedwait(&set, &info, &soon));
    printf("value %d\n", info.si_value.sival_int);
    sigaddset(&set, SIGRTMIN);

    int fd = open("/proc/self", O_RDONLY | O_DIRECTORY), self = syscall(SYS_pidfd_open, getpid(), 0);
    show("by the directory", syscall(SYS_pidfd_send_signal, fd, SIGUSR1, NULL, 0));
    show("got", sigtimedwait(&set, &info, &soon));
    show("by the pidfd", syscall(SYS_pidfd_send_signal, self, SIGUSR1, NULL, 0));
    show("got", sigtimedwait(&set, &info, &soon));
    show("by another file", syscall(SYS_pidfd_send_signal, 1, SIGUSR1, NULL, 0));
    show("by no file", syscall(SYS_pidfd_send_signal, 99, SIGUSR1, NULL, 0));
    show("flags", syscall(SYS_pidfd_send_signal, self, SIGUSR1, NULL, 1 << 20));

    // One that is blocked and ignored by default is kept for the one who waits.
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    if (child("child") == 1)
        _exit(3);
    show("the end of a child", sigtimedwait(&set, &info, &soon));
    printf("status %d code %d\n", info.si_status, info.si_code);

    int sfd = signalfd(-1, &set, SFD_NONBLOCK);
    struct signalfd_siginfo si;
    kill(getpid(), SIGUSR1);
    show("signalfd", read(sfd, &si, sizeof si));
    printf("signal %d\n", si.ssi_signo);
    show("empty", read(sfd, &si, sizeof si));
    if (child("unblocked") == 1) {
        sigprocmask(SIG_SETMASK, &old, NULL);
        kill(getpid(), SIGUSR1);
        _exit(0);
    }
    return 0;
}
