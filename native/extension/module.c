/* The module winbridge._native. */
#include "native.h"

/* Each makes a step that stands in front of a Python function. */
#define STEP(name, run)                                        \
    static PyObject *make_##name(PyObject *module, PyObject *rest) \
    {                                                          \
        (void)module;                                          \
        return make_step(run, rest);                           \
    }

STEP(dll_call, call_dll_function)
STEP(ctypes_call, call_ctypes_function)
STEP(allocate, allocate)
STEP(new_object, new_object)
STEP(object_at, object_at)
STEP(object_part, object_part)
STEP(get_field, get_field)
STEP(set_field, set_field)
STEP(fill_array, fill_array)
STEP(get_items, get_items)
STEP(get_pointed, get_pointed)
STEP(get_contents, get_contents)
STEP(pointer_to, pointer_to)
STEP(carry, carry)
STEP(push_mirror, push_mirror)
STEP(pull_mirror, pull_mirror)
STEP(stirred_here, stirred_here)
STEP(stirred_there, stirred_there)
STEP(held_address, held_address)
STEP(memory_at, memory_at)
STEP(push_reached, push_reached)
STEP(pull_reached, pull_reached)

static PyMethodDef functions[] = {
    {"dll_call", make_dll_call, METH_O, "Puts the usual case in C in front of DllFunction.__call__."},
    {"ctypes_call", make_ctypes_call, METH_O, "Puts the usual case in C in front of the drop-in's FunctionData.__call__."},
    {"allocate", make_allocate, METH_O, "Puts the usual case in C in front of Heap.allocate."},
    {"new_object", make_new_object, METH_O, "Puts the usual case in C in front of data.new."},
    {"object_at", make_object_at, METH_O, "Puts the usual case in C in front of data.at_address."},
    {"object_part", make_object_part, METH_O, "Puts the usual case in C in front of data.part."},
    {"get_field", make_get_field, METH_O, "Puts the usual case in C in front of CField.__get__."},
    {"set_field", make_set_field, METH_O, "Puts the usual case in C in front of CField.__set__."},
    {"fill_array", make_fill_array, METH_O, "Puts the usual case in C in front of ArrayData.__init__."},
    {"get_items", make_get_items, METH_O, "Puts the usual case in C in front of ArrayData.__getitem__."},
    {"get_pointed", make_get_pointed, METH_O, "Puts the usual case in C in front of PointerData.__getitem__."},
    {"get_contents", make_get_contents, METH_O, "Puts the usual case in C in front of PointerData.contents."},
    {"pointer_to", make_pointer_to, METH_O, "Puts the usual case in C in front of pointers.pointer_to."},
    {"carry", make_carry, METH_O, "Puts the usual case in C in front of changes.carry."},
    {"push_mirror", make_push_mirror, METH_O, "Puts the usual case in C in front of Mirror.push."},
    {"pull_mirror", make_pull_mirror, METH_O, "Puts the usual case in C in front of Mirror.pull."},
    {"stirred_here", make_stirred_here, METH_O, "Puts the usual case in C in front of Living._others."},
    {"stirred_there", make_stirred_there, METH_O, "Puts the usual case in C in front of Living._others_there."},
    {"held_address", make_held_address, METH_O, "Puts the usual case in C in front of mirror.pointer_value."},
    {"memory_at", make_memory_at, METH_O, "Puts the usual case in C in front of owners.memory_at."},
    {"push_reached", make_push_reached, METH_O, "Puts the usual case in C in front of Living._push_graph."},
    {"pull_reached", make_pull_reached, METH_O, "Puts the usual case in C in front of Living._pull_graph."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "winbridge._native",
    .m_doc = "Hot steps of a call in C; winbridge.core.impl chooses between them and their Python.",
    .m_size = -1,
    .m_methods = functions,
};

PyMODINIT_FUNC PyInit__native(void)
{
    PyObject *module = PyModule_Create(&definition);
    if (!module) return NULL;
    if (prepare_session() || prepare_functions() || prepare_objects() || prepare_calls()
        || prepare_heap() || prepare_data() || prepare_callbacks() || prepare_mirrors() || PyType_Ready(&StepType)
        || PyModule_AddIntConstant(module, "ABI", WINBRIDGE_ABI) || PyModule_AddIntConstant(module, "WIRE", WIRE_VERSION)
        || PyModule_AddType(module, &SlotType) || PyModule_AddType(module, &BindingType)
        || PyModule_AddType(module, &NumbersType)
        || PyModule_AddType(module, &CallType) || PyModule_AddType(module, &BlockType)
        || PyModule_AddType(module, &HandlerType) || PyModule_AddType(module, &LoadType) || PyModule_AddType(module, &StoreType)) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
