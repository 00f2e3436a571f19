// What the programs about ptrace(2) share: a tracee to make, its stops in words.
#pragma once
#include "guest.h"
#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#define PTRACE_GET_SYSCALL_INFO_ 0x420e

static const char *event_name(int event)
{
    static const char *names[] = {"", "fork", "vfork", "clone", "exec", "vfork_done", "exit", "seccomp"};
    return event == 128 ? "stop" : event < 8 ? names[event] : "?";
}

// Waits for a task, prints what happened to it, and gives the status.
static int await(const char *what, pid_t pid)
{
    int status;
    pid_t got = waitpid(pid, &status, __WALL);
    printf("%s: ", what);
    if (got < 0)
        printf("%s", strerrorname_np(errno));
    else if (WIFEXITED(status))
        printf("exited %d", WEXITSTATUS(status));
    else if (WIFSIGNALED(status))
        printf("killed by %s", sigabbrev_np(WTERMSIG(status)));
    else if (WIFSTOPPED(status)) {
        int signal = WSTOPSIG(status);
        printf("stopped by %s%s", signal & 0x80 ? "call " : "", sigabbrev_np(signal & 0x7f));
        if (status >> 16)
            printf(" event %s", event_name(status >> 16));
    } else
        printf("%x", status);
    printf("\n");
    fflush(stdout);
    return got < 0 ? -1 : status;
}

// A raw request, whose result is printed.
static long ask(const char *what, int request, pid_t pid, unsigned long address, unsigned long data)
{
    long result = syscall(SYS_ptrace, request, pid, address, data);
    show(what, result);
    return result;
}

static long quietly(int request, pid_t pid, unsigned long address, unsigned long data)
{
    return syscall(SYS_ptrace, request, pid, address, data);
}

static struct user_regs_struct registers(pid_t pid)
{
    struct user_regs_struct regs = {0};
    quietly(PTRACE_GETREGS, pid, 0, (unsigned long)&regs);
    return regs;
}

// Begins a child that is traced and stops at once.
static pid_t tracee(void (*body)(void))
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        quietly(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        body();
        _exit(0);
    }
    await("begins", pid);
    return pid;
}

static inline void stop_info(const char *what, pid_t pid)
{
    siginfo_t info;
    if (quietly(PTRACE_GETSIGINFO, pid, 0, (unsigned long)&info) < 0)
        printf("%s: %s\n", what, strerrorname_np(errno));
    else
        printf("%s: signo %d code %x\n", what, info.si_signo, info.si_code);
    fflush(stdout);
}
