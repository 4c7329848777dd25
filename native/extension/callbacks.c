/* Callbacks: the words of one become Python objects here, the function is called, and its result becomes bits.
 *
 * What is rare is left to the Callback of winbridge/ctypes/callback.py that the handler belongs to. */
#include "native.h"

static const char INSTANCE = 'p'; /* an instance of the type, with the bytes in the area */
static const char VOID = 'v';     /* c_void_p */
static const char OTHER = 'o';    /* by a function of Python */

static const char NOTHING = 0, BY_PYTHON = 'o'; /* results that are no number */

struct parameter {
    char code;
    Py_ssize_t at, size;
    PyObject *maker; /* the type, or the function */
};

typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
    PyObject *owner, *function;
    PyObject *guards;
    struct parameter *parameters;
    Py_ssize_t count, size; /* size: bytes of the area */
    char result;
} Handler;

static PyObject *text_handler, *text_answer, *text_run, *text_bits, *text_failed, *text_push;

int prepare_callbacks(void)
{
    text_handler = PyUnicode_InternFromString("handler");
    text_answer = PyUnicode_InternFromString("answer");
    text_run = PyUnicode_InternFromString("run");
    text_bits = PyUnicode_InternFromString("bits");
    text_failed = PyUnicode_InternFromString("failed");
    text_push = PyUnicode_InternFromString("push");
    return text_push ? 0 : -1;
}

static PyObject *instance(const struct parameter *parameter, const char *bytes)
{
    PyObject *object = NULL;
    int done = new_object(parameter->maker, NULL, 0, &object);
    char *place = done == DONE ? object_bytes(object, 0, parameter->size) : NULL;
    if (place) {
        memcpy(place, bytes, (size_t)parameter->size);
        return object;
    }
    Py_XDECREF(object);
    if (!PyErr_Occurred()) PyErr_Format(PyExc_TypeError, "%R has no instances", parameter->maker);
    return NULL;
}

static PyObject *by_python(PyObject *read, const char *area, Py_ssize_t size)
{
    PyObject *bytes = PyBytes_FromStringAndSize(area, size);
    PyObject *value = bytes ? PyObject_CallOneArg(read, bytes) : NULL;
    Py_XDECREF(bytes);
    return value;
}

static PyObject *argument(const Handler *handler, const struct parameter *parameter, const char *area)
{
    const char *bytes = area + parameter->at;
    if (parameter->code == INSTANCE) return instance(parameter, bytes);
    if (parameter->code == OTHER) return by_python(parameter->maker, area, handler->size);
    if (parameter->code != VOID) return get_number(bytes, parameter->code);
    uint64_t address = 0;
    memcpy(&address, bytes, (size_t)parameter->size);
    return address ? PyLong_FromUnsignedLongLong(address) : Py_NewRef(Py_None);
}

/* Shows the DLL what the function wrote to twins that it made; an error goes on, unless there is a new one. */
static int push_twins(const Handler *handler)
{
    if (all_empty(handler->guards)) return DONE;
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyObject *pushed = PyObject_CallMethodNoArgs(handler->owner, text_push);
    if (pushed) {
        PyErr_Restore(type, value, trace);
        Py_DECREF(pushed);
        return DONE;
    }
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(trace);
    return FAILED;
}

static PyObject *returned(const Handler *handler, const char *area)
{
    PyObject *arguments[handler->count + 1];
    PyObject *value = NULL;
    Py_ssize_t made = 0;
    while (made < handler->count && (arguments[made + 1] = argument(handler, &handler->parameters[made], area))) made++;
    if (made == handler->count) {
        size_t flags = (size_t)made | PY_VECTORCALL_ARGUMENTS_OFFSET;
        value = PyObject_Vectorcall(handler->function, arguments + 1, flags, NULL);
        if (push_twins(handler) != DONE) Py_CLEAR(value);
    }
    while (made) Py_DECREF(arguments[made--]);
    return value;
}

/* Reports an exception, but for KeyboardInterrupt, which ends the DLL's call. */
static int failed(const Handler *handler)
{
    if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) return FAILED;
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace);
    PyErr_NormalizeException(&type, &error, &trace);
    if (trace) PyException_SetTraceback(error, trace);
    PyObject *reported = PyObject_CallMethodOneArg(handler->owner, text_failed, error);
    Py_XDECREF(reported);
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(trace);
    if (reported) return DONE;
    if (!PyErr_ExceptionMatches(PyExc_RecursionError)) return FAILED;
    PyErr_Clear(); /* no room is left to tell anybody */
    return DONE;
}

static int bits_by_python(const Handler *handler, PyObject *value, uint64_t *bits)
{
    PyObject *number = PyObject_CallMethodOneArg(handler->owner, text_bits, value);
    if (number) *bits = PyLong_AsUnsignedLongLongMask(number);
    Py_XDECREF(number);
    return PyErr_Occurred() ? failed(handler) : DONE;
}

static int bits_of(const Handler *handler, PyObject *value, uint64_t *bits)
{
    char code = handler->result;
    if (code == NOTHING) return DONE;
    int is_real = code == 'd' || code == 'f';
    int is_plain = code != BY_PYTHON && (PyLong_CheckExact(value) || (is_real && PyFloat_CheckExact(value)));
    if (!is_plain || put_number((char *)bits, code, value) != DONE) return bits_by_python(handler, value, bits);
    int unused = 64 - 8 * number_size(code);
    if (!is_real && code >= 'a') *bits = (uint64_t)((int64_t)(*bits << unused) >> unused);
    return DONE;
}

/* Runs the function over an area that nobody else writes to: NOT_HERE before it has done anything. */
static int run(const Handler *handler, const char *area, uint64_t *bits)
{
    *bits = 0;
    if (!all_empty(handler->guards)) return NOT_HERE;
    PyObject *value = returned(handler, area);
    if (!value) return failed(handler);
    int done = bits_of(handler, value, bits);
    Py_DECREF(value);
    return done;
}

/* The area is copied: the function may make calls, through the same slot. */
static int run_in_slot(const Handler *handler, const Slot *slot, const struct response *response, uint64_t *bits)
{
    if (response->access < (uint64_t)handler->size || response->access > SLOT_ARENA - SLOT_REQUEST) return NOT_HERE;
    char area[handler->size + 1];
    memcpy(area, slot_request(slot), (size_t)handler->size);
    return run(handler, area, bits);
}

/* A new reference to what a weak one stands for; NULL where that is gone. */
static PyObject *referred(PyObject *reference)
{
    PyObject *found = NULL;
#if PY_VERSION_HEX >= 0x030D0000
    PyWeakref_GetRef(reference, &found);
#else
    found = PyWeakref_GetObject(reference);
    found = found == Py_None ? NULL : Py_XNewRef(found);
#endif
    return found;
}

/* A new reference to the handler of a number where it is one of C; such take neither last error nor errno. */
static Handler *handler_of(const Binding *binding, uint32_t number)
{
    PyObject *key = PyLong_FromUnsignedLong(number);
    PyObject *reference = key ? PyDict_GetItemWithError(binding->known, key) : NULL;
    PyObject *callback = reference ? referred(reference) : NULL;
    PyObject *handler = callback ? PyObject_GetAttr(callback, text_handler) : NULL;
    Py_XDECREF(key);
    Py_XDECREF(callback);
    if (handler && !Py_IS_TYPE(handler, &HandlerType)) Py_CLEAR(handler);
    return (Handler *)handler;
}

/* The message of Callbacks.answer. */
static int answer_by_python(const Binding *binding, const Slot *slot, const struct response *response, struct callback_return *message)
{
    PyObject *record = slot_record(slot, response);
    PyObject *bytes = record ? PyObject_CallMethodOneArg(binding->callbacks, text_answer, record) : NULL;
    Py_XDECREF(record);
    if (!bytes) return FAILED;
    size_t size = PyBytes_Check(bytes) ? (size_t)PyBytes_GET_SIZE(bytes) : 0;
    int fits = size >= sizeof message->head && size <= sizeof *message;
    if (fits) memcpy(message, PyBytes_AS_STRING(bytes), size);
    Py_DECREF(bytes);
    if (fits && size == sizeof message->head + message->head.size) return DONE;
    PyErr_SetString(PyExc_ValueError, "the answer to a callback has another size than its head says");
    return FAILED;
}

/* What goes back to the agent for a callback. */
int answer(const Binding *binding, Slot *slot, const struct response *response, struct callback_return *message)
{
    Handler *handler = handler_of(binding, (uint32_t)response->result);
    int done = handler ? run_in_slot(handler, slot, response, &message->bits) : PyErr_Occurred() ? FAILED : NOT_HERE;
    Py_XDECREF(handler);
    if (done == NOT_HERE) return answer_by_python(binding, slot, response, message);
    message->head = (struct request){.op = OP_CALLBACK_RETURN, .size = sizeof message->bits,
                                     .last_error = response->last_error, .errno_value = response->errno_value};
    return done;
}

/* As Python calls a handler: on the threads that serve, and over streams. */
static PyObject *call(PyObject *self, PyObject *const *arguments, size_t flags, PyObject *names)
{
    const Handler *handler = (Handler *)self;
    if (PyVectorcall_NARGS(flags) != 1 || names || !PyBytes_Check(arguments[0])) {
        PyErr_SetString(PyExc_TypeError, "a handler takes the bytes of an area");
        return NULL;
    }
    uint64_t bits;
    int done = PyBytes_GET_SIZE(arguments[0]) < handler->size ? NOT_HERE : run(handler, PyBytes_AS_STRING(arguments[0]), &bits);
    if (done == NOT_HERE) return PyObject_CallMethodOneArg(handler->owner, text_run, arguments[0]);
    return done == DONE ? PyLong_FromUnsignedLongLong(bits) : NULL;
}

static int is_sound(const Handler *handler, const struct parameter *parameter)
{
    char code = parameter->code;
    if (parameter->size < 0 || parameter->at < 0 || parameter->at > handler->size - parameter->size) return 0;
    if (code == INSTANCE) return PyType_Check(parameter->maker);
    if (code == VOID) return parameter->size <= 8;
    return code == OTHER || (number_size(code) && number_size(code) == parameter->size);
}

static int set_parameters(Handler *handler, PyObject *parameters)
{
    Py_ssize_t count = PyTuple_GET_SIZE(parameters);
    handler->parameters = PyMem_Calloc((size_t)count + 1, sizeof *handler->parameters);
    if (!handler->parameters) return PyErr_NoMemory(), -1;
    for (Py_ssize_t k = 0; k < count; k++) {
        struct parameter *parameter = &handler->parameters[k];
        int code;
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(parameters, k), "CnnO", &code, &parameter->at, &parameter->size, &parameter->maker)) return -1;
        parameter->code = (char)code;
        Py_INCREF(parameter->maker);
        handler->count = k + 1;
        if (is_sound(handler, parameter)) continue;
        PyErr_SetString(PyExc_ValueError, "a parameter does not lie in the area");
        return -1;
    }
    return 0;
}

static PyObject *new(PyTypeObject *type, PyObject *arguments, PyObject *named)
{
    static char *names[] = {"owner", "function", "parameters", "size", "result", "guards", NULL};
    PyObject *owner, *function, *parameters, *guards;
    const char *result;
    Py_ssize_t size;
    if (!PyArg_ParseTupleAndKeywords(arguments, named, "OOO!nsO!", names, &owner, &function, &PyTuple_Type, &parameters,
                                     &size, &result, &PyTuple_Type, &guards))
        return NULL;
    if (size < 0 || size > SLOT_ARENA - SLOT_REQUEST || (*result != NOTHING && *result != BY_PYTHON && !number_size(*result))) {
        PyErr_SetString(PyExc_ValueError, "no callback has such an area or result");
        return NULL;
    }
    Handler *handler = (Handler *)type->tp_alloc(type, 0);
    if (!handler) return NULL;
    handler->call = call;
    handler->owner = Py_NewRef(owner);
    handler->function = Py_NewRef(function);
    handler->guards = Py_NewRef(guards);
    handler->size = size;
    handler->result = *result;
    if (set_parameters(handler, parameters)) Py_CLEAR(handler);
    return (PyObject *)handler;
}

static int traverse(Handler *handler, visitproc visit, void *arg)
{
    Py_VISIT(handler->owner);
    Py_VISIT(handler->function);
    Py_VISIT(handler->guards);
    for (Py_ssize_t k = 0; k < handler->count; k++) Py_VISIT(handler->parameters[k].maker);
    return 0;
}

static void dealloc(Handler *handler)
{
    PyObject_GC_UnTrack(handler);
    Py_XDECREF(handler->owner);
    Py_XDECREF(handler->function);
    Py_XDECREF(handler->guards);
    for (Py_ssize_t k = 0; k < handler->count; k++) Py_DECREF(handler->parameters[k].maker);
    PyMem_Free(handler->parameters);
    Py_TYPE(handler)->tp_free(handler);
}

PyTypeObject HandlerType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "winbridge._native.Handler",
    .tp_doc = "What Callback.run does, over an area in the slot.",
    .tp_basicsize = sizeof(Handler),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_vectorcall_offset = offsetof(Handler, call),
    .tp_call = PyVectorcall_Call,
    .tp_new = new,
    .tp_traverse = (traverseproc)traverse,
    .tp_dealloc = (destructor)dealloc,
};
