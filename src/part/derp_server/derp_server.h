/*
 * part/derp_server/derp_server.h - a DERP relay on a loop: engine/relay joined to streams and HTTP.
 *
 * It owns no listener. Whoever runs an HTTP server routes the paths below to derp_server_handle(),
 * which answers the small ones and takes connections over when they upgrade; so a relay of its own
 * and a relay inside a control server are the same thing:
 *
 *   static void on_derp(void *arg, struct http_exchange *x, const struct http_request *req)
 *   {
 *           derp_server_handle(((struct control *)arg)->derp, x, req);
 *   }
 *   static const struct httpd_route routes[] = { DERP_SERVER_ROUTES(on_derp), ... };
 *
 * Nobody is admitted unless `open` is set or on_verify says so.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "crypto/keytext.h"
#include "crypto/secret.h"
#include "engine/relay/relay.h"
#include "wire/derp_cert.h"

struct bucket_shared;
struct derp_server;
struct err;
struct http_exchange;
struct http_request;
struct json_out;
struct log;
struct loop;
struct stream;

#define DERP_SERVER_ROUTES(handler)                                                                \
	{ "GET", "/derp", handler, 0 }, { NULL, "/derp/probe", handler, 0 },                       \
	    { NULL, "/derp/latency-check", handler, 0 },                                           \
	{                                                                                          \
		"GET", "/generate_204", handler, 0                                                 \
	}

struct derp_server_conf {
	struct secret32 private_key;
	struct secret32 mesh_key; /* all zero: no mesh */
	const struct log *log;    /* borrowed; NULL: silent */

	bool open; /* every key is admitted */
	/*
	 * May this key use the relay? Answer with derp_server_decide(), at once or within ten
	 * seconds. NULL and not open: nobody may. Mesh members are not asked about.
	 */
	void (*on_verify)(void *arg, uint64_t client, const struct key *key, struct addrport from);
	void *arg;

	/* Whose X-Forwarded-For is believed. Copied. */
	const struct prefix *proxies;
	size_t proxy_count;

	const char
	    *congestion; /* for TCP to clients: "bbr"; NULL: what the system uses. Borrowed. */

	/* 0: see engine/relay/relay.h */
	size_t connections_max, queue_bytes, memory_bytes;
	uint64_t client_rate, client_burst, total_rate, total_burst;
	struct bucket_shared *total; /* of all members of a bus; NULL: its own. Borrowed. */
};

struct derp_server *derp_server_create(struct loop *loop, const struct derp_server_conf *conf);
void derp_server_destroy(struct derp_server *s); /* drops every connection; NULL is a no-op */

const struct key *derp_server_key(const struct derp_server *s);
/* For tls_server_conf.extra_cert: lets clients start without a round trip. 0 on failure. */
size_t derp_server_cert(const struct derp_server *s, uint8_t out[DERP_CERT_MAX]);

/* Answers or takes over x. False, x untouched, when the path is none of ours. */
bool derp_server_handle(struct derp_server *s, struct http_exchange *x,
			const struct http_request *req);
/* Takes an upgraded stream; what handle() does after the upgrade. */
void derp_server_attach(struct derp_server *s, struct stream *stream, struct addrport from,
			bool not_ideal);
void derp_server_decide(struct derp_server *s, uint64_t client, bool allow);
/* Ends all connections of a key at once: it was revoked. Also at the other members of a bus. */
void derp_server_expel(struct derp_server *s, const struct key *key);
/* Checks every admitted client again: on_verify is called for each, false closes it. */
void derp_server_recheck(struct derp_server *s);

/* No new clients; those that are here move away over spread_ms. on_idle: none is left. */
void derp_server_drain(struct derp_server *s, uint32_t spread_ms, void (*on_idle)(void *arg),
		       void *arg);
void derp_server_set_rates(struct derp_server *s, uint64_t client_rate, uint64_t client_burst,
			   uint64_t total_rate, uint64_t total_burst);

/*
 * A link to another relay of the region. Whoever dialed it (as a client, with this server's key and
 * the mesh key) passes frames in and bytes out; link_up() when it is greeted, link_down() when it
 * is lost.
 */
struct derp_link {
	void (*write)(void *arg, struct bytes frames); /* copies */
	size_t (*queued)(void *arg);
	/* Writing stops when queued() reaches this and goes on with derp_server_link_drain(). */
	size_t mark;
	/* The server has let go of the link: it was not read, or the server drains. */
	void (*on_dropped)(void *arg);
	void *arg;
};
/* 0: the server drains. */
uint64_t derp_server_link_up(struct derp_server *s, const struct derp_link *link);
void derp_server_link_frame(struct derp_server *s, uint64_t link, const struct derp_frame *frame);
void derp_server_link_drain(struct derp_server *s, uint64_t link);
void derp_server_link_down(struct derp_server *s, uint64_t link);

/* For derp_bus.c: a link whose bytes are those of relay_sibling(). It is never given up. */
uint64_t derp_server_sibling_up(struct derp_server *s, const struct derp_link *link);
void derp_server_sibling_data(struct derp_server *s, uint64_t sibling, struct bytes data);

/* ---- what it did ---- */

void derp_server_stats(const struct derp_server *s, struct relay_stats *out);

/* All that one server counts; members of a bus are added up. */
struct derp_numbers {
	struct relay_stats relay;
	uint64_t websockets, slow_closed, bad_frames;
};
void derp_server_numbers(const struct derp_server *s, struct derp_numbers *out);
void derp_numbers_add(struct derp_numbers *sum, const struct derp_numbers *more);
void derp_numbers_metrics(const struct derp_numbers *n, struct buf *out); /* Prometheus text */
void derp_numbers_status(const struct derp_numbers *n,
			 struct json_out *o); /* members of an object */
void derp_server_head(const struct derp_server *s,
		      struct json_out *o); /* key and uptime, likewise */

/* One JSON object for each connection, at most 1000; returns how many. */
size_t derp_server_clients(const struct derp_server *s, struct json_out *o);

/* The same for a server alone. */
void derp_server_metrics(const struct derp_server *s, struct buf *out);
/* An object with counters and, when clients is set, one entry per connection. */
void derp_server_status(const struct derp_server *s, struct json_out *o, bool clients);
