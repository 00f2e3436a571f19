# The code that runs in the stub processes: no stack, no library, every value in a register or in one of three fixed places.
# Assembled by scripts/stub-code into StubCode.cs; the constants are those of StubLayout.cs.

        .set CODE,         0x7ffffffe0000       # this page and the filters behind it: read and execute
        .set CODE_SIZE,    0x4000
        .set CONTROL,      0x7ffffffd0000       # orders of the Sentry: read only
        .set MASTER_DATA,  0x7ffffffd8000       # the master's one writable page
        .set SLOTS,        0x7fffc0000000       # shared with the Sentry, writable for the application as well
        .set SLOTS_SIZE,   0x8000000
        .set SLOTS_OFFSET, 0x10000              # of the slots in a process's part of the control file
        .set TOP,          0x7ffffffff000

        .set CODE_FD,      0
        .set COMMAND_FD,   1
        .set CONTROL_FD,   2
        .set MEMORY_FD,    3
        .set FREE_FD,      20                   # the completion descriptors lie between

        # Control page.
        .set SEQUENCE,     0
        .set COUNT,        4
        .set LANE,         8
        .set SPIN,         12
        .set FEATURES,     16                   # bit 0: RDFSBASE and WRFSBASE may be used
        .set OPERATIONS,   64                   # number, six arguments, expected result

        # Header at the end of a slot.
        .set HEADER,       0x3f00
        .set STATE,        0
        .set STUB_SLEEPS,  4
        .set SENTRY_SLEEPS, 8
        .set SET_BASES,    12
        .set FS_BASE,      16
        .set GS_BASE,      24
        .set FRAME,        32
        .set SIGNAL,       40
        .set STACK,        64

        # Filters, behind the code in the same file.
        .set SERVE_FILTER, CODE + 0x2000
        .set GUEST_FILTER, CODE + 0x2010

        .text
# --- master: entered in the ELF segment with the descriptors 0 to FREE_FD - 1 in place ---
start:
        mov     $436, %eax                      # close_range
        mov     $FREE_FD, %edi
        mov     $-1, %esi
        xor     %edx, %edx
        syscall
        test    %eax, %eax
        jnz     die
        mov     $9, %eax                        # mmap
        movabs  $CODE, %rdi
        mov     $CODE_SIZE, %esi
        mov     $5, %edx                        # PROT_READ | PROT_EXEC
        mov     $0x12, %r10d                    # MAP_PRIVATE | MAP_FIXED
        mov     $CODE_FD, %r8d
        mov     $0x1000, %r9d
        syscall
        cmp     %rdi, %rax
        jne     die
        movabs  $(CODE + high - start), %rax
        jmp     *%rax
high:
        xor     %esp, %esp
        mov     $11, %eax                       # munmap: all below
        xor     %edi, %edi
        movabs  $CODE, %rsi
        syscall
        test    %eax, %eax
        jnz     die
        mov     $11, %eax                       # munmap: all above
        movabs  $(CODE + CODE_SIZE), %rdi
        mov     $(TOP - CODE - CODE_SIZE), %esi
        syscall
        test    %eax, %eax
        jnz     die
        mov     $9, %eax                        # mmap
        movabs  $MASTER_DATA, %rdi
        mov     $4096, %esi
        mov     $3, %edx                        # PROT_READ | PROT_WRITE
        mov     $0x32, %r10d                    # MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS
        mov     $-1, %r8
        xor     %r9d, %r9d
        syscall
        cmp     %rdi, %rax
        jne     die
        mov     $112, %eax                      # setsid
        syscall
        mov     $157, %eax                      # prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        mov     $38, %edi
        mov     $1, %esi
        xor     %edx, %edx
        xor     %r10d, %r10d
        xor     %r8d, %r8d
        syscall
        test    %eax, %eax
        jnz     die
        mov     $157, %eax                      # prctl(PR_SET_DUMPABLE, 0): no core files
        mov     $4, %edi
        xor     %esi, %esi
        syscall
        lea     signals(%rip), %rbp
action:
        movzbl  (%rbp), %edi
        test    %edi, %edi
        jz      actions_done
        mov     $13, %eax                       # rt_sigaction
        lea     handler_action(%rip), %rsi
        xor     %edx, %edx
        mov     $8, %r10d
        syscall
        test    %eax, %eax
        jnz     die
        inc     %rbp
        jmp     action
actions_done:
        mov     $13, %eax                       # rt_sigaction(SIGCHLD, SIG_IGN): the dead leave nothing behind
        mov     $17, %edi
        lea     ignore_action(%rip), %rsi
        xor     %edx, %edx
        mov     $8, %r10d
        syscall
        test    %eax, %eax
        jnz     die
        mov     $39, %eax                       # getpid
        syscall
        mov     %eax, %r13d
command:
        xor     %eax, %eax                      # read: the offset of a process's part of the control file
        mov     $COMMAND_FD, %edi
        movabs  $MASTER_DATA, %rsi
        mov     $8, %edx
        syscall
        cmp     $8, %rax
        jne     die
        mov     (%rsi), %r12
        mov     $56, %eax                       # clone(SIGCHLD)
        mov     $17, %edi
        xor     %esi, %esi
        xor     %edx, %edx
        xor     %r10d, %r10d
        xor     %r8d, %r8d
        syscall
        test    %rax, %rax
        jz      child
        movabs  $MASTER_DATA, %rsi
        mov     %rax, (%rsi)
        mov     $1, %eax                        # write: its id
        mov     $COMMAND_FD, %edi
        mov     $8, %edx
        syscall
        cmp     $8, %rax
        je      command
die:
        mov     $231, %eax                      # exit_group
        mov     $1, %edi
        syscall
        ud2

# --- stub process: r12 the offset of its part, r13 the master's id ---
child:
        mov     $157, %eax                      # prctl(PR_SET_PDEATHSIG, SIGKILL)
        mov     $1, %edi
        mov     $9, %esi
        syscall
        mov     $110, %eax                      # getppid
        syscall
        cmp     %eax, %r13d
        jne     die
        mov     $9, %eax                        # mmap
        movabs  $CONTROL, %rdi
        mov     $4096, %esi
        mov     $1, %edx                        # PROT_READ
        mov     $0x11, %r10d                    # MAP_SHARED | MAP_FIXED
        mov     $CONTROL_FD, %r8d
        mov     %r12, %r9
        syscall
        cmp     %rdi, %rax
        jne     die
        mov     $9, %eax                        # mmap
        movabs  $SLOTS, %rdi
        mov     $SLOTS_SIZE, %esi
        mov     $3, %edx                        # PROT_READ | PROT_WRITE
        mov     $0x11, %r10d                    # MAP_SHARED | MAP_FIXED
        lea     SLOTS_OFFSET(%r12), %r9
        syscall
        cmp     %rdi, %rax
        jne     die
        mov     $11, %eax                       # munmap
        movabs  $MASTER_DATA, %rdi
        mov     $4096, %esi
        syscall
        test    %eax, %eax
        jnz     die
        xor     %edi, %edi
close:
        mov     $3, %eax                        # close: all but the memory file and the completion descriptors
        syscall
        test    %eax, %eax
        jnz     die
        inc     %edi
        cmp     $MEMORY_FD, %edi
        jne     close
        mov     $317, %eax                      # seccomp(SECCOMP_SET_MODE_FILTER, SPEC_ALLOW, …)
        mov     $1, %edi
        mov     $4, %esi
        movabs  $SERVE_FILTER, %rdx
        syscall
        test    %eax, %eax
        jnz     die
        movabs  $CONTROL, %rbx
        movabs  $SLOTS + HEADER, %rbp
        xor     %r14d, %r14d

# --- its first thread: carries out the Sentry's orders; rbx control page, rbp header of slot 0, r14 the last order ---
serve:
        mov     SPIN(%rbx), %ecx
spin:
        mov     SEQUENCE(%rbx), %eax
        cmp     %r14d, %eax
        jne     work
        dec     %ecx
        js      doze
        pause
        jmp     spin
doze:
        mov     $1, %eax
        xchg    %eax, STUB_SLEEPS(%rbp)
        mov     $202, %eax                      # futex(FUTEX_WAIT)
        mov     %rbx, %rdi
        xor     %esi, %esi
        mov     %r14d, %edx
        xor     %r10d, %r10d
        syscall
        movl    $0, STUB_SLEEPS(%rbp)
        jmp     serve
work:
        mov     %eax, %r14d
        mov     COUNT(%rbx), %r12d
        lea     OPERATIONS(%rbx), %r13
operation:
        test    %r12d, %r12d
        jz      success
        mov     (%r13), %rax
        mov     8(%r13), %rdi
        mov     16(%r13), %rsi
        mov     24(%r13), %rdx
        mov     32(%r13), %r10
        mov     40(%r13), %r8
        mov     48(%r13), %r9
        cmp     $56, %eax                       # clone
        je      thread
        syscall
        cmp     56(%r13), %rax
        jne     failure
operation_done:
        add     $64, %r13
        dec     %r12d
        jmp     operation
thread:
        syscall
        test    %rax, %rax
        jz      guest
        jns     operation_done
failure:
        lea     two(%rip), %rsi
        jmp     answer
success:
        lea     one(%rip), %rsi
answer:
        mov     %r14d, STATE(%rbp)              # a hint; what counts is the descriptor
        mov     $1, %eax                        # write
        mov     LANE(%rbx), %edi
        mov     $8, %edx
        syscall
        cmp     $8, %rax
        je      serve
        jmp     die

# --- a thread of the application: rsp the header of its slot ---
guest:
        mov     %rsp, %rbx
        xor     %esp, %esp
        mov     $131, %eax                      # sigaltstack
        lea     STACK(%rbx), %rdi
        xor     %esi, %esi
        syscall
        test    %eax, %eax
        jnz     die
        mov     $157, %eax                      # prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, …): all calls from outside of this page
        mov     $59, %edi
        mov     $1, %esi
        movabs  $CODE, %rdx
        mov     $CODE_SIZE, %r10d
        xor     %r8d, %r8d
        syscall
        test    %eax, %eax
        jnz     die
        mov     $317, %eax                      # seccomp(SECCOMP_SET_MODE_FILTER, SPEC_ALLOW, …)
        mov     $1, %edi
        mov     $4, %esi
        movabs  $GUEST_FILTER, %rdx
        syscall
        test    %eax, %eax
        jnz     die
        mov     $39, %eax                       # trapped: the Sentry gets the first frame, and puts the application's registers in
        syscall
        ud2

# --- every trap: rsp the signal frame, edi the signal ---
        .balign 16
handler:
        mov     %rsp, %rbx
        and     $-0x4000, %rbx
        movabs  $SLOTS, %rax
        mov     %rbx, %rcx
        sub     %rax, %rcx
        cmp     $SLOTS_SIZE, %rcx
        jae     stray
        add     $HEADER, %rbx
        movabs  $CONTROL, %rbp
        mov     FEATURES(%rbp), %r15d
        mov     %rsp, FRAME(%rbx)
        mov     %edi, SIGNAL(%rbx)
        test    $1, %r15d
        jz      publish
        rdfsbase %rax
        mov     %rax, FS_BASE(%rbx)
        rdgsbase %rax
        mov     %rax, GS_BASE(%rbx)
publish:
        xor     %eax, %eax
        xchg    %eax, STATE(%rbx)
        cmpl    $0, SENTRY_SLEEPS(%rbx)
        je      await
        mov     $202, %eax                      # futex(FUTEX_WAKE)
        mov     %rbx, %rdi
        mov     $1, %esi
        mov     $1, %edx
        xor     %r10d, %r10d
        syscall
guest_wake:
await:
        mov     SPIN(%rbp), %ecx
await_spin:
        cmpl    $0, STATE(%rbx)
        jne     resume
        dec     %ecx
        js      sleep
        pause
        jmp     await_spin
sleep:
        mov     $1, %eax
        xchg    %eax, STUB_SLEEPS(%rbx)
sleep_again:
        mov     $202, %eax                      # futex(FUTEX_WAIT)
        mov     %rbx, %rdi
        xor     %esi, %esi
        xor     %edx, %edx
        xor     %r10d, %r10d
        syscall
guest_wait:
        cmpl    $0, STATE(%rbx)
        je      sleep_again
        movl    $0, STUB_SLEEPS(%rbx)
resume:
        cmpl    $0, SET_BASES(%rbx)
        je      return
        test    $1, %r15d
        jz      bases_by_call
        mov     FS_BASE(%rbx), %rax
        wrfsbase %rax
        mov     GS_BASE(%rbx), %rax
        wrgsbase %rax
        jmp     return
bases_by_call:
        mov     $158, %eax                      # arch_prctl(ARCH_SET_FS)
        mov     $0x1002, %edi
        mov     FS_BASE(%rbx), %rsi
        syscall
guest_fs:
        mov     $158, %eax                      # arch_prctl(ARCH_SET_GS)
        mov     $0x1001, %edi
        mov     GS_BASE(%rbx), %rsi
        syscall
guest_gs:
return:
        add     $8, %rsp
        mov     $15, %eax                       # rt_sigreturn
        syscall
guest_return:
stray:
        ud2                                     # masked in a handler: ends the process

# --- in the Sentry, at its start: long spawn(int *descriptors, int count, int program, char **argv, char *empty) ---
# Nothing of the .NET runtime may run between clone and execveat: it might wait there for a thread that the child does not have.
spawn:
        push    %rbx
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        mov     %rdi, %rbx
        mov     %esi, %r12d
        mov     %edx, %r13d
        mov     %rcx, %r14
        mov     %r8, %r15
        mov     $56, %eax                       # clone(SIGCHLD)
        mov     $17, %edi
        xor     %esi, %esi
        xor     %edx, %edx
        xor     %r10d, %r10d
        xor     %r8d, %r8d
        syscall
        test    %rax, %rax
        jz      spawned
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbx
        ret
spawned:
        xor     %ebp, %ebp
spawn_next:
        cmp     %r12d, %ebp
        je      spawn_exec
        mov     $292, %eax                      # dup3
        mov     (%rbx,%rbp,4), %edi
        mov     %ebp, %esi
        xor     %edx, %edx
        syscall
        test    %eax, %eax
        js      spawn_failed
        inc     %ebp
        jmp     spawn_next
spawn_exec:
        mov     $322, %eax                      # execveat(AT_EMPTY_PATH)
        mov     %r13d, %edi
        mov     %r15, %rsi
        mov     %r14, %rdx
        lea     8(%r14), %r10
        mov     $0x1000, %r8d
        syscall
spawn_failed:
        mov     $231, %eax                      # exit_group
        mov     $127, %edi
        syscall
        ud2

        .balign 8
handler_action:
        .quad   CODE + handler - start
        .quad   0x0c000004                      # SA_SIGINFO | SA_RESTORER | SA_ONSTACK
        .quad   CODE + stray - start
        .quad   -1
ignore_action:
        .quad   1                               # SIG_IGN
        .quad   0x04000000
        .quad   CODE + stray - start
        .quad   0
one:    .quad   1
two:    .quad   2
signals:
        .byte   31, 11, 7, 8, 4, 5, 35, 0       # SIGSYS SIGSEGV SIGBUS SIGFPE SIGILL SIGTRAP, the kick
