// The C library's clocks (the vDSO) and the system calls show the same time, which never goes back, in any thread.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long last;
static int backwards;

static long now(int clock, int by_call)
{
    struct timespec time;
    if (by_call) {
        syscall(SYS_clock_gettime, clock, &time);
    } else {
        clock_gettime(clock, &time);
    }

    return time.tv_sec * 1000000000 + time.tv_nsec;
}

static void *look(void *unused)
{
    for (int i = 0; i < 20000; i++) {
        long seen = __atomic_load_n(&last, __ATOMIC_SEQ_CST);
        long time = now(CLOCK_MONOTONIC, i % 64 == 0);
        if (time < seen) {
            __atomic_add_fetch(&backwards, 1, __ATOMIC_SEQ_CST);
        }

        while (seen < time && !__atomic_compare_exchange_n(&last, &seen, time, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        }
    }

    return NULL;
}

int main(void)
{
    printf("vdso %d\n", getauxval(AT_SYSINFO_EHDR) != 0);
    int clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE };
    for (int i = 0; i < 5; i++) {
        int bad = 0;
        for (int j = 0; j < 1000; j++) {
            long before = now(clocks[i], 1), between = now(clocks[i], 0), after = now(clocks[i], 1);
            bad += between < before || after < between;
        }

        printf("clock %d: out of order %d\n", clocks[i], bad);
    }

    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, look, NULL);
    }

    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }

    printf("backwards %d\n", backwards);
    struct timeval day;
    gettimeofday(&day, NULL);
    long wall = now(CLOCK_REALTIME, 1);
    printf("gettimeofday %d, time %d\n", wall - (day.tv_sec * 1000000000 + day.tv_usec * 1000) < 1000000000, labs(time(NULL) - wall / 1000000000) <= 1);
    struct timespec resolution;
    clock_getres(CLOCK_MONOTONIC, &resolution);
    printf("resolution %ld\n", resolution.tv_nsec);
    return 0;
}
