/* The agent: a small Windows program that loads DLLs and calls their functions for a client elsewhere.
 *
 * It has no policy and knows no types: the client compiles each prototype to argument words,
 * the agent executes. A request's way through the files:
 *
 *   main.c       starts, greets, and hands the standard handles to the stream
 *   stream.c     frames over a byte stream: always there, also the watchdog on the client's life
 *   shared.c     a slot in shared memory, for clients on the same machine
 *   dispatch.c   checks a request, calls, fills the response
 *   builtins.c   the agent's own functions (load, resolve, read, write ...)
 *   kernel_*.S   the calling conventions, one file an architecture
 *   fault.c      what a fault leaves behind
 *
 * Each channel has a thread of its own, so that what Windows keeps by thread (last error, COM
 * apartment, message queue) is kept by channel.
 */
#ifndef WINBRIDGE_AGENT_H
#define WINBRIDGE_AGENT_H

#include <windows.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

/* A Windows exception that ended a call. */
struct fault {
    uint32_t code;
    uint32_t reserved;
    uint64_t access, address, instruction;
};

/* One native call: what the kernels read and write. Same offsets in both architectures. */
struct call {
    uint64_t function;
    uint64_t words;
    uint64_t size;        /* bytes of words */
    uint64_t integer;     /* rax, or edx:eax */
    double real;          /* xmm0, or st0 */
    uint32_t popped;      /* x86: bytes that the callee took off the stack */
    uint32_t real_size;   /* x86: 4 or 8 when the result is on the FPU stack, else 0 */
    struct fault fault;
};
_Static_assert(offsetof(struct call, integer) == 24 && offsetof(struct call, popped) == 40, "kernel_*.S count on these");

/* Committed from the start, as the kernels write a whole argument area without touching page by page. */
#define THREAD_STACK_COMMIT 65536

/* Calls; returns 0, or 1 when the callee raised an exception (call->fault tells which). */
int invoke(struct call *call);

/* What a channel's thread remembers between requests. */
struct visible {
    DWORD last_error;     /* the last error as the client's code sees it, free of the agent's own doings */
};

/* Executes one request. `words` is private memory of at least request->size bytes. */
void dispatch(struct visible *visible, const struct request *request, const void *words, struct response *response);

/* The address of the function behind an Op, 0 where there is none. */
uintptr_t builtin(uint32_t op);

/* Functions of stream.c and shared.c that are called as builtins. */
uintptr_t open_shared(const WCHAR *segment, uintptr_t address, uintptr_t size, const WCHAR *requests, const WCHAR *wakes, uintptr_t spin);
uintptr_t open_stream(uintptr_t number, uintptr_t size);
uintptr_t close_stream(uintptr_t number);
uintptr_t stream_arena(uintptr_t number, uintptr_t size);
uintptr_t map_segment(const WCHAR *path, uintptr_t address, uintptr_t size);

/* Serves frames until the stream ends; `arena` belongs to channel 0. */
void serve_stream(HANDLE in, HANDLE out, char *arena);

/* Reads or writes all of `size` bytes; 0 when the other side is gone. */
int read_all(HANDLE file, void *buffer, uint64_t size);
int write_all(HANDLE file, const void *buffer, uint64_t size);

#endif
