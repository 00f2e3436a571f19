// NETLINK_SOCK_DIAG about sockets of this program's own, and NETLINK_GENERIC's controller.
#include "sockets.h"
#include <linux/genetlink.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>

static char buffer[65536];

static long ask(int fd, int type, int flags, const void *body, size_t size)
{
    char message[256] = "";
    struct nlmsghdr *header = (void *)message;
    *header = (struct nlmsghdr){ NLMSG_LENGTH(size), type, NLM_F_REQUEST | flags, 5, 0 };
    memcpy(NLMSG_DATA(header), body, size);
    send(fd, message, header->nlmsg_len, 0);
    return recv(fd, buffer, sizeof buffer, 0);
}

static void result(const char *what, long n)
{
    struct nlmsghdr *h = (void *)buffer;
    if (n > 0 && h->nlmsg_type == NLMSG_ERROR)
        printf("%s: error %d\n", what, *(int *)NLMSG_DATA(h));
    else
        printf("%s: type %d flags %#x\n", what, h->nlmsg_type, h->nlmsg_flags);
}

static unsigned inode(int fd)
{
    struct stat status;
    fstat(fd, &status);
    return status.st_ino;
}

// All that a dump says of one socket.
static void find(const char *what, int fd, int type, const void *body, size_t size, unsigned wanted)
{
    long n = ask(fd, type, NLM_F_DUMP, body, size);
    for (int end = 0; !end && n > 0;) {
        for (struct nlmsghdr *h = (void *)buffer; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
            if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR) {
                end = 1;
                break;
            }

            struct inet_diag_msg *m = NLMSG_DATA(h);
            struct unix_diag_msg *u = NLMSG_DATA(h);
            if (m->idiag_family == AF_UNIX) {
                if (u->udiag_ino != wanted)
                    continue;
                printf("%s: unix type %d state %d", what, u->udiag_type, u->udiag_state);
                int left = h->nlmsg_len - NLMSG_LENGTH(sizeof *u);
                for (struct rtattr *a = (void *)(u + 1); RTA_OK(a, left); a = RTA_NEXT(a, left))
                    if (a->rta_type == UNIX_DIAG_NAME)
                        printf(" name %.*s", (int)RTA_PAYLOAD(a) - 1, (char *)RTA_DATA(a) + 1);
                printf("\n");
                continue;
            }

            if (m->idiag_inode != wanted)
                continue;
            printf("%s: family %d state %d address %x uid %d rqueue %d wqueue %d", what, m->idiag_family, m->idiag_state, ntohl(m->id.idiag_src[0]), m->idiag_uid, m->idiag_rqueue, m->idiag_wqueue);
            int left = h->nlmsg_len - NLMSG_LENGTH(sizeof *m);
            for (struct rtattr *a = (void *)(m + 1); RTA_OK(a, left); a = RTA_NEXT(a, left))
                if (a->rta_type == INET_DIAG_SHUTDOWN)
                    printf(" shutdown %d", *(unsigned char *)RTA_DATA(a));
                else if (a->rta_type == INET_DIAG_INFO)
                    printf(" info state %d", ((struct tcp_info *)RTA_DATA(a))->tcpi_state);
            printf("\n");
        }

        if (!end)
            n = recv(fd, buffer, sizeof buffer, 0);
    }
}

int main(void)
{
    int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG), pair[2];
    int listener = bound(SOCK_STREAM), datagrams = bound(SOCK_DGRAM);
    tcp_pair(pair);
    send(pair[0], "unread", 6, 0);
    usleep(30000);
    struct inet_diag_req_v2 request = { .sdiag_family = AF_INET, .sdiag_protocol = IPPROTO_TCP, .idiag_states = -1, .idiag_ext = 1 << (INET_DIAG_INFO - 1) };
    find("connection", fd, SOCK_DIAG_BY_FAMILY, &request, sizeof request, inode(pair[1]));
    shutdown(pair[0], SHUT_WR);
    usleep(200000);
    find("half closed", fd, SOCK_DIAG_BY_FAMILY, &request, sizeof request, inode(pair[0]));
    request.idiag_states = 1 << 10;
    find("listener", fd, SOCK_DIAG_BY_FAMILY, &request, sizeof request, inode(listener));
    find("not a listener", fd, SOCK_DIAG_BY_FAMILY, &request, sizeof request, inode(pair[1]));
    request.sdiag_protocol = IPPROTO_UDP;
    request.idiag_states = -1;
    find("datagrams", fd, SOCK_DIAG_BY_FAMILY, &request, sizeof request, inode(datagrams));
    struct sockaddr_un name = { AF_UNIX, "\0guest-diag" };
    int local = socket(AF_UNIX, SOCK_STREAM, 0);
    bind(local, (void *)&name, offsetof(struct sockaddr_un, sun_path) + 11);
    listen(local, 3);
    struct unix_diag_req unix_request = { .sdiag_family = AF_UNIX, .udiag_states = -1, .udiag_show = UDIAG_SHOW_NAME };
    find("unix", fd, SOCK_DIAG_BY_FAMILY, &unix_request, sizeof unix_request, inode(local));
    request = (struct inet_diag_req_v2){ .sdiag_family = AF_INET, .sdiag_protocol = IPPROTO_TCP };
    request.id.idiag_sport = htons(1);
    request.id.idiag_cookie[0] = request.id.idiag_cookie[1] = -1;
    result("no such socket", ask(fd, SOCK_DIAG_BY_FAMILY, 0, &request, sizeof request));
    request.id.idiag_sport = htons(local_port(listener));
    request.id.idiag_src[0] = htonl(0x7f000001);
    result("listener by its address", ask(fd, SOCK_DIAG_BY_FAMILY, 0, &request, sizeof request));
    request.sdiag_family = 77;
    result("no such family", ask(fd, SOCK_DIAG_BY_FAMILY, 0, &request, sizeof request));
    result("no such command", ask(fd, 99, 0, &request, sizeof request));
    int generic = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC);
    struct {
        struct genlmsghdr header;
        struct rtattr attribute;
        char name[16];
    } family = { { CTRL_CMD_GETFAMILY, 1 }, { 4 + 7, CTRL_ATTR_FAMILY_NAME }, "nlctrl" };
    result("controller", ask(generic, GENL_ID_CTRL, 0, &family, sizeof family.header + 12));
    strcpy(family.name, "nosuch");
    result("no such family", ask(generic, GENL_ID_CTRL, 0, &family, sizeof family.header + 12));
    return 0;
}
