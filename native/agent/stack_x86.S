/* void on_stack(void *low, void *high, void *limit, void (*function)(void *), void *argument):
 * runs a function on another stack, which Windows is told of in the thread's block (TEB): ExceptionList
 * fs:0, StackBase fs:4, StackLimit fs:8, DeallocationStack fs:0xe0c. Fibers do the same.
 */
    .globl _on_stack
_on_stack:
    pushl   %ebp
    movl    %esp, %ebp
    movl    8(%ebp), %ecx
    movl    12(%ebp), %edx
    movl    16(%ebp), %eax
    pushl   %fs:0
    pushl   %fs:4
    pushl   %fs:8
    pushl   %fs:0xe0c
    movl    $-1, %fs:0              /* handlers whose frames lie on the other stack are none here */
    movl    %edx, %fs:4
    movl    %eax, %fs:8
    movl    %ecx, %fs:0xe0c
    leal    -16(%edx), %esp         /* one argument; high is a multiple of 16 */
    movl    24(%ebp), %eax
    movl    %eax, (%esp)
    call    *20(%ebp)
    leal    -16(%ebp), %esp
    popl    %fs:0xe0c
    popl    %fs:8
    popl    %fs:4
    popl    %fs:0
    popl    %ebp
    ret
