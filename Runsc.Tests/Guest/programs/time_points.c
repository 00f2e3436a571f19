// Points of the clocks that a time namespace shifts, as system calls take them: nothing ends before its time, or a day late. With an argument: what the clocks show.
#include "guest.h"
#include <linux/futex.h>
#include <sys/sysinfo.h>
#include <sys/timerfd.h>
#include <time.h>

#define MILLISECOND 1000000L

static long now(int clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec * 1000000000 + time.tv_nsec;
}

static struct timespec in(int clock, long nanoseconds)
{
    long point = now(clock) + nanoseconds;
    return (struct timespec){ point / 1000000000, point % 1000000000 };
}

static int passed(int clock, struct timespec point)
{
    return now(clock) >= point.tv_sec * 1000000000 + point.tv_nsec;
}

static void wait_for(const char *name, int clock)
{
    struct timespec point = in(clock, 30 * MILLISECOND);
    printf("%s: sleep %d", name, clock_nanosleep(clock, TIMER_ABSTIME, &point, NULL));
    printf(" %d\n", passed(clock, point));

    struct itimerspec when = { .it_value = in(clock, 30 * MILLISECOND) }, left;
    int fd = timerfd_create(clock, 0);
    timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL);
    timerfd_gettime(fd, &left);
    unsigned long count = 0;
    read(fd, &count, sizeof count);
    printf("%s: timerfd %lu %d %d\n", name, count, left.it_value.tv_sec == 0, passed(clock, when.it_value));
    close(fd);

    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
    timer_t timer;
    timer_create(clock, &event, &timer);
    when.it_value = in(clock, 30 * MILLISECOND);
    timer_settime(timer, TIMER_ABSTIME, &when, NULL);
    int signal = 0;
    sigwait(&set, &signal);
    printf("%s: timer %d %d\n", name, signal == SIGUSR1, passed(clock, when.it_value));
    timer_delete(timer);
}

int main(int count, char **words)
{
    if (count > 1) {
        struct sysinfo info;
        sysinfo(&info);
        struct timespec raw;
        syscall(SYS_clock_gettime, CLOCK_MONOTONIC_RAW, &raw);
        printf("%ld %ld %ld %ld %ld\n", now(CLOCK_MONOTONIC), now(CLOCK_MONOTONIC_COARSE), raw.tv_sec * 1000000000 + raw.tv_nsec, now(CLOCK_BOOTTIME), info.uptime);
        return 0;
    }

    wait_for("monotonic", CLOCK_MONOTONIC);
    wait_for("boottime", CLOCK_BOOTTIME);
    wait_for("realtime", CLOCK_REALTIME);

    int word = 7;
    struct timespec point = in(CLOCK_MONOTONIC, 30 * MILLISECOND);
    show("futex", syscall(SYS_futex, &word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, 7, &point, NULL, FUTEX_BITSET_MATCH_ANY));
    printf("futex %d\n", passed(CLOCK_MONOTONIC, point));
    point = (struct timespec){ 0, 1 };
    show("long ago", clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &point, NULL));

    char text[200] = "";
    int fd = open("/proc/self/timens_offsets", O_RDONLY);
    read(fd, text, sizeof text - 1);
    printf("%s", text);
    long before = now(CLOCK_MONOTONIC);
    int channel[2];
    pipe(channel);
    if (fork() == 0) {
        long of_child = now(CLOCK_MONOTONIC);
        write(channel[1], &of_child, sizeof of_child);
        _exit(0);
    }

    long of_child = 0;
    read(channel[0], &of_child, sizeof of_child);
    wait(NULL);
    printf("child %d\n", of_child >= before && of_child <= now(CLOCK_MONOTONIC));
    return 0;
}
