// Restartable sequences: registration and its errors, what the kernel keeps in the structure, critical sections that are aborted.
#include "guest.h"
#include <linux/rseq.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/prctl.h>

#define SIG 0x53053053
#define THREADS 6
#define ROUNDS 20000

struct area {
    uint32_t cpu_id_start, cpu_id;
    uint64_t rseq_cs;
    uint32_t flags, node_id, mm_cid, pad;
    uint64_t more[12];
} __attribute__((aligned(128)));

static __thread struct area self;
static char room[1024] __attribute__((aligned(1024)));
static struct { long value; char pad[120]; } counters[1024];

static long rseq(void *address, unsigned size, int flags, unsigned signature)
{
    return syscall(SYS_rseq, address, size, flags, signature);
}

// Off with what libc has registered, wherever it is.
static void forget(void)
{
    extern const ptrdiff_t __rseq_offset __attribute__((weak));
    extern const unsigned int __rseq_size __attribute__((weak));
    if (&__rseq_size && __rseq_size)
        rseq((char *)__builtin_thread_pointer() + __rseq_offset, 32, RSEQ_FLAG_UNREGISTER, SIG);
}

// Waits in a critical section until it is aborted: 1. The section's descriptor is *cs, filled in but for its flags and version.
static int spin(struct rseq_cs *cs, volatile int *inside)
{
    int aborted = 0;
    __asm__ volatile goto(
        "leaq 1f(%%rip), %%rax\n movq %%rax, 8(%0)\n"
        "leaq 2f(%%rip), %%rcx\n subq %%rax, %%rcx\n movq %%rcx, 16(%0)\n"
        "leaq 4f(%%rip), %%rax\n movq %%rax, 24(%0)\n"
        "movq %0, 8(%1)\n"
        "1:\n movl $1, (%2)\n 5: pause\n jmp 5b\n"
        "2:\n jmp 3f\n"
        ".long 0x53053053\n"
        "4: jmp %l[abort]\n"
        "3:\n"
        : : "r"(cs), "r"(&self), "r"(inside) : "rax", "rcx", "memory", "cc" : abort);
    return aborted;
abort:
    return 1;
}

// One more in the counter of the processor that the thread is on.
static void count(void)
{
    static __thread struct rseq_cs cs;
    for (;;) {
        uint32_t cpu = *(volatile uint32_t *)&self.cpu_id_start;
        long *counter = &counters[cpu].value;
        __asm__ volatile goto(
            "leaq 1f(%%rip), %%rax\n movq %%rax, 8(%0)\n"
            "leaq 2f(%%rip), %%rcx\n subq %%rax, %%rcx\n movq %%rcx, 16(%0)\n"
            "leaq 4f(%%rip), %%rax\n movq %%rax, 24(%0)\n"
            "movq %0, 8(%1)\n"
            "1:\n cmpl %2, 4(%1)\n jne %l[again]\n"
            "movq (%3), %%rax\n"
            "movl $20, %%ecx\n 6: dec %%ecx\n jnz 6b\n"
            "addq $1, %%rax\n movq %%rax, (%3)\n"
            "2:\n jmp 3f\n"
            ".long 0x53053053\n"
            "4: jmp %l[again]\n"
            "3:\n"
            : : "r"(&cs), "r"(&self), "r"(cpu), "r"(counter) : "rax", "rcx", "memory", "cc" : again);
        return;
again:;
    }
}

static void *counting(void *unused)
{
    forget();
    if (rseq(&self, 32, 0, SIG))
        return "not registered";
    for (int i = 0; i < ROUNDS; i++) {
        count();
        if (i % 1000 == 0)
            sched_yield();
    }
    return NULL;
}

static volatile int handled, inside;
static volatile uintptr_t interrupted;

static void handler(int signal, siginfo_t *info, void *context)
{
    handled++;
}

static void *kicker(void *thread)
{
    while (!inside)
        usleep(1000);
    pthread_kill(*(pthread_t *)thread, SIGUSR1);
    return NULL;
}

static void *other(void *unused)
{
    // libc has registered the thread or not; it is not registered with the parent's structure.
    forget();
    show("thread, not registered", rseq(&self, 32, RSEQ_FLAG_UNREGISTER, SIG));
    show("thread registers", rseq(&self, 32, 0, SIG));
    printf("thread on a processor: %d\n", self.cpu_id < 1024);
    return NULL;
}

int main(int argc, char **argv)
{
    struct rseq_cs cs = {0};
    pthread_t thread, main_thread = pthread_self(), threads[THREADS];
    if (argc > 1) {
        forget();
        show("after execve, not registered", rseq(&self, 32, RSEQ_FLAG_UNREGISTER, SIG));
        return 0;
    }
    printf("feature size %lu, alignment %lu\n", getauxval(27), getauxval(28));
    forget();
    show("too short", rseq(room, 16, 0, SIG));
    show("just too short", rseq(room, 31, 0, SIG));
    show("crooked", rseq(room + 8, 32, 0, SIG));
    show("longer and crooked", rseq(room + 16, 64, 0, SIG));
    show("flags", rseq(room, 32, 2, SIG));
    show("flags to unregister", rseq(room, 32, 3, SIG));
    show("unregister nothing", rseq(room, 32, 1, SIG));
    show("null", rseq(NULL, 32, 0, SIG));
    show("beyond", rseq((void *)0xffff800000000000, 32, 0, SIG));
    memset(room, 0xff, sizeof room);
    show("longer", rseq(room, 64, 0, SIG));
    struct area *there = (struct area *)room;
    printf("start %d id %d node %u cid %d flags %x beyond %x\n", there->cpu_id_start < 1024, there->cpu_id == there->cpu_id_start, there->node_id,
        there->mm_cid < 1024, there->flags, there->pad);
    show("again", rseq(room, 64, 0, SIG));
    show("again, other signature", rseq(room, 64, 0, SIG + 1));
    show("again, other size", rseq(room, 32, 0, SIG));
    show("another", rseq(room + 512, 64, 0, SIG));
    show("unregister another", rseq(room + 512, 64, 1, SIG));
    show("unregister another size", rseq(room, 32, 1, SIG));
    show("unregister, other signature", rseq(room, 64, 1, SIG + 1));
    show("unregister", rseq(room, 64, 1, SIG));
    printf("start %u id %d node %u cid %u\n", there->cpu_id_start, (int)there->cpu_id, there->node_id, there->mm_cid);

    show("register", rseq(&self, 32, 0, SIG));
    pthread_create(&thread, NULL, other, NULL);
    pthread_join(thread, NULL);
    if (child("fork")) {
        show("child is registered", rseq(&self, 32, 0, SIG));
        printf("child on a processor: %d\n", self.cpu_id < 1024);
        exit(0);
    }
    if (child("exec")) {
        execl("/proc/self/exe", "rseq", "again", NULL);
        exit(1);
    }

    // Bound to a processor, the structure and getcpu say so.
    cpu_set_t all, one;
    sched_getaffinity(0, sizeof all, &all);
    int agree = 1;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &all)) {
            unsigned now;
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            sched_setaffinity(0, sizeof one, &one);
            syscall(SYS_getcpu, &now, NULL, NULL);
            agree &= self.cpu_id == cpu && self.cpu_id_start == cpu && now == cpu && sched_getcpu() == cpu;
        }
    }
    printf("bound: %d\n", agree);
    sched_setaffinity(0, sizeof all, &all);

    // Aborted by preemption, if by nothing else; then by a signal, whose handler runs first.
    inside = 0;
    printf("preempted: %d\n", spin(&cs, &inside));
    printf("cleared: %d\n", self.rseq_cs == 0);
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &action, NULL);
    inside = 0;
    pthread_create(&thread, NULL, kicker, &main_thread);
    printf("by a signal or before: %d\n", spin(&cs, &inside));
    pthread_join(thread, NULL);
    printf("handled: %d\n", handled);

    // A descriptor that is left from before is taken away at the next opportunity.
    self.rseq_cs = (uintptr_t)&cs;
    usleep(2000);
    printf("stale: %d\n", self.rseq_cs == 0);

    // Threads that share processors lose no increment.
    long sum = 0, failed = 0;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, counting, NULL);
    for (int i = 0; i < THREADS; i++) {
        void *what;
        pthread_join(threads[i], &what);
        failed += what != NULL;
    }
    for (int i = 0; i < 1024; i++)
        sum += counters[i].value;
    printf("counted %ld, failed %ld\n", sum, failed);

    // Bad descriptors end the process.
    prctl(PR_SET_DUMPABLE, 0);
    if (child("no descriptor there")) {
        self.rseq_cs = 8;
        for (;;)
            usleep(1000);
    }
    if (child("descriptor beyond")) {
        self.rseq_cs = 0xffff800000000000;
        for (;;)
            usleep(1000);
    }
    if (child("version")) {
        cs.version = 1;
        spin(&cs, &inside);
    }
    if (child("flags")) {
        cs.flags = 1;
        spin(&cs, &inside);
    }
    if (child("signature")) {
        static uint32_t text[2] = {0x12345678, 0};
        static struct rseq_cs bad;
        bad.start_ip = 0x1000;
        bad.post_commit_offset = 16;
        bad.abort_ip = (uintptr_t)&text[1];
        self.rseq_cs = (uintptr_t)&bad;
        for (;;)
            usleep(1000);
    }
    if (child("abort within")) {
        static struct rseq_cs bad;
        bad.start_ip = 0x1000;
        bad.post_commit_offset = 16;
        bad.abort_ip = 0x1008;
        self.rseq_cs = (uintptr_t)&bad;
        for (;;)
            usleep(1000);
    }
    if (child("structure gone")) {
        void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        rseq(&self, 32, 1, SIG);
        rseq(page, 32, 0, SIG);
        munmap(page, 4096);
        for (;;)
            usleep(1000);
    }

    show("register for barriers", syscall(SYS_membarrier, 256, 0, 0));
    show("barrier", syscall(SYS_membarrier, 128, 0, 0));
    show("barrier on a processor", syscall(SYS_membarrier, 128, 1, 0));
    show("barrier with other flags", syscall(SYS_membarrier, 128, 2, 0));
    return 0;
}
