/* In the place of kernel_*.S and fault.c: calls the agent's own functions and a few known callees, nothing else.
 *
 * Reading, writing and calling whatever address the client names is what the protocol is for; on Wine the guard of
 * invoke() makes a fault of a bad one. Here an address is looked up before it is used, with the same outcome. */
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "harness.h"

#define BLOCKS 64
#define MOST_WORDS 7

struct guard {
    jmp_buf landing;
    struct fault fault;
    struct guard *outer;
};

static _Thread_local struct guard *guard;
static CRITICAL_SECTION lock = PTHREAD_MUTEX_INITIALIZER;
static uintptr_t blocks[BLOCKS], shared[BLOCKS], thunks[BLOCKS];   /* what ALLOC, SHARE and THUNK_NEW have given */
static uintptr_t foreign_thunk;
_Atomic int exit_asked;

extern char __executable_start __attribute__((weak)), etext __attribute__((weak));    /* not in a library */

struct thunk;
uint64_t callback(const struct thunk *thunk, const void *reals, const void *words);
void thunk_entry(void) {}

/* Of stack_*.S: the thread's own stack does as well here, and AddressSanitizer knows it. */
void on_stack(void *low, void *high, void *limit, void (*function)(void *), void *argument)
{
    if ((char *)limit >= (char *)high || (char *)high - (char *)low < THREAD_STACK_COMMIT) abort();
    function(argument);
}

/* Of desktop.c: there is none here. */
int prepare_desktop(void)
{
    return 1;
}

/* Of main.c: EXIT is answered here without it. */
uintptr_t leave(uintptr_t code)
{
    return code;
}

void raise_in_call(uint32_t code, uint64_t address)
{
    if (!guard) abort();
    guard->fault = (struct fault){.code = code, .address = address};
    longjmp(guard->landing, 1);
}

struct region region_at(uintptr_t address)
{
    struct channel *channel = current_channel();
    if (address - MEMORY_ADDRESS < MEMORY_SIZE) return (struct region){MEMORY_ADDRESS, MEMORY_SIZE};
    for (struct arena *arena = channel ? channel->arena : NULL; arena; arena = arena->older)
        if (address - (uintptr_t)arena->bytes < arena->size) return (struct region){(uintptr_t)arena->bytes, arena->size};
    return (struct region){0, 0};
}

/* The bytes from an address to the end of what it lies in. */
static uintptr_t room_at(uintptr_t address)
{
    struct region region = region_at(address);
    return region.size ? region.start + region.size - address : 0;
}

static void need(uintptr_t address, uintptr_t size)
{
    if (size > room_at(address)) raise_in_call(EXCEPTION_ACCESS_VIOLATION, address);
}

/* x86 would not mind; UndefinedBehaviorSanitizer does. */
static void need_even(uintptr_t address)
{
    if (address % 2) raise_in_call(EXCEPTION_ACCESS_VIOLATION, address);
}

static void need_text(uintptr_t address, uintptr_t width)
{
    uintptr_t room = room_at(address), size = 0;
    const char *text = (const char *)address;
    while (size + width <= room && (text[size] || text[size + width - 1])) size += width;
    need(address, size + width);
    if (width == 2) need_even(address);
}

static void check(uint32_t op, const uintptr_t *word)
{
    switch (op) {
    case OP_LOAD: case OP_MAP: case OP_SHARE: need_text(word[0], 2); break;
    case OP_RESOLVE: if (word[1] > 0xffff) need_text(word[1], 1); break;
    case OP_MODULE_PATH: need_even(word[1]); need(word[1], (uint32_t)word[2] * 2ull); break;
    case OP_READ: case OP_WRITE: need(word[0], word[2]); need(word[1], word[2]); break;
    case OP_PATCH: need(word[0], word[2]); need(word[1], 2ull * word[2]); break;
    case OP_STRING: need(word[0], word[2]); need(word[1], word[2]); break;
    case OP_OPEN_SHARED: need_text(word[0], 2); need_text(word[3], 2); need_text(word[4], 2); break;
    }
}

static uintptr_t meant(uintptr_t word)
{
    struct channel *channel = current_channel();
    uintptr_t offset = word & 0xffffffffffffff;
    switch (word >> 56) {
    case IN_ARENA: return channel && channel->arena ? (uintptr_t)channel->arena->bytes + (uint32_t)offset : 0;
    case THUNK: return thunks[offset % BLOCKS];
    case BLOCK: return blocks[offset % BLOCKS];
    default: return word;
    }
}

static void keep(uintptr_t *table, uintptr_t value)
{
    EnterCriticalSection(&lock);
    for (int k = 0; value && k < BLOCKS; k++)
        if (!table[k]) {
            table[k] = value;
            break;
        }
    LeaveCriticalSection(&lock);
}

/* With room to spare: other threads may be about to keep something. */
static int is_full(const uintptr_t *table)
{
    int used = 0;
    EnterCriticalSection(&lock);
    for (int k = 0; k < BLOCKS; k++) used += table[k] != 0;
    LeaveCriticalSection(&lock);
    return used > BLOCKS / 2;
}

static int take(uintptr_t *table, uintptr_t value)
{
    int found = 0;
    EnterCriticalSection(&lock);
    for (int k = 0; value && k < BLOCKS && !found; k++)
        if (table[k] == value) {
            table[k] = 0;
            found = 1;
        }
    LeaveCriticalSection(&lock);
    return found;
}

/* What a DLL's code does, without its code: the struct thunk stands in the stub's first instruction. */
static uint64_t call_thunk(uintptr_t stub)
{
    static const char reals[32];
    char words[MAX_ARGUMENT_BYTES] = "words of a DLL";
    const struct thunk *thunk;
    int known = 0;
    EnterCriticalSection(&lock);
    for (int k = 0; k < BLOCKS; k++) known |= stub && thunks[k] == stub;
    LeaveCriticalSection(&lock);
    if (!known) raise_in_call(EXCEPTION_ACCESS_VIOLATION, stub);
    memcpy(&thunk, (const char *)stub + 2, sizeof thunk);
    return callback(thunk, reals, words);
}

static void thread_of_a_dll(void)
{
    struct guard own = {.outer = NULL};
    uintptr_t stub = __atomic_load_n(&foreign_thunk, __ATOMIC_SEQ_CST);
    guard = &own;
    if (!setjmp(own.landing)) call_thunk(stub);
    guard = NULL;
}

static uint64_t known_callee(uint64_t function, const uintptr_t *word, uint64_t size)
{
    uint64_t sum = 0;
    switch (function) {
    case SUM:
        for (uint64_t k = 0; k < size / sizeof *word; k++) sum += word[k];
        return sum;
    case CALLS_THUNK: return call_thunk(meant(word[0]));
    case THREAD_CALLS_THUNK:
        if (threads_alive() > 16) return 0;
        __atomic_store_n(&foreign_thunk, meant(word[0]), __ATOMIC_SEQ_CST);
        start_thread(thread_of_a_dll);
        return 0;
    default: raise_in_call(EXCEPTION_ACCESS_VIOLATION, function);
    }
}

static uint64_t own_function(uint32_t op, uintptr_t function, uintptr_t *word)
{
    if (op == OP_EXIT) {
        exit_asked = 1;
        return 0;
    }
    if ((op == OP_ALLOC || op == OP_HEAP) && is_full(blocks)) return 0;
    if (op == OP_SHARE && is_full(shared)) return 0;
    if (op == OP_RELEASE && !take(blocks, word[0])) return 0;
    if (op == OP_UNSHARE && !take(shared, word[0])) return 0;
    check(op, word);
    if (op == OP_OPEN_SHARED) word[5] = word[6] = 0;      /* no spinning: the threads of a run may share one core */
    uintptr_t result = ((uintptr_t(*)(uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t))function)(
        word[0], word[1], word[2], word[3], word[4], word[5], word[6]);
    if (op == OP_ALLOC || op == OP_HEAP) keep(blocks, result);
    if (op == OP_SHARE) keep(shared, result);
    if (op == OP_THUNK_NEW) keep(thunks, result);
    return result;
}

static uint32_t op_of(uintptr_t function)
{
    for (uint32_t op = 1; op < 64; op++)
        if (builtin(op) && builtin(op) == function) return op;
    return 0;
}

static uint64_t call_it(const struct call *call, uintptr_t *word)
{
    uintptr_t function = call->function;
    uint32_t op = op_of(function);
    if (op) return own_function(op, function, word);
    if (&__executable_start && function - (uintptr_t)&__executable_start < (uintptr_t)(&etext - &__executable_start))
        return ((uintptr_t(*)(uintptr_t))function)(word[0]);    /* call_many's loop */
    return known_callee(function, word, call->size);
}

int invoke(struct call *call)
{
    struct guard own = {.outer = guard};
    uintptr_t words[MAX_ARGUMENT_BYTES / sizeof(uintptr_t) + MOST_WORDS] = {0};
    memcpy(words, (const void *)(uintptr_t)call->words, call->size);
    for (int k = 0; k < MOST_WORDS; k++) words[k] = meant(words[k]);
    guard = &own;
    int failed = setjmp(own.landing);
    if (failed) call->fault = own.fault;
    else call->integer = call_it(call, words);
    guard = own.outer;
    return failed;
}

void kernel_reset(void)
{
    static char *memory;
    if (!memory) memory = mmap((void *)(uintptr_t)MEMORY_ADDRESS, MEMORY_SIZE, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (memory == MAP_FAILED) abort();
    memset(memory, 0, MEMORY_SIZE);
    for (int k = 0; k < BLOCKS; k++) {
        free((void *)blocks[k]);
        if (shared[k]) UnmapViewOfFile((void *)shared[k]);
        blocks[k] = shared[k] = thunks[k] = 0;
    }
    exit_asked = 0;
}

void keep_room_for_handlers(void)
{
    /* The stacks of Linux have their guard page from the start. */
}
