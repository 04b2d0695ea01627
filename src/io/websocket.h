/*
 * io/websocket.h - a WebSocket as a stream: its binary messages, one after the other, are the
 * bytes.
 *
 * Where a message ends is lost on purpose; DERP and the like bring frames of their own. Pings are
 * answered, text messages are an error.
 */
#pragma once

#include <stdbool.h>

#include "io/httpd.h"

struct http_exchange;
struct http_request;
struct stream;

/*
 * The server's side, from the handler of a GET route. protocol: the one subprotocol that is spoken
 * here, which the client must offer; NULL: none. NULL: not a WebSocket request, it was answered.
 * Any page may open a WebSocket to us: who relies on cookies looks at Origin first.
 */
struct stream *websocket_accept(struct http_exchange *x, const struct http_request *req,
				const char *protocol);

/*
 * The client's side, on a stream (tls for wss) that is open or still opening; takes it. on_fail is
 * called at most once, and instead of on_stream. Cancel by destroying the returned object.
 */
struct websocket_conf {
	const char *host, *path;
	const char *protocol; /* or NULL */
	unsigned timeout_ms;  /* 0: 10 s */
	void (*on_stream)(void *arg, struct stream *s);
	void (*on_fail)(void *arg, const struct err *why);
	void *arg;
};
struct websocket_dial;
struct websocket_dial *websocket_connect(struct stream *below, const struct websocket_conf *conf);
void websocket_dial_destroy(struct websocket_dial *d);

/* Frames only, the handshake is over. Takes below, which is open. */
struct stream *websocket_stream(struct stream *below, bool is_server);
