// UDP-Lite over the loopback interface: coverage of checksums as options, on the wire, and of packets made by hand; ports of its own.
#include "sockets.h"

enum { SendCoverage = 10, ReceiveCoverage = 11 };

static int lite(int family)
{
    return socket(family, SOCK_DGRAM, IPPROTO_UDPLITE);
}

static void options(int family)
{
    static const int values[] = { -1, 0, 1, 7, 8, 9, 20, 65535, 65536 };
    int fd = lite(family), udp = socket(family, SOCK_DGRAM, 0);
    show_option("SO_PROTOCOL", fd, SOL_SOCKET, SO_PROTOCOL);
    show_option("send coverage", fd, IPPROTO_UDPLITE, SendCoverage);
    for (unsigned i = 0; i < sizeof values / sizeof *values; i++) {
        set_option("send coverage", fd, IPPROTO_UDPLITE, SendCoverage, values[i]);
        set_option("receive coverage", fd, IPPROTO_UDPLITE, ReceiveCoverage, values[i]);
    }

    set_option("send coverage by SOL_UDP", fd, IPPROTO_UDP, SendCoverage, 12);
    set_option("cork", fd, IPPROTO_UDPLITE, UDP_CORK, 1);
    set_option("unknown", fd, IPPROTO_UDPLITE, 99, 1);
    show("short", setsockopt(fd, IPPROTO_UDPLITE, SendCoverage, "abc", 3));
    set_option("of UDP", udp, IPPROTO_UDP, SendCoverage, 8);
    set_option("of UDP", udp, IPPROTO_UDPLITE, ReceiveCoverage, 8);
    set_option("cork of UDP", udp, IPPROTO_UDPLITE, UDP_CORK, 0);
    close(udp);
    close(fd);
    fd = socket(family, SOCK_STREAM, 0);
    set_option("of TCP", fd, IPPROTO_UDPLITE, SendCoverage, 8);
    close(fd);
    show("stream", socket(family, SOCK_STREAM, IPPROTO_UDPLITE));
}

static void bind4(int fd, int port)
{
    struct sockaddr_in name = in4("127.0.0.1", port);
    show("bind", bind(fd, (struct sockaddr *)&name, sizeof name));
}

// The packet as it is on the wire, and the packet as it is received.
static void wire(void)
{
    static const int coverages[] = { -1, 0, 8, 12, 13, 27, 28, 29, 1000 };
    int raw = socket(AF_INET, SOCK_RAW, IPPROTO_UDPLITE), a = lite(AF_INET), one = 1;
    bind4(a, 45136);
    for (unsigned i = 0; i < sizeof coverages / sizeof *coverages; i++) {
        int b = lite(AF_INET);
        bind4(b, 45137);
        show("connect", connect4(b, 45136));
        if (coverages[i] >= 0)
            setsockopt(b, IPPROTO_UDPLITE, SendCoverage, &coverages[i], sizeof coverages[i]);
        unsigned char buffer[128];
        show("send", send(b, "abcdefghijklmnopqrst", 20, 0));
        int n = recv(raw, buffer, sizeof buffer, 0);
        printf("coverage %d: %d bytes:", coverages[i], n);
        for (int j = 20; j < n; j++)
            printf(" %02x", buffer[j]);
        printf("\n");
        show("recv", recv(a, buffer, sizeof buffer, 0));
        setsockopt(b, SOL_SOCKET, SO_NO_CHECK, &one, sizeof one);
        show("without checksum", send(b, "", 0, 0));
        n = recv(raw, buffer, sizeof buffer, 0);
        printf("%d bytes, checksum %02x%02x\n", n, buffer[26], buffer[27]);
        show("recv", recv(a, buffer, sizeof buffer, 0));
        close(b);
    }

    int b = lite(AF_INET);
    connect4(b, 45136);
    set_option("segments", b, IPPROTO_UDP, UDP_SEGMENT, 4);
    show("send in segments", send(b, "abcdefgh", 8, 0));
    set_option("segments", b, IPPROTO_UDP, UDP_SEGMENT, 0);
    send(b, "ab", 2, MSG_MORE);
    show("send", send(b, "cd", 2, 0));
    char text[8];
    show("joined", recv(a, text, sizeof text, 0));
    close(a);
    show("nobody", send(b, "x", 1, 0));
    show_poll("refused", b, POLLOUT, 2000);
    show_option("SO_ERROR", b, SOL_SOCKET, SO_ERROR);
    close(b);
    close(raw);
}

static unsigned sum(const unsigned char *bytes, int length)
{
    unsigned total = 0;
    for (int i = 0; i < length; i++)
        total += i & 1 ? bytes[i] : bytes[i] << 8;
    return total;
}

// A packet of 12 bytes of data, its checksum over `real` bytes and its header telling of `told`.
static void crafted(int raw, int to, const char *what, int told, int real, int damage)
{
    unsigned char packet[20] = { 45138 >> 8, 45138 & 255, 45136 >> 8, 45136 & 255, told >> 8, told, 0, 0, 'h', 'e', 'l', 'l', 'o', ' ', 'w', 'o', 'r', 'l', 'd', '!' };
    unsigned char pseudo[12] = { 127, 0, 0, 1, 127, 0, 0, 1, 0, IPPROTO_UDPLITE, 0, sizeof packet };
    if (real) {
        unsigned total = sum(packet, real) + sum(pseudo, sizeof pseudo);
        total = (total & 0xffff) + (total >> 16);
        total = ~((total & 0xffff) + (total >> 16)) & 0xffff;
        packet[6] = total >> 8;
        packet[7] = total;
    }

    packet[damage ? damage : 0] ^= damage ? 0x40 : 0;
    struct sockaddr_in name = in4("127.0.0.1", 0);
    if (sendto(raw, packet, sizeof packet, 0, (struct sockaddr *)&name, sizeof name) != sizeof packet)
        perror("sendto");
    char buffer[64];
    struct pollfd one = { .fd = to, .events = POLLIN };
    poll(&one, 1, 0);
    long n = recv(to, buffer, sizeof buffer, MSG_DONTWAIT);
    printf("%s: %s, %ld\n", what, n < 0 ? strerrorname_np(errno) : "taken", n);
}

static void verify(void)
{
    int raw = socket(AF_INET, SOCK_RAW, IPPROTO_UDPLITE), a = lite(AF_INET);
    bind4(a, 45136);
    crafted(raw, a, "all, said by 0", 0, 20, 0);
    crafted(raw, a, "all, said by its length", 20, 20, 0);
    crafted(raw, a, "all, and damage", 20, 20, 18);
    crafted(raw, a, "damage under the coverage", 12, 12, 10);
    crafted(raw, a, "damage behind the coverage", 12, 12, 14);
    crafted(raw, a, "odd coverage", 11, 11, 14);
    crafted(raw, a, "the header alone", 8, 8, 9);
    crafted(raw, a, "less than the header", 7, 7, 0);
    crafted(raw, a, "more than there is", 21, 20, 0);
    crafted(raw, a, "no checksum", 12, 0, 0);
    set_option("receive coverage", a, IPPROTO_UDPLITE, ReceiveCoverage, 12);
    crafted(raw, a, "enough", 12, 12, 0);
    crafted(raw, a, "too little", 11, 11, 0);
    crafted(raw, a, "all", 20, 20, 0);
    set_option("receive coverage", a, IPPROTO_UDPLITE, ReceiveCoverage, 0);
    crafted(raw, a, "a part", 19, 19, 0);
    crafted(raw, a, "all", 20, 20, 0);
    show_option("drops", a, SOL_SOCKET, SO_ERROR);
    close(a);
    close(raw);
}

static void ports(void)
{
    int a = lite(AF_INET), b = socket(AF_INET, SOCK_DGRAM, 0), c = lite(AF_INET), d = lite(AF_INET6), e;
    bind4(a, 45136);
    bind4(b, 45136);
    bind4(c, 45136);
    struct sockaddr_in6 name = in6("::1", 45136);
    show("bind", bind(d, (struct sockaddr *)&name, sizeof name));
    e = lite(AF_INET6);
    show("connect", connect(e, (struct sockaddr *)&name, sizeof name));
    int coverage = 10;
    setsockopt(e, IPPROTO_UDPLITE, SendCoverage, &coverage, sizeof coverage);
    show("send", send(e, "over six", 8, 0));
    char buffer[16];
    show("recv", recv(d, buffer, sizeof buffer, 0));
    struct sockaddr_in6 mapped = in6("::ffff:127.0.0.1", 45136);
    struct sockaddr unspec = { AF_UNSPEC };
    int f = lite(AF_INET6);
    show("disconnect", connect(e, &unspec, sizeof unspec));
    show("mapped", sendto(f, "mapped", 6, 0, (struct sockaddr *)&mapped, sizeof mapped));
    show("recv", recv(a, buffer, sizeof buffer, 0));
    for (int i = 0; i < 2; i++) {
        char line[256];
        FILE *table = fopen(i ? "/proc/net/udplite6" : "/proc/net/udplite", "r");
        while (fgets(line, sizeof line, table))
            if (strstr(line, ":B050 "))
                printf("%.*s\n", i ? 82 : 34, line + 7);
        fclose(table);
    }
}

int main(void)
{
    options(AF_INET);
    options(AF_INET6);
    wire();
    verify();
    ports();
    return 0;
}
