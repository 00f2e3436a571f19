// RLIMIT_CPU: SIGXCPU at the soft limit and every second after it, SIGKILL at the hard one (getrlimit(2)).
#include "guest.h"
#include <sys/resource.h>
#include <time.h>

static volatile int signals;

static void count(int unused) { signals++; }

static void spin(clock_t until)
{
    while (clock() < until)
        ;
}

int main(void)
{
    struct rlimit limit = {1, 3};
    if (child("no handler") == 1) {
        setrlimit(RLIMIT_CPU, &limit);
        spin(5 * CLOCKS_PER_SEC);
        _exit(0);
    }
    if (child("handler") == 1) {
        signal(SIGXCPU, count);
        setrlimit(RLIMIT_CPU, &limit);
        spin(CLOCKS_PER_SEC * 8 / 10);
        printf("before: %d\n", signals);
        spin(CLOCKS_PER_SEC * 15 / 10);
        printf("after a second: %d\n", signals);
        fflush(stdout);
        spin(5 * CLOCKS_PER_SEC);
        _exit(0);
    }
    if (child("inherited") == 1) {
        setrlimit(RLIMIT_CPU, &limit);
        spin(CLOCKS_PER_SEC / 2);
        // A child begins at zero.
        if (child("grandchild") == 1) {
            spin(CLOCKS_PER_SEC * 7 / 10);
            puts("still there");
            fflush(stdout);
            spin(5 * CLOCKS_PER_SEC);
        }
        _exit(0);
    }
    return 0;
}
