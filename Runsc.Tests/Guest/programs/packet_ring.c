// The receive ring of a packet socket (PACKET_RX_RING, version 2): set-up and its errors, frames in the mapped slots, wrapping, a full ring.
#include "sockets.h"
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#define FRAMES 4
#define FRAME 2048

static void ring(const char *what, int fd, unsigned block, unsigned blocks, unsigned frame, unsigned frames)
{
    struct tpacket_req request = { block, blocks, frame, frames };
    show(what, setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof request));
}

static void slot(char *memory, int i)
{
    struct tpacket2_hdr *h = (void *)(memory + i * FRAME);
    struct sockaddr_ll *from = (void *)((char *)h + 32);
    if (!(h->tp_status & TP_STATUS_USER)) {
        printf("slot %d: the kernel's\n", i);
        return;
    }

    printf("slot %d: length %u of %u mac %u net %u time %d", i, h->tp_snaplen, h->tp_len, h->tp_mac, h->tp_net, h->tp_sec > 1000000000);
    printf(" family %d protocol %#x index %d hatype %d pkttype %d data %.5s\n", from->sll_family, ntohs(from->sll_protocol), from->sll_ifindex, from->sll_hatype, from->sll_pkttype, (char *)h + h->tp_net + 28);
}

int main(void)
{
    int target = bound(SOCK_DGRAM), sender = socket(AF_INET, SOCK_DGRAM, 0), port = local_port(target), version = TPACKET_V2, value = TPACKET_V2, one = 1;
    socklen_t length = sizeof value;
    connect4(sender, port);
    int fd = socket(AF_PACKET, SOCK_RAW, 0);
    show("PACKET_HDRLEN", getsockopt(fd, SOL_PACKET, PACKET_HDRLEN, &value, &length));
    printf("header %d\n", value);
    value = 9;
    show("PACKET_HDRLEN of nothing", getsockopt(fd, SOL_PACKET, PACKET_HDRLEN, &value, &length));
    show("PACKET_VERSION", setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version));
    value = 9;
    show("PACKET_VERSION of nothing", setsockopt(fd, SOL_PACKET, PACKET_VERSION, &value, sizeof value));
    show("mmap without a ring", mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
    ring("block not of pages", fd, 1000, 2, 500, 4);
    ring("frame too small", fd, 4096, 2, 32, 256);
    ring("frame not aligned", fd, 4096, 2, 1001, 8);
    ring("wrong number", fd, 4096, 2, FRAME, 5);
    struct sock_filter code[] = {
        { 0x30, 0, 0, 23 }, { 0x15, 0, 3, IPPROTO_UDP }, { 0x28, 0, 0, 36 }, { 0x15, 0, 1, port }, { 6, 0, 0, 0x40000 }, { 6, 0, 0, 0 },
    };
    struct sock_fprog program = { 6, code };
    show("filter", setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));
    ring("ring", fd, 4096, 2, FRAME, FRAMES);
    show("ignore outgoing", setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one));
    struct sockaddr_ll name = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = 1 };
    show("bind", bind(fd, (void *)&name, sizeof name));
    char *memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    show("mmap", memory == MAP_FAILED ? -1 : 0);
    show_poll("nothing", fd, POLLIN, 0);
    int next = 0;
    for (int round = 0; round < 3; round++) {
        char text[8];
        for (int i = 0; i < 3; i++) {
            sprintf(text, "r%d m%d", round, i);
            send(sender, text, 5, 0);
        }

        usleep(20000);
        show_poll("frames", fd, POLLIN, 1000);
        for (int i = 0; i < 3; i++, next = (next + 1) % FRAMES) {
            slot(memory, next);
            ((struct tpacket2_hdr *)(memory + next * FRAME))->tp_status = TP_STATUS_KERNEL;
        }

        slot(memory, next);
        show_poll("read", fd, POLLIN, 0);
    }

    static char large[4000];
    send(sender, large, sizeof large, 0);
    show_poll("large", fd, POLLIN, 1000);
    struct tpacket2_hdr *h = (void *)(memory + next * FRAME);
    printf("cut to %u of %u\n", h->tp_snaplen, h->tp_len);
    return 0;
}
