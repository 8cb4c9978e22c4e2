/* Launch: a kernel with its configuration, as an object to call with the kernel's arguments.
 *
 * The first call goes the long road, which also has the device made ready; then `arm` says what to call. A call writes
 * every argument into a value on its own stack and hands the driver pointers to them, so any number of threads, and
 * calls within calls, may use one object.
 */
#include "native.h"

/* CUlaunchConfig (cuda.h). */
typedef struct {
    uint32_t grid[3], block[3], shared_bytes;
    void *stream;
    void *attributes;
    uint32_t attribute_count;
} Configuration;

typedef int (*LaunchEntry)(const Configuration *, void *function, void **parameters, void **extra); /* cuLaunchKernelEx */
typedef int (*DeviceEntry)(int *device);                                                            /* cuCtxGetDevice */

typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
    State *state;
    PyObject *module;
    Plan *plan;
    PyObject *slow;    /* the long road */
    PyObject *refused; /* refused(status, arguments, stream): puts it right and launches, or raises */
    bool follows;      /* the current stream of a framework */
    /* Of `arm`: */
    LaunchEntry _Atomic entry;
    void *_Atomic *cell; /* the CUkernel; 0 once the module is closed */
    const Configuration *configuration;
    PyObject *keep; /* owns the two */
    int32_t device; /* the only device that this was made ready for, or -1 where there is no other */
    DeviceEntry device_entry;
    /* When this was launched last, and on which stream: what to name when a kernel turns out to have failed. */
    uint64_t _Atomic turn;
    void *_Atomic stream;
} Launch;

/* Two threads may get the same turn where there is no lock: nothing is told then that matters. */
static void remember(Launch *launch, void *stream)
{
    uint64_t turn = atomic_load_explicit(&launch->state->turns, memory_order_relaxed) + 1;
    atomic_store_explicit(&launch->state->turns, turn, memory_order_relaxed);
    atomic_store_explicit(&launch->turn, turn, memory_order_relaxed);
    atomic_store_explicit(&launch->stream, stream, memory_order_relaxed);
}

static Outcome write_argument(const Launch *launch, int index, PyObject *value, Call *call)
{
    const Parameter *parameter = launch->plan->parameters + index;
    Value *at = call->values + index;
    call->pointers[index] = at;
    Outcome outcome = LONG_ROAD;
    switch (parameter->kind) {
    case POINTER:
        return write_pointer(launch->state, parameter, value, at, call);
    case INTEGER:
        outcome = write_integer(parameter, value, at);
        break;
    case SINGLE:
    case DOUBLE:
    case MINIFLOAT:
        outcome = write_float(parameter, value, at);
        break;
    case CONVERTED:
        return write_converted(parameter, value, at, call->pointers + index, call);
    }
    return outcome == LONG_ROAD ? write_learned_number(launch->plan, parameter, value, at) : outcome;
}

static Outcome tell_torch(const Launch *launch, const Call *call)
{
    PyObject *count_write = atomic_load_explicit(&launch->plan->count_write, memory_order_acquire);
    if (call->written_count == 0 || count_write == NULL) {
        return WRITTEN;
    }
    PyObject *tensors = PyTuple_New(call->written_count);
    if (tensors == NULL) {
        return FAILED;
    }
    for (int index = 0; index < call->written_count; index++) {
        PyTuple_SetItem(tensors, index, Py_NewRef(call->written[index]));
    }
    PyObject *answer = call_with(count_write, tensors);
    Py_DECREF(tensors);
    if (answer == NULL) {
        return give_way();
    }
    Py_DECREF(answer);
    return WRITTEN;
}

/* Everything before the driver is called. */
static Outcome prepare(const Launch *launch, PyObject *const *arguments, Call *call)
{
    call->stream = launch->configuration->stream;
    call->device = launch->device;
    call->held_count = call->exported_count = call->written_count = 0;
    if (launch->device >= 0) {
        int current;
        if (launch->device_entry(&current) || current != launch->device) {
            return LONG_ROAD;
        }
    }
    if (launch->follows) {
        Outcome outcome = current_stream(launch->state, launch->module, &call->stream);
        if (outcome != WRITTEN) {
            return outcome;
        }
    }
    for (int index = 0; index < launch->plan->count; index++) {
        Outcome outcome = write_argument(launch, index, arguments[index], call);
        if (outcome != WRITTEN) {
            return outcome;
        }
    }
    return tell_torch(launch, call);
}

static void release(Call *call)
{
    for (int index = 0; index < call->held_count; index++) {
        Py_DECREF(call->held[index]);
    }
    for (int index = 0; index < call->exported_count; index++) {
        DlVersioned *managed = call->exported[index];
        if (managed->deleter != NULL) {
            managed->deleter(managed);
        }
    }
}

static PyObject *refuse(const Launch *launch, int status, PyObject *const *arguments, const void *stream)
{
    PyObject *tuple = PyTuple_New(launch->plan->count);
    if (tuple == NULL) {
        return NULL;
    }
    for (int index = 0; index < launch->plan->count; index++) {
        PyTuple_SetItem(tuple, index, Py_NewRef(arguments[index]));
    }
    PyObject *answer = PyObject_CallFunction(launch->refused, "iNK", status, tuple, (unsigned long long)(uintptr_t)stream);
    if (answer == NULL) {
        return NULL;
    }
    Py_DECREF(answer);
    Py_RETURN_NONE;
}

static PyObject *launch_call(PyObject *self, PyObject *const *arguments, size_t flagged_count, PyObject *names)
{
    Launch *launch = (Launch *)self;
    LaunchEntry entry = atomic_load_explicit(&launch->entry, memory_order_acquire);
    if (entry != NULL && PyVectorcall_NARGS(flagged_count) == launch->plan->count && names == NULL) {
        Call call;
        int status = 0;
        Outcome outcome = prepare(launch, arguments, &call);
        /* Only now: while the arguments were read, the module may have been closed. */
        void *function = atomic_load(launch->cell);
        if (outcome == WRITTEN && function != NULL) {
            Configuration configuration = *launch->configuration;
            configuration.stream = call.stream;
            Py_BEGIN_ALLOW_THREADS
            status = entry(&configuration, function, launch->plan->count ? call.pointers : NULL, NULL);
            Py_END_ALLOW_THREADS
        }
        release(&call);
        if (outcome == FAILED) {
            return NULL;
        }
        if (outcome == WRITTEN && function != NULL) {
            if (status) {
                return refuse(launch, status, arguments, call.stream);
            }
            remember(launch, call.stream);
            Py_RETURN_NONE;
        }
    }
    return PyObject_Vectorcall(launch->slow, arguments, flagged_count, names);
}

static PyObject *launch_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyObject *module = PyType_GetModule(type);
    PyObject *plan, *slow, *refused;
    int follows;
    (void)keywords;
    if (module == NULL) {
        return NULL;
    }
    State *state = PyModule_GetState(module);
    if (!PyArg_ParseTuple(arguments, "O!OOp", state->plan_type, &plan, &slow, &refused, &follows)) {
        return NULL;
    }
    Launch *launch = (Launch *)PyType_GenericAlloc(type, 0);
    if (launch == NULL) {
        return NULL;
    }
    launch->call = launch_call;
    launch->state = state;
    launch->module = Py_NewRef(module);
    launch->plan = (Plan *)Py_NewRef(plan);
    launch->slow = Py_NewRef(slow);
    launch->refused = Py_NewRef(refused);
    launch->follows = follows;
    launch->device = -1;
    return (PyObject *)launch;
}

/* arm(entry, cell, configuration, keep, device, device_entry): addresses; what counts is the first call of it. */
static PyObject *launch_arm(PyObject *self, PyObject *arguments)
{
    Launch *launch = (Launch *)self;
    unsigned long long entry, cell, configuration, device_entry;
    PyObject *keep;
    int device;
    if (!PyArg_ParseTuple(arguments, "KKKOiK", &entry, &cell, &configuration, &keep, &device, &device_entry)) {
        return NULL;
    }
    if (!entry || !cell || !configuration || (device >= 0 && !device_entry)) {
        PyErr_SetString(PyExc_ValueError, "an address is 0");
        return NULL;
    }
    BEGIN_CHANGE(self);
    if (launch->keep == NULL) {
        launch->keep = Py_NewRef(keep);
        launch->cell = (void *_Atomic *)(uintptr_t)cell;
        launch->configuration = (const Configuration *)(uintptr_t)configuration;
        launch->device = device;
        launch->device_entry = (DeviceEntry)(uintptr_t)device_entry;
        atomic_store_explicit(&launch->entry, (LaunchEntry)(uintptr_t)entry, memory_order_release);
    }
    END_CHANGE();
    Py_RETURN_NONE;
}

static PyObject *launch_note(PyObject *self, PyObject *stream)
{
    unsigned long long handle = PyLong_AsUnsignedLongLong(stream);
    if (PyErr_Occurred()) {
        return NULL;
    }
    remember((Launch *)self, (void *)(uintptr_t)handle);
    Py_RETURN_NONE;
}

static PyObject *launch_latest(PyObject *self, PyObject *unused)
{
    Launch *launch = (Launch *)self;
    (void)unused;
    unsigned long long turn = atomic_load_explicit(&launch->turn, memory_order_relaxed);
    void *stream = atomic_load_explicit(&launch->stream, memory_order_relaxed);
    return Py_BuildValue("KK", turn, (unsigned long long)(uintptr_t)stream);
}

static int launch_traverse(PyObject *self, visitproc visit, void *arg)
{
    Launch *launch = (Launch *)self;
    Py_VISIT((PyObject *)Py_TYPE(self));
    Py_VISIT(launch->module);
    Py_VISIT((PyObject *)launch->plan);
    Py_VISIT(launch->slow);
    Py_VISIT(launch->refused);
    Py_VISIT(launch->keep);
    return 0;
}

/* A launch that the collector has cleared can still be called, by a finalizer of what it was in a circle with. */
static PyObject *cleared_call(PyObject *self, PyObject *const *arguments, size_t flagged_count, PyObject *names)
{
    (void)self, (void)arguments, (void)flagged_count, (void)names;
    PyErr_SetString(PyExc_ReferenceError, "this launch was collected");
    return NULL;
}

static int launch_clear(PyObject *self)
{
    Launch *launch = (Launch *)self;
    launch->call = cleared_call;
    Py_CLEAR(launch->plan);
    Py_CLEAR(launch->slow);
    Py_CLEAR(launch->refused);
    Py_CLEAR(launch->keep);
    return 0;
}

static void launch_dealloc(PyObject *self)
{
    Launch *launch = (Launch *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    launch_clear(self);
    Py_XDECREF(launch->module);
    freefunc release_memory = PyType_GetSlot(type, Py_tp_free);
    release_memory(self);
    Py_DECREF((PyObject *)type);
}

static PyMemberDef members[] = {
    {"__vectorcalloffset__", Py_T_PYSSIZET, offsetof(Launch, call), Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef methods[] = {
    {"arm", launch_arm, METH_VARARGS, "arm(entry, cell, configuration, keep, device, device_entry): what to call, from now on."},
    {"note", launch_note, METH_O, "note(stream): this was launched there just now, by the long road."},
    {"latest", launch_latest, METH_NOARGS, "latest() -> (turn, stream): when and where it was launched last; turn 0: never."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)"Launch(plan, slow, refused, follows): a kernel with its configuration; call it with arguments."},
    {Py_tp_new, (void *)launch_new},
    {Py_tp_call, (void *)PyVectorcall_Call},
    {Py_tp_dealloc, (void *)launch_dealloc},
    {Py_tp_traverse, (void *)launch_traverse},
    {Py_tp_clear, (void *)launch_clear},
    {Py_tp_members, members},
    {Py_tp_methods, methods},
    {0, NULL},
};

PyType_Spec launch_spec = {
    .name = "jitload.launch._native.Launch",
    .basicsize = sizeof(Launch),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL,
    .slots = slots,
};
