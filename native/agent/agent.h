/* The agent: a small Windows program that loads DLLs and calls their functions for a client elsewhere.
 *
 * It has no policy and knows no types: the client compiles each prototype to argument words,
 * the agent executes. A request's way through the files:
 *
 *   main.c       starts, greets, and hands the standard handles to the stream
 *   stream.c     frames over a byte stream: always there, also the watchdog on the client's life
 *   shared.c     a slot in shared memory, for clients on the same machine
 *   channel.c    what both have in common: the loop that serves requests
 *   dispatch.c   checks a request, calls, fills the response
 *   many.c       many calls in one request
 *   builtins.c   the agent's own functions (load, resolve, read, write ...)
 *   kernel_*.S   the calling conventions, one file an architecture
 *   fault.c      what a fault leaves behind
 *   callback.c   the other way: a DLL calls the client
 *   thunk_*.S    the calling conventions of that, one file an architecture
 *   stack_*.S    running on a stack that the client sees too
 *   desktop.c    what has to be there before a thread may do so
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

/* Calls; returns 0, or 1 when the callee raised an exception (call->fault tells which). The first is in kernel_*.S;
 * the second also sees to it that the floating-point control words are afterwards what they were. */
int invoke_guarded(struct call *call);
int invoke(struct call *call);

/* How far from the end of a thread's stack it overflows. For the threads that call functions, after their start. */
#define ROOM_FOR_HANDLERS 32768u
void keep_room_for_handlers(void);

/* Memory for the arguments of calls. A larger one may come while a call whose memory lies in an older one runs. */
struct arena {
    struct arena *older;
    char *bytes;
    uint64_t size;
};

/* A request that is worked on. */
struct task {
    struct request request;
    struct arena *arena;  /* where its memory lies, where the carrier has to bring that back */
};

/* One conversation with the client, whatever carries it. Used by one thread at a time: its own, or one that borrows it. */
struct channel {
    const struct carrier *carrier;
    struct arena *arena;       /* the newest */
    struct task *running;      /* the innermost call under way, NULL between calls */
    unsigned callbacks;        /* under way, one within the other */
    _Atomic int over;          /* the client has given it up: nothing more will be asked or answered */
    DWORD last_error;          /* the last error as the client's code sees it, free of the agent's own doings */
    struct channel *next_idle;
    char words[MAX_ARGUMENT_BYTES];   /* of the newest request; invoke() has copied them when another comes */
};

struct carrier {
    /* Waits for a request and takes its words to channel->words; 0 when the client has given the channel up. */
    int (*receive)(struct channel *channel, struct request *request);
    /* Answers a task, at its end (no area) or with a callback. */
    void (*respond)(struct channel *channel, const struct task *task, const struct response *response, const void *area, uint32_t size);
    void (*unmap)(char *arena);
    /* Whether the thread is to serve on another stack from now on; NULL: never. */
    int (*moves)(const struct channel *channel);
};

void prepare_channels(void);

/* The channel that this thread works for, NULL where a DLL made the thread. Leaves no last error. */
struct channel *current_channel(void);
void set_current_channel(struct channel *channel);

/* Makes `bytes` the channel's arena; the older ones stay until its outermost call ends. 0 without memory. */
int add_arena(struct channel *channel, char *bytes, uint64_t size);
void drop_arenas(struct channel *channel);

/* Serves requests until the innermost callback has its answer (1), or the client gives the channel up (0), or, between
 * calls, the channel moves (0). */
int serve(struct channel *channel, struct request *answer);

/* Runs a function on other memory than the thread's own stack, with the same guards. */
void on_stack(void *low, void *high, void *limit, void (*function)(void *), void *argument);

/* From now on channels that have one serve on a stack that the client sees: called when the client has something to see
 * there, its first callback. */
void share_stacks(void);

/* Whether there is a desktop window, or could be made. */
int prepare_desktop(void);

/* Executes one request and answers it. */
void work(struct channel *channel, struct task *task);

/* Executes one request; its words lie in channel->words. */
void dispatch(struct channel *channel, const struct request *request, struct response *response);

/* Bytes that a Result takes on the FPU stack of x86, 0 for those that are no floating-point numbers. */
uint32_t real_size(uint32_t result);

/* The result of a call, by its Result: as 64 bits, and as a double; each 0 where it is the other one. */
int64_t widened(uint32_t result, const struct call *call);
double real(uint32_t result, const struct call *call);

/* Calls with the last error and errno that the request asks for; returns what invoke() does. */
int invoke_with_errors(struct channel *channel, const struct request *request, struct call *call, struct response *response);

void report_fault(const struct fault *fault, struct response *response);

/* Executes a CALL_MANY; returns the rule that it breaks, or 0. */
uint32_t call_many(struct channel *channel, const struct request *request, struct response *response);

/* The address of the function behind an Op, 0 where there is none. */
uintptr_t builtin(uint32_t op);

/* Functions of stream.c, shared.c, callback.c and main.c that are called as builtins. */
uintptr_t open_shared(const WCHAR *segment, uintptr_t address, uintptr_t size, const WCHAR *requests, const WCHAR *wakes, uintptr_t spin, uintptr_t stack);
uintptr_t open_stream(uintptr_t number, uintptr_t size);
uintptr_t close_stream(uintptr_t number);
uintptr_t stream_arena(uintptr_t number, uintptr_t size);
uintptr_t map_segment(const WCHAR *path, uintptr_t address, uintptr_t size);
uintptr_t map_arena(const WCHAR *path, uintptr_t address, uintptr_t size);
uintptr_t thunk_new(uintptr_t id, uintptr_t size, uintptr_t popped, uintptr_t result);
uintptr_t thunk_free(uintptr_t address);
uintptr_t serve_callbacks(void);
uintptr_t leave(uintptr_t code);

/* Ends SERVE where a channel waits for callbacks, as its client has given it up. */
void end_service(struct channel *channel);

void prepare_callbacks(void);

/* Serves frames until the stream ends; `arena` belongs to channel 0. */
void serve_stream(HANDLE in, HANDLE out, char *arena);

/* Reads or writes all of `size` bytes; 0 when the other side is gone. */
int read_all(HANDLE file, void *buffer, uint64_t size);
int write_all(HANDLE file, const void *buffer, uint64_t size);

#endif
