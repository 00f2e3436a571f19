// User namespaces (user_namespaces(7)): maps, ids, capabilities and their limits.
#include "guest.h"
#include <grp.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <linux/securebits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/xattr.h>

static int to_child[2], to_parent[2];

static void tell(int *pipe)
{
    write(pipe[1], "x", 1);
}

static void await(int *pipe)
{
    char c;
    read(pipe[0], &c, 1);
}

// Writes a file of /proc/PID in one call.
static long store(int pid, const char *name, const char *text)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    int fd = open(path, O_WRONLY);
    if (fd < 0)
        return -1;
    long n = write(fd, text, strlen(text));
    int error = errno;
    close(fd);
    errno = error;
    return n;
}

static void print_file(const char *name)
{
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/self/%s", name);
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, text, sizeof text - 1);
    text[n < 0 ? 0 : n] = 0;
    printf("%s {\n%s}\n", name, text);
    close(fd);
}

static void print_ids(void)
{
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    while (fgets(line, sizeof line, status))
        if (!strncmp(line, "Uid", 3) || !strncmp(line, "Gid", 3) || !strncmp(line, "Cap", 3))
            fputs(line, stdout);
    fclose(status);
    uid_t r, e, s;
    getresuid(&r, &e, &s);
    printf("ids %u %u, %u %u %u, securebits %d, dumpable %d\n", getuid(), getgid(), r, e, s, prctl(PR_GET_SECUREBITS), prctl(PR_GET_DUMPABLE));
    fflush(stdout);
}

// A child in a new user namespace, whose maps the parent has written.
static int with_maps(const char *what, int flags, const char *users, const char *groups)
{
    printf("== %s\n", what);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        ok("unshare", unshare(CLONE_NEWUSER | flags));
        tell(to_parent);
        await(to_child);
        return 1;
    }
    await(to_parent);
    show("uid_map", users ? store(pid, "uid_map", users) : 0);
    show("gid_map", groups ? store(pid, "gid_map", groups) : 0);
    tell(to_child);
    int status;
    waitpid(pid, &status, 0);
    printf("status %x\n", status);
    return 0;
}

static void own_maps(void)
{
    if (!child("own maps"))
        return;
    show("securebits", prctl(PR_SET_SECUREBITS, SECBIT_NOROOT));
    show("unshare", unshare(CLONE_NEWUSER));
    print_ids();
    print_file("uid_map");
    print_file("setgroups");
    show("setgroups", setgroups(0, NULL));
    show("setuid", setuid(0));
    show("two lines", store(getpid(), "uid_map", "0 0 1\n1 1 1\n"));
    show("two ids", store(getpid(), "uid_map", "0 0 2\n"));
    show("another's id", store(getpid(), "uid_map", "0 5 1\n"));
    show("own id", store(getpid(), "uid_map", "0 0 1\n"));
    show("again", store(getpid(), "uid_map", "0 0 1\n"));
    show("group", store(getpid(), "gid_map", "0 0 1\n"));
    show("bad word", store(getpid(), "setgroups", "none"));
    show("deny", store(getpid(), "setgroups", "deny\n"));
    show("allow", store(getpid(), "setgroups", "allow"));
    show("group", store(getpid(), "gid_map", "7 0 1\n"));
    show("deny", store(getpid(), "setgroups", "deny"));
    print_file("uid_map");
    print_file("gid_map");
    print_file("setgroups");
    show("setgroups", setgroups(0, NULL));
    print_ids();
    _exit(0);
}

static void bad_maps(void)
{
    static const char *const texts[] = {
        "", "\n", "0", "0 0", "0 0 0", "0 0 x", "x 0 1", "0 0 1 2", "-1 0 1", "0 4294967295 1", "4294967295 0 1", "0 0 4294967295 ",
        "0 1 4294967295", "1 0 4294967295", "0 0 2\n1 5 1\n", "0 0 2\n5 1 1\n", "0 0 1\n\n", "0 0 1\n1 1 1 ", "\t0\t0\t1\n",
    };
    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            unshare(CLONE_NEWUSER);
            tell(to_parent);
            await(to_child);
            _exit(0);
        }
        await(to_parent);
        printf("map %u ", i);
        show("", store(pid, "uid_map", texts[i]));
        tell(to_child);
        waitpid(pid, NULL, 0);
    }

    char text[8192];
    for (int lines = 340; lines <= 341; lines++) {
        int n = 0;
        for (int i = 0; i < lines; i++)
            n += snprintf(text + n, sizeof text - n, "%d %d 1\n", i, i);
        pid_t pid = fork();
        if (pid == 0) {
            unshare(CLONE_NEWUSER);
            tell(to_parent);
            await(to_child);
            _exit(0);
        }
        await(to_parent);
        printf("%d lines ", lines);
        show("", store(pid, "uid_map", text));
        tell(to_child);
        waitpid(pid, NULL, 0);
    }
}

static void print_owner(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0)
        show(path, -1);
    else
        printf("%s: %u:%u\n", path, st.st_uid, st.st_gid);
}

static void files(void)
{
    chmod(".", 0777);
    put("of_root", "root");
    chmod("of_root", 0600);
    put("of_five", "five");
    chmod("of_five", 0600);
    chown("of_five", 5, 5);
    put("of_both", "both");
    chmod("of_both", 0600);
    chown("of_both", 5, 77);
    if (!with_maps("files", 0, "0 5 2\n10 33 1\n", "0 5 2\n"))
        return;
    print_owner("of_root");
    print_owner("of_five");
    print_owner("of_both");
    show("setuid 4", setuid(4));
    show("setresuid", setresuid(0, 0, 0));
    show("setresgid", setresgid(0, 0, 0));
    show("setgroups", setgroups(1, (gid_t[]){1}));
    show("setgroups 2", setgroups(1, (gid_t[]){2}));
    print_ids();
    ok("open of_root", open("of_root", O_RDONLY));
    ok("open of_five", open("of_five", O_RDONLY));
    show("setfsuid", syscall(SYS_setfsuid, 10));
    ok("open of_five", open("of_five", O_RDONLY));
    ok("open of_both", open("of_both", O_RDONLY));
    show("setfsuid", syscall(SYS_setfsuid, 0));
    ok("open of_both", open("of_both", O_RDONLY));
    show("chown of_root", chown("of_root", 0, 0));
    show("chown of_five to 10", chown("of_five", 10, 1));
    print_owner("of_five");
    show("chown of_five to 11", chown("of_five", 11, 1));
    show("chmod of_root", chmod("of_root", 0644));
    show("chmod of_five", chmod("of_five", 0644));
    put("made", "x");
    print_owner("made");
    show("mknod device", mknod("device", S_IFCHR | 0666, makedev(1, 3)));
    show("mknod fifo", mknod("fifo", S_IFIFO | 0666, 0));
    _exit(0);
}

static void set_id_programs(void)
{
    char buffer[65536];
    ssize_t n;
    int from = open("/proc/self/exe", O_RDONLY), to = open("copy", O_CREAT | O_WRONLY, 0755);
    while ((n = read(from, buffer, sizeof buffer)) > 0)
        write(to, buffer, n);
    close(to);
    chmod("copy", 06755);
    if (with_maps("set-user-id, not mapped", 0, "0 5 2\n", "0 5 2\n")) {
        show("setresgid", setresgid(1, 1, 1));
        show("setresuid", setresuid(1, 1, 1));
        execl("./copy", "copy", "ids", NULL);
        _exit(1);
    }
    chown("copy", 5, 5);
    chmod("copy", 06755);
    if (with_maps("set-user-id, mapped", 0, "0 5 2\n", "0 5 2\n")) {
        show("setresgid", setresgid(1, 1, 1));
        show("setresuid", setresuid(1, 1, 1));
        execl("./copy", "copy", "ids", NULL);
        _exit(1);
    }
    chown("copy", 0, 0);
    chmod("copy", 06755);
    if (with_maps("root's program for his own namespace", 0, "0 0 2\n", "0 0 2\n")) {
        show("setresgid", setresgid(1, 1, 1));
        show("setresuid", setresuid(1, 1, 1));
        execl("./copy", "copy", "ids", NULL);
        _exit(1);
    }
}

// What all capabilities in a user namespace do not give.
static void refused(void)
{
    pid_t parent = getpid();
    if (!with_maps("refused", 0, "0 5 2\n", "0 5 2\n"))
        return;
    setresgid(0, 0, 0);
    setresuid(0, 0, 0);
    char name[65];
    gethostname(name, sizeof name);
    show("sethostname", sethostname(name, strlen(name)));
    show("mount", mount("none", "/", "tmpfs", 0, NULL));
    show("umount", umount("/proc"));
    show("unshare", unshare(CLONE_NEWUTS));
    show("sethostname", sethostname("new", 3));
    show("kill", kill(parent, 0));
    struct rlimit limit = {.rlim_cur = 10, .rlim_max = RLIM_INFINITY};
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){10, 10});
    show("setrlimit", setrlimit(RLIMIT_NOFILE, &limit));
    show("setpriority", setpriority(PRIO_PROCESS, 0, -5));
    struct timeval now;
    gettimeofday(&now, NULL);
    show("settimeofday", settimeofday(&now, NULL));
    show("packet socket", socket(AF_PACKET, SOCK_RAW, 0));
    show("raw socket", socket(AF_INET, SOCK_RAW, IPPROTO_UDP));
    int socket_ = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in low = {.sin_family = AF_INET, .sin_port = htons(81), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    show("low port", bind(socket_, (struct sockaddr *)&low, sizeof low));
    show("trusted", setxattr("/", "trusted.x", "", 0, 0));
    _exit(0);
}

static void owned(void)
{
    if (!with_maps("owned", CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET, "0 5 2\n", "0 5 2\n"))
        return;
    setresgid(0, 0, 0);
    setresuid(0, 0, 0);
    show("sethostname", sethostname("new", 3));
    show("umount", umount("/proc"));
    show("mount", mount("none", "/tmp", "tmpfs", 0, "uid=1,mode=755"));
    print_owner("/tmp");
    show("mount", mount("none", "/tmp", "tmpfs", 0, "uid=9"));
    show("umount", umount("/tmp"));
    show("mount proc", mount("none", "/tmp", "proc", 0, NULL));
    show("mount devtmpfs", mount("none", "/tmp", "devtmpfs", 0, NULL));
    show("bind", mount("/proc/self/ns", "/tmp", NULL, MS_BIND, NULL));
    show("remount", mount(NULL, "/tmp", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
    show("remount", mount(NULL, "/proc", NULL, MS_REMOUNT, NULL));
    show("packet socket", close(socket(AF_PACKET, SOCK_RAW, 0)));
    show("raw socket", close(socket(AF_INET, SOCK_RAW, IPPROTO_UDP)));
    int socket_ = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in low = {.sin_family = AF_INET, .sin_port = htons(81)};
    show("low port", bind(socket_, (struct sockaddr *)&low, sizeof low));
    int value = 7;
    show("mark", setsockopt(socket_, SOL_SOCKET, SO_MARK, &value, sizeof value));
    show("buffer", setsockopt(socket_, SOL_SOCKET, SO_RCVBUFFORCE, &value, sizeof value));
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    show("up", ioctl(socket_, SIOCSIFFLAGS, &lo));
    int segment = shmget(1, 4096, IPC_CREAT | 0);
    struct shmid_ds ds;
    show("IPC_STAT", shmctl(segment, IPC_STAT, &ds));
    printf("owner %u:%u\n", ds.shm_perm.uid, ds.shm_perm.gid);
    ds.shm_perm.uid = 9;
    show("IPC_SET", shmctl(segment, IPC_SET, &ds));
    _exit(0);
}

static void nested(void)
{
    if (!child("nested"))
        return;
    int levels = 0;
    while (levels < 50) {
        if (unshare(CLONE_NEWUSER) < 0)
            break;
        levels++;
        if (store(getpid(), "uid_map", "0 0 1") < 0 || store(getpid(), "setgroups", "deny") < 0 || store(getpid(), "gid_map", "0 0 1") < 0)
            break;
    }
    show("at the end", unshare(CLONE_NEWUSER));
    _exit(0);
}

static void combinations(void)
{
    show("CLONE_FS", syscall(SYS_clone, CLONE_NEWUSER | CLONE_FS | SIGCHLD, 0, 0, 0, 0));
    show("CLONE_THREAD", syscall(SYS_clone, CLONE_NEWUSER | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM, 0, 0, 0, 0));
    if (child("not mapped")) {
        show("unshare", unshare(CLONE_NEWUSER));
        show("unshare", unshare(CLONE_NEWUSER));
        _exit(0);
    }
    if (child("another root")) {
        mkdir("root", 0755);
        show("chroot", chroot("root"));
        show("unshare", unshare(CLONE_NEWUSER));
        _exit(0);
    }
    if (child("chroot inside")) {
        show("unshare", unshare(CLONE_NEWUSER));
        show("chroot", chroot("."));
        _exit(0);
    }
    fflush(stdout);
    int pid = syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWUTS | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) {
        show("clone, sethostname", sethostname("x", 1));
        printf("clone, uid %u\n", getuid());
        exit(0);
    }
    waitpid(pid, NULL, 0);
    if (child("another user")) {
        setresgid(8, 8, 8);
        setresuid(8, 8, 8);
        show("unshare uts", unshare(CLONE_NEWUTS));
        show("unshare", unshare(CLONE_NEWUSER | CLONE_NEWUTS));
        show("uid_map", store(getpid(), "uid_map", "0 8 1"));
        print_ids();
        _exit(0);
    }
}

static void namespaces(void)
{
    int self = open("/proc/self/ns/user", O_RDONLY);
    show("own", setns(self, CLONE_NEWUSER));
    show("wrong type", setns(self, CLONE_NEWUTS));
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        unshare(CLONE_NEWUSER | CLONE_NEWUTS | CLONE_NEWNET);
        tell(to_parent);
        await(to_child);
        _exit(0);
    }
    await(to_parent);
    store(pid, "uid_map", "0 0 10");
    store(pid, "gid_map", "0 0 10");
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
    int users = open(path, O_RDONLY);
    snprintf(path, sizeof path, "/proc/%d/ns/uts", pid);
    int uts = open(path, O_RDONLY);
    snprintf(path, sizeof path, "/proc/%d/ns/net", pid);
    int net = open(path, O_RDONLY);
    struct stat a, b, c;
    fstat(self, &a);
    fstat(users, &b);
    printf("differ %d\n", a.st_ino != b.st_ino);
    printf("type %d %d %d\n", ioctl(users, NS_GET_NSTYPE) == CLONE_NEWUSER, ioctl(uts, NS_GET_NSTYPE) == CLONE_NEWUTS, ioctl(net, NS_GET_NSTYPE) == CLONE_NEWNET);
    int owner = ioctl(net, NS_GET_USERNS), parent = ioctl(users, NS_GET_PARENT);
    fstat(owner, &c);
    printf("owner of net %d\n", b.st_ino == c.st_ino);
    fstat(parent, &c);
    printf("parent %d, cloexec %d\n", a.st_ino == c.st_ino, fcntl(parent, F_GETFD));
    show("parent of net", ioctl(net, NS_GET_PARENT));
    uid_t uid = 99;
    show("owner", ioctl(users, NS_GET_OWNER_UID, &uid));
    printf("uid %u\n", uid);
    show("owner of net", ioctl(net, NS_GET_OWNER_UID, &uid));
    show("enter uts", setns(uts, 0));
    if (child("enter")) {
        show("user", setns(users, 0));
        show("uts", setns(uts, 0));
        show("net", setns(net, CLONE_NEWNET));
        show("sethostname", sethostname("x", 1));
        show("back", setns(self, 0));
        show("parent", ioctl(users, NS_GET_PARENT));
        print_ids();
        _exit(0);
    }
    tell(to_child);
    waitpid(pid, NULL, 0);
}

static siginfo_t got;

static void handler(int signal, siginfo_t *info, void *context)
{
    got = *info;
}

static void messages(void)
{
    int pair[2];
    socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
    setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int));
    write(pair[0], "a", 1);
    sigaction(SIGUSR1, &(struct sigaction){.sa_sigaction = handler, .sa_flags = SA_SIGINFO}, NULL);
    printf("== messages\n");
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        unshare(CLONE_NEWUSER);
        tell(to_parent);
        await(to_child);
        setresgid(0, 0, 0);
        setresuid(0, 0, 0);
        char byte, control[64];
        struct iovec io = {&byte, 1};
        struct msghdr message = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        recvmsg(pair[1], &message, 0);
        struct ucred *cred = (struct ucred *)CMSG_DATA(CMSG_FIRSTHDR(&message));
        printf("from outside %u:%u\n", cred->uid, cred->gid);
        socklen_t length = sizeof *cred;
        struct ucred peer;
        getsockopt(pair[1], SOL_SOCKET, SO_PEERCRED, &peer, &length);
        printf("peer %u:%u\n", peer.uid, peer.gid);
        for (int uid = 0; uid < 3; uid++) {
            message.msg_controllen = CMSG_SPACE(sizeof *cred);
            CMSG_FIRSTHDR(&message)->cmsg_len = CMSG_LEN(sizeof *cred);
            CMSG_FIRSTHDR(&message)->cmsg_level = SOL_SOCKET;
            CMSG_FIRSTHDR(&message)->cmsg_type = SCM_CREDENTIALS;
            *cred = (struct ucred){getpid(), uid, 0};
            show("send", sendmsg(pair[0], &message, 0));
        }
        tell(to_parent);
        await(to_child);
        printf("signal from %u\n", got.si_uid);
        fflush(stdout);
        if (fork() == 0) {
            setuid(1);
            _exit(3);
        }
        siginfo_t info;
        waitid(P_ALL, 0, &info, WEXITED);
        printf("child of %u\n", info.si_uid);
        fflush(stdout);
        _exit(0);
    }
    await(to_parent);
    store(pid, "uid_map", "0 5 2");
    store(pid, "gid_map", "0 5 2");
    tell(to_child);
    await(to_parent);
    for (int i = 0; i < 2; i++) {
        char byte, control[64];
        struct iovec io = {&byte, 1};
        struct msghdr message = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        recvmsg(pair[1], &message, 0);
        struct ucred *cred = (struct ucred *)CMSG_DATA(CMSG_FIRSTHDR(&message));
        printf("from inside %u:%u\n", cred->uid, cred->gid);
    }
    fflush(stdout);
    kill(pid, SIGUSR1);
    tell(to_child);
    siginfo_t info;
    waitid(P_PID, pid, &info, WEXITED);
    printf("ended: user %u\n", info.si_uid);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        print_ids();
        return 0;
    }
    pipe(to_child);
    pipe(to_parent);
    umask(022);
    own_maps();
    bad_maps();
    files();
    set_id_programs();
    refused();
    owned();
    nested();
    combinations();
    namespaces();
    messages();
    return 0;
}
