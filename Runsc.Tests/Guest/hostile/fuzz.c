// A hostile guest: children that make random system calls with arguments that are almost right. The kernel below must survive all of it.
//   fuzz SEED ROUNDS CALLS
// Never to be run outside a sandbox. Prints "survived" after the last round.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t state;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static unsigned below(unsigned n) { return next() % n; }

static volatile unsigned *done; // Calls made in this round; shared with the parent, and so outside of what children know of.
static unsigned char *area;   // 16 pages with rights, then one without
static const char *const paths[] = {
    "/", ".", "..", "", "/proc/self/maps", "/proc/self/mem", "/proc/self/fd/0", "/proc/self/status", "/proc/self/smaps", "/proc/1/stat", "/proc/self/exe",
    "/dev/null", "/dev/zero", "/dev/full", "/dev/tty", "/dev/ptmx", "/dev/shm/f", "/tmp/f", "/tmp/d", "/tmp/d/g", "/tmp/l", "/tmp/fifo", "/tmp/s", "/sys",
    "/proc/self/cwd/f", "/proc/self/root/tmp/f", "/proc/self/task", "/proc/sys/kernel/hostname", "/proc/self/fdinfo/3", "/proc/self/comm", "/tmp/f/", "/tmp//d/../f",
};
static const char *const words[] = {"tmpfs", "proc", "sysfs", "overlay", "user.a", "trusted.b", "security.capability", "system.posix_acl_access", "size=1m", "bad=1"};

// An address: mostly good, sometimes at the end of what is mapped, misaligned, read-only, or nonsense.
static uint64_t pointer(void)
{
    switch (below(12)) {
    case 0: return 0;
    case 1: return next();
    case 2: return (uint64_t)area + 16 * 4096 - below(64);
    case 3: return (uint64_t)area + below(16 * 4096);
    case 4: return UINT64_MAX - below(4096);
    case 5: return 0x7fffffffe000 + below(0x3000);
    case 6: return (uint64_t)below;
    default: return (uint64_t)area + (below(16 * 512) * 8 & ~63u);
    }
}

static uint64_t number(void)
{
    static const uint64_t edges[] = {0, 1, 2, 3, 7, 8, 16, 64, 100, 255, 256, 4095, 4096, 4097, 65535, 65536, 1 << 20, 1ull << 30, INT32_MAX, 1ull << 31,
        UINT32_MAX, 1ull << 32, 1ull << 40, 1ull << 47, INT64_MAX, 1ull << 63, UINT64_MAX, -2, -100, -4096};
    switch (below(5)) {
    case 0: return next();
    case 1: return 1ull << below(64);
    case 2: return next() & next() & next();
    default: return edges[below(sizeof edges / sizeof *edges)];
    }
}

static uint64_t argument(void)
{
    switch (below(10)) {
    case 0:
    case 1:
    case 2: return pointer();
    case 3:
    case 4: return below(24);
    case 5: return (uint64_t)paths[below(sizeof paths / sizeof *paths)];
    case 6: return below(8) == 0 ? (uint64_t)words[below(sizeof words / sizeof *words)] : (uint64_t)-100;
    default: return number();
    }
}

// Fills part of the area with what structures are made of.
static void scribble(void)
{
    for (int i = 0; i < 24; i++) {
        uint64_t value = argument();
        memcpy(area + (below(16 * 512) * 8 & ~63u) + 8 * below(8), &value, 8);
    }
    if (below(4) == 0)
        strcpy((char *)area + (below(16 * 512) * 8 & ~63u), paths[below(sizeof paths / sizeof *paths)]);
}

static int skipped(long number)
{
    switch (number) {
    case SYS_exit:
    case SYS_exit_group:
        return below(64) != 0;
    case SYS_fork:
    case SYS_vfork:
    case SYS_clone:
    case SYS_clone3:
        return below(16) != 0;
    case SYS_pause:
    case SYS_rt_sigsuspend:
    case SYS_rt_sigreturn:
    case SYS_kill:
    case SYS_tkill:
    case SYS_execve:
        return below(8) != 0;
    default:
        return 0;
    }
}

static void prepare(void)
{
    int p[2];
    area = mmap(NULL, 17 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(area + 16 * 4096, 4096, PROT_NONE);
    chdir("/tmp");
    mkdir("d", 0777);
    symlink("f", "l");
    mkfifo("fifo", 0666);
    open("f", O_CREAT | O_RDWR, 0666);
    open("d", O_RDONLY | O_DIRECTORY);
    open("fifo", O_RDWR | O_NONBLOCK);
    pipe2(p, O_NONBLOCK);
    eventfd(0, EFD_NONBLOCK);
    syscall(SYS_epoll_create1, 0);
    syscall(SYS_timerfd_create, CLOCK_MONOTONIC, 0);
    syscall(SYS_inotify_init1, O_NONBLOCK);
    syscall(SYS_memfd_create, "m", 3);
    syscall(SYS_socket, 1, 1, 0);
    syscall(SYS_socket, 2, 1, 0);
    open("/dev/ptmx", O_RDWR | O_NONBLOCK);
    open("/proc/self/mem", O_RDWR);
    open("/proc/self", O_PATH);
}

static void run(unsigned calls)
{
    static const struct itimerval tick = {{0, 10000}, {0, 10000}};
    struct rlimit limit = {64, 64};
    struct sigaction action = {.sa_handler = (void (*)(int))skipped};
    prepare();
    setrlimit(RLIMIT_NPROC, &limit);
    if (below(2)) {
        setgid(1000);
        setuid(1000);
    }

    // Interrupts blocking calls; the handler does nothing of importance.
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &tick, NULL);
    for (; *done < calls; ++*done) {
        long nr = below(64) == 0 ? (long)number() : (long)below(470);
        if (skipped(nr))
            continue;
        if (below(4) == 0)
            scribble();
        uint64_t a = argument(), b = argument(), c = argument(), d = argument(), e = argument(), f = argument();
        syscall(nr, a, b, c, d, e, f);
    }
    _exit(0);
}

// Whatever the child and its children do, this returns: 0 when the calls are made, 1 when nothing has happened for a while.
static int await(pid_t pid)
{
    int status;
    unsigned seen = 0, still = 0;
    for (; still < 30 && waitpid(pid, &status, WNOHANG) == 0; still++) {
        usleep(5000);
        if (*done != seen) {
            seen = *done;
            still = 0;
        }
    }
    kill(-1, SIGKILL);
    while (waitpid(-1, &status, 0) > 0 || errno == EINTR)
        ;
    return still == 30;
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    unsigned rounds = argc > 2 ? atoi(argv[2]) : 10, calls = argc > 3 ? atoi(argv[3]) : 2000;
    done = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (unsigned round = 0; round < rounds; round++) {
        // A child that is stuck, or was ended by what it did, is replaced by one that goes on.
        *done = 0;
        unsigned stalls = 0;
        for (unsigned child = 0; child < 100 && *done < calls; child++) {
            state = (seed * 0x9e3779b97f4a7c15ull + round + 1) ^ (uint64_t)child << 32;
            fflush(stdout);
            pid_t pid = fork();
            if (pid == 0) {
                setsid();
                int quiet = open("/dev/null", O_RDWR);
                dup2(quiet, 0);
                dup2(quiet, 1);
                dup2(quiet, 2);
                run(calls);
            }
            stalls += await(pid);
        }
        fprintf(stderr, "round %u: %u calls, stuck %u times\n", round, *done, stalls);
    }
    puts("survived");
    return 0;
}
