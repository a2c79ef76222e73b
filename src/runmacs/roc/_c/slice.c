/* The slice of the processor that the scheduler gives a thread at a time.
 *
 * Rules:
 *
 * - Whoever asks for a short slice goes first when it is woken up, as what it wants is soon over.
 *   It is a request, needs no privilege, and takes nothing from anybody's share.
 * - Linux knows this from 6.12 on. Elsewhere, and for threads that somebody has given another
 *   policy or a shorter slice, nothing is changed.
 */

#include "native.h"

#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

#ifdef SYS_sched_setattr

#define SHORT 100000 /* nanoseconds: the least that Linux takes */
#define NORMAL 0
#define KEEP_POLICY 0x08

/* What sched_setattr(2) takes, in its first version: the C library may not know it. */
typedef struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
} Attributes;

static int set(Attributes *attributes, uint64_t runtime)
{
    attributes->flags |= KEEP_POLICY;
    attributes->runtime = runtime;
    return (int)syscall(SYS_sched_setattr, 0, attributes, 0);
}

static int get(Attributes *attributes)
{
    return (int)syscall(SYS_sched_getattr, 0, attributes, sizeof *attributes, 0);
}

uint64_t roc_shorten(void)
{
    Attributes attributes = {0};
    if (get(&attributes) < 0 || attributes.policy != NORMAL || attributes.runtime <= SHORT)
        return 0;
    uint64_t before = attributes.runtime;
    return set(&attributes, SHORT) < 0 ? 0 : before;
}

void roc_restore(uint64_t before)
{
    Attributes attributes = {0};
    if (before && get(&attributes) == 0 && attributes.runtime == SHORT)
        set(&attributes, before);
}

#else

uint64_t roc_shorten(void)
{
    return 0;
}

void roc_restore(uint64_t before)
{
    (void)before;
}

#endif

PyObject *roc_shorten_slice(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    return PyLong_FromUnsignedLongLong(roc_shorten());
}

PyObject *roc_restore_slice(PyObject *Py_UNUSED(module), PyObject *before)
{
    unsigned long long slice = PyLong_AsUnsignedLongLong(before);
    if (PyErr_Occurred())
        return NULL;
    roc_restore(slice);
    Py_RETURN_NONE;
}
