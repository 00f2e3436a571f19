// Two ends of a wire: "net serve" answers until it is killed; "net ask ADDRESS SECONDS" measures it and prints nanoseconds for each operation.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHECK(what) do { if (!(what)) { perror(#what); exit(1); } } while (0)
enum { ECHO = 7007, DISCARD = 7009, CLOSE = 7013, HTTP = 8080, CONNECTIONS = 16 };
static const char response[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: keep-alive\r\n\r\nhello\n";
static const char request[] = "GET / HTTP/1.1\r\nHost: bench\r\n\r\n";

static struct sockaddr_in at(const char *address, int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
    a.sin_addr.s_addr = address ? inet_addr(address) : INADDR_ANY;
    return a;
}

static int listener(int port)
{
    int s = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in a = at(0, port);
    CHECK(s >= 0 && setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0);
    CHECK(bind(s, (void *)&a, sizeof a) == 0 && listen(s, 512) == 0);
    return s;
}

static int caller(const char *address, int port)
{
    int s = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in a = at(address, port);
    CHECK(s >= 0);
    for (int i = 0; connect(s, (void *)&a, sizeof a) != 0; i++) {
        CHECK(i < 100);
        usleep(50000);
    }
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return s;
}

static void *serve_one(void *port)
{
    static __thread char data[1 << 16];
    int l = listener((int)(long)port), one = 1;
    for (;;) {
        int c = accept(l, 0, 0);
        ssize_t n;
        CHECK(c >= 0);
        setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        while ((long)port != CLOSE && (n = read(c, data, sizeof data)) > 0)
            if ((long)port == ECHO)
                CHECK(write(c, data, n) == n);
        close(c);
    }
}

static void *serve_udp(void *unused)
{
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in a = at(0, ECHO), from;
    char data[2048];
    CHECK(s >= 0 && bind(s, (void *)&a, sizeof a) == 0);
    for (;;) {
        socklen_t length = sizeof from;
        ssize_t n = recvfrom(s, data, sizeof data, 0, (void *)&from, &length);
        if (n >= 0)
            sendto(s, data, n, 0, (void *)&from, length);
    }
}

// One thread, many connections, as web servers are.
static void *serve_http(void *unused)
{
    int l = listener(HTTP), e = epoll_create1(0);
    struct epoll_event event = { .events = EPOLLIN, .data.fd = l }, events[64];
    char data[4096];
    CHECK(e >= 0 && epoll_ctl(e, EPOLL_CTL_ADD, l, &event) == 0);
    for (;;) {
        int n = epoll_wait(e, events, 64, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == l) {
                event.data.fd = accept(l, 0, 0);
                CHECK(event.data.fd < 0 || epoll_ctl(e, EPOLL_CTL_ADD, event.data.fd, &event) == 0);
            } else if (read(fd, data, sizeof data) <= 0) {
                close(fd);
            } else {
                CHECK(write(fd, response, sizeof response - 1) > 0);
            }
        }
    }
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static void report(const char *name, double start, long count) { printf("%s %.1f\n", name, (now() - start) / count); fflush(stdout); }

static void ask(const char *address, double span)
{
    static char data[1 << 16];
    int s = caller(address, ECHO);
    long count = 0;
    double start = now();
    for (; now() - start < span; count++)
        CHECK(write(s, data, 1) == 1 && read(s, data, 1) == 1);
    report("wire_tcp_ping_pong", start, count);
    close(s);

    s = caller(address, DISCARD);
    for (count = 0, start = now(); now() - start < span; count++)
        for (size_t sent = 0; sent < sizeof data;) {
            ssize_t n = write(s, data, sizeof data - sent);
            CHECK(n > 0);
            sent += n;
        }
    shutdown(s, SHUT_WR);
    CHECK(read(s, data, 1) == 0);
    report("wire_tcp_stream_64k", start, count);
    close(s);

    for (count = 0, start = now(); now() - start < span; count++) {
        s = caller(address, CLOSE);
        CHECK(read(s, data, 1) == 0);
        close(s);
    }
    report("wire_tcp_connection", start, count);

    struct sockaddr_in a = at(address, ECHO);
    struct timeval patience = { .tv_usec = 100000 };
    CHECK((s = socket(AF_INET, SOCK_DGRAM, 0)) >= 0 && connect(s, (void *)&a, sizeof a) == 0);
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    for (count = 0, start = now(); now() - start < span;)
        if (write(s, data, 1) == 1 && read(s, data, 1) == 1)
            count++;
    report("wire_udp_ping_pong", start, count ? count : 1);
    close(s);

    int e = epoll_create1(0);
    struct epoll_event event = { .events = EPOLLIN }, events[CONNECTIONS];
    for (int i = 0; i < CONNECTIONS; i++) {
        event.data.fd = caller(address, HTTP);
        CHECK(epoll_ctl(e, EPOLL_CTL_ADD, event.data.fd, &event) == 0 && write(event.data.fd, request, sizeof request - 1) > 0);
    }
    for (count = 0, start = now(); now() - start < span;) {
        int n = epoll_wait(e, events, CONNECTIONS, 1000);
        for (int i = 0; i < n; i++, count++)
            CHECK(read(events[i].data.fd, data, sizeof data) > 0 && write(events[i].data.fd, request, sizeof request - 1) > 0);
    }
    report("wire_http_request", start, count);
}

int main(int argc, char **argv)
{
    if (argc == 4 && !strcmp(argv[1], "ask")) {
        ask(argv[2], atof(argv[3]) * 1e9);
        return 0;
    }
    pthread_t thread;
    static const int ports[] = { ECHO, DISCARD, CLOSE };
    for (int i = 0; i < 3; i++)
        CHECK(pthread_create(&thread, 0, serve_one, (void *)(long)ports[i]) == 0);
    CHECK(pthread_create(&thread, 0, serve_udp, 0) == 0);
    serve_http(0);
}
