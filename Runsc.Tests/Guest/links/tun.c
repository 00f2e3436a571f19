// /dev/net/tun: features, attaching, packets in and out of a tun and a tap interface, persistence. Argument: the device node.
#include "../programs/sockets.h"
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <sched.h>

static const char *node;

static struct ifreq named(const char *name, int flags)
{
    struct ifreq request = { .ifr_flags = flags };
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    return request;
}

static int attached(const char *what, const char *name, int flags)
{
    int fd = open(node, O_RDWR | O_NONBLOCK);
    struct ifreq request = named(name, flags);
    ok(what, ioctl(fd, TUNSETIFF, &request));
    printf("name %s\n", request.ifr_name);
    return fd;
}

static void configure(const char *name, const char *address, int up)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct ifreq request = named(name, 0);
    if (address) {
        *(struct sockaddr_in *)&request.ifr_addr = in4(address, 0);
        ok("address", ioctl(fd, SIOCSIFADDR, &request));
        *(struct sockaddr_in *)&request.ifr_netmask = in4("255.255.255.0", 0);
        ok("mask", ioctl(fd, SIOCSIFNETMASK, &request));
    }

    ioctl(fd, SIOCGIFFLAGS, &request);
    request.ifr_flags = up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP;
    ok("up", ioctl(fd, SIOCSIFFLAGS, &request));
    ioctl(fd, SIOCGIFFLAGS, &request);
    printf("flags %#x\n", request.ifr_flags & 0xffff & ~IFF_RUNNING);
    close(fd);
}

static unsigned short sum(const void *data, int length)
{
    const unsigned char *bytes = data;
    unsigned total = 0;
    for (int i = 0; i + 1 < length; i += 2)
        total += bytes[i] << 8 | bytes[i + 1];
    while (total >> 16)
        total = (total & 0xffff) + (total >> 16);
    return htons(~total);
}

static int packet(unsigned char *out, int protocol, const void *payload, int length)
{
    unsigned char header[20] = { 0x45, 0, 0, 20 + length, 0, 1, 0, 0, 64, protocol, 0, 0, 10, 9, 0, 2, 10, 9, 0, 1 };
    unsigned short check = sum(header, 20);
    memcpy(header + 10, &check, 2);
    memcpy(out, header, 20);
    memcpy(out + 20, payload, length);
    return 20 + length;
}

static long waited(int fd, void *buffer, size_t size)
{
    struct pollfd one = { .fd = fd, .events = POLLIN };
    poll(&one, 1, 5000);
    return read(fd, buffer, size);
}

int main(int argc, char **argv)
{
    unsigned char buffer[2048];
    node = argv[1];
    put("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
    put("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");

    int fd = open(node, O_RDWR | O_NONBLOCK);
    unsigned features = 0;
    ok("features", ioctl(fd, TUNGETFEATURES, &features));
    printf("has %#x\n", features & (IFF_TUN | IFF_TAP | IFF_NO_PI));
    struct ifreq request = named("", 0);
    show("no interface: get", ioctl(fd, TUNGETIFF, &request));
    show("no interface: persist", ioctl(fd, TUNSETPERSIST, 1));
    show("no interface: read", read(fd, buffer, sizeof buffer));
    show("no interface: write", write(fd, buffer, 20));
    show_poll("no interface", fd, POLLIN | POLLOUT, 0);
    show("neither", ioctl(fd, TUNSETIFF, &request));
    request = named("a/b", IFF_TUN);
    show("bad name", ioctl(fd, TUNSETIFF, &request));
    show("bad address", ioctl(fd, TUNSETIFF, NULL));
    request = named("lo", IFF_TUN);
    show("loopback", ioctl(fd, TUNSETIFF, &request));
    close(fd);

    fd = attached("tun", "", IFF_TUN | IFF_NO_PI);
    request = named("other", IFF_TUN);
    show("again", ioctl(fd, TUNSETIFF, &request));
    ok("get", ioctl(fd, TUNGETIFF, &request));
    printf("%s %#x\n", request.ifr_name, request.ifr_flags & (IFF_TUN | IFF_TAP | IFF_NO_PI | 0x800));
    close(attached("busy", "tun0", IFF_TUN | IFF_NO_PI));
    close(attached("other mode", "tun0", IFF_TAP | IFF_NO_PI));
    close(attached("exclusive", "tun0", IFF_TUN | IFF_NO_PI | IFF_TUN_EXCL));
    show("write when down", write(fd, buffer, 20));
    show_poll("down", fd, POLLIN | POLLOUT, 0);
    configure("tun0", "10.9.0.1", 1);
    show_poll("up", fd, POLLIN | POLLOUT, 0);
    show("nothing to read", read(fd, buffer, sizeof buffer));

    int udp = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in own = in4("10.9.0.1", 5000), far = in4("10.9.0.2", 6000);
    ok("bind", bind(udp, (void *)&own, sizeof own));
    show("send", sendto(udp, "hello", 5, 0, (void *)&far, sizeof far));
    show_poll("sent", fd, POLLIN | POLLOUT, 5000);
    long n = waited(fd, buffer, sizeof buffer);
    printf("out %ld: version %d protocol %d to %d port %d text %.5s\n", n, buffer[0] >> 4, buffer[9], buffer[19], buffer[22] << 8 | buffer[23], buffer + 28);
    show("send", sendto(udp, "longer text", 11, 0, (void *)&far, sizeof far));
    show("cut", waited(fd, buffer, 25));

    unsigned char datagram[] = { 6000 >> 8, 6000 & 255, 5000 >> 8, 5000 & 255, 0, 12, 0, 0, 'w', 'o', 'r', 'd' };
    unsigned char frame[256];
    int length = packet(frame, IPPROTO_UDP, datagram, sizeof datagram);
    show("in", write(fd, frame, length));
    show_poll("arrived", udp, POLLIN, 5000);
    n = recv(udp, buffer, sizeof buffer, MSG_DONTWAIT);
    printf("received %ld %.4s\n", n, buffer);
    unsigned char echo[] = { 8, 0, 0, 0, 0, 7, 0, 1, 'p', 'i', 'n', 'g' };
    unsigned short check = sum(echo, sizeof echo);
    memcpy(echo + 2, &check, 2);
    length = packet(frame, IPPROTO_ICMP, echo, sizeof echo);
    show("echo", write(fd, frame, length));
    n = waited(fd, buffer, sizeof buffer);
    printf("reply %ld: protocol %d type %d text %.4s sum %d\n", n, buffer[9], buffer[20], buffer + 28, sum(buffer + 20, n - 20));
    show("no version", write(fd, "\0\0\0\0", 4));
    show("empty", write(fd, frame, 0));
    configure("tun0", NULL, 0);
    close(fd);
    printf("after close: %d\n", if_nametoindex("tun0") != 0);

    fd = attached("tap", "tap%d", IFF_TAP);
    configure("tap0", "10.9.1.1", 1);
    far = in4("10.9.1.2", 6000);
    udp = socket(AF_INET, SOCK_DGRAM, 0);
    show("send", sendto(udp, "x", 1, 0, (void *)&far, sizeof far));
    n = waited(fd, buffer, sizeof buffer);
    printf("tap %ld: flags %d proto %#x type %#x operation %d\n", n, buffer[0] | buffer[1] << 8, buffer[2] << 8 | buffer[3], buffer[16] << 8 | buffer[17], buffer[25]);
    show("short", write(fd, buffer, 10));
    show("no room", read(fd, buffer, 3));
    ok("persist", ioctl(fd, TUNSETPERSIST, 1));
    ok("owner", ioctl(fd, TUNSETOWNER, 1000));
    ok("get", ioctl(fd, TUNGETIFF, &request));
    printf("%s %#x\n", request.ifr_name, request.ifr_flags & (IFF_TUN | IFF_TAP | IFF_NO_PI | 0x800));
    show("unknown", ioctl(fd, _IOW('T', 199, int), 0));
    close(fd);
    printf("after close: %d\n", if_nametoindex("tap0") != 0);
    configure("tap0", NULL, 1);
    chmod(node, 0666);
    if (child("stranger")) {
        setuid(1001);
        attached("of another", "tap0", IFF_TAP);
        attached("new", "tap7", IFF_TAP);
        exit(0);
    }

    if (child("owner")) {
        setuid(1000);
        attached("own", "tap0", IFF_TAP);
        exit(0);
    }

    fd = attached("again", "tap0", IFF_TAP);
    ok("persist", ioctl(fd, TUNSETPERSIST, 0));
    close(fd);
    printf("after close: %d\n", if_nametoindex("tap0") != 0);
    return 0;
}
