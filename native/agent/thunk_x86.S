/* thunk_entry: where every thunk jumps to, its struct thunk in eax.
 *
 * Offsets into struct thunk: popped 4, real_size 8. What a stdcall function takes off the stack goes with
 * the return: the return address is moved to the last of the caller's words, and the stack pointer there.
 */
    .globl _thunk_entry
_thunk_entry:
    pushl   %ebp
    movl    %esp, %ebp
    pushl   %esi
    movl    %eax, %esi
    andl    $-16, %esp              /* code compiled by gcc expects this of SSE operands */
    subl    $16, %esp
    leal    8(%ebp), %eax
    movl    %esi, (%esp)
    movl    $0, 4(%esp)             /* no floating-point registers */
    movl    %eax, 8(%esp)
    call    _callback
    cmpl    $4, 8(%esi)
    jb      .Lplain
    movl    %eax, (%esp)
    movl    %edx, 4(%esp)
    je      .Lfloat
    fldl    (%esp)
    jmp     .Lplain
.Lfloat:
    flds    (%esp)
.Lplain:
    movl    4(%esi), %esi
    movl    4(%ebp), %ecx
    movl    %ecx, 4(%ebp,%esi)
    leal    4(%ebp,%esi), %ecx
    movl    -4(%ebp), %esi
    movl    (%ebp), %ebp
    movl    %ecx, %esp
    ret
