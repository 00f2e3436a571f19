// Sends or receives a stream whose bytes are known: xfer send ADDRESS PORT BYTES | xfer recv PORT BYTES
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static unsigned char byte_at(long i)
{
    return (unsigned char)(i * 7 + (i >> 8));
}

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec + ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    static unsigned char buffer[65536];
    struct sockaddr_in at = { .sin_family = AF_INET };
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (argc == 5 && !strcmp(argv[1], "send")) {
        at.sin_port = htons((unsigned short)atoi(argv[3]));
        inet_pton(AF_INET, argv[2], &at.sin_addr);
        long total = atol(argv[4]);
        // The same algorithm as the other side's, whatever this host's default is.
        setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
        double start = now();
        if (connect(fd, (struct sockaddr *)&at, sizeof at)) {
            perror("connect");
            return 1;
        }
        for (long done = 0; done < total;) {
            long n = total - done < (long)sizeof buffer ? total - done : (long)sizeof buffer;
            for (long i = 0; i < n; i++)
                buffer[i] = byte_at(done + i);
            for (long sent = 0; sent < n;) {
                ssize_t r = write(fd, buffer + sent, (size_t)(n - sent));
                if (r <= 0) {
                    perror("write");
                    return 1;
                }
                sent += r;
            }
            done += n;
        }
        shutdown(fd, SHUT_WR);
        if (read(fd, buffer, 1) != 0)
            perror("read");
        printf("sent %ld %f\n", total, now() - start);
        return 0;
    }
    if (argc != 4 || strcmp(argv[1], "recv"))
        return 2;
    at.sin_port = htons((unsigned short)atoi(argv[2]));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 5)) {
        perror("bind");
        return 1;
    }
    puts("ready");
    fflush(stdout);
    int c = accept(fd, NULL, NULL);
    double start = now();
    long total = atol(argv[3]), done = 0, wrong = 0;
    for (;;) {
        ssize_t r = read(c, buffer, sizeof buffer);
        if (r < 0) {
            perror("read");
            return 1;
        }
        if (r == 0)
            break;
        for (long i = 0; i < r; i++)
            wrong += buffer[i] != byte_at(done + i);
        done += r;
    }
    printf("received %ld %ld %f\n", done, wrong, now() - start);
    return done != total || wrong != 0;
}
