/* Frames: bytes in, messages out. The twin of `Frames` in wire/zmtp.py, which is the reference.
 *
 * Rules:
 *
 * - Same bytes, same messages, same errors as the reference, however they are cut.
 * - Lengths are compared before they are added: none overflows.
 * - What is not a whole frame waits in `rest`; a large frame is read straight into a
 *   bytearray, which is exported (so that nobody can resize it) while the system writes to it.
 * - Python code runs in the middle of it (a command, the greeting, memory): whoever comes
 *   back to the same object meanwhile is refused.
 * - A small read does not wait, and keeps the GIL: to get it back would cost more. A large one
 *   releases it.
 */

#include "native.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

#define FRAME_COST 64
#define COMMAND_LIMIT (64 * 1024)
#define LARGE_CHUNK (1024 * 1024)
/* A read of this many bytes, and as much of a frame that began before, go to the scratch. */
#define SCRATCH_READ (64 * 1024)
#define SCRATCH (SCRATCH_READ + ROC_IN_PLACE + 4096)
/* More memory than this is given back when nothing waits in it. */
#define REST_KEPT 4096
/* Larger reads release the GIL. */
#define QUICK_READ (64 * 1024)

typedef struct {
    PyObject_HEAD
    PyObject *memory;  /* has take(size) and keep(buffer) */
    PyObject *head;    /* None, or what stands in front of each message */
    PyObject *verdict; /* NULL, or why nothing more is decoded */
    PyObject *frames;  /* NULL, or the message under way, a list */
    PyObject *large;   /* NULL, or the bytearray of the large frame under way */
    uint8_t *rest;     /* the beginning of a frame */
    Py_ssize_t rest_size, rest_space;
    Py_ssize_t limit;
    Py_ssize_t size; /* of the message under way, its frames' cost included */
    Py_ssize_t in_place, first;
    Py_ssize_t announced, filled; /* of the large frame under way */
    Py_ssize_t got;
    int large_more;
    char up, greeted, more, busy;
} Frames;

/* ---- life */

static int frames_traverse(Frames *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->memory);
    Py_VISIT(self->head);
    Py_VISIT(self->verdict);
    Py_VISIT(self->frames);
    Py_VISIT(self->large);
    return 0;
}

static int frames_clear(Frames *self)
{
    Py_CLEAR(self->memory);
    Py_CLEAR(self->head);
    Py_CLEAR(self->verdict);
    Py_CLEAR(self->frames);
    Py_CLEAR(self->large);
    return 0;
}

static void frames_dealloc(Frames *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    frames_clear(self);
    PyMem_Free(self->rest);
    type->tp_free(self);
    Py_DECREF(type);
}

static int size_attribute(PyObject *self, const char *name, Py_ssize_t *value)
{
    PyObject *number = PyObject_GetAttrString(self, name);
    if (number == NULL)
        return -1;
    *value = PyLong_AsSsize_t(number);
    Py_DECREF(number);
    return *value == -1 && PyErr_Occurred() ? -1 : 0;
}

static int frames_init(Frames *self, PyObject *args, PyObject *kwargs)
{
    Py_ssize_t limit, in_place, first;
    PyObject *memory;
    if (kwargs != NULL && PyDict_GET_SIZE(kwargs)) {
        PyErr_SetString(PyExc_TypeError, "Frames takes no keyword arguments");
        return -1;
    }
    if (!PyArg_ParseTuple(args, "nO:Frames", &limit, &memory))
        return -1;
    if (size_attribute((PyObject *)self, "IN_PLACE", &in_place) < 0)
        return -1;
    if (size_attribute((PyObject *)self, "FIRST", &first) < 0)
        return -1;
    if (limit < 0 || limit > PY_SSIZE_T_MAX / 4 || in_place < 0 || in_place > ROC_IN_PLACE
        || first < 1 || self->memory != NULL) {
        PyErr_SetString(PyExc_ValueError, "limits that make no sense, or set twice");
        return -1;
    }
    self->limit = limit;
    self->in_place = in_place;
    self->first = first;
    self->memory = Py_NewRef(memory);
    if (self->head == NULL)
        self->head = Py_NewRef(Py_None);
    return 0;
}

/* ---- verdicts */

/* Nothing more is decoded, and this is why. Takes over the text. Returns -1. */
static int condemn(Frames *self, PyObject *why)
{
    if (why == NULL)
        return -1;
    roc_state *state = roc_state_of((PyObject *)self);
    if (state != NULL)
        PyErr_SetObject(state->unsound, why);
    Py_XSETREF(self->verdict, why);
    return -1;
}

static int too_large(Frames *self)
{
    return condemn(
        self, PyUnicode_FromFormat("a message over the limit of %zd bytes", self->limit));
}

static int no_memory(Frames *self)
{
    Py_CLEAR(self->large);
    PyErr_Clear();
    return condemn(
        self, PyUnicode_FromFormat("no memory for a frame of %zd bytes", self->announced));
}

/* An exception passed through: if Python code found the peer unsound, remember why. */
static void note_verdict(Frames *self, roc_state *state)
{
    if (self->verdict != NULL || !PyErr_ExceptionMatches(state->unsound))
        return;
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    PyObject *why = value == NULL ? NULL : PyObject_Str(value);
    if (why == NULL)
        PyErr_Clear();
    self->verdict = why;
    PyErr_Restore(type, value, trace);
}

/* ---- one frame to a message */

static PyObject *new_message(Frames *self)
{
    PyObject *message = PyList_New(0);
    if (message != NULL && self->head != NULL && self->head != Py_None
        && PyList_Append(message, self->head) < 0)
        Py_CLEAR(message);
    return message;
}

/* Add a body, which is taken over, to the message under way; a complete one to `messages`.
 * Returns 1 when it completed a message, 0 when not, -1 with an exception.
 */
static int take(Frames *self, PyObject *body, Py_ssize_t size, int more, PyObject *messages)
{
    if (body == NULL)
        return -1;
    if (self->frames == NULL && (self->frames = new_message(self)) == NULL) {
        Py_DECREF(body);
        return -1;
    }
    int failed = PyList_Append(self->frames, body);
    Py_DECREF(body);
    if (failed)
        return -1;
    if (more) {
        self->size += size + FRAME_COST;
        return self->size > self->limit ? too_large(self) : 0;
    }
    failed = PyList_Append(messages, self->frames);
    Py_CLEAR(self->frames);
    self->size = 0;
    return failed ? -1 : 1;
}

/* ---- what is rare: large frames, commands, the greeting */

static int begin_large(Frames *self, const uint8_t *data, Py_ssize_t count, Py_ssize_t size,
                       int more)
{
    roc_state *state = roc_state_of((PyObject *)self);
    if (state == NULL)
        return -1;
    self->announced = size;
    self->filled = count;
    self->large_more = more;
    PyObject *number = PyLong_FromSsize_t(size);
    if (number == NULL)
        return -1;
    PyObject *buffer = PyObject_CallMethodOneArg(self->memory, state->str_take, number);
    Py_DECREF(number);
    if (buffer == NULL)
        return -1;
    if (buffer == Py_None) {
        Py_DECREF(buffer);
        /* So many that doubling them leads to the size, and hardly beyond. */
        Py_ssize_t least = self->first > count + 1 ? self->first : count + 1;
        Py_ssize_t space = size;
        for (Py_ssize_t half = (space + 1) / 2; half >= least && half < space;
             half = (space + 1) / 2)
            space = half;
        buffer = PyByteArray_FromStringAndSize(NULL, space);
        if (buffer == NULL)
            return no_memory(self);
    }
    else if (!PyByteArray_CheckExact(buffer) || PyByteArray_GET_SIZE(buffer) < size) {
        Py_DECREF(buffer);
        PyErr_SetString(PyExc_TypeError, "memory gave no bytearray of that size");
        return -1;
    }
    memcpy(PyByteArray_AS_STRING(buffer), data, (size_t)count);
    Py_XSETREF(self->large, buffer);
    return 0;
}

/* So many bytes were received into the large frame. */
static int large_received(Frames *self, Py_ssize_t count, PyObject *messages)
{
    PyObject *large = self->large;
    Py_ssize_t space = PyByteArray_GET_SIZE(large);
    Py_ssize_t end = space < self->announced ? space : self->announced;
    if (count < 0 || count > end - self->filled) {
        PyErr_SetString(PyExc_ValueError, "more was received than there is space");
        return -1;
    }
    self->filled += count;
    if (self->filled < self->announced) {
        if (self->filled == space && PyByteArray_Resize(large, 2 * space) < 0)
            return PyErr_ExceptionMatches(PyExc_MemoryError) ? no_memory(self) : -1;
        return 0;
    }
    roc_state *state = roc_state_of((PyObject *)self);
    if (state == NULL)
        return -1;
    self->large = NULL; /* `large` is ours now */
    PyObject *view = PyMemoryView_FromObject(large);
    PyObject *fixed = view == NULL ? NULL : PyObject_CallMethod(view, "toreadonly", NULL);
    PyObject *body = fixed == NULL ? NULL : PySequence_GetSlice(fixed, 0, self->announced);
    Py_XDECREF(view);
    Py_XDECREF(fixed);
    int result = take(self, body, self->announced, self->large_more, messages);
    if (result >= 0) {
        PyObject *kept = PyObject_CallMethodOneArg(self->memory, state->str_keep, large);
        if (kept == NULL)
            result = -1;
        Py_XDECREF(kept);
    }
    Py_DECREF(large);
    return result < 0 ? -1 : 0;
}

static int call_with_bytes(Frames *self, PyObject *name, const uint8_t *data, Py_ssize_t size,
                           PyObject **result)
{
    PyObject *bytes = PyBytes_FromStringAndSize((const char *)data, size);
    if (bytes == NULL)
        return -1;
    *result = PyObject_CallMethodOneArg((PyObject *)self, name, bytes);
    Py_DECREF(bytes);
    return *result == NULL ? -1 : 0;
}

static int obey(Frames *self, const uint8_t *data, Py_ssize_t size)
{
    roc_state *state = roc_state_of((PyObject *)self);
    PyObject *nothing;
    if (state == NULL || call_with_bytes(self, state->str_on_command, data, size, &nothing) < 0)
        return -1;
    Py_DECREF(nothing);
    return 0;
}

/* How many of these bytes are the greeting: 0 while it is not whole, -1 with an exception. */
static Py_ssize_t greet(Frames *self, const uint8_t *data, Py_ssize_t size)
{
    roc_state *state = roc_state_of((PyObject *)self);
    PyObject *number;
    if (state == NULL || call_with_bytes(self, state->str_greet, data, size, &number) < 0)
        return -1;
    Py_ssize_t taken = PyLong_AsSsize_t(number);
    Py_DECREF(number);
    if (taken == -1 && PyErr_Occurred())
        return -1;
    if (taken < 0 || taken > size) {
        PyErr_SetString(PyExc_ValueError, "a greeting longer than what has come");
        return -1;
    }
    return taken;
}

/* ---- all frames */

/* Where the messages of one read lie: see `Passage`. */
typedef struct {
    Py_ssize_t start;
    int begun_before;
    PyObject *ends; /* NULL when nobody wants to know */
} Places;

static int note_end(Places *places, Py_ssize_t end)
{
    if (places->ends == NULL)
        return 0;
    PyObject *number = PyLong_FromSsize_t(end);
    if (number == NULL)
        return -1;
    int failed = PyList_Append(places->ends, number);
    Py_DECREF(number);
    return failed;
}

static int forget_ends(Frames *self, Places *places, Py_ssize_t start)
{
    places->start = start;
    places->begun_before = self->frames != NULL;
    if (places->ends == NULL)
        return 0;
    return PyList_SetSlice(places->ends, 0, PyList_GET_SIZE(places->ends), NULL);
}

static uint64_t long_size(const uint8_t *data)
{
    uint64_t size = 0;
    for (int index = 0; index < 8; index++)
        size = size << 8 | data[index];
    return size;
}

/* A frame that is announced must be due, and fit into what is left. */
static int check_announced(Frames *self, unsigned flags, uint64_t size)
{
    if (flags & ROC_COMMAND) {
        if (size > COMMAND_LIMIT)
            return condemn(self, PyUnicode_FromFormat("a command of %llu bytes",
                                                      (unsigned long long)size));
    }
    else if (!self->up)
        return condemn(self, PyUnicode_FromString("a message before READY"));
    else if (size > (uint64_t)(self->limit - self->size))
        return too_large(self);
    return 0;
}

/* Take all frames that are whole. Returns how many bytes they had (all, when a large one is
 * under way), -1 with an exception.
 */
static Py_ssize_t parse(Frames *self, const uint8_t *data, Py_ssize_t end, PyObject *messages,
                        Places *places)
{
    Py_ssize_t position = 0;
    while (end - position >= 2) {
        unsigned flags = data[position];
        Py_ssize_t begin = position + 2;
        uint64_t announced = data[position + 1];
        if (flags > 3 && flags != ROC_COMMAND && flags != (ROC_COMMAND | ROC_LONG))
            return condemn(self, PyUnicode_FromFormat("flags 0x%02x", flags));
        if (flags & ROC_LONG) {
            begin = position + 9;
            if (begin > end)
                break;
            announced = long_size(data + position + 1);
        }
        if (check_announced(self, flags, announced) < 0)
            return -1;
        /* Now it is at most the limit, so it fits. */
        Py_ssize_t size = (Py_ssize_t)announced;
        int whole = size <= end - begin;
        int done;
        if (flags & ROC_COMMAND) {
            if (!whole)
                break;
            if (obey(self, data + begin, size) < 0)
                return -1;
            position = begin + size;
            if (forget_ends(self, places, position) < 0)
                return -1;
            continue;
        }
        int large = flags & ROC_LONG && size > self->in_place;
        if (!whole && large) {
            if (begin_large(self, data + begin, end - begin, size, flags & ROC_MORE) < 0)
                return -1;
            return end;
        }
        if (!whole)
            break;
        PyObject *body = PyBytes_FromStringAndSize((const char *)data + begin, size);
        if (body != NULL && large)
            Py_SETREF(body, PyMemoryView_FromObject(body));
        done = take(self, body, size, flags & ROC_MORE, messages);
        position = begin + size;
        if (done < 0 || (done && note_end(places, position) < 0))
            return -1;
    }
    return position;
}

static int keep_rest(Frames *self, const uint8_t *data, Py_ssize_t size)
{
    if (size > self->rest_space) {
        uint8_t *larger = PyMem_Realloc(self->rest, (size_t)size);
        if (larger == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        self->rest = larger;
        self->rest_space = size;
    }
    else if (!size && self->rest_space > REST_KEPT) {
        PyMem_Free(self->rest);
        self->rest = NULL;
        self->rest_space = 0;
    }
    if (size)
        memmove(self->rest, data, (size_t)size);
    self->rest_size = size;
    return 0;
}

/* Whether what waited and what has come fit together; it is data[0:size] now, and rest empty. */
static int decode(Frames *self, const uint8_t *data, Py_ssize_t size, PyObject *messages,
                  Places *places, Py_ssize_t *offset)
{
    self->rest_size = 0;
    *offset = 0;
    if (!self->greeted) {
        Py_ssize_t taken = greet(self, data, size);
        if (taken < 0)
            return -1;
        if (taken == 0)
            return keep_rest(self, data, size);
        self->greeted = 1;
        *offset = taken;
    }
    places->start = 0;
    places->begun_before = self->frames != NULL;
    Py_ssize_t parsed = parse(self, data + *offset, size - *offset, messages, places);
    if (parsed < 0)
        return -1;
    parsed += *offset;
    return keep_rest(self, data + parsed, size - parsed);
}

/* Tell the passage where the messages lie in `data`, which is bytes. */
static int tell(roc_state *state, PyObject *passage, PyObject *data, Py_ssize_t offset,
                Places *places)
{
    PyObject *told = Py_NewRef(data);
    if (offset)
        Py_SETREF(told, PyBytes_FromStringAndSize(PyBytes_AS_STRING(data) + offset,
                                                  PyBytes_GET_SIZE(data) - offset));
    if (told == NULL)
        return -1;
    int failed = PyObject_SetAttr(passage, state->str_data, told);
    Py_DECREF(told);
    if (failed)
        return -1;
    if (places->begun_before && PyList_GET_SIZE(places->ends)) {
        places->start = PyLong_AsSsize_t(PyList_GET_ITEM(places->ends, 0));
        if (PyList_SetSlice(places->ends, 0, 1, NULL) < 0)
            return -1;
    }
    PyObject *start = PyLong_FromSsize_t(places->start);
    if (start == NULL)
        return -1;
    failed = PyObject_SetAttr(passage, state->str_start, start);
    Py_DECREF(start);
    return failed;
}

/* ---- one at a time */

static int enter(Frames *self)
{
    if (self->memory == NULL || self->busy) {
        PyErr_SetString(PyExc_RuntimeError, self->busy ? "used by two at a time" : "not ready");
        return -1;
    }
    roc_state *state = roc_state_of((PyObject *)self);
    if (state == NULL)
        return -1;
    if (self->verdict != NULL) {
        PyErr_SetObject(state->unsound, self->verdict);
        return -1;
    }
    self->busy = 1;
    return 0;
}

static PyObject *leave(Frames *self, PyObject *messages, int failed)
{
    if (failed) {
        roc_state *state = roc_state_of((PyObject *)self);
        if (state != NULL)
            note_verdict(self, state);
        Py_CLEAR(messages);
    }
    self->busy = 0;
    return messages;
}

/* Decode bytes objects, for a passage or not. */
static int decode_object(Frames *self, roc_state *state, PyObject *data, PyObject *passage,
                         PyObject *messages)
{
    Places places = {0, 0, NULL};
    Py_ssize_t offset;
    PyObject *whole = Py_NewRef(data);
    if (self->rest_size) {
        Py_ssize_t before = self->rest_size, size = PyBytes_GET_SIZE(data);
        Py_SETREF(whole, PyBytes_FromStringAndSize(NULL, before + size));
        if (whole == NULL)
            return -1;
        memcpy(PyBytes_AS_STRING(whole), self->rest, (size_t)before);
        memcpy(PyBytes_AS_STRING(whole) + before, PyBytes_AS_STRING(data), (size_t)size);
    }
    int failed = 0;
    if (passage != Py_None) {
        places.ends = PyObject_GetAttr(passage, state->str_ends);
        failed = places.ends == NULL;
        if (!failed && !PyList_CheckExact(places.ends)) {
            PyErr_SetString(PyExc_TypeError, "the ends of a passage are a list");
            failed = 1;
        }
    }
    failed = failed
             || decode(self, (const uint8_t *)PyBytes_AS_STRING(whole), PyBytes_GET_SIZE(whole),
                       messages, &places, &offset)
                    < 0;
    if (!failed && passage != Py_None && self->greeted)
        failed = tell(state, passage, whole, offset, &places) < 0;
    Py_XDECREF(places.ends);
    Py_DECREF(whole);
    return failed ? -1 : 0;
}

PyDoc_STRVAR(feed_doc, "feed($self, data, passage=None, /)\n--\n\n"
                       "These bytes were received; returns the messages that are complete now.");

static PyObject *frames_feed(Frames *self, PyObject *const *args, Py_ssize_t count)
{
    if (count < 1 || count > 2 || !PyBytes_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "feed(data: bytes, passage=None)");
        return NULL;
    }
    if (enter(self) < 0)
        return NULL;
    roc_state *state = roc_state_of((PyObject *)self);
    PyObject *messages = PyList_New(0);
    int failed = state == NULL || messages == NULL
                 || decode_object(self, state, args[0], count > 1 ? args[1] : Py_None, messages)
                        < 0;
    return leave(self, messages, failed);
}

PyDoc_STRVAR(space_doc, "space($self, /)\n--\n\n"
                        "Where the next bytes go when a large frame is under way.");

static PyObject *frames_space(Frames *self, PyObject *Py_UNUSED(ignored))
{
    if (self->large == NULL)
        Py_RETURN_NONE;
    PyObject *view = PyMemoryView_FromObject(self->large);
    if (view == NULL)
        return NULL;
    PyObject *space = PySequence_GetSlice(view, self->filled, self->announced);
    PyObject *released = PyObject_CallMethod(view, "release", NULL);
    Py_DECREF(view);
    if (released == NULL)
        Py_CLEAR(space);
    Py_XDECREF(released);
    return space;
}

PyDoc_STRVAR(received_doc, "received($self, count, /)\n--\n\n"
                           "So many bytes were received into `space`.");

static PyObject *frames_received(Frames *self, PyObject *number)
{
    Py_ssize_t count = PyLong_AsSsize_t(number);
    if (count == -1 && PyErr_Occurred())
        return NULL;
    if (self->large == NULL)
        return PyList_New(0);
    if (enter(self) < 0)
        return NULL;
    PyObject *messages = PyList_New(0);
    int failed = messages == NULL || large_received(self, count, messages) < 0;
    return leave(self, messages, failed);
}

/* ---- from a socket */

static int closed_by_peer(void)
{
    PyObject *args = Py_BuildValue("(is)", ECONNRESET, "closed by the peer");
    if (args != NULL) {
        PyErr_SetObject(PyExc_ConnectionResetError, args);
        Py_DECREF(args);
    }
    return -1;
}

/* What a read has brought: 1 bytes, 0 nothing now, -1 the end, with an exception. */
static int judge(Frames *self, Py_ssize_t count)
{
    self->got = count > 0 ? count : 0;
    if (count > 0)
        return 1;
    if (count == 0)
        return closed_by_peer();
    if (errno == EINTR) {
        self->more = 0;
        return PyErr_CheckSignals() < 0 ? -1 : 0;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        self->more = 0;
        return 0;
    }
    PyErr_SetFromErrno(PyExc_OSError);
    return -1;
}

static int receive_large(Frames *self, int fd, PyObject *messages)
{
    Py_buffer view;
    if (PyObject_GetBuffer(self->large, &view, PyBUF_WRITABLE) < 0)
        return -1;
    Py_ssize_t end = view.len < self->announced ? view.len : self->announced;
    Py_ssize_t size = end - self->filled, count;
    if (size > LARGE_CHUNK)
        size = LARGE_CHUNK;
    Py_BEGIN_ALLOW_THREADS
    count = recv(fd, (char *)view.buf + self->filled, (size_t)size, MSG_DONTWAIT);
    Py_END_ALLOW_THREADS
    int error = errno;
    PyBuffer_Release(&view);
    errno = error;
    int result = judge(self, count);
    if (result <= 0)
        return result;
    self->more = 1;
    return large_received(self, count, messages);
}

/* For who wants to know where messages lie: the bytes become an object. */
static int receive_object(Frames *self, roc_state *state, int fd, Py_ssize_t size,
                          PyObject *passage, PyObject *messages)
{
    PyObject *data = PyBytes_FromStringAndSize(NULL, size);
    if (data == NULL)
        return -1;
    Py_ssize_t count;
    char *target = PyBytes_AS_STRING(data);
    if (size > QUICK_READ) {
        Py_BEGIN_ALLOW_THREADS
        count = recv(fd, target, (size_t)size, MSG_DONTWAIT);
        Py_END_ALLOW_THREADS
    }
    else
        count = recv(fd, target, (size_t)size, MSG_DONTWAIT);
    int result = judge(self, count);
    if (result > 0) {
        self->more = count == size;
        result = _PyBytes_Resize(&data, count) < 0 ? -1 : 1;
    }
    if (result > 0)
        result = decode_object(self, state, data, passage, messages);
    Py_XDECREF(data);
    return result;
}

/* For everybody else they go to the scratch, behind what waits. */
static int receive_scratch(Frames *self, roc_state *state, int fd, Py_ssize_t size,
                           PyObject *messages)
{
    uint8_t *scratch = state->scratch;
    state->scratch = NULL;
    if (scratch == NULL && (scratch = PyMem_Malloc(SCRATCH)) == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    Py_ssize_t before = self->rest_size, offset;
    Py_ssize_t count = recv(fd, scratch + before, (size_t)size, MSG_DONTWAIT);
    int result = judge(self, count);
    if (result > 0) {
        Places places = {0, 0, NULL};
        self->more = count == size;
        if (before)
            memcpy(scratch, self->rest, (size_t)before);
        result = decode(self, scratch, before + count, messages, &places, &offset);
    }
    if (state->scratch == NULL)
        state->scratch = scratch;
    else
        PyMem_Free(scratch);
    return result;
}

PyDoc_STRVAR(receive_doc,
             "receive($self, sock, size, passage=None, /)\n--\n\n"
             "The messages that are complete after one read of a socket, which does not wait.");

static PyObject *frames_receive(Frames *self, PyObject *const *args, Py_ssize_t count)
{
    if (count < 2 || count > 3) {
        PyErr_SetString(PyExc_TypeError, "receive(sock, size, passage=None)");
        return NULL;
    }
    Py_ssize_t size = PyLong_AsSsize_t(args[1]);
    if (size < 1) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "a read of no bytes");
        return NULL;
    }
    roc_state *state = roc_state_of((PyObject *)self);
    if (state == NULL || enter(self) < 0)
        return NULL;
    int fd = roc_descriptor(state, args[0]);
    PyObject *messages = fd == -2 ? NULL : PyList_New(0);
    PyObject *passage = count > 2 ? args[2] : Py_None;
    int result = -1;
    if (messages == NULL)
        ;
    else if (self->large != NULL)
        result = receive_large(self, fd, messages);
    else if (passage == Py_None && size <= SCRATCH_READ && self->rest_size <= SCRATCH - size)
        result = receive_scratch(self, state, fd, size, messages);
    else
        result = receive_object(self, state, fd, size, passage, messages);
    return leave(self, messages, result < 0);
}

/* ---- what Python sees */

static PyMethodDef frames_methods[] = {
    {"feed", (PyCFunction)(void (*)(void))frames_feed, METH_FASTCALL, feed_doc},
    {"space", (PyCFunction)frames_space, METH_NOARGS, space_doc},
    {"received", (PyCFunction)frames_received, METH_O, received_doc},
    {"receive", (PyCFunction)(void (*)(void))frames_receive, METH_FASTCALL, receive_doc},
    {NULL, NULL, 0, NULL},
};

#include <structmember.h>

static PyMemberDef frames_members[] = {
    {"head", T_OBJECT, offsetof(Frames, head), 0, "What stands in front of each message."},
    {"up", T_BOOL, offsetof(Frames, up), 0, "Whether the handshake is done."},
    {"more", T_BOOL, offsetof(Frames, more), 0, "Whether there may be more to read."},
    {"got", T_PYSSIZET, offsetof(Frames, got), READONLY, "Bytes that the last read brought."},
    {"limit", T_PYSSIZET, offsetof(Frames, limit), READONLY, "Bytes that a message may have."},
    {"_large", T_OBJECT, offsetof(Frames, large), READONLY, NULL},
    {"_filled", T_PYSSIZET, offsetof(Frames, filled), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot frames_slots[] = {
    {Py_tp_doc, "Bytes in, messages out."},
    {Py_tp_init, frames_init},
    {Py_tp_traverse, frames_traverse},
    {Py_tp_clear, frames_clear},
    {Py_tp_dealloc, frames_dealloc},
    {Py_tp_methods, frames_methods},
    {Py_tp_members, frames_members},
    {0, NULL},
};

PyType_Spec roc_frames_spec = {
    .name = "runmacs.roc._native.Frames",
    .basicsize = sizeof(Frames),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = frames_slots,
};
