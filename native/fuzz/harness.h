/* Between a fuzzer's target, the stand-in for Windows and the stand-in for the kernels. */
#ifndef WINBRIDGE_FUZZ_HARNESS_H
#define WINBRIDGE_FUZZ_HARNESS_H

#include "agent.h"

/* What the target does when the agent reads a pipe, and when it writes one. Called in the agent's threads. The pipe's
 * name is the first character of the path that it was opened by; 0 is that of the stream. */
extern uint32_t (*pipe_read)(uint32_t name, void *buffer, uint32_t size);
extern void (*pipe_written)(uint32_t name, const void *bytes, uint32_t size);

/* Segments that the agent maps come from here; NULL where there is none of that size. */
extern void *(*segment_mapped)(size_t size);
extern void (*segment_unmapped)(void *address);

/* Waits until every thread of the agent waits for something. */
void wait_until_idle(void);
unsigned threads_alive(void);
void start_thread(void (*start)(void));

/* Ends the call that this thread makes, as an exception of Windows would. */
void raise_in_call(uint32_t code, uint64_t address) __attribute__((noreturn));

/* Addresses are symbols in a fuzzer's input, as real ones differ from run to run: a mark in the top byte, an offset. */
enum { IN_ARENA = 0xa5, THUNK = 0xa7, BLOCK = 0xa8 };

/* Memory of the process beside the arenas, at an address that the inputs know. */
#define MEMORY_ADDRESS 0x20000000u
#define MEMORY_SIZE 65536u

struct region {
    uintptr_t start, size;
};

/* What of that memory, or of the arenas of this thread's channel, begins at or before an address and reaches over it. */
struct region region_at(uintptr_t address);

/* What CALL may be told to call. */
enum { SUM = 1, FAULTY = 2, CALLS_THUNK = 3, THREAD_CALLS_THUNK = 4 };

/* Before each run: no blocks, no thunks, empty memory. */
void kernel_reset(void);

extern _Atomic int exit_asked;

/* The rest are in the agent's own files, included by those here that clean up after a run. */
void stream_reset(void);
void close_all_streams(void);
void callbacks_reset(void);
void end_all_services(void);
int release_a_borrower(void);

/* Ends all threads of the agent; stops the program if one of them hangs. */
void end_threads(void);

#endif
