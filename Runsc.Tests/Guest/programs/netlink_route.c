// NETLINK_ROUTE: dumps of links, addresses and routes (of the loopback interface, sorted), and errors.
#include "sockets.h"
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

static int sequence;

static long request(int fd, int type, int flags, const void *body, size_t size)
{
    char buffer[256] = "";
    struct nlmsghdr *header = (void *)buffer;
    *header = (struct nlmsghdr){ NLMSG_LENGTH(size), type, NLM_F_REQUEST | flags, ++sequence, 0 };
    memcpy(NLMSG_DATA(header), body, size);
    return send(fd, buffer, header->nlmsg_len, 0);
}

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void answer(int fd, const char *what, const int *wanted)
{
    static char buffer[65536], lines[64][200];
    int count = 0, end = 0;
    while (!end) {
        struct sockaddr_nl from;
        socklen_t length = sizeof from;
        long n = recvfrom(fd, buffer, sizeof buffer, 0, (void *)&from, &length);
        if (n < 0) {
            show(what, n);
            return;
        }

        if (from.nl_pid != 0 || length != sizeof from)
            printf("not from the kernel\n");
        for (struct nlmsghdr *h = (void *)buffer; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
            if (h->nlmsg_seq != sequence)
                printf("other sequence\n");
            if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR) {
                int error = *(int *)NLMSG_DATA(h);
                printf("%s: type %d flags %#x error %d\n", what, h->nlmsg_type, h->nlmsg_flags & NLM_F_MULTI, error);
                end = 1;
                break;
            }

            end = !(h->nlmsg_flags & NLM_F_MULTI);
            char *line = lines[count < 63 ? count++ : count];
            int used = 0, index = 1, skip = 0;
            struct rtattr *a = NULL;
            int left = 0;
            if (h->nlmsg_type == RTM_NEWLINK) {
                struct ifinfomsg *m = NLMSG_DATA(h);
                index = m->ifi_index;
                used = sprintf(line, "link %d type %d flags %#x:", m->ifi_index, m->ifi_type, m->ifi_flags);
                a = IFLA_RTA(m);
                left = IFLA_PAYLOAD(h);
            } else if (h->nlmsg_type == RTM_NEWADDR) {
                struct ifaddrmsg *m = NLMSG_DATA(h);
                index = m->ifa_index;
                used = sprintf(line, "address family %d/%d flags %#x scope %d index %d:", m->ifa_family, m->ifa_prefixlen, m->ifa_flags, m->ifa_scope, m->ifa_index);
                a = IFA_RTA(m);
                left = IFA_PAYLOAD(h);
            } else if (h->nlmsg_type == RTM_NEWROUTE) {
                struct rtmsg *m = NLMSG_DATA(h);
                used = sprintf(line, "route family %d/%d tos %d table %d protocol %d scope %d type %d flags %#x:", m->rtm_family, m->rtm_dst_len, m->rtm_tos, m->rtm_table, m->rtm_protocol, m->rtm_scope, m->rtm_type, m->rtm_flags);
                a = RTM_RTA(m);
                left = RTM_PAYLOAD(h);
            } else {
                used = sprintf(line, "type %d", h->nlmsg_type);
            }

            for (; a && RTA_OK(a, left); a = RTA_NEXT(a, left)) {
                int type = a->rta_type & 0x3fff, known = 0;
                for (const int *w = wanted; *w; w++)
                    known |= *w == type;
                if (h->nlmsg_type == RTM_NEWROUTE && type == RTA_OIF && *(int *)RTA_DATA(a) != 1)
                    skip = 1;
                if (!known)
                    continue;
                used += sprintf(line + used, " %d=", type);
                for (unsigned i = 0; i < RTA_PAYLOAD(a) && i < 20; i++)
                    used += sprintf(line + used, "%02x", ((unsigned char *)RTA_DATA(a))[i]);
            }

            if (index != 1 || skip)
                count--;
        }
    }

    qsort(lines, count, sizeof lines[0], compare);
    for (int i = 0; i < count; i++)
        printf("%s\n", lines[i]);
    fflush(stdout);
}

int main(void)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    struct sockaddr_nl own = { .nl_family = AF_NETLINK };
    show("bind", bind(fd, (void *)&own, sizeof own));
    socklen_t length = sizeof own;
    getsockname(fd, (void *)&own, &length);
    printf("name length %d own %d groups %d\n", (int)length, own.nl_pid == getpid(), own.nl_groups);
    int other = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    struct sockaddr_nl second = { .nl_family = AF_NETLINK, .nl_pid = own.nl_pid };
    show("bind used", bind(other, (void *)&second, sizeof second));
    second.nl_pid = 0;
    show("bind any", bind(other, (void *)&second, sizeof second));
    const int link_attributes[] = { IFLA_ADDRESS, IFLA_BROADCAST, IFLA_IFNAME, IFLA_MTU, IFLA_QDISC, IFLA_TXQLEN, IFLA_OPERSTATE, IFLA_LINKMODE, IFLA_CARRIER, IFLA_GROUP, IFLA_PROMISCUITY, 0 };
    const int address_attributes[] = { IFA_ADDRESS, IFA_LOCAL, IFA_LABEL, IFA_BROADCAST, IFA_FLAGS, 0 };
    const int route_attributes[] = { RTA_DST, RTA_GATEWAY, RTA_OIF, RTA_PREFSRC, RTA_TABLE, RTA_PRIORITY, 0 };
    struct ifinfomsg link = { .ifi_family = AF_UNSPEC };
    struct ifaddrmsg address = { .ifa_family = AF_UNSPEC };
    struct rtmsg route = { .rtm_family = AF_INET };
    request(fd, RTM_GETLINK, NLM_F_DUMP, &link, sizeof link);
    answer(fd, "links", link_attributes);
    link.ifi_index = 1;
    request(fd, RTM_GETLINK, 0, &link, sizeof link);
    answer(fd, "link 1", link_attributes);
    request(fd, RTM_GETLINK, NLM_F_ACK, &link, sizeof link);
    answer(fd, "link 1, acknowledged", link_attributes);
    answer(fd, "acknowledgement", link_attributes);
    link.ifi_index = 7777;
    request(fd, RTM_GETLINK, 0, &link, sizeof link);
    answer(fd, "link 7777", link_attributes);
    link.ifi_index = 0;
    request(fd, RTM_GETLINK, 0, &link, sizeof link);
    answer(fd, "link of nothing", link_attributes);
    request(fd, RTM_GETADDR, NLM_F_DUMP, &address, sizeof address);
    answer(fd, "addresses", address_attributes);
    address.ifa_family = AF_INET6;
    request(fd, RTM_GETADDR, NLM_F_DUMP, &address, sizeof address);
    answer(fd, "addresses of IPv6", address_attributes);
    request(fd, RTM_GETROUTE, NLM_F_DUMP, &route, sizeof route);
    answer(fd, "routes", route_attributes);
    struct {
        struct rtmsg message;
        struct rtattr attribute;
        struct in_addr destination;
    } way = { { .rtm_family = AF_INET, .rtm_dst_len = 32 }, { 8, RTA_DST }, { htonl(0x7f000001) } };
    request(fd, RTM_GETROUTE, 0, &way, sizeof way);
    answer(fd, "way", route_attributes);
    request(fd, 999, 0, &link, sizeof link);
    answer(fd, "unknown type", link_attributes);
    request(fd, 4, NLM_F_ACK, &link, sizeof link);
    answer(fd, "low type", link_attributes);
    request(fd, RTM_GETLINK, NLM_F_ACK, &link, 2);
    answer(fd, "short", link_attributes);
    show("nothing more", recv(fd, &own, 1, MSG_DONTWAIT));
    struct sockaddr_nl to = { .nl_family = AF_NETLINK, .nl_pid = 77 };
    show("send to nobody", sendto(fd, "x", 1, 0, (void *)&to, sizeof to));
    to.nl_pid = 0;
    show("send short", sendto(fd, "x", 1, 0, (void *)&to, sizeof to));
    const struct { const char *name; int number; } options[] = {
        { "NETLINK_PKTINFO", NETLINK_PKTINFO }, { "NETLINK_BROADCAST_ERROR", NETLINK_BROADCAST_ERROR }, { "NETLINK_NO_ENOBUFS", NETLINK_NO_ENOBUFS },
        { "NETLINK_CAP_ACK", NETLINK_CAP_ACK }, { "NETLINK_EXT_ACK", NETLINK_EXT_ACK }, { "NETLINK_GET_STRICT_CHK", NETLINK_GET_STRICT_CHK }, { "unknown", 77 },
    };
    for (int i = 0; i < 7; i++) {
        show_option(options[i].name, fd, SOL_NETLINK, options[i].number);
        set_option(options[i].name, fd, SOL_NETLINK, options[i].number, 1);
        set_option(options[i].name, fd, SOL_NETLINK, options[i].number, 0);
    }

    show("join", setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &(int){ RTNLGRP_LINK }, 4));
    show("join bad", setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &(int){ 0 }, 4));
    show("join large", setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &(int){ 9999 }, 4));
    unsigned groups[4] = { 0 };
    length = sizeof groups;
    show("memberships", getsockopt(fd, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, groups, &length));
    printf("groups %#x\n", groups[0]);
    return 0;
}
