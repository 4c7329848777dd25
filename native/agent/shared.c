/* A channel in shared memory: a slot with two counters and room for one message, then the arena.
 *
 * The client makes the segment and both pipes, and names them by path; the agent maps the segment at
 * the address that the client has it at, so a pointer into it means the same to both. The client owns
 * all three: when it closes its end of the pipe that we sleep on, or dies, the channel ends.
 *
 * A stack for the thread lies behind the arena: what a DLL keeps in local variables, and gives a callback the
 * address of, the client sees without asking. The threads move there once the client has a callback.
 *
 * No lock: the slot belongs to whoever's turn it is. The side that waits spins for a while, then sets its
 * flag and sleeps in a read of its pipe; the other side writes a byte when it sees the flag. Between
 * storing a counter and reading a flag (and the other way round) stands a full barrier, which the stores of
 * _Atomic words bring: without it the processor may swap the two, and a wake-up is lost.
 */
#include <stdatomic.h>
#include <string.h>

#include "agent.h"

enum { FIRST_REST = 16, LAST_REST = 256 };

static _Atomic int stacks_in_use, stacks_shared;

enum { PAGE = 4096, STACK_REST = ROOM_FOR_HANDLERS };

struct shared {
    struct channel base;    /* its arenas are those that took the place of the one behind the slot */
    char *slot;
    HANDLE requests, wakes;
    LONGLONG spin;          /* ticks of the performance counter */
    uint32_t rest;          /* requests until spinning is tried again */
    uint32_t next_rest;
    uint32_t seen;
    char *stack;            /* its lowest address; NULL: the thread stays on that of Windows */
    int there;              /* the thread has moved */
    uint64_t stack_size;
};

static _Atomic uint32_t *word(const struct shared *channel, int offset)
{
    return (_Atomic uint32_t *)(channel->slot + offset);
}

static int asked(const struct shared *channel)
{
    return *word(channel, SLOT_REQUEST_SERIAL) != channel->seen;
}

static LONGLONG now(void)
{
    LARGE_INTEGER ticks;
    QueryPerformanceCounter(&ticks);
    return ticks.QuadPart;
}

/* Spinning in vain only keeps others from running: give it a rest, longer each time, and from the
 * shortest again after the longest, or when spinning was worth it. As in winbridge/core/transport/shm.py. */
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
            if (asked(channel)) {
                channel->next_rest = FIRST_REST;
                return 1;
            }
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
    while (alive && !asked(channel))
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
    *word(channel, SLOT_RESPONSE_SERIAL) = channel->seen;
    if (*word(channel, SLOT_CLIENT_ASLEEP)) WriteFile(channel->wakes, "", 1, &done, NULL);
}

/* The message is copied out once and only the copy is looked at: the client could change it under us. */
static int receive(struct channel *base, struct request *request)
{
    struct shared *channel = (struct shared *)base;
    if (!spin_for_request(channel) && !sleep_for_request(channel)) return 0;
    channel->seen = *word(channel, SLOT_REQUEST_SERIAL);
    memcpy(request, channel->slot + SLOT_REQUEST, sizeof *request);
    atomic_signal_fence(memory_order_seq_cst);     /* the compiler may not look into the slot again either */
    if (request->size <= sizeof base->words)
        memcpy(base->words, channel->slot + SLOT_REQUEST + sizeof *request, request->size);
    return 1;
}

static void unmap(char *arena)
{
    UnmapViewOfFile(arena);
}

static int moves(const struct channel *base)
{
    const struct shared *channel = (const struct shared *)base;
    return channel->stack && !channel->there && stacks_shared;
}

static const struct carrier carrier = {.receive = receive, .respond = respond, .unmap = unmap, .moves = moves};

void share_stacks(void)
{
    if (stacks_in_use && !stacks_shared) stacks_shared = prepare_desktop();
}

static void close_shared(struct shared *channel)
{
    drop_arenas(&channel->base);
    UnmapViewOfFile(channel->slot);
    if (channel->stack) UnmapViewOfFile(channel->stack);
    CloseHandle(channel->requests);
    CloseHandle(channel->wakes);
    HeapFree(GetProcessHeap(), 0, channel);
}

static void serve_here(void *channel)
{
    struct request none;
    serve(channel, &none);
}

static void serve_there(struct shared *channel)
{
    char *low = channel->stack;
    DWORD before;
    channel->there = 1;
    if (VirtualProtect(low + STACK_REST, PAGE, PAGE_READWRITE | PAGE_GUARD, &before))
        on_stack(low, low + channel->stack_size, low + STACK_REST + PAGE, serve_here, channel);
    else
        serve_here(channel);
}

static DWORD WINAPI serve_shared(void *argument)
{
    struct shared *channel = argument;
    set_current_channel(&channel->base);
    keep_room_for_handlers();
    if (!moves(&channel->base)) serve_here(channel);
    if (!channel->base.over) serve_there(channel);
    close_shared(channel);
    return 0;
}

/* A view of its own for each part: Windows takes the end of the view that a stack lies in for the stack's end. */
static char *map_part(const WCHAR *path, uintptr_t address, uintptr_t offset, uintptr_t size)
{
    HANDLE file = CreateFileW(path, GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING, 0, NULL);
    if (file == INVALID_HANDLE_VALUE) return 0;
    HANDLE mapping = CreateFileMappingW(file, NULL, PAGE_READWRITE, 0, 0, NULL);
    void *view = mapping ? MapViewOfFileEx(mapping, FILE_MAP_ALL_ACCESS, 0, (DWORD)offset, size, (void *)address) : NULL;
    DWORD error = GetLastError();
    if (mapping) CloseHandle(mapping);
    CloseHandle(file);
    SetLastError(error);
    return view;
}

uintptr_t map_segment(const WCHAR *path, uintptr_t address, uintptr_t size)
{
    return (uintptr_t)map_part(path, address, 0, size);
}

uintptr_t map_arena(const WCHAR *path, uintptr_t address, uintptr_t size)
{
    struct channel *channel = current_channel();
    if (!channel || channel->carrier != &carrier) {
        SetLastError(ERROR_INVALID_FUNCTION);
        return 0;
    }
    char *arena = (char *)map_segment(path, address, size);
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

uintptr_t open_shared(const WCHAR *segment, uintptr_t address, uintptr_t size, const WCHAR *requests, const WCHAR *wakes, uintptr_t spin, uintptr_t stack)
{
    HANDLE thread = NULL;
    int usable = size >= SLOT_ARENA && size == (DWORD)size && (!stack || stack >= THREAD_STACK_COMMIT);
    struct shared *channel = usable ? HeapAlloc(GetProcessHeap(), HEAP_ZERO_MEMORY, sizeof *channel) : NULL;
    if (!channel) {
        SetLastError(usable ? ERROR_NOT_ENOUGH_MEMORY : ERROR_INVALID_PARAMETER);
        return 0;
    }
    channel->base.carrier = &carrier;
    channel->spin = ticks(spin);
    channel->next_rest = FIRST_REST;
    channel->slot = map_part(segment, address, 0, size);
    channel->stack = channel->slot && stack ? map_part(segment, address + size, size, stack) : NULL;
    channel->stack_size = stack;
    if (channel->stack) stacks_in_use = 1;
    int mapped = channel->slot && (channel->stack || !stack);
    channel->requests = mapped ? open_pipe(requests, GENERIC_READ) : INVALID_HANDLE_VALUE;
    channel->wakes = mapped ? open_pipe(wakes, GENERIC_WRITE) : INVALID_HANDLE_VALUE;
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
