/* Mirrors of the standard ctypes' objects (winbridge/dll/mirror.py, living.py): comparing both sides, carrying changes.
 *
 * A mirror is read from its slots. What has the same bytes on both sides is done here; what holds pointers, or numbers
 * of another width, is left to the Python as soon as it has changed. */
#include "native.h"

enum { TIE, VIEW, FAR, KNOWN, IMAGE, COMPARED, PLAIN, TARGETS, SLOTS };

static getbufferproc buffer_of_ctypes;
static PyObject *names[SLOTS], *text_objects, *text_kept, *text_push, *text_pull, *text_remember;

int prepare_mirrors(void)
{
    PyObject *module = PyImport_ImportModule("ctypes");
    PyTypeObject *kind = module ? (PyTypeObject *)PyObject_GetAttrString(module, "c_int") : NULL;
    Py_XDECREF(module);
    if (!kind) return -1;
    buffer_of_ctypes = kind->tp_as_buffer->bf_getbuffer;
    Py_DECREF(kind);
    static const char *const slots[SLOTS] = {"tie", "view", "far", "known", "image", "compared", "plain", "targets"};
    for (int k = 0; k < SLOTS; k++)
        if (!(names[k] = PyUnicode_InternFromString(slots[k]))) return -1;
    text_objects = PyUnicode_InternFromString("objects");
    text_kept = PyUnicode_InternFromString("_objects");
    text_push = PyUnicode_InternFromString("push");
    text_pull = PyUnicode_InternFromString("pull");
    text_remember = PyUnicode_InternFromString("_remember");
    return text_remember ? 0 : -1;
}

static PyTypeObject *last_type; /* of what was read last, and where its slots are */
static Py_ssize_t last_places[SLOTS];

static int find_places(PyObject *object)
{
    for (int k = 0; k < SLOTS; k++) {
        PyObject **place = slot_place(object, names[k]);
        if (!place) return 0;
        last_places[k] = (char *)place - (char *)object;
    }
    Py_XSETREF(last_type, (PyTypeObject *)Py_NewRef(Py_TYPE(object)));
    return 1;
}

/* The slots of a mirror, by their place in ``places``; 0 for anything else. */
static int find_slots(PyObject *object, PyObject **places[SLOTS])
{
    if (Py_TYPE(object) != last_type && !find_places(object)) return 0;
    for (int k = 0; k < SLOTS; k++) places[k] = (PyObject **)((char *)object + last_places[k]);
    return 1;
}

/* The bytes of a memoryview, NULL for anything else. */
static char *bytes_in(PyObject *view, Py_ssize_t *size)
{
    if (!view || !PyMemoryView_Check(view)) return NULL;
    Py_buffer *buffer = PyMemoryView_GET_BUFFER(view);
    if (!PyBuffer_IsContiguous(buffer, 'C')) return NULL;
    *size = buffer->len;
    return buffer->buf;
}

static int is_equal(const char *bytes, Py_ssize_t size, PyObject *before)
{
    return before && PyBytes_Check(before) && PyBytes_GET_SIZE(before) == size
        && !memcmp(bytes, PyBytes_AS_STRING(before), (size_t)size);
}

/* Only bytes that differ are written: others may be changed by somebody else at this moment. */
static void carry_bytes(char *memory, const char *before, const char *after, Py_ssize_t size)
{
    if (size <= 8) {
        memcpy(memory, after, (size_t)size);
        return;
    }
    for (Py_ssize_t start = 0; start < size; start += 8) {
        Py_ssize_t end = size - start < 8 ? size : start + 8;
        if (!memcmp(before + start, after + start, (size_t)(end - start))) continue;
        for (Py_ssize_t k = start; k < end; k++)
            if (before[k] != after[k]) memory[k] = after[k];
    }
}

/* In front of changes.carry. */
int carry(PyObject *memory, PyObject *const *arguments, Py_ssize_t count, PyObject **result)
{
    Py_ssize_t size = 0;
    char *bytes = bytes_in(memory, &size);
    if (!bytes || count != 2 || PyMemoryView_GET_BUFFER(memory)->readonly) return NOT_HERE;
    for (int k = 0; k < 2; k++)
        if (!PyBytes_Check(arguments[k]) || PyBytes_GET_SIZE(arguments[k]) != size) return NOT_HERE;
    carry_bytes(bytes, PyBytes_AS_STRING(arguments[0]), PyBytes_AS_STRING(arguments[1]), size);
    *result = Py_NewRef(Py_None);
    return DONE;
}

/* What a weak reference refers to: a new reference, NULL where it is gone (never with an error). */
static PyObject *referred(PyObject *tie)
{
    PyObject *owner = NULL;
#if PY_VERSION_HEX >= 0x030d0000
    if (PyWeakref_GetRef(tie, &owner) < 0) PyErr_Clear();
#else
    owner = PyWeakref_GetObject(tie);
    owner = owner && owner != Py_None ? Py_NewRef(owner) : NULL;
#endif
    return owner;
}

static int is_gone(PyObject *tie)
{
    PyObject *owner = referred(tie);
    Py_XDECREF(owner);
    return !owner;
}

typedef struct {
    PyObject *tie, *targets;
    char *here, *there;                 /* NULL where Python has to look */
    Py_ssize_t here_size, there_size;
    PyObject **known, **image;
    int plain;
} Mirror;

/* Reads the slots; says whether it is one that is compared, of an owner with a weak reference. */
static int read_mirror(PyObject *object, Mirror *mirror)
{
    PyObject **places[SLOTS];
    if (!find_slots(object, places)) return 0;
    mirror->tie = *places[TIE];
    mirror->targets = *places[TARGETS];
    mirror->known = places[KNOWN];
    mirror->image = places[IMAGE];
    if (!mirror->tie || !PyWeakref_Check(mirror->tie) || *places[COMPARED] != Py_True) return 0;
    if (!mirror->targets || !PyDict_CheckExact(mirror->targets)) return 0;
    mirror->here = bytes_in(*places[VIEW], &mirror->here_size);
    mirror->there = bytes_in(*places[FAR], &mirror->there_size);
    mirror->plain = *places[PLAIN] == Py_True && mirror->here && mirror->there && mirror->here_size == mirror->there_size;
    return 1;
}

/* Whether ctypes.resize gave the owner other memory: what was here may be gone. */
static int has_moved(const Mirror *mirror, PyObject *owner)
{
    Py_buffer now;
    if (!Py_TYPE(owner)->tp_as_buffer || Py_TYPE(owner)->tp_as_buffer->bf_getbuffer != buffer_of_ctypes) return 0;
    if (PyObject_GetBuffer(owner, &now, PyBUF_SIMPLE)) {
        PyErr_Clear();
        return 1;
    }
    int moved = now.buf != mirror->here;
    PyBuffer_Release(&now);
    return moved;
}

/* Whether all that its pointers point to is there, and has been brought over. */
static int has_targets(const Mirror *mirror)
{
    PyObject *key, *target;
    Py_ssize_t at = 0;
    while (PyDict_Next(mirror->targets, &at, &key, &target)) {
        PyObject **places[SLOTS];
        if (!find_slots(target, places)) continue; /* a constant */
        if (*places[TIE] && PyWeakref_Check(*places[TIE]) && is_gone(*places[TIE])) return 0;
        if (*places[KNOWN] == Py_None) return 0;
    }
    return 1;
}

static void remember(const Mirror *mirror, PyObject *bytes)
{
    PyObject *known = *mirror->known, *image = *mirror->image;
    *mirror->known = Py_NewRef(bytes);
    *mirror->image = bytes;
    Py_XDECREF(known);
    Py_XDECREF(image);
}

static int push_plain(const Mirror *mirror)
{
    PyObject *now = PyBytes_FromStringAndSize(mirror->here, mirror->here_size);
    if (!now) return FAILED;
    const char *after = PyBytes_AS_STRING(now);
    if (*mirror->known == Py_None)
        memcpy(mirror->there, after, (size_t)mirror->there_size);
    else
        carry_bytes(mirror->there, PyBytes_AS_STRING(*mirror->image), after, mirror->there_size);
    remember(mirror, now);
    return DONE;
}

static int pull_plain(const Mirror *mirror)
{
    PyObject *now = PyBytes_FromStringAndSize(mirror->there, mirror->there_size);
    if (!now) return FAILED;
    carry_bytes(mirror->here, PyBytes_AS_STRING(*mirror->known), PyBytes_AS_STRING(now), mirror->here_size);
    remember(mirror, now);
    return DONE;
}

static int is_bytes(PyObject *object, Py_ssize_t size)
{
    return object && PyBytes_Check(object) && PyBytes_GET_SIZE(object) == size;
}

/* In front of Mirror.push. */
int push_mirror(PyObject *self, PyObject *const *arguments, Py_ssize_t count, PyObject **result)
{
    Mirror mirror;
    (void)arguments;
    if (count != 1 || !read_mirror(self, &mirror)) return NOT_HERE;
    PyObject *owner = referred(mirror.tie);
    int done = owner ? NOT_HERE : DONE, stays = owner && mirror.here && !has_moved(&mirror, owner);
    if (stays && is_equal(mirror.here, mirror.here_size, *mirror.known) && has_targets(&mirror))
        done = DONE;
    else if (stays && mirror.plain && (*mirror.known == Py_None || is_bytes(*mirror.image, mirror.there_size)))
        done = push_plain(&mirror);
    Py_XDECREF(owner);
    if (done == DONE) *result = Py_NewRef(Py_None);
    return done;
}

/* In front of Mirror.pull. */
int pull_mirror(PyObject *self, PyObject *const *arguments, Py_ssize_t count, PyObject **result)
{
    Mirror mirror;
    (void)arguments;
    if (count != 1 || !read_mirror(self, &mirror)) return NOT_HERE;
    PyObject *owner = referred(mirror.tie);
    int done = owner ? NOT_HERE : DONE;
    if (owner && mirror.there && is_equal(mirror.there, mirror.there_size, *mirror.image))
        done = DONE;
    else if (owner && mirror.plain && !has_moved(&mirror, owner) && is_bytes(*mirror.known, mirror.here_size))
        done = pull_plain(&mirror);
    Py_XDECREF(owner);
    if (done == DONE) *result = Py_NewRef(Py_None);
    return done;
}

/* Whether an owner keeps itself alive and nobody else does: see owners.is_ring. */
static int is_ring(PyObject *owner)
{
    if (Py_REFCNT(owner) != 2) return 0; /* that in its dictionary, and ours */
    PyObject *kept = PyObject_GetAttr(owner, text_kept), *key = PyLong_FromVoidPtr(owner);
    int ring = kept && key && PyDict_CheckExact(kept) && PyDict_GetItemWithError(kept, key) == owner;
    Py_XDECREF(key);
    Py_XDECREF(kept);
    PyErr_Clear();
    return ring;
}

static int is_still_here(PyObject *object)
{
    Mirror mirror;
    if (!read_mirror(object, &mirror)) return 0;
    PyObject *owner = referred(mirror.tie);
    int still = owner && !is_ring(owner) && mirror.here && !has_moved(&mirror, owner)
        && is_equal(mirror.here, mirror.here_size, *mirror.known) && has_targets(&mirror);
    Py_XDECREF(owner);
    return still;
}

static int is_still_there(PyObject *object)
{
    Mirror mirror;
    if (!read_mirror(object, &mirror)) return 0;
    return mirror.there && is_equal(mirror.there, mirror.there_size, *mirror.image);
}

/* The living mirrors, without those that are in a container or as they were. */
static int stirred(PyObject *living, PyObject *const *arguments, Py_ssize_t count, PyObject **result,
                   int (*is_still)(PyObject *))
{
    PyObject *objects = count == 1 ? PyObject_GetAttr(living, text_objects) : NULL;
    PyObject *found = objects && PyDict_CheckExact(objects) ? PySequence_List(objects) : NULL;
    Py_XDECREF(objects);
    if (!found) return PyErr_Occurred() ? FAILED : NOT_HERE;
    Py_ssize_t stay = 0, all = PyList_GET_SIZE(found);
    for (Py_ssize_t k = 0; k < all; k++) {
        PyObject *mirror = PyList_GET_ITEM(found, k);
        int reached = PySequence_Contains(arguments[0], mirror);
        if (reached < 0) {
            Py_DECREF(found);
            return FAILED;
        }
        if (reached || is_still(mirror)) continue;
        PyList_SET_ITEM(found, k, PyList_GET_ITEM(found, stay));
        PyList_SET_ITEM(found, stay++, mirror);
    }
    if (PyList_SetSlice(found, stay, all, NULL)) Py_CLEAR(found);
    *result = found;
    return found ? DONE : FAILED;
}

/* In front of Living._others. */
int stirred_here(PyObject *living, PyObject *const *arguments, Py_ssize_t count, PyObject **result)
{
    return stirred(living, arguments, count, result, is_still_here);
}

/* In front of Living._others_there. */
int stirred_there(PyObject *living, PyObject *const *arguments, Py_ssize_t count, PyObject **result)
{
    return stirred(living, arguments, count, result, is_still_there);
}

static int call(PyObject *object, PyObject *method, PyObject *argument)
{
    PyObject *none = PyObject_CallMethodOneArg(object, method, argument);
    Py_XDECREF(none);
    return none ? 0 : -1;
}

/* Pushes an item that was not reached before, and has what it points to wait for the same. */
static int push_item(PyObject *living, PyObject *item, PyObject *reached, PyObject *waiting)
{
    int known = PyDict_Contains(reached, item);
    if (known) return known < 0 ? -1 : 0;
    if (PyDict_SetItem(reached, item, Py_None) || call(item, text_push, living)) return -1;
    PyObject **places[SLOTS], *key, *target;
    if (!find_slots(item, places)) return 0;
    PyObject *targets = *places[TARGETS];
    Py_ssize_t at = 0;
    while (targets && PyDict_CheckExact(targets) && PyDict_Next(targets, &at, &key, &target))
        if (PyList_Append(waiting, target)) return -1;
    return 0;
}

/* In front of Living._push_graph. */
int push_reached(PyObject *living, PyObject *const *arguments, Py_ssize_t count, PyObject **result)
{
    if (count != 1) return NOT_HERE;
    PyObject *waiting = PySequence_List(arguments[0]), *reached = PyDict_New();
    int failed = !waiting || !reached;
    while (!failed && PyList_GET_SIZE(waiting)) {
        Py_ssize_t last = PyList_GET_SIZE(waiting) - 1;
        PyObject *item = Py_NewRef(PyList_GET_ITEM(waiting, last));
        failed = PyList_SetSlice(waiting, last, last + 1, NULL) || push_item(living, item, reached, waiting);
        Py_DECREF(item);
    }
    Py_XDECREF(waiting);
    if (failed) Py_CLEAR(reached);
    *result = reached;
    return failed ? FAILED : DONE;
}

/* Living._remember: one that lives already goes to the end, as the most recent. */
static int remember_item(PyObject *living, PyObject *objects, PyObject *item)
{
    int known = PyDict_Contains(objects, item);
    if (known < 0) return -1;
    return known ? PyDict_DelItem(objects, item) || PyDict_SetItem(objects, item, Py_None) : call(living, text_remember, item);
}

/* In front of Living._pull_graph. */
int pull_reached(PyObject *living, PyObject *const *arguments, Py_ssize_t count, PyObject **result)
{
    PyObject *objects = count == 1 ? PyObject_GetAttr(living, text_objects) : NULL;
    PyObject *items = objects && PyDict_CheckExact(objects) ? PySequence_List(arguments[0]) : NULL;
    int failed = !items;
    for (Py_ssize_t k = 0; !failed && k < PyList_GET_SIZE(items); k++) {
        PyObject *item = PyList_GET_ITEM(items, k);
        PyObject **places[SLOTS];
        failed = call(item, text_pull, living) || (find_slots(item, places) && remember_item(living, objects, item));
    }
    Py_XDECREF(items);
    Py_XDECREF(objects);
    if (failed) return PyErr_Occurred() ? FAILED : NOT_HERE;
    *result = Py_NewRef(Py_None);
    return DONE;
}

/* In front of owners.memory_at. */
int memory_at(PyObject *address, PyObject *const *arguments, Py_ssize_t count, PyObject **result)
{
    Py_ssize_t size = count == 1 && PyLong_Check(arguments[0]) ? PyLong_AsSsize_t(arguments[0]) : -1;
    void *memory = size > 0 && PyLong_Check(address) ? PyLong_AsVoidPtr(address) : NULL;
    PyErr_Clear();
    if (!memory) return NOT_HERE;
    *result = PyMemoryView_FromMemory(memory, size, PyBUF_WRITE);
    return *result ? DONE : FAILED;
}

/* In front of mirror.pointer_value. */
int held_address(PyObject *pointer, PyObject *const *arguments, Py_ssize_t count, PyObject **result)
{
    Py_buffer buffer;
    uint64_t address;
    (void)arguments;
    if (count || PyObject_GetBuffer(pointer, &buffer, PyBUF_SIMPLE)) {
        PyErr_Clear();
        return NOT_HERE;
    }
    int whole = buffer.len == sizeof address;
    if (whole) memcpy(&address, buffer.buf, sizeof address);
    PyBuffer_Release(&buffer);
    if (!whole) return NOT_HERE;
    *result = PyLong_FromUnsignedLongLong(address);
    return *result ? DONE : FAILED;
}
