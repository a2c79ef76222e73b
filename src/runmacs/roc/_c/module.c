/* runmacs.roc._native: ZMTP on plain sockets, for those who are in a hurry.
 *
 * `Frames` reads, `Outbox` sends, `wait` waits. Everything here has a twin in Python that does
 * the same, slower, and is the reference; `_drivers/native.py` takes the one or the other.
 *
 * Rules:
 *
 * - What is rare is left to Python: the handshake, commands, memory of large frames.
 * - Whatever a peer sends, and whatever Python passes in, gives a result or an exception.
 * - State belongs to the module, so each interpreter may have its own. Without a GIL it refuses
 *   to load: its objects are not guarded by locks.
 */

#include "native.h"

#include <limits.h>

roc_state *roc_state_of(PyObject *self)
{
    PyObject *module = PyType_GetModuleByDef(Py_TYPE(self), &roc_module);
    return module == NULL ? NULL : PyModule_GetState(module);
}

int roc_descriptor(roc_state *state, PyObject *sock)
{
    PyObject *number = PyObject_CallMethodNoArgs(sock, state->str_fileno);
    if (number == NULL)
        return -2;
    long fd = PyLong_AsLong(number);
    Py_DECREF(number);
    if (fd == -1 && PyErr_Occurred())
        return -2;
    return fd < 0 || fd > INT_MAX ? -1 : (int)fd;
}

PyDoc_STRVAR(send_all_doc,
             "send_all($module, peers, messages, begin, limit, touched, /)\n--\n\n"
             "Queue messages from `begin` on; returns the number of the first that it cannot.");

PyDoc_STRVAR(wait_doc, "wait($module, descriptors, timeout, moment, awaited, /)\n--\n\n"
                       "The descriptors that are ready, after at most so many seconds.");

PyDoc_STRVAR(shorten_slice_doc,
             "shorten_slice($module, /)\n--\n\n"
             "Ask for a short slice for this thread; what it had, in ns, or 0 if that stays.");

PyDoc_STRVAR(restore_slice_doc, "restore_slice($module, before, /)\n--\n\n"
                                "Give back what `shorten_slice` has found.");

static PyMethodDef module_methods[] = {
    {"send_all", (PyCFunction)(void (*)(void))roc_send_all, METH_FASTCALL, send_all_doc},
    {"wait", (PyCFunction)(void (*)(void))roc_wait, METH_FASTCALL, wait_doc},
    {"shorten_slice", roc_shorten_slice, METH_NOARGS, shorten_slice_doc},
    {"restore_slice", roc_restore_slice, METH_O, restore_slice_doc},
    {NULL, NULL, 0, NULL},
};

static int intern_names(roc_state *state)
{
    struct {
        PyObject **place;
        const char *text;
    } names[] = {
        {&state->str_data, "data"},       {&state->str_start, "start"},
        {&state->str_ends, "ends"},       {&state->str_fileno, "fileno"},
        {&state->str_outbox, "outbox"},   {&state->str_greet, "_greet"},
        {&state->str_take, "take"},       {&state->str_keep, "keep"},
        {&state->str_copy, "copy"},       {&state->str_on_command, "_on_command"},
    };
    for (size_t index = 0; index < sizeof names / sizeof names[0]; index++) {
        *names[index].place = PyUnicode_InternFromString(names[index].text);
        if (*names[index].place == NULL)
            return -1;
    }
    return 0;
}

static int add_size(PyTypeObject *type, const char *name, Py_ssize_t value)
{
    PyObject *number = PyLong_FromSsize_t(value);
    if (number == NULL)
        return -1;
    int failed = PyObject_SetAttrString((PyObject *)type, name, number);
    Py_DECREF(number);
    return failed;
}

static int add_types(PyObject *module, roc_state *state)
{
    state->frames_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &roc_frames_spec, NULL);
    if (state->frames_type == NULL || PyModule_AddType(module, state->frames_type) < 0)
        return -1;
    if (add_size(state->frames_type, "IN_PLACE", ROC_IN_PLACE) < 0
        || add_size(state->frames_type, "FIRST", 1024 * 1024) < 0)
        return -1;
    state->outbox_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &roc_outbox_spec, NULL);
    if (state->outbox_type == NULL)
        return -1;
    return PyModule_AddType(module, state->outbox_type);
}

static int module_exec(PyObject *module)
{
#ifdef Py_GIL_DISABLED
    PyErr_SetString(PyExc_ImportError, "it needs the GIL, and this Python has none");
    return -1;
#endif
    roc_state *state = PyModule_GetState(module);
    PyObject *zmtp = PyImport_ImportModule("runmacs.roc.wire.zmtp");
    if (zmtp == NULL)
        return -1;
    state->unsound = PyObject_GetAttrString(zmtp, "Unsound");
    Py_DECREF(zmtp);
    if (state->unsound == NULL || intern_names(state) < 0 || add_types(module, state) < 0)
        return -1;
    return PyModule_AddIntConstant(module, "INTERFACE", ROC_INTERFACE);
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    roc_state *state = PyModule_GetState(module);
    Py_VISIT(state->frames_type);
    Py_VISIT(state->outbox_type);
    Py_VISIT(state->unsound);
    return 0;
}

static int module_clear(PyObject *module)
{
    roc_state *state = PyModule_GetState(module);
    Py_CLEAR(state->frames_type);
    Py_CLEAR(state->outbox_type);
    Py_CLEAR(state->unsound);
    Py_CLEAR(state->str_data);
    Py_CLEAR(state->str_start);
    Py_CLEAR(state->str_ends);
    Py_CLEAR(state->str_fileno);
    Py_CLEAR(state->str_outbox);
    Py_CLEAR(state->str_greet);
    Py_CLEAR(state->str_take);
    Py_CLEAR(state->str_keep);
    Py_CLEAR(state->str_copy);
    Py_CLEAR(state->str_on_command);
    return 0;
}

static void module_free(void *module)
{
    roc_state *state = PyModule_GetState(module);
    if (state == NULL)
        return;
    module_clear(module);
    PyMem_Free(state->scratch);
    state->scratch = NULL;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#ifdef Py_GIL_DISABLED
    {Py_mod_gil, Py_MOD_GIL_NOT_USED}, /* it refuses; to be asked shall change nothing */
#endif
    {0, NULL},
};

struct PyModuleDef roc_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "runmacs.roc._native",
    .m_doc = "ZMTP on plain sockets, in C; see wire/zmtp.py and _drivers/pure.py.",
    .m_size = sizeof(roc_state),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&roc_module);
}
