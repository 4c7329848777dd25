/* A function in one session: its address there and its plans. Kept here: what the way to the session's channel needs. */
#include "native.h"

static PyObject *segments_of(PyObject *session)
{
    PyObject *heap = PyObject_GetAttrString(session, "heap");
    PyObject *segments = heap ? PyObject_GetAttrString(heap, "segments") : NULL;
    Py_XDECREF(heap);
    if (segments && !PyList_CheckExact(segments)) {
        PyErr_SetString(PyExc_TypeError, "the heap's segments are not in a list");
        Py_CLEAR(segments);
    }
    return segments;
}

/* The session's callbacks, and in known what they are found by. */
static PyObject *callbacks_of(PyObject *session, PyObject **known)
{
    PyObject *callbacks = PyObject_GetAttrString(session, "callbacks");
    Py_XSETREF(*known, callbacks ? PyObject_GetAttrString(callbacks, "known") : NULL);
    if (*known && !PyDict_CheckExact(*known)) {
        PyErr_SetString(PyExc_TypeError, "the callbacks are not in a dict");
        Py_CLEAR(*known);
    }
    return callbacks;
}

static int init(Binding *binding, PyObject *arguments, PyObject *named)
{
    static char *names[] = {"session", "address", NULL};
    PyObject *session, *address;
    if (!PyArg_ParseTupleAndKeywords(arguments, named, "OO", names, &session, &address)) return -1;
    Py_XSETREF(binding->session, Py_NewRef(session));
    Py_XSETREF(binding->address, Py_NewRef(address));
    Py_XSETREF(binding->plans, PyDict_New());
    Py_XSETREF(binding->state, PyObject_GenericGetDict(session, NULL));
    Py_XSETREF(binding->segments, segments_of(session));
    if (!binding->plans || !binding->state || !binding->segments) return -1;
    Py_XSETREF(binding->callbacks, callbacks_of(session, &binding->known));
    return binding->known ? 0 : -1;
}

static PyObject *forget(Binding *binding, PyObject *none)
{
    (void)none;
    PyDict_Clear(binding->plans);
    Py_CLEAR(binding->types);
    Py_CLEAR(binding->plan);
    Py_RETURN_NONE;
}

static int traverse(Binding *binding, visitproc visit, void *arg)
{
    Py_VISIT(binding->session);
    Py_VISIT(binding->plans);
    Py_VISIT(binding->state);
    Py_VISIT(binding->segments);
    Py_VISIT(binding->callbacks);
    Py_VISIT(binding->known);
    Py_VISIT(binding->types);
    Py_VISIT(binding->plan);
    return 0;
}

static int clear(Binding *binding)
{
    Py_CLEAR(binding->session);
    Py_CLEAR(binding->address);
    Py_CLEAR(binding->plans);
    Py_CLEAR(binding->state);
    Py_CLEAR(binding->segments);
    Py_CLEAR(binding->callbacks);
    Py_CLEAR(binding->known);
    Py_CLEAR(binding->types);
    Py_CLEAR(binding->plan);
    return 0;
}

static void dealloc(Binding *binding)
{
    PyObject_GC_UnTrack(binding);
    clear(binding);
    Py_TYPE(binding)->tp_free(binding);
}

static PyMemberDef members[] = {
    {"session", T_OBJECT, offsetof(Binding, session), READONLY, NULL},
    {"address", T_OBJECT, offsetof(Binding, address), READONLY, NULL},
    {"plans", T_OBJECT, offsetof(Binding, plans), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef methods[] = {
    {"forget", (PyCFunction)forget, METH_NOARGS, "Drop the plans: the prototype changed."},
    {NULL, NULL, 0, NULL},
};

PyTypeObject BindingType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "winbridge._native.Binding",
    .tp_doc = "winbridge.dll.binding.Binding in C.",
    .tp_basicsize = sizeof(Binding),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)init,
    .tp_traverse = (traverseproc)traverse,
    .tp_clear = (inquiry)clear,
    .tp_dealloc = (destructor)dealloc,
    .tp_members = members,
    .tp_methods = methods,
};
