/* The agent's own functions. They are called like any other, under the same guard: a bad address in a
 * read is a fault of that request. Where one fails it returns 0 and leaves the reason in the last error. */
#include <string.h>

#include "agent.h"

static uintptr_t load(const WCHAR *name, uintptr_t flags)
{
    return (uintptr_t)LoadLibraryExW(name, NULL, (DWORD)flags);
}

static uintptr_t unload(uintptr_t module)
{
    return (uintptr_t)FreeLibrary((HMODULE)module);
}

static uintptr_t resolve(uintptr_t module, const char *name)
{
    return (uintptr_t)GetProcAddress((HMODULE)module, name);
}

static uintptr_t module_path(uintptr_t module, WCHAR *buffer, uintptr_t length)
{
    return GetModuleFileNameW((HMODULE)module, buffer, (DWORD)length);
}

static uintptr_t read(const void *address, void *arena, uintptr_t size)
{
    memmove(arena, address, size);  /* the client may name ranges that overlap */
    return 1;
}

static uintptr_t write(void *address, const void *arena, uintptr_t size)
{
    memmove(address, arena, size);
    return 1;
}

/* Other threads may write beside what the client changed: those bytes are left alone. */
static uintptr_t patch(char *address, const char *before, uintptr_t size)
{
    const char *after = before + size;
    for (uintptr_t k = 0; k < size; k++)
        if (before[k] != after[k]) address[k] = after[k];
    return 1;
}

static int is_zero(const char *character, uintptr_t width)
{
    return !character[0] && (width == 1 || !character[1]);
}

static uintptr_t invalid_parameter(void)
{
    SetLastError(ERROR_INVALID_PARAMETER);
    return 0;
}

/* Copies a string up to its zero or `room` bytes; returns the bytes copied, without the zero. */
static uintptr_t string(const char *address, char *arena, uintptr_t room, uintptr_t width)
{
    uintptr_t size = 0;
    if (width != 1 && width != 2) return invalid_parameter();
    for (; size + width <= room && !is_zero(address + size, width); size += width)
        memmove(arena + size, address + size, width);
    return size;
}

static uintptr_t allocate(uintptr_t size)
{
    void *block = HeapAlloc(GetProcessHeap(), HEAP_ZERO_MEMORY, size);
    if (!block) SetLastError(ERROR_NOT_ENOUGH_MEMORY);
    return (uintptr_t)block;
}

static uintptr_t release(uintptr_t address)
{
    return (uintptr_t)HeapFree(GetProcessHeap(), 0, (void *)address);
}

static uintptr_t unshare(void *address)
{
    return (uintptr_t)UnmapViewOfFile(address);
}

static uintptr_t heap(void *address, uintptr_t size)
{
    return (uintptr_t)VirtualAlloc(address, size, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE);
}

static const void *const table[] = {
    [OP_LOAD] = load, [OP_FREE] = unload, [OP_RESOLVE] = resolve, [OP_MODULE_PATH] = module_path,
    [OP_READ] = read, [OP_WRITE] = write, [OP_PATCH] = patch, [OP_STRING] = string,
    [OP_ALLOC] = allocate, [OP_RELEASE] = release, [OP_MAP] = map_arena,
    [OP_ARENA] = stream_arena, [OP_OPEN_SHARED] = open_shared,
    [OP_OPEN_STREAM] = open_stream, [OP_CLOSE_STREAM] = close_stream, [OP_EXIT] = leave,
    [OP_SHARE] = map_segment, [OP_UNSHARE] = unshare, [OP_HEAP] = heap,
    [OP_THUNK_NEW] = thunk_new, [OP_THUNK_FREE] = thunk_free, [OP_SERVE] = serve_callbacks,
};

uintptr_t builtin(uint32_t op)
{
    return op < sizeof table / sizeof *table ? (uintptr_t)table[op] : 0;
}
