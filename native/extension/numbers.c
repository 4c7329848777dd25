/* Calls of numbers: the words go from the Python objects straight into the slot, the result straight out of it. */
#include <math.h>

#include "native.h"

static int put_integer(char *place, char code, PyObject *value, int size)
{
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow) {
        if (code != 'Q' || overflow < 0) return NOT_HERE;
        unsigned long long large = PyLong_AsUnsignedLongLong(value);
        if (large == (unsigned long long)-1 && PyErr_Occurred()) {
            PyErr_Clear();
            return NOT_HERE;
        }
        memcpy(place, &large, sizeof large);
        return DONE;
    }
    int is_signed = code >= 'a';
    if (!is_signed && number < 0) return NOT_HERE;
    if (size < 8) {
        long long half = 1LL << (8 * size - 1);
        if (is_signed ? number < -half || number >= half : number >= 2 * half) return NOT_HERE;
    }
    memcpy(place, &number, (size_t)size);
    return DONE;
}

static int put_real(char *place, char code, PyObject *value)
{
    double number = PyFloat_CheckExact(value) ? PyFloat_AS_DOUBLE(value) : PyFloat_AsDouble(value);
    if (number == -1 && PyErr_Occurred()) {
        PyErr_Clear();
        return NOT_HERE;
    }
    if (code == 'd') {
        memcpy(place, &number, sizeof number);
        return DONE;
    }
    float narrow = (float)number;
    if (isinf(narrow) && !isinf(number)) return NOT_HERE;
    memcpy(place, &narrow, sizeof narrow);
    return DONE;
}

int number_size(char code)
{
    switch (code) {
    case 'b': case 'B': return 1;
    case 'h': case 'H': return 2;
    case 'i': case 'I': case 'f': return 4;
    case 'q': case 'Q': case 'd': return 8;
    default: return 0;
    }
}

/* Writes one number; what does not fit as it is, or is no number, is NOT_HERE. */
int put_number(char *place, char code, PyObject *value)
{
    if (code == 'd' || code == 'f') return PyFloat_Check(value) || PyLong_Check(value) ? put_real(place, code, value) : NOT_HERE;
    return PyLong_Check(value) ? put_integer(place, code, value, number_size(code)) : NOT_HERE;
}

/* Reads one number. */
PyObject *get_number(const char *place, char code)
{
    union {
        int8_t b; uint8_t B; int16_t h; uint16_t H; int32_t i; uint32_t I; int64_t q; uint64_t Q; float f; double d;
    } number;
    memcpy(&number, place, (size_t)number_size(code));
    switch (code) {
    case 'b': return PyLong_FromLong(number.b);
    case 'B': return PyLong_FromLong(number.B);
    case 'h': return PyLong_FromLong(number.h);
    case 'H': return PyLong_FromLong(number.H);
    case 'i': return PyLong_FromLong(number.i);
    case 'I': return PyLong_FromUnsignedLong(number.I);
    case 'q': return PyLong_FromLongLong(number.q);
    case 'Q': return PyLong_FromUnsignedLongLong(number.Q);
    case 'f': return PyFloat_FromDouble((double)number.f);
    default: return PyFloat_FromDouble(number.d);
    }
}

static int put_words(const Numbers *numbers, char *words, PyObject *const *arguments)
{
    const char *codes = PyBytes_AS_STRING(numbers->codes);
    memset(words, 0, numbers->head.size);
    for (Py_ssize_t k = 0; codes[k]; k++) {
        if (put_number(words, codes[k], arguments[k]) != DONE) return NOT_HERE;
        words += number_size(codes[k]) > numbers->width ? 8 : numbers->width;
    }
    return DONE;
}

int all_empty(PyObject *guards)
{
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(guards); k++) {
        PyObject *guard = PyTuple_GET_ITEM(guards, k);
        if (PyDict_CheckExact(guard) ? PyDict_GET_SIZE(guard) : PyObject_Size(guard)) return 0;
    }
    return 1;
}

/* Raises what a plan says of a call that took another number of bytes off the stack. */
static int imbalance(PyObject *plan, PyObject *record)
{
    PyObject *error = record ? PyObject_CallMethod(plan, "imbalance", "(O)", record) : NULL;
    if (error) PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_XDECREF(error);
    return FAILED;
}

static int take(const Numbers *numbers, PyObject *plan, Slot *slot, const struct response *response, PyObject **result)
{
    if (response->popped != numbers->popped) {
        PyObject *record = slot_record(slot, response);
        int failed = imbalance(plan, record);
        Py_XDECREF(record);
        return failed;
    }
    *result = numbers->field == 2 ? PyLong_FromLongLong(response->result) : PyFloat_FromDouble(response->real);
    return *result ? DONE : FAILED;
}

static int exchange(const Numbers *numbers, const Binding *binding, PyObject *plan, Slot *slot, PyObject **result)
{
    struct response response;
    if (slot_exchange(slot, session_timeout(binding), &response)) return give_up(binding, slot);
    if (response.status != STATUS_OK && settle(binding, slot, &response) != DONE) return FAILED;
    return take(numbers, plan, slot, &response, result);
}

int numbers_call(const Numbers *numbers, const Binding *binding, PyObject *plan, PyObject *const *arguments,
                 Py_ssize_t count, PyObject **result)
{
    if (count != PyBytes_GET_SIZE(numbers->codes) || !all_empty(numbers->guards)) return NOT_HERE;
    Slot *slot = session_slot(binding);
    if (!slot) return PyErr_Occurred() ? FAILED : NOT_HERE;
    char *request = slot_request(slot);
    int done = put_words(numbers, request + sizeof numbers->head, arguments);
    if (done == DONE) {
        memcpy(request, &numbers->head, sizeof numbers->head);
        done = exchange(numbers, binding, plan, slot, result);
    }
    Py_DECREF(slot);
    return done;
}

static int set_head(Numbers *numbers, PyObject *head)
{
    if (!PyBytes_Check(head) || PyBytes_GET_SIZE(head) != sizeof numbers->head) {
        PyErr_SetString(PyExc_ValueError, "the head is not that of a request");
        return -1;
    }
    memcpy(&numbers->head, PyBytes_AS_STRING(head), sizeof numbers->head);
    if (numbers->head.size > WORDS_ROOM) {
        PyErr_SetString(PyExc_ValueError, "the words do not fit a slot");
        return -1;
    }
    return 0;
}

/* Whether the words that the codes stand for are as many bytes as the head says. */
static int check(const Numbers *numbers)
{
    uint32_t size = 0;
    for (const char *code = PyBytes_AS_STRING(numbers->codes); *code; code++) {
        if (!number_size(*code)) {
            PyErr_Format(PyExc_ValueError, "%c is no code of a number", *code);
            return -1;
        }
        size += (uint32_t)(number_size(*code) > numbers->width ? 8 : numbers->width);
    }
    if (size == numbers->head.size) return 0;
    PyErr_SetString(PyExc_ValueError, "the words have another size than the head says");
    return -1;
}

static int init(Numbers *numbers, PyObject *arguments, PyObject *named)
{
    static char *names[] = {"head", "codes", "width", "popped", "field", "guards", NULL};
    PyObject *head, *guards;
    const char *codes;
    if (!PyArg_ParseTupleAndKeywords(arguments, named, "OsiIiO!", names, &head, &codes, &numbers->width, &numbers->popped,
                                     &numbers->field, &PyTuple_Type, &guards))
        return -1;
    Py_XSETREF(numbers->guards, Py_NewRef(guards));
    Py_XSETREF(numbers->codes, PyBytes_FromString(codes));
    if (!numbers->codes || set_head(numbers, head)) return -1;
    if (numbers->field != 2 && numbers->field != 3) {
        PyErr_SetString(PyExc_ValueError, "a number is in field 2 or 3");
        return -1;
    }
    return check(numbers);
}

static int traverse_numbers(Numbers *numbers, visitproc visit, void *arg)
{
    Py_VISIT(numbers->guards);
    return 0;
}

static int clear_numbers(Numbers *numbers)
{
    Py_CLEAR(numbers->guards);
    return 0;
}

static void dealloc_numbers(Numbers *numbers)
{
    PyObject_GC_UnTrack(numbers);
    clear_numbers(numbers);
    Py_CLEAR(numbers->codes);
    Py_TYPE(numbers)->tp_free(numbers);
}

PyTypeObject NumbersType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "winbridge._native.Numbers",
    .tp_doc = "How the numbers of a plan are packed, and where the result is.",
    .tp_basicsize = sizeof(Numbers),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)init,
    .tp_traverse = (traverseproc)traverse_numbers,
    .tp_clear = (inquiry)clear_numbers,
    .tp_dealloc = (destructor)dealloc_numbers,
};
