/* Windows for the agent's parsers: every block is malloc's, so that AddressSanitizer knows its bounds, and each wait is
 * counted, so that a target can tell an agent that waits from one that hangs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness.h"

#define LARGEST_BLOCK (1u << 20)

enum kind { FILE_HANDLE, MAPPING_HANDLE, EVENT_HANDLE, THREAD_HANDLE };

struct object {
    enum kind kind;
    uint32_t name;
    int set;
    unsigned waiting;
    pthread_cond_t changed;
};

uint32_t (*pipe_read)(uint32_t name, void *buffer, uint32_t size);
void (*pipe_written)(uint32_t name, const void *bytes, uint32_t size);
void *(*segment_mapped)(size_t size);
void (*segment_unmapped)(void *address);

static pthread_mutex_t big_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t idle = PTHREAD_COND_INITIALIZER;
static unsigned alive, active;      /* threads of the agent; those that do not wait */
static _Thread_local DWORD last_error;
static _Thread_local int counted;   /* whether this thread is one of them */
static _Thread_local void *tls;

/* A thread that is woken counts as active at once, not when it comes to run. */
static void begin_to_wait(void)
{
    if (counted && !--active) pthread_cond_broadcast(&idle);
}

void wait_until_idle(void)
{
    pthread_mutex_lock(&big_lock);
    while (active) pthread_cond_wait(&idle, &big_lock);
    pthread_mutex_unlock(&big_lock);
}

unsigned threads_alive(void)
{
    pthread_mutex_lock(&big_lock);
    unsigned count = alive;
    pthread_mutex_unlock(&big_lock);
    return count;
}

struct start {
    LPTHREAD_START_ROUTINE routine;
    void *argument;
};

static void *run_thread(void *argument)
{
    struct start start = *(struct start *)argument;
    free(argument);
    counted = 1;
    start.routine(start.argument);
    pthread_mutex_lock(&big_lock);
    alive--;
    begin_to_wait();
    pthread_mutex_unlock(&big_lock);
    return NULL;
}

static int start_counted(LPTHREAD_START_ROUTINE routine, void *argument)
{
    pthread_t thread;
    struct start *start = malloc(sizeof *start);
    *start = (struct start){.routine = routine, .argument = argument};
    pthread_mutex_lock(&big_lock);
    alive++;
    active++;
    pthread_mutex_unlock(&big_lock);
    if (pthread_create(&thread, NULL, run_thread, start)) abort();
    pthread_detach(thread);
    return 1;
}

static DWORD run_plain(void *start)
{
    ((void (*)(void))start)();
    return 0;
}

void start_thread(void (*start)(void))
{
    start_counted(run_plain, (void *)start);
}

void end_threads(void)
{
    for (wait_until_idle(); threads_alive(); wait_until_idle()) {
        close_all_streams();
        end_all_services();
        wait_until_idle();
        if (threads_alive() && !release_a_borrower()) {
            fprintf(stderr, "%u threads of the agent wait for what never comes\n", threads_alive());
            abort();
        }
    }
}

static void *new_object(enum kind kind)
{
    struct object *object = calloc(1, sizeof *object);
    object->kind = kind;
    pthread_cond_init(&object->changed, NULL);
    return object;
}

BOOL CloseHandle(HANDLE handle)
{
    if (handle && handle != INVALID_HANDLE_VALUE) free(handle);
    return 1;
}

HANDLE CreateThread(void *security, SIZE_T stack, LPTHREAD_START_ROUTINE start, void *argument, DWORD flags, DWORD *id)
{
    (void)security, (void)stack, (void)flags, (void)id;
    start_counted(start, argument);
    return new_object(THREAD_HANDLE);
}

HANDLE CreateEventW(void *security, BOOL manual, BOOL initial, const WCHAR *name)
{
    (void)security, (void)manual, (void)initial, (void)name;
    return new_object(EVENT_HANDLE);
}

BOOL SetEvent(HANDLE handle)
{
    struct object *event = handle;
    pthread_mutex_lock(&big_lock);
    event->set = 1;
    if (event->waiting) {
        event->waiting--;
        active++;
        pthread_cond_signal(&event->changed);
    }
    pthread_mutex_unlock(&big_lock);
    return 1;
}

DWORD WaitForSingleObject(HANDLE handle, DWORD milliseconds)
{
    struct object *event = handle;
    (void)milliseconds;
    if (!event) return INFINITE;
    pthread_mutex_lock(&big_lock);
    if (!event->set) {
        event->waiting++;
        begin_to_wait();
        while (!event->set) pthread_cond_wait(&event->changed, &big_lock);
    }
    event->set = 0;
    pthread_mutex_unlock(&big_lock);
    return WAIT_OBJECT_0;
}

void InitializeCriticalSection(CRITICAL_SECTION *section)
{
    pthread_mutex_init(section, NULL);
}

void EnterCriticalSection(CRITICAL_SECTION *section)
{
    pthread_mutex_lock(section);
}

void LeaveCriticalSection(CRITICAL_SECTION *section)
{
    pthread_mutex_unlock(section);
}

void InitializeConditionVariable(CONDITION_VARIABLE *condition)
{
    *condition = (CONDITION_VARIABLE){.waiting = 0};
    pthread_cond_init(&condition->changed, NULL);
}

BOOL SleepConditionVariableCS(CONDITION_VARIABLE *condition, CRITICAL_SECTION *section, DWORD milliseconds)
{
    (void)milliseconds;
    pthread_mutex_lock(&big_lock);
    condition->waiting++;
    begin_to_wait();
    LeaveCriticalSection(section);
    while (!condition->woken) pthread_cond_wait(&condition->changed, &big_lock);
    condition->woken--;
    pthread_mutex_unlock(&big_lock);
    EnterCriticalSection(section);
    return 1;
}

static void wake(CONDITION_VARIABLE *condition, unsigned count)
{
    pthread_mutex_lock(&big_lock);
    for (; count && condition->waiting; count--) {
        condition->waiting--;
        condition->woken++;
        active++;
    }
    pthread_cond_broadcast(&condition->changed);
    pthread_mutex_unlock(&big_lock);
}

void WakeConditionVariable(CONDITION_VARIABLE *condition)
{
    wake(condition, 1);
}

void WakeAllConditionVariable(CONDITION_VARIABLE *condition)
{
    wake(condition, ~0u);
}

DWORD TlsAlloc(void)
{
    return 0;
}

void *TlsGetValue(DWORD slot)
{
    (void)slot;
    last_error = 0;
    return tls;
}

BOOL TlsSetValue(DWORD slot, void *value)
{
    (void)slot;
    tls = value;
    return 1;
}

LONG InterlockedExchange(volatile LONG *target, LONG value)
{
    return __atomic_exchange_n(target, value, __ATOMIC_SEQ_CST);
}

DWORD GetLastError(void)
{
    return last_error;
}

void SetLastError(DWORD error)
{
    last_error = error;
}

static void *fail(DWORD error)
{
    last_error = error;
    return NULL;
}

HANDLE GetProcessHeap(void)
{
    return NULL;
}

void *HeapAlloc(HANDLE heap, DWORD flags, SIZE_T size)
{
    (void)heap, (void)flags;
    return size > LARGEST_BLOCK ? fail(ERROR_NOT_ENOUGH_MEMORY) : calloc(1, size ? size : 1);
}

BOOL HeapFree(HANDLE heap, DWORD flags, void *block)
{
    (void)heap, (void)flags;
    free(block);
    return 1;
}

/* At an address of the client's choice is no room: the fuzzer's own memory lies there. */
void *VirtualAlloc(void *address, SIZE_T size, DWORD kind, DWORD protection)
{
    (void)kind, (void)protection;
    return address || !size || size > LARGEST_BLOCK ? fail(ERROR_INVALID_PARAMETER) : calloc(1, size);
}

BOOL VirtualFree(void *address, SIZE_T size, DWORD kind)
{
    (void)size, (void)kind;
    free(address);
    return 1;
}

BOOL VirtualProtect(void *address, SIZE_T size, DWORD protection, DWORD *before)
{
    (void)address, (void)size, (void)protection;
    *before = PAGE_READWRITE;
    return 1;
}

SIZE_T VirtualQuery(const void *address, MEMORY_BASIC_INFORMATION *memory, SIZE_T size)
{
    struct region region = region_at((uintptr_t)address);
    if (!region.size) return 0;
    *memory = (MEMORY_BASIC_INFORMATION){.BaseAddress = (void *)region.start, .RegionSize = region.size,
                                         .State = MEM_COMMIT, .Protect = PAGE_READWRITE};
    return size;
}

HANDLE CreateFileW(const WCHAR *path, DWORD access, DWORD share, void *security, DWORD disposition, DWORD flags, HANDLE template)
{
    (void)access, (void)share, (void)security, (void)disposition, (void)flags, (void)template;
    if (!*path) return INVALID_HANDLE_VALUE;
    struct object *file = new_object(FILE_HANDLE);
    file->name = *path;
    return file;
}

HANDLE CreateFileMappingW(HANDLE file, void *security, DWORD protection, DWORD high, DWORD low, const WCHAR *name)
{
    (void)file, (void)security, (void)protection, (void)high, (void)low, (void)name;
    return new_object(MAPPING_HANDLE);
}

void *MapViewOfFileEx(HANDLE mapping, DWORD access, DWORD high, DWORD low, SIZE_T size, void *address)
{
    (void)mapping, (void)access, (void)high, (void)low, (void)address;
    void *view = size > LARGEST_BLOCK ? NULL : segment_mapped(size);
    return view ? view : fail(ERROR_INVALID_PARAMETER);
}

BOOL UnmapViewOfFile(void *address)
{
    if (address) segment_unmapped(address);
    return 1;
}

static uint32_t name_of(HANDLE file)
{
    return file ? ((struct object *)file)->name : 0;
}

BOOL ReadFile(HANDLE file, void *buffer, DWORD size, DWORD *done, void *overlapped)
{
    (void)overlapped;
    *done = pipe_read(name_of(file), buffer, size);
    return *done != 0;
}

BOOL WriteFile(HANDLE file, const void *buffer, DWORD size, DWORD *done, void *overlapped)
{
    (void)overlapped;
    *done = size;
    if (file != GetStdHandle(STD_ERROR_HANDLE)) pipe_written(name_of(file), buffer, size);
    return 1;
}

HANDLE GetStdHandle(DWORD which)
{
    return (HANDLE)(uintptr_t)which;
}

HANDLE GetCurrentProcess(void)
{
    return NULL;
}

BOOL TerminateProcess(HANDLE process, UINT code)
{
    (void)process, (void)code;
    abort();
}

void ExitProcess(UINT code)
{
    (void)code;
    abort();
}

void FlushInstructionCache(HANDLE process, const void *address, SIZE_T size)
{
    (void)process, (void)address, (void)size;
}

BOOL QueryPerformanceCounter(LARGE_INTEGER *ticks)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    ticks->QuadPart = now.tv_sec * 1000000000ll + now.tv_nsec;
    return 1;
}

BOOL QueryPerformanceFrequency(LARGE_INTEGER *frequency)
{
    frequency->QuadPart = 1000000000;
    return 1;
}

/* Time flies, so that no loop with a budget of time takes long. */
DWORD GetTickCount(void)
{
    static _Thread_local DWORD ticks;
    return ticks += 1u << 24;
}

HMODULE LoadLibraryExW(const WCHAR *name, HANDLE file, DWORD flags)
{
    (void)file, (void)flags;
    return *name == 'k' ? (HMODULE)0x10000 : fail(ERROR_MOD_NOT_FOUND);
}

BOOL FreeLibrary(HMODULE module)
{
    return module == (HMODULE)0x10000;
}

void *GetProcAddress(HMODULE module, const char *name)
{
    if (module != (HMODULE)0x10000) return fail(ERROR_MOD_NOT_FOUND);
    return (uintptr_t)name < 65536 || *name ? (void *)(uintptr_t)SUM : NULL;
}

DWORD GetModuleFileNameW(HMODULE module, WCHAR *buffer, DWORD length)
{
    DWORD size = 0;
    if (module != (HMODULE)0x10000) return 0;
    for (const char *path = "C:\\kernel.dll"; size < length && *path; size++) buffer[size] = (WCHAR)*path++;
    return size;
}

void RaiseException(DWORD code, DWORD flags, DWORD count, const void *arguments)
{
    (void)flags, (void)count, (void)arguments;
    raise_in_call(code, 0);
}

int _resetstkoflw(void)
{
    return 1;
}
