/* Objects of winbridge.ctypes: where they lie, read from the slots that winbridge/ctypes/data.py keeps them in.
 *
 * NOT_HERE is said of what the Python has to look at: memory of Windows, or of another Python object. */
#include "native.h"

static PyObject *text_address, *text_view, *text_array_behind, *text_object, *text_code, *text_value, *text_offset;
static PyObject *reference_type; /* what byref makes */

int prepare_objects(void)
{
    text_address = PyUnicode_InternFromString("_address_");
    text_view = PyUnicode_InternFromString("_view");
    text_array_behind = PyUnicode_InternFromString("_arr");
    text_object = PyUnicode_InternFromString("_obj");
    text_code = PyUnicode_InternFromString("code");
    text_value = PyUnicode_InternFromString("value");
    text_offset = PyUnicode_InternFromString("offset");
    return text_offset ? 0 : -1;
}

/* Where an instance has a slot; NULL where it has none of that name. */
PyObject **slot_place(PyObject *object, PyObject *name)
{
    PyObject *member = _PyType_Lookup(Py_TYPE(object), name);
    if (!member || !Py_IS_TYPE(member, &PyMemberDescr_Type)) return NULL;
    return (PyObject **)((char *)object + ((PyMemberDescrObject *)member)->d_member->offset);
}

/* What a slot of an instance holds (a borrowed reference), NULL where it is empty or there is no such slot. */
PyObject *slot_of(PyObject *object, PyObject *name)
{
    PyObject **place = slot_place(object, name);
    return place ? *place : NULL;
}

static int as_address(PyObject *number, uint64_t *address)
{
    if (!number || !PyLong_Check(number)) return NOT_HERE;
    unsigned long long value = PyLong_AsUnsignedLongLong(number);
    if (value == (unsigned long long)-1 && PyErr_Occurred()) {
        PyErr_Clear();
        return NOT_HERE;
    }
    *address = value;
    return DONE;
}

/* Where DLLs see an object. */
int object_address(PyObject *object, uint64_t *address)
{
    return as_address(slot_of(object, text_address), address);
}

static int stands_for_array(PyObject *pointer)
{
    PyObject *array = _PyObject_GenericGetAttrWithDict(pointer, text_array_behind, NULL, 1); /* makes no dict and no error */
    Py_XDECREF(array);
    return array != NULL;
}

/* Bytes that a view shows; NULL where there are fewer, or the view was released. */
char *bytes_of(PyObject *view, Py_ssize_t from, Py_ssize_t size)
{
    if (!view || !PyMemoryView_Check(view) || ((PyMemoryViewObject *)view)->flags & _Py_MEMORYVIEW_RELEASED) return NULL;
    const Py_buffer *buffer = PyMemoryView_GET_BUFFER(view);
    return from < 0 || size < 0 || from > buffer->len - size || buffer->readonly ? NULL : (char *)buffer->buf + from;
}

/* Bytes of an object that this process can see. */
char *object_bytes(PyObject *object, Py_ssize_t from, Py_ssize_t size)
{
    return bytes_of(slot_of(object, text_view), from, size);
}

/* Where a pointer points. */
int pointer_value(PyObject *pointer, int width, uint64_t *address)
{
    uint64_t value = 0;
    const char *bytes = object_bytes(pointer, 0, width);
    if (!bytes || stands_for_array(pointer)) return NOT_HERE;
    memcpy(&value, bytes, (size_t)width);
    *address = value;
    return DONE;
}

static int is_reference(PyObject *object)
{
    if (!reference_type) {
        PyObject *module = PyImport_ImportModule("winbridge.ctypes.conversion");
        reference_type = module ? PyObject_GetAttrString(module, "CArgObject") : NULL;
        Py_XDECREF(module);
        PyErr_Clear();
    }
    return (PyObject *)Py_TYPE(object) == reference_type;
}

/* The address that byref of an instance of a type stands for. */
int reference_address(PyObject *reference, PyObject *item, uint64_t *address)
{
    uint64_t start, offset;
    if (!is_reference(reference) || slot_of(reference, text_value) != Py_None) return NOT_HERE;
    PyObject *code = slot_of(reference, text_code), *object = slot_of(reference, text_object);
    if (!code || !PyUnicode_Check(code) || PyUnicode_CompareWithASCIIString(code, "P") || !object) return NOT_HERE;
    if (item && !PyType_IsSubtype(Py_TYPE(object), (PyTypeObject *)item)) return NOT_HERE;
    if (object_address(object, &start) != DONE || as_address(slot_of(reference, text_offset), &offset) != DONE) return NOT_HERE;
    *address = start + offset;
    return DONE;
}
