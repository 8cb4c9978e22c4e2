/* A number into the bits of a parameter, by the same rules as jitload/launch/scalars.py. */
#include "native.h"

#include <math.h>

static Outcome write_int64(const Parameter *parameter, int64_t number, Value *at)
{
    if (number < parameter->low || (number > 0 && (uint64_t)number > parameter->high)) {
        return LONG_ROAD;
    }
    at->i = number; /* the low bytes are the number in every width */
    if (parameter->size == 16) {
        memset(at->bytes + 8, number < 0 ? 0xFF : 0, 8);
    }
    return WRITTEN;
}

/* Exactly an int. One that takes more than 64 bits goes the long road. */
static Outcome write_int(const Parameter *parameter, PyObject *value, Value *at)
{
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (!overflow) {
        return write_int64(parameter, number, at);
    }
    if (overflow < 0 || parameter->high <= INT64_MAX) {
        return LONG_ROAD;
    }
    unsigned long long large = PyLong_AsUnsignedLongLong(value);
    if (large == (unsigned long long)-1 && PyErr_Occurred()) {
        return give_way();
    }
    if (large > parameter->high) {
        return LONG_ROAD;
    }
    at->u = large;
    if (parameter->size == 16) {
        memset(at->bytes + 8, 0, 8);
    }
    return WRITTEN;
}

Outcome write_integer(const Parameter *parameter, PyObject *value, Value *at)
{
    if (PyLong_CheckExact(value)) {
        return write_int(parameter, value, at);
    }
    if (value == Py_True || value == Py_False) {
        return write_int64(parameter, value == Py_True, at);
    }
    return LONG_ROAD;
}

/* Rounded to nearest even. LONG_ROAD for what is larger than the largest: that is an error, or is for Python to say. */
static Outcome write_minifloat(const Minifloat *format, double number, Value *at)
{
    uint32_t sign = signbit(number) ? format->sign : 0;
    if (!isfinite(number)) {
        int32_t special = isnan(number) ? format->nan : format->infinity;
        if (special < 0) {
            return LONG_ROAD;
        }
        at->u = (uint32_t)special | (isnan(number) && !format->signed_nan ? 0 : sign);
        return WRITTEN;
    }
    int exponent;
    if (frexp(number, &exponent) == 0) {
        at->u = sign;
        return WRITTEN;
    }
    exponent = exponent - 1 < 1 - format->bias ? 1 - format->bias : exponent - 1;
    double steps = nearbyint(ldexp(fabs(number), format->mantissa_bits - exponent));
    if (ldexp(steps, exponent - format->mantissa_bits) > format->largest) {
        return LONG_ROAD;
    }
    /* A mantissa that was rounded up to the next power of two carries into the exponent, as it should. */
    at->u = ((uint32_t)(exponent + format->bias - 1) << format->mantissa_bits) + (uint32_t)steps;
    at->u |= sign;
    return WRITTEN;
}

static Outcome write_double(const Parameter *parameter, double number, Value *at)
{
    if (parameter->kind == DOUBLE) {
        at->d = number;
        return WRITTEN;
    }
    if (parameter->kind == MINIFLOAT) {
        return write_minifloat(&parameter->minifloat, number, at);
    }
    at->f = (float)number;
    /* What only the rounding makes infinite does not fit. */
    return isinf(at->f) && !isinf(number) ? LONG_ROAD : WRITTEN;
}

Outcome write_float(const Parameter *parameter, PyObject *value, Value *at)
{
    if (PyFloat_CheckExact(value)) {
        return write_double(parameter, float_value(value), at);
    }
    if (PyLong_CheckExact(value)) {
        double number = PyLong_AsDouble(value);
        if (number == -1.0 && PyErr_Occurred()) {
            return give_way();
        }
        return write_double(parameter, number, at);
    }
    if (value == Py_True || value == Py_False) {
        return write_double(parameter, value == Py_True, at);
    }
    return LONG_ROAD;
}

/* A scalar of NumPy, of a type whose values a builtin type was seen to read rightly. */
Outcome write_learned_number(const Plan *plan, const Parameter *parameter, PyObject *value, Value *at)
{
    int count = atomic_load_explicit(&plan->number_type_count, memory_order_acquire);
    for (int index = 0; index < count; index++) {
        const NumberType *known = plan->number_types + index;
        if (known->type != Py_TYPE(value)) {
            continue;
        }
        if (known->is_float && parameter->kind == INTEGER) {
            return LONG_ROAD;
        }
        PyObject *plain = known->is_float ? PyNumber_Float(value) : PyNumber_Index(value);
        if (plain == NULL) {
            return give_way();
        }
        Outcome outcome = parameter->kind == INTEGER ? write_integer(parameter, plain, at)
                                                     : write_float(parameter, plain, at);
        Py_DECREF(plain);
        return outcome;
    }
    return LONG_ROAD;
}

/* A value of another type: the bytes that Python makes of it. */
Outcome write_converted(const Parameter *parameter, PyObject *value, Value *at, void **pointer, Call *call)
{
    PyObject *packed = call_with(parameter->convert, value);
    if (packed == NULL) {
        return give_way();
    }
    if (PyLong_CheckExact(packed) && parameter->size <= 8) {
        unsigned long long number = PyLong_AsUnsignedLongLong(packed);
        Py_DECREF(packed);
        if (number == (unsigned long long)-1 && PyErr_Occurred()) {
            return give_way();
        }
        at->u = number;
        return WRITTEN;
    }
    if (!PyBytes_CheckExact(packed) || PyBytes_Size(packed) != parameter->size) {
        Py_DECREF(packed);
        return LONG_ROAD;
    }
    *pointer = PyBytes_AsString(packed);
    hold(call, packed);
    return WRITTEN;
}
