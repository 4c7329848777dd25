/* A channel in shared memory: a slot with two counters and room for one message, then the arena.
 *
 * The client makes the segment and both pipes, and names them by path; the agent maps the segment at
 * the address that the client has it at, so a pointer into it means the same to both. The client owns
 * all three: when it closes its end of the pipe that we sleep on, or dies, the channel ends.
 *
 * No lock: the slot belongs to whoever's turn it is. The side that waits spins for a while, then sets its
 * flag and sleeps in a read of its pipe; the other side writes a byte when it sees the flag. Between
 * storing a counter and reading a flag (and the other way round) stands a full barrier: without it
 * the processor may swap the two, and a wake-up is lost.
 */
#include <string.h>

#include "agent.h"

enum { FIRST_REST = 16, LAST_REST = 256 };

struct shared {
    struct channel base;    /* its arenas are those that took the place of the one behind the slot */
    char *slot;
    HANDLE requests, wakes;
    LONGLONG spin;          /* ticks of the performance counter */
    uint32_t rest;          /* requests until spinning is tried again */
    uint32_t next_rest;
    uint32_t seen;
};

static volatile uint32_t *word(const struct shared *channel, int offset)
{
    return (volatile uint32_t *)(channel->slot + offset);
}

static LONGLONG now(void)
{
    LARGE_INTEGER ticks;
    QueryPerformanceCounter(&ticks);
    return ticks.QuadPart;
}

/* Spinning in vain only keeps others from running: give it a rest, longer each time, and from the
 * shortest again after the longest. As in winbridge/core/transport/shm.py. */
static void rest(struct shared *channel)
{
    channel->rest = channel->next_rest;
    channel->next_rest = channel->next_rest >= LAST_REST ? FIRST_REST : 2 * channel->next_rest;
}

static int spin_for_request(struct shared *channel)
{
    if (!channel->spin || (channel->rest && channel->rest--)) return 0;
    for (LONGLONG end = now() + channel->spin; now() < end;)
        for (int k = 0; k < 32; k++) {
            if (*word(channel, SLOT_REQUEST_SERIAL) != channel->seen) return 1;
            __builtin_ia32_pause();
        }
    rest(channel);
    return 0;
}

static int sleep_for_request(const struct shared *channel)
{
    char bytes[64];     /* more than one may lie there: a wake-up that came when we had seen the request already */
    DWORD count;
    int alive = 1;
    *word(channel, SLOT_AGENT_ASLEEP) = 1;
    __sync_synchronize();
    while (alive && *word(channel, SLOT_REQUEST_SERIAL) == channel->seen)
        alive = ReadFile(channel->requests, bytes, sizeof bytes, &count, NULL) && count;
    *word(channel, SLOT_AGENT_ASLEEP) = 0;
    return alive;
}

/* The client reads a callback's area before it sends the next request, which goes into the same place. */
static void respond(struct channel *base, const struct task *task, const struct response *response, const void *area, uint32_t size)
{
    struct shared *channel = (struct shared *)base;
    DWORD done;
    (void)task;
    memcpy(channel->slot + SLOT_RESPONSE, response, sizeof *response);
    if (size) memcpy(channel->slot + SLOT_REQUEST, area, size);
    __sync_synchronize();
    *word(channel, SLOT_RESPONSE_SERIAL) = channel->seen;
    __sync_synchronize();
    if (*word(channel, SLOT_CLIENT_ASLEEP)) WriteFile(channel->wakes, "", 1, &done, NULL);
}

/* The message is copied out once and only the copy is looked at: the client could change it under us. */
static int receive(struct channel *base, struct request *request)
{
    struct shared *channel = (struct shared *)base;
    if (!spin_for_request(channel) && !sleep_for_request(channel)) return 0;
    channel->seen = *word(channel, SLOT_REQUEST_SERIAL);
    memcpy(request, channel->slot + SLOT_REQUEST, sizeof *request);
    if (request->size <= sizeof base->words)
        memcpy(base->words, channel->slot + SLOT_REQUEST + sizeof *request, request->size);
    return 1;
}

static void unmap(char *arena)
{
    UnmapViewOfFile(arena);
}

static const struct carrier carrier = {.receive = receive, .respond = respond, .unmap = unmap};

static void close_shared(struct shared *channel)
{
    drop_arenas(&channel->base);
    UnmapViewOfFile(channel->slot);
    CloseHandle(channel->requests);
    CloseHandle(channel->wakes);
    HeapFree(GetProcessHeap(), 0, channel);
}

static DWORD WINAPI serve_shared(void *argument)
{
    struct shared *channel = argument;
    struct request none;
    set_current_channel(&channel->base);
    serve(&channel->base, &none);
    close_shared(channel);
    return 0;
}

uintptr_t map_segment(const WCHAR *path, uintptr_t address, uintptr_t size)
{
    HANDLE file = CreateFileW(path, GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING, 0, NULL);
    if (file == INVALID_HANDLE_VALUE) return 0;
    HANDLE mapping = CreateFileMappingW(file, NULL, PAGE_READWRITE, 0, 0, NULL);
    void *view = mapping ? MapViewOfFileEx(mapping, FILE_MAP_ALL_ACCESS, 0, 0, size, (void *)address) : NULL;
    DWORD error = GetLastError();
    if (mapping) CloseHandle(mapping);
    CloseHandle(file);
    SetLastError(error);
    return (uintptr_t)view;
}

uintptr_t map_arena(const WCHAR *path, uintptr_t address, uintptr_t size)
{
    struct channel *channel = current_channel();
    char *arena = channel ? (char *)map_segment(path, address, size) : NULL;
    if (arena && !add_arena(channel, arena, size)) {
        UnmapViewOfFile(arena);
        return 0;
    }
    return (uintptr_t)arena;
}

static HANDLE open_pipe(const WCHAR *path, DWORD access)
{
    return CreateFileW(path, access, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING, 0, NULL);
}

static LONGLONG ticks(uintptr_t microseconds)
{
    LARGE_INTEGER frequency;
    QueryPerformanceFrequency(&frequency);
    return frequency.QuadPart * (LONGLONG)microseconds / 1000000;
}

uintptr_t open_shared(const WCHAR *segment, uintptr_t address, uintptr_t size, const WCHAR *requests, const WCHAR *wakes, uintptr_t spin)
{
    HANDLE thread = NULL;
    struct shared *channel = HeapAlloc(GetProcessHeap(), HEAP_ZERO_MEMORY, sizeof *channel);
    if (!channel) return 0;
    channel->base.carrier = &carrier;
    channel->spin = ticks(spin);
    channel->next_rest = FIRST_REST;
    channel->slot = (char *)map_segment(segment, address, size);
    channel->requests = channel->slot ? open_pipe(requests, GENERIC_READ) : INVALID_HANDLE_VALUE;
    channel->wakes = channel->slot ? open_pipe(wakes, GENERIC_WRITE) : INVALID_HANDLE_VALUE;
    if (channel->requests != INVALID_HANDLE_VALUE && channel->wakes != INVALID_HANDLE_VALUE)
        thread = CreateThread(NULL, THREAD_STACK_COMMIT, serve_shared, channel, 0, NULL);
    if (!thread) {
        DWORD error = GetLastError();
        close_shared(channel);
        SetLastError(error);
        return 0;
    }
    CloseHandle(thread);
    return 1;
}
