// Multicast groups of streams (ip(7), RFC 3678): the older options are refused, MCAST_* are not; accepted sockets have none.
#include "guest.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

static struct sockaddr_storage address(int family, const char *text)
{
    struct sockaddr_storage a = { .ss_family = family };
    if (family == AF_INET6)
        inet_pton(family, text, &((struct sockaddr_in6 *)&a)->sin6_addr);
    else
        inet_pton(family, text, &((struct sockaddr_in *)&a)->sin_addr);
    return a;
}

static void source_options(int s, int level, const char *kind, struct group_source_req *g)
{
    struct group_req q = { .gr_interface = g->gsr_interface, .gr_group = g->gsr_group };
    puts(kind);
    show("join", setsockopt(s, level, MCAST_JOIN_GROUP, &q, sizeof q));
    show("join again", setsockopt(s, level, MCAST_JOIN_GROUP, &q, sizeof q));
    show("join source of all", setsockopt(s, level, MCAST_JOIN_SOURCE_GROUP, g, sizeof *g));
    show("block", setsockopt(s, level, MCAST_BLOCK_SOURCE, g, sizeof *g));
    show("block again", setsockopt(s, level, MCAST_BLOCK_SOURCE, g, sizeof *g));
    show("unblock", setsockopt(s, level, MCAST_UNBLOCK_SOURCE, g, sizeof *g));
    show("unblock again", setsockopt(s, level, MCAST_UNBLOCK_SOURCE, g, sizeof *g));
    show("leave", setsockopt(s, level, MCAST_LEAVE_GROUP, &q, sizeof q));
    show("leave again", setsockopt(s, level, MCAST_LEAVE_GROUP, &q, sizeof q));
    show("join source", setsockopt(s, level, MCAST_JOIN_SOURCE_GROUP, g, sizeof *g));
    show("join source again", setsockopt(s, level, MCAST_JOIN_SOURCE_GROUP, g, sizeof *g));
    show("block of one", setsockopt(s, level, MCAST_BLOCK_SOURCE, g, sizeof *g));
    show("leave source", setsockopt(s, level, MCAST_LEAVE_SOURCE_GROUP, g, sizeof *g));
    show("leave source again", setsockopt(s, level, MCAST_LEAVE_SOURCE_GROUP, g, sizeof *g));
    show("short", setsockopt(s, level, MCAST_JOIN_GROUP, &q, sizeof q - 1));
    show("short with source", setsockopt(s, level, MCAST_JOIN_SOURCE_GROUP, g, sizeof *g - 1));
}

static void run(int family)
{
    int level = family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
    struct group_source_req g = { .gsr_interface = 1 };
    g.gsr_group = address(family, family == AF_INET6 ? "ff02::77" : "224.0.0.77");
    g.gsr_source = address(family, family == AF_INET6 ? "fe80::5" : "10.0.0.5");
    struct group_req q = { .gr_interface = 1, .gr_group = g.gsr_group };
    int s = socket(family, SOCK_STREAM, 0);
    if (family == AF_INET6) {
        struct ipv6_mreq m = { .ipv6mr_interface = 1 };
        inet_pton(family, "ff02::77", &m.ipv6mr_multiaddr);
        show("add", setsockopt(s, level, IPV6_ADD_MEMBERSHIP, &m, sizeof m));
        show("drop", setsockopt(s, level, IPV6_DROP_MEMBERSHIP, &m, sizeof m));
    } else {
        struct ip_mreqn m = { .imr_ifindex = 1, .imr_multiaddr.s_addr = inet_addr("224.0.0.77") };
        struct ip_mreq_source of_source = { { inet_addr("224.0.0.77") }, { inet_addr("127.0.0.1") }, { inet_addr("10.0.0.5") } };
        show("add", setsockopt(s, level, IP_ADD_MEMBERSHIP, &m, sizeof m));
        show("drop", setsockopt(s, level, IP_DROP_MEMBERSHIP, &m, sizeof m));
        show("add source", setsockopt(s, level, IP_ADD_SOURCE_MEMBERSHIP, &of_source, sizeof of_source));
        show("drop source", setsockopt(s, level, IP_DROP_SOURCE_MEMBERSHIP, &of_source, sizeof of_source));
    }
    source_options(s, level, "stream", &g);
    int d = socket(family, SOCK_DGRAM, 0);
    source_options(d, level, "datagrams", &g);
    close(d);

    show("join", setsockopt(s, level, MCAST_JOIN_GROUP, &q, sizeof q));
    struct sockaddr_storage local = address(family, family == AF_INET6 ? "::1" : "127.0.0.1");
    socklen_t length = family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    show("bind", bind(s, (void *)&local, length));
    show("listen", listen(s, 1));
    getsockname(s, (void *)&local, &length);
    int c = socket(family, SOCK_STREAM, 0);
    show("connect", connect(c, (void *)&local, length));
    int a = accept(s, 0, 0);
    show("accepted leaves", setsockopt(a, level, MCAST_LEAVE_GROUP, &q, sizeof q));
    show("listener leaves", setsockopt(s, level, MCAST_LEAVE_GROUP, &q, sizeof q));
    show("joins for its end", setsockopt(c, level, MCAST_JOIN_GROUP, &q, sizeof q));
    close(a);
    close(c);
    close(s);
}

int main(void)
{
    run(AF_INET);
    run(AF_INET6);
    char line[256];
    FILE *groups = fopen("/proc/net/igmp", "r");
    while (fgets(line, sizeof line, groups))
        if (strstr(line, "4D0000E0"))
            printf("left over: %s", line);
    return 0;
}
