// Job control on a pseudo-terminal: session and foreground job, typed signals, background reads and writes, hang-up.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static int master, slave;
static volatile sig_atomic_t last;

static void note(int signal) { last = signal; }

static const char *error(long result) { return result < 0 ? strerrorname_np(errno) : "ok"; }

static void type(const char *text) { write(master, text, strlen(text)); }

// What the master has within a moment.
static void show(const char *what)
{
    char text[4096];
    struct pollfd wait = { master, POLLIN, 0 };
    printf("%s:", what);
    while (poll(&wait, 1, 200) > 0 && (wait.revents & POLLIN)) {
        ssize_t n = read(master, text, sizeof text);
        for (ssize_t i = 0; i < n; i++) {
            printf(text[i] >= 32 && text[i] < 127 ? " %c" : " %02x", (unsigned char)text[i]);
        }
    }

    printf("\n");
}

static pid_t start(void (*run)(void), int own_group)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (own_group) {
            setpgid(0, 0);
        }

        run();
        fflush(stdout);
        _exit(0);
    }

    if (own_group) {
        setpgid(child, child);
    }

    return child;
}

static void await(const char *what, pid_t child)
{
    int status;
    waitpid(child, &status, WUNTRACED);
    if (WIFSTOPPED(status)) {
        printf("%s: stopped by %s\n", what, sigabbrev_np(WSTOPSIG(status)));
    } else if (WIFSIGNALED(status)) {
        printf("%s: killed by %s\n", what, sigabbrev_np(WTERMSIG(status)));
    } else {
        printf("%s: exit %d\n", what, WEXITSTATUS(status));
    }
}

static void wait_for_input(void)
{
    char line[64];
    ssize_t n = read(slave, line, sizeof line);
    printf("  read %zd %s\n", n, error(n));
}

static void read_ignoring(void)
{
    signal(SIGTTIN, SIG_IGN);
    wait_for_input();
}

static void write_quietly(void) { printf("  write %s\n", error(write(slave, "w", 1))); }

static void set_modes(void)
{
    struct termios modes;
    tcgetattr(slave, &modes);
    printf("  tcsetattr %s\n", error(tcsetattr(slave, TCSANOW, &modes)));
}

static void sleep_long(void)
{
    for (int i = 0; i < 100; i++) {
        usleep(100000);
    }
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct winsize size = { 24, 80, 0, 0 };
    char name[64];
    if (openpty(&master, &slave, name, NULL, &size) != 0) {
        perror("openpty");
        return 1;
    }

    printf("name %d, tty %d\n", strncmp(name, "/dev/pts/", 9) == 0, isatty(slave));
    pid_t leader = fork();
    if (leader > 0) {
        int status;
        close(master);
        close(slave);
        waitpid(leader, &status, 0);
        printf("leader %x\n", status);
        return 0;
    }

    printf("before setsid: TIOCSCTTY %s, tcgetpgrp %s\n", error(ioctl(slave, TIOCSCTTY, 0)), error(tcgetpgrp(slave)));
    setsid();
    printf("TIOCSCTTY %s", error(ioctl(slave, TIOCSCTTY, 0)));
    printf(", again %s, foreground %d, session %d\n", error(ioctl(slave, TIOCSCTTY, 0)), tcgetpgrp(slave) == getpgrp(), tcgetsid(slave) == getpid());
    int tty = open("/dev/tty", O_RDWR);
    printf("/dev/tty %d\n", tty >= 0 && isatty(tty));
    signal(SIGTTOU, SIG_IGN);

    pid_t child = start(sleep_long, 1);
    tcsetpgrp(slave, child);
    type("\003");
    await("^C", child);
    show("echo");
    child = start(sleep_long, 1);
    tcsetpgrp(slave, child);
    type("\032");
    await("^Z", child);
    kill(-child, SIGCONT);
    type("\034");
    await("^\\", child);
    tcsetpgrp(slave, getpgrp());
    show("echo");

    child = start(wait_for_input, 1);
    await("background read", child);
    tcsetpgrp(slave, child);
    kill(-child, SIGCONT);
    type("line\n");
    await("then in the foreground", child);
    tcsetpgrp(slave, getpgrp());
    await("ignoring SIGTTIN", start(read_ignoring, 1));
    await("background write", start(write_quietly, 1));
    struct termios modes;
    tcgetattr(slave, &modes);
    modes.c_lflag |= TOSTOP;
    tcsetattr(slave, TCSANOW, &modes);
    signal(SIGTTOU, SIG_DFL);
    child = start(write_quietly, 1);
    await("background write with TOSTOP", child);
    kill(child, SIGKILL);
    await("and killed", child);
    child = start(set_modes, 1);
    await("background tcsetattr", child);
    kill(child, SIGKILL);
    await("and killed", child);
    signal(SIGTTOU, SIG_IGN);
    modes.c_lflag &= ~TOSTOP;
    tcsetattr(slave, TCSANOW, &modes);
    show("echo");

    printf("tcsetpgrp: bad %s, none %s, other session %s\n", error(tcsetpgrp(slave, -1)), error(tcsetpgrp(slave, 99999)), error(tcsetpgrp(slave, getppid())));
    signal(SIGWINCH, note);
    size.ws_row = 50;
    ioctl(master, TIOCSWINSZ, &size);
    ioctl(slave, TIOCGWINSZ, &size);
    printf("SIGWINCH %d, %d rows\n", last == SIGWINCH, size.ws_row);
    last = 0;
    ioctl(master, TIOCSWINSZ, &size);
    printf("same size: %d\n", (int)last);
    signal(SIGHUP, note);
    last = 0;
    close(master);
    printf("hang-up: SIGHUP %d, read %zd", last == SIGHUP, read(slave, name, 1));
    printf(", write %s", error(write(slave, "x", 1)));
    printf(", tcgetpgrp %s", error(tcgetpgrp(slave)));
    printf(", /dev/tty %s\n", error(open("/dev/tty", O_RDWR)));
    struct pollfd wait = { slave, POLLIN | POLLOUT, 0 };
    poll(&wait, 1, 0);
    printf("poll %x\n", wait.revents);
    return 0;
}
