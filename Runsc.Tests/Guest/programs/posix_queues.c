// POSIX message queues: order by priority, limits, waiting, notification, names.
#include "guest.h"
#include <mqueue.h>
#include <poll.h>
#include <time.h>

static volatile sig_atomic_t told;

static void note(int signal, siginfo_t *info, void *context)
{
    told = info->si_code == SI_MESGQ ? info->si_value.sival_int : -1;
}

int main(void)
{
    struct mq_attr attributes = { .mq_maxmsg = 3, .mq_msgsize = 16 };
    mq_unlink("/queue");
    mqd_t queue = ok("open", mq_open("/queue", O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK, 0600, &attributes));
    show("exclusive", mq_open("/queue", O_RDWR | O_CREAT | O_EXCL, 0600, &attributes));
    show("missing", mq_open("/nothing", O_RDWR));
    show("bad name", mq_open("/a/b", O_RDWR | O_CREAT, 0600, NULL));
    show("low", mq_send(queue, "low", 3, 1));
    show("high", mq_send(queue, "high", 4, 9));
    show("high again", mq_send(queue, "again", 5, 9));
    show("full", mq_send(queue, "x", 1, 0));
    show("long", mq_send(queue, "0123456789abcdef!", 17, 0));
    show("bad priority", mq_send(queue, "x", 1, 40000));
    mq_getattr(queue, &attributes);
    printf("attributes %ld %ld %ld %d\n", attributes.mq_maxmsg, attributes.mq_msgsize, attributes.mq_curmsgs, attributes.mq_flags == O_NONBLOCK);
    struct pollfd wait = { queue, POLLIN | POLLOUT, 0 };
    show("poll", poll(&wait, 1, 0));
    printf("events %x\n", wait.revents);
    char text[17] = "";
    unsigned priority;
    show("small room", mq_receive(queue, text, 15, NULL));
    for (int i = 0; i < 3; i++) {
        ssize_t n = mq_receive(queue, text, 16, &priority);
        printf("received %zd %.*s, priority %u\n", n, (int)n, text, priority);
    }

    show("empty", mq_receive(queue, text, 16, NULL));
    struct sigaction action = { .sa_sigaction = note, .sa_flags = SA_SIGINFO };
    sigaction(SIGUSR1, &action, NULL);
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 42 };
    show("notify", mq_notify(queue, &event));
    show("notify again", mq_notify(queue, &event));
    show("send", mq_send(queue, "a", 1, 0));
    printf("told %d\n", (int)told);
    show("notify once more", mq_notify(queue, &event));
    show("cancel", mq_notify(queue, NULL));
    mq_receive(queue, text, 16, NULL);
    attributes.mq_flags = 0;
    show("blocking", mq_setattr(queue, &attributes, NULL));
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec = (until.tv_nsec + 20000000) % 1000000000;
    until.tv_sec += until.tv_nsec < 20000000;
    show("timed", mq_timedreceive(queue, text, 16, NULL, &until));
    if (fork() == 0) {
        usleep(30000);
        mq_send(queue, "from the child", 14, 3);
        _exit(0);
    }

    ssize_t n = mq_receive(queue, text, 16, &priority);
    printf("received %zd %.*s, priority %u\n", n, (int)n, text, priority);
    show("unlink", mq_unlink("/queue"));
    show("unlink again", mq_unlink("/queue"));
    show("still there", mq_send(queue, "y", 1, 0));
    show("close", mq_close(queue));
    show("no queue", mq_send(1, "y", 1, 0));
    return 0;
}
