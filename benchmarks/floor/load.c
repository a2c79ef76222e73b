/* Load that costs little itself: clients and workers in one process, for a broker alone.
 *
 * Each worker shares an object of its own, says by its properties that it takes up to
 * PREFETCH calls at once, and answers. Client n calls object n and always has WINDOW calls
 * open, so that calls flow without a pause, and never more than the credit.
 *
 * load ADDRESS SECONDS PAIRS PREFETCH WINDOW          prints calls a second
 */

#include "mdp.h"

#include <unistd.h>

#define MOST_PAIRS 16
#define WARMING_UP 0.3
#define PATIENCE 5.0

static const char call[] = "{\"jsonrpc\":\"2.0\",\"id\":12345,\"method\":\"echo\",\"params\":[1],"
                           "\"roc\":{\"call\":\"0123456789ab.12345\",\"ttl\":1.99999,"
                           "\"at\":123456.123456}}";
static const char answer[] = "{\"jsonrpc\":\"2.0\",\"id\":12345,\"result\":1}";

static int pairs;
static char names[MOST_PAIRS][16];
static void *clients[MOST_PAIRS], *workers[MOST_PAIRS];

static void *dealer(void *context, const char *address) {
    int none = 0;
    void *socket = zmq_socket(context, ZMQ_DEALER);
    zmq_setsockopt(socket, ZMQ_SNDHWM, &none, sizeof none);
    zmq_setsockopt(socket, ZMQ_RCVHWM, &none, sizeof none);
    zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none);
    if (zmq_connect(socket, address)) {
        perror(address);
        exit(1);
    }
    return socket;
}

static void share(int n, int prefetch) {
    char properties[200];
    int size = snprintf(properties, sizeof properties,
                        "{\"version\":1,\"instance\":\"load%d\",\"prefetch\":%d,\"interval\":0.5,"
                        "\"policy\":\"exclusive\",\"host\":\"load\",\"pid\":1,\"language\":\"c\"}",
                        n, prefetch);
    send_bytes(workers[n], "", 0, 1);
    send_bytes(workers[n], "MDPW01", 6, 1);
    send_bytes(workers[n], READY, 1, 1);
    send_bytes(workers[n], names[n], strlen(names[n]), 1);
    send_bytes(workers[n], properties, size, 0);
}

static void ask(int n) {
    send_bytes(clients[n], "", 0, 1);
    send_bytes(clients[n], "MDPC01", 6, 1);
    send_bytes(clients[n], names[n], strlen(names[n]), 1);
    send_bytes(clients[n], call, sizeof call - 1, 0);
}

/* Answer all that has come to a worker. */
static void work(int n) {
    struct message message;
    while (receive(workers[n], &message)) {
        if (message.count > 4 && is(&message.frame[2], REQUEST, 1)) {
            zmq_msg_t *token = &message.frame[3];
            send_bytes(workers[n], "", 0, 1);
            send_bytes(workers[n], "MDPW01", 6, 1);
            send_bytes(workers[n], REPLY, 1, 1);
            send_bytes(workers[n], zmq_msg_data(token), zmq_msg_size(token), 1);
            send_bytes(workers[n], "", 0, 1);
            send_bytes(workers[n], answer, sizeof answer - 1, 0);
        }
        drop(&message, 0);
    }
}

/* Take all answers that have come to a client, and ask anew for each. */
static long harvest(int n) {
    struct message message;
    long count = 0;
    while (receive(clients[n], &message)) {
        if (!is(&message.frame[message.count - 1], answer, sizeof answer - 1)) {
            fprintf(stderr, "no answer: %.*s\n",
                    (int)zmq_msg_size(&message.frame[message.count - 1]),
                    (char *)zmq_msg_data(&message.frame[message.count - 1]));
            exit(1);
        }
        drop(&message, 0);
        ask(n);
        count++;
    }
    return count;
}

/* A sign of life of each worker: while calls flow their answers are one. */
static void beat(void) {
    for (int n = 0; n < pairs; n++) {
        send_bytes(workers[n], "", 0, 1);
        send_bytes(workers[n], "MDPW01", 6, 1);
        send_bytes(workers[n], HEARTBEAT, 1, 0);
    }
}

static void await_greetings(void) {
    struct message message;
    double end = seconds_now() + PATIENCE;
    for (int n = 0; n < pairs; n++) {
        zmq_pollitem_t item = {workers[n], 0, ZMQ_POLLIN, 0};
        zmq_poll(&item, 1, (long)((end - seconds_now()) * 1000));
        if (!receive(workers[n], &message)) {
            fprintf(stderr, "the broker did not greet\n");
            exit(1);
        }
        drop(&message, 0);
    }
}

static long flow(double seconds) {
    zmq_pollitem_t items[2 * MOST_PAIRS];
    long count = 0;
    double end = seconds_now() + seconds, due = seconds_now() + 0.5, now;
    for (int n = 0; n < pairs; n++) {
        items[n] = (zmq_pollitem_t){workers[n], 0, ZMQ_POLLIN, 0};
        items[pairs + n] = (zmq_pollitem_t){clients[n], 0, ZMQ_POLLIN, 0};
    }
    while ((now = seconds_now()) < end) {
        zmq_poll(items, 2 * pairs, 100);
        for (int n = 0; n < pairs; n++) {
            if (items[n].revents)
                work(n);
            if (items[pairs + n].revents)
                count += harvest(n);
        }
        if (now > due) {
            beat();
            due = now + 0.5;
        }
    }
    return count;
}

int main(int count, char **words) {
    if (count < 6)
        return fprintf(stderr, "load ADDRESS SECONDS PAIRS PREFETCH WINDOW\n"), 2;
    double seconds = atof(words[2]);
    int prefetch = atoi(words[4]), window = atoi(words[5]);
    void *context = zmq_ctx_new();
    pairs = atoi(words[3]);
    if (pairs < 1 || pairs > MOST_PAIRS)
        return fprintf(stderr, "1 to %d pairs\n", MOST_PAIRS), 2;
    for (int n = 0; n < pairs; n++) {
        snprintf(names[n], sizeof names[n], "load%d", n);
        workers[n] = dealer(context, words[1]);
        clients[n] = dealer(context, words[1]);
        share(n, prefetch);
    }
    await_greetings();
    for (int n = 0; n < pairs; n++)
        for (int at = 0; at < window; at++)
            ask(n);
    flow(WARMING_UP);
    double begun = seconds_now();
    long calls = flow(seconds);
    printf("%.1f\n", calls / (seconds_now() - begun));
    fflush(stdout);
    _exit(0);
}
