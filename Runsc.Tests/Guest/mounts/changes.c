// Mounts that come and go are told to who polls /proc/self/mounts or mountinfo, once for each open file.
#include "../programs/guest.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mount.h>

static int files[2], set;

static void look(const char *when)
{
    for (int i = 0; i < 2; i++) {
        struct pollfd file = { .fd = files[i], .events = POLLIN | POLLPRI };
        int count = poll(&file, 1, 0);
        printf("%s: %d, %x\n", when, count, file.revents);
    }
    struct epoll_event event = { 0 };
    int count = epoll_wait(set, &event, 1, 0);
    printf("%s, epoll: %d, %x\n", when, count, count > 0 ? event.events : 0);
}

int main(void)
{
    struct epoll_event event = { .events = EPOLLPRI };
    mount(0, "/", 0, MS_REC | MS_PRIVATE, 0);
    mkdir("/tmp/place", 0755);
    files[0] = open("/proc/self/mounts", O_RDONLY);
    files[1] = open("/proc/self/mountinfo", O_RDONLY);
    set = epoll_create1(0);
    show("epoll_ctl", epoll_ctl(set, EPOLL_CTL_ADD, open("/proc/self/mounts", O_RDONLY), &event));
    look("at first");
    show("mount", mount("none", "/tmp/place", "tmpfs", 0, 0));
    look("mounted");
    look("again");
    show("remount", mount("none", "/tmp/place", 0, MS_REMOUNT | MS_BIND | MS_NOSUID, 0));
    look("remounted");

    // Who sleeps is woken.
    int pid = fork();
    if (pid == 0) {
        usleep(50000);
        _exit(umount2("/tmp/place", 0) != 0);
    }
    struct pollfd file = { .fd = files[0], .events = POLLPRI };
    show("asleep", poll(&file, 1, 10000));
    printf("events %x\n", file.revents);
    wait(0);
    look("unmounted");
    return 0;
}
