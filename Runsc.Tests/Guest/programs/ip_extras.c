// Options of IPv4 headers, control messages of RFC 2292, and what is too big for its path.
#include "sockets.h"
#include <linux/errqueue.h>
#include <netinet/ip_icmp.h>

#define IPV6_FLOWINFO 11

static void hex(const char *what, const unsigned char *bytes, int length)
{
    printf("%s %d:", what, length);
    for (int i = 0; i < length; i++)
        printf(" %02x", bytes[i]);
    printf("\n");
}

// The times in a timestamp option mean nothing.
static void hide_times(unsigned char *options, int length)
{
    if (length >= 8 && options[0] == 68)
        for (int i = 4 * (1 + (options[3] & 15)); i + 4 <= options[1]; i += 4 * (1 + (options[3] & 15))) {
            int is_set = options[i] || options[i + 1] || options[i + 2] || options[i + 3];
            memset(options + i, is_set, 4);
        }
}

static void receive(const char *what, int fd, int flags)
{
    static char buffer[70000];
    char control[512];
    struct sockaddr_in6 from = { 0 };
    struct iovec vector = { buffer, sizeof buffer };
    struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1, .msg_name = &from, .msg_namelen = sizeof from, .msg_control = control, .msg_controllen = sizeof control };
    long n = recvmsg(fd, &message, flags);
    show(what, n);
    if (n < 0)
        return;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        int length = (int)c->cmsg_len - (int)CMSG_LEN(0);
        hide_times(CMSG_DATA(c), length);
        if (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_FLOWINFO)
            *(unsigned *)CMSG_DATA(c) &= htonl(0xfff00000); // the label is chosen at random
        printf("control %d %d ", c->cmsg_level, c->cmsg_type);
        hex("", CMSG_DATA(c), length);
    }
    if (flags & MSG_ERRQUEUE)
        printf("family %d port %d flags %#x\n", from.sin6_family, from.sin6_port != 0, message.msg_flags & ~MSG_DONTWAIT);
}

static void options(const char *what, const unsigned char *list, int length)
{
    printf("-- %s\n", what);
    int to = bound(SOCK_DGRAM), fd = socket(AF_INET, SOCK_DGRAM, 0), one = 1;
    unsigned char got[64];
    socklen_t room = sizeof got;
    show("IP_OPTIONS", setsockopt(fd, SOL_IP, IP_OPTIONS, list, length));
    show("get", getsockopt(fd, SOL_IP, IP_OPTIONS, got, &room));
    hex("options", got, room);
    connect4(fd, local_port(to));
    send(fd, "a", 1, 0);
    receive("unasked", to, 0);
    setsockopt(to, SOL_IP, IP_RECVOPTS, &one, sizeof one);
    setsockopt(to, SOL_IP, IP_RETOPTS, &one, sizeof one);
    send(fd, "b", 1, 0);
    receive("asked", to, 0);
    show("none", setsockopt(fd, SOL_IP, IP_OPTIONS, list, 0));
    send(fd, "c", 1, 0);
    receive("without", to, 0);
    close(fd);
    close(to);
}

static void echo(const unsigned char *list, int length)
{
    int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    struct icmphdr request = { .type = ICMP_ECHO, .un.echo = { .id = htons(getpid()), .sequence = 7 } };
    unsigned char packet[256];
    struct sockaddr_in name = in4("127.0.0.1", 0);
    unsigned sum = 0;
    for (int i = 0; i < 4; i++)
        sum += ((unsigned short *)&request)[i];
    request.checksum = ~(sum % 0xffff);
    setsockopt(fd, SOL_IP, IP_OPTIONS, list, length);
    show("echo", sendto(fd, &request, sizeof request, 0, (void *)&name, sizeof name));
    for (;;) {
        int n = recv(fd, packet, sizeof packet, 0), header = (packet[0] & 15) * 4;
        struct icmphdr *reply = (void *)(packet + header);
        if (n < header + 8 || reply->un.echo.id != request.un.echo.id)
            continue;
        hide_times(packet + 20, header - 20);
        hex(reply->type ? "request" : "reply", packet + 20, header - 20);
        if (reply->type == ICMP_ECHOREPLY)
            break;
    }
    close(fd);
}

static void of_rfc2292(void)
{
    const int names[] = { IPV6_2292PKTINFO, IPV6_2292HOPLIMIT, IPV6_FLOWINFO };
    int to = socket(AF_INET6, SOCK_DGRAM, 0), fd = socket(AF_INET6, SOCK_DGRAM, 0);
    struct sockaddr_in6 name = in6("::1", 0);
    bind(to, (void *)&name, sizeof name);
    name.sin6_port = htons(local_port(to));
    printf("-- RFC 2292\n");
    for (int i = 0; i < 3; i++) {
        show_option("option", to, SOL_IPV6, names[i]);
        set_option("option", to, SOL_IPV6, names[i], 1);
        show_option("option", to, SOL_IPV6, names[i]);
    }
    set_option("not to be set", to, SOL_IPV6, IPV6_HOPLIMIT, 1);
    setsockopt(fd, SOL_IPV6, IPV6_TCLASS, &(int){ 0x28 }, 4);
    sendto(fd, "x", 1, 0, (void *)&name, sizeof name);
    receive("received", to, 0);
    char control[CMSG_SPACE(4)];
    struct iovec vector = { "y", 1 };
    struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1, .msg_name = &name, .msg_namelen = sizeof name, .msg_control = control, .msg_controllen = sizeof control };
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    *c = (struct cmsghdr){ CMSG_LEN(4), SOL_IPV6, IPV6_2292HOPLIMIT };
    *(int *)CMSG_DATA(c) = 9;
    show("send", sendmsg(fd, &message, 0));
    receive("received", to, 0);
    close(fd);
    close(to);
}

static void too_big(int connected)
{
    static char buffer[65527];
    int to = socket(AF_INET6, SOCK_DGRAM, 0), fd = socket(AF_INET6, SOCK_DGRAM, 0), one = 1;
    struct sockaddr_in6 name = in6("::1", 0);
    bind(to, (void *)&name, sizeof name);
    name.sin6_port = htons(local_port(to));
    printf("-- too big\n");
    setsockopt(fd, SOL_IPV6, IPV6_MTU_DISCOVER, &(int){ IPV6_PMTUDISC_DO }, 4);
    if (connected)
        connect(fd, (void *)&name, sizeof name);
    show("send", sendto(fd, buffer, sizeof buffer, 0, (void *)&name, sizeof name));
    receive("nothing is queued", fd, MSG_ERRQUEUE | MSG_DONTWAIT);
    setsockopt(fd, SOL_IPV6, IPV6_RECVERR, &one, sizeof one);
    show("send", sendto(fd, buffer, sizeof buffer, 0, (void *)&name, sizeof name));
    show("send", sendto(fd, buffer, sizeof buffer, 0, (void *)&name, sizeof name));
    show_poll("queued", fd, POLLIN, 0);
    show_option("SO_ERROR", fd, SOL_SOCKET, SO_ERROR);
    show("small", sendto(fd, buffer, 1, 0, (void *)&name, sizeof name));
    char control[512];
    for (int i = 0; i < 2; i++) {
        struct sockaddr_in6 about = { 0 };
        struct iovec vector = { buffer, sizeof buffer };
        struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1, .msg_name = &about, .msg_namelen = sizeof about, .msg_control = control, .msg_controllen = sizeof control };
        show("error", recvmsg(fd, &message, MSG_ERRQUEUE));
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        struct sock_extended_err *e = (void *)CMSG_DATA(c);
        printf("%d %d: %s origin %d type %d code %d info %u offender %d; about its port %d\n", c->cmsg_level, c->cmsg_type, strerrorname_np(e->ee_errno),
               e->ee_origin, e->ee_type, e->ee_code, e->ee_info, SO_EE_OFFENDER(e)->sa_family, about.sin6_port == name.sin6_port);
        show_option("SO_ERROR", fd, SOL_SOCKET, SO_ERROR);
    }
    show_poll("all read", fd, POLLIN, 0);
    static char huge[128000];
    show("more than a packet", sendto(fd, huge, sizeof huge, 0, (void *)&name, sizeof name));
    receive("told as well", fd, MSG_ERRQUEUE);
    close(fd);
    close(to);
}

// A closed port answers by ICMP: what is asked of packets is told of that message.
static void refused(void)
{
    int one = 1, gone = bound(SOCK_DGRAM), fd = socket(AF_INET, SOCK_DGRAM, 0), port = local_port(gone);
    printf("-- refused\n");
    close(gone);
    setsockopt(fd, SOL_IP, IP_RECVERR, &one, sizeof one);
    setsockopt(fd, SOL_IP, IP_RECVTTL, &one, sizeof one);
    setsockopt(fd, SOL_IP, IP_PKTINFO, &one, sizeof one);
    connect4(fd, port);
    send(fd, "x", 1, 0);
    show_poll("queued", fd, POLLIN, 2000);
    receive("error", fd, MSG_ERRQUEUE);
    close(fd);
    fd = socket(AF_INET6, SOCK_DGRAM, 0);
    struct sockaddr_in6 name = in6("::1", port);
    setsockopt(fd, SOL_IPV6, IPV6_RECVERR, &one, sizeof one);
    setsockopt(fd, SOL_IPV6, IPV6_RECVHOPLIMIT, &one, sizeof one);
    sendto(fd, "x", 1, 0, (void *)&name, sizeof name);
    show_poll("queued", fd, POLLIN, 2000);
    receive("error", fd, MSG_ERRQUEUE);
    close(fd);
}

int main(void)
{
    const unsigned char route[] = { 1, 7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0 }, full[] = { 7, 7, 4, 0, 0, 0, 0, 0 }, times[] = { 68, 12, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0 },
        places[] = { 68, 36, 5, 1, [36] = 0 };
    options("route", route, sizeof route);
    options("route that is full", full, sizeof full);
    options("times", times, sizeof times);
    options("times and places", places, 36);
    echo(route, sizeof route);
    echo(places, 36);
    of_rfc2292();
    too_big(0);
    too_big(1);
    refused();
    return 0;
}
