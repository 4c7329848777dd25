/* CALL_MANY: one request, many calls of one function.
 *
 * Results and arguments lie in columns (struct column): a first address, a stride, a type. So arrays that both
 * sides see are read and written in place, and a number that is the same for all items has the stride 0.
 *
 * The loop runs under a guard of its own around that of each item: a column that goes away under it is a fault of this
 * request. It ends early when its time is up, so that the client gets to look at what else there is.
 */
#include <string.h>

#include "agent.h"

#define NO_MEMORY_TO_READ (PAGE_NOACCESS | PAGE_GUARD | PAGE_EXECUTE)
#define MEMORY_TO_WRITE (PAGE_READWRITE | PAGE_WRITECOPY | PAGE_EXECUTE_READWRITE | PAGE_EXECUTE_WRITECOPY)

struct loop {
    struct many many;
    struct call call;              /* of the newest item */
    struct channel *channel;
    const struct column *results, *arguments, *end;
    uint32_t result;               /* the type that the function returns */
    int failed;
};

static uint32_t size_of(uint32_t kind)
{
    static const uint8_t sizes[] = {
        [RESULT_INT8] = 1, [RESULT_UINT8] = 1, [RESULT_INT16] = 2, [RESULT_UINT16] = 2, [RESULT_INT32] = 4,
        [RESULT_UINT32] = 4, [RESULT_INT64] = 8, [RESULT_POINTER] = sizeof(void *), [RESULT_FLOAT] = 4, [RESULT_DOUBLE] = 8,
    };
    return kind < sizeof sizes ? sizes[kind] : 0;
}

static uint32_t word_size(uint32_t kind)
{
    return size_of(kind) < sizeof(uintptr_t) ? sizeof(uintptr_t) : size_of(kind);
}

static int has_access(const MEMORY_BASIC_INFORMATION *memory, int write)
{
    if (memory->State != MEM_COMMIT || memory->Protect & NO_MEMORY_TO_READ) return 0;
    return !write || memory->Protect & MEMORY_TO_WRITE;
}

static int accessible(uint64_t low, uint64_t high, int write)
{
    MEMORY_BASIC_INFORMATION memory;
    while (low < high) {
        if (!VirtualQuery((void *)(uintptr_t)low, &memory, sizeof memory) || !has_access(&memory, write)) return 0;
        low = (uint64_t)(uintptr_t)memory.BaseAddress + memory.RegionSize;
    }
    return 1;
}

/* Whether a column's items, and all between them, lie in memory that there is. */
static int is_sound(const struct column *column, uint64_t count, int write)
{
    int64_t distance;
    uint64_t last, end;
    uint32_t size = size_of(column->kind);
    if (!size || count - 1 > INT64_MAX) return 0;
    if (__builtin_mul_overflow(column->stride, (int64_t)(count - 1), &distance)) return 0;
    if (__builtin_add_overflow(column->address, distance, &last)) return 0;
    uint64_t low = last < column->address ? last : column->address, high = last < column->address ? column->address : last;
    return !__builtin_add_overflow(high, size, &end) && end <= UINTPTR_MAX && accessible(low, end, write);
}

static uint32_t malformed(const struct loop *loop)
{
    const struct column progress = {.address = loop->many.progress, .kind = RESULT_INT64};
    if (!loop->many.count || !is_sound(&progress, 1, 1)) return MALFORMED_COLUMN;
    if (loop->result && !is_sound(loop->results, loop->many.count, 1)) return MALFORMED_COLUMN;
    for (const struct column *column = loop->arguments; column < loop->end; column++)
        if (!is_sound(column, loop->many.count, 0)) return MALFORMED_COLUMN;
    return 0;
}

static char *place(const struct column *column, uint64_t item)
{
    return (char *)(uintptr_t)(column->address + (uint64_t)column->stride * item);
}

#define WIDENED(type) do { type value; memcpy(&value, at, sizeof value); *word = (uintptr_t)value; } while (0)

static void load(uintptr_t *word, uint32_t kind, const char *at)
{
    switch (kind) {
    case RESULT_INT8: WIDENED(int8_t); break;
    case RESULT_UINT8: WIDENED(uint8_t); break;
    case RESULT_INT16: WIDENED(int16_t); break;
    case RESULT_UINT16: WIDENED(uint16_t); break;
    case RESULT_INT32: WIDENED(int32_t); break;
    case RESULT_UINT32: case RESULT_FLOAT: WIDENED(uint32_t); break;
    case RESULT_POINTER: WIDENED(uintptr_t); break;
    default: memcpy(word, at, 8);   /* two words of x86 */
    }
}

static void store(char *at, uint32_t kind, int64_t integer, double real)
{
    float narrow = (float)real;
    switch (kind) {
    case RESULT_INT8: case RESULT_UINT8: memcpy(at, &integer, 1); break;
    case RESULT_INT16: case RESULT_UINT16: memcpy(at, &integer, 2); break;
    case RESULT_INT32: case RESULT_UINT32: memcpy(at, &integer, 4); break;
    case RESULT_POINTER: memcpy(at, &integer, sizeof(void *)); break;
    case RESULT_INT64: memcpy(at, &integer, 8); break;
    case RESULT_FLOAT: memcpy(at, &narrow, 4); break;
    default: memcpy(at, &real, 8);
    }
}

static int call_item(struct loop *loop, uint64_t item)
{
    char *word = (char *)(uintptr_t)loop->call.words;
    for (const struct column *column = loop->arguments; column < loop->end; word += word_size(column->kind), column++)
        load((uintptr_t *)word, column->kind, place(column, item));
    if (invoke(&loop->call)) return 0;
    if (loop->result)
        store(place(loop->results, item), loop->results->kind, widened(loop->result, &loop->call), real(loop->result, &loop->call));
    return 1;
}

/* Called by invoke(), for its guard. The progress is told at each item: a fault leaves no other trace of where it was. */
static uintptr_t run(struct loop *loop)
{
    char *progress = (char *)(uintptr_t)loop->many.progress;
    DWORD start = GetTickCount();
    uint64_t done = 0;
    memcpy(progress, &done, sizeof done);
    do {
        loop->failed = !call_item(loop, done);
        if (loop->failed) break;
        done++;
        memcpy(progress, &done, sizeof done);
    } while (done < loop->many.count && loop->call.popped == loop->many.popped
             && GetTickCount() - start < loop->many.budget && !loop->channel->over);
    return 0;
}

uint32_t call_many(struct channel *channel, const struct request *request, struct response *response)
{
    uint64_t message[request->size / 8 + 1];    /* a callback of an item brings other words to channel->words */
    memcpy(message, channel->words, request->size);
    const struct column *columns = (const struct column *)((char *)message + sizeof(struct many));
    if (request->size < sizeof(struct many) + sizeof *columns) return MALFORMED_SIZE;
    if ((request->size - sizeof(struct many)) % sizeof *columns) return MALFORMED_SIZE;
    size_t count = (request->size - sizeof(struct many)) / sizeof *columns;
    struct loop loop = {.channel = channel, .results = columns, .arguments = columns + 1, .end = columns + count,
                        .result = request->flags & 0xff};
    memcpy(&loop.many, message, sizeof loop.many);
    uint32_t rule = malformed(&loop);
    if (rule) return rule;
    uint64_t words[count];
    uintptr_t argument = (uintptr_t)&loop;
    loop.call = (struct call){.function = request->target, .words = (uintptr_t)words, .real_size = real_size(loop.result)};
    for (const struct column *column = loop.arguments; column < loop.end; column++) loop.call.size += word_size(column->kind);
    struct call call = {.function = (uintptr_t)run, .words = (uintptr_t)&argument, .size = sizeof argument};
    if (invoke_with_errors(channel, request, &call, response)) report_fault(&call.fault, response);
    else if (loop.failed) report_fault(&loop.call.fault, response);
    response->popped = loop.call.popped;
    return 0;
}
