// One call of epoll_wait returns all that is ready, if there is room.
#include "guest.h"
#include <sys/epoll.h>

int main(void)
{
    int epoll = epoll_create1(0);
    static struct epoll_event events[1000];
    for (int i = 0; i < 300; i++) {
        int ends[2];
        struct epoll_event event = { .events = EPOLLOUT, .data.u32 = i };
        if (pipe(ends) || epoll_ctl(epoll, EPOLL_CTL_ADD, ends[1], &event))
            return 1;
    }

    show("epoll_wait", epoll_wait(epoll, events, 1000, 0));
    show("again", epoll_wait(epoll, events, 1000, 0));
    show("few", epoll_wait(epoll, events, 200, 0));
    return 0;
}
