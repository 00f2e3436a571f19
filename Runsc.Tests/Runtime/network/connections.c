// Many connections at once. "serve PORT" echoes until it is killed, "ask ADDRESS PORT COUNT" opens COUNT connections before it uses one of them,
// "both PORT COUNT" does both over the loopback interface.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(what) do { if (!(what)) { printf("%d: %s: %s\n", __LINE__, #what, strerror(errno)); exit(1); } } while (0)
enum { OPENING = 200, ASKING = 500, LENGTH = 100, BATCH = 256, PATIENCE = 100000 };

static struct sockaddr_in at(const char *address, int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
    a.sin_addr.s_addr = address ? inet_addr(address) : INADDR_ANY;
    return a;
}

static void watch(int set, int operation, int fd, unsigned events, unsigned data)
{
    struct epoll_event event = { .events = events, .data.u32 = data };
    CHECK(epoll_ctl(set, operation, fd, &event) == 0);
}

static int listener(int port)
{
    int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in a = at(0, port);
    CHECK(bind(s, (void *)&a, sizeof a) == 0 && listen(s, 4096) == 0);
    return s;
}

static void serve(int l)
{
    int set = epoll_create1(0);
    struct epoll_event events[BATCH];
    char data[4096];
    watch(set, EPOLL_CTL_ADD, l, EPOLLIN, l);
    for (;;) {
        int n = epoll_wait(set, events, BATCH, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.u32, c;
            if (fd != l) {
                ssize_t got = read(fd, data, sizeof data);
                if (got > 0)
                    CHECK(write(fd, data, got) == got);
                else if (got == 0 || errno != EAGAIN)
                    close(fd);
                continue;
            }
            while ((c = accept4(l, 0, 0, SOCK_NONBLOCK)) >= 0)
                watch(set, EPOLL_CTL_ADD, c, EPOLLIN, c);
            CHECK(errno == EAGAIN || errno == ECONNABORTED);
        }
    }
}

static void ask(const char *address, int port, int count)
{
    struct sockaddr_in a = at(address, port);
    struct epoll_event events[BATCH];
    int *fds = calloc(count, sizeof *fds), set = epoll_create1(0), opened = 0, connected = 0, asked = 0, answered = 0;
    char data[LENGTH];
    while (connected < count) {
        for (; opened < count && opened - connected < OPENING; opened++) {
            CHECK((fds[opened] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)) >= 0);
            CHECK(connect(fds[opened], (void *)&a, sizeof a) == 0 || errno == EINPROGRESS);
            watch(set, EPOLL_CTL_ADD, fds[opened], EPOLLOUT, opened);
        }
        int n = epoll_wait(set, events, BATCH, PATIENCE);
        CHECK(n > 0);
        for (int i = 0; i < n; i++, connected++) {
            socklen_t length = sizeof errno;
            CHECK(getsockopt(fds[events[i].data.u32], SOL_SOCKET, SO_ERROR, &errno, &length) == 0 && errno == 0);
            watch(set, EPOLL_CTL_MOD, fds[events[i].data.u32], EPOLLIN, events[i].data.u32);
        }
    }
    while (answered < count) {
        for (; asked < count && asked - answered < ASKING; asked++)
            CHECK(write(fds[asked], memset(data, asked, LENGTH), LENGTH) == LENGTH);
        int n = epoll_wait(set, events, BATCH, PATIENCE);
        CHECK(n > 0);
        for (int i = 0; i < n; i++, answered++) {
            unsigned k = events[i].data.u32;
            CHECK(read(fds[k], data, LENGTH) == LENGTH && data[0] == (char)k && data[LENGTH - 1] == (char)k);
        }
    }
    for (int i = 0; i < count; i++)
        close(fds[i]);
    printf("%d connected, %d answered\n", connected, answered);
}

int main(int argc, char **argv)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    if (!strcmp(argv[1], "serve")) {
        int l = listener(atoi(argv[2]));
        puts("listening");
        fflush(stdout);
        serve(l);
    } else if (!strcmp(argv[1], "ask")) {
        ask(argv[2], atoi(argv[3]), atoi(argv[4]));
    } else {
        int l = listener(atoi(argv[2])), pid = fork();
        if (pid == 0)
            serve(l);
        ask("127.0.0.1", atoi(argv[2]), atoi(argv[3]));
        kill(pid, SIGKILL);
    }
    return 0;
}
