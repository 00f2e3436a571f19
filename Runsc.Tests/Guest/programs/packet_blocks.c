// Rings of packet sockets of the first and third version, full ones with what is counted, and sockets that share frames (PACKET_FANOUT).
#include "sockets.h"
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

static int port, sender;

static void only_ours(int fd)
{
    struct sock_filter code[] = {
        { 0x30, 0, 0, 23 }, { 0x15, 0, 3, IPPROTO_UDP }, { 0x28, 0, 0, 36 }, { 0x15, 0, 1, port }, { 6, 0, 0, 0x40000 }, { 6, 0, 0, 0 },
    };
    struct sock_fprog program = { 6, code };
    show("filter", setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));
}

static void on_loopback(int fd)
{
    struct sockaddr_ll name = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = 1 };
    show("bind", bind(fd, (void *)&name, sizeof name));
}

static int opened(int version)
{
    int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1, value = version;
    socklen_t length = sizeof value;
    show("PACKET_HDRLEN", getsockopt(fd, SOL_PACKET, PACKET_HDRLEN, &value, &length));
    printf("header %d\n", value);
    show("PACKET_VERSION", setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version));
    show("ignore outgoing", setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one));
    only_ours(fd);
    return fd;
}

static void emit(int count, int size)
{
    static char data[4000];
    for (int i = 0; i < count; i++) {
        sprintf(data, "m%d", i);
        send(sender, data, size, 0);
    }
}

static void statistics(int fd)
{
    unsigned words[3] = { 7, 7, 7 };
    socklen_t length = sizeof words;
    show("PACKET_STATISTICS", getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, words, &length));
    printf("%u bytes: %u packets, %u drops", length, words[0], words[1]);
    if (length == sizeof words)
        printf(", %u freezes", words[2]);
    printf("\n");
}

static void first_version(void)
{
    int fd = opened(TPACKET_V1);
    struct tpacket_req request = { 4096, 2, 2048, 4 };
    show("ring", setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof request));
    show("ring again", setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof request));
    int other = TPACKET_V2;
    show("version with a ring", setsockopt(fd, SOL_PACKET, PACKET_VERSION, &other, sizeof other));
    on_loopback(fd);
    char *memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    for (int round = 0; round < 2; round++) {
        emit(6, 10 + round);
        show_poll("frames", fd, POLLIN, 1000);
        usleep(20000);
        for (int i = 0; i < 4; i++) {
            struct tpacket_hdr *h = (void *)(memory + i * 2048);
            struct sockaddr_ll *from = (void *)((char *)h + 32);
            printf("slot %d: status %#lx length %u of %u mac %u net %u time %d %d index %d data %s\n", i, h->tp_status & 0xf, h->tp_snaplen, h->tp_len, h->tp_mac, h->tp_net,
                h->tp_sec > 1000000000, h->tp_usec < 1000000, from->sll_ifindex, (char *)h + h->tp_net + 28);
            h->tp_status = TP_STATUS_KERNEL;
        }
    }

    statistics(fd);
    statistics(fd);
    munmap(memory, 8192);
    close(fd);
}

static void block(char *memory, int number)
{
    struct tpacket_block_desc *b = (void *)(memory + number * 4096);
    struct tpacket_hdr_v1 *h = &b->hdr.bh1;
    printf("block %d: version %u private at %u status %#x sequence %llu frames %u first %u length %u times %d\n", number, b->version, b->offset_to_priv, h->block_status & 0x25,
        (unsigned long long)h->seq_num, h->num_pkts, h->offset_to_first_pkt, h->blk_len, h->ts_last_pkt.ts_sec >= h->ts_first_pkt.ts_sec);
    if (!(h->block_status & TP_STATUS_USER))
        return;
    char *at = (char *)b + h->offset_to_first_pkt;
    for (unsigned i = 0; i < h->num_pkts; i++) {
        struct tpacket3_hdr *f = (void *)at;
        struct sockaddr_ll *from = (void *)(at + 48);
        printf("  status %#x length %u of %u mac %u net %u next %u family %d type %d data %s\n", f->tp_status & 0xf, f->tp_snaplen, f->tp_len, f->tp_mac, f->tp_net, f->tp_next_offset,
            from->sll_family, from->sll_pkttype, at + f->tp_net + 28);
        at += f->tp_next_offset;
    }
}

static void release(char *memory, int number)
{
    __atomic_store_n(&((struct tpacket_block_desc *)(memory + number * 4096))->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_SEQ_CST);
}

static void third_version(void)
{
    int fd = opened(TPACKET_V3);
    struct tpacket_req3 request = { 4096, 2, 2048, 4, 200, 16, 0 };
    show("short request", setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof(struct tpacket_req)));
    request.tp_sizeof_priv = 4096;
    show("too much of one's own", setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof request));
    request.tp_sizeof_priv = 16;
    show("ring", setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof request));
    on_loopback(fd);
    char *memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    show("mmap", memory == MAP_FAILED ? -1 : 0);
    show_poll("nothing", fd, POLLIN, 0);
    emit(3, 20);
    show_poll("not yet", fd, POLLIN, 0);
    show_poll("after the time", fd, POLLIN, 5000);
    block(memory, 0);
    release(memory, 0);
    show_poll("read", fd, POLLIN, 0);
    emit(10, 1000);
    show_poll("full", fd, POLLIN, 5000);
    usleep(20000);
    block(memory, 1);
    block(memory, 0);
    release(memory, 1);
    release(memory, 0);
    emit(1, 3500);
    show_poll("again", fd, POLLIN, 5000);
    block(memory, 1);
    statistics(fd);
    release(memory, 1);
    emit(1, 30);
    show_poll("and again", fd, POLLIN, 5000);
    block(memory, 0);
    statistics(fd);
    munmap(memory, 8192);
    close(fd);
}

static int taken(int fd)
{
    char bytes[2000];
    int count = 0;
    while (recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        count++;
    return count;
}

static void share(int mode, const char *name)
{
    int fds[2], id = getpid() & 0xffff;
    for (int i = 0; i < 2; i++) {
        fds[i] = socket(AF_PACKET, SOCK_RAW, 0);
        only_ours(fds[i]);
        unsigned value = id | ((mode | 0x4000) << 16);
        show("not bound", setsockopt(fds[i], SOL_PACKET, PACKET_FANOUT, &value, sizeof value));
        on_loopback(fds[i]);
        show(name, setsockopt(fds[i], SOL_PACKET, PACKET_FANOUT, &value, sizeof value));
        show("again", setsockopt(fds[i], SOL_PACKET, PACKET_FANOUT, &value, sizeof value));
        socklen_t length = sizeof value;
        getsockopt(fds[i], SOL_PACKET, PACKET_FANOUT, &value, &length);
        printf("is %#x, number %s\n", value >> 16, (value & 0xffff) == id ? "the same" : "another");
        on_loopback(fds[i]);
    }

    int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
    unsigned value = id | (mode == 0 ? 1 : 0) << 16;
    on_loopback(fd);
    show("another mode", setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &value, sizeof value));
    value = id | 9 << 16;
    show("no mode", setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &value, sizeof value));
    value = 5 | (mode | 0x2000) << 16;
    show("a number with one chosen", setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &value, sizeof value));
    value = (mode | 0x2000) << 16;
    show("one chosen", setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &value, sizeof value));
    close(fd);
    emit(40, 20);
    usleep(20000);
    int a = taken(fds[0]), b = taken(fds[1]);
    printf("%s: %d frames, %s\n", name, a + b, a == 0 || b == 0 ? "all to one" : "to both");
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    int target = bound(SOCK_DGRAM);
    sender = socket(AF_INET, SOCK_DGRAM, 0);
    port = local_port(target);
    connect4(sender, port);
    first_version();
    third_version();
    share(PACKET_FANOUT_HASH, "hash");
    share(PACKET_FANOUT_LB, "balance");
    share(PACKET_FANOUT_ROLLOVER, "rollover");
    return 0;
}
