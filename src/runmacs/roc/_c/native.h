/* What the parts of the extension share. */

#ifndef ROC_NATIVE_H
#define ROC_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

/* Counted up with each change of what Python sees; `_drivers/native.py` wants the same. */
#define ROC_INTERFACE 3

#define ROC_MORE 1
#define ROC_LONG 2
#define ROC_COMMAND 4

/* From here on a frame is large: received in place, sent from where it is. */
#define ROC_IN_PLACE (64 * 1024)

typedef struct {
    PyTypeObject *frames_type;
    PyTypeObject *outbox_type;
    PyObject *unsound; /* wire.zmtp.Unsound */
    /* Names that are looked up often. */
    PyObject *str_data, *str_start, *str_ends, *str_fileno, *str_outbox;
    PyObject *str_greet, *str_on_command, *str_take, *str_keep, *str_copy;
    /* Where small reads go; taken out while it is in use. */
    uint8_t *scratch;
} roc_state;

extern struct PyModuleDef roc_module;

roc_state *roc_state_of(PyObject *self);

extern PyType_Spec roc_frames_spec;
extern PyType_Spec roc_outbox_spec;

PyObject *roc_send_all(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *roc_wait(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *roc_shorten_slice(PyObject *module, PyObject *args);
PyObject *roc_restore_slice(PyObject *module, PyObject *before);

/* A short slice for this thread; returns the one it had, in nanoseconds, or 0 if that stays. */
uint64_t roc_shorten(void);
void roc_restore(uint64_t before);

/* The descriptor of a socket; -2 with an exception. -1 is a closed one's. */
int roc_descriptor(roc_state *state, PyObject *sock);

#endif
