/*
 * io/httpd.h - HTTP server: one handler interface for HTTP/1.1 and HTTP/2, on any stream.
 *
 * A connection is a stream that someone accepted; routes are a table. Bodies are read whole up to
 * the route's limit before the handler runs. The handler answers at once or later; the exchange
 * lives until its answer has ended or its client has gone, whichever comes first, and the request
 * with it. The memory of both stays until the end of that turn.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"
#include "wire/http1.h"

struct err;
struct http_exchange;
struct httpd;
struct log;
struct loop;
struct stream;

struct http_request {
	struct bytes method, path, query; /* path is percent-decoded and normalised; query is raw */
	struct bytes authority;
	const struct http_header *headers;
	size_t header_count;
	struct bytes body;
	struct addrport peer;
	unsigned version; /* 10, 11 or 20 */
	void *conn_arg;   /* as given to httpd_serve(): who is connected */
};

struct bytes http_header_get(const struct http_request *req,
			     const char *name); /* {NULL, 0}: absent */
/* One decoded value of the query string, copied to out; false when absent or too long. */
bool http_query_get(const struct http_request *req, const char *name, char *out, size_t size);
/* What stood in the place of {name} in the route's pattern; {NULL, 0} when there is none. */
struct bytes http_path_param(const struct http_exchange *x, const char *name);

struct httpd_route {
	const char *method;  /* NULL: any */
	const char *pattern; /* "/machine/map", "/api/v2/device/{id}", a trailing star takes the
				rest, which is the parameter "*". The first route that fits is
				taken; GET answers HEAD as well */
	void (*handle)(void *arg, struct http_exchange *x, const struct http_request *req);
	size_t body_max; /* 0: no body; larger ones are answered 413 */
};

struct httpd_conf {
	const struct httpd_route *routes;
	size_t route_count;
	void *arg;                /* first argument of every handler */
	const struct log *log;    /* access log at debug level; may be NULL */
	unsigned head_timeout_s;  /* 0: 10 */
	unsigned body_timeout_s;  /* 0: 30 */
	unsigned idle_timeout_s;  /* 0: 120; never on a connection with an open exchange */
	unsigned connections_max; /* 0: 20000 */
	unsigned streams_max;     /* HTTP/2 concurrent streams of one connection; 0: 250 */
};

struct httpd *httpd_create(struct loop *loop, const struct httpd_conf *conf);
void httpd_destroy(struct httpd *h); /* drops every connection */
/* No new requests; open exchanges may end; on_idle when none is left. */
void httpd_drain(struct httpd *h, void (*on_idle)(void *arg), void *arg);

enum httpd_proto {
	HTTPD_ANY, /* HTTP/1.1, or HTTP/2 when the client starts with its preface or agreed on it by
		      ALPN */
	HTTPD_H1,
	HTTPD_H2,
};

/*
 * Takes s. conn_arg reaches every handler; on_gone (may be NULL) is told when the connection ends
 * or is taken over by http_upgrade().
 */
void httpd_serve(struct httpd *h, struct stream *s, enum httpd_proto proto, struct addrport peer,
		 void *conn_arg, void (*on_gone)(void *conn_arg));

/* ---- answers; after the last byte the exchange is gone ---- */

void http_add_header(struct http_exchange *x, const char *name,
		     const char *value); /* before the start */
/* For pages that a browser shows: no framing, no sniffing, scripts of our own only. content_policy
 * NULL: 'self' alone. */
void http_add_security_headers(struct http_exchange *x, const char *content_policy);
void http_reply(struct http_exchange *x, unsigned status, const char *content_type,
		struct bytes body);
void http_reply_text(struct http_exchange *x, unsigned status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4))); /* text/plain, for errors a person may read */
/* A body of unknown length: sent and flushed as it comes. */
void http_reply_start(struct http_exchange *x, unsigned status, const char *content_type);
void http_reply_send(struct http_exchange *x, struct bytes data);
/* Bytes the client has not taken. Who streams much waits above STREAM_HIGH until on_drain; past
 * 64 MiB the exchange is dropped, at the end of the turn, with on_gone. */
size_t http_reply_queued(const struct http_exchange *x);
void http_on_drain(struct http_exchange *x, void (*fn)(void *arg), void *arg);
void http_reply_end(struct http_exchange *x);
void http_reply_abort(
    struct http_exchange *x); /* RST_STREAM, or closes the connection; no on_gone */
/* The client went away before the end: called once, the exchange dies after it. A handler that
 * answers later must listen. */
void http_on_gone(struct http_exchange *x, void (*fn)(void *arg), void *arg);
struct loop *http_loop(struct http_exchange *x);

/*
 * HTTP/1.1 only: writes `101 Switching Protocols` with Upgrade and Connection and the added
 * headers, and hands over the stream with everything the parser had read too much; the exchange is
 * gone. raw: writes no head at all. NULL, exchange untouched, when the connection cannot be taken
 * over.
 */
struct stream *http_upgrade(struct http_exchange *x, const char *protocol, bool raw);
