// sendfile(2), splice(2) and tee between files, pipes and sockets; readv and writev; large transfers with checksums.
#include "sockets.h"
#include <pthread.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#define SIZE (1 << 20)
static unsigned char *data;

static unsigned sum(const unsigned char *bytes, long n, unsigned so_far)
{
    for (long i = 0; i < n; i++)
        so_far = so_far * 31 + bytes[i];
    return so_far;
}

static void *drain(void *socket)
{
    unsigned total = 0, check = 0;
    static unsigned char buffer[65536];
    long n;
    while ((n = read((int)(long)socket, buffer, sizeof buffer)) > 0) {
        total += n;
        check = sum(buffer, n, check);
    }

    printf("drained %u %#x end %ld\n", total, check, n);
    return NULL;
}

static void pair_of(int kind, int pair[2])
{
    if (kind == 0)
        tcp_pair(pair);
    else
        socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
}

int main(void)
{
    data = malloc(SIZE);
    for (int i = 0; i < SIZE; i++)
        data[i] = i * 7 + i / 251;
    printf("data %#x\n", sum(data, SIZE, 0));
    int file = open("data", O_RDWR | O_CREAT, 0600);
    write(file, data, SIZE);
    for (int kind = 0; kind < 2; kind++) {
        int pair[2], pipes[2];
        pthread_t thread;
        pair_of(kind, pair);
        pthread_create(&thread, NULL, drain, (void *)(long)pair[1]);
        off_t offset = 0;
        long total = 0, n;
        while (total < SIZE && (n = sendfile(pair[0], file, &offset, SIZE - total)) > 0)
            total += n;
        show("sendfile", total);
        show("offset", offset);
        show("sendfile at the end", sendfile(pair[0], file, &offset, 10));
        shutdown(pair[0], SHUT_WR);
        pthread_join(thread, NULL);
        close(pair[0]);
        close(pair[1]);

        pair_of(kind, pair);
        pipe(pipes);
        pthread_create(&thread, NULL, drain, (void *)(long)pair[1]);
        loff_t position = 0;
        total = 0;
        while ((n = splice(file, &position, pipes[1], NULL, 65536, 0)) > 0) {
            long left = n, m;
            while (left > 0 && (m = splice(pipes[0], NULL, pair[0], NULL, left, SPLICE_F_MORE)) > 0)
                left -= m;
            total += n;
        }

        show("splice to socket", total);
        shutdown(pair[0], SHUT_WR);
        pthread_join(thread, NULL);
        close(pair[0]);
        close(pair[1]);

        pair_of(kind, pair);
        write(pair[0], data, 1000);
        usleep(20000);
        show("splice from socket", splice(pair[1], NULL, pipes[1], NULL, 600, 0));
        show("rest", splice(pair[1], NULL, pipes[1], NULL, 5000, 0));
        fcntl(pair[1], F_SETFL, O_NONBLOCK);
        show("nothing", splice(pair[1], NULL, pipes[1], NULL, 600, 0));
        static unsigned char back[2000];
        show("read", read(pipes[0], back, sizeof back));
        printf("same %d\n", memcmp(back, data, 1000) == 0);
        show("offset of a socket", splice(pair[1], &position, pipes[1], NULL, 600, 0));
        show("socket to socket", splice(pair[0], NULL, pair[1], NULL, 600, 0));
        show("sendfile from a socket", sendfile(pair[0], pair[1], NULL, 10));
        write(pipes[1], "piped", 5);
        show("sendfile from a pipe", sendfile(pair[0], pipes[0], NULL, 10));
        show("readv", readv(pipes[0], &(struct iovec){ back, 100 }, 1));
        struct iovec vectors[3] = { { "one", 3 }, { NULL, 0 }, { "three", 5 } };
        show("writev", writev(pair[0], vectors, 3));
        usleep(20000);
        struct iovec parts[2] = { { back, 2 }, { back + 2, 100 } };
        show("readv", readv(pair[1], parts, 2));
        printf("%.8s\n", back);
        vectors[1] = (struct iovec){ (void *)1, 4 };
        show("writev partly bad", writev(pair[0], vectors, 3));
        show("to closed", (close(pair[1]), signal(SIGPIPE, SIG_IGN), usleep(20000), write(pair[0], "x", 1), usleep(20000), offset = 0, sendfile(pair[0], file, &offset, 10)));
        close(pair[0]);
        close(pipes[0]);
        close(pipes[1]);
    }

    unlink("data");
    return 0;
}
