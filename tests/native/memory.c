/* Memory that is reached through pointers, kept after the call, written to later. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <windows.h>

#define API __declspec(dllexport)

struct node { int value; struct node *next; };
API int sum_list(const struct node *n, int most) { int s = 0; for (; n && most--; n = n->next) s += n->value; return s; }
API void double_list(struct node *n, int most) { for (; n && most--; n = n->next) n->value *= 2; }
API struct node *last_of(struct node *n) { while (n->next) n = n->next; return n; }
API void reverse_list(struct node **head)
{
    struct node *done = NULL, *n = *head;
    while (n) { struct node *next = n->next; n->next = done; done = n; n = next; }
    *head = done;
}
API void prepend(struct node **head, int value)
{
    struct node *n = malloc(sizeof *n);
    n->value = value; n->next = *head; *head = n;
}
API void cut_after(struct node *n) { n->next = NULL; }

API int total_length(const char **texts, int count) { int s = 0; while (count--) s += *texts ? strlen(*texts) : 100, texts++; return s; }
API int total_wide(const wchar_t **texts) { int s = 0; for (; *texts; texts++) s += wcslen(*texts); return s; }
API void upper(char *text) { for (; *text; text++) if (*text >= 'a' && *text <= 'z') *text -= 32; }
API void after(char *text, int byte, char **found) { *found = strchr(text, byte); }
API void wide_after(wchar_t *text, int unit, wchar_t **found) { *found = wcschr(text, unit); }
API void offsets(void **pointers, int count, char *base, int64_t *result) { while (count--) *result++ = (char *)*pointers++ - base; }
API int64_t distance(const char *a, const char *b) { return b - a; }
API int same(const void *a, const void *b) { return a == b; }
API void swap_pointers(void **a, void **b) { void *t = *a; *a = *b; *b = t; }
API void bump_through(int ***p) { ++***p; }
API void bump_all(int **p, int count) { while (count--) ++**p++; }

struct record { char tag; const char *name; long count; int *data; int length; const wchar_t *wide; };
API long sum_records(struct record *r, int count)
{
    long s = 0;
    for (; count--; r++) {
        s += r->name ? strlen(r->name) : 0;
        s += r->wide ? 1000 * wcslen(r->wide) : 0;
        for (int k = 0; k < r->length; k++) s += r->data[k]++;
        r->count = s;
    }
    return s;
}
static const char *const names[] = {"zero", "one", "two"};
static int numbers[] = {5, 6, 7};
API void fill_record(struct record *r, int index) { r->tag = 'f'; r->name = names[index]; r->data = numbers; r->length = 3; r->wide = L"wide \xe9"; }
API int is_own(const struct record *r, int index) { return r->name == names[index] && r->data == numbers; }
API int *own_numbers(void) { return numbers; }
API void get_numbers(int **out) { *out = numbers; }
API void get_names(const char ***out) { static const char *list[] = {"zero", "one", "two", NULL}; *out = list; }
API void change_number(int index, int value) { numbers[index] = value; }
API int number(int index) { return numbers[index]; }

union value { void *pointer; int64_t number; char bytes[8]; };
struct variant { int kind; union value value; };
API int read_variant(const struct variant *v) { return v->kind ? *(int *)v->value.pointer : (int)v->value.number; }

API void set_variant(struct variant *v, void *pointer)
{
    v->kind = 2;
    memcpy(v->value.bytes, "eight chars", 8);
    if (pointer) v->value.number = 0, v->value.pointer = pointer;
}

static char *kept; static size_t kept_size;
API void keep(char *p, int size) { kept = p; kept_size = size; }
API void write_kept(int at, int byte) { kept[at] = (char)byte; }
API int read_kept(int at) { return (unsigned char)kept[at]; }
API int kept_is(const char *text) { return !memcmp(kept, text, kept_size); }
static struct node *kept_list;
API void keep_list(struct node *n) { kept_list = n; }
API int sum_kept_list(void) { return sum_list(kept_list, 1000); }
static DWORD WINAPI count_up(void *p) { for (int k = 0; k < 100000; k++) ++*(volatile int *)p; return 0; }
API void *start_counting(int *p) { return CreateThread(NULL, 0, count_up, p, 0, NULL); }
API void wait_for(void *thread) { WaitForSingleObject(thread, INFINITE); CloseHandle(thread); }

API double sum_doubles(const double *d, int count) { double s = 0; while (count--) s += *d++; return s; }
API void scale(double *d, int count, double by) { while (count--) *d++ *= by; }
API void fill_bytes(char *p, int size, int byte) { memset(p, byte, size); }

typedef int (*operation)(int, int);
static int plus(int a, int b) { return a + b; }
struct operations { operation run; int extra; };
API void get_operation(struct operations *o) { o->run = plus; }
API int use_operation(const struct operations *o, int a, int b) { return o->run(a, b) + o->extra; }
API int call_operation(operation run, int a, int b) { return run(a, b); }

struct opaque { int secret; };
API void open_opaque(struct opaque **out) { *out = malloc(sizeof **out); (*out)->secret = 42; }
API int secret_of(struct opaque *o) { return o->secret; }
API void close_opaque(struct opaque *o) { free(o); }

struct holder { int *p; int n; };
API struct holder make_holder(int *p) { struct holder h = {p, 3}; return h; }
API int use_holder(struct holder h) { h.n = 0; return ++*h.p; }
