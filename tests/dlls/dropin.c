/* The DLL of the drop-in's parity cases: every type in every place, memory that both sides hold, calls back. */
#include <windows.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define API __declspec(dllexport)
#define TWICE(result, name, parameters, body) \
    API result name##_c parameters body \
    API result __stdcall name##_s parameters body

/* Simple types: argument and result, out parameter, through a callback, as a structure's member. */

#define SIMPLE(name, type) \
    TWICE(type, echo_##name, (type value), { return value; }) \
    TWICE(type, last_##name, (char a, double b, int64_t c, short d, float e, type value), { (void)a; (void)b; (void)c; (void)d; (void)e; return value; }) \
    TWICE(int, out_##name, (type value, type *out), { *out = value; return 1; }) \
    API type through_##name##_c(type (*f)(type), type value) { return f(value); } \
    API type through_##name##_s(type (__stdcall *f)(type), type value) { return f(value); } \
    API type among_##name##_c(type (*f)(char, double, int64_t, short, float, type), type value) { return f(1, 2.5, -3000000000, -4, 5.5f, value); } \
    API type among_##name##_s(type (__stdcall *f)(char, double, int64_t, short, float, type), type value) { return f(1, 2.5, -3000000000, -4, 5.5f, value); } \
    struct holder_##name { char before; type value; }; \
    TWICE(type, held_##name, (struct holder_##name holder), { return holder.value; })

SIMPLE(bool, _Bool) SIMPLE(char, char) SIMPLE(wchar, wchar_t) SIMPLE(byte, int8_t) SIMPLE(ubyte, uint8_t)
SIMPLE(short, int16_t) SIMPLE(ushort, uint16_t) SIMPLE(long, int32_t) SIMPLE(ulong, uint32_t)
SIMPLE(longlong, int64_t) SIMPLE(ulonglong, uint64_t) SIMPLE(float, float) SIMPLE(double, double)
SIMPLE(void_p, void *) SIMPLE(char_p, char *) SIMPLE(wchar_p, wchar_t *)

/* Structures by value, of every size from 1 to 64. */

#define SIZED(n) \
    struct sized_##n { unsigned char bytes[n]; }; \
    TWICE(struct sized_##n, turn_##n, (int before, struct sized_##n given, int after), \
        { struct sized_##n made; for (int k = 0; k < n; k++) made.bytes[k] = (unsigned char)(given.bytes[n - 1 - k] + before - after); return made; }) \
    API int into_##n##_c(int (*f)(int, struct sized_##n, int)) \
        { struct sized_##n given; for (int k = 0; k < n; k++) given.bytes[k] = (unsigned char)(k + 1); return f(7, given, 9); } \
    API int into_##n##_s(int (__stdcall *f)(int, struct sized_##n, int)) \
        { struct sized_##n given; for (int k = 0; k < n; k++) given.bytes[k] = (unsigned char)(k + 1); return f(7, given, 9); }
#define SIZED8(a, b, c, d, e, f, g, h) SIZED(a) SIZED(b) SIZED(c) SIZED(d) SIZED(e) SIZED(f) SIZED(g) SIZED(h)
SIZED8(1, 2, 3, 4, 5, 6, 7, 8) SIZED8(9, 10, 11, 12, 13, 14, 15, 16) SIZED8(17, 18, 19, 20, 21, 22, 23, 24)
SIZED8(25, 26, 27, 28, 29, 30, 31, 32) SIZED8(33, 34, 35, 36, 37, 38, 39, 40) SIZED8(41, 42, 43, 44, 45, 46, 47, 48)
SIZED8(49, 50, 51, 52, 53, 54, 55, 56) SIZED8(57, 58, 59, 60, 61, 62, 63, 64)

/* Ints and floats mixed: each gives its sum, and itself with all members doubled. */

#define MIXED(name, members, sum, doubling) \
    struct mixed_##name { members }; \
    TWICE(double, sum_##name, (double before, struct mixed_##name v, int after), { return before + (sum) + after; }) \
    TWICE(struct mixed_##name, double_##name, (struct mixed_##name v), { doubling; return v; })
MIXED(if, int a; float b;, v.a + v.b, v.a *= 2; v.b *= 2)
MIXED(fi, float a; int b;, v.a + v.b, v.a *= 2; v.b *= 2)
MIXED(ff, float a; float b;, v.a + v.b, v.a *= 2; v.b *= 2)
MIXED(cd, char a; double b;, v.a + v.b, v.a *= 2; v.b *= 2)
MIXED(dd, double a; double b;, v.a + v.b, v.a *= 2; v.b *= 2)
MIXED(qf, int64_t a; float b;, v.a + v.b, v.a *= 2; v.b *= 2)
MIXED(hb, short a; char b;, v.a + v.b, v.a *= 2; v.b *= 2)
MIXED(dhfq, double a; short b; float c; int64_t d;, v.a + v.b + v.c + v.d, v.a *= 2; v.b *= 2; v.c *= 2; v.d *= 2)
MIXED(fff, float a; float b; float c;, v.a + v.b + v.c, v.a *= 2; v.b *= 2; v.c *= 2)
union number { int whole; double real; int64_t parts[1]; };
TWICE(union number, negative, (union number v, int real), { if (real) v.real = -v.real; else v.whole = -v.whole; return v; })
union wide_number { int whole; double reals[3]; };
TWICE(union wide_number, wide_negative, (union wide_number v, int real), { if (real) v.reals[2] = -v.reals[2]; else v.whole = -v.whole; return v; })

/* Many arguments, and an unknown number of them. */

#define TEN(m, t) m(t##0) m(t##1) m(t##2) m(t##3) m(t##4) m(t##5) m(t##6) m(t##7) m(t##8) m(t##9)
#define PARAMETER(n) , int a##n, double b##n
#define TERM(n) + (1##n * (a##n + b##n))
TWICE(double, twenty_pairs, (int first TEN(PARAMETER, 1) TEN(PARAMETER, 2)), { return first TEN(TERM, 1) TEN(TERM, 2); })
#define INT(n) , int64_t a##n
#define ITERM(n) + 1##n * a##n
#define HUNDRED(m) TEN(m, 0) TEN(m, 1) TEN(m, 2) TEN(m, 3) TEN(m, 4) TEN(m, 5) TEN(m, 6) TEN(m, 7) TEN(m, 8) TEN(m, 9)
TWICE(int64_t, hundred, (int64_t first HUNDRED(INT)), { return first HUNDRED(ITERM); })

API double sum_varargs(const char *kinds, ...)
{
    double sum = 0;
    va_list rest;
    va_start(rest, kinds);
    for (; *kinds; kinds++)
        switch (*kinds) {
            case 'i': sum += va_arg(rest, int); break;
            case 'q': sum += (double)va_arg(rest, int64_t); break;
            case 'd': sum += va_arg(rest, double); break;
            case 's': sum += strlen(va_arg(rest, char *)); break;
            case 'p': sum += *va_arg(rest, int *); break;
        }
    va_end(rest);
    return sum;
}
API int __stdcall two_stdcall(int a, int b) { return 10 * a + b; }
API int two_cdecl(int a, int b) { return 10 * a + b; }
int by_ordinal(int a) { return a + 40; }
API int exported_number = 4711;
API void set_last(int code) { SetLastError(code); }
API int swap_last(int code) { int before = GetLastError(); SetLastError(code); return before; }
API HRESULT __stdcall give_result(HRESULT code) { return code; }
API int __stdcall divide(int a, int b, int *quotient, int *rest) { if (!b) return 0; *quotient = a / b; *rest = a % b; return 1; }
API int crash(int *where) { return *where; }

/* Memory. */

struct node { int value; struct node *next; };
API int list_sum(struct node *head) { int sum = 0; for (; head; head = head->next) sum += head->value; return sum; }
API void list_double(struct node *head) { for (; head; head = head->next) head->value *= 2; }
API struct node *list_reverse(struct node *head)
{ struct node *done = NULL; while (head) { struct node *next = head->next; head->next = done; done = head; head = next; } return done; }
API struct node *list_last(struct node *head) { while (head->next) head = head->next; return head; }
static struct node extra[2] = {{100, &extra[1]}, {200, NULL}};
API void list_extend(struct node *head) { extra[0] = (struct node){100, &extra[1]}; extra[1] = (struct node){200, NULL}; list_last(head)->next = extra; }
API int cycle_length(struct node *start) { int count = 1; for (struct node *at = start->next; at != start; at = at->next) count++; return count; }

API int total_length(char **texts, int count) { int sum = 0; for (int k = 0; k < count; k++) if (texts[k]) sum += strlen(texts[k]); return sum; }
API int total_width(wchar_t **texts) { int sum = 0; for (; *texts; texts++) sum += wcslen(*texts); return sum; }
API void upper_all(char **texts, int count) { for (int k = 0; k < count; k++) CharUpperA(texts[k]); }
static char *names[] = {"first", "second", "third", NULL};
API char **get_names(void) { return names; }
API void set_names(char ***out) { *out = names; }
API void aim(int **place, int *target) { *place = target; }
API int through_three(int ***place) { return ***place; }
API void set_through_three(int ***place, int value) { ***place = value; }

static int table[8] = {10, 11, 12, 13, 14, 15, 16, 17};
API int *get_table(int index) { return table + index; }
API int table_at(int index) { return table[index]; }
API void reset_table(void) { for (int k = 0; k < 8; k++) table[k] = 10 + k; }
static char text[32];
API char *get_text(void) { strcpy(text, "static text"); return text; }
API int text_length(void) { return strlen(text); }
static wchar_t wide_text[] = L"stehender Text \x20ac";
API wchar_t *get_wide_text(void) { return wide_text; }
API char *find_char(char *where, char what) { return strchr(where, what); }
API int *find_int(int *where, int what) { while (*where != what) where++; return where; }
API int same(void *a, void *b) { return a == b; }
API int add_then_multiply(int *a, int *b) { *a += 1; *b *= 10; return a == b; }
API int sum_ints(int *items, int count) { int sum = 0; for (int k = 0; k < count; k++) sum += items[k]; return sum; }
API void fill_ints(int *items, int count, int first) { for (int k = 0; k < count; k++) items[k] = first + k; }

struct point { int x, y; };
struct line { struct point *from, *to; struct point middle; };
API int line_length(struct line *line) { return abs(line->to->x - line->from->x) + abs(line->to->y - line->from->y); }
API void line_turn(struct line *line) { struct point *from = line->from; line->from = line->to; line->to = from; line->middle.x = 77; line->to->x += 1000; }
union target { int *ints; double *doubles; char *text; intptr_t number; };
API double read_target(union target *target, char kind)
{ switch (kind) { case 'i': return *target->ints; case 'd': return *target->doubles; default: return strlen(target->text); } }
API void write_target(union target target, char kind) { if (kind == 'i') *target.ints = 5; else if (kind == 'd') *target.doubles = 5.5; else *target.text = '5'; }

struct operations { int (*apply)(int, int); int (__stdcall *change)(int); const char *name; };
static int multiply(int a, int b) { return a * b; }
static int __stdcall negate(int a) { return -a; }
API void get_operations(struct operations *out) { *out = (struct operations){multiply, negate, "of C"}; }
API int use_operations(struct operations *given, int a, int b) { return given->change(given->apply(a, b)); }
API int (*get_function(int index))(int, int) { return index ? multiply : NULL; }
API int call_with(int (*f)(int, int), int a, int b) { return f(a, b); }
API int (*same_function(int (*f)(int, int)))(int, int) { return f; }

static int *kept_int;
static const char *kept_text;
static const wchar_t *kept_wide;
API void keep_int(int *place) { kept_int = place; }
API int read_kept(void) { return *kept_int; }
API void write_kept(int value) { *kept_int = value; }
API void keep_text(const char *given) { kept_text = given; }
API const char *get_kept_text(void) { return kept_text; }
API int kept_length(void) { return strlen(kept_text); }
API void keep_wide(const wchar_t *given) { kept_wide = given; }
API const wchar_t *get_kept_wide(void) { return kept_wide; }

struct writing { int *place; int value; HANDLE start, thread; };
static struct writing writing;
static DWORD WINAPI write_later(void *argument)
{ struct writing *job = argument; WaitForSingleObject(job->start, INFINITE); *job->place = job->value; return 0; }
API void prepare_writer(int *place, int value)
{ writing = (struct writing){place, value, CreateEventW(NULL, TRUE, FALSE, NULL), NULL}; writing.thread = CreateThread(NULL, 0, write_later, &writing, 0, NULL); }
API int let_write(void)
{ SetEvent(writing.start); DWORD ended = WaitForSingleObject(writing.thread, 20000); CloseHandle(writing.thread); CloseHandle(writing.start); return ended == WAIT_OBJECT_0; }

/* Calls back. */

API int call_pointed(int (*f)(struct point *, int *, char *), struct point *point)
{ int number = 5; char room[16] = "room"; int got = f(point, &number, room); return got + point->x + number * 100 + (int)strlen(room) * 10000; }
API int call_array(int (*f)(int *, int), int count)
{ int items[16]; for (int k = 0; k < count; k++) items[k] = k; int got = f(items, count), sum = 0; for (int k = 0; k < count; k++) sum += items[k]; return got * 1000 + sum; }
API int call_struct(int (*f)(struct point)) { return f((struct point){3, 4}); }
struct mixed_large { double d; int64_t q; float f; char text[5]; };
API double call_large(double (*f)(struct mixed_large)) { return f((struct mixed_large){1.5, -2000000000000, 3.25f, "four"}); }
API int pingpong(int (*f)(int), int depth) { return depth ? 1 + f(depth - 1) : 0; }
API void call_void(void (*f)(void)) { f(); }
API int call_twice(int (*f)(int)) { int first = f(1); return first * 100 + f(2); }
API int call_with_error(int (*f)(void), int before) { SetLastError(before); int got = f(); return got * 100000 + (int)GetLastError(); }
static int (*kept_function)(int);
API void keep_function(int (*f)(int)) { kept_function = f; }
API int call_kept(int value) { return kept_function(value); }
API int call_hundred(int64_t (*f)(int64_t HUNDRED(INT)))
#define ONE(n) , 1##n
{ return (int)f(1 HUNDRED(ONE)); }

struct job { int (*f)(int); int index, result; };
static DWORD WINAPI run_job(void *argument) { struct job *job = argument; job->result = job->f(job->index); return 0; }
API int on_threads(int (*f)(int), int count)
{
    struct job jobs[32];
    HANDLE threads[32];
    int sum = 0;
    for (int k = 0; k < count; k++) { jobs[k] = (struct job){f, k, -1}; threads[k] = CreateThread(NULL, 0, run_job, &jobs[k], 0, NULL); }
    WaitForMultipleObjects(count, threads, TRUE, INFINITE);
    for (int k = 0; k < count; k++) { sum += jobs[k].result; CloseHandle(threads[k]); }
    return sum;
}
static struct job later;
static HANDLE later_thread;
API void start_job(int (*f)(int), int value) { later = (struct job){f, value, -1}; later_thread = CreateThread(NULL, 0, run_job, &later, 0, NULL); }
API int end_job(void) { WaitForSingleObject(later_thread, 20000); CloseHandle(later_thread); return later.result; }

/* Threads: a call that ends only when another one runs. */

API int set_and_wait(HANDLE own, HANDLE other) { SetEvent(own); return WaitForSingleObject(other, 20000) == WAIT_OBJECT_0; }
API unsigned thread_id(void) { return GetCurrentThreadId(); }
