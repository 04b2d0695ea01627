/*
 * io/tls_sniff.h - one port for TLS and plain text: the first byte of a connection tells which.
 *
 * A TLS client begins with the record type 0x16, which begins no HTTP request. A server on plain
 * HTTP can so offer its relay over TLS on the same port, as relay clients demand it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/ip.h"

struct loop;
struct stream;
struct tls_sniff;

struct tls_sniff_conf {
	size_t waiting_max;  /* connections that have said nothing yet; 0: 4096 */
	unsigned waiting_ms; /* 0: 10 s */
	/* Takes s; what it said first is unread. */
	void (*on_stream)(void *arg, struct stream *s, struct addrport peer, bool tls);
	void *arg;
};

struct tls_sniff *tls_sniff_create(struct loop *loop, const struct tls_sniff_conf *conf);
void tls_sniff_destroy(struct tls_sniff *t); /* drops who waits; NULL is a no-op */
void tls_sniff_add(struct tls_sniff *t, struct stream *s, struct addrport peer); /* takes s */
