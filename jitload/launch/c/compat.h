/* What differs between the limited API, which one build for Python 3.12 and later is made with, and the full one. */
#ifndef JITLOAD_COMPAT_H
#define JITLOAD_COMPAT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if !defined(Py_T_PYSSIZET) /* these names came with Python 3.12 */
#include <structmember.h>
#define Py_T_PYSSIZET T_PYSSIZET
#define Py_T_OBJECT_EX T_OBJECT_EX
#define Py_READONLY READONLY
#endif

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the low bytes of a number come first on every host of an NVIDIA GPU, and this code counts on that"
#endif

#ifdef Py_LIMITED_API
#define tuple_size PyTuple_Size
#define tuple_item PyTuple_GetItem
#define float_value PyFloat_AsDouble
#define dict_size PyDict_Size
#else
#define tuple_size PyTuple_GET_SIZE
#define tuple_item PyTuple_GET_ITEM
#define float_value PyFloat_AS_DOUBLE
#define dict_size PyDict_GET_SIZE
#endif

/* One writer at a time for what is reached without the interpreter's lock in free-threaded builds. */
#ifdef Py_GIL_DISABLED
#define BEGIN_CHANGE(object) Py_BEGIN_CRITICAL_SECTION(object)
#define END_CHANGE() Py_END_CRITICAL_SECTION()
#else
#define BEGIN_CHANGE(object) {
#define END_CHANGE() }
#endif

/* A new reference to the value of a key; NULL without an exception when there is none. */
static inline PyObject *dict_value(PyObject *dict, PyObject *key)
{
#ifdef Py_GIL_DISABLED
    PyObject *value;
    return PyDict_GetItemRef(dict, key, &value) < 0 ? NULL : value;
#else
    PyObject *value = PyDict_GetItemWithError(dict, key);
    Py_XINCREF(value);
    return value;
#endif
}

static inline PyObject *call_method(PyObject *object, PyObject *name)
{
    PyObject *arguments[] = {object};
    return PyObject_VectorcallMethod(name, arguments, 1 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
}

static inline PyObject *call_with(PyObject *callable, PyObject *argument)
{
    PyObject *arguments[] = {NULL, argument};
    return PyObject_Vectorcall(callable, arguments + 1, 1 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
}

#endif
