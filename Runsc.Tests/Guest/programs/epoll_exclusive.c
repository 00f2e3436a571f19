// EPOLLEXCLUSIVE: of the sets that watch one file, one is woken; what may stand beside it, and what may be changed later.
#include "guest.h"
#include <poll.h>
#include <sys/epoll.h>

enum { WAITERS = 6 };

static int control(int set, int operation, int fd, unsigned events)
{
    struct epoll_event event = { .events = events };
    return epoll_ctl(set, operation, fd, &event);
}

static char state_of(int pid)
{
    char path[40], text[200] = "", *end;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY);
    read(fd, text, sizeof text - 1);
    close(fd);
    end = strrchr(text, ')');
    return end ? end[2] : '?';
}

int main(void)
{
    int ends[2], told[2], set = epoll_create1(0), inner = epoll_create1(0);
    int *woken = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (pipe(ends) || pipe(told))
        return 1;
    show("priority", control(set, EPOLL_CTL_ADD, ends[0], EPOLLPRI | EPOLLEXCLUSIVE));
    show("one shot", control(set, EPOLL_CTL_ADD, ends[0], EPOLLIN | EPOLLONESHOT | EPOLLEXCLUSIVE));
    show("a set", control(set, EPOLL_CTL_ADD, inner, EPOLLIN | EPOLLEXCLUSIVE));
    show("add", control(set, EPOLL_CTL_ADD, ends[0], EPOLLIN | EPOLLET | EPOLLEXCLUSIVE));
    show("change", control(set, EPOLL_CTL_MOD, ends[0], EPOLLIN));
    show("change to exclusive", control(set, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLEXCLUSIVE));
    show("delete", control(set, EPOLL_CTL_DEL, ends[0], 0));

    // A set that nobody waits for takes no event from the others.
    show("nobody waits", control(set, EPOLL_CTL_ADD, ends[0], EPOLLIN | EPOLLET | EPOLLEXCLUSIVE));
    for (int i = 0; i < WAITERS; i++) {
        int pid = fork();
        if (pid == 0) {
            struct epoll_event event;
            int own = epoll_create1(0);
            if (control(own, EPOLL_CTL_ADD, ends[0], EPOLLIN | EPOLLET | EPOLLEXCLUSIVE))
                _exit(1);
            if (epoll_wait(own, &event, 1, -1) == 1)
                __atomic_add_fetch(woken, 1, __ATOMIC_SEQ_CST);
            write(told[1], "x", 1);
            _exit(0);
        }
        while (state_of(pid) != 'S')
            usleep(1000);
    }
    for (int i = 0; i < WAITERS; i++) {
        char c;
        write(ends[1], "x", 1);
        read(told[0], &c, 1);
        // Time for others that should sleep on.
        struct pollfd more = { .fd = told[0], .events = POLLIN };
        int others = poll(&more, 1, 50);
        printf("event %d: %d woken, %d more\n", i, __atomic_load_n(woken, __ATOMIC_SEQ_CST), others);
        read(ends[0], &c, 1);
    }
    while (wait(0) > 0)
        ;
    return 0;
}
