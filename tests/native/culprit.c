/* The DLL that behaves badly: it lingers, crashes later, prints without end, changes what belongs to everybody. */
#include <windows.h>
#include <float.h>
#include <locale.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define API __declspec(dllexport)

API int add(int a, int b) { return a + b; }

/* Makes an empty file, which tells that the call has arrived, and stays. */
API int linger(const char *file, unsigned long ms)
{
    CloseHandle(CreateFileA(file, GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, 0, NULL));
    Sleep(ms);
    return 1;
}

/* A thread that crashes as soon as there is a file of that name. */
static char signal_file[MAX_PATH];
static DWORD WINAPI crash(void *unused)
{
    (void)unused;
    while (GetFileAttributesA(signal_file) == INVALID_FILE_ATTRIBUTES) Sleep(1);
    *(volatile int *)0x20 = 1;
    return 0;
}
API void crash_later(const char *file) { strcpy(signal_file, file); CloseHandle(CreateThread(NULL, 0, crash, NULL, 0, NULL)); }
API void terminate(unsigned code) { TerminateProcess(GetCurrentProcess(), code); }
API int call_back(int (*f)(int), int value) { return f(value); }

/* Division by zero becomes an exception, numbers are rounded upwards and (x87) cut to 24 bits. */
API void spoil_arithmetic(void)
{
    uint16_t x87 = 0x0860;
    uint32_t sse = 0x5d80;
    __asm__ volatile("fnclex\n\tfldcw %0\n\tldmxcsr %1" : : "m"(x87), "m"(sse));
}
API void spoil_and_crash(void) { spoil_arithmetic(); *(volatile int *)0x10 = 1; }
API double divide(double a, double b) { return *(volatile double *)&a / *(volatile double *)&b; }
API double divide_x87(double a, double b) { volatile long double x87 = a; return (double)(x87 / b); }

API int change_directory(const char *path) { return SetCurrentDirectoryA(path); }
API const char *change_locale(const char *name) { return setlocale(LC_ALL, name); }

API void flood(unsigned long kilobytes)
{
    char line[1024];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    while (kilobytes--) fwrite(line, 1, sizeof line, kilobytes % 2 ? stdout : stderr);
    fflush(stdout);
    fflush(stderr);
}
