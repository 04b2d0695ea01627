/*
 * io/stream.h - byte pipes that stack: TCP, TLS, the HTTP upgrade, Noise, a WebSocket.
 *
 * A filter owns the stream below it and is itself a stream to whoever sits above. Calls go down,
 * events come up. Sending copies and queues; who sends much looks at stream_queued() and waits for
 * on_drain. Destroying is allowed inside any callback of the same stream; nothing is called after
 * it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

struct err;
struct loop;
struct stream;

/* What the owner above wants to hear. Members may be NULL. */
struct stream_up {
	void (*on_open)(void *arg); /* connected, handshake done; sending before it queues */
	void (*on_data)(void *arg, struct bytes data); /* borrowed for the call */
	/* The queue fell below STREAM_LOW: sure to come after it was above STREAM_HIGH. */
	void (*on_drain)(void *arg);
	/* The last event. why->code is ERR_NONE for an orderly end by the peer or after
	 * stream_finish(). */
	void (*on_close)(void *arg, const struct err *why);
};

enum { STREAM_LOW = 64 << 10, STREAM_HIGH = 256 << 10 };

struct stream_ops {
	const char *name;
	void (*send)(struct stream *s, struct bytes data);
	void (*pause)(struct stream *s, bool paused);
	void (*finish)(struct stream *s);
	size_t (*queued)(const struct stream *s);
	void (*destroy)(struct stream *s); /* ends with stream_fini(), loop_free_later() */
	struct stream *(*below)(const struct stream *s); /* NULL at the bottom */
};

/* The head of every stream; implementations embed it first. */
struct stream {
	const struct stream_ops *ops;
	struct loop *loop;
	const struct stream_up *up;
	void *arg;
	struct buf unread;     /* delivered before anything else */
	struct err *end;       /* a close that waits behind unread bytes, or for an owner */
	size_t low;            /* STREAM_LOW, or what the owner set */
	bool open;             /* connected, handshake done: on_open came, or never comes */
	bool paused, finished; /* as asked from above */
	bool closed;           /* on_close was called */
	bool destroyed;        /* the memory stays until the end of the turn */
	bool flush_due;        /* a deferred call will deliver unread */
};

/* Changing the owner is allowed at any time outside on_data of another one; see stream_unread(). */
void stream_set_up(struct stream *s, const struct stream_up *up, void *arg);
void stream_send(struct stream *s, struct bytes data); /* copies; ignored after close */
size_t stream_queued(const struct stream *s); /* bytes not yet taken by the kernel, all layers */
void stream_pause(struct stream *s, bool paused); /* back-pressure: no on_data while paused */
/* on_drain comes whenever the queue falls below this after having reached it; all layers. */
void stream_set_mark(struct stream *s, size_t bytes);
void stream_finish(struct stream *s);  /* sends what is queued, then closes orderly */
void stream_destroy(struct stream *s); /* at once; NULL is a no-op */
/*
 * Gives bytes back: they come first to the next on_data, at the end of this turn. How an HTTP
 * upgrade hands what it read too much to the protocol above.
 */
void stream_unread(struct stream *s, struct bytes data);
/* The stream of that name in the stack, or NULL: stream_find(s, "tcp"). */
struct stream *stream_find(struct stream *s, const char *name);

/*
 * For implementations: events up, after unread bytes and never while paused or closed. Any of them
 * may come back with s->destroyed set; s itself can be looked at until the end of the turn. None is
 * called from inside send, pause or finish: the caller there does not expect to vanish.
 */
void stream_init(struct stream *s, const struct stream_ops *ops, struct loop *loop);
void stream_fini(struct stream *s);
void stream_emit_open(struct stream *s);
void stream_emit_data(struct stream *s, struct bytes data);
void stream_emit_drain(struct stream *s);
void stream_emit_close(struct stream *s, const struct err *why); /* err NULL: orderly */

/*
 * Two ends in memory, for tests: what goes into one comes out of the other in the next turn; so
 * does on_open of both. Bytes sent before a destroy still arrive, then an orderly close.
 */
void stream_pair(struct loop *loop, struct stream **a, struct stream **b);
