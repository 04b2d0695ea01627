/*
 * part/control_client/control_dial.h - from a URL to an HTTP/2 connection inside Noise: fetches the
 * server's key once, then races port 80 against 443. Inside control_client only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/mono.h"
#include "crypto/keytext.h"

struct control_dial;
struct err;
struct httpc;
struct loop;
struct rng;
struct secret32;
struct stream;
struct tls_ctx;
struct ts2021;

enum { CONTROL_HOST_MAX = 256 };

struct control_server {
	bool https;
	char host[CONTROL_HOST_MAX]; /* without brackets */
	char authority[CONTROL_HOST_MAX + 8];
	uint16_t plain_port, tls_port; /* 0: not tried */
};
int control_server_parse(struct control_server *s, const char *url, struct err *err);

struct control_dial_conf {
	const struct control_server *server;
	const char *url, *ca_file;
	struct tls_ctx *tls; /* checks nothing: Noise does */
	const struct secret32 *machine;
	struct key *server_key; /* zero: fetch it first, and keep it here */
	struct rng *rng;
	struct stream *(*noise)(struct stream *below, struct ts2021 *channel);
	bool tls_first; /* the last dial is not long ago: port 80 may be tampered with */
	bool (*on_socket)(void *arg, int fd);
	void *socket_arg;
	/* One of them is called, once; the dial is gone then. */
	void (*on_open)(void *arg, struct httpc *http);
	void (*on_fail)(void *arg, const struct err *why);
	/* Of the connection that on_open gave. */
	void (*on_close)(void *arg, const struct err *why);
	void *arg;
};

struct control_dial *control_dial_start(struct loop *loop, const struct control_dial_conf *conf);
void control_dial_cancel(struct control_dial *d); /* NULL is a no-op */
