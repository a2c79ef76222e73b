/* Outbox: what waits to be sent over one connection. The twin of `Outbox` in _drivers/pure.py,
 * which is the reference.
 *
 * Rules:
 *
 * - Messages are queued whole or not at all, and leave in order.
 * - Small frames are written one behind the other into chunks; a large one stays where it is,
 *   and its buffer is held until it has left.
 * - Python code may run whenever a buffer is taken or released, and may clear the outbox: whoever
 *   goes on afterwards looks at the generation first.
 * - One `sendmsg` takes up to PARTS of them. It does not wait; when it has much to copy, it
 *   releases the GIL, and meanwhile nobody else can use the outbox.
 */

#include "native.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define PARTS 64
#define CHUNK (64 * 1024)
#define FIRST_CHUNK 1024
/* A chunk of this size is kept for the next message. */
#define SPARE 4096
/* Encoded bytes below this size are copied into a chunk. */
#define SMALL (4 * 1024)
#define MUCH (16 * 1024)

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

typedef struct {
    uint8_t *data;
    Py_ssize_t size, sent;
    Py_ssize_t space; /* of a chunk of our own; 0 for somebody's buffer */
    Py_buffer view;   /* of somebody's buffer */
} Part;

typedef struct {
    PyObject_HEAD
    PyObject *memory; /* has copy(view) */
    Part *parts;      /* parts[first .. first + count) wait */
    Py_ssize_t first, count, space;
    Py_ssize_t queued;
    uint8_t *spare;
    unsigned long generation; /* counted up by `clear` */
    char busy;
} Outbox;

/* ---- parts */

/* The part is out of the queue already: releasing a buffer may run code that comes back here. */
static void release_part(Outbox *self, Part part)
{
    if (!part.space)
        PyBuffer_Release(&part.view);
    else if (part.space <= SPARE && self->spare == NULL && part.space >= FIRST_CHUNK)
        self->spare = part.data;
    else
        PyMem_Free(part.data);
}

static void release_first(Outbox *self)
{
    Part part = self->parts[self->first++];
    if (--self->count == 0)
        self->first = 0;
    release_part(self, part);
}

static Part *new_part(Outbox *self)
{
    if (self->first && self->first + self->count == self->space) {
        memmove(self->parts, self->parts + self->first, (size_t)self->count * sizeof(Part));
        self->first = 0;
    }
    if (self->first + self->count == self->space) {
        Py_ssize_t space = self->space ? 2 * self->space : 4;
        Part *larger = NULL;
        if ((size_t)space <= PY_SSIZE_T_MAX / sizeof(Part))
            larger = PyMem_Realloc(self->parts, (size_t)space * sizeof(Part));
        if (larger == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
        self->parts = larger;
        self->space = space;
    }
    Part *part = &self->parts[self->first + self->count];
    memset(part, 0, sizeof(Part));
    return part;
}

static Part *last_part(Outbox *self)
{
    return self->count ? &self->parts[self->first + self->count - 1] : NULL;
}

/* Room for so many bytes at the end of a chunk; NULL with an exception. */
static uint8_t *room(Outbox *self, Py_ssize_t need)
{
    Part *part = last_part(self);
    if (part != NULL && part->space) {
        if (part->space - part->size >= need)
            return part->data + part->size;
        if (need <= CHUNK - part->size) {
            Py_ssize_t space = 2 * part->space;
            while (space < part->size + need)
                space *= 2;
            uint8_t *larger = PyMem_Realloc(part->data, (size_t)space);
            if (larger == NULL) {
                PyErr_NoMemory();
                return NULL;
            }
            part->data = larger;
            part->space = space;
            return part->data + part->size;
        }
    }
    int much = part != NULL && part->space;
    part = new_part(self);
    if (part == NULL)
        return NULL;
    Py_ssize_t space = much ? CHUNK : FIRST_CHUNK;
    if (need > space)
        space = need;
    if (self->spare != NULL && space == FIRST_CHUNK) {
        part->data = self->spare;
        self->spare = NULL;
    }
    else
        part->data = PyMem_Malloc((size_t)space);
    if (part->data == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    part->space = space;
    self->count++;
    return part->data;
}

static void fill(Outbox *self, Py_ssize_t count)
{
    last_part(self)->size += count;
    self->queued += count;
}

/* Queue somebody's buffer, which is taken over; released when that fails. */
static int append_view(Outbox *self, Py_buffer *view)
{
    Part *part = new_part(self);
    if (part == NULL) {
        PyBuffer_Release(view);
        return -1;
    }
    part->view = *view;
    part->data = view->buf;
    part->size = view->len;
    self->count++;
    self->queued += view->len;
    return 0;
}

/* ---- messages to bytes */

static Py_ssize_t write_header(uint8_t *target, Py_ssize_t size, int more)
{
    if (size < 256) {
        target[0] = (uint8_t)more;
        target[1] = (uint8_t)size;
        return 2;
    }
    target[0] = (uint8_t)(ROC_LONG | more);
    for (int index = 0; index < 8; index++)
        target[1 + index] = (uint8_t)((uint64_t)size >> (8 * (7 - index)));
    return 9;
}

static int put_small(Outbox *self, const void *data, Py_ssize_t size, int more)
{
    uint8_t *target = room(self, 9 + size);
    if (target == NULL)
        return -1;
    Py_ssize_t header = write_header(target, size, more);
    memcpy(target + header, data, (size_t)size);
    fill(self, header + size);
    return 0;
}

static int put_view(Outbox *self, Py_buffer *view, int more)
{
    if (view->len < ROC_IN_PLACE) {
        int failed = put_small(self, view->buf, view->len, more);
        PyBuffer_Release(view);
        return failed;
    }
    uint8_t *target = room(self, 9);
    if (target == NULL) {
        PyBuffer_Release(view);
        return -1;
    }
    fill(self, write_header(target, view->len, more));
    return append_view(self, view);
}

/* What is no plain buffer, a view with gaps: its bytes, unless it is large. */
static int put_gaps(Outbox *self, PyObject *frame, int more)
{
    if (!PyErr_ExceptionMatches(PyExc_BufferError))
        return -1;
    PyErr_Clear();
    PyObject *bytes = PyBytes_FromObject(frame);
    if (bytes == NULL)
        return -1;
    int failed = -1;
    if (PyBytes_GET_SIZE(bytes) < ROC_IN_PLACE)
        failed = put_small(self, PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes), more);
    else
        PyErr_SetString(PyExc_TypeError, "a large frame has to be contiguous");
    Py_DECREF(bytes);
    return failed;
}

static int put_frame(Outbox *self, PyObject *frame, int more)
{
    if (PyBytes_CheckExact(frame) && PyBytes_GET_SIZE(frame) < ROC_IN_PLACE)
        return put_small(self, PyBytes_AS_STRING(frame), PyBytes_GET_SIZE(frame), more);
    Py_buffer view;
    if (PyObject_GetBuffer(frame, &view, PyBUF_SIMPLE) < 0)
        return put_gaps(self, frame, more);
    return put_view(self, &view, more);
}

/* As it was before: parts beyond the count go, and the last one's end. */
static void take_back(Outbox *self, Py_ssize_t count, Py_ssize_t end, Py_ssize_t queued)
{
    unsigned long generation = self->generation;
    while (self->count > count) {
        Part part = *last_part(self);
        self->count--;
        release_part(self, part);
        if (self->generation != generation)
            return;
    }
    if (count)
        last_part(self)->size = end;
    self->queued = queued;
}

/* Queue the frames from `begin` on, the whole message or nothing. */
static int put_message(Outbox *self, PyObject *frames, Py_ssize_t begin)
{
    Py_ssize_t count = PySequence_Fast_GET_SIZE(frames), parts = self->count;
    Py_ssize_t end = parts ? last_part(self)->size : 0, queued = self->queued;
    unsigned long generation = self->generation;
    int failed = 0;
    for (Py_ssize_t index = begin; index < count && !failed; index++) {
        if (PySequence_Fast_GET_SIZE(frames) != count) {
            PyErr_SetString(PyExc_RuntimeError, "a message that changes while it is sent");
            failed = -1;
            break;
        }
        PyObject *frame = Py_NewRef(PySequence_Fast_GET_ITEM(frames, index));
        failed = put_frame(self, frame, index + 1 < count ? ROC_MORE : 0);
        Py_DECREF(frame);
    }
    if (failed && self->generation == generation)
        take_back(self, parts, end, queued);
    return failed;
}

static int enter(Outbox *self)
{
    if (self->busy) {
        PyErr_SetString(PyExc_RuntimeError, "used by two at a time");
        return -1;
    }
    self->busy = 1;
    return 0;
}

PyDoc_STRVAR(put_doc, "put($self, frames, /)\n--\n\n"
                      "Queue a message; returns of how many new parts it is.");

static PyObject *outbox_put(Outbox *self, PyObject *message)
{
    PyObject *frames = PySequence_Fast(message, "a message is a sequence of frames");
    if (frames == NULL)
        return NULL;
    if (enter(self) < 0) {
        Py_DECREF(frames);
        return NULL;
    }
    Py_ssize_t parts = self->count;
    int failed = put_message(self, frames, 0);
    Py_DECREF(frames);
    self->busy = 0;
    return failed ? NULL : PyLong_FromSsize_t(self->count - parts);
}

PyDoc_STRVAR(put_encoded_doc, "put_encoded($self, data, /)\n--\n\n"
                              "Queue bytes of whole messages, or of parts in order.");

static PyObject *outbox_put_encoded(Outbox *self, PyObject *data)
{
    Py_buffer view;
    if (enter(self) < 0)
        return NULL;
    int failed = PyObject_GetBuffer(data, &view, PyBUF_SIMPLE);
    if (!failed && view.len < SMALL) {
        uint8_t *target = room(self, view.len);
        failed = target == NULL;
        if (!failed) {
            memcpy(target, view.buf, (size_t)view.len);
            fill(self, view.len);
        }
        PyBuffer_Release(&view);
    }
    else if (!failed)
        failed = append_view(self, &view);
    self->busy = 0;
    if (failed)
        return NULL;
    Py_RETURN_NONE;
}

/* ---- memory that is somebody's */

static int own_part(Outbox *self, roc_state *state, Py_ssize_t place)
{
    Part *part = &self->parts[place];
    if (part->space || PyBytes_CheckExact(part->view.obj))
        return 0;
    unsigned long generation = self->generation;
    PyObject *view = PyMemoryView_FromMemory((char *)part->data + part->sent,
                                             part->size - part->sent, PyBUF_READ);
    if (view == NULL)
        return -1;
    PyObject *copy = PyObject_CallMethodOneArg(self->memory, state->str_copy, view);
    PyObject *released = copy == NULL ? NULL : PyObject_CallMethod(view, "release", NULL);
    Py_DECREF(view);
    Py_buffer own;
    int failed = released == NULL || PyObject_GetBuffer(copy, &own, PyBUF_SIMPLE) < 0;
    Py_XDECREF(released);
    Py_XDECREF(copy);
    if (failed)
        return -1;
    if (self->generation != generation) {
        PyBuffer_Release(&own); /* all was cleared meanwhile */
        return 0;
    }
    part = &self->parts[place];
    if (own.len != part->size - part->sent) {
        PyBuffer_Release(&own);
        PyErr_SetString(PyExc_ValueError, "a copy of another size");
        return -1;
    }
    Py_buffer before = part->view;
    part->view = own;
    part->data = own.buf;
    part->size = own.len;
    part->sent = 0;
    PyBuffer_Release(&before);
    return 0;
}

PyDoc_STRVAR(own_doc, "own($self, count, /)\n--\n\n"
                      "Copy what waits of the last parts out of memory that is somebody's.");

static PyObject *outbox_own(Outbox *self, PyObject *number)
{
    Py_ssize_t count = PyLong_AsSsize_t(number);
    if (count == -1 && PyErr_Occurred())
        return NULL;
    roc_state *state = roc_state_of((PyObject *)self);
    if (state == NULL || enter(self) < 0)
        return NULL;
    if (count > self->count)
        count = self->count;
    int failed = 0;
    for (Py_ssize_t index = self->count - count; index < self->count && !failed; index++)
        failed = own_part(self, state, self->first + index);
    self->busy = 0;
    if (failed)
        return NULL;
    Py_RETURN_NONE;
}

/* ---- away */

static void forget(Outbox *self, Py_ssize_t sent)
{
    self->queued -= sent;
    while (self->count) {
        Part *part = &self->parts[self->first];
        Py_ssize_t left = part->size - part->sent;
        if (sent < left) {
            part->sent += sent;
            return;
        }
        sent -= left;
        release_first(self);
    }
}

/* One look at what the system takes: bytes, or -1 with errno. */
static Py_ssize_t send_some(Outbox *self, int fd)
{
    struct iovec vectors[PARTS];
    struct msghdr message;
    Py_ssize_t total = 0, sent;
    int count = 0;
    for (; count < PARTS && count < self->count; count++) {
        Part *part = &self->parts[self->first + count];
        vectors[count].iov_base = part->data + part->sent;
        vectors[count].iov_len = (size_t)(part->size - part->sent);
        total += part->size - part->sent;
    }
    memset(&message, 0, sizeof message);
    message.msg_iov = vectors;
    message.msg_iovlen = count;
    if (total > MUCH) {
        Py_BEGIN_ALLOW_THREADS
        sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        Py_END_ALLOW_THREADS
    }
    else
        sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent;
}

PyDoc_STRVAR(flush_doc, "flush($self, sock, /)\n--\n\n"
                        "Send what is queued, as far as the system takes it; True when all is.");

static PyObject *outbox_flush(Outbox *self, PyObject *sock)
{
    roc_state *state = roc_state_of((PyObject *)self);
    if (state == NULL)
        return NULL;
    int fd = roc_descriptor(state, sock);
    if (fd == -2 || enter(self) < 0)
        return NULL;
    unsigned long generation = self->generation;
    Py_ssize_t sent = 0;
    while (self->count && self->generation == generation) {
        sent = send_some(self, fd);
        if (sent < 0)
            break;
        if (self->generation == generation)
            forget(self, sent);
    }
    self->busy = 0;
    if (sent >= 0)
        Py_RETURN_TRUE;
    if (errno == EINTR && PyErr_CheckSignals() < 0)
        return NULL;
    if (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)
        Py_RETURN_FALSE;
    return PyErr_SetFromErrno(PyExc_OSError);
}

PyDoc_STRVAR(clear_doc, "clear($self, /)\n--\n\nForget what waits.");

static PyObject *outbox_clear(Outbox *self, PyObject *Py_UNUSED(ignored))
{
    self->generation++;
    if (self->busy) {
        /* A child that was forked while its parent sent, or a mistake: somebody may still read
         * the parts, so they are left alone. */
        self->parts = NULL;
        self->first = self->count = self->space = self->queued = 0;
        self->busy = 0;
        Py_RETURN_NONE;
    }
    self->busy = 1;
    self->queued = 0;
    while (self->count)
        release_first(self);
    self->busy = 0;
    Py_RETURN_NONE;
}

/* ---- to many at once */

/* 1 when the message was queued, 0 when it is not for us, -1 with an exception. */
static int send_one(roc_state *state, PyObject *peers, PyObject *frames, Py_ssize_t limit,
                    PyObject *touched)
{
    if (!PyList_CheckExact(frames) || PyList_GET_SIZE(frames) < 2
        || !PyBytes_CheckExact(PyList_GET_ITEM(frames, 0)))
        return 0;
    PyObject *peer = PyDict_GetItemWithError(peers, PyList_GET_ITEM(frames, 0));
    if (peer == NULL)
        return PyErr_Occurred() ? -1 : 0;
    Py_INCREF(peer);
    int result = -1;
    PyObject *box = PyObject_GetAttr(peer, state->str_outbox);
    if (box != NULL && (!PyObject_TypeCheck(box, state->outbox_type)
                        || ((Outbox *)box)->queued > limit))
        result = 0;
    else if (box != NULL && enter((Outbox *)box) == 0) {
        Outbox *outbox = (Outbox *)box;
        int was_empty = !outbox->queued;
        result = put_message(outbox, frames, 1) < 0 ? -1 : 1;
        outbox->busy = 0;
        if (result > 0 && was_empty && PyList_Append(touched, peer) < 0)
            result = -1;
    }
    Py_XDECREF(box);
    Py_DECREF(peer);
    return result;
}

PyObject *roc_send_all(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    roc_state *state = PyModule_GetState(module);
    if (count != 5 || !PyDict_CheckExact(args[0]) || !PyList_CheckExact(args[1])
        || !PyList_CheckExact(args[4])) {
        PyErr_SetString(PyExc_TypeError, "send_all(peers, messages, begin, limit, touched)");
        return NULL;
    }
    Py_ssize_t index = PyLong_AsSsize_t(args[2]);
    Py_ssize_t limit = PyLong_AsSsize_t(args[3]);
    if (PyErr_Occurred())
        return NULL;
    if (index < 0) {
        PyErr_SetString(PyExc_ValueError, "a negative beginning");
        return NULL;
    }
    for (; index < PyList_GET_SIZE(args[1]); index++) {
        PyObject *frames = Py_NewRef(PyList_GET_ITEM(args[1], index));
        int done = send_one(state, args[0], frames, limit, args[4]);
        Py_DECREF(frames);
        if (done < 0)
            return NULL;
        if (!done)
            break;
    }
    return PyLong_FromSsize_t(index);
}

/* ---- life, and what Python sees */

static int outbox_init(Outbox *self, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *memory;
    if (!PyArg_ParseTuple(args, "O:Outbox", &memory))
        return -1;
    Py_XSETREF(self->memory, Py_NewRef(memory));
    return 0;
}

static int outbox_traverse(Outbox *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->memory);
    for (Py_ssize_t index = 0; index < self->count; index++) {
        Part *part = &self->parts[self->first + index];
        if (!part->space)
            Py_VISIT(part->view.obj);
    }
    return 0;
}

static int outbox_gc_clear(Outbox *self)
{
    Py_CLEAR(self->memory);
    return 0;
}

static void outbox_dealloc(Outbox *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    while (self->count)
        release_first(self);
    PyMem_Free(self->parts);
    PyMem_Free(self->spare);
    Py_CLEAR(self->memory);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef outbox_methods[] = {
    {"put", (PyCFunction)outbox_put, METH_O, put_doc},
    {"put_encoded", (PyCFunction)outbox_put_encoded, METH_O, put_encoded_doc},
    {"own", (PyCFunction)outbox_own, METH_O, own_doc},
    {"flush", (PyCFunction)outbox_flush, METH_O, flush_doc},
    {"clear", (PyCFunction)outbox_clear, METH_NOARGS, clear_doc},
    {NULL, NULL, 0, NULL},
};

#include <structmember.h>

static PyMemberDef outbox_members[] = {
    {"queued", T_PYSSIZET, offsetof(Outbox, queued), READONLY, "Bytes that wait."},
    {"parts", T_PYSSIZET, offsetof(Outbox, count), READONLY, "In how many pieces they are."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot outbox_slots[] = {
    {Py_tp_doc, "What waits to be sent over one connection."},
    {Py_tp_init, outbox_init},
    {Py_tp_traverse, outbox_traverse},
    {Py_tp_clear, outbox_gc_clear},
    {Py_tp_dealloc, outbox_dealloc},
    {Py_tp_methods, outbox_methods},
    {Py_tp_members, outbox_members},
    {0, NULL},
};

PyType_Spec roc_outbox_spec = {
    .name = "runmacs.roc._native.Outbox",
    .basicsize = sizeof(Outbox),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = outbox_slots,
};
