/* jitload.launch._native: launches without the cost of Python. Optional; jitload/launch/native.py decides.
 *
 * No header of CUDA and no library is needed: Python hands over the address of cuLaunchKernelEx. All state belongs to a
 * module object, so every interpreter may have its own; what threads share is only ever added to.
 */
#include "c/native.h"

/* Raised with every change of what Python and this code say to each other (jitload/launch/native.py has the same). */
#define REVISION 2

#ifndef SOURCES_DIGEST
#define SOURCES_DIGEST ""
#endif

static PyObject *attribute_of(const char *module_name, const char *name)
{
    PyObject *module = PyImport_ImportModule(module_name);
    if (module == NULL) {
        return NULL;
    }
    PyObject *found = PyObject_GetAttrString(module, name);
    Py_DECREF(module);
    return found;
}

static int make_names(Names *names)
{
#define MAKE(name, text)                                                                                                 \
    if ((names->name = PyUnicode_InternFromString(text)) == NULL) {                                                      \
        return -1;                                                                                                       \
    }
    NAMES(MAKE)
#undef MAKE
    return 0;
}

static int add_type(PyObject *module, PyType_Spec *spec, PyTypeObject **type)
{
    *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    return *type == NULL ? -1 : PyModule_AddType(module, *type);
}

static int native_exec(PyObject *module)
{
    State *state = PyModule_GetState(module);
    atomic_store(&state->modules_seen, -1);
    if (make_names(&state->names) < 0) {
        return -1;
    }
    PyObject *modules = PySys_GetObject("modules");
    if (modules == NULL || !PyDict_Check(modules)) {
        PyErr_SetString(PyExc_ImportError, "sys.modules is no dict");
        return -1;
    }
    state->modules = Py_NewRef(modules);
    state->settings = attribute_of("jitload.config", "__dict__");
    state->new_sources = attribute_of("jitload.launch.streams", "sources");
    state->versions = Py_BuildValue("(ii)", 1, 0);
    state->keywords = Py_BuildValue("(ss)", "stream", "max_version");
    if (!state->settings || !state->new_sources || !state->versions || !state->keywords) {
        return -1;
    }
    if (add_type(module, &plan_spec, &state->plan_type) < 0 || add_type(module, &launch_spec, &state->launch_type) < 0 ||
        add_type(module, &lookup_spec, &state->lookup_type) < 0) {
        return -1;
    }
    if (PyModule_AddIntConstant(module, "REVISION", REVISION) < 0 ||
        PyModule_AddIntConstant(module, "MOST_PARAMETERS", MOST_PARAMETERS) < 0) {
        return -1;
    }
    return PyModule_AddStringConstant(module, "SOURCES_DIGEST", SOURCES_DIGEST);
}

static int native_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);
    if (state == NULL) {
        return 0;
    }
    Py_VISIT(state->modules);
    Py_VISIT(state->settings);
    Py_VISIT(state->versions);
    Py_VISIT(state->keywords);
    Py_VISIT(state->new_sources);
    Py_VISIT((PyObject *)state->plan_type);
    Py_VISIT((PyObject *)state->launch_type);
    Py_VISIT((PyObject *)state->lookup_type);
    return visit_sources(state, visit, arg);
}

/* There is no m_clear: objects use the state in their calls, and keep the module alive. The circle of the module and its
 * types is broken by the types, which are cleared as the collector clears every class. */
static void native_free(void *module)
{
    State *state = PyModule_GetState((PyObject *)module);
    if (state == NULL) {
        return;
    }
    free_sources(state);
    Py_CLEAR(state->plan_type);
    Py_CLEAR(state->launch_type);
    Py_CLEAR(state->lookup_type);
    Py_CLEAR(state->modules);
    Py_CLEAR(state->settings);
    Py_CLEAR(state->versions);
    Py_CLEAR(state->keywords);
    Py_CLEAR(state->new_sources);
#define DROP(name, text) Py_CLEAR(state->names.name);
    NAMES(DROP)
#undef DROP
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, (void *)native_exec},
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#ifdef Py_GIL_DISABLED
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

struct PyModuleDef native_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "jitload.launch._native",
    .m_doc = "Launches without the cost of Python.",
    .m_size = sizeof(State),
    .m_slots = module_slots,
    .m_traverse = native_traverse,
    .m_free = native_free,
};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&native_module);
}
