/* What broker.c and load.c share: the words of 7/MDP, and messages as arrays of frames. */

#ifndef FLOOR_MDP_H
#define FLOOR_MDP_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

#define MOST_FRAMES 64

#define READY "\x01"
#define REQUEST "\x02"
#define REPLY "\x03"
#define HEARTBEAT "\x04"
#define DISCONNECT "\x05"
#define CONTROL "\x10"

struct message {
    int count;
    zmq_msg_t frame[MOST_FRAMES];
};

static inline double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

static inline int is(zmq_msg_t *frame, const char *text, size_t size) {
    return zmq_msg_size(frame) == size && !memcmp(zmq_msg_data(frame), text, size);
}

/* Receive a whole message without waiting; 0 when there is none. */
static inline int receive(void *socket, struct message *into) {
    into->count = 0;
    for (;;) {
        zmq_msg_t *frame = &into->frame[into->count];
        zmq_msg_init(frame);
        if (zmq_msg_recv(frame, socket, into->count ? 0 : ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(frame);
            return 0;
        }
        if (into->count < MOST_FRAMES - 1)
            into->count++;
        else
            zmq_msg_close(frame);
        if (!zmq_msg_more(frame))
            return 1;
    }
}

static inline void drop(struct message *message, int from) {
    for (int i = from; i < message->count; i++)
        zmq_msg_close(&message->frame[i]);
}

static inline int send_bytes(void *socket, const void *bytes, size_t size, int more) {
    return zmq_send(socket, bytes, size, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)) < 0 ? -1 : 0;
}

/* Send the frames of a message from one on, as they are: nothing is copied. */
static inline void send_rest(void *socket, struct message *message, int from) {
    for (int i = from; i < message->count; i++) {
        int more = i + 1 < message->count ? ZMQ_SNDMORE : 0;
        if (zmq_msg_send(&message->frame[i], socket, ZMQ_DONTWAIT | more) < 0)
            zmq_msg_close(&message->frame[i]);
    }
}

#endif
