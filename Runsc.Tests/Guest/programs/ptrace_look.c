// ptrace(2): memory, registers, system calls, single steps and breakpoints of a tracee.
#include "trace.h"
#include <linux/audit.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static volatile long variable = 0x1122334455667788;
static const long constant = 42;
static char *readonly, *shared_readonly, *hidden;

static void calls(void)
{
    syscall(SYS_getppid);
    syscall(SYS_close, -1);
    syscall(SYS_dup2, 0, 77);
    int result = syscall(SYS_getpid) == 4711 ? 1 : 0;
    syscall(SYS_exit_group, result);
}

static void memory(void)
{
    syscall(SYS_getpid);
    _exit(variable == 5 && *(volatile long *)&constant == 43 && *(volatile char *)readonly == 'x' ? 9 : 1);
}

__attribute__((noinline)) static long steps(void)
{
    long result;
    __asm__ volatile(
        "int3\n"
        "movl $3, %%ecx\n"
        "xorl %%eax, %%eax\n"
        "1: addl $7, %%eax\n"
        "decl %%ecx\n"
        "jnz 1b\n"
        "movl $39, %%eax\n"
        "syscall\n"
        "movl $21, %%eax\n"
        "pushfq\n"
        "popq %%rdx\n"
        "int3\n"
        : "=a"(result) : : "rcx", "rdx", "r11", "cc", "memory");
    return result;
}

static void stepping(void)
{
    _exit(steps());
}

extern char break_here[];
__attribute__((noinline)) static void broken(void)
{
    __asm__ volatile(".globl break_here\nbreak_here:\n nop\n nop\n nop\n");
    _exit(3);
}

static void floating(void)
{
    double a = 1.5;
    __asm__ volatile("movq %0, %%xmm0\n int3\n movq %%xmm0, %0\n" : "+r"(a) : : "xmm0");
    _exit((int)(a * 4));
}

static void handler(int signal)
{
    syscall(SYS_getuid);
}

static void handled(void)
{
    signal(SIGUSR1, handler);
    raise(SIGUSR1);
    _exit(0);
}

static void nothing(void)
{
    for (;;)
        pause();
}

struct info {
    uint8_t op, pad[3];
    uint32_t arch;
    uint64_t ip, sp, nr, args[6];
    uint64_t more;
};

static void system_call_info(pid_t pid, const char *what)
{
    struct info info;
    memset(&info, 0xff, sizeof info);
    long n = quietly(PTRACE_GET_SYSCALL_INFO_, pid, sizeof info, (unsigned long)&info);
    printf("%s: %ld op %d arch %d", what, n, info.op, info.arch == AUDIT_ARCH_X86_64);
    if (info.op == 1)
        printf(" nr %ld argument %d", (long)info.nr, info.nr == SYS_getppid ? 0 : (int)info.args[0]);
    else if (info.op == 2)
        printf(" error %d", (int)(info.args[0] & 0xff));
    printf("\n");
}

static void test_calls(void)
{
    pid_t pid = tracee(calls);
    ask("options", PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD);
    ask("bad options", PTRACE_SETOPTIONS, pid, 0, 0x80000000);
    system_call_info(pid, "not in a call");
    for (int i = 0; i < 3; i++) {
        ask("to a call", PTRACE_SYSCALL, pid, 0, 0);
        if (i == 0)
            // What was left of the signal that stopped the child.
            await("entry or exit", pid);
        else
            await("entry", pid);
        struct user_regs_struct regs = registers(pid);
        if (i == 0 && regs.rax != -ENOSYS) {
            i--;
            continue;
        }
        printf("call %lld rax %lld\n", regs.orig_rax, regs.rax);
        system_call_info(pid, "entry");
        ask("to its end", PTRACE_SYSCALL, pid, 0, 0);
        await("exit", pid);
        regs = registers(pid);
        printf("call %lld result %s\n", regs.orig_rax, (long long)regs.rax < 0 ? strerrorname_np(-regs.rax) : "some");
        system_call_info(pid, "exit");
    }
    // The next is not made, and its result is ours.
    quietly(PTRACE_SYSCALL, pid, 0, 0);
    await("entry", pid);
    struct user_regs_struct regs = registers(pid);
    printf("call %lld\n", regs.orig_rax);
    regs.orig_rax = -1;
    regs.rax = 4711;
    ask("set registers", PTRACE_SETREGS, pid, 0, (unsigned long)&regs);
    quietly(PTRACE_SYSCALL, pid, 0, 0);
    await("exit", pid);
    printf("result %lld\n", registers(pid).rax);
    quietly(PTRACE_SYSCALL, pid, 0, 0);
    await("entry", pid);
    printf("call %lld status %lld\n", registers(pid).orig_rax, registers(pid).rdi);
    quietly(PTRACE_CONT, pid, 0, 0);
    await("end", pid);
}

static void test_memory(void)
{
    int fd = memfd_create("m", 0);
    ftruncate(fd, 4096);
    shared_readonly = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    readonly = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    readonly[0] = 'r';
    mprotect(readonly, 4096, PROT_READ);
    hidden = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    hidden[0] = 'h';
    mprotect(hidden, 4096, PROT_NONE);
    munmap(hidden + 4096, 4096);
    pid_t pid = tracee(memory);
    long word = 0;
    ask("peek", PTRACE_PEEKDATA, pid, (unsigned long)&variable, (unsigned long)&word);
    printf("%lx\n", word);
    ask("peek where nothing is", PTRACE_PEEKDATA, pid, 8, (unsigned long)&word);
    ask("peek to nowhere", PTRACE_PEEKDATA, pid, (unsigned long)&variable, 8);
    ask("peek without rights", PTRACE_PEEKTEXT, pid, (unsigned long)hidden, (unsigned long)&word);
    printf("%lx\n", word);
    ask("peek across the end", PTRACE_PEEKTEXT, pid, (unsigned long)hidden + 4092, (unsigned long)&word);
    ask("poke", PTRACE_POKEDATA, pid, (unsigned long)&variable, 5);
    ask("poke a constant", PTRACE_POKEDATA, pid, (unsigned long)&constant, 43);
    ask("poke private memory", PTRACE_POKETEXT, pid, (unsigned long)readonly, 'x');
    ask("poke shared memory", PTRACE_POKETEXT, pid, (unsigned long)shared_readonly, 'x');
    printf("here %ld %ld %c\n", variable == 5 ? 1L : 0L, *(volatile long *)&constant, *readonly);

    char path[64], bytes[8] = "";
    sprintf(path, "/proc/%d/mem", pid);
    int mem = open(path, O_RDWR);
    ok("mem", mem);
    show("read", pread(mem, bytes, 8, (off_t)&variable));
    printf("%d\n", bytes[0]);
    show("read where nothing is", pread(mem, bytes, 8, 8));
    show("read hidden", pread(mem, bytes, 8, (off_t)hidden));
    show("write", pwrite(mem, "x", 1, (off_t)readonly));
    show("write shared", pwrite(mem, "x", 1, (off_t)shared_readonly));
    close(mem);
    struct iovec here = {bytes, 8}, there = {(void *)&variable, 8}, far = {hidden, 8};
    show("process_vm_readv", process_vm_readv(pid, &here, 1, &there, 1, 0));
    show("process_vm_readv hidden", process_vm_readv(pid, &here, 1, &far, 1, 0));
    far.iov_base = readonly;
    show("process_vm_writev read-only", process_vm_writev(pid, &here, 1, &far, 1, 0));
    show("process_vm_writev", process_vm_writev(pid, &here, 1, &there, 1, 0));

    char line[128];
    sprintf(path, "/proc/%d/status", pid);
    FILE *status = fopen(path, "r");
    while (fgets(line, sizeof line, status))
        if (!strncmp(line, "State", 5))
            printf("%s", line);
        else if (!strncmp(line, "TracerPid", 9))
            printf("tracer is me: %d\n", atoi(line + 10) == getpid());
    fclose(status);
    quietly(PTRACE_CONT, pid, 0, 0);
    await("end", pid);
}

static void test_steps(void)
{
    pid_t pid = tracee(stepping);
    quietly(PTRACE_CONT, pid, 0, 0);
    await("breakpoint", pid);
    stop_info("info", pid);
    unsigned long start = registers(pid).rip;
    for (int i = 0; i < 40; i++) {
        quietly(PTRACE_SINGLESTEP, pid, 0, 0);
        int status;
        waitpid(pid, &status, 0);
        struct user_regs_struct regs = registers(pid);
        siginfo_t info;
        quietly(PTRACE_GETSIGINFO, pid, 0, (unsigned long)&info);
        printf("step %2d: +%lld signal %d code %x trap flag %d", i, regs.rip - start, WSTOPSIG(status), info.si_code, (int)(regs.eflags >> 8 & 1));
        if (regs.rip - start < 20)
            printf(" ecx %d eax %d", (int)regs.rcx, (int)regs.rax);
        printf("\n");
        if (info.si_code == 0x80)
            break;
    }
    quietly(PTRACE_CONT, pid, 0, 0);
    await("end", pid);

    pid = tracee(handled);
    quietly(PTRACE_CONT, pid, 0, 0);
    await("signal", pid);
    stop_info("info", pid);
    ask("step into the handler", PTRACE_SINGLESTEP, pid, 0, SIGUSR1);
    await("step", pid);
    stop_info("info", pid);
    printf("in the handler: %d, argument %lld\n", registers(pid).rip == (unsigned long)handler, registers(pid).rdi);
    quietly(PTRACE_CONT, pid, 0, 0);
    await("end", pid);
}

static void test_breakpoint(void)
{
    pid_t pid = tracee(broken);
    unsigned long place = (unsigned long)break_here, word;
    quietly(PTRACE_PEEKTEXT, pid, place, (unsigned long)&word);
    ask("put a breakpoint", PTRACE_POKETEXT, pid, place, (word & ~0xffUL) | 0xcc);
    quietly(PTRACE_CONT, pid, 0, 0);
    await("breakpoint", pid);
    struct user_regs_struct regs = registers(pid);
    printf("behind it: %lld, not here: %x\n", regs.rip - place, *(unsigned char *)place);
    ask("take it away", PTRACE_POKETEXT, pid, place, word);
    ask("back", PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, rip), place);
    ask("peek at it", PTRACE_PEEKUSER, pid, offsetof(struct user_regs_struct, rip), (unsigned long)&word);
    printf("there: %d\n", word == place);
    quietly(PTRACE_SINGLESTEP, pid, 0, 0);
    await("step", pid);
    printf("+%lld\n", registers(pid).rip - place);
    ask("crooked", PTRACE_PEEKUSER, pid, 4, (unsigned long)&word);
    ask("beyond", PTRACE_PEEKUSER, pid, 928, (unsigned long)&word);
    ask("debug register", PTRACE_PEEKUSER, pid, offsetof(struct user, u_debugreg[7]), (unsigned long)&word);
    printf("%lx\n", word);
    ask("no segment", PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, cs), 0);
    ask("no base", PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, fs_base), 1UL << 63);
    quietly(PTRACE_CONT, pid, 0, 0);
    await("end", pid);
}

static void test_sets(void)
{
    pid_t pid = tracee(floating);
    quietly(PTRACE_CONT, pid, 0, 0);
    await("breakpoint", pid);
    struct user_regs_struct regs = registers(pid), same;
    struct iovec vector = {&same, sizeof same};
    ask("general registers", PTRACE_GETREGSET, pid, NT_PRSTATUS, (unsigned long)&vector);
    printf("%zu equal %d cs %llx ss %llx\n", vector.iov_len, !memcmp(&same, &regs, sizeof regs), same.cs, same.ss);
    vector.iov_len = 16;
    ask("some of them", PTRACE_GETREGSET, pid, NT_PRSTATUS, (unsigned long)&vector);
    vector.iov_len = 7;
    ask("crooked", PTRACE_GETREGSET, pid, NT_PRSTATUS, (unsigned long)&vector);
    vector.iov_len = sizeof same;
    ask("no such set", PTRACE_GETREGSET, pid, 0x777, (unsigned long)&vector);
    struct user_fpregs_struct fp;
    ask("floating point", PTRACE_GETFPREGS, pid, 0, (unsigned long)&fp);
    printf("%f mxcsr %x\n", *(double *)fp.xmm_space, fp.mxcsr);
    static char area[16384];
    vector = (struct iovec){area, sizeof area};
    ask("extended state", PTRACE_GETREGSET, pid, NT_X86_XSTATE, (unsigned long)&vector);
    printf("%f, more than the legacy part %d, sse and x87 %d\n", *(double *)(area + 160), vector.iov_len > 512, (int)(*(uint64_t *)(area + 464) & 3));
    *(double *)(area + 160) = 2.5;
    *(uint64_t *)(area + 512) |= 2;
    ask("set it", PTRACE_SETREGSET, pid, NT_X86_XSTATE, (unsigned long)&vector);
    ask("floating point", PTRACE_GETFPREGS, pid, 0, (unsigned long)&fp);
    printf("%f\n", *(double *)fp.xmm_space);
    *(double *)fp.xmm_space = 3.25;
    ask("set it", PTRACE_SETFPREGS, pid, 0, (unsigned long)&fp);
    fp.mxcsr = 0xffff0000;
    ask("set a bad one", PTRACE_SETFPREGS, pid, 0, (unsigned long)&fp);
    quietly(PTRACE_CONT, pid, 0, 0);
    await("end", pid);
}

static void test_errors(void)
{
    ask("attach to oneself", PTRACE_ATTACH, getpid(), 0, 0);
    ask("attach to nobody", PTRACE_ATTACH, 99999, 0, 0);
    ask("request to nobody", PTRACE_CONT, 99999, 0, 0);
    pid_t pid = fork();
    if (pid == 0)
        nothing();
    ask("request to one who is not traced", PTRACE_CONT, pid, 0, 0);
    ask("seize with bad options", PTRACE_SEIZE, pid, 0, 0x80000000);
    ask("seize with an address", PTRACE_SEIZE, pid, 1, 0);
    ask("seize", PTRACE_SEIZE, pid, 0, 0);
    ask("seize again", PTRACE_SEIZE, pid, 0, 0);
    ask("request to one who runs", PTRACE_CONT, pid, 0, 0);
    ask("interrupt", PTRACE_INTERRUPT, pid, 0, 0);
    await("interrupted", pid);
    ask("bad signal", PTRACE_CONT, pid, 0, 65);
    ask("bad request", 12345, pid, 0, 0);
    if (child("another tracer")) {
        ask("attach to a tracee", PTRACE_ATTACH, pid, 0, 0);
        ask("request to another's", PTRACE_CONT, pid, 0, 0);
        exit(0);
    }
    ask("kill", PTRACE_KILL, pid, 0, 0);
    await("end", pid);

    // Another user may not, nor anybody look into who does not want it.
    if (child("users")) {
        setgid(1000);
        setuid(1000);
        pid_t other = fork();
        if (other == 0) {
            prctl(PR_SET_DUMPABLE, 0);
            nothing();
        }
        usleep(100000);
        ask("attach to the parent", PTRACE_ATTACH, getppid(), 0, 0);
        ask("attach to one who is not dumpable", PTRACE_ATTACH, other, 0, 0);
        char path[64];
        sprintf(path, "/proc/%d/mem", other);
        ok("its memory", open(path, O_RDONLY));
        kill(other, SIGKILL);
        await("end", other);
        exit(0);
    }
}

int main(void)
{
    test_calls();
    test_memory();
    test_steps();
    test_breakpoint();
    test_sets();
    test_errors();
    return 0;
}
