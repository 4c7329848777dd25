/* Frames over a byte stream: the agent's standard input and output, whatever carries them (a pipe, ssh).
 *
 * The main thread reads frames and hands each to its channel's thread; it serves channel 0 itself, which
 * opens the others. Nothing else may block it: it is also the watchdog, since the end of the
 * stream is how the agent learns that its client has gone.
 */
#include <stdio.h>
#include <string.h>

#include "agent.h"

struct channel {
    struct channel *next;
    uint32_t number;
    HANDLE arrived;
    volatile LONG busy;
    volatile LONG closing;
    char *arena;
    uint64_t arena_size;
    struct visible visible;
    struct request request;
    _Alignas(16) char words[MAX_ARGUMENT_BYTES];
};

static struct channel *channels;
static CRITICAL_SECTION channels_lock, output_lock;
static HANDLE output;

int read_all(HANDLE file, void *buffer, uint64_t size)
{
    DWORD done;
    for (char *at = buffer; size; at += done, size -= done)
        if (!ReadFile(file, at, size < 1u << 30 ? (DWORD)size : 1u << 30, &done, NULL) || !done) return 0;
    return 1;
}

int write_all(HANDLE file, const void *buffer, uint64_t size)
{
    DWORD done;
    for (const char *at = buffer; size; at += done, size -= done)
        if (!WriteFile(file, at, size < 1u << 30 ? (DWORD)size : 1u << 30, &done, NULL) || !done) return 0;
    return 1;
}

static struct channel *find(uint32_t number)
{
    EnterCriticalSection(&channels_lock);
    struct channel *channel = channels;
    while (channel && channel->number != number) channel = channel->next;
    LeaveCriticalSection(&channels_lock);
    return channel;
}

static int inside(const struct channel *channel, uint64_t start, uint64_t size)
{
    return start <= channel->arena_size && size <= channel->arena_size - start;
}

static void send_response(const struct channel *channel, const struct response *response, uint64_t start, uint64_t back)
{
    struct frame frame = {.magic = FRAME_MAGIC, .channel = channel->number, .size = sizeof *response, .arena_size = back};
    EnterCriticalSection(&output_lock);
    int sent = write_all(output, &frame, sizeof frame) && write_all(output, response, sizeof *response)
               && write_all(output, channel->arena + start, back);
    LeaveCriticalSection(&output_lock);
    if (!sent) TerminateProcess(GetCurrentProcess(), 0);
}

static void answer(struct channel *channel)
{
    struct response response;
    const struct request request = channel->request;
    dispatch(&channel->visible, &request, channel->words, &response);
    uint64_t back = response.status == STATUS_MALFORMED ? 0 : request.arena_back;
    if (!inside(channel, request.arena_start, back)) {
        memset(&response, 0, sizeof response);
        response.status = STATUS_MALFORMED;
        response.result = MALFORMED_ARENA;
        back = 0;
    }
    InterlockedExchange(&channel->busy, 0);
    send_response(channel, &response, request.arena_start, back);
}

static void forget(struct channel *channel)
{
    EnterCriticalSection(&channels_lock);
    for (struct channel **link = &channels; *link; link = &(*link)->next)
        if (*link == channel) {
            *link = channel->next;
            break;
        }
    LeaveCriticalSection(&channels_lock);
    CloseHandle(channel->arrived);
    VirtualFree(channel->arena, 0, MEM_RELEASE);
    HeapFree(GetProcessHeap(), 0, channel);
}

static DWORD WINAPI serve_channel(void *argument)
{
    struct channel *channel = argument;
    while (WaitForSingleObject(channel->arrived, INFINITE) == WAIT_OBJECT_0 && !channel->closing)
        answer(channel);
    forget(channel);
    return 0;
}

static void add(struct channel *channel)
{
    EnterCriticalSection(&channels_lock);
    channel->next = channels;
    channels = channel;
    LeaveCriticalSection(&channels_lock);
}

uintptr_t stream_arena(uintptr_t number, uintptr_t size)
{
    struct channel *channel = find((uint32_t)number);
    char *arena = channel ? VirtualAlloc(NULL, size, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE) : NULL;
    if (!arena) return 0;
    if (channel->arena) VirtualFree(channel->arena, 0, MEM_RELEASE);
    channel->arena = arena;
    channel->arena_size = size;
    return (uintptr_t)arena;
}

uintptr_t open_stream(uintptr_t number, uintptr_t size)
{
    struct channel *channel = find((uint32_t)number) ? NULL : HeapAlloc(GetProcessHeap(), HEAP_ZERO_MEMORY, sizeof *channel);
    if (!channel) return 0;
    channel->number = (uint32_t)number;
    channel->arrived = CreateEventW(NULL, FALSE, FALSE, NULL);
    add(channel);
    uintptr_t arena = stream_arena(number, size);
    HANDLE thread = arena ? CreateThread(NULL, THREAD_STACK_COMMIT, serve_channel, channel, 0, NULL) : NULL;
    if (!thread) {
        DWORD error = GetLastError();
        forget(channel);
        SetLastError(error);
        return 0;
    }
    CloseHandle(thread);
    return arena;
}

uintptr_t close_stream(uintptr_t number)
{
    struct channel *channel = number ? find((uint32_t)number) : NULL;
    if (!channel) return 0;
    channel->closing = 1;
    SetEvent(channel->arrived);
    return 1;
}

static int refuse(const char *rule)
{
    char text[96];
    DWORD done;
    int length = snprintf(text, sizeof text, "winbridge agent: broken stream: %s\n", rule);
    WriteFile(GetStdHandle(STD_ERROR_HANDLE), text, (DWORD)length, &done, NULL);
    return 0;
}

/* After a broken frame nothing says where the next one starts, so the stream ends there. */
static int receive(HANDLE in)
{
    struct frame frame;
    if (!read_all(in, &frame, sizeof frame)) return 0;
    if (frame.magic != FRAME_MAGIC) return refuse("not a frame");
    struct channel *channel = find(frame.channel);
    if (!channel) return refuse("no such channel");
    if (InterlockedExchange(&channel->busy, 1)) return refuse("the channel is in use");
    if (frame.size < sizeof channel->request || frame.size > sizeof channel->request + sizeof channel->words)
        return refuse("message size");
    if (!read_all(in, &channel->request, sizeof channel->request)) return 0;
    if (channel->request.size != frame.size - sizeof channel->request || channel->request.arena_size != frame.arena_size)
        return refuse("sizes disagree");
    if (!inside(channel, channel->request.arena_start, frame.arena_size)) return refuse("outside of the arena");
    if (!read_all(in, channel->words, channel->request.size)) return 0;
    if (!read_all(in, channel->arena + channel->request.arena_start, frame.arena_size)) return 0;
    if (channel->number) SetEvent(channel->arrived);
    else answer(channel);
    return 1;
}

void serve_stream(HANDLE in, HANDLE out, char *arena)
{
    static struct channel control;
    InitializeCriticalSection(&channels_lock);
    InitializeCriticalSection(&output_lock);
    output = out;
    control.arena = arena;
    control.arena_size = CONTROL_ARENA;
    add(&control);
    while (receive(in)) continue;
}
