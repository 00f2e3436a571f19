// TCP over the loopback interface: connections, flags of receiving, shutdown, readiness, errors.
#include "sockets.h"
#include <sys/epoll.h>

static void connections(void)
{
    int listener = bound(SOCK_STREAM), port = local_port(listener);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    show_poll("new socket", fd, POLLIN | POLLOUT | POLLRDHUP, 0);
    show_poll("listener", listener, POLLIN | POLLOUT, 0);
    connect4(fd, port);
    show_poll("connected", fd, POLLIN | POLLOUT | POLLRDHUP, 2000);
    show("connect again", connect4(fd, port));
    show("connect again", connect4(fd, port));
    show_option("SO_ERROR", fd, SOL_SOCKET, SO_ERROR);
    show_poll("listener", listener, POLLIN | POLLOUT, 2000);
    struct sockaddr_in peer = { 0 };
    socklen_t length = sizeof peer;
    int other = accept4(listener, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    printf("accepted %d length %d family %d port %d\n", other >= 0, (int)length, peer.sin_family, ntohs(peer.sin_port) == local_port(fd));
    printf("flags %#x %d\n", fcntl(other, F_GETFL), fcntl(other, F_GETFD));
    show("accept4 flags", accept4(listener, NULL, NULL, 1));
    show("accept empty", (fcntl(listener, F_SETFL, O_NONBLOCK), accept(listener, NULL, NULL)));
    show("listen connected", listen(fd, 1));
    show("bind connected", bind(fd, (struct sockaddr *)&peer, sizeof peer));
    show("listen twice", listen(listener, 3));
    show("connect listener", connect4(listener, port));
    show("recv listener", recv(listener, &peer, 1, MSG_DONTWAIT));
    show("send listener", send(listener, &peer, 1, MSG_NOSIGNAL));
    show("shutdown listener", shutdown(listener, SHUT_RD));
    show_poll("listener after shutdown", listener, POLLIN | POLLOUT | POLLRDHUP, 0);
    show("accept", accept(listener, NULL, NULL));
    int third = bound(SOCK_STREAM);
    port = local_port(third);
    int closed = bound(SOCK_STREAM), refused = local_port(closed);
    close(closed);
    close(fd);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    show("refused", connect4(fd, refused));
    show_option("SO_ERROR", fd, SOL_SOCKET, SO_ERROR);
    show("then", connect4(fd, port));
    close(fd);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int result = connect4(fd, refused);
    printf("refused without waiting: %d\n", result < 0 && (errno == EINPROGRESS || errno == ECONNREFUSED));
    show_poll("refused", fd, POLLIN | POLLOUT | POLLRDHUP, 2000);
    show_option("SO_ERROR", fd, SOL_SOCKET, SO_ERROR);
    show_poll("refused", fd, POLLIN | POLLOUT | POLLRDHUP, 0);
    show("send", send(fd, "x", 1, MSG_NOSIGNAL));
    show("recv", recv(fd, &peer, 1, 0));
    close(fd);
    close(other);
    close(listener);
    int first = bound(SOCK_STREAM), second = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in name = in4("127.0.0.1", local_port(first));
    show("bind used", bind(second, (struct sockaddr *)&name, sizeof name));
    setsockopt(second, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    show("bind used, reuse", bind(second, (struct sockaddr *)&name, sizeof name));
    name = in4("192.0.2.77", 0);
    show("bind elsewhere", bind(second, (struct sockaddr *)&name, sizeof name));
    name = in4("127.0.0.5", 0);
    show("bind 127.0.0.5", bind(second, (struct sockaddr *)&name, sizeof name));
    show("bind twice", bind(second, (struct sockaddr *)&name, sizeof name));
    name.sin_family = AF_INET6;
    show("bind family", bind(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&name, sizeof name));
    show("bind short", bind(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&name, 8));
    close(first);
    close(second);
}

static void data(void)
{
    int pair[2], n = -1;
    char buffer[64] = "";
    tcp_pair(pair);
    show("send", send(pair[0], "0123456789", 10, 0));
    show_poll("readable", pair[1], POLLIN | POLLOUT | POLLRDHUP, 2000);
    ioctl(pair[1], FIONREAD, &n);
    show("FIONREAD", n);
    show("peek", recv(pair[1], buffer, 4, MSG_PEEK));
    printf("%.4s\n", buffer);
    show("truncated peek", recv(pair[1], buffer, 4, MSG_PEEK | MSG_TRUNC));
    show("discard", recv(pair[1], NULL, 2, MSG_TRUNC));
    show("rest", recv(pair[1], buffer, sizeof buffer, 0));
    printf("%.8s\n", buffer);
    show("nothing", recv(pair[1], buffer, 4, MSG_DONTWAIT));
    show("zero length", recv(pair[1], buffer, 0, MSG_DONTWAIT));
    show("send nothing", send(pair[0], buffer, 0, 0));
    show("sendto connected", sendto(pair[0], "to", 2, 0, (struct sockaddr *)&(struct sockaddr_in){ .sin_family = AF_INET }, 16));
    struct sockaddr_in from = { 0 };
    socklen_t length = sizeof from;
    show("recvfrom", recvfrom(pair[1], buffer, 2, MSG_WAITALL, (struct sockaddr *)&from, &length));
    printf("name length %d\n", (int)length);
    fflush(stdout);
    if (fork() == 0) {
        for (int i = 0; i < 4; i++) {
            send(pair[0], "abcd", 4, 0);
            usleep(20000);
        }

        _exit(0);
    }

    show("waitall", recv(pair[1], buffer, 16, MSG_WAITALL));
    wait(NULL);
    printf("%.16s\n", buffer);
    struct timeval quick = { .tv_usec = 30000 };
    setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &quick, sizeof quick);
    send(pair[0], "abc", 3, 0);
    show("waitall, timeout", recv(pair[1], buffer, 16, MSG_WAITALL));
    show("timeout", recv(pair[1], buffer, 16, 0));
    set_option("SO_RCVLOWAT", pair[1], SOL_SOCKET, SO_RCVLOWAT, 5);
    send(pair[0], "abc", 3, 0);
    show_poll("below low water", pair[1], POLLIN, 50);
    show("below low water", recv(pair[1], buffer, 16, MSG_DONTWAIT));
    send(pair[0], "abcdef", 6, 0);
    show_poll("above low water", pair[1], POLLIN, 2000);
    recv(pair[1], buffer, 16, 0);
    show("bad buffer", send(pair[0], (void *)1, 10, MSG_NOSIGNAL));
    send(pair[0], "abc", 3, 0);
    show_poll("x", pair[1], POLLOUT, 2000);
    usleep(20000);
    show("recv bad buffer", recv(pair[1], (void *)1, 3, MSG_DONTWAIT));
    show("still there", recv(pair[1], buffer, 16, MSG_DONTWAIT));
    int small = 4096;
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    static char big[1 << 16];
    long sent = 0, got;
    // Full for good: not only until what is on its way has arrived.
    for (int tries = 0; tries < 10; tries++) {
        while ((got = send(pair[0], big, sizeof big, MSG_DONTWAIT)) > 0) {
            sent += got;
            tries = 0;
        }
        usleep(20000);
    }
    show("full", got);
    show_poll("full", pair[0], POLLOUT, 0);
    ioctl(pair[0], TIOCOUTQ, &n);
    printf("unsent %d\n", n > 0);
    struct timeval soon = { .tv_usec = 30000 };
    setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof soon);
    // The receiver may still open its window a little.
    while ((got = send(pair[0], big, sizeof big, 0)) > 0)
        sent += got;
    show("send timeout", got);
    while (sent > 0 && (got = recv(pair[1], big, sizeof big, 0)) > 0)
        sent -= got;
    show("all came", sent);
    show_poll("room again", pair[0], POLLOUT, 2000);
    close(pair[0]);
    close(pair[1]);
}

static void ends(void)
{
    int pair[2];
    char buffer[64];
    const int all = POLLIN | POLLOUT | POLLRDHUP | POLLPRI;
    tcp_pair(pair);
    show("shutdown write", shutdown(pair[0], SHUT_WR));
    show_poll("peer", pair[1], all, 2000);
    show_poll("peer rdhup", pair[1], POLLRDHUP, 2000);
    show_poll("self", pair[0], all, 0);
    show("send", send(pair[0], "x", 1, MSG_NOSIGNAL));
    show("recv peer", recv(pair[1], buffer, 4, 0));
    show("send peer", send(pair[1], "abc", 3, 0));
    show("recv", recv(pair[0], buffer, 4, 0));
    show("shutdown again", shutdown(pair[0], SHUT_WR));
    show("shutdown peer", shutdown(pair[1], SHUT_WR));
    show_poll("both", pair[0], POLLRDHUP, 2000);
    usleep(20000);
    show_poll("both", pair[0], all, 0);
    show_poll("both peer", pair[1], all, 0);
    show("shutdown after", shutdown(pair[0], SHUT_RDWR));
    show("recv after", recv(pair[0], buffer, 4, 0));
    close(pair[0]);
    close(pair[1]);

    tcp_pair(pair);
    show("shutdown read", shutdown(pair[0], SHUT_RD));
    show_poll("read shut", pair[0], all, 0);
    show("recv", recv(pair[0], buffer, 4, 0));
    show("send peer", send(pair[1], "abc", 3, MSG_NOSIGNAL));
    usleep(20000);
    show("recv", recv(pair[0], buffer, 4, 0));
    close(pair[0]);
    close(pair[1]);

    tcp_pair(pair);
    send(pair[1], "unread", 6, 0);
    usleep(20000);
    close(pair[1]);
    show_poll("peer closed, data", pair[0], all, 2000);
    show("recv", recv(pair[0], buffer, 64, 0));
    show("recv end", recv(pair[0], buffer, 64, 0));
    show("send", send(pair[0], "x", 1, MSG_NOSIGNAL));
    usleep(20000);
    show_poll("reset", pair[0], all, 2000);
    show("send", send(pair[0], "x", 1, MSG_NOSIGNAL));
    show("recv", recv(pair[0], buffer, 64, 0));
    close(pair[0]);

    tcp_pair(pair);
    send(pair[0], "unread", 6, 0);
    usleep(20000);
    close(pair[1]);
    show_poll("closed with data unread", pair[0], all, 2000);
    show_option("SO_ERROR", pair[0], SOL_SOCKET, SO_ERROR);
    show("recv", recv(pair[0], buffer, 64, 0));
    struct sockaddr_in name;
    socklen_t length = sizeof name;
    show("getpeername", getpeername(pair[0], (struct sockaddr *)&name, &length));
    close(pair[0]);

    tcp_pair(pair);
    struct linger linger = { 1, 0 };
    setsockopt(pair[1], SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(pair[1]);
    show_poll("aborted", pair[0], all, 2000);
    show("recv", recv(pair[0], buffer, 64, 0));
    show("recv", recv(pair[0], buffer, 64, 0));
    signal(SIGPIPE, SIG_DFL);
    if (child("SIGPIPE")) {
        write(pair[0], "x", 1);
        _exit(0);
    }

    close(pair[0]);
    tcp_pair(pair);
    int epoll = epoll_create1(0);
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET };
    epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &event);
    show("epoll", epoll_wait(epoll, &event, 1, 1000));
    printf("events %#x\n", event.events);
    show("epoll again", epoll_wait(epoll, &event, 1, 0));
    send(pair[1], "x", 1, 0);
    show("epoll data", epoll_wait(epoll, &event, 1, 1000));
    printf("events %#x\n", event.events);
    show("epoll again", epoll_wait(epoll, &event, 1, 0));
    close(pair[1]);
    show("epoll end", epoll_wait(epoll, &event, 1, 1000));
    printf("events %#x\n", event.events);
    close(pair[0]);
    close(epoll);
}

static void urgent(void)
{
    int pair[2], mark = -1, one = 1;
    char buffer[16];
    tcp_pair(pair);
    show("recv oob, none", recv(pair[1], buffer, 1, MSG_OOB));
    send(pair[0], "abc", 3, 0);
    send(pair[0], "de!", 3, MSG_OOB);
    show_poll("urgent", pair[1], POLLPRI, 2000);
    show_poll("urgent", pair[1], POLLPRI | POLLIN | POLLOUT, 0);
    ioctl(pair[1], SIOCATMARK, &mark);
    show("at mark", mark);
    memset(buffer, 0, sizeof buffer);
    show("recv", recv(pair[1], buffer, sizeof buffer, 0));
    printf("%s\n", buffer);
    ioctl(pair[1], SIOCATMARK, &mark);
    show("at mark", mark);
    show("peek oob", recv(pair[1], buffer, 1, MSG_OOB | MSG_PEEK));
    show("recv oob", recv(pair[1], buffer, 1, MSG_OOB));
    printf("%c\n", buffer[0]);
    show("recv oob again", recv(pair[1], buffer, 1, MSG_OOB));
    send(pair[0], "f", 1, 0);
    show("recv", recv(pair[1], buffer, sizeof buffer, 0));
    setsockopt(pair[1], SOL_SOCKET, SO_OOBINLINE, &one, sizeof one);
    send(pair[0], "gh", 2, 0);
    send(pair[0], "?", 1, MSG_OOB);
    show_poll("inline", pair[1], POLLPRI, 2000);
    memset(buffer, 0, sizeof buffer);
    show("recv", recv(pair[1], buffer, sizeof buffer, 0));
    printf("%s\n", buffer);
    ioctl(pair[1], SIOCATMARK, &mark);
    show("at mark", mark);
    show("recv oob", recv(pair[1], buffer, 1, MSG_OOB));
    memset(buffer, 0, sizeof buffer);
    show("recv", recv(pair[1], buffer, sizeof buffer, 0));
    printf("%s\n", buffer);
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    connections();
    data();
    ends();
    urgent();
    return 0;
}
