/* Start: take the standard handles away from DLLs, greet, serve. */
#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <string.h>

#include "agent.h"

/* A thread that a DLL made has no guard of ours above it. Without this, Wine would start its debugger, which takes seconds. */
static LONG WINAPI last_words(EXCEPTION_POINTERS *exception)
{
    const EXCEPTION_RECORD *record = exception->ExceptionRecord;
    const char *reason = record->ExceptionCode == CALLBACK_GONE
                             ? " (a thread of a DLL called a callback whose Python object is gone: keep a reference to it)" : "";
    char text[256];
    DWORD done;
    int length = snprintf(text, sizeof text, "winbridge agent: unhandled exception %#lx at %p in thread %lu%s\n",
                          record->ExceptionCode, record->ExceptionAddress, GetCurrentThreadId(), reason);
    WriteFile(GetStdHandle(STD_ERROR_HANDLE), text, (DWORD)length, &done, NULL);
    TerminateProcess(GetCurrentProcess(), record->ExceptionCode);
    return EXCEPTION_EXECUTE_HANDLER;
}

typedef LONG(NTAPI *lock_loader_fn)(ULONG flags, ULONG *result, ULONG_PTR *cookie);
enum { TRY_ONLY = 2, TAKEN = 1, LEAVING_TRIES = 50, LEAVING_PAUSE = 10 };
static lock_loader_fn lock_loader;

/* ExitProcess waits for the loader lock, for ever where a DLL's DllMain is stuck. Whoever takes it here keeps it. */
static int loader_is_free(void)
{
    ULONG result = TAKEN;
    ULONG_PTR cookie;
    return !lock_loader || (lock_loader(TRY_ONLY, &result, &cookie) >= 0 && result == TAKEN);
}

uintptr_t leave(uintptr_t code)
{
    for (int tries = 0; tries < LEAVING_TRIES; tries++) {
        if (loader_is_free()) ExitProcess((UINT)code);
        Sleep(LEAVING_PAUSE);
    }
    TerminateProcess(GetCurrentProcess(), (UINT)code);
    return 0;
}

static HANDLE duplicate(DWORD standard)
{
    HANDLE copy = INVALID_HANDLE_VALUE;
    DuplicateHandle(GetCurrentProcess(), GetStdHandle(standard), GetCurrentProcess(), &copy, 0, FALSE, DUPLICATE_SAME_ACCESS);
    return copy;
}

/* What a DLL prints must not fall between the frames: its standard output becomes standard error. */
static void redirect_standard_handles(void)
{
    HANDLE nothing = CreateFileW(L"NUL", GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING, 0, NULL);
    int descriptor = _open("NUL", _O_RDONLY);
    fflush(stdout);
    _dup2(2, 1);
    if (descriptor >= 0) _dup2(descriptor, 0);
    SetStdHandle(STD_OUTPUT_HANDLE, GetStdHandle(STD_ERROR_HANDLE));
    SetStdHandle(STD_INPUT_HANDLE, nothing);
    setvbuf(stdout, NULL, _IONBF, 0);
}

static int greet(HANDLE out, char *arena)
{
    struct greeting greeting = {.version = WIRE_VERSION, .pointer_size = sizeof(void *),
                                .process_id = GetCurrentProcessId(), .arena = (uintptr_t)arena};
    memcpy(greeting.magic, WIRE_MAGIC, sizeof greeting.magic);
    return write_all(out, &greeting, sizeof greeting);
}

int wmain(void)
{
    HANDLE in = duplicate(STD_INPUT_HANDLE), out = duplicate(STD_OUTPUT_HANDLE);
    char *arena = VirtualAlloc(NULL, CONTROL_ARENA, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE);
    SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX | SEM_NOOPENFILEERRORBOX);
    SetUnhandledExceptionFilter(last_words);
    lock_loader = (lock_loader_fn)(void (*)(void))GetProcAddress(GetModuleHandleW(L"ntdll"), "LdrLockLoaderLock");
    redirect_standard_handles();
    prepare_channels();
    prepare_callbacks();
    if (!arena || !greet(out, arena)) return 2;
    serve_stream(in, out, arena);
    /* The client is gone. Not ExitProcess: a DLL may hold the loader lock, and nobody is left to kill us. */
    TerminateProcess(GetCurrentProcess(), 0);
    return 0;
}
