// MSG_FASTOPEN: a connection is made by its first data.
#include "sockets.h"
#include <pthread.h>

static void *drain(void *listener)
{
    static char buffer[65536];
    long total = 0, n;
    int fd = accept(*(int *)listener, NULL, NULL);
    while ((n = read(fd, buffer, sizeof buffer)) > 0)
        total += n;
    close(fd);
    return (void *)total;
}

int main(void)
{
    static char large[1 << 20];
    int listener = bound(SOCK_STREAM), port = local_port(listener), fd, other;
    struct sockaddr_in to = in4("127.0.0.1", port), nobody = { .sin_family = AF_UNSPEC };
    char buffer[64];

    fd = socket(AF_INET, SOCK_STREAM, 0);
    show("send", sendto(fd, "hello", 5, MSG_FASTOPEN, (void *)&to, sizeof to));
    other = accept(listener, NULL, NULL);
    show("received", recv(other, buffer, sizeof buffer, 0));
    show("again", sendto(fd, "hello", 5, MSG_FASTOPEN | MSG_NOSIGNAL, (void *)&to, sizeof to));
    show("plain", send(fd, "x", 1, 0));
    show("received", recv(other, buffer, sizeof buffer, 0));
    close(fd);
    close(other);

    pthread_t thread;
    void *total;
    pthread_create(&thread, NULL, drain, &listener);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    show("large", sendto(fd, large, sizeof large, MSG_FASTOPEN, (void *)&to, sizeof to));
    close(fd);
    pthread_join(thread, &total);
    show("received", (long)total);

    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    show("without waiting", sendto(fd, "hello", 5, MSG_FASTOPEN, (void *)&to, sizeof to));
    show_poll("connected", fd, POLLOUT, 2000);
    show_option("SO_ERROR", fd, SOL_SOCKET, SO_ERROR);
    show("then", send(fd, "hello", 5, 0));
    other = accept(listener, NULL, NULL);
    show("received", recv(other, buffer, sizeof buffer, 0));
    close(fd);
    close(other);

    fd = socket(AF_INET, SOCK_STREAM, 0);
    show("no address", sendto(fd, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, NULL, 0) < 0);
    show("family", sendto(fd, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, (void *)&nobody, sizeof nobody));
    close(listener);
    show("refused", sendto(fd, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, (void *)&to, sizeof to));
    listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, 4);
    show("bind", bind(listener, (void *)&to, sizeof to) | listen(listener, 1));
    show("tries again", sendto(fd, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, (void *)&to, sizeof to));

    int pair[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    show("unix", send(pair[0], "x", 1, MSG_FASTOPEN));
    show("received", recv(pair[1], buffer, sizeof buffer, 0));
    return 0;
}
