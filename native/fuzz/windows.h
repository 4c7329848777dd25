/* As much of Windows as the agent's parsers need, on Linux: the agent's own .c files are compiled against it, so that
 * a fuzzer and the sanitizers see the very code that runs on Wine. What the functions do stands in windows.c. */
#ifndef WINBRIDGE_FUZZ_WINDOWS_H
#define WINBRIDGE_FUZZ_WINDOWS_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#define WINAPI
#define FALSE 0
#define INFINITE 0xffffffffu
#define WAIT_OBJECT_0 0u
#define INVALID_HANDLE_VALUE ((HANDLE)(intptr_t)-1)
#define STD_ERROR_HANDLE ((DWORD)-12)
#define HEAP_ZERO_MEMORY 8
#define MEM_COMMIT 0x1000
#define MEM_RESERVE 0x2000
#define MEM_RELEASE 0x8000
#define MEM_FREE 0x10000
#define PAGE_NOACCESS 1
#define PAGE_READWRITE 4
#define PAGE_WRITECOPY 8
#define PAGE_EXECUTE 0x10
#define PAGE_EXECUTE_READ 0x20
#define PAGE_EXECUTE_READWRITE 0x40
#define PAGE_EXECUTE_WRITECOPY 0x80
#define PAGE_GUARD 0x100
#define GENERIC_READ 0x80000000u
#define GENERIC_WRITE 0x40000000u
#define FILE_SHARE_READ 1
#define FILE_SHARE_WRITE 2
#define OPEN_EXISTING 3
#define FILE_MAP_ALL_ACCESS 0xf001f
#define ERROR_INVALID_FUNCTION 1
#define ERROR_NOT_ENOUGH_MEMORY 8
#define ERROR_INVALID_PARAMETER 87
#define ERROR_MOD_NOT_FOUND 126
#define EXCEPTION_NONCONTINUABLE 1
#define EXCEPTION_ACCESS_VIOLATION 0xc0000005u
#define EXCEPTION_STACK_OVERFLOW 0xc00000fdu

typedef uint32_t DWORD, UINT;
typedef int32_t LONG, BOOL;
typedef int64_t LONGLONG;
typedef uint16_t WCHAR;
typedef void *HANDLE, *HMODULE;
typedef size_t SIZE_T;
typedef DWORD (*LPTHREAD_START_ROUTINE)(void *);
typedef union { LONGLONG QuadPart; } LARGE_INTEGER;
typedef struct { void *BaseAddress; SIZE_T RegionSize; DWORD State, Protect; } MEMORY_BASIC_INFORMATION;
typedef pthread_mutex_t CRITICAL_SECTION;
typedef struct { pthread_cond_t changed; unsigned waiting, woken; } CONDITION_VARIABLE;

DWORD GetLastError(void);
void SetLastError(DWORD error);
HANDLE GetProcessHeap(void);
void *HeapAlloc(HANDLE heap, DWORD flags, SIZE_T size);
BOOL HeapFree(HANDLE heap, DWORD flags, void *block);
void *VirtualAlloc(void *address, SIZE_T size, DWORD kind, DWORD protection);
BOOL VirtualFree(void *address, SIZE_T size, DWORD kind);
BOOL VirtualProtect(void *address, SIZE_T size, DWORD protection, DWORD *before);
SIZE_T VirtualQuery(const void *address, MEMORY_BASIC_INFORMATION *memory, SIZE_T size);
HANDLE CreateFileW(const WCHAR *path, DWORD access, DWORD share, void *security, DWORD disposition, DWORD flags, HANDLE template);
HANDLE CreateFileMappingW(HANDLE file, void *security, DWORD protection, DWORD high, DWORD low, const WCHAR *name);
void *MapViewOfFileEx(HANDLE mapping, DWORD access, DWORD high, DWORD low, SIZE_T size, void *address);
BOOL UnmapViewOfFile(void *address);
BOOL ReadFile(HANDLE file, void *buffer, DWORD size, DWORD *done, void *overlapped);
BOOL WriteFile(HANDLE file, const void *buffer, DWORD size, DWORD *done, void *overlapped);
BOOL CloseHandle(HANDLE handle);
HANDLE GetStdHandle(DWORD which);
HANDLE GetCurrentProcess(void);
BOOL TerminateProcess(HANDLE process, UINT code);
void ExitProcess(UINT code) __attribute__((noreturn));
void FlushInstructionCache(HANDLE process, const void *address, SIZE_T size);
HANDLE CreateThread(void *security, SIZE_T stack, LPTHREAD_START_ROUTINE start, void *argument, DWORD flags, DWORD *id);
HANDLE CreateEventW(void *security, BOOL manual, BOOL initial, const WCHAR *name);
BOOL SetEvent(HANDLE event);
DWORD WaitForSingleObject(HANDLE event, DWORD milliseconds);
void InitializeCriticalSection(CRITICAL_SECTION *section);
void EnterCriticalSection(CRITICAL_SECTION *section);
void LeaveCriticalSection(CRITICAL_SECTION *section);
void InitializeConditionVariable(CONDITION_VARIABLE *condition);
BOOL SleepConditionVariableCS(CONDITION_VARIABLE *condition, CRITICAL_SECTION *section, DWORD milliseconds);
void WakeConditionVariable(CONDITION_VARIABLE *condition);
void WakeAllConditionVariable(CONDITION_VARIABLE *condition);
DWORD TlsAlloc(void);
void *TlsGetValue(DWORD slot);
BOOL TlsSetValue(DWORD slot, void *value);
LONG InterlockedExchange(volatile LONG *target, LONG value);
BOOL QueryPerformanceCounter(LARGE_INTEGER *ticks);
BOOL QueryPerformanceFrequency(LARGE_INTEGER *frequency);
DWORD GetTickCount(void);
HMODULE LoadLibraryExW(const WCHAR *name, HANDLE file, DWORD flags);
BOOL FreeLibrary(HMODULE module);
void *GetProcAddress(HMODULE module, const char *name);
DWORD GetModuleFileNameW(HMODULE module, WCHAR *buffer, DWORD length);
void RaiseException(DWORD code, DWORD flags, DWORD count, const void *arguments) __attribute__((noreturn));
int _resetstkoflw(void);

#endif
