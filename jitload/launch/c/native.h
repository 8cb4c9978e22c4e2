/* What the parts of this extension know of each other.
 *
 *     numbers.c   a number into the bits of a parameter
 *     arrays.c    the address of an array, by what was learned of its type
 *     streams.c   the stream that a framework works on right now
 *     plan.c      Plan: the parameters of a kernel, and what was learned of the arrays behind them
 *     launch.c    Launch: a kernel with its configuration, as an object to call
 *     lookup.c    Lookup: `kernel[grid, block]`
 *
 * Everything here is a short cut. What is not exactly as expected goes down the long road in Python, which converts,
 * stages and knows how to complain; so a function that writes a value answers WRITTEN, LONG_ROAD, or FAILED with an
 * exception that must not be swallowed (KeyboardInterrupt, MemoryError).
 */
#ifndef JITLOAD_NATIVE_H
#define JITLOAD_NATIVE_H

#include "compat.h"
#include "dlpack.h"

typedef enum { FAILED = -1, LONG_ROAD = 0, WRITTEN = 1 } Outcome;

/* Parameters of one kernel at most: what a call needs lies on the stack. Kernels with more use Python. */
enum { MOST_PARAMETERS = 128 };
/* Types and elements remembered for each parameter at most, and kinds of scalars for each kernel. */
enum { MOST_READERS = 8, MOST_NUMBER_TYPES = 16 };

/* Names of attributes and keys, made once for each interpreter. */
#define NAMES(X)                                                                                                         \
    X(interface, "__cuda_array_interface__")                                                                             \
    X(exchange, "__dlpack_c_exchange_api__")                                                                             \
    X(handle, "__chandle__")                                                                                             \
    X(dlpack, "__dlpack__")                                                                                              \
    X(dlpack_device, "__dlpack_device__")                                                                                \
    X(data, "data")                                                                                                      \
    X(data_ptr, "data_ptr")                                                                                              \
    X(device_id, "device_id")                                                                                            \
    X(dtype, "dtype")                                                                                                    \
    X(get_device, "get_device")                                                                                          \
    X(is_conj, "is_conj")                                                                                                \
    X(is_cuda, "is_cuda")                                                                                                \
    X(is_neg, "is_neg")                                                                                                  \
    X(layout, "layout")                                                                                                  \
    X(look_up, "_look_up")                                                                                               \
    X(mask, "mask")                                                                                                      \
    X(ptr, "ptr")                                                                                                        \
    X(requires_grad, "requires_grad")                                                                                    \
    X(shape, "shape")                                                                                                    \
    X(stream, "stream")                                                                                                  \
    X(stride, "stride")                                                                                                  \
    X(strides, "strides")                                                                                                \
    X(sync_seen, "sync_seen")                                                                                            \
    X(typestr, "typestr")                                                                                                \
    X(torch, "torch")                                                                                                    \
    X(cupy, "cupy")

typedef struct {
#define DECLARE(name, text) PyObject *name;
    NAMES(DECLARE)
#undef DECLARE
} Names;

/* The frameworks that have a current stream; made anew when others are imported, and never changed. See streams.c. */
typedef struct Sources Sources;

/* What belongs to one interpreter. */
typedef struct {
    Names names;
    PyObject *modules;    /* sys.modules */
    PyObject *settings;   /* the namespace of jitload.config */
    PyObject *versions, *keywords; /* what `__dlpack__` is called with */
    PyObject *new_sources;         /* jitload.launch.streams.sources */
    Sources *_Atomic sources;
    Py_ssize_t _Atomic modules_seen;
    uint64_t _Atomic turns; /* of launches, in their order; see Launch */
    PyTypeObject *plan_type, *launch_type, *lookup_type;
} State;

extern struct PyModuleDef native_module;

/* -- a value on its way to the driver -- */

typedef union {
    int64_t i;
    uint64_t u;
    float f;
    double d;
    unsigned char bytes[16];
} Value;

/* One call of a launch. Nothing outlives it, so launches of many threads, or within each other, share nothing. */
typedef struct {
    void *stream;
    int32_t device; /* the ordinal that every array must be on, or -1 where there is one GPU only */
    int held_count, exported_count, written_count;
    Value values[MOST_PARAMETERS];
    void *pointers[MOST_PARAMETERS];
    PyObject *held[MOST_PARAMETERS];            /* what keeps memory alive until the launch is queued */
    DlVersioned *exported[MOST_PARAMETERS];     /* the same, by DLPack */
    PyObject *written[MOST_PARAMETERS];         /* tensors that count the writes to them; borrowed */
} Call;

static inline void hold(Call *call, PyObject *object)
{
    call->held[call->held_count++] = object;
}

/* -- plan.c -- */

typedef struct Reader Reader;

/* A floating point format that C has no type for, up to 16 bits. */
typedef struct {
    int mantissa_bits, bias;
    double largest;
    int32_t infinity, nan; /* their bits, or -1 where there are none */
    uint32_t sign;
    bool signed_nan;
} Minifloat;

typedef enum { INTEGER = 'i', SINGLE = 'f', DOUBLE = 'd', MINIFLOAT = 'm', POINTER = 'p', CONVERTED = 'o' } Kind;

typedef struct {
    Kind kind;
    int size;                /* bytes */
    int64_t low;             /* what an integer, or an address that is given as one, may be */
    uint64_t high;
    uint64_t unaligned;      /* bits of an address that must be 0 */
    bool takes_integers;     /* of a pointer */
    bool takes_none;
    bool is_written;         /* what it points to is not const */
    Minifloat minifloat;
    PyObject *convert;       /* gives the bytes of a value of any other type */
    Reader *_Atomic readers; /* the newest first; none is ever taken away */
    int reader_count;
} Parameter;

typedef struct {
    PyTypeObject *type;
    bool is_float;
} NumberType;

typedef struct {
    PyObject_HEAD
    State *state;
    PyObject *module;
    PyObject *_Atomic count_write; /* torch.autograd.graph.increment_version, or NULL */
    int count;
    int _Atomic number_type_count;
    NumberType number_types[MOST_NUMBER_TYPES];
    Parameter *parameters;
} Plan;

/* -- numbers.c -- */

Outcome write_integer(const Parameter *parameter, PyObject *value, Value *at);
Outcome write_float(const Parameter *parameter, PyObject *value, Value *at);
Outcome write_learned_number(const Plan *plan, const Parameter *parameter, PyObject *value, Value *at);
Outcome write_converted(const Parameter *parameter, PyObject *value, Value *at, void **pointer, Call *call);

/* -- arrays.c -- */

Outcome write_pointer(State *state, const Parameter *parameter, PyObject *value, Value *at, Call *call);
Reader *new_reader(State *state, PyObject *facts);
bool readers_agree(const Reader *one, const Reader *other);
void set_next_reader(Reader *reader, Reader *next);
Reader *next_reader(const Reader *reader);
void free_reader(Reader *reader);
int visit_reader(const Reader *reader, visitproc visit, void *arg);
const DlExchange *exchange_api(State *state, PyTypeObject *type);

/* -- streams.c -- */

Outcome current_stream(State *state, PyObject *module, void **stream);
Outcome stream_of_cupy(State *state, void **stream);
int visit_sources(const State *state, visitproc visit, void *arg);
void free_sources(State *state);

/* -- shared -- */

/* LONG_ROAD for what `except Exception` would catch, which is taken back; FAILED for everything else. Code of others may
 * fail and set none. */
static inline Outcome give_way(void)
{
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_Exception)) {
        return FAILED;
    }
    PyErr_Clear();
    return LONG_ROAD;
}

extern PyType_Spec plan_spec, launch_spec, lookup_spec;

#endif
