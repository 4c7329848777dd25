/* Blocks of the heap (winbridge/core/heap.py), and which addresses this process sees. */
#include "native.h"

typedef struct {
    PyObject_HEAD
    PyObject *weak;
    PyObject *address, *size, *view;
    PyObject *entry;    /* address, and view of all of it, to the next multiple: what goes back */
    PyObject *bin;      /* where to */
} Block;

static PyObject *text_bins, *text_pop, *text_append, *text_heap, *text_spans, *text_lent, *text_sessions, *text_transport, *text_link;
static Py_ssize_t small, large, alignment;

int prepare_heap(void)
{
    text_bins = PyUnicode_InternFromString("_bins");
    text_pop = PyUnicode_InternFromString("pop");
    text_append = PyUnicode_InternFromString("append");
    text_heap = PyUnicode_InternFromString("heap");
    text_spans = PyUnicode_InternFromString("_spans");
    text_lent = PyUnicode_InternFromString("_lent");
    text_sessions = PyUnicode_InternFromString("sessions_here");
    text_transport = PyUnicode_InternFromString("transport");
    text_link = PyUnicode_InternFromString("link");
    return text_link ? 0 : -1;
}

static Py_ssize_t constant(PyObject *module, const char *name)
{
    PyObject *number = module ? PyObject_GetAttrString(module, name) : NULL;
    Py_ssize_t value = number ? PyLong_AsSsize_t(number) : -1;
    Py_XDECREF(number);
    return value;
}

/* The limits stand in winbridge/core/heap.py, which is not there yet when this module is made. */
static int know_limits(void)
{
    if (alignment) return 1;
    PyObject *module = PyImport_ImportModule("winbridge.core.heap");
    small = constant(module, "SMALL");
    large = constant(module, "LARGE");
    if (!PyErr_Occurred()) alignment = constant(module, "ALIGNMENT");
    Py_XDECREF(module);
    if (!PyErr_Occurred()) return 1;
    alignment = 0;
    return 0;
}

/* A view of bytes of another. */
PyObject *part_of(PyObject *view, Py_ssize_t from, Py_ssize_t to)
{
    PyObject *start = PyLong_FromSsize_t(from), *stop = PyLong_FromSsize_t(to);
    PyObject *slice = start && stop ? PySlice_New(start, stop, NULL) : NULL;
    PyObject *part = slice ? PyObject_GetItem(view, slice) : NULL;
    Py_XDECREF(start);
    Py_XDECREF(stop);
    Py_XDECREF(slice);
    return part;
}

/* A block of an entry: its address and its room. */
static PyObject *made(PyTypeObject *type, PyObject *entry, PyObject *size, PyObject *bin)
{
    Py_ssize_t bytes = PyLong_AsSsize_t(size);
    PyObject *view = bytes == -1 && PyErr_Occurred() ? NULL : part_of(PyTuple_GET_ITEM(entry, 1), 0, bytes);
    Block *block = view ? (Block *)type->tp_alloc(type, 0) : NULL;
    if (!block) {
        Py_XDECREF(view);
        return NULL;
    }
    block->view = view;
    block->address = Py_NewRef(PyTuple_GET_ITEM(entry, 0));
    block->size = Py_NewRef(size);
    block->entry = Py_NewRef(entry);
    block->bin = Py_NewRef(bin);
    return (PyObject *)block;
}

static PyObject *new(PyTypeObject *type, PyObject *arguments, PyObject *named)
{
    static char *names[] = {"address", "size", "room", "bin", NULL};
    PyObject *address, *size, *room, *bin;
    if (!PyArg_ParseTupleAndKeywords(arguments, named, "OOOO", names, &address, &size, &room, &bin)) return NULL;
    PyObject *entry = PyTuple_Pack(2, address, room);
    PyObject *block = entry ? made(type, entry, size, bin) : NULL;
    Py_XDECREF(entry);
    return block;
}

/* Gives the memory back; nothing else, as this may run anywhere. */
static void give_back(Block *block)
{
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyObject *done = PyObject_CallMethodOneArg(block->bin, text_append, block->entry);
    if (!done) PyErr_WriteUnraisable(NULL);
    Py_XDECREF(done);
    PyErr_Restore(type, value, trace);
}

static void dealloc(Block *block)
{
    if (block->weak) PyObject_ClearWeakRefs((PyObject *)block);
    if (block->bin) give_back(block);
    Py_XDECREF(block->view);
    Py_XDECREF(block->address);
    Py_XDECREF(block->size);
    Py_XDECREF(block->entry);
    Py_XDECREF(block->bin);
    Py_TYPE(block)->tp_free(block);
}

static PyMemberDef members[] = {
    {"address", T_OBJECT, offsetof(Block, address), READONLY, NULL},
    {"size", T_OBJECT, offsetof(Block, size), READONLY, NULL},
    {"view", T_OBJECT, offsetof(Block, view), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyTypeObject BlockType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "winbridge._native.Block",
    .tp_doc = "winbridge.core.heap.Block in C.",
    .tp_basicsize = sizeof(Block),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_weaklistoffset = offsetof(Block, weak),
    .tp_new = new,
    .tp_dealloc = (destructor)dealloc,
    .tp_members = members,
};

static Py_ssize_t room_for(Py_ssize_t size)
{
    if (size <= small) return size ? (size + alignment - 1) / alignment * alignment : alignment;
    Py_ssize_t room = 1;
    while (room < size) room *= 2;
    return room;
}

/* A bin that has something, NULL where there is none (a borrowed reference). */
static PyObject *filled_bin(PyObject *heap, Py_ssize_t room)
{
    PyObject *bins = PyObject_GetAttr(heap, text_bins), *size = PyLong_FromSsize_t(room);
    PyObject *bin = bins && size && PyDict_Check(bins) ? PyDict_GetItemWithError(bins, size) : NULL;
    Py_XDECREF(bins); /* the heap has it */
    Py_XDECREF(size);
    return bin && PyObject_Size(bin) > 0 ? bin : NULL;
}

static PyObject *reused(PyObject *bin, PyObject *size)
{
    PyObject *entry = PyObject_CallMethodNoArgs(bin, text_pop);
    if (!entry) return NULL;
    PyObject *block = PyTuple_Check(entry) && PyTuple_GET_SIZE(entry) == 2 ? made(&BlockType, entry, size, bin) : NULL;
    Py_DECREF(entry);
    return block;
}

/* In front of Heap.allocate: a block that was used before. */
int allocate(PyObject *heap, PyObject *const *arguments, Py_ssize_t count, PyObject **result)
{
    if (count != 1 || !PyLong_CheckExact(arguments[0]) || !know_limits()) return PyErr_Occurred() ? FAILED : NOT_HERE;
    Py_ssize_t size = PyLong_AsSsize_t(arguments[0]);
    if (PyErr_Occurred()) PyErr_Clear();
    if (size < 0 || size >= large) return NOT_HERE;
    PyObject *bin = filled_bin(heap, room_for(size));
    if (!bin) return PyErr_Occurred() ? FAILED : NOT_HERE;
    Py_INCREF(bin);
    Block *block = (Block *)reused(bin, arguments[0]);
    Py_DECREF(bin);
    char *bytes = block ? bytes_of(block->view, 0, size) : NULL;
    if (!bytes) {
        Py_XDECREF(block);
        return PyErr_Occurred() ? FAILED : NOT_HERE;
    }
    memset(bytes, 0, (size_t)size);
    *result = (PyObject *)block;
    return DONE;
}

/* Whether memory that an agent lent is that of this thread's session. */
static int is_of_this_session(PyObject *family, PyObject *owner)
{
    PyObject *sessions = PyObject_GetAttr(family, text_sessions);
    PyObject *session = sessions ? current_entry(sessions) : NULL;
    PyObject *transport = session ? PyObject_GetAttr(session, text_transport) : NULL;
    PyObject *link = transport ? PyObject_GetAttr(transport, text_link) : NULL;
    int same = link && link == owner;
    Py_XDECREF(link);
    Py_XDECREF(transport);
    Py_XDECREF(session);
    Py_XDECREF(sessions);
    PyErr_Clear();
    return same;
}

/* The view of the piece of memory in a list that has all of these bytes, and where they begin in it. */
static PyObject *found_in(PyObject *list, PyObject *family, uint64_t address, Py_ssize_t size, Py_ssize_t *from)
{
    for (Py_ssize_t k = PyList_GET_SIZE(list); k-- > 0;) {
        PyObject *entry = PyList_GET_ITEM(list, k);
        uint64_t start = PyLong_AsUnsignedLong(PyTuple_GET_ITEM(entry, 0)); /* ...LongLong takes twice as long */
        if (address < start) continue;
        uint64_t end = PyLong_AsUnsignedLong(PyTuple_GET_ITEM(entry, 1));
        if (address > end || (uint64_t)size > end - address) continue;
        if (PyTuple_GET_SIZE(entry) == 4 && !is_of_this_session(family, PyTuple_GET_ITEM(entry, 3))) return NULL;
        *from = (Py_ssize_t)(address - start);
        return Py_NewRef(PyTuple_GET_ITEM(entry, 2));
    }
    return NULL;
}

/* Heap.seen for a family: a new view of bytes, NULL where Python has to look (never with an error). */
PyObject *seen(PyObject *family, uint64_t address, Py_ssize_t size)
{
    Py_ssize_t from;
    PyObject *heap = PyObject_GetAttr(family, text_heap), *view = NULL;
    PyObject *names[] = {text_spans, text_lent};
    for (int k = 0; heap && !view && k < 2; k++) {
        PyObject *list = PyObject_GetAttr(heap, names[k]);
        if (list && PyList_CheckExact(list)) view = found_in(list, family, address, size, &from);
        Py_XDECREF(list);
    }
    Py_XDECREF(heap);
    if (view) Py_SETREF(view, part_of(view, from, from + size));
    PyErr_Clear();
    return view;
}
