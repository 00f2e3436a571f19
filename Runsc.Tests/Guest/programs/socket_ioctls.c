// The ioctls of interfaces (netdevice(7)) on the loopback interface, and names of interfaces.
#include "sockets.h"
#include <net/if_arp.h>
#include <net/route.h>

static void get(int fd, const char *what, unsigned long command, const char *name)
{
    struct ifreq request;
    memset(&request, 0, sizeof request);
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    int result = ioctl(fd, command, &request);
    printf("%s %s: %s", what, name, result ? strerrorname_np(errno) : "0");
    if (result == 0) {
        for (int i = 0; i < 16; i++)
            printf(" %02x", (unsigned char)((char *)&request.ifr_ifru)[i]);
        printf(" %s", request.ifr_name);
    }

    printf("\n");
    fflush(stdout);
}

#define GET(fd, command, name) get(fd, #command, command, name)

static void all(int fd)
{
    const char *names[] = { "lo", "nosuch", "" };
    for (int i = 0; i < 3; i++) {
        GET(fd, SIOCGIFFLAGS, names[i]);
        GET(fd, SIOCGIFADDR, names[i]);
        GET(fd, SIOCGIFDSTADDR, names[i]);
        GET(fd, SIOCGIFBRDADDR, names[i]);
        GET(fd, SIOCGIFNETMASK, names[i]);
        GET(fd, SIOCGIFMETRIC, names[i]);
        GET(fd, SIOCGIFMTU, names[i]);
        GET(fd, SIOCGIFHWADDR, names[i]);
        GET(fd, SIOCGIFINDEX, names[i]);
        GET(fd, SIOCGIFTXQLEN, names[i]);
        GET(fd, SIOCGIFMAP, names[i]);
        GET(fd, SIOCGIFPFLAGS, names[i]);
        GET(fd, SIOCGIFENCAP, names[i]);
        GET(fd, SIOCGIFSLAVE, names[i]);
    }
}

int main(void)
{
    int tcp = socket(AF_INET, SOCK_STREAM, 0), udp6 = socket(AF_INET6, SOCK_DGRAM, 0), local = socket(AF_UNIX, SOCK_DGRAM, 0), netlink = socket(AF_NETLINK, SOCK_RAW, 0);
    int sockets[] = { tcp, udp6, local, netlink };
    for (int i = 0; i < 4; i++) {
        printf("-- socket %d\n", i);
        all(sockets[i]);
    }

    struct ifreq request = { .ifr_ifindex = 1 };
    show("SIOCGIFNAME", ioctl(local, SIOCGIFNAME, &request));
    printf("%s\n", request.ifr_name);
    request.ifr_ifindex = 7777;
    show("SIOCGIFNAME", ioctl(local, SIOCGIFNAME, &request));
    struct ifreq several[16];
    memset(several, 0, sizeof several);
    struct ifconf list = { .ifc_len = sizeof several, .ifc_req = several };
    show("SIOCGIFCONF", ioctl(tcp, SIOCGIFCONF, &list));
    printf("first %s whole %d family %d\n", several[0].ifr_name, list.ifc_len % (int)sizeof several[0], several[0].ifr_addr.sa_family);
    list.ifc_len = sizeof several[0] + 5;
    show("SIOCGIFCONF one", ioctl(tcp, SIOCGIFCONF, &list));
    show("length", list.ifc_len);
    list.ifc_req = NULL;
    list.ifc_len = 0;
    show("SIOCGIFCONF size", ioctl(tcp, SIOCGIFCONF, &list));
    show("some", list.ifc_len > 0);
    show("if_nametoindex", if_nametoindex("lo"));
    char name[IF_NAMESIZE];
    printf("if_indextoname %s\n", if_indextoname(1, name));
    int fds[2], n;
    pipe(fds);
    show("SIOCGIFFLAGS on a pipe", ioctl(fds[0], SIOCGIFFLAGS, &request));
    show("bad address", ioctl(tcp, SIOCGIFFLAGS, 1));
    show("SIOCATMARK udp", ioctl(udp6, SIOCATMARK, &n));
    show("SIOCINQ tcp", (ioctl(tcp, FIONREAD, &n), n));
    show("SIOCOUTQ udp", (ioctl(udp6, TIOCOUTQ, &n), n));
    show("SIOCGSTAMP", ioctl(udp6, 0x8906, several));
    show("FIONBIO", ioctl(tcp, FIONBIO, &(int){ 1 }));
    printf("flags %#x\n", fcntl(tcp, F_GETFL));
    show("FIOCLEX", ioctl(tcp, FIOCLEX, 0));
    show("close on exec", fcntl(tcp, F_GETFD));
    return 0;
}
