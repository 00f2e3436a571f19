// Packet sockets on the loopback interface: frames in both directions, filters, control messages, what is refused.
#include "sockets.h"
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

static int port;

// Accepts IPv4 UDP to the port, whatever else the interface carries; offsets are from the start of the IP header plus the link header.
static void filter_port(int fd, int link)
{
    struct sock_filter code[] = {
        { 0x30, 0, 0, link + 9 }, { 0x15, 0, 3, IPPROTO_UDP }, { 0x28, 0, 0, link + 22 }, { 0x15, 0, 1, port }, { 6, 0, 0, 0x40000 }, { 6, 0, 0, 0 },
    };
    struct sock_fprog program = { 6, code };
    show("filter", setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));
}

static void receive(const char *what, int fd, int link)
{
    unsigned char buffer[256], control[256];
    struct sockaddr_ll from;
    memset(&from, 0xee, sizeof from);
    struct iovec vector = { buffer, sizeof buffer };
    struct msghdr message = { .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
    struct pollfd one = { fd, POLLIN, 0 };
    if (poll(&one, 1, 1000) != 1) {
        printf("%s: nothing\n", what);
        return;
    }

    long n = recvmsg(fd, &message, MSG_DONTWAIT);
    printf("%s: %ld flags %#x namelen %d family %d protocol %#x index %d hatype %d pkttype %d halen %d", what, n < 0 ? -errno : n, message.msg_flags,
        message.msg_namelen, from.sll_family, ntohs(from.sll_protocol), from.sll_ifindex, from.sll_hatype, from.sll_pkttype, from.sll_halen);
    printf(" data %.4s\n", n > link + 28 ? (char *)buffer + link + 28 : "");
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        struct tpacket_auxdata *a = (void *)CMSG_DATA(c);
        printf("control %d %d length %d: %u %u net %d\n", c->cmsg_level, c->cmsg_type, (int)c->cmsg_len, a->tp_len, a->tp_snaplen, a->tp_net);
    }

    fflush(stdout);
}

int main(void)
{
    int target = bound(SOCK_DGRAM), sender = socket(AF_INET, SOCK_DGRAM, 0), one = 1;
    port = local_port(target);
    connect4(sender, port);
    show("stream", socket(AF_PACKET, SOCK_STREAM, htons(ETH_P_ALL)));
    int raw = socket(AF_PACKET, SOCK_RAW, 0), cooked = socket(AF_PACKET, SOCK_DGRAM, 0);
    filter_port(raw, 14);
    filter_port(cooked, 0);
    struct sockaddr_ll name = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = 1 };
    show("bind", bind(raw, (void *)&name, sizeof name));
    name.sll_protocol = htons(ETH_P_IP);
    show("bind", bind(cooked, (void *)&name, sizeof name));
    name.sll_ifindex = 7777;
    show("bind bad", bind(cooked, (void *)&name, sizeof name));
    show("bind short", bind(cooked, (void *)&name, 10));
    struct sockaddr_ll own = { 0 };
    socklen_t length = sizeof own;
    show("getsockname", getsockname(raw, (void *)&own, &length));
    printf("length %d protocol %#x index %d hatype %d halen %d\n", (int)length, ntohs(own.sll_protocol), own.sll_ifindex, own.sll_hatype, own.sll_halen);
    show("getpeername", getpeername(raw, (void *)&own, &length));
    show("connect", connect(raw, (void *)&name, sizeof name));
    show("listen", listen(raw, 1));
    show("shutdown", shutdown(raw, SHUT_RD));
    show("auxdata", setsockopt(raw, SOL_PACKET, PACKET_AUXDATA, &one, sizeof one));
    send(sender, "ping", 4, 0);
    receive("raw out", raw, 14);
    receive("raw in", raw, 14);
    receive("cooked in", cooked, 0);
    struct tpacket_stats statistics = { 0 };
    length = sizeof statistics;
    show("statistics", getsockopt(raw, SOL_PACKET, PACKET_STATISTICS, &statistics, &length));
    printf("packets %u drops %u length %d\n", statistics.tp_packets, statistics.tp_drops, (int)length);
    show("ignore outgoing", setsockopt(raw, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one));
    send(sender, "pong", 4, 0);
    receive("raw in", raw, 14);
    show("nothing more", recv(raw, &length, 1, MSG_DONTWAIT));
    struct packet_mreq request = { .mr_ifindex = 1, .mr_type = PACKET_MR_PROMISC };
    show("promiscuous", setsockopt(raw, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof request));
    show("leave", setsockopt(raw, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &request, sizeof request));
    show("leave again", setsockopt(raw, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &request, sizeof request));
    request.mr_ifindex = 7777;
    show("no device", setsockopt(raw, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof request));
    show("unknown option", setsockopt(raw, SOL_PACKET, 99, &one, sizeof one));
    name = (struct sockaddr_ll){ .sll_family = AF_PACKET, .sll_ifindex = 1, .sll_protocol = htons(0x88b5), .sll_halen = 6 };
    int listener = socket(AF_PACKET, SOCK_DGRAM, htons(0x88b5));
    show("send cooked", sendto(cooked, "frame of our own", 16, 0, (void *)&name, sizeof name));
    receive("own protocol", listener, 0);
    show("send short", sendto(raw, "short", 5, 0, (void *)&name, sizeof name));
    name.sll_ifindex = 7777;
    show("send nowhere", sendto(cooked, "x", 1, 0, (void *)&name, sizeof name));
    return 0;
}
