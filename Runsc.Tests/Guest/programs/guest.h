// What the guest programs share. A call's result is printed as its value, or the name of its error.
#pragma once
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static inline void show(const char *what, long result)
{
    if (result < 0)
        printf("%s: %s\n", what, strerrorname_np(errno));
    else
        printf("%s: %ld\n", what, result);
    fflush(stdout);
}

// As show, for descriptors and ids, whose values mean nothing.
static inline long ok(const char *what, long result)
{
    show(what, result < 0 ? result : 0);
    return result;
}

// A file with this text.
static inline void put(const char *path, const char *text)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        printf("cannot write %s: %s\n", path, strerror(errno));
    close(fd);
}

// Runs the rest as a child: 1 in the child, 0 in the parent after its end, whose status is printed.
static inline int child(const char *what)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        return 1;
    int status;
    waitpid(pid, &status, 0);
    printf("%s: child %s %d\n", what, WIFEXITED(status) ? "exit" : "signal", WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    fflush(stdout);
    return 0;
}
