/* The DLL that calls back: every kind of argument, result and convention, threads of its own, memory of the call. */
#include <windows.h>
#include <stdint.h>

#define API __declspec(dllexport)

typedef int64_t (*int64_fn)(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t);
typedef double (*doubles_fn)(double, double, double, double, double, double, double, double, double, double);
#define MIXED int32_t, double, int64_t, float, int16_t, double, uint8_t, float, int64_t, double
#define MIXED_VALUES -1, 2.5, -3000000000000, 4.5f, -5, 6.5, 7, 8.5f, 9000000000000, 10.5
#define TURNED double, int32_t, float, int64_t, double, int16_t, float, uint8_t, double, int64_t
#define TURNED_VALUES 1.5, -2, 3.5f, -4000000000000, 5.5, -6, 7.5f, 8, 9.5, 10000000000000

API int64_t call_int64s(int64_fn f) { return f(-1, 2, -3, 4, -5, 6, -7, 8, -9, INT64_MAX) + 1; }
API double call_doubles(doubles_fn f) { return f(1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5, 10.5) + 1; }
API double call_mixed(double (*f)(MIXED)) { return f(MIXED_VALUES) * 2; }
API double call_mixed_stdcall(double (__stdcall *f)(MIXED)) { return f(MIXED_VALUES) * 2; }
API int64_t call_turned(int64_t (*f)(TURNED)) { return f(TURNED_VALUES) * 2; }
API int64_t call_turned_stdcall(int64_t (__stdcall *f)(TURNED)) { return f(TURNED_VALUES) * 2; }
API float call_float(float (*f)(float), float value) { return f(value) + 1; }
API int call_none(int (__stdcall *f)(void)) { return f() + 1; }
API int8_t call_int8(int8_t (*f)(int8_t), int8_t value) { return f(value); }
struct large { int32_t items[5]; };
API int call_by_value(int (*f)(struct large, int)) { struct large given = {{1, 2, 3, 4, 5}}; return f(given, 6) + given.items[0]; }

/* The loop keeps its state in registers that a callee has to preserve. */
API int64_t repeat(int64_t (*f)(int64_t), int count)
{ int64_t sum = 0, odd = 1; for (int k = 0; k < count; k++, odd += 2) sum += f(k) + odd; return sum; }
API int64_t repeat_stdcall(int64_t (__stdcall *f)(int64_t), int count)
{ int64_t sum = 0, odd = 1; for (int k = 0; k < count; k++, odd += 2) sum += f(k) + odd; return sum; }
API int descend(int (*f)(int), int depth) { volatile char room[2000]; room[depth % 2000] = 1; return f(depth) + room[depth % 2000]; }

API int with_errors(int (*f)(int), int before) { SetLastError(before); int left = f((int)GetLastError()); return (int)GetLastError() * 1000 + left; }
API void fail(int code) { SetLastError(code); }
API int read_at(const int *address) { return *address; }
API int read_what(const int *(*f)(int)) { return *f(1); }
API int work_on(int *items, int count, int (*f)(int *, int))
{
    int sum = 0;
    for (int k = 0; k < count; k++) items[k] = k;
    int returned = f(items, count);
    for (int k = 0; k < count; k++) sum += items[k];
    return 1000 * returned + sum;
}

static int (*kept)(int);
API void keep(int (*f)(int)) { kept = f; }
API int call_kept(int value) { return kept(value); }

API unsigned thread_id(void) { return GetCurrentThreadId(); }
struct job { int (*f)(int); int index, result; };
static DWORD WINAPI run_job(void *argument) { struct job *job = argument; job->result = job->f(job->index); return 0; }
API int on_threads(int (*f)(int), int count)
{
    struct job jobs[32];
    HANDLE threads[32];
    int sum = 0;
    for (int k = 0; k < count; k++) {
        jobs[k] = (struct job){f, k, 0};
        threads[k] = CreateThread(NULL, 0, run_job, &jobs[k], 0, NULL);
    }
    WaitForMultipleObjects(count, threads, TRUE, INFINITE);
    for (int k = 0; k < count; k++) { sum += jobs[k].result; CloseHandle(threads[k]); }
    return sum;
}
static struct job later;
API void start_thread(int (*f)(int), int value)
{ later = (struct job){f, value, -1}; CloseHandle(CreateThread(NULL, 0, run_job, &later, 0, NULL)); }
API int result_of_thread(void) { return later.result; }
