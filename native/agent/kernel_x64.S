/* int invoke_guarded(struct call *call): the Microsoft x64 calling convention.
 *
 * Words 1 to 4 go into the integer and the floating-point registers alike, so that a callee finds
 * each where its prototype says, and a variadic one in both; the rest go onto the stack above the
 * 32 bytes of home space. Offsets into struct call: function 0, words 8, size 16, integer 24, real 32.
 */
    .globl invoke_guarded
    .seh_proc invoke_guarded
invoke_guarded:
    movq    %rcx, 8(%rsp)           /* home slot: fault_filter finds the call here */
    pushq   %rbp
    .seh_pushreg %rbp
    pushq   %rsi
    .seh_pushreg %rsi
    pushq   %rdi
    .seh_pushreg %rdi
    pushq   %rbx
    .seh_pushreg %rbx
    movq    %rsp, %rbp
    .seh_setframe %rbp, 0
    subq    $40, %rsp               /* four words of home space; keeps rsp a multiple of 16 */
    .seh_stackalloc 40
    .seh_endprologue
    movq    %rcx, %rbx
    movq    16(%rbx), %rcx
    subq    %rcx, %rsp
    andq    $-16, %rsp
    movq    8(%rbx), %rsi
    movq    %rsp, %rdi
    shrq    $3, %rcx
    rep movsq
    movq    (%rsp), %rcx
    movq    8(%rsp), %rdx
    movq    16(%rsp), %r8
    movq    24(%rsp), %r9
    movq    %rcx, %xmm0
    movq    %rdx, %xmm1
    movq    %r8, %xmm2
    movq    %r9, %xmm3
.Lcall:
    call    *(%rbx)
    nop                             /* the return address must lie inside the guarded range */
.Lreturned:
    movq    %rax, 24(%rbx)
    movsd   %xmm0, 32(%rbx)
    xorl    %eax, %eax
.Lleave:
    movq    %rbp, %rsp
    popq    %rbx
    popq    %rdi
    popq    %rsi
    popq    %rbp
    ret
.Lfault:
    movl    $1, %eax
    jmp     .Lleave
    .seh_handler __C_specific_handler, @except
    .seh_handlerdata
    .long   1
    .rva    .Lcall, .Lreturned, fault_filter, .Lfault
    .text
    .seh_endproc
