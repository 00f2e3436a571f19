// TCP_CONGESTION, TCP_CC_INFO and the rates of TCP_INFO: names, lengths, and what stands before and after a transfer over loopback.
#include "guest.h"
#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

static void *drain(void *argument)
{
    char bytes[65536];
    long total = 0, count;
    while ((count = read(*(int *)argument, bytes, sizeof bytes)) > 0)
        total += count;
    return (void *)total;
}

static void choose(int fd, const char *name)
{
    char got[32] = "";
    socklen_t length = sizeof got;
    int result = setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, strlen(name));
    printf("set %s: %s", name, result < 0 ? strerror(errno) : "ok");
    getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, got, &length);
    printf(", is %s\n", result < 0 ? "as before" : got);
}

static void look(int fd, const char *when)
{
    union tcp_cc_info info;
    memset(&info, 0, sizeof info);
    socklen_t length = sizeof info;
    int result = getsockopt(fd, IPPROTO_TCP, TCP_CC_INFO, &info, &length);
    printf("%s: result %d length %u\n", when, result, length);
    if (length == sizeof info.bbr)
        printf("bandwidth %s, round trip %s\n", info.bbr.bbr_bw_lo || info.bbr.bbr_bw_hi ? "known" : "unknown", info.bbr.bbr_min_rtt == ~0u ? "unknown" : "known");
    // Before the first acknowledgement Linux shows zeros at one time and values at another.
    if (length == sizeof info.bbr && (info.bbr.bbr_bw_lo || info.bbr.bbr_bw_hi))
        printf("gains %s\n", info.bbr.bbr_cwnd_gain >= 256 ? "known" : "unknown");
    length = 10;
    result = getsockopt(fd, IPPROTO_TCP, TCP_CC_INFO, &info, &length);
    printf("short: result %d length %u\n", result, length);
}

int main(void)
{
    const char *names[] = { "reno", "bbr", "none", "reno" };
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    bind(listener, (struct sockaddr *)&address, length);
    listen(listener, 5);
    getsockname(listener, (struct sockaddr *)&address, &length);
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        choose(listener, names[i]);
    for (int bbr = 0; bbr < 2; bbr++) {
        int client = socket(AF_INET, SOCK_STREAM, 0);
        choose(client, bbr ? "bbr" : "reno");
        connect(client, (struct sockaddr *)&address, length);
        int server = accept(listener, NULL, NULL);
        look(client, "connected");
        pthread_t thread;
        pthread_create(&thread, NULL, drain, &server);
        static char bytes[65536];
        for (int i = 0; i < 64; i++)
            if (write(client, bytes, sizeof bytes) != sizeof bytes)
                perror("write");
        shutdown(client, SHUT_WR);
        void *total;
        pthread_join(thread, &total);
        printf("%ld bytes\n", (long)total);
        struct tcp_info info;
        socklen_t size = sizeof info;
        getsockopt(client, IPPROTO_TCP, TCP_INFO, &info, &size);
        printf("delivery rate %s, pacing %s, no limit %d\n", info.tcpi_delivery_rate ? "known" : "unknown",
            info.tcpi_pacing_rate && ~info.tcpi_pacing_rate ? "known" : "unknown", info.tcpi_max_pacing_rate == ~0ull);
        if (bbr)
            look(client, "afterwards");
        close(client);
        close(server);
    }
    int limited = socket(AF_INET, SOCK_STREAM, 0);
    unsigned rate = 5000000;
    setsockopt(limited, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof rate);
    connect(limited, (struct sockaddr *)&address, length);
    struct tcp_info info;
    socklen_t size = sizeof info;
    getsockopt(limited, IPPROTO_TCP, TCP_INFO, &info, &size);
    printf("limit %llu\n", (unsigned long long)info.tcpi_max_pacing_rate);
    return 0;
}
