/* Lookup: `kernel[grid, block]`, for launches that were bound before. What is not found there, Python looks up. */
#include "native.h"

typedef struct {
    PyObject_HEAD
    State *state;
    PyObject *module;
    PyObject *table; /* (grid, block) -> launch; NULL: Python looks up everything */
} Lookup;

/* Only ints and tuples: 1.0 and True equal 1 in a dict, and must not pass because 1 came before. */
static bool is_plain(PyObject *extents)
{
    return PyLong_CheckExact(extents) || PyTuple_CheckExact(extents);
}

static bool may_be_known(PyObject *key)
{
    return PyTuple_CheckExact(key) && tuple_size(key) == 2 && is_plain(tuple_item(key, 0)) && is_plain(tuple_item(key, 1));
}

/* Whether anybody has asked for launches that wait: then the settings must be looked at. */
static bool may_wait(const State *state)
{
    PyObject *seen = dict_value(state->settings, state->names.sync_seen);
    Py_XDECREF(seen); /* compared, never used */
    return seen != Py_False;
}

static PyObject *lookup_get(PyObject *self, PyObject *key)
{
    Lookup *lookup = (Lookup *)self;
    if (lookup->table != NULL && PyDict_CheckExact(lookup->table) && may_be_known(key) && !may_wait(lookup->state)) {
        PyObject *found = dict_value(lookup->table, key);
        if (found != NULL) {
            return found;
        }
    }
    PyErr_Clear(); /* a list within the key cannot be hashed */
    PyObject *arguments[] = {self, key};
    return PyObject_VectorcallMethod(lookup->state->names.look_up, arguments, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
}

/* The type itself, below those that Python has derived from it. */
static PyTypeObject *own_type(PyTypeObject *type)
{
    while (type != NULL && PyType_GetSlot(type, Py_mp_subscript) == (void *)lookup_get) {
        PyObject *module = PyType_GetModule(type);
        if (module != NULL && PyModule_GetDef(module) == &native_module) {
            return type;
        }
        PyErr_Clear();
        type = PyType_GetSlot(type, Py_tp_base);
    }
    PyErr_SetString(PyExc_TypeError, "__getitem__ of a Lookup is not to be replaced");
    return NULL;
}

static PyObject *lookup_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    (void)arguments, (void)keywords; /* they are for the __init__ of the derived type */
    PyTypeObject *own = own_type(type);
    if (own == NULL) {
        return NULL;
    }
    allocfunc allocate = PyType_GetSlot(type, Py_tp_alloc);
    Lookup *lookup = (Lookup *)allocate(type, 0);
    if (lookup != NULL) {
        lookup->module = Py_NewRef(PyType_GetModule(own));
        lookup->state = PyModule_GetState(lookup->module);
    }
    return (PyObject *)lookup;
}

static int lookup_traverse(PyObject *self, visitproc visit, void *arg)
{
    Lookup *lookup = (Lookup *)self;
    Py_VISIT((PyObject *)Py_TYPE(self));
    Py_VISIT(lookup->module);
    Py_VISIT(lookup->table);
    return 0;
}

static int lookup_clear(PyObject *self)
{
    Py_CLEAR(((Lookup *)self)->table);
    return 0;
}

static void lookup_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    lookup_clear(self);
    Py_XDECREF(((Lookup *)self)->module);
    freefunc release = PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF((PyObject *)type);
}

static PyMemberDef members[] = {
    {"_table", Py_T_OBJECT_EX, offsetof(Lookup, table), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)"What `kernel[grid, block]` finds in the dict `_table`; everything else is for `_look_up(key)`."},
    {Py_tp_new, (void *)lookup_new},
    {Py_tp_dealloc, (void *)lookup_dealloc},
    {Py_tp_traverse, (void *)lookup_traverse},
    {Py_tp_clear, (void *)lookup_clear},
    {Py_mp_subscript, (void *)lookup_get},
    {Py_tp_members, members},
    {0, NULL},
};

PyType_Spec lookup_spec = {
    .name = "jitload.launch._native.Lookup",
    .basicsize = sizeof(Lookup),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};
