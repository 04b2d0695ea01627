/* test/unit/io/http_support.h - a server with a handful of routes, and clients over stream_pair. */
#pragma once

#include "io/httpc.h"
#include "io/httpd.h"
#include "support.h"

enum { HTTP_PARKED_MAX = 40, HTTP_SMALL_BODY_MAX = 100, HTTP_BIG_BODY_MAX = 8 << 20 };

struct site {
	struct loop *loop;
	struct httpd *httpd;
	struct http_exchange *parked[HTTP_PARKED_MAX]; /* by GET /park, in order */
	unsigned parked_count, gone, conn_gone, handled, drains, idle;
	struct stream *upgraded;
	bool upgrade_raw;
};

void site_init(struct site *site, const struct httpd_conf *limits); /* NULL: the defaults */
void site_fini(struct site *site);
/* The client's end of a new connection. */
struct stream *site_connect(struct site *site, enum httpd_proto proto);

/* Sends raw text on a new connection and collects what comes until nothing more does. */
const char *site_ask(struct site *site, struct ear *ear, const char *request);
void site_turns(struct site *site, unsigned n);

/* What a call heard. */
struct answer {
	struct http_call *call;
	unsigned status, done, heads;
	struct buf body;
	struct err err;
	char type[80];
};

void answer_init(struct answer *a);
void answer_fini(struct answer *a);
/* A call that writes into a. */
void answer_call(struct answer *a, struct httpc *c, const char *method, const char *path,
		 struct bytes body);
