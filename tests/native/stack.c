/* What a DLL does with its stack: local variables that callbacks get the address of, depth, limits. */
#include <windows.h>

#define API __declspec(dllexport)

struct cell {
    int column, row;
    double value;
};

API double visit(double (*visitor)(struct cell *), double start)
{
    struct cell cell = {1, 2, start};
    return visitor(&cell) + cell.value;
}

API int descend(int kilobytes)
{
    volatile char room[1024];
    room[0] = (char)kilobytes;
    return kilobytes ? descend(kilobytes - 1) + (room[0] == (char)kilobytes) : 0;
}

/* Whether the three ways to ask for the limits of the stack agree, and a local variable lies within. */
API int limits_agree(void)
{
    MEMORY_BASIC_INFORMATION part;
    NT_TIB *block = (NT_TIB *)NtCurrentTeb();
    char *here = (char *)&part;
    ULONG_PTR low, high;
    void (WINAPI *limits)(ULONG_PTR *, ULONG_PTR *) =
        (void *)GetProcAddress(GetModuleHandleW(L"kernel32"), "GetCurrentThreadStackLimits");
    if (!VirtualQuery(here, &part, sizeof part)) return 0;
    limits(&low, &high);
    return low == (ULONG_PTR)part.AllocationBase && high == (ULONG_PTR)block->StackBase
        && (ULONG_PTR)here > low && (ULONG_PTR)here < high && (char *)block->StackLimit <= here;
}
