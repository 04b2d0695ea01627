/* io/httpc_conn.h - what the files of the HTTP client share; nobody else includes it. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/list.h"
#include "io/httpc.h"
#include "io/loop.h"
#include "io/stream.h"

struct httpc_h1;
struct httpc_h2;

enum { HTTPC_HEAD_MAX = 64 << 10 };

struct http_call {
	struct list node; /* in httpc->calls until done */
	struct httpc *c;
	struct http_call_conf conf; /* its strings live in the arena */
	struct arena arena;         /* the request */
	struct arena answer;        /* the head of the answer */
	struct io_timer timer;
	uint64_t received;
	bool done, sent, paused;

	/* HTTP/2 */
	int32_t stream_id;
	struct bytes unsent;
	unsigned status;
	struct http_header *headers;
	size_t header_count;
	bool head_told;
	size_t held; /* received while paused: the window stays this much smaller */
};

struct httpc_ops {
	void (*on_data)(struct httpc *c, struct bytes data);
	void (*on_drain)(struct httpc *c);
	void (*on_end)(struct httpc *c); /* the peer closed in order; before the calls are failed */
	void (*call)(struct http_call *call);
	void (*cancel)(struct http_call *call); /* it is off the list already */
	void (*pause)(struct http_call *call);  /* as call->paused says */
	void (*fini)(struct httpc *c);          /* called when nothing of c is on the stack */
};

struct httpc {
	const struct httpc_ops *ops;
	struct loop *loop;
	struct stream *stream; /* NULL: closed */
	struct list calls;     /* in the order they were made */
	void (*on_close)(void *arg, const struct err *why);
	void *arg;
	bool dead; /* destroyed; the memory stays until the end of the turn */
	struct httpc_h1 *h1;
	struct httpc_h2 *h2;
};

extern const struct httpc_ops httpc_h1_ops, httpc_h2_ops;
void httpc_h1_init(struct httpc *c);
void httpc_h2_init(struct httpc *c);

/* Tells on_done; err NULL: complete. Any of these may destroy c: look at c->dead. */
void httpc_call_end(struct http_call *call, const struct err *err);
bool httpc_call_body(struct http_call *call, struct bytes data); /* false: the call has ended */
void httpc_close(struct httpc *c, const struct err *why);        /* every call, then on_close */
/* The head of a request, for HTTP/1.1; false when a part of it could break out of its place. */
bool httpc_head_encode(struct buf *out, const struct http_call_conf *conf);
