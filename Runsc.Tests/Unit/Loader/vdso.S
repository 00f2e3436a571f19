# The code of the vDSO, linked with `vvar` (the data page) at 0, the image one page above, the code at 0x400 of the image.
# Runsc/Sentry/Loader/VdsoCode.cs holds what this assembles to; a test compares them.
    .text
    .set SEQUENCE, 0        # u32: odd while the page is being changed
    .set VALID, 4           # u32: 0: ask the kernel
    .set TSC_BASE, 8        # u64
    .set NS_BASE, 16        # u64: CLOCK_MONOTONIC at TSC_BASE
    .set MULTIPLIER, 24     # u64: nanoseconds per tick, 32.32
    .set REALTIME, 32       # i64: CLOCK_REALTIME - CLOCK_MONOTONIC
    .set FAST, 0x8f3        # clocks 0 1 4 5 6 7 11
    .set WALL, 0x821        # of them 0 5 11 are CLOCK_REALTIME's

# rax: CLOCK_MONOTONIC, r8: REALTIME; carry: the kernel must be asked. Keeps rsi, rdi.
read_clock:
    mov     vvar+SEQUENCE(%rip), %r9d
    test    $1, %r9b
    jne     2f
    cmpl    $0, vvar+VALID(%rip)
    je      3f
    lfence
    rdtsc
    shl     $32, %rdx
    or      %rdx, %rax
    mov     vvar+MULTIPLIER(%rip), %r10
    mov     vvar+NS_BASE(%rip), %r11
    mov     vvar+REALTIME(%rip), %r8
    sub     vvar+TSC_BASE(%rip), %rax
    sbb     %rcx, %rcx      # a counter of another processor may be behind: as if no time had passed
    not     %rcx
    and     %rcx, %rax
    mul     %r10
    shrd    $32, %rdx, %rax
    add     %r11, %rax
    mov     %eax, %ecx      # the second look at the sequence must come after rdtsc: its address depends on it
    and     $0, %ecx
    lea     vvar+SEQUENCE(%rip), %rdx
    cmp     (%rdx,%rcx), %r9d
    jne     read_clock
    clc
    ret
2:  pause
    jmp     read_clock
3:  stc
    ret

# rax: nanoseconds; to rdx: seconds, rax: the rest. Keeps rsi, rdi, r8.
split:
    mov     %rax, %r9
    shr     $9, %rax
    movabs  $0x44b82fa09b5a53, %rcx
    mul     %rcx
    shr     $11, %rdx
    imul    $1000000000, %rdx, %rax
    sub     %rax, %r9
    mov     %r9, %rax
    ret

    .balign 16
clock_gettime:
    cmp     $11, %edi
    ja      9f
    mov     $FAST, %eax
    bt      %edi, %eax
    jnc     9f
    call    read_clock
    jc      9f
    mov     $WALL, %ecx
    bt      %edi, %ecx
    jnc     1f
    add     %r8, %rax
1:  lea     -5(%rdi), %ecx
    cmp     $1, %ecx
    ja      2f
    xor     %edx, %edx      # coarse clocks go in steps of 4 ms
    mov     $4000000, %ecx
    div     %rcx
    imul    %rcx, %rax
2:  call    split
    mov     %rdx, (%rsi)
    mov     %rax, 8(%rsi)
    xor     %eax, %eax
    ret
9:  mov     $228, %eax
    syscall
    ret

    .balign 16
gettimeofday:
    test    %rdi, %rdi
    je      1f
    call    read_clock
    jc      9f
    add     %r8, %rax
    call    split
    mov     %rdx, (%rdi)
    imul    $274877907, %rax, %rax
    shr     $38, %rax
    mov     %rax, 8(%rdi)
1:  test    %rsi, %rsi
    je      2f
    movq    $0, (%rsi)
2:  xor     %eax, %eax
    ret
9:  mov     $96, %eax
    syscall
    ret

    .balign 16
time:
    call    read_clock
    jc      9f
    add     %r8, %rax
    call    split
    mov     %rdx, %rax
    test    %rdi, %rdi
    je      1f
    mov     %rax, (%rdi)
1:  ret
9:  mov     $201, %eax
    syscall
    ret

    .balign 16
clock_getres:
    cmp     $11, %edi
    ja      9f
    mov     $FAST, %eax
    bt      %edi, %eax
    jnc     9f
    test    %rsi, %rsi
    je      2f
    mov     $1, %eax
    lea     -5(%rdi), %ecx
    cmp     $1, %ecx
    ja      1f
    mov     $4000000, %eax
1:  movq    $0, (%rsi)
    mov     %rax, 8(%rsi)
2:  xor     %eax, %eax
    ret
9:  mov     $229, %eax
    syscall
    ret

    .balign 16
getcpu:
    mov     $309, %eax
    syscall
    ret
