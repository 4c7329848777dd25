/* What whole-array calls need to be seen at work: calls that count, wait, fail at one item, call back. */
#include <windows.h>
#include <stdint.h>

#define API __declspec(dllexport)

static volatile LONG calls;
API int count_calls(int ignored) { (void)ignored; return InterlockedIncrement(&calls); }
API int calls_so_far(void) { return calls; }
API void reset_calls(void) { calls = 0; }
API int sleep_and_count(int milliseconds) { Sleep(milliseconds); return InterlockedIncrement(&calls); }
API int bump(volatile LONG *place, int milliseconds) { InterlockedIncrement(place); Sleep(milliseconds); return *place; }
API int divide_counting(int a, int b) { InterlockedIncrement(&calls); return *(volatile int *)&a / *(volatile int *)&b; }
API int swap_last_error(int next) { int before = (int)GetLastError(); SetLastError(next); return before; }
API int apply(int (*function)(int), int value) { return function(value) + 1; }
API void nothing(int ignored) { (void)ignored; InterlockedIncrement(&calls); }
API int read_int(const int *place) { return *place; }
API int __stdcall pair(int a, double b) { return a + (int)b; }
API double blend(int8_t a, uint8_t b, int16_t c, uint16_t d, int32_t e, uint32_t f, int64_t g, uint64_t h, float i, double j)
{ return a + 2.0 * b + 3.0 * c + 4.0 * d + 5.0 * e + 6.0 * f + 7.0 * (double)g + 8.0 * (double)h + 9.0 * i + 10.0 * j; }
API double __stdcall blend_stdcall(int8_t a, uint8_t b, int16_t c, uint16_t d, int32_t e, uint32_t f, int64_t g, uint64_t h, float i, double j)
{ return blend(a, b, c, d, e, f, g, h, i, j); }
