// Options of sockets: defaults, what they take, what they refuse, and how long their values are.
#include "sockets.h"
#include <linux/filter.h>

struct option {
    const char *name;
    int level, number, values[4];
};

#define O(level, name, ...) { #name, level, name, { __VA_ARGS__ } }

static const struct option generic[] = {
    O(SOL_SOCKET, SO_DEBUG, 0), O(SOL_SOCKET, SO_REUSEADDR, 1, 0, 7), O(SOL_SOCKET, SO_TYPE, 1), O(SOL_SOCKET, SO_ERROR, 1), O(SOL_SOCKET, SO_DONTROUTE, 1, 0),
    O(SOL_SOCKET, SO_BROADCAST, 1, 0), O(SOL_SOCKET, SO_SNDBUF, 1, 10000, -1), O(SOL_SOCKET, SO_RCVBUF, 1, 10000, -1), O(SOL_SOCKET, SO_KEEPALIVE, 1, 0),
    O(SOL_SOCKET, SO_OOBINLINE, 1, 0), O(SOL_SOCKET, SO_PRIORITY, 0, 6, 3), O(SOL_SOCKET, SO_RCVLOWAT, 0, 5), O(SOL_SOCKET, SO_SNDLOWAT, 5),
    O(SOL_SOCKET, SO_TIMESTAMP, 1, 0), O(SOL_SOCKET, SO_TIMESTAMPNS, 1, 0), O(SOL_SOCKET, SO_ACCEPTCONN, 1), O(SOL_SOCKET, SO_PROTOCOL, 1), O(SOL_SOCKET, SO_DOMAIN, 1),
    O(SOL_SOCKET, SO_MARK, 0), O(SOL_SOCKET, SO_RXQ_OVFL, 1, 0), O(SOL_SOCKET, SO_REUSEPORT, 1, 0), O(SOL_SOCKET, SO_INCOMING_CPU, -1),
    O(SOL_SOCKET, SO_ZEROCOPY, 1, 2, -1), O(SOL_SOCKET, SO_PASSCRED, 1, 0), O(SOL_SOCKET, SO_NO_CHECK, 1, 0),
    O(SOL_SOCKET, SO_LOCK_FILTER, 0), O(SOL_SOCKET, SO_DETACH_FILTER, 0), O(SOL_SOCKET, SO_BINDTOIFINDEX, 0, -1), O(SOL_SOCKET, SO_BUSY_POLL, -1, 0),
    O(SOL_SOCKET, SO_SELECT_ERR_QUEUE, 1, 0), O(SOL_SOCKET, 200, 1), O(SOL_SOCKET, SO_PEERSEC, 1),
};

static const struct option internet[] = {
    O(SOL_IP, IP_TOS, 0x10, 0xff, 300), O(SOL_IP, IP_TTL, 1, 255, 0, 256), O(SOL_IP, IP_TTL, -1), O(SOL_IP, IP_RECVOPTS, 1, 0), O(SOL_IP, IP_RETOPTS, 1, 0),
    O(SOL_IP, IP_PKTINFO, 1, 0), O(SOL_IP, IP_MTU_DISCOVER, 0, 2, 5, 6), O(SOL_IP, IP_RECVERR, 1, 0), O(SOL_IP, IP_RECVTTL, 1, 0), O(SOL_IP, IP_RECVTOS, 1, 0),
    O(SOL_IP, IP_MTU, 1), O(SOL_IP, IP_FREEBIND, 1, 0), O(SOL_IP, IP_TRANSPARENT, 0), O(SOL_IP, IP_MINTTL, 5, 0, 256, -1), O(SOL_IP, IP_MULTICAST_TTL, 5, 0, 256, -1),
    O(SOL_IP, IP_MULTICAST_LOOP, 0, 1), O(SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1, 0), O(SOL_IP, IP_RECVORIGDSTADDR, 1, 0),
    O(SOL_IP, 199, 1),
    O(SOL_UDP, UDP_CORK, 1, 0), O(SOL_UDP, UDP_SEGMENT, 1000, 0, -1, 65536), O(SOL_UDP, 77, 1),
    O(SOL_IPV6, IPV6_UNICAST_HOPS, 1, 255, 0, -1), O(SOL_IPV6, IPV6_UNICAST_HOPS, 256, -2), O(SOL_IPV6, IPV6_MULTICAST_HOPS, 1, 255, 0, -1), O(SOL_IPV6, IPV6_MULTICAST_HOPS, 256), O(SOL_IPV6, IPV6_MULTICAST_LOOP, 0, 1, 2),
    O(SOL_IPV6, IPV6_MULTICAST_IF, 0, 7777, -1), O(SOL_IPV6, IPV6_V6ONLY, 1, 0), O(SOL_IPV6, IPV6_TCLASS, 5, 255, -1, 256), O(SOL_IPV6, IPV6_RECVPKTINFO, 1, 0), O(SOL_IPV6, IPV6_RECVHOPLIMIT, 1, 0),
    O(SOL_IPV6, IPV6_RECVTCLASS, 1, 0), O(SOL_IPV6, IPV6_RECVERR, 1, 0), O(SOL_IPV6, IPV6_MTU_DISCOVER, 0, 2, 5, 6), O(SOL_IPV6, IPV6_DONTFRAG, 1, 0),
    O(SOL_IPV6, IPV6_RECVPATHMTU, 1, 0), O(SOL_IPV6, IPV6_FREEBIND, 1, 0), O(SOL_IPV6, IPV6_AUTOFLOWLABEL, 1, 0), O(SOL_IPV6, IPV6_MULTICAST_ALL, 0, 1),
    O(SOL_IPV6, IPV6_MINHOPCOUNT, 5, 0, 256), O(SOL_IPV6, IPV6_RECVORIGDSTADDR, 1, 0), O(SOL_IPV6, 199, 1),
};

static const struct option tcp[] = {
    O(SOL_TCP, TCP_NODELAY, 1, 0, 5), O(SOL_TCP, TCP_MAXSEG, 500, 87, 32768, 0), O(SOL_TCP, TCP_CORK, 1, 0), O(SOL_TCP, TCP_KEEPIDLE, 1, 32767, 0, 32768), O(SOL_TCP, TCP_KEEPINTVL, 1, 0, 32768),
    O(SOL_TCP, TCP_KEEPCNT, 1, 127, 0, 128), O(SOL_TCP, TCP_SYNCNT, 1, 127, 0, 128), O(SOL_TCP, TCP_LINGER2, 10, 0, -1, 1000), O(SOL_TCP, TCP_DEFER_ACCEPT, 1, 0, 10, -1),
    O(SOL_TCP, TCP_WINDOW_CLAMP, 5000, 0), O(SOL_TCP, TCP_QUICKACK, 0, 1), O(SOL_TCP, TCP_USER_TIMEOUT, 1000, -1),
    O(SOL_TCP, TCP_FASTOPEN, 5, 0, -1), O(SOL_TCP, TCP_FASTOPEN_CONNECT, 1, 0, 2), O(SOL_TCP, TCP_NOTSENT_LOWAT, 1000, -1),
    O(SOL_TCP, 199, 1), O(SOL_UDP, UDP_CORK, 1),
};

static void run(const char *what, int family, int type, const struct option *options, int count)
{
    printf("-- %s\n", what);
    for (int i = 0; i < count; i++) {
        const struct option *one = &options[i];
        int fd = socket(family, type | SOCK_NONBLOCK, 0);
        show_option(one->name, fd, one->level, one->number);
        for (int j = 0; j < 4; j++)
            if (j == 0 || one->values[j])
                set_option(one->name, fd, one->level, one->number, one->values[j]);
        int value[4] = { 0 };
        socklen_t length = 16;
        int result = getsockopt(fd, one->level, one->number, value, &length);
        printf("get %s long: %s length %d\n", one->name, result ? strerrorname_np(errno) : "0", (int)length);
        close(fd);
    }

    fflush(stdout);
}

#define COUNT(a) (int)(sizeof a / sizeof a[0])

static void structures(int family, int type)
{
    int fd = socket(family, type, 0);
    struct linger linger = { 5, 7 };
    socklen_t length = sizeof linger;
    show("linger", setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
    show("linger short", setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, 4));
    getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &length);
    printf("linger %d %d length %d\n", linger.l_onoff, linger.l_linger, (int)length);
    linger = (struct linger){ 0, 3 };
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &length);
    printf("linger %d %d\n", linger.l_onoff, linger.l_linger);
    struct timeval times[] = { { 1, 500000 }, { 0, 0 }, { -1, 0 }, { 0, 1000000 }, { 0, -1 }, { 1L << 60, 0 } };
    for (int i = 0; i < COUNT(times); i++) {
        show("timeout", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &times[i], sizeof times[i]));
        struct timeval got;
        length = sizeof got;
        getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &got, &length);
        printf("timeout %ld.%06ld length %d\n", (long)got.tv_sec, (long)got.tv_usec, (int)length);
    }

    show("timeout short", setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &times[0], 8));
    show("device", setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
    char name[IFNAMSIZ] = "";
    length = sizeof name;
    show("get device", getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &length));
    printf("device %s length %d\n", name, (int)length);
    length = 3;
    show("get device short", getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &length));
    show("no device", setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "nosuch0", 8));
    show("device off", setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "", 0));
    struct ucred peer;
    length = sizeof peer;
    show("SO_PEERCRED", getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length));
    printf("peer %d %d %d length %d\n", peer.pid, peer.uid, peer.gid, (int)length);
    length = -1;
    show("negative length", getsockopt(fd, SOL_SOCKET, SO_TYPE, &peer, &length));
    show("negative length", setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &peer, -1));
    length = 4;
    show("bad address", syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, 4096, &length));
    show("bad length", syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, &peer, 4096));
    struct sock_filter pass[] = { { 6, 0, 0, 0xffff } }, none[] = { { 6, 0, 0, 0 } }, bad[] = { { 0xff, 0, 0, 0 } };
    struct sock_fprog program = { 1, pass };
    show("attach", setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));
    program.filter = bad;
    show("attach bad", setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));
    program.len = 0;
    show("attach none", setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));
    program = (struct sock_fprog){ 1, none };
    show("attach again", setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));
    struct sock_filter got[4] = { 0 };
    length = 4;
    show("get filter", getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, got, &length));
    printf("%d %d\n", (int)length, got[0].code);
    int one = 1;
    show("lock", setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &one, sizeof one));
    show("locked", setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &one, sizeof one));
    show("locked", setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));
    one = 0;
    show("unlock", setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &one, sizeof one));
    close(fd);
}

static void filtered(void)
{
    int a = bound(SOCK_DGRAM), b = socket(AF_INET, SOCK_DGRAM, 0);
    char buffer[16];
    // Accepts datagrams whose first byte behind the UDP header is 'y', and keeps two bytes of them.
    struct sock_filter code[] = { { 0x30, 0, 0, 8 }, { 0x15, 0, 1, 'y' }, { 6, 0, 0, 10 }, { 6, 0, 0, 0 } };
    struct sock_fprog program = { 4, code };
    show("attach", setsockopt(a, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));
    connect4(b, local_port(a));
    send(b, "no", 2, 0);
    send(b, "yes", 3, 0);
    memset(buffer, 0, sizeof buffer);
    show("recv", recv(a, buffer, sizeof buffer, 0));
    printf("%s\n", buffer);
    show("recv", recv(a, buffer, sizeof buffer, MSG_DONTWAIT));
    show("detach", setsockopt(a, SOL_SOCKET, SO_DETACH_FILTER, &a, sizeof a));
    show("detach", setsockopt(a, SOL_SOCKET, SO_DETACH_FILTER, &a, sizeof a));
    send(b, "no", 2, 0);
    show("recv", recv(a, buffer, sizeof buffer, 0));
    int pair[2];
    socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
    struct sock_filter first[] = { { 0x30, 0, 0, 0 }, { 0x15, 0, 1, 'y' }, { 6, 0, 0, 2 }, { 6, 0, 0, 0 } };
    program.filter = first;
    show("attach", setsockopt(pair[0], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));
    show("send", send(pair[1], "no", 2, 0));
    show("send", send(pair[1], "yes", 3, 0));
    memset(buffer, 0, sizeof buffer);
    show("recv", recv(pair[0], buffer, sizeof buffer, 0));
    printf("%s\n", buffer);
}

int main(void)
{
    run("tcp", AF_INET, SOCK_STREAM, generic, COUNT(generic));
    run("udp", AF_INET, SOCK_DGRAM, generic, COUNT(generic));
    run("unix", AF_UNIX, SOCK_STREAM, generic, COUNT(generic));
    run("unix datagram", AF_UNIX, SOCK_DGRAM, generic, COUNT(generic));
    run("netlink", AF_NETLINK, SOCK_RAW, generic, COUNT(generic));
    run("tcp", AF_INET, SOCK_STREAM, internet, COUNT(internet));
    run("udp", AF_INET, SOCK_DGRAM, internet, COUNT(internet));
    run("tcp6", AF_INET6, SOCK_STREAM, internet, COUNT(internet));
    run("udp6", AF_INET6, SOCK_DGRAM, internet, COUNT(internet));
    run("tcp", AF_INET, SOCK_STREAM, tcp, COUNT(tcp));
    run("udp", AF_INET, SOCK_DGRAM, tcp, COUNT(tcp));
    structures(AF_INET, SOCK_DGRAM);
    structures(AF_UNIX, SOCK_STREAM);
    filtered();
    return 0;
}
