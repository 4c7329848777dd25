/* A slot in shared memory, as winbridge/core/transport/slot.py has it.
 *
 * The GIL is held for the first HELD_NS of spinning only: a short call is over by then, and giving the lock
 * away and taking it back costs a fifth of it. */
#include "native.h" /* first: Python.h asks the system's headers for all that they have */

#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

enum { HELD_NS = 4000, TURNS = 16, BYTES_AT_ONCE = 64 };

static volatile uint32_t *word(const Slot *slot, int offset)
{
    return (volatile uint32_t *)((char *)slot->memory.buf + offset);
}

char *slot_request(const Slot *slot)
{
    return (char *)slot->memory.buf + SLOT_REQUEST;
}

int slot_usable(const Slot *slot)
{
    return !slot->closed && !slot->busy;
}

static long long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static int answered(const Slot *slot)
{
    return __atomic_load_n(word(slot, SLOT_RESPONSE_SERIAL), __ATOMIC_ACQUIRE) == slot->serial;
}

static int spin_until(const Slot *slot, long long end)
{
    do {
        for (int turn = 0; turn < TURNS; turn++) {
            if (answered(slot)) return 1;
            __builtin_ia32_pause();
        }
    } while (now() < end);
    return answered(slot);
}

static int spin(const Slot *slot)
{
    long long start = now();
    int found = spin_until(slot, start + (slot->spin < HELD_NS ? slot->spin : HELD_NS));
    if (!found && slot->spin > HELD_NS) {
        Py_BEGIN_ALLOW_THREADS
        found = spin_until(slot, start + slot->spin);
        Py_END_ALLOW_THREADS
    }
    return found;
}

/* Raises what a method of the channel makes of a problem. */
static int problem(Slot *slot, const char *method, PyObject *argument)
{
    PyObject *error = PyObject_CallMethod((PyObject *)slot, method, argument ? "(O)" : NULL, argument);
    if (error) PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_XDECREF(error);
    return FAILED;
}

static int wake(Slot *slot)
{
    ssize_t done;
    do done = write(slot->wake_agent, "", 1);
    while (done < 0 && errno == EINTR);
    if (done >= 0) return 0;
    if (errno == EPIPE) return problem(slot, "_death", NULL);
    PyErr_SetFromErrno(PyExc_OSError);
    return FAILED;
}

/* Sleeps in the pipe for a while; the byte there may be from a wake-up that came when we had seen the answer. */
static int nap(Slot *slot, double seconds)
{
    char bytes[BYTES_AT_ONCE];
    struct pollfd pipe = {.fd = slot->woken, .events = POLLIN};
    struct timespec time = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
    int ready, error;
    Py_BEGIN_ALLOW_THREADS
    ready = ppoll(&pipe, 1, &time, NULL);
    error = errno;
    Py_END_ALLOW_THREADS
    if (PyErr_CheckSignals()) return FAILED;
    if (slot->closed || slot->close_later) return problem(slot, "_given_up", NULL);
    if (ready < 0 && error != EINTR) {
        errno = error;
        PyErr_SetFromErrno(PyExc_OSError);
        return FAILED;
    }
    if (ready <= 0) return 0;
    if (!(pipe.revents & POLLIN)) return problem(slot, "_death", NULL);
    if (read(slot->woken, bytes, sizeof bytes) < 0 && errno != EINTR) {
        PyErr_SetFromErrno(PyExc_OSError);
        return FAILED;
    }
    return 0;
}

static int sleep_until_answered(Slot *slot, PyObject *timeout)
{
    double most = timeout == Py_None ? -1 : PyFloat_AsDouble(timeout);
    if (most == -1 && PyErr_Occurred()) return FAILED;
    long long end = timeout == Py_None ? 0 : now() + (long long)(most * 1e9);
    __atomic_store_n(word(slot, SLOT_CLIENT_ASLEEP), 1, __ATOMIC_SEQ_CST);
    while (!answered(slot)) {
        double left = timeout == Py_None ? slot->nap : (double)(end - now()) / 1e9;
        if (left <= 0) return problem(slot, "_late", timeout);
        if (nap(slot, left < slot->nap ? left : slot->nap)) return FAILED;
    }
    __atomic_store_n(word(slot, SLOT_CLIENT_ASLEEP), 0, __ATOMIC_RELAXED);
    return 0;
}

/* Spinning in vain only keeps others from running: give it a rest. */
static void adapt(Slot *slot, int asleep)
{
    if (slot->rest) {
        slot->rest--;
    } else if (!asleep) {
        slot->rest = slot->next_rest;
        slot->next_rest = slot->next_rest == slot->last_rest ? slot->first_rest : 2 * slot->next_rest;
    }
}

static int wait_for_answer(Slot *slot, PyObject *timeout)
{
    __atomic_store_n(word(slot, SLOT_REQUEST_SERIAL), ++slot->serial, __ATOMIC_SEQ_CST); /* a full barrier */
    int asleep = (int)__atomic_load_n(word(slot, SLOT_AGENT_ASLEEP), __ATOMIC_SEQ_CST);
    if (asleep && wake(slot)) return FAILED;
    if (!asleep && !slot->rest && slot->spin && spin(slot)) { /* waking it takes longer than spinning is worth */
        slot->next_rest = slot->first_rest;
        return 0;
    }
    adapt(slot, asleep);
    return sleep_until_answered(slot, timeout);
}

/* Sends the request that lies in the slot, and waits. Who was told to close meanwhile does so at the end. */
int slot_exchange(Slot *slot, PyObject *timeout, struct response *response)
{
    if (slot->closed) return problem(slot, "_given_up", NULL);
    if (slot->busy) return problem(slot, "_occupied", NULL);
    slot->busy = 1;
    int failed = wait_for_answer(slot, timeout);
    slot->busy = 0;
    if (!failed) memcpy(response, (char *)slot->memory.buf + SLOT_RESPONSE, sizeof *response);
    if (slot->close_later) {
        PyObject *type, *value, *trace;
        PyErr_Fetch(&type, &value, &trace);
        Py_XDECREF(PyObject_CallMethod((PyObject *)slot, "close", NULL));
        PyErr_Restore(type, value, trace);
        return failed ? FAILED : problem(slot, "_given_up", NULL);
    }
    return failed;
}

/* Puts a request into the slot first. */
int slot_send(Slot *slot, const void *message, size_t size, PyObject *timeout, struct response *response)
{
    if (!slot_usable(slot)) return slot_exchange(slot, timeout, response); /* which says why */
    if (size > SLOT_ARENA - SLOT_REQUEST) {
        PyErr_SetString(PyExc_ValueError, "the message is larger than the slot");
        return FAILED;
    }
    memcpy(slot_request(slot), message, size);
    return slot_exchange(slot, timeout, response);
}

static PyObject *fields(const struct response *response, Py_ssize_t count)
{
    PyObject *record = PyTuple_New(count);
    if (!record) return NULL;
    PyTuple_SET_ITEM(record, 0, PyLong_FromUnsignedLong(response->status));
    PyTuple_SET_ITEM(record, 1, PyLong_FromUnsignedLong(response->last_error));
    PyTuple_SET_ITEM(record, 2, PyLong_FromLongLong(response->result));
    PyTuple_SET_ITEM(record, 3, PyFloat_FromDouble(response->real));
    PyTuple_SET_ITEM(record, 4, PyLong_FromLong(response->errno_value));
    PyTuple_SET_ITEM(record, 5, PyLong_FromUnsignedLong(response->popped));
    PyTuple_SET_ITEM(record, 6, PyLong_FromUnsignedLongLong(response->access));
    PyTuple_SET_ITEM(record, 7, PyLong_FromUnsignedLongLong(response->address));
    PyTuple_SET_ITEM(record, 8, PyLong_FromUnsignedLongLong(response->instruction));
    for (int k = 0; k < 9; k++)
        if (!PyTuple_GET_ITEM(record, k)) {
            Py_DECREF(record);
            return NULL;
        }
    return record;
}

/* A response as transports return it, with the area behind it where it is a callback. */
PyObject *slot_record(const Slot *slot, const struct response *response)
{
    if (response->status != STATUS_CALLBACK) return fields(response, 9);
    if (response->access > SLOT_ARENA - SLOT_REQUEST) {
        problem((Slot *)slot, "_oversized", NULL);
        return NULL;
    }
    PyObject *record = fields(response, 10);
    if (!record) return NULL;
    PyObject *area = PyBytes_FromStringAndSize(slot_request(slot), (Py_ssize_t)response->access);
    if (!area) {
        Py_DECREF(record);
        return NULL;
    }
    PyTuple_SET_ITEM(record, 9, area);
    return record;
}

static PyObject *exchange(Slot *slot, PyObject *const *arguments, Py_ssize_t count, PyObject *names)
{
    struct response response;
    Py_buffer message;
    if (count < 1 || count > 2 || (names && PyTuple_GET_SIZE(names))) {
        PyErr_SetString(PyExc_TypeError, "exchange() takes a message and a timeout, by position");
        return NULL;
    }
    if (PyObject_GetBuffer(arguments[0], &message, PyBUF_SIMPLE)) return NULL;
    int failed = slot_send(slot, message.buf, (size_t)message.len, count == 2 ? arguments[1] : Py_None, &response);
    PyBuffer_Release(&message);
    return failed ? NULL : slot_record(slot, &response);
}

static void let_go(Slot *slot)
{
    slot->closed = 1;
    if (slot->memory.obj) PyBuffer_Release(&slot->memory);
}

static PyObject *release(Slot *slot, PyObject *none)
{
    (void)none;
    if (slot->busy && slot->process == getpid()) { /* else it was another thread's, which a forked child does not have */
        slot->close_later = 1;
        Py_RETURN_FALSE;
    }
    let_go(slot);
    Py_RETURN_TRUE;
}

static int init(Slot *slot, PyObject *arguments, PyObject *named)
{
    static char *names[] = {"view", "wake_agent", "woken", "spin", "rests", "nap", NULL};
    PyObject *view;
    int spin;
    if (!PyArg_ParseTupleAndKeywords(arguments, named, "Oiii(II)d", names, &view, &slot->wake_agent, &slot->woken, &spin,
                                     &slot->first_rest, &slot->last_rest, &slot->nap))
        return -1;
    let_go(slot);
    if (PyObject_GetBuffer(view, &slot->memory, PyBUF_WRITABLE)) return -1;
    if (slot->memory.len < SLOT_ARENA) {
        let_go(slot);
        PyErr_SetString(PyExc_ValueError, "the view is smaller than a slot");
        return -1;
    }
    slot->spin = 1000LL * spin;
    slot->next_rest = slot->first_rest;
    slot->process = getpid();
    slot->closed = 0;
    return 0;
}

static PyObject *new(PyTypeObject *type, PyObject *arguments, PyObject *named)
{
    (void)arguments, (void)named;
    Slot *slot = (Slot *)type->tp_alloc(type, 0);
    if (slot) slot->closed = 1;
    return (PyObject *)slot;
}

static void dealloc(Slot *slot)
{
    if (slot->weak) PyObject_ClearWeakRefs((PyObject *)slot);
    let_go(slot);
    Py_TYPE(slot)->tp_free(slot);
}

static PyMethodDef methods[] = {
    {"exchange", (PyCFunction)(void (*)(void))exchange, METH_FASTCALL | METH_KEYWORDS, "Send a request and wait for its record."},
    {"release", (PyCFunction)release, METH_NOARGS, "Let the memory go; False when the thread that waits will close the channel."},
    {NULL, NULL, 0, NULL},
};

PyTypeObject SlotType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "winbridge._native.Slot",
    .tp_doc = "winbridge.core.transport.slot.Slot in C.",
    .tp_basicsize = sizeof(Slot),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_weaklistoffset = offsetof(Slot, weak),
    .tp_new = new,
    .tp_init = (initproc)init,
    .tp_dealloc = (destructor)dealloc,
    .tp_methods = methods,
};
