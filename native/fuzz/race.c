/* The agent's side of shared channels as a library, for ThreadSanitizer: fuzz/race.py is the client, in the same process.
 *
 * A pipe's name is its file descriptor and 1. */
#include <unistd.h>

#include "harness.h"

static _Thread_local char *segment;

static uint32_t from_pipe(uint32_t name, void *buffer, uint32_t size)
{
    ssize_t done = read((int)name - 1, buffer, size);
    return done > 0 ? (uint32_t)done : 0;
}

static void to_pipe(uint32_t name, const void *bytes, uint32_t size)
{
    while (size && write((int)name - 1, bytes, size) < 0) continue;
}

static void *take_segment(size_t size)
{
    (void)size;
    return segment;
}

static void leave_segment(void *address)
{
    (void)address;      /* the client's */
}

void race_prepare(void)
{
    pipe_read = from_pipe;
    pipe_written = to_pipe;
    segment_mapped = take_segment;
    segment_unmapped = leave_segment;
    prepare_channels();
    prepare_callbacks();
    kernel_reset();
}

/* Starts a channel's thread; it ends when the other end of `requests` is closed. */
int race_open(char *memory, size_t size, int requests, int wakes, unsigned spin)
{
    const WCHAR path[] = {1, 0}, read_path[] = {(WCHAR)(requests + 1), 0}, write_path[] = {(WCHAR)(wakes + 1), 0};
    segment = memory;
    return (int)open_shared(path, 0, size, read_path, write_path, spin, 0);
}

void race_end(void)
{
    end_threads();
}
