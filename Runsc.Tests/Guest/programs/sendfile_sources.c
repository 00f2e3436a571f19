// sendfile(2) takes only what has a position: not from pipes, sockets or terminals.
#include "guest.h"
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <pty.h>

int main(void)
{
    int out[2], in[2], pair[2], master, slave;
    pipe(out);
    pipe(in);
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    openpty(&master, &slave, NULL, NULL, NULL);
    write(in[1], "abc", 3);
    write(pair[1], "abc", 3);
    write(master, "abc\n", 4);
    show("from a pipe", sendfile(out[1], in[0], NULL, 100));
    show("from a socket", sendfile(out[1], pair[0], NULL, 100));
    show("from a terminal", sendfile(out[1], slave, NULL, 100));
    int null = open("/dev/null", O_WRONLY);
    write(in[1], "abc", 3);
    write(pair[1], "abc", 3);
    write(master, "abc\n", 4);
    show("from a pipe to no pipe", sendfile(null, in[0], NULL, 100));
    show("from a socket to no pipe", sendfile(null, pair[0], NULL, 3));
    show("from a terminal to no pipe", sendfile(null, slave, NULL, 4));
    write(master, "abc\n\004", 5);
    show("from a terminal to its end", sendfile(null, slave, NULL, 100));
    int file = open("/proc/self/exe", O_RDONLY), zero = open("/dev/zero", O_RDONLY);
    show("from a file", sendfile(out[1], file, NULL, 100));
    show("from a device", sendfile(out[1], zero, NULL, 100));
    show("to a terminal", sendfile(slave, file, NULL, 100));
    return 0;
}
