/* A method with a usual case in C: what that does not take goes to the Python function behind it. */
#include "native.h"

typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
    step run;
    PyObject *rest;
} Step;

static PyObject *call(PyObject *self, PyObject *const *arguments, size_t flags, PyObject *names)
{
    Step *method = (Step *)self;
    Py_ssize_t count = PyVectorcall_NARGS(flags);
    PyObject *result = NULL;
    if (count && (!names || !PyTuple_GET_SIZE(names))) {
        int done = method->run(arguments[0], arguments + 1, count - 1, &result);
        if (done != NOT_HERE) return result;
    }
    return PyObject_Vectorcall(method->rest, arguments, flags, names);
}

static PyObject *descr_get(PyObject *self, PyObject *object, PyObject *type)
{
    (void)type;
    return object ? PyMethod_New(self, object) : Py_NewRef(self);
}

/* Its name, documentation and signature are those of the Python function. */
static PyObject *getattro(PyObject *self, PyObject *name)
{
    PyObject *found = PyObject_GenericGetAttr(self, name);
    if (found || !PyErr_ExceptionMatches(PyExc_AttributeError)) return found;
    PyErr_Clear();
    return PyObject_GetAttr(((Step *)self)->rest, name);
}

static PyObject *get_doc(Step *self, void *none)
{
    (void)none;
    return PyObject_GetAttrString(self->rest, "__doc__");
}

static int traverse(Step *self, visitproc visit, void *arg)
{
    Py_VISIT(self->rest);
    return 0;
}

static int clear(Step *self)
{
    Py_CLEAR(self->rest);
    return 0;
}

static void dealloc(Step *self)
{
    PyObject_GC_UnTrack(self);
    clear(self);
    Py_TYPE(self)->tp_free(self);
}

static PyMemberDef members[] = {
    {"__wrapped__", T_OBJECT, offsetof(Step, rest), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef getset[] = {
    {"__doc__", (getter)get_doc, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject StepType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "winbridge._native.Step",
    .tp_basicsize = sizeof(Step),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR,
    .tp_vectorcall_offset = offsetof(Step, call),
    .tp_call = PyVectorcall_Call,
    .tp_descr_get = descr_get,
    .tp_getattro = getattro,
    .tp_getset = getset,
    .tp_members = members,
    .tp_traverse = (traverseproc)traverse,
    .tp_clear = (inquiry)clear,
    .tp_dealloc = (destructor)dealloc,
};

PyObject *make_step(step run, PyObject *rest)
{
    Step *made = PyObject_GC_New(Step, &StepType);
    if (!made) return NULL;
    made->call = call;
    made->run = run;
    made->rest = Py_NewRef(rest);
    PyObject_GC_Track(made);
    return (PyObject *)made;
}
