/* Exceptions that no handler of the DLL took end the call, as in ctypes on Windows.
 *
 * The guard is a frame-based handler (SEH) in the kernels and not a vectored one: a vectored handler
 * comes first, and would take away the exceptions that code expects to handle by itself
 * (IsBadReadPtr, C++ throw and catch, guard pages).
 */
#include <malloc.h>
#include <string.h>

#include "agent.h"

static void remember(struct fault *fault, const EXCEPTION_RECORD *record)
{
    fault->code = record->ExceptionCode;
    fault->instruction = (uintptr_t)record->ExceptionAddress;
    fault->access = record->NumberParameters > 1 ? record->ExceptionInformation[0] : 0;
    fault->address = record->NumberParameters > 1 ? record->ExceptionInformation[1] : 0;
}

#ifdef _WIN64
/* Called by __C_specific_handler. invoke_guarded() keeps its argument in the home slot, 40 bytes above its frame. */
LONG fault_filter(EXCEPTION_POINTERS *exception, void *frame)
{
    struct call *call = *(struct call **)((char *)frame + 40);
    remember(&call->fault, exception->ExceptionRecord);
    return EXCEPTION_EXECUTE_HANDLER;
}
#else
/* The registration record that invoke_guarded() puts on its stack: Windows knows the first two fields. */
struct registration {
    struct registration *next;
    void *handler;
    struct call *call;
};

void land(struct registration *frame) __attribute__((noreturn));

EXCEPTION_DISPOSITION fault_handler(EXCEPTION_RECORD *record, struct registration *frame, CONTEXT *context, void *dispatcher)
{
    (void)context;
    (void)dispatcher;
    if (record->ExceptionFlags & (EXCEPTION_UNWINDING | EXCEPTION_EXIT_UNWIND)) return ExceptionContinueSearch;
    remember(&frame->call->fault, record);
    RtlUnwind(frame, NULL, record, NULL);
    land(frame);
}
#endif

/* Rounding, precision and unmasked exceptions of the floating-point units, as the thread has them. */
struct controls {
    uint16_t x87;
    uint32_t sse;
};

enum { SSE_STATUS = 0x3f };

static struct controls controls(void)
{
    struct controls found;
    __asm__ volatile("fnstcw %0" : "=m"(found.x87));
    __asm__ volatile("stmxcsr %0" : "=m"(found.sse));
    found.sse &= ~SSE_STATUS;
    return found;
}

static void set_controls(struct controls wanted)
{
    __asm__ volatile("fnclex\n\tfldcw %0" : : "m"(wanted.x87));
    __asm__ volatile("ldmxcsr %0" : : "m"(wanted.sse));
}

/* The functions whose documented purpose is to change them (_controlfp, fesetround ...) are the C runtime's. */
static int is_of_c_runtime(uint64_t function)
{
    static const WCHAR *const names[] = {L"msvcr", L"ucrtbase"};
    WCHAR path[MAX_PATH];
    HMODULE module;
    if (!GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
                            (const WCHAR *)(uintptr_t)function, &module))
        return 0;
    DWORD length = GetModuleFileNameW(module, path, MAX_PATH);
    while (length && path[length - 1] != L'\\') length--;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if (!_wcsnicmp(path + length, names[k], wcslen(names[k]))) return 1;
    return 0;
}

/* The control words belong to the caller (Microsoft, "x64 software conventions": nonvolatile, and the exception
 * for functions that are documented to change them). A DLL that leaves others would disturb all later calls of the
 * thread, so what it leaves is put right. */
int invoke(struct call *call)
{
    struct controls before = controls();
    int failed = invoke_guarded(call);
    struct controls after = controls();
    if (after.x87 != before.x87 || after.sse != before.sse) {
        DWORD error = GetLastError();
        if (failed || !is_of_c_runtime(call->function)) set_controls(before);
        SetLastError(error);
    }
    return failed;
}

/* Handlers of a stack overflow run on the rest of the stack. Wine 10 unwinds 64-bit code on more than the two pages
 * that are left by default; a thread that needs more ends there, without a word. Wine heeds the guarantee only once
 * the guard page was set again, which is harmless on Windows. */
void keep_room_for_handlers(void)
{
    ULONG room = ROOM_FOR_HANDLERS;
    SetThreadStackGuarantee(&room);
    _resetstkoflw();
}
