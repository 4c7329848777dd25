/* Fuzzer of the byte stream: an input is a mode and what the client sends.
 *
 * Mode 0: the next bytes come when all threads of the agent wait, so that a run can be repeated; mode 1: at once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

static const uint8_t *next_byte, *end;
static int lockstep;

/* What the agent answers must be whole frames. */
static struct {
    char header[sizeof(struct frame)];
    size_t known;
    uint64_t rest;
} answer;

static uint32_t read_stream(uint32_t name, void *buffer, uint32_t size)
{
    if (name) return 0;                 /* the pipe of a shared channel: its client is gone */
    if (lockstep) wait_until_idle();
    if (exit_asked || next_byte == end) return 0;
    if (size > end - next_byte) size = (uint32_t)(end - next_byte);
    memcpy(buffer, next_byte, size);
    next_byte += size;
    return size;
}

static void begin_frame(void)
{
    struct frame frame;
    memcpy(&frame, answer.header, sizeof frame);
    uint64_t area = frame.size - sizeof(struct response);
    if (frame.magic != FRAME_MAGIC || area > 32 + MAX_ARGUMENT_BYTES || frame.arena_size > 1u << 20) {
        fprintf(stderr, "the agent sent a broken frame\n");
        abort();
    }
    answer.rest = frame.size + frame.arena_size;
    answer.known = 0;
}

static void check_answer(uint32_t name, const void *bytes, uint32_t size)
{
    (void)name;
    for (const char *at = bytes; size;) {
        uint64_t missing = answer.rest ? answer.rest : sizeof answer.header - answer.known, part = size < missing ? size : missing;
        if (answer.rest) {
            answer.rest -= part;
        } else {
            memcpy(answer.header + answer.known, at, part);
            answer.known += part;
            if (answer.known == sizeof answer.header) begin_frame();
        }
        at += part;
        size -= (uint32_t)part;
    }
}

static void *map(size_t size)
{
    return size ? calloc(1, size) : NULL;
}

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    (void)count, (void)arguments;
    pipe_read = read_stream;
    pipe_written = check_answer;
    segment_mapped = map;
    segment_unmapped = free;
    prepare_channels();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size) return -1;
#ifdef ALWAYS_AT_ONCE
    lockstep = 0;
#else
    lockstep = !(data[0] & 1);
#endif
    next_byte = data + 1;
    end = data + size;
    memset(&answer, 0, sizeof answer);
    kernel_reset();
    prepare_callbacks();
    serve_stream(NULL, NULL, VirtualAlloc(NULL, CONTROL_ARENA, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE));
    end_threads();
    if (answer.known || answer.rest) {
        fprintf(stderr, "the agent sent half a frame\n");
        abort();
    }
    stream_reset();
    callbacks_reset();
    kernel_reset();
    return 0;
}
