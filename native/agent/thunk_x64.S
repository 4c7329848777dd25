/* thunk_entry: where every thunk jumps to, its struct thunk in r10.
 *
 * The caller left room for the first four words below the others (the home space): with them stored there,
 * all argument words lie in one row. callback() gets the thunk, the floating-point registers and the words.
 */
    .globl thunk_entry
    .seh_proc thunk_entry
thunk_entry:
    movq    %rcx, 8(%rsp)
    movq    %rdx, 16(%rsp)
    movq    %r8, 24(%rsp)
    movq    %r9, 32(%rsp)
    subq    $72, %rsp               /* home space for callback(), four registers; keeps rsp a multiple of 16 */
    .seh_stackalloc 72
    .seh_endprologue
    movsd   %xmm0, 32(%rsp)
    movsd   %xmm1, 40(%rsp)
    movsd   %xmm2, 48(%rsp)
    movsd   %xmm3, 56(%rsp)
    movq    %r10, %rcx
    leaq    32(%rsp), %rdx
    leaq    80(%rsp), %r8
    call    callback
    movq    %rax, %xmm0             /* the caller looks where its prototype says */
    addq    $72, %rsp
    ret
    .seh_endproc
