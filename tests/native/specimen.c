/* The DLL that the tests call: every kind of argument and result, memory, faults, ends of the process. */
#include <windows.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define API __declspec(dllexport)

#define ECHO(name, type) API type echo_##name(type value) { return value; }
ECHO(int8, int8_t) ECHO(uint8, uint8_t) ECHO(int16, int16_t) ECHO(uint16, uint16_t)
ECHO(int32, int32_t) ECHO(uint32, uint32_t) ECHO(int64, int64_t) ECHO(uint64, uint64_t)
ECHO(float, float) ECHO(double, double) ECHO(pointer, void *) ECHO(wchar, WCHAR) ECHO(long, long) ECHO(ulong, unsigned long)
ECHO(ldouble, long double) ECHO(bool, _Bool) ECHO(char, char)

API int add(int a, int b) { return a + b; }
API int __stdcall add_stdcall(int a, int b) { return a + b; }
API int64_t mixed(int8_t a, double b, int64_t c, float d, int16_t e, double f, uint32_t g, float h, int64_t i)
{ return a + (int64_t)b + c + (int64_t)d + e + (int64_t)f + g + (int64_t)h + i; }
API float mix_reals(float a, int b, double c, float d, int64_t e, float f)
{ return a + 2 * (float)b + 3 * (float)c + 4 * d + 5 * (float)e + 6 * f; }
API int8_t narrow(int8_t a, uint8_t b, int16_t c, uint16_t d, int8_t e, uint8_t f) { return (int8_t)(a - b + c - d + e - f); }
API int none(void) { return 7; }
API double sum_doubles(double a, double b, double c, double d, double e, double f, double g, double h, double i, double j)
{ return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i + 10 * j; }
API int64_t __stdcall stdcall_mixed(int a, double b, int64_t c) { return a + (int64_t)b + c; }
API double variadic(int count, ...)
{ va_list list; double sum = 0; va_start(list, count); while (count--) sum += va_arg(list, double); va_end(list); return sum; }
API int64_t variadic_ints(int count, ...)
{ va_list list; int64_t sum = 0; va_start(list, count); for (int k = 1; k <= count; k++) sum += (int64_t)k * va_arg(list, int); va_end(list); return sum; }
API int format(char *buffer, int size, const char *text, ...)
{ va_list list; va_start(list, text); int n = vsnprintf(buffer, size, text, list); va_end(list); return n; }

API void double_in_place(int *value) { *value *= 2; }
API void fill(char *buffer, int size, int byte) { memset(buffer, byte, size); }
API int sum_array(const int *items, int count) { int sum = 0; while (count--) sum += *items++; return sum; }
API void reverse_doubles(double *items, int count)
{ for (int k = 0; k < count / 2; k++) { double t = items[k]; items[k] = items[count - 1 - k]; items[count - 1 - k] = t; } }
API void set_longs(long *items, int count) { for (int k = 0; k < count; k++) items[k] = -1 - k; }
API int length(const char *text) { return text ? (int)strlen(text) : -1; }
API int wide_length(const WCHAR *text) { return text ? (int)wcslen(text) : -1; }
API void wide_upper(WCHAR *text) { for (; *text; text++) *text = towupper(*text); }
API const char *greeting(void) { return "hello"; }
API const WCHAR *wide_greeting(void) { return L"h\xe9llo \xd83d\xde00"; }
API const char *no_greeting(void) { return NULL; }
API int same(const void *a, const void *b) { return a == b; }
API uint32_t checksum(const uint8_t *data, uint32_t size) { uint32_t s = 0; while (size--) s = s * 31 + *data++; return s; }

struct point { char tag; long x, y; double z; WCHAR name[8]; };
API int point_size(void) { return sizeof(struct point); }
API void move_point(struct point *p, long dx, long dy)
{ p->tag++; p->x += dx; p->y += dy; p->z = p->x + p->y; wcscpy(p->name, L"moved"); }
struct inner { long x; WCHAR w; };
struct outer { char a; struct inner pair[2]; union { double d; long l; } u; short tail; };
API void fill_outer(struct outer *o)
{ o->a++; o->pair[0].x = -1; o->pair[0].w = L'A'; o->pair[1].x = -2; o->pair[1].w = L'B'; o->u.d = 2.5; o->tail = 9; }
API void swap_points(struct point *a, struct point *b) { struct point t = *a; *a = *b; *b = t; }
static struct point origin = {'o', -1, 0x7fffffff, 0.5, L"origin"};
API struct point *get_point(void) { return &origin; }
struct value { short value; double other; };
static struct value values[2] = {{1, 1.5}, {-2, 2.5}};
API struct value *get_values(void) { return values; }
static double reals[3] = {0.5, -1.5, 2.5};
API double *get_doubles(void) { return reals; }
static const char *names[3] = {"one", "two", NULL};
API const char **get_names(void) { return names; }
static const WCHAR *wide_names[2] = {L"eins", L"zw\xf6lf"};
API const WCHAR **get_wide_names(void) { return wide_names; }
API int64_t distance(const char *a, const char *b) { return b - a; }
API void write_then_crash(char *buffer) { strcpy(buffer, "written"); *(volatile int *)0x10 = 1; }
API void count_bytes(const uint8_t *data, uint32_t size, uint32_t *counts) { while (size--) counts[*data++]++; }
static int table[4] = {10, 20, 30, 40};
API int *get_table(void) { return table; }
static int *tables[2] = {table, table + 2};
API int **get_tables(void) { return tables; }

API int fail_with(unsigned long error) { SetLastError(error); return 0; }
API unsigned long last_error(void) { return GetLastError(); }
API int set_errno_to(int value) { int before = errno; errno = value; return before; }
API unsigned long process_id(void) { return GetCurrentProcessId(); }
API unsigned long thread_id(void) { return GetCurrentThreadId(); }
API void nap(unsigned long ms) { Sleep(ms); }
static HANDLE gate;
API int wait_at_gate(unsigned long ms)
{ if (!gate) gate = CreateEventA(NULL, TRUE, FALSE, "winbridge-specimen-gate"); return (int)WaitForSingleObject(gate, ms); }

API int read_at(const int *address) { return *(volatile const int *)address; }
API void write_at(int *address) { *(volatile int *)address = 1; }
API void call_at(void (*address)(void)) { address(); }
API int divide(int a, int b) { return *(volatile int *)&a / *(volatile int *)&b; }
API void illegal(void) { __asm__ volatile("ud2"); }
API void breakpoint(void) { __asm__ volatile("int3"); }
API int overflow_stack(int depth) { volatile char room[4096]; room[0] = (char)depth; return overflow_stack(depth + 1) + room[0]; }
API void raise_code(unsigned long code) { RaiseException(code, 0, 0, NULL); }
API void leave(unsigned code) { ExitProcess(code); }
API void give_up(void) { fprintf(stderr, "specimen gives up\n"); fflush(stderr); abort(); }
API void terminate(unsigned code) { TerminateProcess(GetCurrentProcess(), code); }
static DWORD WINAPI crash(void *unused) { (void)unused; *(volatile int *)0x20 = 1; return 0; }
API void crash_in_thread(void) { HANDLE t = CreateThread(NULL, 0, crash, NULL, 0, NULL); WaitForSingleObject(t, INFINITE); }
API void chatter(const char *text) { printf("%s\n", text); fflush(stdout); fprintf(stderr, "%s\n", text); fflush(stderr); }
