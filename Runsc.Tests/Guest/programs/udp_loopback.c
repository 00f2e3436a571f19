// UDP over the loopback interface: flags of receiving, many messages a call, errors, control messages, names of both families.
#include "sockets.h"

static void flags(void)
{
    int a = bound(SOCK_DGRAM), b = socket(AF_INET, SOCK_DGRAM, 0), n = -1;
    char buffer[32];
    show("recv nothing", recv(a, buffer, 1, MSG_DONTWAIT));
    show("send unconnected", send(b, "x", 1, 0));
    show("connect", connect4(b, local_port(a)));
    show("send", send(b, "0123456789", 10, 0));
    show("send empty", send(b, "", 0, 0));
    show("send", send(b, "second", 6, 0));
    show_poll("readable", a, POLLIN | POLLOUT | POLLRDNORM | POLLWRBAND, 2000);
    ioctl(a, FIONREAD, &n);
    show("FIONREAD", n);
    show("peek", recv(a, buffer, 4, MSG_PEEK));
    show("peek trunc", recv(a, buffer, 4, MSG_PEEK | MSG_TRUNC));
    struct iovec vector = { buffer, 4 };
    struct sockaddr_storage from;
    struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1, .msg_name = &from, .msg_namelen = 4 };
    show("recvmsg", recvmsg(a, &message, 0));
    printf("flags %#x namelen %d\n", message.msg_flags, message.msg_namelen);
    show("recv empty", recv(a, buffer, 4, 0));
    show("waitall", recv(a, buffer, 20, MSG_WAITALL));
    show("oob", send(b, "x", 1, MSG_OOB));
    show("too long", send(b, buffer, 65508, 0));
    static char big[65507];
    int more = 1 << 20;
    setsockopt(a, SOL_SOCKET, SO_RCVBUF, &more, sizeof more);
    setsockopt(b, SOL_SOCKET, SO_SNDBUF, &more, sizeof more);
    show("longest", send(b, big, sizeof big, 0));
    show("longest", recv(a, big, sizeof big, 0));
    send(b, "ab", 2, MSG_MORE);
    send(b, "cd", 2, 0);
    show("joined", recv(a, buffer, sizeof buffer, 0));
    show("bad buffer", send(b, (void *)1, 10, 0));
    send(b, "lost", 4, 0);
    show("recv bad buffer", recv(a, (void *)1, 10, 0));
    show("gone", recv(a, buffer, 10, MSG_DONTWAIT));
    show("shutdown read", shutdown(b, SHUT_RD));
    show_poll("read shut", b, POLLIN | POLLOUT | POLLRDHUP, 0);
    show("recv", recv(b, buffer, 10, 0));
    show("shutdown write", shutdown(b, SHUT_WR));
    show_poll("shut", b, POLLIN | POLLOUT | POLLRDHUP, 0);
    show("send", send(b, "x", 1, MSG_NOSIGNAL));
    show("shutdown unconnected", shutdown(a, SHUT_RDWR));
    close(a);
    close(b);
}

static void many(void)
{
    int a = bound(SOCK_DGRAM), b = socket(AF_INET, SOCK_DGRAM, 0);
    connect4(b, local_port(a));
    struct mmsghdr messages[5] = { 0 };
    struct iovec vectors[5];
    char buffers[5][8];
    for (int i = 0; i < 5; i++) {
        sprintf(buffers[i], "m%d%.*s", i, i, "wxyz");
        vectors[i] = (struct iovec){ buffers[i], strlen(buffers[i]) };
        messages[i].msg_hdr.msg_iov = &vectors[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }

    show("sendmmsg", sendmmsg(b, messages, 4, 0));
    for (int i = 0; i < 5; i++)
        printf("%d ", messages[i].msg_len);
    memset(buffers, 0, sizeof buffers);
    for (int i = 0; i < 5; i++) {
        vectors[i].iov_len = 4;
        messages[i].msg_len = 99;
    }

    show("recvmmsg", recvmmsg(a, messages, 5, MSG_WAITFORONE, NULL));
    for (int i = 0; i < 5; i++)
        printf("%d %#x %.4s\n", messages[i].msg_len, messages[i].msg_hdr.msg_flags, buffers[i]);
    struct timespec limit = { 0, 20000000 };
    show("recvmmsg none", recvmmsg(a, messages, 5, MSG_DONTWAIT, &limit));
    limit = (struct timespec){ 0, -1 };
    show("recvmmsg bad time", recvmmsg(a, messages, 5, 0, &limit));
    show("recvmmsg zero", recvmmsg(a, messages, 0, 0, NULL));
    messages[1].msg_hdr.msg_iov = (void *)1;
    show("sendmmsg second bad", sendmmsg(b, messages, 3, 0));
    messages[0].msg_hdr.msg_iov = (void *)1;
    show("sendmmsg first bad", sendmmsg(b, messages, 3, 0));
    close(a);
    close(b);
}

static void errors(void)
{
    int gone = bound(SOCK_DGRAM), port = local_port(gone), fd = socket(AF_INET, SOCK_DGRAM, 0), one = 1;
    char buffer[64], control[256];
    close(gone);
    connect4(fd, port);
    show("send", send(fd, "x", 1, 0));
    show_poll("refused", fd, POLLIN | POLLOUT, 2000);
    show("recv", recv(fd, buffer, 1, MSG_DONTWAIT));
    show("recv", recv(fd, buffer, 1, MSG_DONTWAIT));
    show("send", send(fd, "x", 1, 0));
    usleep(20000);
    show("send", send(fd, "x", 1, 0));
    show_option("SO_ERROR", fd, SOL_SOCKET, SO_ERROR);
    setsockopt(fd, SOL_IP, IP_RECVERR, &one, sizeof one);
    show("send", send(fd, "payload", 7, 0));
    show_poll("error queue", fd, POLLIN | POLLOUT, 2000);
    struct iovec vector = { buffer, sizeof buffer };
    struct sockaddr_in to = { 0 };
    struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1, .msg_name = &to, .msg_namelen = sizeof to, .msg_control = control, .msg_controllen = sizeof control };
    show("errqueue", recvmsg(fd, &message, MSG_ERRQUEUE));
    printf("flags %#x namelen %d port %d controllen %d %.7s\n", message.msg_flags, message.msg_namelen, ntohs(to.sin_port) == port, (int)message.msg_controllen, buffer);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        unsigned *e = (unsigned *)CMSG_DATA(c);
        printf("control %d %d length %d: %u %#x %u %u\n", c->cmsg_level, c->cmsg_type, (int)c->cmsg_len, e[0], e[1], e[2], e[3]);
    }

    show("errqueue empty", recvmsg(fd, &message, MSG_ERRQUEUE));
    show_option("SO_ERROR", fd, SOL_SOCKET, SO_ERROR);
    struct sockaddr_in name = in4("127.0.0.1", 0);
    show("port 0", sendto(fd, "x", 1, 0, (struct sockaddr *)&name, sizeof name));
    name = in4("255.255.255.255", 9);
    show("broadcast", sendto(fd, "x", 1, 0, (struct sockaddr *)&name, sizeof name));
    name = in4("127.0.0.1", 9);
    name.sin_family = AF_UNIX;
    show("family", sendto(fd, "x", 1, 0, (struct sockaddr *)&name, sizeof name));
    name.sin_family = AF_INET;
    show("short", sendto(fd, "x", 1, 0, (struct sockaddr *)&name, 8));
    struct sockaddr unspec = { AF_UNSPEC };
    show("disconnect", connect(fd, &unspec, sizeof unspec));
    struct sockaddr_in own = { 0 };
    socklen_t length = sizeof own;
    getsockname(fd, (struct sockaddr *)&own, &length);
    printf("after: %#x\n", own.sin_addr.s_addr);
    show("send", send(fd, "x", 1, 0));
    close(fd);
}

static void show_control(const char *what, int fd)
{
    char buffer[64], control[512];
    struct iovec vector = { buffer, sizeof buffer };
    struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
    printf("%s: %ld flags %#x controllen %d\n", what, (long)recvmsg(fd, &message, 0), message.msg_flags, (int)message.msg_controllen);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        printf("control %d %d length %d:", c->cmsg_level, c->cmsg_type, (int)c->cmsg_len);
        if (c->cmsg_level != SOL_SOCKET)
            for (unsigned i = 0; i < c->cmsg_len - CMSG_LEN(0); i++)
                printf(" %02x", CMSG_DATA(c)[i]);
        printf("\n");
    }
}

static void controls(void)
{
    int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in name = in4("127.0.0.1", 47123);
    int one = 1;
    show("bind", bind(a, (struct sockaddr *)&name, sizeof name));
    setsockopt(a, SOL_SOCKET, SO_TIMESTAMP, &one, sizeof one);
    setsockopt(a, SOL_IP, IP_PKTINFO, &one, sizeof one);
    setsockopt(a, SOL_IP, IP_RECVTTL, &one, sizeof one);
    setsockopt(a, SOL_IP, IP_RECVTOS, &one, sizeof one);
    setsockopt(a, SOL_IP, IP_RECVORIGDSTADDR, &one, sizeof one);
    setsockopt(b, SOL_IP, IP_TOS, &(int){ 0x20 }, sizeof one);
    setsockopt(b, SOL_IP, IP_TTL, &(int){ 9 }, sizeof one);
    sendto(b, "x", 1, 0, (struct sockaddr *)&name, sizeof name);
    show_control("v4", a);
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(struct in_pktinfo)) + CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct iovec vector = { "hello", 5 };
    struct msghdr message = { .msg_name = &name, .msg_namelen = sizeof name, .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    *c = (struct cmsghdr){ CMSG_LEN(sizeof(struct in_pktinfo)), SOL_IP, IP_PKTINFO };
    struct in_pktinfo info = { .ipi_spec_dst.s_addr = htonl(0x7f000009) };
    memcpy(CMSG_DATA(c), &info, sizeof info);
    c = CMSG_NXTHDR(&message, c);
    *c = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_IP, IP_TTL };
    *(int *)CMSG_DATA(c) = 33;
    show("sendmsg", sendmsg(b, &message, 0));
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    char buffer[8];
    show("peek", recvfrom(a, buffer, 8, MSG_PEEK, (struct sockaddr *)&from, &length));
    printf("from %s\n", inet_ntoa(from.sin_addr));
    show_control("sent with control", a);
    *(int *)CMSG_DATA(c) = 0;
    show("bad ttl", sendmsg(b, &message, 0));
    c->cmsg_type = 77;
    show("unknown type", sendmsg(b, &message, 0));
    c->cmsg_len = 5;
    show("bad length", sendmsg(b, &message, 0));
    close(a);
    close(b);

    a = socket(AF_INET6, SOCK_DGRAM, 0);
    b = socket(AF_INET6, SOCK_DGRAM, 0);
    struct sockaddr_in6 six = in6("::", 47124);
    show("bind", bind(a, (struct sockaddr *)&six, sizeof six));
    setsockopt(a, SOL_IPV6, IPV6_RECVPKTINFO, &one, sizeof one);
    setsockopt(a, SOL_IPV6, IPV6_RECVHOPLIMIT, &one, sizeof one);
    setsockopt(a, SOL_IPV6, IPV6_RECVTCLASS, &one, sizeof one);
    setsockopt(b, SOL_IPV6, IPV6_TCLASS, &(int){ 0x10 }, sizeof one);
    setsockopt(b, SOL_IPV6, IPV6_UNICAST_HOPS, &(int){ 12 }, sizeof one);
    six = in6("::1", 47124);
    sendto(b, "x", 1, 0, (struct sockaddr *)&six, sizeof six);
    show_control("v6", a);
    six = in6("::ffff:127.0.0.1", 47124);
    show("mapped", sendto(b, "x", 1, 0, (struct sockaddr *)&six, sizeof six));
    char text[64];
    length = sizeof six;
    recvfrom(a, buffer, 8, MSG_PEEK, (struct sockaddr *)&six, &length);
    printf("from %s length %d\n", inet_ntop(AF_INET6, &six.sin6_addr, text, sizeof text), (int)length);
    show_control("mapped", a);
    close(a);
    close(b);
}

static void families(void)
{
    char text[64];
    int a = socket(AF_INET6, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in6 name = in6("::", 0);
    bind(a, (struct sockaddr *)&name, sizeof name);
    listen(a, 4);
    int b = socket(AF_INET, SOCK_STREAM, 0);
    show("v4 to ::", connect4(b, local_port(a)));
    socklen_t length = sizeof name;
    int c = accept(a, (struct sockaddr *)&name, &length);
    printf("peer %s length %d\n", inet_ntop(AF_INET6, &name.sin6_addr, text, sizeof text), (int)length);
    getsockname(c, (struct sockaddr *)&name, &length);
    printf("own %s\n", inet_ntop(AF_INET6, &name.sin6_addr, text, sizeof text));
    show("IP_TTL", setsockopt(c, SOL_IP, IP_TTL, &(int){ 5 }, sizeof one));
    show("v6only late", setsockopt(c, SOL_IPV6, IPV6_V6ONLY, &one, sizeof one));
    show("addrform", setsockopt(c, SOL_IPV6, IPV6_ADDRFORM, &(int){ AF_INET }, sizeof one));
    show_option("domain", c, SOL_SOCKET, SO_DOMAIN);
    close(b);
    close(c);
    close(a);
    a = socket(AF_INET6, SOCK_STREAM, 0);
    set_option("IPV6_V6ONLY", a, SOL_IPV6, IPV6_V6ONLY, 1);
    name = in6("::", 0);
    bind(a, (struct sockaddr *)&name, sizeof name);
    listen(a, 4);
    b = socket(AF_INET, SOCK_STREAM, 0);
    show("v4 to v6only", connect4(b, local_port(a)));
    struct sockaddr_in four = in4("0.0.0.0", local_port(a));
    c = socket(AF_INET, SOCK_STREAM, 0);
    show("same port", bind(c, (struct sockaddr *)&four, sizeof four));
    name = in6("::ffff:127.0.0.1", 0);
    show("v6only mapped", bind(socket(AF_INET6, SOCK_STREAM, 0), (struct sockaddr *)&name, sizeof name));
    b = socket(AF_INET6, SOCK_STREAM, 0);
    setsockopt(b, SOL_IPV6, IPV6_V6ONLY, &one, sizeof one);
    show("v6only mapped", bind(b, (struct sockaddr *)&name, sizeof name));
    show("v6only connect mapped", connect(b, (struct sockaddr *)&name, sizeof name));
    show("v6 with v4 name", connect(socket(AF_INET6, SOCK_STREAM, 0), (struct sockaddr *)&four, sizeof four));
    show("v6 short", bind(socket(AF_INET6, SOCK_STREAM, 0), (struct sockaddr *)&name, 20));
    name = in6("fe80::1", 9);
    show("link local without scope", connect(socket(AF_INET6, SOCK_DGRAM, 0), (struct sockaddr *)&name, sizeof name));
    show("bind link local", bind(socket(AF_INET6, SOCK_DGRAM, 0), (struct sockaddr *)&name, sizeof name));
    name.sin6_scope_id = 7777;
    show("bind bad scope", bind(socket(AF_INET6, SOCK_DGRAM, 0), (struct sockaddr *)&name, sizeof name));
    name = in6("ff02::1", 9);
    show("connect stream multicast", connect(socket(AF_INET6, SOCK_STREAM, 0), (struct sockaddr *)&name, sizeof name));
    name = in6("::", local_port(a));
    b = socket(AF_INET6, SOCK_STREAM, 0);
    show("connect ::", connect(b, (struct sockaddr *)&name, sizeof name));
    length = sizeof name;
    getpeername(b, (struct sockaddr *)&name, &length);
    printf("peer %s\n", inet_ntop(AF_INET6, &name.sin6_addr, text, sizeof text));
}

int main(void)
{
    flags();
    many();
    errors();
    controls();
    families();
    return 0;
}
