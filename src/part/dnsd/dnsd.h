/*
 * part/dnsd/dnsd.h - the resolver of a node: engine/dns joined to clients and to resolvers.
 *
 *   datagrams and streams of clients --> engine/dns --> UDP, TCP, TLS or HTTPS to resolvers
 *
 * Where clients come from is the owner's business: at 100.100.100.100 there is no kernel socket, so
 * part/localnet brings them. A resolver is known to the engine by its address; the list of
 * upstreams says how that address is spoken to. See doc/design/dns.md.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/log.h"
#include "engine/dns/dns.h"

struct dnsd;
struct dnsd_asking;
struct err;
struct loop;
struct stream;

enum {
	DNSD_EXCHANGES_MAX = 512, /* with resolvers, at once */
	DNSD_STREAMS_MAX = 128,   /* clients over TCP */
	DNSD_STREAM_IDLE_S = 45,
	DNSD_STREAM_REQUEST_MAX = 4096,
	DNSD_STREAM_UNREAD_MAX = 1 << 20, /* answers that a client leaves lying */
};

enum dnsd_kind {
	DNSD_PLAIN, /* UDP and TCP; HTTPS first where the address is a known public resolver's */
	DNSD_TLS,   /* RFC 7858 */
	DNSD_HTTPS, /* RFC 8484 */
	DNSD_HTTP,  /* the same without TLS: an exit node's, inside the tunnel */
};

struct dnsd_upstream {
	struct addrport at;
	enum dnsd_kind kind;
	bool inside;      /* through the tunnel: its sockets are not marked */
	const char *host; /* on the certificate and in requests; unused for DNSD_PLAIN */
	const char *path; /* "/dns-query" */
};

struct dnsd_conf {
	struct log log;
	const char *ca_file; /* for TLS and HTTPS; NULL: the system's */
	bool no_upgrade;     /* public resolvers are asked in the clear, too */
	/* Before a socket to a resolver outside of the tunnel is used. May be NULL. */
	bool (*on_socket)(void *arg, int fd);
	/* An answer to what came by dnsd_input_datagram() from there. */
	void (*send_datagram)(void *arg, const struct addrport *to, struct bytes message);
	void *arg;
};

struct dnsd *dnsd_create(struct loop *loop, const struct dnsd_conf *conf);
void dnsd_destroy(struct dnsd *d); /* questions asked here are dropped; NULL is a no-op */

/* Copies both. A resolver of conf that is not in the list is DNSD_PLAIN and outside. -1: the old
 * one stays. */
int dnsd_set_conf(struct dnsd *d, const struct dns_conf *conf, const struct dnsd_upstream *list,
		  size_t n, struct err *err);

void dnsd_input_datagram(struct dnsd *d, const struct addrport *from, struct bytes message);
void dnsd_input_stream(struct dnsd *d, struct stream *s, const struct addrport *from); /* takes s */

/* A question of this process: a whole message. on_answer comes once, perhaps from inside. */
struct dnsd_asking *dnsd_ask(struct dnsd *d, struct bytes message,
			     void (*on_answer)(void *arg, struct bytes message), void *arg);
/* The same for somebody else, whose address the limits are for. */
struct dnsd_asking *dnsd_ask_for(struct dnsd *d, const struct addrport *from, struct bytes message,
				 void (*on_answer)(void *arg, struct bytes message), void *arg);
void dnsd_ask_cancel(struct dnsd_asking *a); /* not after on_answer */

const struct dns *dnsd_engine(const struct dnsd *d);
/* "1.1.1.1", "1.1.1.1:5353", "https://dns.google/dns-query": how people write this resolver. */
enum { DNSD_TEXT_MAX = 600 };
const char *dnsd_upstream_text(const struct dnsd *d, struct addrport at, char out[DNSD_TEXT_MAX]);
