/* Waiting for descriptors. What `Gate` and `Poller` of _drivers/gates.py do
 * without it is the reference.
 *
 * Rules:
 *
 * - The GIL is released while it waits, and while it looks again and again.
 * - A signal ends neither the look nor the wait before Python's handlers have run, and they
 *   run at once; unless one raises, the rest of the time is waited.
 * - To look again and again is given up, with None, when others want to run.
 * - A thread that is awaited sleeps with a short slice, and so goes first when it is woken up. It
 *   has its own again before anything else runs in it: nothing can inherit the short one.
 */

#include "native.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <sched.h>
#include <time.h>
#ifdef __linux__
#include <sys/epoll.h>
#endif

#define DESCRIPTORS 16
#define EVENTS 256
#define CROWDED 50e-6

/* Either a few descriptors, or an epoll instance that stands for many. */
typedef struct {
    int epoll;
    int count;
    struct pollfd few[DESCRIPTORS];
#ifdef __linux__
    struct epoll_event events[EVENTS];
#endif
} Descriptors;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int milliseconds(double seconds)
{
    double count = ceil(seconds * 1000.0);
    if (!(count > 0))
        return 0;
    return count > INT_MAX ? INT_MAX : (int)count;
}

static int look(Descriptors *them, int timeout)
{
#ifdef __linux__
    if (them->epoll >= 0)
        return epoll_wait(them->epoll, them->events, EVENTS, timeout);
#endif
    return poll(them->few, (nfds_t)them->count, timeout);
}

static int parse_descriptors(PyObject *given, Descriptors *them)
{
    them->epoll = -1;
    them->count = 0;
    if (PyLong_Check(given)) {
#ifdef __linux__
        long fd = PyLong_AsLong(given);
        if ((fd < 0 || fd > INT_MAX) && !PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "no descriptor");
        if (PyErr_Occurred())
            return -1;
        them->epoll = (int)fd;
        return 0;
#else
        PyErr_SetString(PyExc_NotImplementedError, "this system has no epoll");
        return -1;
#endif
    }
    if (!PyTuple_Check(given) || PyTuple_GET_SIZE(given) > DESCRIPTORS) {
        PyErr_Format(PyExc_TypeError, "a tuple of at most %d descriptors", DESCRIPTORS);
        return -1;
    }
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(given); index++) {
        long fd = PyLong_AsLong(PyTuple_GET_ITEM(given, index));
        if (fd == -1 && PyErr_Occurred())
            return -1;
        them->few[index].fd = fd < 0 || fd > INT_MAX ? INT_MAX : (int)fd; /* tells of an error */
        them->few[index].events = POLLIN;
        them->few[index].revents = 0;
        them->count++;
    }
    return 0;
}

static int append_number(PyObject *list, int value)
{
    PyObject *number = PyLong_FromLong(value);
    if (number == NULL)
        return -1;
    int failed = PyList_Append(list, number);
    Py_DECREF(number);
    return failed;
}

static PyObject *ready_ones(Descriptors *them, int found)
{
    PyObject *list = PyList_New(0);
    int failed = list == NULL;
#ifdef __linux__
    for (int index = 0; them->epoll >= 0 && index < found && !failed; index++)
        failed = append_number(list, them->events[index].data.fd);
#endif
    for (int index = 0; them->epoll < 0 && found && index < them->count && !failed; index++)
        if (them->few[index].revents)
            failed = append_number(list, them->few[index].fd);
    if (failed)
        Py_CLEAR(list);
    return list;
}

/* Look again and again for a moment; in between others may run. Sets `crowded` when they do so
 * for long: then it is better to be woken up.
 */
static int look_eagerly(Descriptors *them, double end, int *crowded)
{
    double before, after;
    do {
        int found = look(them, 0);
        if (found != 0)
            return found;
        before = now();
        sched_yield();
        after = now();
        *crowded = after - before > CROWDED;
    } while (after < end && !*crowded);
    return 0;
}

PyObject *roc_wait(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    Descriptors them;
    if (count != 4) {
        PyErr_SetString(PyExc_TypeError, "wait(descriptors, timeout, moment, awaited)");
        return NULL;
    }
    double timeout = PyFloat_AsDouble(args[1]), moment = PyFloat_AsDouble(args[2]);
    if (PyErr_Occurred())
        return NULL;
    int awaited = PyObject_IsTrue(args[3]);
    if (awaited < 0 || parse_descriptors(args[0], &them) < 0)
        return NULL;
    if (!(timeout > 0)) {
        int found = look(&them, 0);
        if (found < 0 && errno != EINTR)
            return PyErr_SetFromErrno(PyExc_OSError);
        return ready_ones(&them, found > 0 ? found : 0);
    }
    double begun = now(), left = timeout;
    int eager = moment > 0 && moment < timeout;
    for (;;) {
        int found, error, crowded = 0;
        Py_BEGIN_ALLOW_THREADS
        uint64_t slice = awaited && !eager ? roc_shorten() : 0;
        found = eager ? look_eagerly(&them, begun + moment, &crowded)
                      : look(&them, milliseconds(left));
        error = errno;
        roc_restore(slice);
        Py_END_ALLOW_THREADS
        if (found > 0)
            return ready_ones(&them, found);
        if (found < 0 && error != EINTR) {
            errno = error;
            return PyErr_SetFromErrno(PyExc_OSError);
        }
        /* Before it sleeps, too: a signal that came while it looked would not wake it. */
        if (PyErr_CheckSignals() < 0)
            return NULL;
        if (crowded)
            Py_RETURN_NONE;
        left = timeout - (now() - begun);
        if (!eager && (found == 0 || left <= 0))
            return ready_ones(&them, 0);
        eager = 0;
    }
}
