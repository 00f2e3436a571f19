// What the guest programs about sockets share.
#pragma once
#include "guest.h"
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <stddef.h>

static inline struct sockaddr_in in4(const char *address, int port)
{
    struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons(port) };
    inet_pton(AF_INET, address, &name.sin_addr);
    return name;
}

static inline struct sockaddr_in6 in6(const char *address, int port)
{
    struct sockaddr_in6 name = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
    inet_pton(AF_INET6, address, &name.sin6_addr);
    return name;
}

static inline int local_port(int fd)
{
    struct sockaddr_in6 name;
    socklen_t length = sizeof name;
    return getsockname(fd, (struct sockaddr *)&name, &length) ? -1 : ntohs(name.sin6_port);
}

// A socket bound to the loopback address and any port; a stream listens.
static inline int bound(int type)
{
    struct sockaddr_in name = in4("127.0.0.1", 0);
    int fd = socket(AF_INET, type, 0);
    if (bind(fd, (struct sockaddr *)&name, sizeof name) || ((type & 15) == SOCK_STREAM && listen(fd, 8)))
        perror("bound");
    return fd;
}

static inline int connect4(int fd, int port)
{
    struct sockaddr_in name = in4("127.0.0.1", port);
    return connect(fd, (struct sockaddr *)&name, sizeof name);
}

// Two ends of a TCP connection.
static inline void tcp_pair(int pair[2])
{
    int listener = bound(SOCK_STREAM);
    pair[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (connect4(pair[0], local_port(listener)))
        perror("connect");
    pair[1] = accept(listener, NULL, NULL);
    close(listener);
}

// Waits until an event is there, and prints all of them.
static inline void show_poll(const char *what, int fd, int events, int timeout)
{
    struct pollfd one = { .fd = fd, .events = events };
    int n = poll(&one, 1, timeout);
    printf("%s: poll %d events %#x\n", what, n, one.revents);
    fflush(stdout);
}

static inline void show_option(const char *what, int fd, int level, int name)
{
    int value = 0x55555555;
    socklen_t length = sizeof value;
    if (getsockopt(fd, level, name, &value, &length))
        printf("get %s: %s\n", what, strerrorname_np(errno));
    else
        printf("get %s: %d length %d\n", what, value, (int)length);
    fflush(stdout);
}

static inline void set_option(const char *what, int fd, int level, int name, int value)
{
    int result = setsockopt(fd, level, name, &value, sizeof value);
    printf("set %s %d: %s\n", what, value, result ? strerrorname_np(errno) : "0");
    show_option(what, fd, level, name);
}
