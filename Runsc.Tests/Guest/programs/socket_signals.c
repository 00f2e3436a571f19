// Sockets that tell of themselves by signals: F_SETOWN, O_ASYNC, F_SETSIG, SIGURG, SIGPIPE; interrupted calls.
#include "sockets.h"
#include <pthread.h>

static volatile int count, last, code, band, descriptor;

static void note(int signal, siginfo_t *info, void *context)
{
    count++;
    last = signal;
    code = info->si_code;
    band = info->si_band;
    descriptor = info->si_fd;
}

static void await(const char *what, int fd)
{
    for (int i = 0; i < 100 && count == 0; i++)
        usleep(10000);
    printf("%s: signals %d last %d code %d band %#x own %d\n", what, count > 0, last, code, band, descriptor == fd);
    fflush(stdout);
    count = last = code = band = descriptor = 0;
}

static void alarmed(int signal)
{
}

int main(void)
{
    struct sigaction action = { .sa_sigaction = note, .sa_flags = SA_SIGINFO };
    sigaction(SIGIO, &action, NULL);
    sigaction(SIGURG, &action, NULL);
    sigaction(SIGRTMIN + 3, &action, NULL);
    sigaction(SIGPIPE, &action, NULL);
    int pair[2];
    char buffer[8];
    tcp_pair(pair);
    show("F_GETOWN", fcntl(pair[0], F_GETOWN));
    show("F_SETOWN", fcntl(pair[0], F_SETOWN, getpid()));
    show("own", fcntl(pair[0], F_GETOWN) == getpid());
    send(pair[1], "!", 1, MSG_OOB);
    await("urgent", pair[0]);
    recv(pair[0], buffer, 1, MSG_OOB);
    show("O_ASYNC", fcntl(pair[0], F_SETFL, O_ASYNC));
    printf("flags %#x\n", fcntl(pair[0], F_GETFL));
    send(pair[1], "x", 1, 0);
    await("SIGIO", pair[0]);
    recv(pair[0], buffer, 8, 0);
    show("F_SETSIG", fcntl(pair[0], F_SETSIG, SIGRTMIN + 3));
    show("F_GETSIG", fcntl(pair[0], F_GETSIG));
    send(pair[1], "x", 1, 0);
    await("real time signal", pair[0]);
    fcntl(pair[0], F_SETFL, 0);
    send(pair[1], "x", 1, 0);
    usleep(30000);
    printf("no signal %d\n", count);
    int pid = getpid();
    show("SIOCSPGRP", ioctl(pair[1], SIOCSPGRP, &pid));
    pid = 0;
    ioctl(pair[1], SIOCGPGRP, &pid);
    show("SIOCGPGRP", pid == getpid());
    int on = 1;
    show("FIOASYNC", ioctl(pair[1], FIOASYNC, &on));
    printf("flags %#x\n", fcntl(pair[1], F_GETFL));
    close(pair[0]);
    await("closed", pair[1]);
    write(pair[1], "x", 1);
    usleep(30000);
    count = 0;
    show("write", write(pair[1], "x", 1));
    printf("SIGPIPE %d\n", last == SIGPIPE);
    count = 0;

    int datagrams = bound(SOCK_DGRAM), sender = socket(AF_INET, SOCK_DGRAM, 0);
    fcntl(datagrams, F_SETOWN, getpid());
    fcntl(datagrams, F_SETFL, O_ASYNC);
    connect4(sender, local_port(datagrams));
    send(sender, "x", 1, 0);
    await("datagram", datagrams);
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    fcntl(pair[0], F_SETOWN, getpid());
    fcntl(pair[0], F_SETFL, O_ASYNC);
    write(pair[1], "x", 1);
    await("unix", pair[0]);
    int listener = bound(SOCK_STREAM), fd = socket(AF_INET, SOCK_STREAM, 0);
    fcntl(listener, F_SETOWN, getpid());
    fcntl(listener, F_SETFL, O_ASYNC);
    connect4(fd, local_port(listener));
    await("listener", listener);

    action = (struct sigaction){ .sa_handler = alarmed };
    sigaction(SIGALRM, &action, NULL);
    struct itimerval soon = { .it_value = { 0, 50000 } };
    fcntl(listener, F_SETFL, 0);
    accept(listener, NULL, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    show("accept interrupted", accept(listener, NULL, NULL));
    setitimer(ITIMER_REAL, &soon, NULL);
    show("recv interrupted", recv(fd, buffer, 1, 0));
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, NULL);
    struct timeval limit = { 0, 500000 };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setitimer(ITIMER_REAL, &soon, NULL);
    show("recv with timeout interrupted", recv(fd, buffer, 1, 0));
    return 0;
}
