/* Frames over a byte stream: the agent's standard input and output, whatever carries them (a pipe, ssh).
 *
 * The main thread reads frames and hands each to its channel's thread; it serves channel 0 itself, which
 * opens the others. Nothing else may block it: it is also the watchdog, since the end of the
 * stream is how the agent learns that its client has gone.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "agent.h"

struct stream {
    struct channel base;
    struct stream *next;
    uint32_t number;
    HANDLE arrived;
    volatile LONG busy;
    _Atomic int closing;
    struct request request;
};

static struct stream control, *streams;
static CRITICAL_SECTION streams_lock, output_lock;
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

/* One that closes is not found any more: its thread may free it at any time. */
static struct stream *find(uint32_t number)
{
    EnterCriticalSection(&streams_lock);
    struct stream *stream = streams;
    while (stream && (stream->number != number || stream->closing)) stream = stream->next;
    LeaveCriticalSection(&streams_lock);
    return stream;
}

static int inside(const struct arena *arena, uint64_t start, uint64_t size)
{
    return start <= arena->size && size <= arena->size - start;
}

static void write_frame(const struct frame *frame, const struct response *response, const void *area, uint32_t size, const char *memory)
{
    EnterCriticalSection(&output_lock);
    int sent = write_all(output, frame, sizeof *frame) && write_all(output, response, sizeof *response)
               && write_all(output, area, size) && write_all(output, memory, frame->arena_size);
    LeaveCriticalSection(&output_lock);
    if (!sent) TerminateProcess(GetCurrentProcess(), 0);
}

static void respond(struct channel *base, const struct task *task, const struct response *given, const void *area, uint32_t size)
{
    struct stream *stream = (struct stream *)base;
    struct response response = *given;
    uint64_t start = task->request.arena_start, back = response.status == STATUS_MALFORMED ? 0 : task->request.arena_back;
    if (!inside(task->arena, start, back)) {
        start = back = 0;
        if (!size) response = (struct response){.status = STATUS_MALFORMED, .result = MALFORMED_ARENA};
    }
    struct frame frame = {.magic = FRAME_MAGIC, .channel = stream->number, .size = sizeof response + size, .arena_size = back};
    InterlockedExchange(&stream->busy, 0);
    write_frame(&frame, &response, area, size, task->arena->bytes + start);
}

static int wait_for_request(struct channel *base, struct request *request)
{
    struct stream *stream = (struct stream *)base;
    if (stream->closing && !stream->busy) return 0;
    if (WaitForSingleObject(stream->arrived, INFINITE) != WAIT_OBJECT_0) return 0;
    if (stream->closing && !stream->busy) return 0;     /* what came before that is done: the client counts on an answer */
    *request = stream->request;
    return 1;
}

static void unmap(char *arena)
{
    VirtualFree(arena, 0, MEM_RELEASE);
}

static const struct carrier carrier = {.receive = wait_for_request, .respond = respond, .unmap = unmap};

static void forget(struct stream *stream)
{
    EnterCriticalSection(&streams_lock);
    for (struct stream **link = &streams; *link; link = &(*link)->next)
        if (*link == stream) {
            *link = stream->next;
            break;
        }
    LeaveCriticalSection(&streams_lock);
    CloseHandle(stream->arrived);
    drop_arenas(&stream->base);
    HeapFree(GetProcessHeap(), 0, stream);
}

static DWORD WINAPI serve_channel(void *argument)
{
    struct stream *stream = argument;
    struct request none;
    set_current_channel(&stream->base);
    keep_room_for_handlers();
    serve(&stream->base, &none);
    forget(stream);
    return 0;
}

static void add(struct stream *stream)
{
    stream->base.carrier = &carrier;
    EnterCriticalSection(&streams_lock);
    stream->next = streams;
    streams = stream;
    LeaveCriticalSection(&streams_lock);
}

static uintptr_t invalid(void)
{
    SetLastError(ERROR_INVALID_PARAMETER);
    return 0;
}

static uintptr_t new_arena(struct stream *stream, uintptr_t size)
{
    char *arena = VirtualAlloc(NULL, size, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE);
    if (arena && !add_arena(&stream->base, arena, size)) {
        VirtualFree(arena, 0, MEM_RELEASE);
        return 0;
    }
    return (uintptr_t)arena;
}

/* For the calling thread's own channel only: nobody else may touch its arenas. */
uintptr_t stream_arena(uintptr_t number, uintptr_t size)
{
    struct channel *channel = current_channel();
    if (!channel || channel->carrier != &carrier) return invalid();
    struct stream *stream = (struct stream *)channel;
    return stream->number == number ? new_arena(stream, size) : invalid();
}

/* Streams come and go by channel 0 alone, so none goes while the main thread reads a frame for it. */
uintptr_t open_stream(uintptr_t number, uintptr_t size)
{
    if (current_channel() != &control.base || number != (uint32_t)number || find((uint32_t)number)) return invalid();
    struct stream *stream = HeapAlloc(GetProcessHeap(), HEAP_ZERO_MEMORY, sizeof *stream);
    if (!stream) return 0;
    stream->number = (uint32_t)number;
    stream->arrived = CreateEventW(NULL, FALSE, FALSE, NULL);
    add(stream);
    uintptr_t arena = stream->arrived ? new_arena(stream, size) : 0;
    HANDLE thread = arena ? CreateThread(NULL, THREAD_STACK_COMMIT, serve_channel, stream, 0, NULL) : NULL;
    if (!thread) {
        DWORD error = GetLastError();
        forget(stream);
        SetLastError(error);
        return 0;
    }
    CloseHandle(thread);
    return arena;
}

/* The thread frees the stream as soon as it hears of this. */
static void finish(struct stream *stream)
{
    EnterCriticalSection(&streams_lock);
    stream->closing = 1;
    end_service(&stream->base);
    SetEvent(stream->arrived);
    LeaveCriticalSection(&streams_lock);
}

uintptr_t close_stream(uintptr_t number)
{
    int mine = current_channel() == &control.base && number && number == (uint32_t)number;
    struct stream *stream = mine ? find((uint32_t)number) : NULL;
    if (!stream) return invalid();
    finish(stream);
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

/* The memory that comes with a callback's answer is that of the call that waits for it. */
static const struct arena *arena_of(const struct stream *stream)
{
    const struct channel *channel = &stream->base;
    return stream->request.op == OP_CALLBACK_RETURN && channel->running ? channel->running->arena : channel->arena;
}

/* After a broken frame nothing says where the next one starts, so the stream ends there. */
static int receive(HANDLE in)
{
    struct frame frame;
    if (!read_all(in, &frame, sizeof frame)) return 0;
    if (frame.magic != FRAME_MAGIC) return refuse("not a frame");
    struct stream *stream = find(frame.channel);
    if (!stream) return refuse("no such channel");
    if (InterlockedExchange(&stream->busy, 1)) return refuse("the channel is in use");
    struct request *request = &stream->request;
    if (frame.size < sizeof *request || frame.size > sizeof *request + MAX_ARGUMENT_BYTES) return refuse("message size");
    if (!read_all(in, request, sizeof *request)) return 0;
    if (request->size != frame.size - sizeof *request || request->arena_size != frame.arena_size)
        return refuse("sizes disagree");
    const struct arena *arena = arena_of(stream);
    if (!inside(arena, request->arena_start, frame.arena_size)) return refuse("outside of the arena");
    if (!read_all(in, stream->base.words, request->size)) return 0;
    if (!read_all(in, arena->bytes + request->arena_start, frame.arena_size)) return 0;
    if (stream->number) {
        SetEvent(stream->arrived);
    } else {
        struct task task = {.request = *request};
        work(&stream->base, &task);
    }
    return 1;
}

void serve_stream(HANDLE in, HANDLE out, char *arena)
{
    InitializeCriticalSection(&streams_lock);
    InitializeCriticalSection(&output_lock);
    output = out;
    control.base.over = 1;      /* for callbacks: the main thread must not wait for anything but the next frame */
    set_current_channel(&control.base);
    add(&control);
    if (!add_arena(&control.base, arena, CONTROL_ARENA)) return;
    while (receive(in)) continue;
}
