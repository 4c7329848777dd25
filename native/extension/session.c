/* From a thread to the channel that it has in a session: what SessionEngine.exchange does, without its Python. */
#include "native.h"

static PyObject *registry; /* winbridge.core.singleton's */
static PyObject *text_epoch, *text_exchange, *text_mapped, *text_local, *text_channel, *text_timeout, *text_give_up, *text_settle, *text_share_heap;

int prepare_session(void)
{
    PyObject *module = PyImport_ImportModule("winbridge.core.singleton");
    registry = module ? PyObject_GetAttrString(module, "registry") : NULL;
    Py_XDECREF(module);
    text_epoch = PyUnicode_InternFromString("epoch");
    text_exchange = PyUnicode_InternFromString("exchange");
    text_mapped = PyUnicode_InternFromString("_mapped");
    text_local = PyUnicode_InternFromString("_local");
    text_channel = PyUnicode_InternFromString("channel");
    text_timeout = PyUnicode_InternFromString("_timeout");
    text_give_up = PyUnicode_InternFromString("_give_up");
    text_settle = PyUnicode_InternFromString("_settle");
    text_share_heap = PyUnicode_InternFromString("share_heap");
    return registry && text_share_heap ? 0 : -1;
}

/* What a table of (epoch, value) by thread knows for the calling one, as long as no session opened or closed since:
 * a new reference, or NULL with or without an error. */
PyObject *current_entry(PyObject *here)
{
    PyObject *thread = PyLong_FromUnsignedLong(PyThread_get_thread_ident());
    PyObject *entry = thread && here && PyDict_Check(here) ? PyDict_GetItemWithError(here, thread) : NULL;
    Py_XDECREF(thread);
    if (!entry || !PyTuple_Check(entry) || PyTuple_GET_SIZE(entry) != 2) return NULL;
    PyObject *epoch = PyObject_GetAttr(registry, text_epoch);
    Py_XDECREF(epoch); /* the registry holds it */
    return epoch && epoch == PyTuple_GET_ITEM(entry, 0) ? Py_NewRef(PyTuple_GET_ITEM(entry, 1)) : NULL;
}

/* Whether the agent sees all of the heap. */
static int shares_all(const Binding *binding)
{
    PyObject *mapped = PyDict_GetItemWithError(binding->state, text_mapped);
    return mapped && PyLong_AsSsize_t(mapped) == PyList_GET_SIZE(binding->segments);
}

/* A new reference to the thread's channel; NULL, with or without an error, where Python has to see to something first. */
Slot *session_slot(const Binding *binding)
{
    PyObject *state = binding->state;
    if (PyDict_GetItemWithError(state, text_exchange)) return NULL; /* the calls are written down */
    if (!shares_all(binding)) return NULL;
    PyObject *local = PyDict_GetItemWithError(state, text_local);
    PyObject *channel = local ? PyObject_GetAttr(local, text_channel) : NULL;
    if (!channel) {
        PyErr_Clear();
        return NULL;
    }
    if (!PyObject_TypeCheck(channel, &SlotType) || !slot_usable((Slot *)channel)) {
        Py_DECREF(channel);
        return NULL;
    }
    return (Slot *)channel;
}

PyObject *session_timeout(const Binding *binding)
{
    PyObject *timeout = PyDict_GetItemWithError(binding->state, text_timeout);
    return timeout ? timeout : Py_None;
}

/* A channel that raised is spent; what was raised goes on, unless the session has something to say. */
int give_up(const Binding *binding, Slot *slot)
{
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace);
    PyErr_NormalizeException(&type, &error, &trace);
    PyObject *done = PyObject_CallMethodObjArgs(binding->session, text_give_up, slot, error, NULL);
    if (done) {
        Py_DECREF(done);
        PyErr_Restore(type, error, trace);
        return FAILED;
    }
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(trace);
    return FAILED;
}

/* Answers one callback; what it runs may have made the heap grow. */
static int go_on(const Binding *binding, Slot *slot, struct response *response)
{
    struct callback_return message;
    if (answer(binding, slot, response, &message) != DONE || PyErr_CheckSignals()) return FAILED;
    if (!shares_all(binding)) {
        PyObject *shared = PyObject_CallMethodNoArgs(binding->session, text_share_heap);
        if (!shared) return FAILED;
        Py_DECREF(shared);
    }
    return slot_send(slot, &message, sizeof message.head + message.head.size, session_timeout(binding), response);
}

/* After a first answer that is not OK: callbacks are answered until the call is over, and a failure is raised. */
int settle(const Binding *binding, Slot *slot, struct response *response)
{
    while (response->status == STATUS_CALLBACK)
        if (go_on(binding, slot, response)) return give_up(binding, slot);
    if (response->status == STATUS_OK) return DONE;
    PyObject *record = slot_record(slot, response);
    Py_XDECREF(record ? PyObject_CallMethodObjArgs(binding->session, text_settle, slot, record, NULL) : NULL);
    Py_XDECREF(record);
    return FAILED;
}
