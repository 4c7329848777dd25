/* Exceptions that no handler of the DLL took end the call, as in ctypes on Windows.
 *
 * The guard is a frame-based handler (SEH) in the kernels and not a vectored one: a vectored handler
 * comes first, and would take away the exceptions that code expects to handle by itself
 * (IsBadReadPtr, C++ throw and catch, guard pages).
 */
#include "agent.h"

static void remember(struct fault *fault, const EXCEPTION_RECORD *record)
{
    fault->code = record->ExceptionCode;
    fault->instruction = (uintptr_t)record->ExceptionAddress;
    fault->access = record->NumberParameters > 1 ? record->ExceptionInformation[0] : 0;
    fault->address = record->NumberParameters > 1 ? record->ExceptionInformation[1] : 0;
}

#ifdef _WIN64
/* Called by __C_specific_handler. invoke() keeps its argument in the home slot, 40 bytes above its frame. */
LONG fault_filter(EXCEPTION_POINTERS *exception, void *frame)
{
    struct call *call = *(struct call **)((char *)frame + 40);
    remember(&call->fault, exception->ExceptionRecord);
    return EXCEPTION_EXECUTE_HANDLER;
}
#else
/* The registration record that invoke() puts on its stack: Windows knows the first two fields. */
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
