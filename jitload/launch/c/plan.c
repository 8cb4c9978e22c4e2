/* Plan: the parameters of a kernel, and what was learned of the arrays behind them. One for all launches of a kernel. */
#include "native.h"

static int read_minifloat(Minifloat *format, PyObject *row)
{
    int signed_nan;
    if (!PyArg_ParseTuple(row, "iidiiIp", &format->mantissa_bits, &format->bias, &format->largest, &format->infinity,
                          &format->nan, &format->sign, &signed_nan)) {
        return -1;
    }
    format->signed_nan = signed_nan;
    return 0;
}

/* A row of jitload/launch/plan.py: (kind, bytes, low, high, unaligned, takes integers, takes None, is written, more). */
static int read_parameter(Parameter *parameter, PyObject *row)
{
    int kind, integers, none, written;
    long long low;
    unsigned long long high, unaligned;
    PyObject *more;
    if (!PyTuple_Check(row)) {
        PyErr_SetString(PyExc_TypeError, "a parameter is a tuple");
        return -1;
    }
    if (!PyArg_ParseTuple(row, "CiLKKpppO", &kind, &parameter->size, &low, &high, &unaligned, &integers, &none, &written,
                          &more)) {
        return -1;
    }
    parameter->kind = (Kind)kind;
    parameter->low = low;
    parameter->high = high;
    parameter->unaligned = unaligned;
    parameter->takes_integers = integers;
    parameter->takes_none = none;
    parameter->is_written = written;
    if (kind == MINIFLOAT) {
        return read_minifloat(&parameter->minifloat, more);
    }
    if (kind == CONVERTED) {
        parameter->convert = Py_NewRef(more);
    }
    return 0;
}

static PyObject *plan_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyObject *rows, *module = PyType_GetModule(type);
    (void)keywords;
    if (module == NULL || !PyArg_ParseTuple(arguments, "O!", &PyTuple_Type, &rows)) {
        return NULL;
    }
    if (PyTuple_Size(rows) > MOST_PARAMETERS) {
        return PyErr_Format(PyExc_ValueError, "a plan has up to %d parameters", MOST_PARAMETERS);
    }
    Plan *plan = (Plan *)PyType_GenericAlloc(type, 0);
    if (plan == NULL) {
        return NULL;
    }
    plan->module = Py_NewRef(module);
    plan->state = PyModule_GetState(plan->module);
    plan->parameters = PyMem_Calloc((size_t)PyTuple_Size(rows) + 1, sizeof *plan->parameters);
    if (plan->parameters == NULL) {
        Py_DECREF(plan);
        return PyErr_NoMemory();
    }
    plan->count = (int)PyTuple_Size(rows);
    for (int index = 0; index < plan->count; index++) {
        if (read_parameter(plan->parameters + index, PyTuple_GetItem(rows, index)) < 0) {
            Py_DECREF(plan);
            return NULL;
        }
    }
    return (PyObject *)plan;
}

static bool is_known(const Parameter *parameter, const Reader *made)
{
    const Reader *one = atomic_load(&parameter->readers);
    for (; one != NULL; one = next_reader(one)) {
        if (readers_agree(one, made)) {
            return true;
        }
    }
    return false;
}

/* learn(position, facts): how to read arrays like one that the long road has taken; whether that is new. */
static PyObject *plan_learn(PyObject *self, PyObject *arguments)
{
    Plan *plan = (Plan *)self;
    int position;
    PyObject *facts;
    if (!PyArg_ParseTuple(arguments, "iO!", &position, &PyTuple_Type, &facts)) {
        return NULL;
    }
    if (position < 0 || position >= plan->count || plan->parameters[position].kind != POINTER) {
        return PyErr_Format(PyExc_IndexError, "parameter %d is no pointer", position);
    }
    Reader *made = new_reader(plan->state, facts);
    if (made == NULL) {
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_False);
    }
    Parameter *parameter = plan->parameters + position;
    bool is_new = false;
    BEGIN_CHANGE(self);
    if (parameter->reader_count < MOST_READERS && !is_known(parameter, made)) {
        set_next_reader(made, atomic_load(&parameter->readers));
        atomic_store_explicit(&parameter->readers, made, memory_order_release);
        parameter->reader_count++;
        is_new = true;
    }
    END_CHANGE();
    if (!is_new) {
        free_reader(made);
    }
    return PyBool_FromLong(is_new);
}

/* learn_number(type, is_float): a type of scalars whose values `float` or `int` reads rightly. */
static PyObject *plan_learn_number(PyObject *self, PyObject *arguments)
{
    Plan *plan = (Plan *)self;
    PyObject *type;
    int is_float;
    if (!PyArg_ParseTuple(arguments, "O!p", &PyType_Type, &type, &is_float)) {
        return NULL;
    }
    BEGIN_CHANGE(self);
    int count = atomic_load(&plan->number_type_count);
    bool is_new = count < MOST_NUMBER_TYPES;
    for (int index = 0; index < count; index++) {
        is_new = is_new && plan->number_types[index].type != (PyTypeObject *)type;
    }
    if (is_new) {
        plan->number_types[count].type = (PyTypeObject *)Py_NewRef(type);
        plan->number_types[count].is_float = is_float;
        atomic_store_explicit(&plan->number_type_count, count + 1, memory_order_release);
    }
    END_CHANGE();
    Py_RETURN_NONE;
}

/* count_writes(function): what torch is told with, in a tuple, of the tensors that a launch may write to. */
static PyObject *plan_count_writes(PyObject *self, PyObject *function)
{
    Plan *plan = (Plan *)self;
    PyObject *none = NULL;
    if (atomic_compare_exchange_strong(&plan->count_write, &none, function)) {
        Py_INCREF(function);
    }
    Py_RETURN_NONE;
}

static int plan_traverse(PyObject *self, visitproc visit, void *arg)
{
    Plan *plan = (Plan *)self;
    Py_VISIT((PyObject *)Py_TYPE(self));
    Py_VISIT(plan->module);
    Py_VISIT(atomic_load(&plan->count_write));
    for (int index = 0; index < atomic_load(&plan->number_type_count); index++) {
        Py_VISIT((PyObject *)plan->number_types[index].type);
    }
    for (int index = 0; index < plan->count; index++) {
        Py_VISIT(plan->parameters[index].convert);
        const Reader *one = atomic_load(&plan->parameters[index].readers);
        for (; one != NULL; one = next_reader(one)) {
            int stop = visit_reader(one, visit, arg);
            if (stop) {
                return stop;
            }
        }
    }
    return 0;
}

static void free_parameter(Parameter *parameter)
{
    Reader *one = atomic_exchange(&parameter->readers, NULL);
    Py_CLEAR(parameter->convert);
    while (one != NULL) {
        Reader *next = next_reader(one);
        free_reader(one);
        one = next;
    }
}

static int plan_clear(PyObject *self)
{
    Plan *plan = (Plan *)self;
    Py_XDECREF(atomic_exchange(&plan->count_write, NULL));
    for (int index = 0; index < plan->count; index++) {
        free_parameter(plan->parameters + index);
    }
    return 0;
}

static void plan_dealloc(PyObject *self)
{
    Plan *plan = (Plan *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    plan_clear(self);
    for (int index = 0; index < atomic_load(&plan->number_type_count); index++) {
        Py_DECREF((PyObject *)plan->number_types[index].type);
    }
    PyMem_Free(plan->parameters);
    Py_XDECREF(plan->module);
    freefunc release = PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF((PyObject *)type);
}

static PyMethodDef methods[] = {
    {"learn", plan_learn, METH_VARARGS, "learn(position, facts): read such arrays here from now on; whether that is new."},
    {"learn_number", plan_learn_number, METH_VARARGS, "learn_number(type, is_float): take scalars of this type."},
    {"count_writes", plan_count_writes, METH_O, "count_writes(function): what is told which tensors are written to."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)"Plan(rows): the parameters of a kernel, and what was learned of the arrays behind them."},
    {Py_tp_new, (void *)plan_new},
    {Py_tp_dealloc, (void *)plan_dealloc},
    {Py_tp_traverse, (void *)plan_traverse},
    {Py_tp_clear, (void *)plan_clear},
    {Py_tp_methods, methods},
    {0, NULL},
};

PyType_Spec plan_spec = {
    .name = "jitload.launch._native.Plan",
    .basicsize = sizeof(Plan),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};
