# The target of SYSCALL where the instruction stays in ring 3: one page of code, the same for every vCPU, and behind it a page of data that belongs
# to the vCPU and the address space. Assembled by scripts/stub-code into CallStub.cs; the offsets of the data are those of CallPage.cs.
# On entry RCX and R11 are RIP and RFLAGS; RSP is the application's, and nothing may touch its stack.

        .set DATA,        4096
        .set STATE,       DATA
        .set HAND_OVER,   DATA + 0x40
        .set SPIN,        DATA + 0x44
        .set FRAME,       DATA + 0x80           # struct TrapFrame

        .set SLEEPING,    1                     # values of STATE: CallPage.cs
        .set CALLED,      2
        .set LEFT,        3

        .macro each operation
        \operation %r15, 0
        \operation %r14, 8
        \operation %r13, 16
        \operation %r12, 24
        \operation %rbp, 32
        \operation %rbx, 40
        \operation %r11, 48
        \operation %r10, 56
        \operation %r9, 64
        \operation %r8, 72
        \operation %rax, 80
        \operation %rcx, 88
        \operation %rdx, 96
        \operation %rsi, 104
        \operation %rdi, 112
        .endm
        .macro save register, offset
        mov     \register, start + FRAME + \offset(%rip)
        .endm
        .macro load register, offset
        mov     start + FRAME + \offset(%rip), \register
        .endm

        .text
start:
        cmpl    $0, start + HAND_OVER(%rip)
        jne     hand_over
        movb    %al, bell(%rip)                 # the code is a read-only memory slot that the page tables call writable: the store leaves the guest
direct_end:
        hlt                                     # #GP in ring 3; never reached

hand_over:
        each    save
        save    %rcx, 128                       # Rip
        save    %r11, 136                       # Rflags
        save    %rsp, 144
        # From here on RAX is only in the frame.
saved:
        rdfsbase %rax
        save    %rax, 152
        rdgsbase %rax
        save    %rax, 160
        mov     $CALLED, %eax
        xchg    %eax, start + STATE(%rip)
        # From here on the frame is the truth, and all registers are free.
posted:
        cmp     $SLEEPING, %eax
        je      ring
        mov     start + SPIN(%rip), %ecx
await:
        cmpl    $CALLED, start + STATE(%rip)
        jne     answered
        pause
        dec     %ecx
        jnz     await
        mov     $CALLED, %eax
        mov     $LEFT, %edx
        lock cmpxchg %edx, start + STATE(%rip)
        jne     answered
ring:
        movb    %al, bell(%rip)
ring_end:
        hlt

answered:
        each    load
        lea     start + FRAME + 136(%rip), %rsp
        popfq
        mov     start + FRAME + 144(%rip), %rsp
        jmp     *start + FRAME + 128(%rip)
end:

        .org    0x400, 0xf4
bell:
        .byte   0
        .org    0x1000, 0xf4
