// Micro-benchmarks of system calls: one line "name nanoseconds-per-operation" each, to be compared between two systems.
// micro [SECONDS-PER-BENCHMARK [NAME…]]
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(x) do { if (!(x)) { fprintf(stderr, "micro: %s: %s\n", #x, strerror(errno)); exit(1); } } while (0)

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static char self_path[4096];
static int zero_fd, file_fd;
static char block[4096];

static void bench_getppid(void) { syscall(SYS_getppid); }
static void bench_clock_gettime(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); }
static void bench_read_zero(void) { char c; CHECK(read(zero_fd, &c, 1) == 1); }
static void bench_pread(void) { CHECK(pread(file_fd, block, sizeof block, 0) == sizeof block); }
static void bench_pwrite(void) { CHECK(pwrite(file_fd, block, sizeof block, 0) == sizeof block); }
static void bench_stat(void) { struct stat s; CHECK(stat("micro.tmp", &s) == 0); }
static void bench_open_close(void) { int fd = open("micro.tmp", O_RDONLY); CHECK(fd >= 0); close(fd); }

static void bench_mmap_touch_munmap(void)
{
    char *p = mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    for (int i = 0; i < 65536; i += 4096)
        p[i] = 1;
    munmap(p, 65536);
}

static int to_peer[2], from_peer[2];

static void *pipe_peer(void *unused)
{
    char c;
    while (read(to_peer[0], &c, 1) == 1)
        if (write(from_peer[1], &c, 1) != 1)
            break;
    return unused;
}

static void bench_pipe_ping_pong(void)
{
    char c = 0;
    CHECK(write(to_peer[1], &c, 1) == 1);
    CHECK(read(from_peer[0], &c, 1) == 1);
}

static atomic_int turn, futex_stop;

static void futex_hand_over(int mine, int other)
{
    atomic_store(&turn, other);
    syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
    while (atomic_load(&turn) != mine && !atomic_load(&futex_stop))
        syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, other, 0, 0, 0);
}

static void *futex_peer(void *unused)
{
    while (atomic_load(&turn) != 1 && !atomic_load(&futex_stop))
        syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, 0, 0, 0, 0);
    while (!atomic_load(&futex_stop))
        futex_hand_over(1, 0);
    return unused;
}

static void bench_futex_ping_pong(void) { futex_hand_over(0, 1); }

static void *nothing(void *unused) { return unused; }

static void bench_thread_create(void)
{
    pthread_t t;
    CHECK(pthread_create(&t, 0, nothing, 0) == 0);
    pthread_join(t, 0);
}

static void bench_fork_wait(void)
{
    int status;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
        _exit(0);
    CHECK(waitpid(child, &status, 0) == child);
}

static void bench_fork_exec(void)
{
    int status;
    pid_t child = vfork();
    CHECK(child >= 0);
    if (child == 0) {
        execl(self_path, "micro", "exit", (char *)0);
        _exit(127);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

// One byte there and back on a connection over the loopback interface.
static int tcp_here = -1, tcp_there = -1;

static void *tcp_peer(void *unused)
{
    char c;
    while (read(tcp_there, &c, 1) == 1)
        CHECK(write(tcp_there, &c, 1) == 1);
    close(tcp_there);
    return unused;
}

static void tcp_connect(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(listener >= 0 && bind(listener, (void *)&address, length) == 0 && listen(listener, 1) == 0);
    CHECK(getsockname(listener, (void *)&address, &length) == 0);
    CHECK((tcp_here = socket(AF_INET, SOCK_STREAM, 0)) >= 0 && connect(tcp_here, (void *)&address, length) == 0);
    CHECK((tcp_there = accept(listener, 0, 0)) >= 0);
    setsockopt(tcp_here, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(tcp_there, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    close(listener);
}

static void bench_tcp_ping_pong(void)
{
    char c = 0;
    CHECK(write(tcp_here, &c, 1) == 1 && read(tcp_here, &c, 1) == 1);
}

// 64 KiB in one direction; the other side reads all of it.
static char stream[65536], sink[65536];

static void *tcp_sink(void *unused)
{
    while (read(tcp_there, sink, sizeof sink) > 0)
        ;
    close(tcp_there);
    return unused;
}

static void bench_tcp_stream(void)
{
    for (size_t sent = 0; sent < sizeof stream;) {
        ssize_t n = write(tcp_here, stream + sent, sizeof stream - sent);
        CHECK(n > 0);
        sent += n;
    }
}

// A connection over the loopback interface, made and closed.
static void bench_tcp_connection(void)
{
    static int listener = -1;
    static struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t length = sizeof address;
    if (listener < 0) {
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        CHECK((listener = socket(AF_INET, SOCK_STREAM, 0)) >= 0 && bind(listener, (void *)&address, length) == 0 && listen(listener, 8) == 0);
        CHECK(getsockname(listener, (void *)&address, &length) == 0);
    }
    int here = socket(AF_INET, SOCK_STREAM, 0), there;
    CHECK(here >= 0 && connect(here, (void *)&address, sizeof address) == 0 && (there = accept(listener, 0, 0)) >= 0);

    // A reset at the end, so that no ports are left waiting.
    struct linger none = { .l_onoff = 1 };
    CHECK(setsockopt(here, SOL_SOCKET, SO_LINGER, &none, sizeof none) == 0);
    close(here);
    close(there);
}

// One byte there and back between two sockets of one thread.
static void bench_udp_ping_pong(void)
{
    static int here = -1, there = -1;
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) }, b = a;
    socklen_t length = sizeof a;
    if (here < 0) {
        CHECK((here = socket(AF_INET, SOCK_DGRAM, 0)) >= 0 && (there = socket(AF_INET, SOCK_DGRAM, 0)) >= 0);
        CHECK(bind(here, (void *)&a, length) == 0 && bind(there, (void *)&b, length) == 0);
        CHECK(getsockname(here, (void *)&a, &length) == 0 && getsockname(there, (void *)&b, &length) == 0);
        CHECK(connect(here, (void *)&b, length) == 0 && connect(there, (void *)&a, length) == 0);
    }
    char c = 0;
    CHECK(write(here, &c, 1) == 1 && read(there, &c, 1) == 1 && write(there, &c, 1) == 1 && read(here, &c, 1) == 1);
}

static const struct { const char *name; void (*run)(void); int batch; } benchmarks[] = {
    { "getppid", bench_getppid, 64 },
    { "clock_gettime", bench_clock_gettime, 4096 },
    { "read_zero_1", bench_read_zero, 64 },
    { "pread_4k", bench_pread, 64 },
    { "pwrite_4k", bench_pwrite, 64 },
    { "stat", bench_stat, 64 },
    { "open_close", bench_open_close, 32 },
    { "mmap_touch_munmap_64k", bench_mmap_touch_munmap, 8 },
    { "pipe_ping_pong", bench_pipe_ping_pong, 16 },
    { "futex_ping_pong", bench_futex_ping_pong, 16 },
    { "thread_create_join", bench_thread_create, 4 },
    { "fork_wait", bench_fork_wait, 2 },
    { "vfork_exec_wait", bench_fork_exec, 2 },
    { "tcp_ping_pong", bench_tcp_ping_pong, 16 },
    { "tcp_stream_64k", bench_tcp_stream, 16 },
    { "tcp_connection", bench_tcp_connection, 8 },
    { "udp_ping_pong", bench_udp_ping_pong, 16 },
};

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "exit") == 0)
        return 0;
    if (argc > 1 && strcmp(argv[1], "pause") == 0)
        return pause();
    double seconds = argc > 1 ? atof(argv[1]) : 0.3;
    ssize_t n = readlink("/proc/self/exe", self_path, sizeof self_path - 1);
    CHECK(n > 0);
    zero_fd = open("/dev/zero", O_RDONLY);
    file_fd = open("micro.tmp", O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(zero_fd >= 0 && file_fd >= 0 && write(file_fd, block, sizeof block) == sizeof block);
    CHECK(pipe(to_peer) == 0 && pipe(from_peer) == 0);
    for (size_t i = 0; i < sizeof benchmarks / sizeof *benchmarks; i++) {
        int wanted = argc <= 2;
        for (int a = 2; a < argc; a++)
            wanted |= strcmp(argv[a], benchmarks[i].name) == 0;
        if (!wanted)
            continue;
        pthread_t peer;
        int with_pipe = benchmarks[i].run == bench_pipe_ping_pong, with_futex = benchmarks[i].run == bench_futex_ping_pong;
        int with_tcp = benchmarks[i].run == bench_tcp_ping_pong || benchmarks[i].run == bench_tcp_stream;
        if (with_pipe)
            CHECK(pthread_create(&peer, 0, pipe_peer, 0) == 0);
        if (with_tcp) {
            tcp_connect();
            CHECK(pthread_create(&peer, 0, benchmarks[i].run == bench_tcp_stream ? tcp_sink : tcp_peer, 0) == 0);
        }
        if (with_futex)
            CHECK(pthread_create(&peer, 0, futex_peer, 0) == 0);
        benchmarks[i].run();
        long count = 0;
        double start = now(), end = start;
        while (end - start < seconds) {
            for (int b = 0; b < benchmarks[i].batch; b++)
                benchmarks[i].run();
            count += benchmarks[i].batch;
            end = now();
        }
        if (with_pipe) {
            close(to_peer[1]);
            pthread_join(peer, 0);
        }
        if (with_tcp) {
            close(tcp_here);
            pthread_join(peer, 0);
        }
        if (with_futex) {
            atomic_store(&futex_stop, 1);
            atomic_store(&turn, 1);
            syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 2, 0, 0, 0);
            pthread_join(peer, 0);
        }
        printf("%s %.1f\n", benchmarks[i].name, (end - start) * 1e9 / count);
        fflush(stdout);
    }
    unlink("micro.tmp");
    return 0;
}
