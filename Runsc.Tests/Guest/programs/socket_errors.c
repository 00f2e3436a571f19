// Bad calls on sockets, and the names of their errors.
#include "sockets.h"

static void make(int family, int type, int protocol)
{
    int fd = socket(family, type, protocol);
    printf("socket %d %#x %d: %s\n", family, type, protocol, fd < 0 ? strerrorname_np(errno) : "0");
    if (fd >= 0)
        close(fd);
}

static void calls(const char *what, int fd)
{
    char buffer[16];
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    struct msghdr message = { 0 };
    fcntl(fd, F_SETFL, O_NONBLOCK);
    printf("-- %s\n", what);
    show("listen", listen(fd, 1));
    show("accept", accept(fd, NULL, NULL));
    length = sizeof name;
    show("getpeername", getpeername(fd, (struct sockaddr *)&name, &length));
    length = sizeof name;
    show("getsockname", getsockname(fd, (struct sockaddr *)&name, &length));
    show("getsockname length", length);
    length = 3;
    show("getsockname short", getsockname(fd, (struct sockaddr *)&name, &length));
    show("getsockname length", length);
    length = -1;
    show("getsockname negative", getsockname(fd, (struct sockaddr *)&name, &length));
    length = sizeof name;
    show("getsockname bad", getsockname(fd, (void *)1, &length));
    show("getsockname bad length", getsockname(fd, (void *)&name, (void *)1));
    show("shutdown 5", shutdown(fd, 5));
    show("shutdown", shutdown(fd, SHUT_RD));
    show("send", send(fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT));
    if (strcmp(what, "unix datagram"))
        show("send bad", send(fd, (void *)1, 4, MSG_NOSIGNAL | MSG_DONTWAIT));
    show("send oob", send(fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT | MSG_OOB));
    show("recv", recv(fd, buffer, 1, MSG_DONTWAIT));
    show("recv bad", recv(fd, (void *)1, 1, MSG_DONTWAIT));
    show("recv oob", recv(fd, buffer, 1, MSG_DONTWAIT | MSG_OOB));
    show("recv errqueue", recv(fd, buffer, 1, MSG_DONTWAIT | MSG_ERRQUEUE));
    show("sendmsg null", sendmsg(fd, NULL, MSG_NOSIGNAL));
    message.msg_iovlen = 1025;
    show("sendmsg vectors", sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT));
    message.msg_iovlen = 0;
    message.msg_namelen = -1;
    message.msg_name = &name;
    show("sendmsg namelen", sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT));
    show("recvmsg namelen", recvmsg(fd, &message, MSG_DONTWAIT));
    show("bind short", bind(fd, (void *)&name, 1));
    show("bind long", bind(fd, (void *)&name, 200));
    show("bind bad", bind(fd, (void *)1, 16));
    struct sockaddr family = { .sa_family = 77 };
    show("bind family", bind(fd, &family, sizeof family));
    show("connect family", connect(fd, &family, sizeof family));
    show("connect short", connect(fd, &family, 1));
    family.sa_family = AF_UNSPEC;
    show("connect unspec", connect(fd, &family, sizeof family));
    show("lseek", lseek(fd, 0, SEEK_SET));
    show("pread", pread(fd, buffer, 1, 0));
    show("pwrite", pwrite(fd, buffer, 1, 0));
    show("ftruncate", ftruncate(fd, 0));
    show("fsync", fsync(fd));
    show("fchmod", fchmod(fd, 0600));
    show("getdents", syscall(SYS_getdents64, fd, buffer, sizeof buffer));
    show("ioctl unknown", ioctl(fd, 0x12345678, 0));
    show("ioctl TCGETS", ioctl(fd, 0x5401, buffer));
    struct stat status;
    show("fstat", fstat(fd, &status));
    printf("mode %o size %ld links %ld\n", status.st_mode, (long)status.st_size, (long)status.st_nlink);
    char link[64] = "", path[64];
    sprintf(path, "/proc/self/fd/%d", fd);
    readlink(path, link, sizeof link - 1);
    printf("link %.8s\n", link);
    show("open", open(path, O_RDWR));
    printf("flags %#x\n", fcntl(fd, F_GETFL));
    close(fd);
}

int main(void)
{
    make(AF_INET, SOCK_STREAM, 0);
    make(AF_INET, SOCK_STREAM, IPPROTO_UDP);
    make(AF_INET, SOCK_DGRAM, IPPROTO_TCP);
    make(AF_INET, SOCK_DGRAM, 300);
    make(AF_INET, SOCK_STREAM, 300);
    make(AF_INET, SOCK_STREAM, -1);
    make(AF_INET, SOCK_SEQPACKET, 0);
    make(AF_INET, SOCK_RDM, 0);
    make(AF_INET, SOCK_RAW, 0);
    make(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    make(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
    make(AF_INET, SOCK_DGRAM, IPPROTO_ICMPV6);
    make(AF_INET, 0, 0);
    make(AF_INET, 9, 0);
    make(AF_INET, SOCK_STREAM | 0x100, 0);
    make(AF_UNSPEC, SOCK_STREAM, 0);
    make(AF_UNIX, SOCK_RAW, 0);
    make(AF_UNIX, SOCK_STREAM, 1);
    make(AF_UNIX, SOCK_STREAM, 6);
    make(AF_UNIX, SOCK_RDM, 0);
    make(AF_NETLINK, SOCK_RAW, 0);
    make(AF_NETLINK, SOCK_STREAM, 0);
    make(AF_NETLINK, SOCK_RAW, 77);
    make(AF_NETLINK, SOCK_RAW, 16);
    make(AF_NETLINK, SOCK_RAW, 4);
    make(77, SOCK_STREAM, 0);
    make(-1, SOCK_STREAM, 0);
    int pair[2];
    show("socketpair inet", socketpair(AF_INET, SOCK_STREAM, 0, pair));
    show("socketpair family", socketpair(77, SOCK_STREAM, 0, pair));
    show("socketpair bad", syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, 1));
    show("socketpair protocol", socketpair(AF_UNIX, SOCK_STREAM, 5, pair));
    calls("tcp", socket(AF_INET, SOCK_STREAM, 0));
    calls("tcp6", socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0));
    calls("udp", socket(AF_INET, SOCK_DGRAM, 0));
    calls("udp6", socket(AF_INET6, SOCK_DGRAM, 0));
    calls("unix stream", socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
    calls("unix datagram", socket(AF_UNIX, SOCK_DGRAM, 0));
    calls("unix seqpacket", socket(AF_UNIX, SOCK_SEQPACKET, 0));
    calls("netlink", socket(AF_NETLINK, SOCK_RAW, 0));
    int file = open("/proc/self/exe", O_RDONLY), path = open("/", O_PATH);
    show("file", listen(file, 1));
    show("path", listen(path, 1));
    show("bad", listen(99, 1));
    return 0;
}
