/* test/unit/part/derp_support.h - a relay on loopback and clients that write down what they hear.
 */
#pragma once

#include "base/err.h"
#include "base/mem.h"
#include "base/rand.h"
#include "io/httpd.h"
#include "io/loop.h"
#include "io/stream.h"
#include "io/tcp.h"
#include "io/tls.h"
#include "part/derp_client.h"
#include "part/derp_server/derp_server.h"

struct bench {
	struct loop *loop;
	struct derp_server *server;
	struct httpd *httpd;
	struct tcp_listener *listener;
	struct tls_ctx *tls, *client_tls;
	uint16_t port;
	struct derp_server_conf conf;
	uint64_t asked; /* the client on_verify was called for last */
	unsigned asks;
};

/* conf may be changed between init and start. */
void bench_init(struct bench *b);
void bench_start(struct bench *b, bool tls);
void bench_fini(struct bench *b);

struct end {
	struct bench *bench;
	struct derp_client *client;
	struct secret32 priv;
	struct key key, from;
	struct buf got;
	unsigned ups, packets, gone, downs, pongs, restarts;
	enum derp_gone why_gone;
	struct err why;
};

void end_open(struct end *e, struct bench *b, uint8_t secret); /* dials */
void end_open_conf(struct end *e, struct bench *b, uint8_t secret, struct derp_client_conf conf);
void end_fini(struct end *e);
bool turn_until(struct bench *b, const unsigned *count, unsigned at_least);
void turn_for_ms(struct bench *b, int ms);
