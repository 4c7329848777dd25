/* void on_stack(void *low, void *high, void *limit, void (*function)(void *), void *argument):
 * runs a function on another stack, which Windows is told of in the thread's block (TEB): ExceptionList
 * gs:0, StackBase gs:8, StackLimit gs:16, DeallocationStack gs:0x1478. Fibers do the same.
 */
    .globl on_stack
    .seh_proc on_stack
on_stack:
    pushq   %rbp
    .seh_pushreg %rbp
    movq    %rsp, %rbp
    .seh_setframe %rbp, 0
    .seh_endprologue
    movq    48(%rbp), %rax          /* the fifth argument */
    pushq   %gs:0
    pushq   %gs:8
    pushq   %gs:16
    pushq   %gs:0x1478
    movq    $-1, %gs:0              /* handlers whose frames lie on the other stack are none here */
    movq    %rdx, %gs:8
    movq    %r8, %gs:16
    movq    %rcx, %gs:0x1478
    leaq    -32(%rdx), %rsp         /* home space; high is a multiple of 16 */
    movq    %rax, %rcx
    call    *%r9
    leaq    -32(%rbp), %rsp
    popq    %gs:0x1478
    popq    %gs:16
    popq    %gs:8
    popq    %gs:0
    popq    %rbp
    ret
    .seh_endproc
