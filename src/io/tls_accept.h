/*
 * io/tls_accept.h - a queue in front of TLS handshakes, so that a storm of them costs bounded
 * memory.
 *
 * After a restart every client of a big server comes at once, and each handshake costs some 40 KB
 * and a signature. A fixed number runs at a time, a fixed number waits with nothing read from it,
 * and who comes on top is closed at once and tries again later.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"

struct loop;
struct stream;
struct tls_accept;
struct tls_ctx;

struct tls_accept_conf {
	struct tls_ctx *ctx;   /* a reference is taken */
	size_t running_max;    /* 0: 256 */
	size_t waiting_max;    /* 0: 8192 */
	unsigned handshake_ms; /* 0: 10 s, from the start of the handshake */
	unsigned waiting_ms;   /* 0: 20 s: clients have given up by then */
	/* Takes s, a TLS stream that is open. */
	void (*on_stream)(void *arg, struct stream *s, struct addrport peer);
	void *arg;
};

struct tls_accept_stats {
	uint64_t done, failed, timeouts, refused;
	size_t running, waiting, waiting_peak;
};

struct tls_accept *tls_accept_create(struct loop *loop, const struct tls_accept_conf *conf);
void tls_accept_destroy(struct tls_accept *a); /* drops what is not done; NULL is a no-op */
void tls_accept_add(struct tls_accept *a, struct stream *tcp, struct addrport peer); /* takes tcp */
/* The same for a connected, non-blocking socket. Takes fd; nothing but it is held while it waits.
 */
void tls_accept_add_fd(struct tls_accept *a, int fd, struct addrport peer);
/* For a new certificate or a new DERP key certificate: counts from the next handshake. */
void tls_accept_set_ctx(struct tls_accept *a, struct tls_ctx *ctx);
void tls_accept_stats(const struct tls_accept *a, struct tls_accept_stats *out);
