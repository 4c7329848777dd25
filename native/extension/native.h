/* The C extension winbridge._native: whole hot steps of a call, for CPython on Linux.
 *
 * Each replaces a step of the Python beside it and does the same; what is rare it leaves to that Python.
 * See docs/internals/extension.rst. */
#ifndef WINBRIDGE_NATIVE_H
#define WINBRIDGE_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include "../agent/wire.h"

enum { FAILED = -1, NOT_HERE = 0, DONE = 1 }; /* what a step says; NOT_HERE: take the way through Python */

enum { WORDS_ROOM = SLOT_ARENA - SLOT_REQUEST - sizeof(struct request) };

/* channel.c: the conversation through one slot in shared memory. */

typedef struct {
    PyObject_HEAD
    Py_buffer memory;
    PyObject *weak;
    double nap;
    long long spin;         /* nanoseconds */
    long process;
    int wake_agent, woken;
    uint32_t serial;
    uint32_t rest, next_rest, first_rest, last_rest;
    char busy, closed, close_later;
} Slot;

extern PyTypeObject SlotType;

char *slot_request(const Slot *slot);
int slot_usable(const Slot *slot);
int slot_exchange(Slot *slot, PyObject *timeout, struct response *response);
int slot_send(Slot *slot, const void *message, size_t size, PyObject *timeout, struct response *response);
PyObject *slot_record(const Slot *slot, const struct response *response);

/* numbers.c: calls that pass numbers only. */

typedef struct {
    PyObject_HEAD
    PyObject *session;
    PyObject *address;
    PyObject *plans;
    PyObject *state;        /* the session's __dict__ */
    PyObject *segments;     /* of the heap that it uses */
    PyObject *callbacks;    /* the session's Callbacks */
    PyObject *known;        /* weak references to its callbacks, by their numbers */
    PyObject *types;        /* of the arguments of the last call here */
    PyObject *plan;         /* and its plan */
} Binding;

typedef struct {
    PyObject_HEAD
    struct request head;
    PyObject *guards;       /* containers that are empty when nothing has to be looked after */
    PyObject *codes;
    uint32_t popped;
    int field;
    int width;
} Numbers;

extern PyTypeObject BindingType, NumbersType;

int number_size(char code);
int put_number(char *place, char code, PyObject *value);
PyObject *get_number(const char *place, char code);
int all_empty(PyObject *guards);

int numbers_call(const Numbers *numbers, const Binding *binding, PyObject *plan, PyObject *const *arguments,
                 Py_ssize_t count, PyObject **result);

/* session.c: the way from a thread to its channel. */

int prepare_session(void);
PyObject *current_entry(PyObject *here);
Slot *session_slot(const Binding *binding);
PyObject *session_timeout(const Binding *binding);
int give_up(const Binding *binding, Slot *slot);
int settle(const Binding *binding, Slot *slot, struct response *response);

/* callbacks.c: functions of Python that a DLL calls. */

struct callback_return {
    struct request head;
    uint64_t bits;
};

extern PyTypeObject HandlerType;

int prepare_callbacks(void);
int answer(const Binding *binding, Slot *slot, const struct response *response, struct callback_return *message);

/* step.c: methods whose usual case is done here and whose others by the Python that they stand in front of. */

typedef int (*step)(PyObject *self, PyObject *const *arguments, Py_ssize_t count, PyObject **result);

extern PyTypeObject StepType;

PyObject *make_step(step run, PyObject *rest);

/* objects.c: objects of winbridge.ctypes, as their Python made them. */

int prepare_objects(void);
PyObject **slot_place(PyObject *object, PyObject *name);
PyObject *slot_of(PyObject *object, PyObject *name);
char *bytes_of(PyObject *view, Py_ssize_t from, Py_ssize_t size);
char *object_bytes(PyObject *object, Py_ssize_t from, Py_ssize_t size);
int object_address(PyObject *object, uint64_t *address);
int pointer_value(PyObject *pointer, int width, uint64_t *address);
int reference_address(PyObject *reference, PyObject *item, uint64_t *address);

/* calls.c: calls of the drop-in's functions. */

typedef struct {
    PyObject_HEAD
    struct request head;
    PyObject *guards;
    PyObject *kinds;        /* the declared types; None for none */
    PyObject *codes;        /* how each is passed: a number's code, or one of the letters in calls.c */
    PyObject *seen;         /* types of arrays that were found to fit, by position */
    Binding *binding;
    int field;
    int width;
    int cleans;             /* the callee takes its words off the stack */
    int more;               /* arguments may follow the declared ones */
} Call;

extern PyTypeObject CallType;

int prepare_calls(void);
int ctypes_call(Call *call, PyObject *plan, PyObject *function, PyObject *const *arguments, Py_ssize_t count,
                PyObject **result);

/* heap.c: blocks of the heap, and who sees an address. */

extern PyTypeObject BlockType;

int prepare_heap(void);
int allocate(PyObject *heap, PyObject *const *arguments, Py_ssize_t count, PyObject **result);
PyObject *part_of(PyObject *view, Py_ssize_t from, Py_ssize_t to);
PyObject *seen(PyObject *family, uint64_t address, Py_ssize_t size);

/* data.c: making objects, reading numbers in them. */

extern PyTypeObject LoadType, StoreType;

int prepare_data(void);
int new_object(PyObject *type, PyObject *const *arguments, Py_ssize_t count, PyObject **result);
int pointer_to(PyObject *type, PyObject *const *arguments, Py_ssize_t count, PyObject **result);
int object_at(PyObject *type, PyObject *const *arguments, Py_ssize_t count, PyObject **result);
int object_part(PyObject *type, PyObject *const *arguments, Py_ssize_t count, PyObject **result);
int get_field(PyObject *field, PyObject *const *arguments, Py_ssize_t count, PyObject **result);
int set_field(PyObject *field, PyObject *const *arguments, Py_ssize_t count, PyObject **result);
int fill_array(PyObject *array, PyObject *const *arguments, Py_ssize_t count, PyObject **result);
int get_items(PyObject *array, PyObject *const *arguments, Py_ssize_t count, PyObject **result);
int get_pointed(PyObject *pointer, PyObject *const *arguments, Py_ssize_t count, PyObject **result);
int get_contents(PyObject *pointer, PyObject *const *arguments, Py_ssize_t count, PyObject **result);

/* mirrors.c: objects of the standard ctypes, kept equal on both sides. */

int prepare_mirrors(void);
int carry(PyObject *memory, PyObject *const *arguments, Py_ssize_t count, PyObject **result);
int push_mirror(PyObject *mirror, PyObject *const *arguments, Py_ssize_t count, PyObject **result);
int pull_mirror(PyObject *mirror, PyObject *const *arguments, Py_ssize_t count, PyObject **result);
int stirred_here(PyObject *living, PyObject *const *arguments, Py_ssize_t count, PyObject **result);
int stirred_there(PyObject *living, PyObject *const *arguments, Py_ssize_t count, PyObject **result);
int push_reached(PyObject *living, PyObject *const *arguments, Py_ssize_t count, PyObject **result);
int pull_reached(PyObject *living, PyObject *const *arguments, Py_ssize_t count, PyObject **result);
int memory_at(PyObject *address, PyObject *const *arguments, Py_ssize_t count, PyObject **result);
int held_address(PyObject *pointer, PyObject *const *arguments, Py_ssize_t count, PyObject **result);

/* functions.c: the two kinds of functions. */

int prepare_functions(void);
int call_dll_function(PyObject *self, PyObject *const *arguments, Py_ssize_t count, PyObject **result);
int call_ctypes_function(PyObject *self, PyObject *const *arguments, Py_ssize_t count, PyObject **result);

#endif
