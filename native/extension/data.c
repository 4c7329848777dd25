/* Objects of winbridge.ctypes are made, and numbers in them read: the usual cases of data.py, fields.py, arrays.py, pointers.py. */
#include "native.h"

static PyObject *text_typeinfo, *text_family, *text_heap, *text_allocate, *text_size, *text_at, *text_final, *text_packed;
static PyObject *text_item, *text_load, *text_field_load, *text_field_store, *text_field_offset, *text_length, *text_setitem, *text_width;
static PyObject *text_block, *text_view, *text_address, *text_owner, *text_base, *text_kept, *text_block_address, *text_block_view;
static PyObject *text_foreign, *text_offset, *text_index, *text_first, *zero;
static PyObject *plain_setitem; /* ArrayData's own */

int prepare_data(void)
{
    struct { PyObject **text; const char *name; } texts[] = {
        {&text_typeinfo, "_typeinfo_"}, {&text_family, "_family_"}, {&text_heap, "heap"}, {&text_allocate, "allocate"},
        {&text_size, "size"}, {&text_at, "at"}, {&text_final, "final"}, {&text_packed, "packed"}, {&text_item, "item"},
        {&text_load, "load"}, {&text_field_load, "_load"}, {&text_field_store, "_store"}, {&text_field_offset, "_offset"}, {&text_length, "length"},
        {&text_setitem, "__setitem__"}, {&text_width, "pointer_size"}, {&text_block, "_block"}, {&text_view, "_view"},
        {&text_address, "_address_"}, {&text_block_address, "address"}, {&text_block_view, "view"},
        {&text_owner, "_owner"}, {&text_base, "_b_base_"}, {&text_kept, "_kept"}, {&text_foreign, "_foreign"},
        {&text_offset, "_offset"}, {&text_index, "_index"}, {&text_first, "1"},
    };
    if (!(zero = PyLong_FromLong(0))) return -1;
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
        if (!(*texts[k].text = PyUnicode_InternFromString(texts[k].name))) return -1;
    return 0;
}

static int set(PyObject *object, PyObject *name, PyObject *value)
{
    PyObject **place = slot_place(object, name);
    if (!place) return PyObject_SetAttr(object, name, value);
    Py_XSETREF(*place, Py_NewRef(value));
    return 0;
}

/* The shape of a type (a new reference), NULL where it has none; never with an error. */
static PyObject *shape_of(PyObject *type)
{
    PyObject *shape = PyObject_GetAttr(type, text_typeinfo);
    if (shape == Py_None) Py_CLEAR(shape);
    PyErr_Clear();
    return shape;
}

static PyObject *instance(PyObject *type, PyObject *shape, PyObject *address)
{
    PyObject *at = slot_of(shape, text_at);
    if (!at || set(shape, text_final, Py_True)) return NULL;
    PyObject *arguments[] = {type, address};
    return PyObject_Vectorcall(at, arguments, 2, NULL);
}

static PyObject *allocated(PyObject *type, PyObject *size)
{
    PyObject *family = PyObject_GetAttr(type, text_family);
    PyObject *heap = family ? PyObject_GetAttr(family, text_heap) : NULL;
    PyObject *block = NULL;
    if (heap && allocate(heap, &size, 1, &block) == NOT_HERE) block = PyObject_CallMethodOneArg(heap, text_allocate, size);
    Py_XDECREF(heap);
    Py_XDECREF(family);
    return block;
}

static PyObject *over_block(PyObject *type, PyObject *shape, PyObject *block)
{
    PyObject *address = PyObject_GetAttr(block, text_block_address);
    PyObject *view = PyObject_GetAttr(block, text_block_view);
    PyObject *object = address && view ? instance(type, shape, address) : NULL;
    if (object
        && (set(object, text_block, block) || set(object, text_view, view) || set(object, text_address, address)
            || set(object, text_owner, Py_True) || set(object, text_base, Py_None) || set(object, text_kept, Py_None)))
        Py_CLEAR(object);
    Py_XDECREF(address);
    Py_XDECREF(view);
    return object;
}

/* In front of data.new. */
int new_object(PyObject *type, PyObject *const *arguments, Py_ssize_t count, PyObject **result)
{
    (void)arguments;
    PyObject *shape = count ? NULL : shape_of(type);
    PyObject *size = shape ? slot_of(shape, text_size) : NULL;
    if (!size) {
        Py_XDECREF(shape);
        return NOT_HERE;
    }
    PyObject *block = allocated(type, size);
    if (block) *result = over_block(type, shape, block);
    Py_XDECREF(block);
    Py_DECREF(shape);
    return *result ? DONE : FAILED;
}

/* In front of data.at_address: memory that this process sees. */
int object_at(PyObject *type, PyObject *const *arguments, Py_ssize_t count, PyObject **result)
{
    PyObject *shape = count == 1 && PyLong_Check(arguments[0]) ? shape_of(type) : NULL;
    PyObject *size = shape ? slot_of(shape, text_size) : NULL;
    PyObject *family = size ? PyObject_GetAttr(type, text_family) : NULL;
    unsigned long long address = family ? PyLong_AsUnsignedLongLong(arguments[0]) : 0;
    PyObject *view = family && !PyErr_Occurred() ? seen(family, address, PyLong_AsSsize_t(size)) : NULL;
    PyErr_Clear();
    if (view) *result = instance(type, shape, arguments[0]);
    if (*result && (set(*result, text_view, view) || set(*result, text_address, arguments[0]))) Py_CLEAR(*result);
    int done = *result ? DONE : view ? FAILED : NOT_HERE;
    Py_XDECREF(view);
    Py_XDECREF(family);
    Py_XDECREF(shape);
    return done;
}

static PyObject *sum(PyObject *address, PyObject *offset)
{
    return address && PyLong_CheckExact(address) && PyLong_CheckExact(offset) ? PyNumber_Add(address, offset) : NULL;
}

static int set_part(PyObject *object, PyObject *view, PyObject *address, PyObject *const *arguments)
{
    return set(object, text_view, view) || set(object, text_address, address) || set(object, text_base, arguments[0])
        || set(object, text_offset, arguments[1]) || set(object, text_index, arguments[2]);
}

/* In front of data.part: a part of an object in memory that this process and the DLLs share. */
int object_part(PyObject *type, PyObject *const *arguments, Py_ssize_t count, PyObject **result)
{
    PyObject *whole = count == 3 ? arguments[0] : NULL, *foreign = whole ? slot_of(whole, text_foreign) : Py_True;
    PyObject *shape = !foreign || foreign == Py_False ? shape_of(type) : NULL;
    PyObject *size = shape ? slot_of(shape, text_size) : NULL;
    PyObject *address = size ? sum(slot_of(whole, text_address), arguments[1]) : NULL;
    PyObject *all = address ? slot_of(whole, text_view) : NULL, *view = NULL;
    if (all && PyMemoryView_Check(all)) {
        Py_ssize_t from = PyLong_AsSsize_t(arguments[1]), bytes = PyLong_AsSsize_t(size);
        if (bytes_of(all, from, bytes)) view = part_of(all, from, from + bytes);
    }
    if (view) *result = instance(type, shape, address);
    if (*result && set_part(*result, view, address, arguments)) Py_CLEAR(*result);
    int done = *result ? DONE : view || PyErr_Occurred() ? FAILED : NOT_HERE;
    Py_XDECREF(view);
    Py_XDECREF(address);
    Py_XDECREF(shape);
    return done;
}

/* Load reads and Store writes one number of an object, as the functions of codes.py do. */

typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
    PyObject *rest;
    char code;
} Load;

typedef Load Store;

static int load_number(PyObject *load, PyObject *object, PyObject *offset, PyObject **result)
{
    char code = ((Load *)load)->code;
    if (!PyLong_CheckExact(offset)) return NOT_HERE;
    const char *bytes = object_bytes(object, PyLong_AsSsize_t(offset), number_size(code));
    PyErr_Clear();
    if (!bytes) return NOT_HERE;
    *result = get_number(bytes, code);
    return *result ? DONE : FAILED;
}

static PyObject *call_load(PyObject *self, PyObject *const *arguments, size_t flags, PyObject *names)
{
    PyObject *result = NULL;
    if (PyVectorcall_NARGS(flags) == 2 && !names) {
        int done = load_number(self, arguments[0], arguments[1], &result);
        if (done != NOT_HERE) return result;
    }
    return PyObject_Vectorcall(((Load *)self)->rest, arguments, flags, names);
}

static PyObject *made(PyTypeObject *type, PyObject *arguments, PyObject *named, vectorcallfunc call)
{
    static char *names[] = {"code", "rest", NULL};
    const char *code;
    PyObject *rest;
    if (!PyArg_ParseTupleAndKeywords(arguments, named, "sO", names, &code, &rest)) return NULL;
    if (!number_size(*code) || code[1]) {
        PyErr_Format(PyExc_ValueError, "%s is no code of a number", code);
        return NULL;
    }
    Load *load = (Load *)type->tp_alloc(type, 0);
    if (!load) return NULL;
    load->call = call;
    load->code = *code;
    load->rest = Py_NewRef(rest);
    return (PyObject *)load;
}

static PyObject *new_load(PyTypeObject *type, PyObject *arguments, PyObject *named)
{
    return made(type, arguments, named, call_load);
}

static void dealloc_load(Load *load)
{
    Py_XDECREF(load->rest);
    Py_TYPE(load)->tp_free(load);
}

PyTypeObject LoadType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "winbridge._native.Load",
    .tp_doc = "Reads a number of an object by its struct code; from memory that Python cannot see by the function behind it.",
    .tp_basicsize = sizeof(Load),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_vectorcall_offset = offsetof(Load, call),
    .tp_call = PyVectorcall_Call,
    .tp_new = new_load,
    .tp_dealloc = (destructor)dealloc_load,
};

/* Integers wrap around and reals are rounded, as in C. */
static int store_number(PyObject *store, PyObject *object, PyObject *offset, PyObject *value)
{
    char code = ((Store *)store)->code;
    int is_real = code == 'f' || code == 'd';
    if (!PyLong_CheckExact(offset) || (!PyLong_CheckExact(value) && !(is_real && PyFloat_CheckExact(value)))) return NOT_HERE;
    char *bytes = object_bytes(object, PyLong_AsSsize_t(offset), number_size(code));
    PyErr_Clear();
    if (!bytes) return NOT_HERE;
    if (is_real) return put_number(bytes, code, value);
    unsigned long long bits = PyLong_AsUnsignedLongLongMask(value);
    memcpy(bytes, &bits, (size_t)number_size(code));
    return DONE;
}

static PyObject *call_store(PyObject *self, PyObject *const *arguments, size_t flags, PyObject *names)
{
    if (PyVectorcall_NARGS(flags) == 3 && !names && store_number(self, arguments[0], arguments[1], arguments[2]) == DONE)
        Py_RETURN_NONE;
    return PyObject_Vectorcall(((Store *)self)->rest, arguments, flags, names);
}

static PyObject *new_store(PyTypeObject *type, PyObject *arguments, PyObject *named)
{
    return made(type, arguments, named, call_store);
}

PyTypeObject StoreType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "winbridge._native.Store",
    .tp_doc = "Writes a number of an object by its struct code; what is rare by the function behind it.",
    .tp_basicsize = sizeof(Store),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_vectorcall_offset = offsetof(Store, call),
    .tp_call = PyVectorcall_Call,
    .tp_new = new_store,
    .tp_dealloc = (destructor)dealloc_load,
};

/* In front of CField.__set__. */
int set_field(PyObject *field, PyObject *const *arguments, Py_ssize_t count, PyObject **result)
{
    PyObject *store = count == 2 ? slot_of(field, text_field_store) : NULL;
    PyObject *offset = store && Py_IS_TYPE(store, &StoreType) ? slot_of(field, text_field_offset) : NULL;
    if (!offset || store_number(store, arguments[0], offset, arguments[1]) != DONE) return NOT_HERE;
    *result = Py_NewRef(Py_None);
    return DONE;
}

/* In front of CField.__get__. */
int get_field(PyObject *field, PyObject *const *arguments, Py_ssize_t count, PyObject **result)
{
    PyObject *load = count && arguments[0] != Py_None ? slot_of(field, text_field_load) : NULL;
    PyObject *offset = load && Py_IS_TYPE(load, &LoadType) ? slot_of(field, text_field_offset) : NULL;
    return offset ? load_number(load, arguments[0], offset, result) : NOT_HERE;
}

/* Arrays. */

static int has_plain_items(PyObject *array)
{
    if (!plain_setitem) {
        PyObject *module = PyImport_ImportModule("winbridge.ctypes.arrays");
        PyObject *type = module ? PyObject_GetAttrString(module, "ArrayData") : NULL;
        plain_setitem = type ? PyObject_GetAttr(type, text_setitem) : NULL;
        Py_XDECREF(type);
        Py_XDECREF(module);
        PyErr_Clear();
    }
    return plain_setitem && _PyType_Lookup(Py_TYPE(array), text_setitem) == plain_setitem;
}

/* The struct code of the items of an array of plain numbers, else 0. */
static char packed_code(PyObject *array)
{
    PyObject *shape = shape_of((PyObject *)Py_TYPE(array));
    PyObject *packed = shape ? slot_of(shape, text_packed) : NULL;
    char code = packed && PyUnicode_Check(packed) && PyUnicode_GET_LENGTH(packed) == 1 ? (char)PyUnicode_READ_CHAR(packed, 0) : 0;
    Py_XDECREF(shape); /* the type has it */
    return number_size(code) ? code : 0;
}

/* In front of ArrayData.__init__: numbers that fit as they are. */
int fill_array(PyObject *array, PyObject *const *arguments, Py_ssize_t count, PyObject **result)
{
    char code = count && has_plain_items(array) ? packed_code(array) : 0;
    int size = number_size(code);
    char *bytes = code ? object_bytes(array, 0, count * size) : NULL;
    if (!bytes) return NOT_HERE;
    for (Py_ssize_t k = 0; k < count; k++) {
        if (!PyLong_CheckExact(arguments[k]) && !PyFloat_CheckExact(arguments[k])) return NOT_HERE;
        if (put_number(bytes + k * size, code, arguments[k]) != DONE) return NOT_HERE;
    }
    *result = Py_NewRef(Py_None);
    return DONE;
}

/* The item of an array of plain numbers that is read at once, by its loader: a subclass of a number is none. */
static int is_loaded(PyObject *shape)
{
    PyObject *item = slot_of(shape, text_item);
    PyObject *inner = item ? shape_of(item) : NULL;
    PyObject *load = inner ? slot_of(inner, text_load) : NULL;
    int is = load && Py_IS_TYPE(load, &LoadType);
    Py_XDECREF(inner);
    return is;
}

static PyObject *several(const char *bytes, char code, Py_ssize_t start, Py_ssize_t step, Py_ssize_t count)
{
    PyObject *list = PyList_New(count);
    for (Py_ssize_t k = 0; list && k < count; k++) {
        PyObject *number = get_number(bytes + (start + k * step) * number_size(code), code);
        if (number) PyList_SET_ITEM(list, k, number);
        else Py_CLEAR(list);
    }
    return list;
}

/* In front of ArrayData.__getitem__: one number, or a slice of numbers. */
int get_items(PyObject *array, PyObject *const *arguments, Py_ssize_t count, PyObject **result)
{
    char code = count == 1 ? packed_code(array) : 0;
    PyObject *shape = code ? shape_of((PyObject *)Py_TYPE(array)) : NULL;
    Py_ssize_t length = shape && is_loaded(shape) ? PyLong_AsSsize_t(slot_of(shape, text_length)) : -1;
    Py_XDECREF(shape);
    const char *bytes = length >= 0 ? object_bytes(array, 0, length * number_size(code)) : NULL;
    if (!bytes) return NOT_HERE;
    Py_ssize_t start, stop, step;
    if (PySlice_Check(arguments[0])) {
        if (PySlice_Unpack(arguments[0], &start, &stop, &step)) return FAILED;
        *result = several(bytes, code, start, step, PySlice_AdjustIndices(length, &start, &stop, step));
        return *result ? DONE : FAILED;
    }
    if (!PyLong_CheckExact(arguments[0])) return NOT_HERE;
    Py_ssize_t index = PyLong_AsSsize_t(arguments[0]);
    PyErr_Clear();
    if (index < 0 || index >= length) return NOT_HERE;
    *result = get_number(bytes + index * number_size(code), code);
    return *result ? DONE : FAILED;
}

/* In front of PointerData.__getitem__: one number that this process sees. */
int get_pointed(PyObject *pointer, PyObject *const *arguments, Py_ssize_t count, PyObject **result)
{
    if (count != 1 || !PyLong_CheckExact(arguments[0])) return NOT_HERE;
    PyObject *shape = shape_of((PyObject *)Py_TYPE(pointer)), *item = shape ? slot_of(shape, text_item) : NULL;
    PyObject *inner = item ? shape_of(item) : NULL, *load = inner ? slot_of(inner, text_load) : NULL;
    PyObject *family = load && Py_IS_TYPE(load, &LoadType) ? PyObject_GetAttr((PyObject *)Py_TYPE(pointer), text_family) : NULL;
    PyObject *width = family ? PyObject_GetAttr(family, text_width) : NULL, *view = NULL;
    uint64_t address;
    long long index = PyLong_AsLongLong(arguments[0]);
    if (width && !PyErr_Occurred() && pointer_value(pointer, (int)PyLong_AsLong(width), &address) == DONE && address) {
        char code = ((Load *)load)->code;
        view = seen(family, address + (uint64_t)(index * number_size(code)), number_size(code));
        const char *bytes = view ? bytes_of(view, 0, number_size(code)) : NULL;
        if (bytes) *result = get_number(bytes, code);
    }
    int done = *result ? DONE : NOT_HERE;
    PyErr_Clear();
    Py_XDECREF(view);
    Py_XDECREF(width);
    Py_XDECREF(family);
    Py_XDECREF(inner);
    Py_XDECREF(shape);
    return done;
}

/* Whether a pointer was given an object in the memory of another Python object: then what it points to is a part of that. */
static int is_given_foreign(PyObject *pointer)
{
    PyObject *base = slot_of(pointer, text_base), *kept = slot_of(pointer, text_kept);
    if ((base && base != Py_None) || !kept || !PyDict_CheckExact(kept)) return 0;
    PyObject *given = PyDict_GetItemWithError(kept, text_first);
    PyObject *foreign = given ? slot_of(given, text_foreign) : NULL;
    return foreign && foreign != Py_False;
}

static int object_pointed(PyObject *pointer, PyObject *width, PyObject *item, PyObject **result)
{
    uint64_t value;
    if (pointer_value(pointer, (int)PyLong_AsLong(width), &value) != DONE || !value) return NOT_HERE;
    PyObject *address = PyLong_FromUnsignedLongLong(value);
    int done = address ? object_at(item, &address, 1, result) : FAILED;
    Py_XDECREF(address);
    return done;
}

/* In front of PointerData.contents: an object in memory that this process sees. */
int get_contents(PyObject *pointer, PyObject *const *arguments, Py_ssize_t count, PyObject **result)
{
    (void)arguments;
    PyObject *shape = count || is_given_foreign(pointer) ? NULL : shape_of((PyObject *)Py_TYPE(pointer));
    PyObject *item = shape ? Py_XNewRef(slot_of(shape, text_item)) : NULL;
    int done = item ? object_pointed(pointer, slot_of(shape, text_size), item, result) : NOT_HERE;
    Py_XDECREF(item);
    Py_XDECREF(shape);
    if (done == DONE && (set(*result, text_base, pointer) || set(*result, text_index, zero))) {
        Py_CLEAR(*result);
        return FAILED;
    }
    return done;
}

/* What an object that is no part of another keeps alive, with the object itself, as a cast shares it (a new reference). */
static PyObject *kept_with(PyObject *object)
{
    PyObject *kept = slot_of(object, text_kept), *key = PyLong_FromVoidPtr(object);
    if (kept == Py_None) kept = NULL;
    PyObject *shared = kept ? Py_NewRef(kept) : PyDict_New();
    int failed = !key || !shared || PyDict_SetItem(shared, key, object) || (!kept && set(object, text_kept, shared));
    Py_XDECREF(key);
    if (failed) Py_CLEAR(shared);
    return shared;
}

static int keeps_plainly(PyObject *object)
{
    PyObject *kept = slot_of(object, text_kept);
    return slot_of(object, text_base) == Py_None && kept && (kept == Py_None || PyDict_CheckExact(kept));
}

/* In front of pointer_to. */
int pointer_to(PyObject *type, PyObject *const *arguments, Py_ssize_t count, PyObject **result)
{
    uint64_t address;
    if (count != 1 || !keeps_plainly(arguments[0]) || object_address(arguments[0], &address) != DONE) return NOT_HERE;
    int done = new_object(type, NULL, 0, result);
    if (done != DONE) return done;
    PyObject *shape = shape_of(type), *kept = kept_with(arguments[0]);
    Py_ssize_t width = shape ? PyLong_AsSsize_t(slot_of(shape, text_size)) : -1;
    char *bytes = width == 4 || width == 8 ? object_bytes(*result, 0, width) : NULL;
    if (bytes) memcpy(bytes, &address, (size_t)width);
    if (!bytes || !kept || set(*result, text_kept, kept)) Py_CLEAR(*result);
    Py_XDECREF(kept);
    Py_XDECREF(shape);
    return *result ? DONE : PyErr_Occurred() ? FAILED : NOT_HERE;
}
