/* Callbacks: a DLL calls a thunk, the client's function answers.
 *
 * A thunk is a few bytes of code that load the address of their struct thunk and jump to thunk_entry (thunk_*.S),
 * which calls callback(). That sends the arguments over the thread's channel as the answer to the call that is
 * under way, and serves whatever the client asks for until it says what the function returned.
 *
 * A thread that a DLL made has no channel. It borrows one from those that wait for this (SERVE), and
 * gives it back.
 */
#include <errno.h>
#include <string.h>

#include "agent.h"

#define STUB_SIZE 32
#define BLOCK_SIZE 65536
#define BLOCK_THUNKS (BLOCK_SIZE / STUB_SIZE)
#define LEAST_SPARE (BLOCK_THUNKS / 2)

#ifdef _WIN64
#define REALS 32
#else
#define REALS 0
#endif

struct thunk {
    uint32_t size;        /* bytes of argument words */
    uint32_t popped;      /* x86: bytes that a call takes off the stack */
    uint32_t real_size;   /* x86: 4 or 8 when the result goes onto the FPU stack, else 0 */
    _Atomic int live;
    uintptr_t id;
    struct thunk *next;   /* of the spare ones */
};
_Static_assert(offsetof(struct thunk, popped) == 4 && offsetof(struct thunk, real_size) == 8, "thunk_x86.S counts on these");

struct block {
    struct block *next;
    unsigned char *stubs;
    struct thunk thunks[BLOCK_THUNKS];
};

void thunk_entry(void);

/* A freed thunk goes to the end of the spare ones: as long as it is not in use again, a call of it is noticed. */
static struct block *blocks;
static struct thunk *first_spare, *last_spare;
static unsigned spare;
static CRITICAL_SECTION thunks_lock;

static struct channel *idle;
static CRITICAL_SECTION idle_lock;
static CONDITION_VARIABLE idle_came, service_ended;

void prepare_callbacks(void)
{
    InitializeCriticalSection(&thunks_lock);
    InitializeCriticalSection(&idle_lock);
    InitializeConditionVariable(&idle_came);
    InitializeConditionVariable(&service_ended);
}

static void write_stub(unsigned char *stub, const struct thunk *thunk)
{
    uintptr_t data = (uintptr_t)thunk, entry = (uintptr_t)thunk_entry;
#ifdef _WIN64
    memcpy(stub, "\x49\xba", 2);            /* mov r10, data */
    memcpy(stub + 2, &data, 8);
    memcpy(stub + 10, "\x49\xbb", 2);       /* mov r11, entry */
    memcpy(stub + 12, &entry, 8);
    memcpy(stub + 20, "\x41\xff\xe3", 3);   /* jmp r11 */
#else
    uintptr_t distance = entry - (uintptr_t)(stub + 10);
    stub[0] = 0xb8;                         /* mov eax, data */
    memcpy(stub + 1, &data, 4);
    stub[5] = 0xe9;                         /* jmp entry */
    memcpy(stub + 6, &distance, 4);
#endif
}

/* Code is written once, and then neither it nor anything else is both writable and executable. */
static int add_block(void)
{
    DWORD before;
    struct block *block = HeapAlloc(GetProcessHeap(), HEAP_ZERO_MEMORY, sizeof *block);
    if (!block) return 0;
    block->stubs = VirtualAlloc(NULL, BLOCK_SIZE, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE);
    for (int k = 0; block->stubs && k < BLOCK_THUNKS; k++) {
        write_stub(block->stubs + k * STUB_SIZE, &block->thunks[k]);
        block->thunks[k].next = k + 1 < BLOCK_THUNKS ? &block->thunks[k + 1] : first_spare;
    }
    if (!block->stubs || !VirtualProtect(block->stubs, BLOCK_SIZE, PAGE_EXECUTE_READ, &before)) {
        if (block->stubs) VirtualFree(block->stubs, 0, MEM_RELEASE);
        HeapFree(GetProcessHeap(), 0, block);
        return 0;
    }
    FlushInstructionCache(GetCurrentProcess(), block->stubs, BLOCK_SIZE);
    if (!first_spare) last_spare = &block->thunks[BLOCK_THUNKS - 1];
    first_spare = block->thunks;
    spare += BLOCK_THUNKS;
    block->next = blocks;
    blocks = block;
    return 1;
}

static uintptr_t stub_of(const struct thunk *thunk)
{
    struct block *block = blocks;
    while (thunk < block->thunks || thunk >= block->thunks + BLOCK_THUNKS) block = block->next;
    return (uintptr_t)block->stubs + (thunk - block->thunks) * STUB_SIZE;
}

static struct thunk *thunk_at(uintptr_t address)
{
    struct block *block = blocks;
    while (block && address - (uintptr_t)block->stubs >= BLOCK_SIZE) block = block->next;
    uintptr_t offset = block ? address - (uintptr_t)block->stubs : 1;
    return offset % STUB_SIZE ? NULL : &block->thunks[offset / STUB_SIZE];
}

uintptr_t thunk_new(uintptr_t id, uintptr_t size, uintptr_t popped, uintptr_t result)
{
    uintptr_t address = 0;
    if (size > MAX_ARGUMENT_BYTES || popped > size || (size | popped) % sizeof(void *)) {
        SetLastError(ERROR_INVALID_PARAMETER);
        return 0;
    }
    share_stacks();
    EnterCriticalSection(&thunks_lock);
    if (spare >= LEAST_SPARE || add_block()) {
        struct thunk *thunk = first_spare;
        first_spare = thunk->next;
        spare--;
        thunk->id = id;
        thunk->size = (uint32_t)size;
        thunk->popped = (uint32_t)popped;
        thunk->real_size = real_size((uint32_t)result);
        thunk->live = 1;
        address = stub_of(thunk);
    }
    LeaveCriticalSection(&thunks_lock);
    if (!address) SetLastError(ERROR_NOT_ENOUGH_MEMORY);
    return address;
}

uintptr_t thunk_free(uintptr_t address)
{
    EnterCriticalSection(&thunks_lock);
    struct thunk *thunk = thunk_at(address);
    int freed = thunk && thunk->live;
    if (freed) {
        thunk->live = 0;
        thunk->next = NULL;
        last_spare = last_spare->next = thunk;
        spare++;
    }
    LeaveCriticalSection(&thunks_lock);
    return freed;
}

uintptr_t serve_callbacks(void)
{
    struct channel *channel = current_channel();
    if (!channel || channel->callbacks || channel->over) return 0;
    EnterCriticalSection(&idle_lock);
    channel->next_idle = idle;
    idle = channel;
    WakeConditionVariable(&idle_came);
    while (!channel->over) SleepConditionVariableCS(&service_ended, &idle_lock, INFINITE);
    LeaveCriticalSection(&idle_lock);
    return 1;
}

void end_service(struct channel *channel)
{
    EnterCriticalSection(&idle_lock);
    for (struct channel **link = &idle; *link; link = &(*link)->next_idle)
        if (*link == channel) {
            *link = channel->next_idle;
            channel->over = 1;
            WakeAllConditionVariable(&service_ended);
            break;
        }
    LeaveCriticalSection(&idle_lock);
}

static struct channel *borrow(void)
{
    EnterCriticalSection(&idle_lock);
    while (!idle) SleepConditionVariableCS(&idle_came, &idle_lock, INFINITE);
    struct channel *channel = idle;
    idle = channel->next_idle;
    LeaveCriticalSection(&idle_lock);
    set_current_channel(channel);
    return channel;
}

static void give_back(struct channel *channel)
{
    set_current_channel(NULL);
    EnterCriticalSection(&idle_lock);
    if (channel->over) {
        WakeAllConditionVariable(&service_ended);
    } else {
        channel->next_idle = idle;
        idle = channel;
        WakeConditionVariable(&idle_came);
    }
    LeaveCriticalSection(&idle_lock);
}

/* Returns 0 when the client has given the channel up, now or earlier. */
static int ask(struct channel *channel, const struct thunk *thunk, const void *reals, const void *words, struct request *answer)
{
    uint32_t size = thunk->size;            /* once: another thread may free the thunk and make it anew */
    char area[REALS + size + 1];            /* no more than needed: callbacks nest, and the stack has to hold them all */
    struct response response = {.status = STATUS_CALLBACK, .result = (int64_t)thunk->id, .last_error = channel->last_error,
                                .errno_value = errno, .access = REALS + size};
    if (channel->over) return 0;
    if (REALS) memcpy(area, reals, REALS);
    memcpy(area + REALS, words, size);
    channel->callbacks++;
    channel->carrier->respond(channel, channel->running, &response, area, REALS + size);
    int answered = serve(channel, answer);
    channel->callbacks--;
    return answered;
}

static uint64_t converse(struct channel *channel, const struct thunk *thunk, const void *reals, const void *words, uint32_t *exception)
{
    struct request answer;
    uint64_t result = 0;
    if (!ask(channel, thunk, reals, words, &answer)) return 0;
    if (answer.size == sizeof result) memcpy(&result, channel->words, sizeof result);
    if (answer.flags & FLAG_SWAP_LAST_ERROR) channel->last_error = answer.last_error;
    if (answer.flags & FLAG_SWAP_ERRNO) errno = answer.errno_value;
    *exception = (uint32_t)answer.target;
    return result;
}

/* Called by thunk_entry. The last error is the DLL's before and the client's code's after. */
uint64_t callback(const struct thunk *thunk, const void *reals, const void *words)
{
    DWORD last_error = GetLastError();
    uint32_t exception = thunk->live ? 0 : CALLBACK_GONE;
    uint64_t result = 0;
    if (!exception) {
        struct channel *own = current_channel(), *channel = own ? own : borrow();
        channel->last_error = last_error;
        result = converse(channel, thunk, reals, words, &exception);
        last_error = channel->last_error;
        if (!own) give_back(channel);
    }
    if (exception) RaiseException(exception, EXCEPTION_NONCONTINUABLE, 0, NULL);
    SetLastError(last_error);
    return result;
}
