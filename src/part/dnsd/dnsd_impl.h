/* part/dnsd/dnsd_impl.h - shared by the files of this part. */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "base/rand.h"
#include "io/loop.h"
#include "part/dnsd/dnsd.h"

struct http_call;
struct tls_ctx;

enum {
	UDP_ANSWER_MAX = 8192,
	HTTPS_HEAD_START_MS = 500, /* before a known public resolver is asked in the clear */
	EXCHANGE_MS = 10000,
	TCP_MS = 5000,
	DNSD_HOST_MAX = 256,
	DNSD_PATH_MAX = 256,
	HTTPS_DOWN_MAX = 16,
};

struct upstream {
	struct addrport at;
	enum dnsd_kind kind;
	bool inside, upgrade, https_only;
	char *host, *path;
};

/* An address that did not speak HTTPS lately. */
struct https_down {
	struct addrport at;
	struct mono until;
};

/* Whoever waits for a reply and is no datagram's sender. */
struct client {
	uint64_t id;
	void (*on_reply)(struct client *c, struct bytes message);
};

struct dnsd {
	struct loop *loop;
	struct dnsd_conf conf;
	struct rng rng;
	struct dns *engine;
	struct io_timer timer;
	struct map clients;
	uint64_t next_id;
	struct upstream *upstreams;
	size_t upstream_count;
	struct list exchanges, fronts, https;
	size_t exchange_count, front_count;
	struct tls_ctx *https_ctx, *tls_ctx;
	struct https_down down[HTTPS_DOWN_MAX];
	size_t down_at;
	bool pumping, again, destroyed;
	uint8_t answer[UDP_ANSWER_MAX];
};

/* dnsd.c */
void dnsd_pump(struct dnsd *d);
void client_add(struct dnsd *d, struct client *c);
void client_remove(struct dnsd *d, struct client *c);
struct upstream upstream_of(const struct dnsd *d, struct addrport at); /* borrows its texts */

/* dnsd_front.c: clients over TCP */
void front_drop_all(struct dnsd *d);

/* One query on its way to a resolver, by one or two ways at once. */
struct exchange {
	struct list link; /* dnsd.exchanges */
	struct dnsd *d;
	struct dns_query query;
	struct upstream up; /* its texts are the two below */
	char host[DNSD_HOST_MAX], path[DNSD_PATH_MAX];
	struct io_timer timer;
	bool clear_due; /* plain DNS will be tried, too */
	int fd;
	struct io_watch watch;
	struct stream *stream;
	struct http_call *call;
	struct https *https; /* the connection of the call, or the one it waits for */
	struct list waiting; /* https.waiting */
	unsigned status;
	struct buf in;
};

/* dnsd_exchange.c */
void exchange_start(struct dnsd *d, const struct dns_query *q);
void exchange_drop_all(struct dnsd *d);
/* What one way brought; the exchange may be gone after either. */
void exchange_answer(struct exchange *x, struct bytes message);
void exchange_way_failed(struct exchange *x); /* that way's handles are gone already */

/* dnsd_https.c: connections that stay */
bool https_is_down(const struct dnsd *d, struct addrport at);
bool https_ask(struct exchange *x); /* false: it cannot be tried */
void https_forget(struct exchange *x);
void https_drop_all(struct dnsd *d);
