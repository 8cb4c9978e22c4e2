/* The address of an array, by what was learned of its type.
 *
 * A reader is learned from a launch that went the long road, and knows one type with one element behind one parameter.
 * What can differ from one array of a type to the next (device, element, alignment, whether it may be written, what
 * torch keeps beside the memory) is looked at in every call, by the rules of jitload/launch/arrays.py and pointers.py.
 */
#include "native.h"

typedef enum { EXCHANGE = 'x', TORCH = 't', CUPY = 'c', INTERFACE = 'i', HANDLE = 'h', DLPACK = 'd' } Road;

struct Reader {
    Reader *next;
    PyTypeObject *type; /* exactly */
    Road road;
    bool is_torch;   /* counts writes, and may require a gradient */
    bool may_negate; /* has is_neg() */
    bool may_conjugate;
    uint32_t element;    /* of DLPack */
    int needed;          /* elements side by side that make what is pointed to */
    Py_ssize_t unit;     /* the stride of neighbours along the last axis */
    PyObject *dtype;     /* identical, None for an array that has none; NULL where it does not matter */
    PyObject *layout;    /* identical; the same */
    PyObject *typestr;   /* equal; the same */
    PyObject *handle_of; /* gives the address of tvm-ffi's object behind a tensor; NULL for other roads */
    const DlExchange *api;
};

/* -- what is asked of an array -- */

static Outcome is_same(PyObject *found, PyObject *expected)
{
    if (found == NULL) {
        return give_way();
    }
    Py_DECREF(found); /* compared, never used */
    return found == expected ? WRITTEN : LONG_ROAD;
}

static Outcome expect_attribute(PyObject *object, PyObject *name, PyObject *expected)
{
    return is_same(PyObject_GetAttr(object, name), expected);
}

static Outcome expect_answer(PyObject *object, PyObject *method, PyObject *expected)
{
    return is_same(call_method(object, method), expected);
}

/* An exact int, whose reference is taken over. */
static Outcome unsigned_of(PyObject *number, uint64_t *value)
{
    if (number == NULL) {
        return give_way();
    }
    bool is_number = PyLong_CheckExact(number);
    *value = is_number ? PyLong_AsUnsignedLongLong(number) : 0;
    Py_DECREF(number);
    if (!is_number) {
        return LONG_ROAD;
    }
    return *value == UINT64_MAX && PyErr_Occurred() ? give_way() : WRITTEN;
}

static Outcome set_address(const Parameter *parameter, uint64_t address, Value *at)
{
    if (address & parameter->unaligned) {
        return LONG_ROAD;
    }
    at->u = address;
    return WRITTEN;
}

/* Stream 0 is the legacy default stream, which the array protocols call 1. */
static bool is_same_stream(uint64_t one, const void *other)
{
    uint64_t wanted = (uint64_t)(uintptr_t)other;
    return one == (wanted ? wanted : 1);
}

/* Whether the last axis divides into groups of neighbours; `strides` may be None. Takes both references over. */
static Outcome is_grouped(const Reader *reader, PyObject *shape, PyObject *strides)
{
    Outcome outcome = LONG_ROAD;
    if (shape == NULL || strides == NULL) {
        outcome = give_way();
    } else if (PyTuple_Check(shape) && (strides == Py_None || PyTuple_Check(strides))) {
        Py_ssize_t axes = PyTuple_Size(shape);
        Py_ssize_t length = axes ? PyLong_AsSsize_t(PyTuple_GetItem(shape, axes - 1)) : 0;
        bool adjacent = strides == Py_None || length <= 1;
        if (!adjacent && PyTuple_Size(strides) == axes) {
            adjacent = PyLong_AsSsize_t(PyTuple_GetItem(strides, axes - 1)) == reader->unit;
        }
        if (PyErr_Occurred()) {
            outcome = give_way();
        } else if (length > 0 && length % reader->needed == 0 && adjacent) {
            outcome = WRITTEN;
        }
    }
    Py_XDECREF(shape);
    Py_XDECREF(strides);
    return outcome;
}

/* What torch keeps beside the memory: lazy negation and conjugation, gradients, the count of writes. */
static Outcome check_torch(State *state, const Reader *reader, const Parameter *parameter, PyObject *tensor, Call *call)
{
    Outcome outcome = WRITTEN;
    if (reader->may_negate) {
        outcome = expect_answer(tensor, state->names.is_neg, Py_False);
    }
    if (outcome == WRITTEN && reader->may_conjugate) {
        outcome = expect_answer(tensor, state->names.is_conj, Py_False);
    }
    if (outcome == WRITTEN && parameter->is_written) {
        outcome = expect_attribute(tensor, state->names.requires_grad, Py_False);
        if (outcome == WRITTEN) {
            call->written[call->written_count++] = tensor;
        }
    }
    return outcome;
}

/* -- DLPack -- */

static Outcome check_tensor(const Reader *reader, const Parameter *parameter, const DlTensor *tensor, Value *at, Call *call)
{
    uint32_t element = tensor->dtype.code | (uint32_t)tensor->dtype.bits << 8 | (uint32_t)tensor->dtype.lanes << 16;
    bool on_gpu = tensor->device_type == DLPACK_CUDA || (tensor->device_type == DLPACK_CUDA_MANAGED && !reader->is_torch);
    if (element != reader->element || !on_gpu || (call->device >= 0 && call->device != tensor->device_id)) {
        return LONG_ROAD;
    }
    if (reader->needed > 1) {
        int64_t length = tensor->ndim > 0 ? tensor->shape[tensor->ndim - 1] : 0;
        bool adjacent = tensor->strides == NULL || length <= 1 || tensor->strides[tensor->ndim - 1] == 1;
        if (length <= 0 || length % reader->needed || !adjacent) {
            return LONG_ROAD;
        }
    }
    uint64_t address = (uint64_t)(uintptr_t)tensor->data + tensor->byte_offset;
    if (reader->is_torch && address == 0) { /* a fake tensor, or an empty one */
        return LONG_ROAD;
    }
    return set_address(parameter, address, at);
}

/* By the table of functions that the type has. What is borrowed does not tell whether it may be written. */
static Outcome read_exchange(State *state, const Reader *reader, const Parameter *parameter, PyObject *array, Value *at,
                             Call *call)
{
    const DlExchange *api = reader->api;
    DlVersioned *managed = NULL;
    DlTensor borrowed;
    const DlTensor *tensor = &borrowed;
    if (api->export_borrowed != NULL && (reader->is_torch || !parameter->is_written)) {
        if (api->export_borrowed(array, &borrowed)) {
            return give_way();
        }
    } else {
        if (api->export_managed(array, &managed)) {
            return give_way();
        }
        tensor = &managed->tensor;
    }
    Outcome outcome = LONG_ROAD;
    if (managed == NULL || (managed->version.major == DLPACK_MAJOR &&
                            !(parameter->is_written && (managed->flags & DLPACK_READ_ONLY)))) {
        outcome = check_tensor(reader, parameter, tensor, at, call);
    }
    if (outcome == WRITTEN && reader->is_torch) {
        outcome = check_torch(state, reader, parameter, array, call);
    } else if (outcome == WRITTEN) { /* ordered already where its library works on the stream of the launch */
        void *stream = NULL;
        if (api->current_stream(tensor->device_type, tensor->device_id, &stream)) {
            outcome = give_way();
        } else if (!is_same_stream(stream ? (uintptr_t)stream : 1, call->stream)) {
            outcome = LONG_ROAD;
        }
    }
    if (managed != NULL && outcome == WRITTEN) {
        call->exported[call->exported_count++] = managed;
    } else if (managed != NULL && managed->deleter != NULL) {
        managed->deleter(managed);
    }
    return outcome;
}

static Outcome check_capsule(const Reader *reader, const Parameter *parameter, PyObject *capsule, Value *at, Call *call)
{
    if (PyCapsule_IsValid(capsule, "dltensor_versioned")) {
        const DlVersioned *managed = PyCapsule_GetPointer(capsule, "dltensor_versioned");
        if (managed->version.major != DLPACK_MAJOR || (parameter->is_written && (managed->flags & DLPACK_READ_ONLY))) {
            return LONG_ROAD;
        }
        return check_tensor(reader, parameter, &managed->tensor, at, call);
    }
    if (PyCapsule_IsValid(capsule, "dltensor")) {
        const DlManaged *managed = PyCapsule_GetPointer(capsule, "dltensor");
        return check_tensor(reader, parameter, &managed->tensor, at, call);
    }
    return LONG_ROAD;
}

/* The tensor in an object of tvm-ffi, which owns it; NULL where that is something else. None is behind a tensor that is
 * borrowed from a C++ caller. */
static const DlTensor *tensor_of(uint64_t handle)
{
    const TvmObject *object = (const TvmObject *)(uintptr_t)handle;
    return object != NULL && object->type_index == TVM_TENSOR ? (const DlTensor *)(object + 1) : NULL;
}

/* What tvm-ffi's `__dlpack__` copies into a capsule, which knows no streams and nothing that is read-only. */
static Outcome read_handle(const Reader *reader, const Parameter *parameter, PyObject *array, Value *at, Call *call)
{
    uint64_t handle;
    Outcome outcome = unsigned_of(call_with(reader->handle_of, array), &handle);
    if (outcome != WRITTEN) {
        return outcome;
    }
    const DlTensor *tensor = tensor_of(handle);
    return tensor != NULL ? check_tensor(reader, parameter, tensor, at, call) : LONG_ROAD;
}

/* By `__dlpack__`, whose owner lets the stream of the launch wait for its own. The capsule frees the tensor. */
static Outcome read_dlpack(State *state, const Reader *reader, const Parameter *parameter, PyObject *array, Value *at,
                           Call *call)
{
    PyObject *device = call_method(array, state->names.dlpack_device);
    if (device == NULL) {
        return give_way();
    }
    long type = PyTuple_CheckExact(device) && PyTuple_Size(device) == 2 ? PyLong_AsLong(PyTuple_GetItem(device, 0)) : 0;
    Py_DECREF(device);
    if (type != DLPACK_CUDA && type != DLPACK_CUDA_MANAGED) {
        return PyErr_Occurred() ? give_way() : LONG_ROAD;
    }
    PyObject *stream = PyLong_FromUnsignedLongLong(call->stream ? (uintptr_t)call->stream : 1);
    if (stream == NULL) {
        return give_way();
    }
    PyObject *arguments[] = {array, stream, state->versions};
    PyObject *capsule = PyObject_VectorcallMethod(state->names.dlpack, arguments, 1 | PY_VECTORCALL_ARGUMENTS_OFFSET,
                                                  state->keywords);
    Py_DECREF(stream);
    if (capsule == NULL) {
        return give_way();
    }
    Outcome outcome = check_capsule(reader, parameter, capsule, at, call);
    if (outcome == WRITTEN) {
        hold(call, capsule);
    } else {
        Py_DECREF(capsule);
    }
    return outcome;
}

/* -- the libraries' own getters -- */

static Outcome check_device(PyObject *number, const Call *call)
{
    uint64_t device;
    Outcome outcome = unsigned_of(number, &device);
    return outcome == WRITTEN && device != (uint64_t)call->device ? LONG_ROAD : outcome;
}

static Outcome read_torch(State *state, const Reader *reader, const Parameter *parameter, PyObject *tensor, Value *at,
                          Call *call)
{
    const Names *names = &state->names;
    uint64_t address = 0;
    Outcome outcome = expect_attribute(tensor, names->is_cuda, Py_True);
    if (outcome == WRITTEN) {
        outcome = expect_attribute(tensor, names->dtype, reader->dtype);
    }
    if (outcome == WRITTEN && reader->layout != NULL) {
        outcome = expect_attribute(tensor, names->layout, reader->layout);
    }
    if (outcome == WRITTEN && call->device >= 0) {
        outcome = check_device(call_method(tensor, names->get_device), call);
    }
    if (outcome == WRITTEN && reader->needed > 1) {
        outcome = is_grouped(reader, PyObject_GetAttr(tensor, names->shape), call_method(tensor, names->stride));
    }
    if (outcome == WRITTEN) {
        outcome = unsigned_of(call_method(tensor, names->data_ptr), &address);
    }
    if (outcome == WRITTEN) {
        outcome = address ? set_address(parameter, address, at) : LONG_ROAD;
    }
    return outcome == WRITTEN ? check_torch(state, reader, parameter, tensor, call) : outcome;
}

static Outcome read_cupy(State *state, const Reader *reader, const Parameter *parameter, PyObject *array, Value *at,
                         Call *call)
{
    const Names *names = &state->names;
    uint64_t address = 0;
    void *stream = NULL;
    Outcome outcome = expect_attribute(array, names->dtype, reader->dtype);
    if (outcome == WRITTEN) {
        outcome = stream_of_cupy(state, &stream);
    }
    if (outcome == WRITTEN && stream != call->stream) {
        outcome = LONG_ROAD;
    }
    if (outcome == WRITTEN && reader->needed > 1) {
        outcome = is_grouped(reader, PyObject_GetAttr(array, names->shape), PyObject_GetAttr(array, names->strides));
    }
    if (outcome != WRITTEN) {
        return outcome;
    }
    PyObject *memory = PyObject_GetAttr(array, names->data);
    if (memory == NULL) {
        return give_way();
    }
    outcome = unsigned_of(PyObject_GetAttr(memory, names->ptr), &address);
    if (outcome == WRITTEN && call->device >= 0) {
        outcome = check_device(PyObject_GetAttr(memory, names->device_id), call);
    }
    Py_DECREF(memory);
    return outcome == WRITTEN ? set_address(parameter, address, at) : outcome;
}

/* -- the CUDA Array Interface -- */

/* (address, whether it is read-only) */
static Outcome check_data(const Parameter *parameter, PyObject *data, uint64_t *address)
{
    Outcome outcome = LONG_ROAD;
    if (data != NULL && PyTuple_CheckExact(data) && tuple_size(data) == 2) {
        outcome = unsigned_of(Py_NewRef(tuple_item(data, 0)), address);
        if (outcome == WRITTEN && parameter->is_written && tuple_item(data, 1) != Py_False) {
            outcome = LONG_ROAD;
        }
    }
    Py_XDECREF(data);
    return outcome;
}

static Outcome check_typestr(const Reader *reader, PyObject *typestr)
{
    Outcome outcome = LONG_ROAD;
    if (typestr == reader->typestr) {
        outcome = WRITTEN;
    } else if (typestr != NULL && PyUnicode_CheckExact(typestr)) {
        int order = PyUnicode_Compare(typestr, reader->typestr);
        outcome = order == -1 && PyErr_Occurred() ? give_way() : order == 0 ? WRITTEN : LONG_ROAD;
    }
    Py_XDECREF(typestr);
    return outcome;
}

static Outcome check_shape(PyObject *shape)
{
    bool plain = shape != NULL && PyTuple_CheckExact(shape);
    for (Py_ssize_t axis = 0; plain && axis < tuple_size(shape); axis++) {
        plain = PyLong_CheckExact(tuple_item(shape, axis));
    }
    Py_XDECREF(shape);
    return plain ? WRITTEN : LONG_ROAD;
}

static Outcome check_absent(PyObject *value)
{
    bool absent = value == NULL || value == Py_None;
    Py_XDECREF(value);
    return absent ? WRITTEN : LONG_ROAD;
}

/* The stream that still writes to the array is none, or the one of the launch. */
static Outcome check_stream(PyObject *stream, const Call *call)
{
    uint64_t number;
    if (stream == NULL || stream == Py_None) {
        return check_absent(stream);
    }
    Outcome outcome = unsigned_of(stream, &number);
    return outcome == WRITTEN && !is_same_stream(number, call->stream) ? LONG_ROAD : outcome;
}

static Outcome check_interface(const Names *names, const Reader *reader, const Parameter *parameter, PyObject *interface,
                               Value *at, Call *call)
{
    uint64_t address = 0;
    if (!PyDict_CheckExact(interface) || call->device >= 0) { /* it does not tell the device */
        return LONG_ROAD;
    }
    Outcome outcome = check_data(parameter, dict_value(interface, names->data), &address);
    if (outcome == WRITTEN) {
        outcome = check_typestr(reader, dict_value(interface, names->typestr));
    }
    if (outcome == WRITTEN) {
        outcome = check_shape(dict_value(interface, names->shape));
    }
    if (outcome == WRITTEN) {
        outcome = check_absent(dict_value(interface, names->mask));
    }
    if (outcome == WRITTEN) {
        outcome = check_stream(dict_value(interface, names->stream), call);
    }
    if (outcome == WRITTEN && reader->needed > 1) {
        PyObject *strides = dict_value(interface, names->strides);
        outcome = is_grouped(reader, dict_value(interface, names->shape), strides ? strides : Py_NewRef(Py_None));
    }
    return outcome == WRITTEN ? set_address(parameter, address, at) : outcome;
}

static Outcome read_interface(State *state, const Reader *reader, const Parameter *parameter, PyObject *array, Value *at,
                              Call *call)
{
    if (reader->dtype != NULL) { /* bytes, of which only the dtype tells what they are */
        PyObject *dtype = PyObject_GetAttr(array, state->names.dtype);
        if (dtype == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
            PyErr_Clear();
            dtype = Py_NewRef(Py_None);
        }
        Outcome outcome = is_same(dtype, reader->dtype);
        if (outcome != WRITTEN) {
            return outcome;
        }
    }
    PyObject *interface = PyObject_GetAttr(array, state->names.interface);
    if (interface == NULL) {
        return give_way();
    }
    Outcome outcome = check_interface(&state->names, reader, parameter, interface, at, call);
    Py_DECREF(interface);
    return outcome;
}

/* -- which of them -- */

static Outcome read_by(State *state, const Reader *reader, const Parameter *parameter, PyObject *array, Value *at,
                       Call *call)
{
    switch (reader->road) {
    case EXCHANGE:
        return read_exchange(state, reader, parameter, array, at, call);
    case TORCH:
        return read_torch(state, reader, parameter, array, at, call);
    case CUPY:
        return read_cupy(state, reader, parameter, array, at, call);
    case INTERFACE:
        return read_interface(state, reader, parameter, array, at, call);
    case HANDLE:
        return read_handle(reader, parameter, array, at, call);
    case DLPACK:
        return read_dlpack(state, reader, parameter, array, at, call);
    }
    return LONG_ROAD;
}

Outcome write_pointer(State *state, const Parameter *parameter, PyObject *value, Value *at, Call *call)
{
    if (PyLong_CheckExact(value)) {
        return parameter->takes_integers ? write_integer(parameter, value, at) : LONG_ROAD;
    }
    if (value == Py_None) {
        at->u = 0;
        return parameter->takes_none ? WRITTEN : LONG_ROAD;
    }
    const Reader *reader = atomic_load_explicit(&parameter->readers, memory_order_acquire);
    Outcome outcome = LONG_ROAD;
    for (; reader != NULL && outcome == LONG_ROAD; reader = reader->next) {
        if (reader->type == Py_TYPE(value)) {
            outcome = read_by(state, reader, parameter, value, at, call);
        }
    }
    return outcome;
}

/* -- learning -- */

/* The table of a type that speaks a version known here; NULL without an exception when there is none. */
const DlExchange *exchange_api(State *state, PyTypeObject *type)
{
    PyObject *capsule = PyObject_GetAttr((PyObject *)type, state->names.exchange);
    const DlExchange *api = NULL;
    if (capsule != NULL && PyCapsule_IsValid(capsule, "dlpack_exchange_api")) {
        api = PyCapsule_GetPointer(capsule, "dlpack_exchange_api");
        while (api != NULL && api->version.major != DLPACK_MAJOR) {
            api = api->older;
        }
    }
    Py_XDECREF(capsule);
    PyErr_Clear();
    bool complete = api != NULL && api->export_managed != NULL && api->current_stream != NULL;
    return complete ? api : NULL;
}

static bool learn_element(Reader *reader, PyObject *array)
{
    DlVersioned *managed = NULL;
    if (reader->api == NULL || reader->api->export_managed(array, &managed)) {
        PyErr_Clear();
        return false;
    }
    bool known = managed->version.major == DLPACK_MAJOR;
    if (known) {
        const DlTensor *tensor = &managed->tensor;
        reader->element = tensor->dtype.code | (uint32_t)tensor->dtype.bits << 8 | (uint32_t)tensor->dtype.lanes << 16;
    }
    if (managed->deleter != NULL) {
        managed->deleter(managed);
    }
    return known;
}

/* Whether the tensor behind a handle is the one that its `__dlpack__` gives: then objects are laid out as is known here. */
static bool learn_handle(State *state, Reader *reader, PyObject *array)
{
    uint64_t handle;
    PyObject *arguments[] = {array, Py_None, state->versions};
    reader->handle_of = PyObject_GetAttr((PyObject *)reader->type, state->names.handle);
    if (reader->handle_of == NULL || unsigned_of(call_with(reader->handle_of, array), &handle) != WRITTEN) {
        PyErr_Clear();
        return false;
    }
    const DlTensor *tensor = tensor_of(handle);
    PyObject *capsule = tensor == NULL ? NULL : PyObject_VectorcallMethod(
        state->names.dlpack, arguments, 1 | PY_VECTORCALL_ARGUMENTS_OFFSET, state->keywords);
    bool same = false;
    if (capsule != NULL && PyCapsule_IsValid(capsule, "dltensor_versioned")) {
        const DlVersioned *managed = PyCapsule_GetPointer(capsule, "dltensor_versioned");
        same = managed->version.major == DLPACK_MAJOR && managed->flags == 0 &&
               memcmp(&managed->tensor, tensor, sizeof *tensor) == 0;
    }
    Py_XDECREF(capsule);
    PyErr_Clear();
    return same;
}

/* `...` is written for what does not matter. */
static PyObject *something(PyObject *object)
{
    return object == Py_Ellipsis ? NULL : Py_NewRef(object);
}

/* `facts` is a row of jitload/launch/readers.py. NULL without an exception for an array that no reader reads. */
Reader *new_reader(State *state, PyObject *facts)
{
    PyObject *array, *dtype, *layout, *typestr;
    int road, torch, negate, conjugate, needed;
    unsigned int element;
    Py_ssize_t unit;
    if (!PyArg_ParseTuple(facts, "OCpppIinOOO", &array, &road, &torch, &negate, &conjugate, &element, &needed, &unit,
                          &dtype, &layout, &typestr)) {
        return NULL;
    }
    Reader *made = PyMem_Calloc(1, sizeof *made);
    if (made == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    made->type = (PyTypeObject *)Py_NewRef((PyObject *)Py_TYPE(array));
    made->road = (Road)road;
    made->is_torch = torch;
    made->may_negate = negate;
    made->may_conjugate = conjugate;
    made->element = element;
    made->needed = needed;
    made->unit = unit;
    made->dtype = something(dtype);
    made->layout = something(layout);
    made->typestr = something(typestr);
    if (road == EXCHANGE) {
        made->api = exchange_api(state, made->type);
        if (!learn_element(made, array)) {
            free_reader(made);
            return NULL;
        }
    } else if (road == HANDLE && !learn_handle(state, made, array)) {
        made->road = DLPACK;
    }
    return made;
}

bool readers_agree(const Reader *one, const Reader *other)
{
    bool same_text = one->typestr == other->typestr ||
                     (one->typestr != NULL && other->typestr != NULL && PyUnicode_Compare(one->typestr, other->typestr) == 0);
    return one->type == other->type && one->road == other->road && one->element == other->element &&
           one->dtype == other->dtype && one->layout == other->layout && same_text;
}

void set_next_reader(Reader *reader, Reader *next)
{
    reader->next = next;
}

Reader *next_reader(const Reader *reader)
{
    return reader->next;
}

int visit_reader(const Reader *reader, visitproc visit, void *arg)
{
    Py_VISIT((PyObject *)reader->type);
    Py_VISIT(reader->dtype);
    Py_VISIT(reader->layout);
    Py_VISIT(reader->typestr);
    Py_VISIT(reader->handle_of);
    return 0;
}

void free_reader(Reader *reader)
{
    Py_XDECREF((PyObject *)reader->type);
    Py_XDECREF(reader->dtype);
    Py_XDECREF(reader->layout);
    Py_XDECREF(reader->typestr);
    Py_XDECREF(reader->handle_of);
    PyMem_Free(reader);
}
