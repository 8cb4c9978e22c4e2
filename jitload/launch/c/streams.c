/* The stream that a framework works on right now: what jitload.launch.streams.current_stream gives, without its cost.
 *
 * A framework may be imported after a launch was bound. As long as none is there, it is enough that nothing was imported
 * since: the number of modules tells. Once one is there, every call asks whether it is still the one that is known.
 */
#include "native.h"

/* Published once and kept for as long as the interpreter lives, so that a thread may read it while another makes anew. */
struct Sources {
    Sources *older;
    PyObject *torch, *cupy; /* the modules, or NULL */
    PyObject *torch_ready;  /* tells whether torch uses the GPU; NULL where `torch_stream` asks that itself */
    bool _Atomic torch_is_ready;
    PyObject *torch_device; /* gives the current device; NULL where there is one only */
    PyObject *torch_stream; /* gives the stream, of a device where `torch_ready` is known */
    const DlExchange *torch_api;
    PyObject *cupy_stream;
};

static PyObject *optional(PyObject *tuple, Py_ssize_t index)
{
    PyObject *item = PyTuple_GetItem(tuple, index);
    return item == NULL || item == Py_None ? NULL : Py_NewRef(item);
}

/* (torch, ready, device, stream, its tensor type, cupy, stream), with None for what is not there. */
static Sources *sources_of(State *state, PyObject *answer)
{
    if (!PyTuple_CheckExact(answer) || PyTuple_Size(answer) != 7) {
        PyErr_SetString(PyExc_SystemError, "jitload.launch.streams and _native are of different versions");
        return NULL;
    }
    Sources *made = PyMem_Calloc(1, sizeof *made);
    if (made == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    made->torch = optional(answer, 0);
    made->torch_ready = optional(answer, 1);
    atomic_store(&made->torch_is_ready, made->torch_ready == Py_True);
    made->torch_device = optional(answer, 2);
    made->torch_stream = optional(answer, 3);
    PyObject *tensor_type = PyTuple_GetItem(answer, 4);
    made->torch_api = PyType_Check(tensor_type) ? exchange_api(state, (PyTypeObject *)tensor_type) : NULL;
    made->cupy = optional(answer, 5);
    made->cupy_stream = optional(answer, 6);
    return made;
}

static const Sources *renew(State *state, PyObject *module)
{
    PyObject *answer = PyObject_CallNoArgs(state->new_sources);
    if (answer == NULL) {
        return NULL;
    }
    Sources *made = sources_of(state, answer);
    Py_DECREF(answer);
    if (made != NULL) {
        BEGIN_CHANGE(module);
        made->older = atomic_load(&state->sources);
        atomic_store(&state->sources, made);
        END_CHANGE();
    }
    (void)module; /* where there is one lock for everything */
    return made;
}

static bool is_imported(const State *state, PyObject *name, PyObject *known)
{
    PyObject *found = dict_value(state->modules, name);
    if (found == NULL) {
        PyErr_Clear();
    }
    Py_XDECREF(found); /* compared, never used */
    return found == known;
}

/* The sources in force; NULL without an exception when there are none. */
static Outcome known_sources(State *state, PyObject *module, const Sources **sources)
{
    const Sources *known = atomic_load_explicit(&state->sources, memory_order_acquire);
    *sources = NULL;
    Py_ssize_t size = dict_size(state->modules);
    bool nothing_new = atomic_load_explicit(&state->modules_seen, memory_order_relaxed) == size;
    if (nothing_new && (known == NULL || (known->torch == NULL && known->cupy == NULL))) {
        return WRITTEN;
    }
    bool half_known = !nothing_new && known != NULL && known->torch != NULL && known->torch_ready == NULL;
    if (known == NULL || half_known || !is_imported(state, state->names.torch, known->torch) ||
        !is_imported(state, state->names.cupy, known->cupy)) {
        known = renew(state, module);
        if (known == NULL) {
            return give_way();
        }
    }
    atomic_store_explicit(&state->modules_seen, size, memory_order_relaxed);
    *sources = known;
    return WRITTEN;
}

/* The integer that a call gives, as an address. */
static Outcome address_of(PyObject *number, void **address)
{
    if (number == NULL) {
        return give_way();
    }
    unsigned long long value = PyLong_CheckExact(number) ? PyLong_AsUnsignedLongLong(number) : 0;
    bool is_number = PyLong_CheckExact(number);
    Py_DECREF(number);
    if (!is_number) {
        return LONG_ROAD;
    }
    if (value == (unsigned long long)-1 && PyErr_Occurred()) {
        return give_way();
    }
    *address = (void *)(uintptr_t)value;
    return WRITTEN;
}

static Outcome torch_is_ready(State *state, PyObject *module, const Sources *sources, bool *ready)
{
    *ready = atomic_load_explicit(&sources->torch_is_ready, memory_order_relaxed);
    if (!*ready) {
        PyObject *answer = PyObject_CallNoArgs(sources->torch_ready);
        if (answer == NULL) {
            return give_way();
        }
        *ready = answer == Py_True;
        Py_DECREF(answer);
        if (*ready && renew(state, module) == NULL) { /* from now on more is known: how many devices there are */
            return give_way();
        }
    }
    return WRITTEN;
}

static Outcome stream_of_torch(State *state, PyObject *module, const Sources *sources, void **stream)
{
    if (sources->torch_ready == NULL) {
        return address_of(PyObject_CallNoArgs(sources->torch_stream), stream);
    }
    bool ready;
    Outcome outcome = torch_is_ready(state, module, sources, &ready);
    if (outcome != WRITTEN || !ready) {
        return outcome;
    }
    PyObject *device = sources->torch_device == NULL ? PyLong_FromLong(0) : PyObject_CallNoArgs(sources->torch_device);
    if (device == NULL) {
        return give_way();
    }
    if (sources->torch_api == NULL) {
        PyObject *answer = call_with(sources->torch_stream, device);
        Py_DECREF(device);
        return address_of(answer, stream);
    }
    long ordinal = PyLong_AsLong(device);
    Py_DECREF(device);
    if (ordinal == -1 && PyErr_Occurred()) {
        return give_way();
    }
    return sources->torch_api->current_stream(DLPACK_CUDA, (int32_t)ordinal, stream) ? give_way() : WRITTEN;
}

/* `stream` stays as it is where no framework has one. */
Outcome current_stream(State *state, PyObject *module, void **stream)
{
    const Sources *sources;
    Outcome outcome = known_sources(state, module, &sources);
    if (outcome != WRITTEN || sources == NULL) {
        return outcome;
    }
    void *current = NULL;
    if (sources->torch_stream != NULL) {
        outcome = stream_of_torch(state, module, sources, &current);
    }
    if (outcome == WRITTEN && current == NULL && sources->cupy_stream != NULL) {
        outcome = address_of(PyObject_CallNoArgs(sources->cupy_stream), &current);
    }
    if (outcome == WRITTEN && current != NULL) {
        *stream = current;
    }
    return outcome;
}

/* The stream that CuPy's arrays are written on. */
Outcome stream_of_cupy(State *state, void **stream)
{
    const Sources *sources = atomic_load_explicit(&state->sources, memory_order_acquire);
    if (sources == NULL || sources->cupy_stream == NULL) {
        return LONG_ROAD;
    }
    return address_of(PyObject_CallNoArgs(sources->cupy_stream), stream);
}

int visit_sources(const State *state, visitproc visit, void *arg)
{
    for (Sources *one = atomic_load(&state->sources); one != NULL; one = one->older) {
        Py_VISIT(one->torch);
        Py_VISIT(one->torch_ready);
        Py_VISIT(one->torch_device);
        Py_VISIT(one->torch_stream);
        Py_VISIT(one->cupy);
        Py_VISIT(one->cupy_stream);
    }
    return 0;
}

void free_sources(State *state)
{
    Sources *one = atomic_exchange(&state->sources, NULL);
    while (one != NULL) {
        Sources *older = one->older;
        Py_XDECREF(one->torch);
        Py_XDECREF(one->torch_ready);
        Py_XDECREF(one->torch_device);
        Py_XDECREF(one->torch_stream);
        Py_XDECREF(one->cupy);
        Py_XDECREF(one->cupy_stream);
        PyMem_Free(one);
        one = older;
    }
}
