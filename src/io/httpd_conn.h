/* io/httpd_conn.h - what the files of the HTTP server share; nobody else includes it. */
#pragma once

#include "base/arena.h"
#include "base/list.h"
#include "base/log.h"
#include "io/httpd.h"
#include "io/loop.h"
#include "io/stream.h"

struct httpd_conn;
struct httpd_h2;

enum httpd_limits {
	HTTPD_ARENA_MAX = 96 << 10, /* head, path and answer headers of one exchange */
	HTTPD_ADDED_MAX = 32,       /* headers that a handler adds */
	HTTPD_PARAMS_MAX = 4,
	HTTPD_INPUT_HIGH = 64 << 10,      /* pipelined bytes held while an exchange is open */
	HTTPD_REPLY_QUEUE_MAX = 64 << 20, /* of a streamed answer whose client does not read */
	HTTPD_BODY_RATE = 4 << 10,        /* bytes per second that a body timeout forgives */
	HTTPD_LINGER_MS = 1000,
	HTTPD_CLOSING_MS = 5000,
};

enum exchange_state {
	EXCHANGE_READING, /* head or body are still coming in */
	EXCHANGE_OPEN,    /* the handler has it */
	EXCHANGE_STREAMING,
	EXCHANGE_ENDED, /* the handler must not touch it any more */
};

struct http_exchange {
	struct list node; /* in conn->exchanges until ended or gone */
	struct httpd_conn *conn;
	enum exchange_state state;
	struct arena arena;
	struct http_request req;
	struct buf body;
	uint64_t body_seen; /* all bytes of the request's body, kept or not */
	const struct httpd_route *route;
	struct http_header params[HTTPD_PARAMS_MAX], added[HTTPD_ADDED_MAX];
	size_t param_count, added_count;
	struct mono started;
	unsigned status;
	uint64_t sent; /* body bytes of the answer */
	bool is_head;  /* asked by HEAD: no body */
	bool doomed;   /* the queue overflowed; ends when the turn ends */
	bool draining; /* the queue was above STREAM_HIGH */
	void (*on_gone)(void *arg);
	void *gone_arg;
	void (*on_drain)(void *arg);
	void *drain_arg;

	/* HTTP/1.1 */
	bool chunked;

	/* HTTP/2 */
	int32_t stream_id;
	struct http_header *headers; /* in the arena */
	size_t header_bytes;
	struct io_timer timer; /* while it is being read */
	struct bytes target;   /* :path */
	struct buf out;        /* not yet framed, from out_at on */
	size_t out_at;
	size_t stalled_at; /* what was left when the timer looked last */
	bool out_ended, deferred, rejected;
};

/* One protocol on a connection. Exchanges call down through it. */
struct httpd_proto_ops {
	void (*on_data)(struct httpd_conn *c, struct bytes data);
	void (*on_drain)(struct httpd_conn *c);
	void (*on_timer)(struct httpd_conn *c);
	void (*drain)(struct httpd_conn *c);
	void (*stop)(struct httpd_conn *c); /* its own timers; may be NULL */
	void (*fini)(struct httpd_conn *c); /* called when nothing of c is on the stack */
	/* length: of the body, or -1 when it is not known */
	void (*start)(struct http_exchange *x, const char *content_type, int64_t length);
	void (*data)(struct http_exchange *x, struct bytes data);
	void (*flush)(struct http_exchange *x);
	void (*end)(struct http_exchange *x);
	void (*abort)(struct http_exchange *x);
	size_t (*queued)(const struct http_exchange *x);
};

enum h1_state {
	H1_HEAD,
	H1_BODY,
	H1_OPEN,    /* one exchange is with its handler */
	H1_LINGER,  /* refused; reads on for a moment so that the answer is not lost in a reset */
	H1_CLOSING, /* the last bytes are on their way */
};

struct httpd_conn {
	struct list node;
	struct httpd *httpd;
	const struct httpd_proto_ops *ops;
	struct stream *stream; /* NULL: gone or taken over */
	struct addrport peer;
	void *conn_arg;
	void (*on_gone)(void *conn_arg);
	struct io_timer timer;
	struct list exchanges;
	struct buf in, out;
	size_t stalled_at; /* what was queued when the timer looked last */
	bool dead;         /* the memory stays until the end of the turn */

	/* HTTP/1.1 */
	enum h1_state state;
	struct http_exchange *x; /* being read or open */
	struct http1_head *head; /* of x, in its arena */
	struct http1_chunked *chunked;
	bool keep_alive, processing, process_due, head_timed;

	/* HTTP/2 */
	struct httpd_h2 *h2;
};

struct httpd {
	struct loop *loop;
	struct httpd_conf conf; /* with the defaults filled in */
	struct log silent;      /* stands in for conf.log */
	struct list conns;
	size_t conn_count;
	bool draining, dead;
	void (*on_idle)(void *arg);
	void *idle_arg;
	int64_t date_s; /* of date */
	char date[32];
};

/* httpd.c */
void httpd_conn_close(struct httpd_conn *c); /* at once; exchanges are told */
const char *httpd_date(struct httpd *h);     /* for the Date header */

/* httpd_exchange.c */
struct http_exchange *exchange_create(struct httpd_conn *c);
/* 0, or the status to refuse it with; Allow is added for 405. Fills path, query and authority. */
unsigned exchange_route(struct http_exchange *x, struct bytes target);
void exchange_dispatch(struct http_exchange *x);
/* Nobody answers it any more: told once, then freed. */
void exchange_gone(struct http_exchange *x);
void exchange_ended(struct http_exchange *x); /* answered completely: logged; free with _gone() */
/* Of a body that comes at HTTPD_BODY_RATE at least; the clock runs since the exchange began. */
int64_t exchange_body_time_left(const struct http_exchange *x);
void exchange_drained(struct http_exchange *x);
void exchange_doom(struct http_exchange *x); /* aborted when the turn ends, with on_gone */

/* httpd_h1.c, httpd_h2.c: the ops; start takes a connection over from the sniffer. */
extern const struct httpd_proto_ops httpd_h1_ops, httpd_h2_ops;
void httpd_h1_start(struct httpd_conn *c);
void httpd_h2_start(struct httpd_conn *c);
