/* Stands in for Python.h when CPython's _ctypes_test.c is compiled with mingw-w64, without a Python for Windows.
 *
 * ctypes loads the finished DLL by path, so nothing imports it as a module: its method table and its PyInit function
 * only have to compile. The one function of the Python API that a test does reach, through PyDLL, is looked up in the
 * Python that loaded the DLL.
 */
#ifndef WINBRIDGE_PYTHON_H
#define WINBRIDGE_PYTHON_H

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>
#include <windows.h>

#define HAVE_WCHAR_H 1
#define Py_EXPORTED_SYMBOL __declspec(dllexport)
#define PyMODINIT_FUNC __declspec(dllexport) PyObject *

typedef struct _object PyObject;
typedef PyObject *(*PyCFunction)(PyObject *self, PyObject *arguments);

typedef struct {
    const char *name;
    PyCFunction function;
    int flags;
    const char *documentation;
} PyMethodDef;

typedef struct PyModuleDef_Slot {
    int slot;
    void *value;
} PyModuleDef_Slot;

struct PyModuleDef {
    int base;
    const char *name;
    const char *documentation;
    ptrdiff_t size;
    PyMethodDef *methods;
    PyModuleDef_Slot *slots;
    void *traverse;
    void *clear;
    void *release;
};

#define PyModuleDef_HEAD_INIT 0
#define METH_VARARGS 1
#define METH_NOARGS 4
#define Py_RETURN_NONE return NULL

static inline int PyArg_ParseTuple(PyObject *arguments, const char *format, ...)
{
    (void)arguments;
    (void)format;
    return 0;
}

static inline PyObject *PyModuleDef_Init(struct PyModuleDef *definition)
{
    (void)definition;
    return NULL;
}

static inline int PyList_Append(PyObject *list, PyObject *item)
{
    HMODULE python = GetModuleHandleW(L"python311.dll");
    int (*append)(PyObject *, PyObject *) = python ? (void *)GetProcAddress(python, "PyList_Append") : NULL;
    return append ? append(list, item) : -1;
}

#endif
