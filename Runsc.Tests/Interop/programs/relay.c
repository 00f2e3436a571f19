// A wire between two interfaces that loses, delays, reorders, duplicates and swallows frames:
// relay IF1 IF2 LOSS DUPLICATE REORDER DELAY_US LARGEST SEED   (probabilities in percent)
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

struct frame { int64_t at; uint64_t order; int to, length; unsigned char *bytes; };

static struct frame heap[65536];
static int count;
static uint64_t state, order;

static int64_t now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

static double chance(void)
{
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (double)(state >> 11) / (double)(1ULL << 53) * 100;
}

static int before(const struct frame *a, const struct frame *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void push(struct frame f)
{
    if (count == 65536) {
        free(f.bytes);
        return;
    }
    int i = count++;
    while (i > 0 && before(&f, &heap[(i - 1) / 2])) {
        heap[i] = heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap[i] = f;
}

static struct frame pop(void)
{
    struct frame top = heap[0], last = heap[--count];
    int i = 0;
    for (;;) {
        int c = 2 * i + 1;
        if (c >= count)
            break;
        if (c + 1 < count && before(&heap[c + 1], &heap[c]))
            c++;
        if (!before(&heap[c], &last))
            break;
        heap[i] = heap[c];
        i = c;
    }
    heap[i] = last;
    return top;
}

static int open_on(const char *name)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ALL)), one = 1, size = 8 << 20;
    struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(name) };
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) || setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one)) {
        perror(name);
        exit(1);
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    return fd;
}

int main(int argc, char **argv)
{
    if (argc != 9)
        return 2;
    int fd[2] = { open_on(argv[1]), open_on(argv[2]) };
    double loss = atof(argv[3]), twice = atof(argv[4]), reorder = atof(argv[5]);
    int64_t delay = atoll(argv[6]);
    int largest = atoi(argv[7]);
    state = (uint64_t)atoll(argv[8]) * 2654435761u + 1;
    static unsigned char buffer[70000];
    puts("ready");
    fflush(stdout);
    for (;;) {
        int64_t t = now();
        while (count > 0 && heap[0].at <= t) {
            struct frame f = pop();
            if (send(fd[f.to], f.bytes, (size_t)f.length, 0) < 0 && errno == EAGAIN) {
                struct pollfd p = { fd[f.to], POLLOUT, 0 };
                poll(&p, 1, 1);
                send(fd[f.to], f.bytes, (size_t)f.length, 0);
            }
            free(f.bytes);
        }
        int any = 0;
        for (int i = 0; i < 2; i++) {
            for (int n = 0; n < 64; n++) {
                ssize_t length = recv(fd[i], buffer, sizeof buffer, 0);
                if (length < 0)
                    break;
                any = 1;
                if (length - 14 > largest || chance() < loss)
                    continue;
                int copies = chance() < twice ? 2 : 1;
                for (int c = 0; c < copies; c++) {
                    int64_t wait = delay;
                    if (chance() < reorder)
                        wait += 200 + (int64_t)(chance() * 20);
                    struct frame f = { now() + wait, order++, !i, (int)length, malloc((size_t)length) };
                    memcpy(f.bytes, buffer, (size_t)length);
                    push(f);
                }
            }
        }
        if (!any) {
            struct pollfd p[2] = { { fd[0], POLLIN, 0 }, { fd[1], POLLIN, 0 } };
            struct timespec wait = { 1, 0 };
            if (count > 0) {
                int64_t left = heap[0].at - now();
                if (left <= 0)
                    continue;
                wait.tv_sec = left / 1000000;
                wait.tv_nsec = left % 1000000 * 1000;
            }
            ppoll(p, 2, &wait, NULL);
        }
    }
}
