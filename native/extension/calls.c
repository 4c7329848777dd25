/* Calls of the drop-in's functions: arguments of the usual types become words here, each other one by Plan._word. */
#include "native.h"

enum { INSIDE = 128 };

enum { BY_PYTHON = 0, NOTHING = 1, INTEGER = 2, REAL = 3 }; /* where the result is: by Plan.taken, or in a field */

static const char POINTER = 'p'; /* a declared pointer type */
static const char VOID = 'v';    /* c_void_p */
static const char OTHER = 'o';   /* declared, and left to Python */
static const char UNDECLARED = 'u';

enum { MOST_ARGUMENTS = 1024 }; /* MAX_ARGUMENTS in winbridge/ctypes/functions.py: Python refuses more */

static PyObject *text_sessions, *text_word, *text_item, *text_typeinfo, *text_sent, *text_taken, *text_pulled;

int prepare_calls(void)
{
    text_sessions = PyUnicode_InternFromString("sessions");
    text_word = PyUnicode_InternFromString("_word");
    text_item = PyUnicode_InternFromString("item");
    text_typeinfo = PyUnicode_InternFromString("_typeinfo_");
    text_sent = PyUnicode_InternFromString("sent");
    text_taken = PyUnicode_InternFromString("taken");
    text_pulled = PyUnicode_InternFromString("pulled");
    return text_pulled ? 0 : -1;
}

/* The words of one call, and what must live as long. */
struct words {
    char *bytes;
    size_t used, room;
    PyObject *kept;
    char inside[INSIDE];
};

static void drop(struct words *words)
{
    if (words->bytes != words->inside) PyMem_Free(words->bytes);
    Py_XDECREF(words->kept);
}

/* Zeroed room for so many bytes. */
static char *next(struct words *words, size_t size)
{
    if (words->used + size > words->room) {
        size_t room = 2 * (words->used + size);
        char *larger = PyMem_Malloc(room);
        if (!larger) {
            PyErr_NoMemory();
            return NULL;
        }
        memcpy(larger, words->bytes, words->used);
        if (words->bytes != words->inside) PyMem_Free(words->bytes);
        words->bytes = larger;
        words->room = room;
    }
    char *place = words->bytes + words->used;
    memset(place, 0, size);
    words->used += size;
    return place;
}

static int keep(struct words *words, PyObject *object)
{
    if (!words->kept && !(words->kept = PyList_New(0))) return FAILED;
    return PyList_Append(words->kept, object) ? FAILED : DONE;
}

static int put_address(struct words *words, int width, uint64_t address)
{
    char *place = next(words, (size_t)width);
    if (!place) return FAILED;
    memcpy(place, &address, (size_t)width);
    return DONE;
}

/* A number as the callee finds it: on x86 narrow signed ones are extended, as winbridge/ctypes/conversion.py has it. */
static int put_word(struct words *words, char code, int width, PyObject *value)
{
    if (width == 4 && (code == 'b' || code == 'h')) code = 'i';
    size_t before = words->used;
    char *place = next(words, (size_t)(number_size(code) > width ? 8 : width));
    if (!place) return FAILED;
    int done = put_number(place, code, value);
    if (done != DONE) words->used = before;
    return done;
}

static int put_bytes(struct words *words, int width, PyObject *value)
{
    char *data;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(value, &data, &size)) return FAILED;
    size_t room = ((size_t)size + (size_t)width - 1) / (size_t)width * (size_t)width;
    char *place = next(words, room);
    if (!place) return FAILED;
    memcpy(place, data, (size_t)size);
    return DONE;
}

/* What Python made of an argument: a code of struct, the value for it, and what must be kept. */
static int put_converted(struct words *words, int width, PyObject *converted)
{
    if (!converted) return FAILED;
    if (!PyTuple_Check(converted) || PyTuple_GET_SIZE(converted) != 3) {
        PyErr_SetString(PyExc_TypeError, "an argument was not converted to a word");
        return FAILED;
    }
    const char *code = PyUnicode_AsUTF8(PyTuple_GET_ITEM(converted, 0));
    PyObject *value = PyTuple_GET_ITEM(converted, 1);
    if (!code || keep(words, PyTuple_GET_ITEM(converted, 2)) == FAILED) return FAILED;
    if (PyBytes_Check(value)) return put_bytes(words, width, value);
    int done = number_size(*code) && !code[1] ? put_word(words, *code, width, value) : NOT_HERE;
    if (done == NOT_HERE) PyErr_Format(PyExc_ValueError, "%R cannot be packed as %s", value, code);
    return done == NOT_HERE ? FAILED : done;
}

static int convert(struct words *words, const Call *call, PyObject *plan, Py_ssize_t index, PyObject *argument)
{
    PyObject *position = PyLong_FromSsize_t(index + 1);
    PyObject *converted = position ? PyObject_CallMethodObjArgs(plan, text_word, position, argument, NULL) : NULL;
    int done = put_converted(words, call->width, converted);
    Py_XDECREF(position);
    Py_XDECREF(converted);
    return done;
}

/* What a type's arrays and pointers consist of or point to: a new reference or NULL, never with an error. */
static PyObject *item_of(PyTypeObject *type)
{
    PyObject *shape = PyObject_GetAttr((PyObject *)type, text_typeinfo);
    PyObject *item = shape ? PyObject_GetAttr(shape, text_item) : NULL;
    Py_XDECREF(shape);
    PyErr_Clear();
    return item;
}

/* Whether an object is an array of what a pointer type points to; the last type that was is remembered. */
static int is_fitting_array(const Call *call, Py_ssize_t index, PyTypeObject *type, PyObject *item)
{
    if (PyList_GET_ITEM(call->seen, index) == (PyObject *)type) return 1;
    PyObject *inner = PyObject_HasAttrString((PyObject *)type, "_length_") ? item_of(type) : NULL;
    int fits = inner && PyType_Check(inner) && PyType_IsSubtype((PyTypeObject *)inner, (PyTypeObject *)item);
    Py_XDECREF(inner);
    if (fits) PyList_SetItem(call->seen, index, Py_NewRef((PyObject *)type));
    return fits;
}

static int pointer_argument(const Call *call, Py_ssize_t index, PyObject *argument, uint64_t *address)
{
    PyTypeObject *kind = (PyTypeObject *)PyTuple_GET_ITEM(call->kinds, index);
    if (argument == Py_None) {
        *address = 0;
        return DONE;
    }
    if (PyType_IsSubtype(Py_TYPE(argument), kind)) return pointer_value(argument, call->width, address);
    PyObject *item = item_of(kind);
    int done = NOT_HERE;
    if (item && PyType_Check(item)) {
        if (PyType_IsSubtype(Py_TYPE(argument), (PyTypeObject *)item) || is_fitting_array(call, index, Py_TYPE(argument), item))
            done = object_address(argument, address);
        else
            done = reference_address(argument, item, address);
    }
    Py_XDECREF(item);
    return done;
}

static int void_argument(PyObject *argument, int width, uint64_t *address)
{
    *address = 0;
    if (argument == Py_None) return DONE;
    if (!PyLong_CheckExact(argument)) return reference_address(argument, NULL, address);
    unsigned long long value = PyLong_AsUnsignedLongLongMask(argument);
    *address = width == 4 ? value & UINT32_MAX : value;
    return DONE;
}

/* An int, as C's default promotions have it, or a null pointer. */
static int put_undeclared(struct words *words, int width, PyObject *argument)
{
    if (argument == Py_None) return put_address(words, width, 0);
    if (!PyLong_CheckExact(argument)) return NOT_HERE;
    int beyond;
    long value = PyLong_AsLongAndOverflow(argument, &beyond);
    if (beyond || value < INT32_MIN || value > (long)UINT32_MAX) return NOT_HERE;
    return put_address(words, width, (uint32_t)value);
}

static int put_argument(struct words *words, const Call *call, PyObject *plan, Py_ssize_t index, PyObject *argument)
{
    char code = index < PyBytes_GET_SIZE(call->codes) ? PyBytes_AS_STRING(call->codes)[index] : UNDECLARED;
    uint64_t address;
    int done = NOT_HERE;
    if (number_size(code)) done = put_word(words, code, call->width, argument);
    else if (code == UNDECLARED) done = put_undeclared(words, call->width, argument);
    else if (code == POINTER) done = pointer_argument(call, index, argument, &address);
    else if (code == VOID) done = void_argument(argument, call->width, &address);
    if (done == NOT_HERE) return convert(words, call, plan, index, argument);
    int is_address = code == POINTER || code == VOID;
    return done == DONE && is_address ? put_address(words, call->width, address) : done;
}

static int put_arguments(struct words *words, const Call *call, PyObject *plan, PyObject *const *arguments, Py_ssize_t count)
{
    for (Py_ssize_t k = 0; k < count; k++)
        if (put_argument(words, call, plan, k, arguments[k]) != DONE) return FAILED;
    return DONE;
}

/* The binding for this thread's session, where the last call was in the same (a new reference). */
static Binding *here(const Call *call, PyObject *plan)
{
    PyObject *sessions = call->binding ? PyObject_GetAttr(plan, text_sessions) : NULL;
    PyObject *session = sessions ? current_entry(sessions) : NULL;
    Binding *binding = session && session == call->binding->session ? (Binding *)Py_NewRef(call->binding) : NULL;
    Py_XDECREF(session);
    Py_XDECREF(sessions);
    return binding;
}

/* All that is left to Python: another session, twins to be kept equal, calls to be written down. */
static PyObject *sent(PyObject *plan, PyObject *function, const struct words *words, PyObject *const *arguments, Py_ssize_t count)
{
    PyObject *bytes = PyBytes_FromStringAndSize(words->bytes, (Py_ssize_t)words->used);
    PyObject *kept = PyList_New(0);
    for (Py_ssize_t k = 0; kept && k < count; k++)
        if (PyList_Append(kept, arguments[k])) Py_CLEAR(kept);
    if (kept && words->kept && PyList_SetSlice(kept, count, count, words->kept)) Py_CLEAR(kept);
    PyObject *record = bytes && kept ? PyObject_CallMethodObjArgs(plan, text_sent, function, bytes, kept, NULL) : NULL;
    Py_XDECREF(bytes);
    Py_XDECREF(kept);
    return record;
}

static void unbalanced(PyObject *plan, PyObject *record, size_t size)
{
    if (PyErr_Occurred()) return;
    PyObject *error = PyObject_CallMethod(plan, "unbalanced", "On", record, (Py_ssize_t)size);
    if (error) PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_XDECREF(error);
}

static int taken(const Call *call, PyObject *plan, PyObject *record, size_t size, PyObject **result)
{
    if (!record) return FAILED;
    unsigned long popped = PyLong_AsUnsignedLong(PyTuple_GET_ITEM(record, 5));
    if (popped != (call->cleans ? size : 0)) unbalanced(plan, record, size);
    else if (call->field == NOTHING) *result = Py_NewRef(Py_None);
    else if (call->field) *result = Py_NewRef(PyTuple_GET_ITEM(record, call->field));
    else *result = PyObject_CallMethodObjArgs(plan, text_taken, record, NULL);
    Py_DECREF(record);
    return *result ? DONE : FAILED;
}

static PyObject *plain(int field, const struct response *response)
{
    if (field == NOTHING) return Py_NewRef(Py_None);
    return field == INTEGER ? PyLong_FromLongLong(response->result) : PyFloat_FromDouble(response->real);
}

/* The callbacks of a call, and what they made of twins. */
static int after_callbacks(const Call *call, const Binding *binding, PyObject *plan, Slot *slot, struct response *response)
{
    if (settle(binding, slot, response) != DONE) return FAILED;
    if (all_empty(call->guards)) return DONE;
    PyObject *pulled = PyObject_CallMethodObjArgs(plan, text_pulled, NULL);
    Py_XDECREF(pulled);
    return pulled ? DONE : FAILED;
}

static int exchange(const Call *call, const Binding *binding, PyObject *plan, Slot *slot, const struct words *words, PyObject **result)
{
    struct response response;
    struct request *request = (struct request *)slot_request(slot);
    memcpy(request, &call->head, sizeof *request);
    request->size = (uint32_t)words->used;
    memcpy(request + 1, words->bytes, words->used);
    if (slot_exchange(slot, session_timeout(binding), &response)) return give_up(binding, slot);
    if (response.status != STATUS_OK && after_callbacks(call, binding, plan, slot, &response) != DONE) return FAILED;
    if (call->field && response.popped == (call->cleans ? words->used : 0)) {
        *result = plain(call->field, &response);
        return *result ? DONE : FAILED;
    }
    return taken(call, plan, slot_record(slot, &response), words->used, result);
}

static int send(const Call *call, PyObject *plan, PyObject *function, const struct words *words, PyObject *const *arguments,
                Py_ssize_t count, PyObject **result)
{
    Binding *binding = all_empty(call->guards) && words->used <= WORDS_ROOM ? here(call, plan) : NULL;
    Slot *slot = binding ? session_slot(binding) : NULL;
    int done = FAILED;
    if (slot) done = exchange(call, binding, plan, slot, words, result);
    else if (!PyErr_Occurred()) done = taken(call, plan, sent(plan, function, words, arguments, count), words->used, result);
    Py_XDECREF(slot);
    Py_XDECREF(binding);
    return done;
}

int ctypes_call(Call *call, PyObject *plan, PyObject *function, PyObject *const *arguments, Py_ssize_t count, PyObject **result)
{
    Py_ssize_t declared = PyBytes_GET_SIZE(call->codes);
    if (count > MOST_ARGUMENTS || (call->more ? count < declared : count != declared)) return NOT_HERE; /* Python says what is wrong */
    struct words words = {.bytes = words.inside, .room = INSIDE};
    int done = put_arguments(&words, call, plan, arguments, count);
    if (done == DONE) done = send(call, plan, function, &words, arguments, count, result);
    drop(&words);
    return done;
}

static int check(const Call *call)
{
    const char *codes = PyBytes_AS_STRING(call->codes);
    int known = PyTuple_GET_SIZE(call->kinds) == PyBytes_GET_SIZE(call->codes) && call->field >= BY_PYTHON && call->field <= REAL;
    for (Py_ssize_t k = 0; known && codes[k]; k++) {
        known = number_size(codes[k]) || codes[k] == POINTER || codes[k] == VOID || codes[k] == OTHER;
        if (codes[k] == POINTER && !PyType_Check(PyTuple_GET_ITEM(call->kinds, k))) known = 0;
    }
    if (known) return 0;
    PyErr_SetString(PyExc_ValueError, "the codes do not describe the types");
    return -1;
}

static int init(Call *call, PyObject *arguments, PyObject *named)
{
    static char *names[] = {"kinds", "codes", "more", "width", "cleans", "field", "guards", NULL};
    PyObject *kinds, *guards;
    const char *codes;
    if (!PyArg_ParseTupleAndKeywords(arguments, named, "O!spipiO!", names, &PyTuple_Type, &kinds, &codes, &call->more,
                                     &call->width, &call->cleans, &call->field, &PyTuple_Type, &guards))
        return -1;
    Py_XSETREF(call->kinds, Py_NewRef(kinds));
    Py_XSETREF(call->guards, Py_NewRef(guards));
    Py_XSETREF(call->codes, PyBytes_FromString(codes));
    Py_XSETREF(call->seen, PyList_New(PyTuple_GET_SIZE(kinds)));
    if (!call->codes || !call->seen) return -1;
    for (Py_ssize_t k = 0; k < PyList_GET_SIZE(call->seen); k++) PyList_SET_ITEM(call->seen, k, Py_NewRef(Py_None));
    return check(call);
}

static PyObject *bind(Call *call, PyObject *arguments)
{
    Py_buffer head;
    PyObject *binding;
    if (!PyArg_ParseTuple(arguments, "y*O!", &head, &BindingType, &binding)) return NULL;
    int fits = head.len == sizeof call->head;
    if (fits) memcpy(&call->head, head.buf, sizeof call->head);
    PyBuffer_Release(&head);
    if (!fits) {
        PyErr_SetString(PyExc_ValueError, "the head is not that of a request");
        return NULL;
    }
    Py_XSETREF(call->binding, (Binding *)Py_NewRef(binding));
    Py_RETURN_NONE;
}

static int traverse(Call *call, visitproc visit, void *arg)
{
    Py_VISIT(call->guards);
    Py_VISIT(call->kinds);
    Py_VISIT(call->seen);
    Py_VISIT(call->binding);
    return 0;
}

static int clear(Call *call)
{
    Py_CLEAR(call->binding); /* the others cannot be in a cycle without it, and a call may be under way */
    return 0;
}

static void dealloc(Call *call)
{
    PyObject_GC_UnTrack(call);
    clear(call);
    Py_CLEAR(call->guards);
    Py_CLEAR(call->kinds);
    Py_CLEAR(call->codes);
    Py_CLEAR(call->seen);
    Py_TYPE(call)->tp_free(call);
}

static PyMethodDef methods[] = {
    {"bind", (PyCFunction)bind, METH_VARARGS, "Take another session: the request's head for it, and a Binding."},
    {NULL, NULL, 0, NULL},
};

PyTypeObject CallType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "winbridge._native.Call",
    .tp_doc = "How the drop-in passes a function's arguments, and where the result is.",
    .tp_basicsize = sizeof(Call),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)init,
    .tp_traverse = (traverseproc)traverse,
    .tp_clear = (inquiry)clear,
    .tp_dealloc = (destructor)dealloc,
    .tp_methods = methods,
};
