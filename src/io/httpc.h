/*
 * io/httpc.h - HTTP client on one connection: HTTP/1.1 or HTTP/2, on any stream.
 *
 * Calls on an HTTP/2 connection run side by side; on HTTP/1.1 one after the other.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "io/httpd.h"

struct err;
struct http_call;
struct httpc;
struct loop;
struct stream;

/* Takes s, open or still opening. on_close: the connection is over, after every call was told. */
struct httpc *httpc_create(struct stream *s, bool h2,
			   void (*on_close)(void *arg, const struct err *why), void *arg);
void httpc_destroy(struct httpc *c); /* calls are dropped without a word */

struct http_call_conf {
	const char *method, *path; /* path with query */
	const char *scheme;        /* HTTP/2; NULL: https */
	const char *authority;
	const struct http_header *headers; /* names in lower case; host and framing are ours */
	size_t header_count;
	struct bytes body;   /* copied; sent with GET too when not empty */
	size_t body_max;     /* whole response body; 0: no limit (streams) */
	unsigned timeout_ms; /* until the end of the body; 0: none */
	void (*on_head)(void *arg, unsigned status, const struct http_header *headers,
			size_t n); /* or NULL */
	void (*on_body)(void *arg, struct bytes data);
	void (*on_done)(void *arg,
			const struct err *err); /* ERR_NONE: complete. The call is gone after it */
	void *arg;
};

struct http_call *httpc_call(struct httpc *c, const struct http_call_conf *conf);
void http_call_cancel(struct http_call *call); /* no on_done */
/* Back-pressure: soon no more on_body (over HTTP/2 after at most 1 MiB), until it is undone. */
void http_call_pause(struct http_call *call, bool paused);

/*
 * HTTP/1.1 upgrade on a fresh stream. Takes s. On 101 with that protocol on_stream gets the stream,
 * with what came behind the head unread; otherwise on_fail. Cancel by destroying the returned
 * object.
 */
struct http_upgrading;
struct http_upgrade_conf {
	const char *method, *path, *host, *protocol;
	const struct http_header *headers;
	size_t header_count;
	unsigned timeout_ms; /* 0: 10 s */
	void (*on_stream)(void *arg, struct stream *s, const struct http_header *headers, size_t n);
	void (*on_fail)(void *arg, unsigned status,
			const struct err *why); /* status 0: none came */
	void *arg;
};
struct http_upgrading *httpc_upgrade(struct stream *s, const struct http_upgrade_conf *conf);
void http_upgrading_destroy(struct http_upgrading *u);

/*
 * A whole request to a URL: connects, TLS with the system's CAs, answers once. For key discovery
 * and the like; redirects are not followed.
 */
struct http_fetch_conf {
	const char *method, *url;
	const struct http_header *headers;
	size_t header_count;
	struct bytes body;
	size_t body_max;     /* 0: 1 MiB */
	unsigned timeout_ms; /* 0: 30 s */
	const char *ca_file;
	uint32_t mark;
	void (*on_done)(void *arg, unsigned status, struct bytes body, const struct err *err);
	void *arg;
};
struct http_fetch *http_fetch(struct loop *loop, const struct http_fetch_conf *conf,
			      struct err *err);
void http_fetch_cancel(struct http_fetch *f);
