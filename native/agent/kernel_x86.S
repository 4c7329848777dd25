/* int invoke_guarded(struct call *call): cdecl and stdcall alike.
 *
 * All words go onto the stack; the stack pointer is restored whoever took the arguments off, and how
 * much the callee took is reported. Offsets into struct call: function 0, words 8, size 16,
 * integer 24, real 32, popped 40, real_size 44.
 */
    .globl _invoke_guarded
_invoke_guarded:
    pushl   %ebp
    movl    %esp, %ebp
    pushl   %ebx
    pushl   %esi
    pushl   %edi
    pushl   %ebp                    /* behind the registration record: where land() finds our frame */
    pushl   8(%ebp)                 /* the registration record: call, handler, next */
    pushl   $_fault_handler
    pushl   %fs:0
    movl    %esp, %fs:0
    movl    8(%ebp), %ebx
    movl    16(%ebx), %ecx
    subl    %ecx, %esp
    andl    $-16, %esp              /* code compiled by gcc expects this of SSE operands */
    movl    8(%ebx), %esi
    movl    %esp, %edi
    shrl    $2, %ecx
    rep movsl
    movl    %esp, %esi
    call    *(%ebx)
    subl    %esi, %esp
    movl    %esp, 40(%ebx)
    movl    %eax, 24(%ebx)
    movl    %edx, 28(%ebx)
    cmpl    $4, 44(%ebx)
    jb      .Lplain
    je      .Lfloat
    fstpl   32(%ebx)
    jmp     .Lplain
.Lfloat:
    fstps   32(%ebx)
.Lplain:
    xorl    %eax, %eax
.Lleave:
    leal    -28(%ebp), %esp         /* three saved registers, our frame, the registration record */
    popl    %fs:0
    addl    $12, %esp
    popl    %edi
    popl    %esi
    popl    %ebx
    popl    %ebp
    ret

/* void land(struct registration *frame): go on in the invoke_guarded() that made the frame, after an unwind. */
    .globl _land
_land:
    movl    4(%esp), %eax
    movl    12(%eax), %ebp
    movl    $1, %eax
    jmp     .Lleave
