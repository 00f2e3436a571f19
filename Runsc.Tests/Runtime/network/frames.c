// "frames INTERFACE MAC COUNT SEED": mutations of frames of all kinds, to 10.77.0.2 and fd77::2 behind the interface.
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef unsigned char byte;
static byte corpus[100][600], target[6];
static int lengths[100], count;
static const byte here[4] = { 10, 77, 0, 1 }, there[4] = { 10, 77, 0, 2 };

static unsigned sum(const byte *data, int length, unsigned sum)
{
    for (int i = 0; i < length; i++)
        sum += i % 2 ? data[i] : data[i] << 8;
    return sum;
}

static void put_sum(byte *at, unsigned sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~(sum + (sum >> 16));
    at[0] = sum >> 8;
    at[1] = sum;
}

static byte *frame(int type, const void *body, int length)
{
    byte *f = corpus[count];
    memcpy(f, target, 6);
    memcpy(f + 6, "\2\0\0\0\0\1", 6);
    f[12] = type >> 8;
    f[13] = type;
    memcpy(f + 14, body, length);
    lengths[count++] = 14 + length;
    return f + 14;
}

// The transport's checksum is at offset CHECK of the payload, or nowhere.
static void v4(int protocol, const char *destination, const char *options, int options_length, int fragment, const char *payload, int length, int check)
{
    byte packet[600] = { 0x45 + options_length / 4, 0, 0, 0, 0, 9, fragment >> 8, fragment, protocol == 2 ? 1 : 64, protocol };
    int header = 20 + options_length;
    packet[2] = (header + length) >> 8;
    packet[3] = header + length;
    memcpy(packet + 12, here, 4);
    memcpy(packet + 16, destination, 4);
    memcpy(packet + 20, options, options_length);
    memcpy(packet + header, payload, length);
    put_sum(packet + 10, sum(packet, header, 0));
    if (check)
        put_sum(packet + header + check, sum(packet + header, length, protocol == 6 || protocol == 17 ? sum(packet + 12, 8, protocol + length) : 0));
    frame(0x0800, packet, header + length);
}

static void v6(int next, int hops, const char *destination, const char *payload, int length, int transport, int at, int check)
{
    byte packet[600] = { 0x60, 0, 0, 0, length >> 8, length, next, hops };
    inet_pton(AF_INET6, transport == 58 ? "fe80::1" : "fd77::1", packet + 8);
    inet_pton(AF_INET6, destination, packet + 24);
    memcpy(packet + 40, payload, length);
    if (check)
        put_sum(packet + 40 + at + check, sum(packet + 40 + at, length - at, sum(packet + 8, 32, transport + length - at)));
    frame(0x86dd, packet, 40 + length);
}

#define BYTES(text) text, sizeof text - 1
#define PORTS "\4\1\0\x50"
#define NONE "", 0

static void make_corpus(void)
{
    static const char *to = (const char *)there;
    frame(0x0806, BYTES("\0\1\10\0\6\4\0\1\2\0\0\0\0\1\12\115\0\1\0\0\0\0\0\0\12\115\0\2"));
    frame(0x0806, BYTES("\0\1\10\0\6\4\0\2\2\0\0\0\0\1\12\115\0\1\2\0\0\0\0\2\12\115\0\2"));
    v4(1, to, NONE, 0, BYTES("\10\0\0\0\1\1\0\1abcdefgh"), 2);
    v4(1, to, BYTES("\7\7\4\0\0\0\0\0"), 0, BYTES("\10\0\0\0\1\1\0\1abcdefgh"), 2);
    v4(1, to, BYTES("\104\14\5\0\0\0\0\0\0\0\0\0"), 0, BYTES("\10\0\0\0\1\1\0\1"), 2);
    v4(1, to, BYTES("\203\7\4\12\115\0\1\0"), 0, BYTES("\10\0\0\0\1\1\0\1"), 2);
    v4(1, to, BYTES("\224\4\0\0"), 0x2000, BYTES("\10\0\0\0\1\1\0\1abcdefgh"), 2);
    v4(1, to, NONE, 0x2000, BYTES("\10\0\0\0\1\1\0\1abcdefgh"), 2);
    v4(1, to, NONE, 0x0002, BYTES("ijklmnop"), 0);
    v4(1, to, NONE, 0, BYTES("\3\4\0\0\0\0\2\0\x45\0\0\x1c\0\0\0\0\x40\6\0\0\12\115\0\2\12\115\0\1\0\x50\4\1\0\0\0\0"), 2);
    v4(1, to, NONE, 0, BYTES("\5\1\0\0\12\115\0\1\x45\0\0\x1c\0\0\0\0\x40\21\0\0\12\115\0\2\12\115\0\1\0\x50\4\1\0\10\0\0"), 2);
    v4(2, "\340\0\0\1", BYTES("\224\4\0\0"), 0, BYTES("\21\144\0\0\0\0\0\0"), 2);
    v4(2, "\340\0\0\1", BYTES("\224\4\0\0"), 0, BYTES("\21\310\0\0\357\1\1\1\2\175\0\1\12\115\0\1"), 2);
    v4(17, to, NONE, 0, BYTES(PORTS "\0\20\0\0abcdefgh"), 6);
    v4(17, to, NONE, 0x2000, BYTES(PORTS "\0\30\0\0abcdefgh"), 0);
    v4(6, to, NONE, 0, BYTES(PORTS "\0\0\0\1\0\0\0\0\120\2\372\360\0\0\0\0"), 16);
    v4(6, to, NONE, 0, BYTES(PORTS "\0\0\0\1\0\0\0\0\240\2\372\360\0\0\0\0\2\4\5\264\4\2\10\12\0\0\0\1\0\0\0\0\1\3\3\7"), 16);
    v4(6, to, NONE, 0, BYTES(PORTS "\0\0\0\2\0\0\0\2\200\30\372\360\0\0\0\0\1\1\5\12\0\0\0\3\0\0\0\4data"), 16);
    v4(6, to, NONE, 0, BYTES(PORTS "\0\0\0\2\0\0\0\2\120\21\372\360\0\0\0\0"), 16);
    v4(6, to, NONE, 0, BYTES(PORTS "\0\0\0\2\0\0\0\2\120\4\0\0\0\0\0\0"), 16);
    v4(136, to, NONE, 0, BYTES(PORTS "\0\10\0\0abcdefgh"), 0);
    v6(58, 255, "fd77::2", BYTES("\200\0\0\0\1\1\0\1abcdefgh"), 58, 0, 2);
    v6(58, 255, "ff02::1:ff00:2", BYTES("\207\0\0\0\0\0\0\0\375\x77\0\0\0\0\0\0\0\0\0\0\0\0\0\2\1\1\2\0\0\0\0\1"), 58, 0, 2);
    v6(58, 255, "fd77::2", BYTES("\210\0\0\0\x60\0\0\0\375\x77\0\0\0\0\0\0\0\0\0\0\0\0\0\1\2\1\2\0\0\0\0\1"), 58, 0, 2);
    v6(58, 255, "ff02::1", BYTES("\206\0\0\0\100\0\7\10\0\0\0\0\0\0\0\0\3\4\100\300\0\0\12\0\0\0\5\0\0\0\0\0\375\7\0\0\0\0\0\0\0\0\0\0\0\0\0\0\5\1\0\0\0\0\5\334"), 58, 0, 2);
    v6(58, 255, "fd77::2", BYTES("\211\0\0\0\0\0\0\0\376\200\0\0\0\0\0\0\0\0\0\0\0\0\0\1\375\x78\0\0\0\0\0\0\0\0\0\0\0\0\0\1"), 58, 0, 2);
    v6(0, 1, "ff02::1", BYTES("\72\0\5\2\0\0\1\0\202\0\0\0\3\350\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), 58, 8, 2);
    v6(0, 1, "ff02::1", BYTES("\72\0\5\2\0\0\1\0\202\0\0\0\3\350\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2\175\0\0"), 58, 8, 2);
    v6(58, 64, "fd77::2", BYTES("\2\0\0\0\0\0\5\0\x60\0\0\0\0\10\21\100\375\x77\0\0\0\0\0\0\0\0\0\0\0\0\0\2\375\x77\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\120\4\1\0\10\0\0"), 58, 0, 2);
    v6(17, 64, "fd77::2", BYTES(PORTS "\0\20\0\0abcdefgh"), 17, 0, 6);
    v6(44, 64, "fd77::2", BYTES("\21\0\0\1\0\0\0\7" PORTS "\0\20\0\0"), 17, 8, 0);
    v6(44, 64, "fd77::2", BYTES("\21\0\0\10\0\0\0\7abcdefgh"), 17, 8, 0);
    v6(60, 64, "fd77::2", BYTES("\53\0\1\4\0\0\0\0\6\0\4\0\0\0\0\0" PORTS "\0\0\0\1\0\0\0\0\120\2\372\360\0\0\0\0"), 6, 16, 16);
    v6(6, 64, "fd77::2", BYTES(PORTS "\0\0\0\1\0\0\0\0\240\2\372\360\0\0\0\0\2\4\5\240\4\2\10\12\0\0\0\1\0\0\0\0\1\3\3\7"), 6, 0, 16);
    for (int i = 0, last = count; i < last; i += 3) {
        memcpy(corpus[count], corpus[i], 12);
        memcpy(corpus[count] + 12, "\x81\0\0\5", 4);
        memcpy(corpus[count] + 16, corpus[i] + 12, lengths[i] - 12);
        lengths[count++] = lengths[i] + 4;
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(argv[1]), .sll_halen = 6 };
    int s = socket(AF_PACKET, SOCK_RAW, 0);
    long sent = 0;
    sscanf(argv[2], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", target, target + 1, target + 2, target + 3, target + 4, target + 5);
    srandom(atoi(argv[4]));
    make_corpus();
    for (long left = atol(argv[3]); left > 0; left--) {
        byte f[700] = { 0 };
        int which = random() % count, length = lengths[which];
        memcpy(f, corpus[which], length);
        for (int changes = random() % 4; changes > 0; changes--) {
            // Past the addresses of the link: what is not for the other end goes nowhere.
            int at = 12 + random() % (length - 12);
            switch (random() % 4) {
            case 0: f[at] ^= 1 << random() % 8; break;
            case 1: f[at] = random(); break;
            case 2: f[at] = "\0\1\x7f\x80\xff"[random() % 5]; break;
            default: length = 14 + random() % (length + 6); break;
            }
        }
        if (random() % 3 && f[12] == 8 && f[13] == 0 && (f[14] & 15) >= 5 && length >= 14 + (f[14] & 15) * 4) {
            f[24] = f[25] = 0;
            put_sum(f + 24, sum(f + 14, (f[14] & 15) * 4, 0));
        }
        while (sendto(s, f, length, 0, (void *)&to, sizeof to) < 0 && errno == ENOBUFS)
            usleep(100);
        sent++;
    }
    printf("%ld sent\n", sent);
    return 0;
}
