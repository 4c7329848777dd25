/* The usual call of the two kinds of functions: DllFunction and the drop-in's function pointers. */
#include "native.h"

static PyObject *text_signature, *text_names, *text_errcheck, *text_here, *text_plan, *text_numbers, *text_native;

int prepare_functions(void)
{
    text_signature = PyUnicode_InternFromString("signature");
    text_names = PyUnicode_InternFromString("names");
    text_errcheck = PyUnicode_InternFromString("_errcheck");
    text_here = PyUnicode_InternFromString("_here");
    text_plan = PyUnicode_InternFromString("_plan");
    text_numbers = PyUnicode_InternFromString("numbers");
    text_native = PyUnicode_InternFromString("native");
    return text_native ? 0 : -1;
}

/* Whether arguments by position need nothing of a signature: all of its parameters are given. */
static int all_given(PyObject *signature, Py_ssize_t count)
{
    if (signature == Py_None) return 1;
    PyObject *names = PyObject_GetAttr(signature, text_names);
    int given = names && PyList_Check(names) && PyList_GET_SIZE(names) <= count;
    Py_XDECREF(names);
    PyErr_Clear();
    return given;
}

static int same_types(PyObject *types, PyObject *const *arguments, Py_ssize_t count)
{
    if (!types || PyTuple_GET_SIZE(types) != count) return 0;
    for (Py_ssize_t k = 0; k < count; k++)
        if (PyTuple_GET_ITEM(types, k) != (PyObject *)Py_TYPE(arguments[k])) return 0;
    return 1;
}

/* The plan for arguments like these (a borrowed reference), the last one first. */
static PyObject *plan_for(Binding *binding, PyObject *const *arguments, Py_ssize_t count)
{
    if (same_types(binding->types, arguments, count)) return binding->plan;
    PyObject *types = PyTuple_New(count);
    if (!types) return NULL;
    for (Py_ssize_t k = 0; k < count; k++) PyTuple_SET_ITEM(types, k, Py_NewRef((PyObject *)Py_TYPE(arguments[k])));
    PyObject *plan = PyDict_GetItemWithError(binding->plans, types);
    if (plan) {
        Py_XSETREF(binding->types, Py_NewRef(types));
        Py_XSETREF(binding->plan, Py_NewRef(plan));
    }
    Py_DECREF(types);
    return plan;
}

/* A new reference to how a plan packs numbers; NULL where it does not. */
static Numbers *numbers_of(PyObject *plan)
{
    PyObject *numbers = PyObject_GetAttr(plan, text_numbers);
    if (numbers && Py_IS_TYPE(numbers, &NumbersType)) return (Numbers *)numbers;
    Py_XDECREF(numbers);
    PyErr_Clear();
    return NULL;
}

static int run(Binding *binding, PyObject *plan, PyObject *const *arguments, Py_ssize_t count, PyObject **result)
{
    Numbers *numbers = numbers_of(plan);
    if (!numbers) return NOT_HERE;
    Py_INCREF(plan); /* a callback in the call may change the prototype */
    int done = numbers_call(numbers, binding, plan, arguments, count, result);
    Py_DECREF(plan);
    Py_DECREF(numbers);
    return done;
}

/* In place of DllFunction.__call__. */
int call_dll_function(PyObject *self, PyObject *const *arguments, Py_ssize_t count, PyObject **result)
{
    PyObject *state = PyObject_GenericGetDict(self, NULL);
    if (!state) return FAILED;
    PyObject *signature = PyDict_GetItemWithError(state, text_signature);
    PyObject *errcheck = PyDict_GetItemWithError(state, text_errcheck);
    PyObject *here = PyDict_GetItemWithError(state, text_here);
    PyObject *binding = signature && errcheck == Py_None && all_given(signature, count) ? current_entry(here) : NULL;
    Py_DECREF(state); /* the function has it */
    if (!binding) return PyErr_Occurred() ? FAILED : NOT_HERE;
    PyObject *plan = Py_IS_TYPE(binding, &BindingType) ? plan_for((Binding *)binding, arguments, count) : NULL;
    int done = plan ? run((Binding *)binding, plan, arguments, count, result) : PyErr_Occurred() ? FAILED : NOT_HERE;
    Py_DECREF(binding);
    return done;
}

/* In place of FunctionData.__call__. */
int call_ctypes_function(PyObject *self, PyObject *const *arguments, Py_ssize_t count, PyObject **result)
{
    PyObject *plan = PyObject_GetAttr(self, text_plan);
    if (!plan) return FAILED;
    PyObject *call = plan == Py_None ? NULL : PyObject_GetAttr(plan, text_native);
    int done = NOT_HERE;
    if (call && Py_IS_TYPE(call, &CallType)) done = ctypes_call((Call *)call, plan, self, arguments, count, result);
    else if (PyErr_Occurred()) done = FAILED;
    Py_XDECREF(call);
    Py_DECREF(plan);
    return done;
}
