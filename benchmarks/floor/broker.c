/* The floor: a Majordomo broker in C on libzmq's ROUTER, with plain tables.
 *
 * It does with a call what ROC's broker must do with it, and nothing else: finds the object,
 * keeps to the credit of its worker (the prefetch in READY), makes a token, checks that a
 * reply's token is outstanding at the very worker that sends it, and passes body frames on
 * without copying them. It greets ROC's servers and beats, so that they serve through it.
 *
 * Not done: one id and several servers, silence, times to live, withdrawal, unknown objects.
 *
 * broker ADDRESS          prints the address that it has bound
 */

#include "mdp.h"

#define OBJECTS 1024
#define WORKERS 1024
#define CALLS (1 << 20)
#define TOKEN 13 /* a routing id of libzmq, 5 bytes, and the number of the call, 8 */
#define BEAT 0.25

struct waiting {
    struct waiting *next;
    struct message message;
};

struct worker;

struct object {
    size_t size;
    char name[201];
    struct worker *worker;
    struct waiting *first, *last;
};

struct worker {
    char rid[5];
    int credit, prefetch;
    struct object *object;
};

struct call {
    unsigned long number;
    struct worker *worker;
    int control;
};

static struct object objects[OBJECTS];
static struct worker workers[WORKERS];
static struct call calls[CALLS]; /* by number: a number is outstanding or its place is free */
static unsigned long dispatched;
static void *router;

static unsigned hash(const char *bytes, size_t size) {
    unsigned value = 2166136261u;
    for (size_t i = 0; i < size; i++)
        value = (value ^ (unsigned char)bytes[i]) * 16777619u;
    return value;
}

static struct object *object_of(const char *name, size_t size) {
    if (!size || size > 200)
        return NULL;
    unsigned at = hash(name, size) % OBJECTS;
    for (int tries = 0; tries < OBJECTS; tries++, at = (at + 1) % OBJECTS) {
        struct object *object = &objects[at];
        if (!object->size) {
            object->size = size;
            memcpy(object->name, name, size);
            return object;
        }
        if (object->size == size && !memcmp(object->name, name, size))
            return object;
    }
    return NULL;
}

static struct worker *worker_of(zmq_msg_t *rid, int make) {
    if (zmq_msg_size(rid) != 5)
        return NULL;
    unsigned at = hash(zmq_msg_data(rid), 5) % WORKERS;
    for (int tries = 0; tries < WORKERS; tries++, at = (at + 1) % WORKERS) {
        struct worker *worker = &workers[at];
        if (!worker->object) {
            if (!make)
                return NULL;
            memcpy(worker->rid, zmq_msg_data(rid), 5);
            return worker;
        }
        if (!memcmp(worker->rid, zmq_msg_data(rid), 5))
            return worker;
    }
    return NULL;
}

static int open_to_worker(struct worker *worker, const char *command, int more) {
    if (send_bytes(router, worker->rid, 5, 1))
        return -1; /* it has gone */
    send_bytes(router, "", 0, 1);
    send_bytes(router, "MDPW01", 6, 1);
    return send_bytes(router, command, 1, more);
}

/* Hand the body, from frame 4 on, of a client's message to a worker. */
static void hand_over(struct worker *worker, struct message *message, int control) {
    char token[TOKEN];
    unsigned long number = ++dispatched;
    struct call *call = &calls[number % CALLS];
    memcpy(token, zmq_msg_data(&message->frame[0]), 5);
    memcpy(token + 5, &number, 8);
    if (open_to_worker(worker, control ? CONTROL : REQUEST, 1)) {
        drop(message, 0);
        return;
    }
    *call = (struct call){number, worker, control};
    worker->credit -= !control;
    send_bytes(router, token, TOKEN, 1);
    send_bytes(router, "", 0, 1);
    for (int i = 0; i < 4; i++)
        zmq_msg_close(&message->frame[i]);
    send_rest(router, message, 4);
}

static void on_request(struct message *message) {
    zmq_msg_t *name = &message->frame[3];
    size_t size = zmq_msg_size(name);
    int control = size && ((char *)zmq_msg_data(name))[size - 1] == '!';
    struct object *object = object_of(zmq_msg_data(name), size - control);
    if (!object || message->count < 5 || zmq_msg_size(&message->frame[0]) != 5) {
        drop(message, 0);
    } else if (object->worker && (control || (!object->first && object->worker->credit > 0))) {
        hand_over(object->worker, message, control);
    } else if (control) {
        drop(message, 0);
    } else {
        struct waiting *entry = malloc(sizeof *entry);
        entry->message = *message;
        entry->next = NULL;
        if (object->first)
            object->last->next = entry;
        else
            object->first = entry;
        object->last = entry;
    }
}

static void dispatch(struct object *object) {
    while (object->first && object->worker && object->worker->credit > 0) {
        struct waiting *entry = object->first;
        object->first = entry->next;
        hand_over(object->worker, &entry->message, 0);
        free(entry);
    }
}

static void on_reply(struct worker *worker, struct message *message) {
    zmq_msg_t *token = &message->frame[4];
    unsigned long number = 0;
    if (message->count < 7 || zmq_msg_size(token) != TOKEN) {
        drop(message, 0);
        return;
    }
    memcpy(&number, (char *)zmq_msg_data(token) + 5, 8);
    struct call *call = &calls[number % CALLS];
    if (call->number != number || call->worker != worker) {
        drop(message, 0);
        return;
    }
    struct object *object = worker->object;
    call->number = 0;
    if (send_bytes(router, zmq_msg_data(token), 5, 1)) {
        drop(message, 0);
    } else {
        send_bytes(router, "", 0, 1);
        send_bytes(router, "MDPC01", 6, 1);
        char lane[202];
        memcpy(lane, object->name, object->size);
        lane[object->size] = '!';
        send_bytes(router, lane, object->size + call->control, 1);
        for (int i = 0; i < 6; i++)
            zmq_msg_close(&message->frame[i]);
        send_rest(router, message, 6);
    }
    worker->credit += !call->control;
    if (object->first)
        dispatch(object);
}

static int prefetch_in(zmq_msg_t *properties) {
    char text[1024] = "";
    size_t size = zmq_msg_size(properties);
    memcpy(text, zmq_msg_data(properties), size < sizeof text ? size : sizeof text - 1);
    char *found = strstr(text, "\"prefetch\":");
    int prefetch = found ? atoi(found + 11) : 16;
    return prefetch < 1 ? 1 : prefetch > 10000 ? 10000 : prefetch;
}

static void on_ready(struct message *message) {
    static const char greeting[] = "{\"version\":1,\"broker\":\"floor\",\"state\":\"serving\","
                                   "\"interval\":0.5,\"limit\":268435456}";
    struct object *object = NULL;
    struct worker *worker = worker_of(&message->frame[0], 1);
    if (message->count > 4)
        object = object_of(zmq_msg_data(&message->frame[4]), zmq_msg_size(&message->frame[4]));
    if (worker && object) {
        int greeted = message->count > 5;
        worker->prefetch = worker->credit = greeted ? prefetch_in(&message->frame[5]) : 1;
        worker->object = object;
        object->worker = worker;
        if (greeted && !open_to_worker(worker, HEARTBEAT, 1))
            send_bytes(router, greeting, sizeof greeting - 1, 0);
        dispatch(object);
    }
    drop(message, 0);
}

static void on_message(struct message *message) {
    if (message->count < 4 || zmq_msg_size(&message->frame[1])) {
        drop(message, 0);
    } else if (is(&message->frame[2], "MDPC01", 6)) {
        on_request(message);
    } else if (is(&message->frame[2], "MDPW01", 6)) {
        struct worker *worker = worker_of(&message->frame[0], 0);
        if (is(&message->frame[3], READY, 1))
            on_ready(message);
        else if (worker && is(&message->frame[3], REPLY, 1))
            on_reply(worker, message);
        else
            drop(message, 0);
    } else {
        drop(message, 0);
    }
}

static void beat(void) {
    for (int i = 0; i < OBJECTS; i++)
        if (objects[i].worker && open_to_worker(objects[i].worker, HEARTBEAT, 0))
            objects[i].worker = NULL;
}

int main(int count, char **words) {
    char address[256];
    size_t size = sizeof address;
    int yes = 1, none = 0;
    struct message message;
    void *context = zmq_ctx_new();
    router = zmq_socket(context, ZMQ_ROUTER);
    zmq_setsockopt(router, ZMQ_ROUTER_MANDATORY, &yes, sizeof yes);
    zmq_setsockopt(router, ZMQ_SNDHWM, &none, sizeof none);
    zmq_setsockopt(router, ZMQ_RCVHWM, &none, sizeof none);
    zmq_setsockopt(router, ZMQ_LINGER, &none, sizeof none);
    if (zmq_bind(router, count > 1 ? words[1] : "tcp://127.0.0.1:*"))
        return perror("bind"), 1;
    zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, address, &size);
    printf("%s\n", address);
    fflush(stdout);
    double due = seconds_now() + BEAT;
    for (;;) {
        zmq_pollitem_t item = {router, 0, ZMQ_POLLIN, 0};
        if (zmq_poll(&item, 1, (long)(BEAT * 1000)) < 0)
            return 0;
        for (int turn = 0; turn < 1000 && receive(router, &message); turn++)
            on_message(&message);
        if (seconds_now() > due) {
            beat();
            due = seconds_now() + BEAT;
        }
    }
}
