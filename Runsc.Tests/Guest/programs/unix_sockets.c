// Unix sockets: names, descriptors and credentials in messages, who the peer is, readiness.
#include "sockets.h"

static struct sockaddr_un un(const char *path, socklen_t *length)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    strcpy(name.sun_path, path);
    *length = offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1;
    return name;
}

static void show_name(const char *what, int fd, int peer)
{
    struct sockaddr_un name;
    socklen_t length = sizeof name;
    memset(&name, 0, sizeof name);
    int result = peer ? getpeername(fd, (void *)&name, &length) : getsockname(fd, (void *)&name, &length);
    if (result)
        printf("%s: %s\n", what, strerrorname_np(errno));
    else
        printf("%s: family %d length %d %s%.20s\n", what, name.sun_family, (int)length, name.sun_path[0] ? "" : "@", name.sun_path[0] ? name.sun_path : name.sun_path + 1);
    fflush(stdout);
}

static void names(void)
{
    socklen_t length;
    struct sockaddr_un name = un("sock", &length);
    int a = socket(AF_UNIX, SOCK_STREAM, 0), b = socket(AF_UNIX, SOCK_STREAM, 0);
    show_name("unbound", a, 0);
    show("connect nothing", connect(b, (void *)&name, length));
    umask(022);
    show("bind", bind(a, (void *)&name, length));
    struct stat status;
    stat("sock", &status);
    printf("mode %o\n", status.st_mode);
    name = un("other", &length);
    show("bind again", bind(a, (void *)&name, length));
    name = un("sock", &length);
    show("bind used", bind(b, (void *)&name, length));
    show("connect not listening", connect(b, (void *)&name, length));
    show("listen", listen(a, 0));
    show("connect", connect(b, (void *)&name, length));
    fcntl(b, F_SETFL, 0);
    int c = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    show("connect second", connect(c, (void *)&name, length));
    int d = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    show("connect third", connect(d, (void *)&name, length));
    int e = socket(AF_UNIX, SOCK_DGRAM, 0);
    show("connect wrong type", connect(e, (void *)&name, length));
    int f = accept(a, NULL, NULL);
    show_name("accepted", f, 0);
    show_name("accepted peer", f, 1);
    show_name("connected peer", b, 1);
    show("open", open("sock", O_RDWR));
    chmod("sock", 0);
    show("unlink", unlink("sock"));
    show("connect gone", connect(d, (void *)&name, length));
    close(a);
    show("unaccepted", recv(c, &length, 1, 0));
    put("file", "x");
    name = un("file", &length);
    show("connect file", connect(d, (void *)&name, length));
    show("bind file", bind(d, (void *)&name, length));
    name = un("none/sock", &length);
    show("bind missing", bind(d, (void *)&name, length));
    memset(name.sun_path, 'x', sizeof name.sun_path);
    show("bind long", bind(d, (void *)&name, sizeof name));
    show_name("long", d, 0);
    char path[sizeof name.sun_path + 1] = "";
    memcpy(path, name.sun_path, sizeof name.sun_path);
    show("unlink long", unlink(path));
    unlink("file");
    show("bind empty", bind(e, (void *)&name, 1));
    name.sun_family = AF_UNIX;
    show("autobind", bind(e, (void *)&name, 2));
    length = sizeof name;
    getsockname(e, (void *)&name, &length);
    printf("autobind length %d\n", (int)length);
    a = socket(AF_UNIX, SOCK_DGRAM, 0);
    memcpy(name.sun_path, "\0guest-test\0x", 13);
    length = offsetof(struct sockaddr_un, sun_path) + 13;
    show("abstract", bind(a, (void *)&name, length));
    show_name("abstract", a, 0);
    show("abstract used", bind(socket(AF_UNIX, SOCK_DGRAM, 0), (void *)&name, length));
    show("abstract shorter", bind(socket(AF_UNIX, SOCK_DGRAM, 0), (void *)&name, length - 2));
    show("send abstract", sendto(e, "hello", 5, 0, (void *)&name, length));
    char buffer[16];
    struct sockaddr_un from;
    length = sizeof from;
    show("recv", recvfrom(a, buffer, 16, 0, (void *)&from, &length));
    printf("from length %d %d\n", (int)length, from.sun_path[0]);
    close(a);
    length = offsetof(struct sockaddr_un, sun_path) + 13;
    show("send gone", sendto(e, "hello", 5, 0, (void *)&name, length));
    for (int i = 1; i <= 2; i++) {
        name.sun_family = AF_INET;
        show("family", bind(socket(AF_UNIX, SOCK_DGRAM, 0), (void *)&name, sizeof name));
    }
}

static void send_files(int to, int *files, int count, const char *text, int credentials)
{
    char control[CMSG_SPACE(sizeof(int) * 4) + CMSG_SPACE(sizeof(struct ucred))];
    memset(control, 0, sizeof control);
    struct iovec vector = { (char *)text, strlen(text) };
    struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    size_t used = 0;
    if (count) {
        *c = (struct cmsghdr){ CMSG_LEN(sizeof(int) * count), SOL_SOCKET, SCM_RIGHTS };
        memcpy(CMSG_DATA(c), files, sizeof(int) * count);
        used = CMSG_SPACE(sizeof(int) * count);
        c = (void *)(control + used);
    }

    if (credentials) {
        struct ucred own = { credentials > 1 ? credentials : getpid(), getuid(), getgid() };
        *c = (struct cmsghdr){ CMSG_LEN(sizeof own), SOL_SOCKET, SCM_CREDENTIALS };
        memcpy(CMSG_DATA(c), &own, sizeof own);
        used += CMSG_SPACE(sizeof own);
    }

    message.msg_controllen = used;
    message.msg_control = used ? control : NULL;
    show("sendmsg", sendmsg(to, &message, MSG_NOSIGNAL));
}

static void receive_files(int from, size_t room, int flags)
{
    char control[256], buffer[64] = "";
    struct iovec vector = { buffer, sizeof buffer };
    struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = room };
    long n = recvmsg(from, &message, flags | MSG_DONTWAIT);
    printf("recvmsg %ld %s flags %#x controllen %d\n", n < 0 ? -errno : n, buffer, message.msg_flags & ~MSG_DONTWAIT, (int)message.msg_controllen);
    for (struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        printf("control %d length %d:", c->cmsg_type, (int)c->cmsg_len);
        if (c->cmsg_type == SCM_RIGHTS) {
            int count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            for (int i = 0; i < count; i++) {
                int fd = ((int *)CMSG_DATA(c))[i];
                struct stat status;
                printf(" fstat %d cloexec %d", fstat(fd, &status), fcntl(fd, F_GETFD));
                if (S_ISFIFO(status.st_mode))
                    printf(" write %ld", (long)write(fd, "z", 1));
                close(fd);
            }
        } else {
            struct ucred *who = (void *)CMSG_DATA(c);
            printf(" own %d uid %d", who->pid == getpid(), who->uid);
        }

        printf("\n");
    }

    fflush(stdout);
}

static void messages(int type)
{
    int pair[2], other[2], pipes[2], one = 1;
    printf("-- messages of type %d\n", type);
    socketpair(AF_UNIX, type, 0, pair);
    pipe(pipes);
    int files[] = { pipes[1], 0, pipes[1], pipes[1] };
    files[1] = open("/", O_RDONLY);
    send_files(pair[0], files, 2, "two", 0);
    receive_files(pair[1], 256, 0);
    send_files(pair[0], files, 2, "cloexec", 0);
    receive_files(pair[1], 256, MSG_CMSG_CLOEXEC);
    send_files(pair[0], files, 3, "small", 0);
    receive_files(pair[1], CMSG_LEN(sizeof(int)), 0);
    send_files(pair[0], files, 1, "no room", 0);
    receive_files(pair[1], 0, 0);
    send_files(pair[0], files, 1, "peek", 0);
    receive_files(pair[1], 256, MSG_PEEK);
    receive_files(pair[1], 256, 0);
    send(pair[0], "a", 1, 0);
    send_files(pair[0], files, 1, "b", 0);
    send_files(pair[0], files, 1, "c", 0);
    send(pair[0], "d", 1, 0);
    for (int i = 0; i < 4; i++)
        receive_files(pair[1], 256, 0);
    send_files(pair[0], files, 1, "", 0);
    receive_files(pair[1], 256, 0);
    files[0] = 999;
    send_files(pair[0], files, 1, "bad", 0);
    show("SO_PASSCRED", setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof one));
    send(pair[0], "plain", 5, 0);
    receive_files(pair[1], 256, 0);
    send_files(pair[0], files, 0, "credentials", 1);
    receive_files(pair[1], 256, 0);
    send_files(pair[0], files, 0, "other pid", 99999);
    files[0] = pipes[1];
    send_files(pair[0], files, 1, "both", 1);
    receive_files(pair[1], 256, 0);
    socketpair(AF_UNIX, SOCK_STREAM, 0, other);
    send_files(pair[0], other, 2, "sockets", 0);
    close(other[0]);
    receive_files(pair[1], 256, 0);
    send_files(pair[0], pair, 2, "itself", 0);
    struct ucred peer;
    socklen_t length = sizeof peer;
    getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &peer, &length);
    printf("SO_PEERCRED own %d %d %d\n", peer.pid == getpid(), peer.uid, peer.gid);
    close(pair[0]);
    close(pair[1]);
}

static void readiness(int type)
{
    int pair[2];
    char buffer[32];
    const int all = POLLIN | POLLOUT | POLLRDHUP | POLLPRI;
    printf("-- readiness of type %d\n", type);
    socketpair(AF_UNIX, type, 0, pair);
    show_poll("new", pair[0], all, 0);
    send(pair[1], "abc", 3, 0);
    send(pair[1], "defg", 4, 0);
    int n = 0;
    ioctl(pair[0], FIONREAD, &n);
    show("FIONREAD", n);
    show_poll("data", pair[0], all, 0);
    show("peek", recv(pair[0], buffer, 2, MSG_PEEK | MSG_TRUNC));
    show("recv", recv(pair[0], buffer, 2, MSG_TRUNC));
    show("recv", recv(pair[0], buffer, sizeof buffer, MSG_DONTWAIT));
    show("recv", recv(pair[0], buffer, sizeof buffer, MSG_DONTWAIT));
    show("oob", send(pair[1], "xyz", 3, MSG_OOB));
    show_poll("oob", pair[0], all, 0);
    show("recv oob", recv(pair[0], buffer, 1, MSG_OOB));
    show("recv", recv(pair[0], buffer, sizeof buffer, MSG_DONTWAIT));
    show("shutdown write", shutdown(pair[1], SHUT_WR));
    show_poll("peer", pair[0], all, 0);
    show_poll("self", pair[1], all, 0);
    show("recv", recv(pair[0], buffer, sizeof buffer, MSG_DONTWAIT));
    show("send", send(pair[1], "x", 1, MSG_NOSIGNAL));
    show("shutdown read", shutdown(pair[1], SHUT_RD));
    show_poll("peer", pair[0], all, 0);
    show_poll("self", pair[1], all, 0);
    show("send to shut", send(pair[0], "x", 1, MSG_NOSIGNAL));
    close(pair[0]);
    close(pair[1]);
    socketpair(AF_UNIX, type, 0, pair);
    send(pair[0], "unread", 6, 0);
    close(pair[1]);
    show_poll("peer closed with data", pair[0], all, 0);
    show("recv", recv(pair[0], buffer, sizeof buffer, MSG_DONTWAIT));
    show("recv", recv(pair[0], buffer, sizeof buffer, MSG_DONTWAIT));
    show("send", send(pair[0], "x", 1, MSG_NOSIGNAL));
    show_name("peer", pair[0], 1);
    close(pair[0]);
    socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, pair);
    long sent = 0, step;
    while ((step = send(pair[0], buffer, 16, 0)) > 0)
        sent += step;
    show("full", step);
    show_poll("full", pair[0], all, 0);
    while (recv(pair[1], buffer, 16, 0) > 0) {
    }

    show_poll("empty", pair[0], all, 0);
}

int main(void)
{
    names();
    for (int type = 1; type <= 5; type += type == 1 ? 1 : 3) {
        messages(type);
        readiness(type);
    }

    return 0;
}
