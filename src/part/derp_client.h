/*
 * part/derp_client.h - one connection to one relay.
 *
 * One object is one attempt: it dials, upgrades, greets, and lives until on_down, which comes once
 * and last. Dialing again, with which delay and to which node of the region, is the caller's
 * business, because the policies differ (a node moves home, a relay retries its mesh).
 *
 * Packets may be sent at once; they wait in a bounded queue where discovery passes data and
 * destinations take turns. With a TLS 1.3 relay that names its key in the chain, request and
 * greeting leave in one flight (fast start).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "crypto/keytext.h"
#include "crypto/secret.h"
#include "wire/derp.h"

struct derp_client;
struct err;
struct log;
struct loop;
struct tls_ctx;

/* on_drain comes when the queue falls below this after having reached it. */
enum { DERP_CLIENT_MARK = 64 << 10 };

struct derp_client_conf {
	const char *host;    /* TLS name and Host header; resolved unless an address is given */
	uint16_t port;       /* 0: 443, or 3340 for plain HTTP */
	struct ip ip4, ip6;  /* dial these instead of asking DNS; both: a race */
	struct tls_ctx *tls; /* how the relay is verified, made with ALPN "http/1.1"; NULL: plain */
	bool no_fast_start;  /* always wait for the 101 */
	const char *ideal;   /* name of the node we should be on, when this is not it; or NULL */
	const char *app;     /* for the relay's statistics; or NULL */
	bool prober;         /* the same */
	bool home;           /* this is our home relay: say so when up */
	size_t queue_bytes;  /* 0: 256 KiB */
	unsigned connect_ms; /* until ServerInfo; 0: 10 s */
	uint32_t mark;       /* SO_MARK; 0: none */
	const char *device;  /* SO_BINDTODEVICE, or NULL */
	bool (*on_socket)(void *arg, int fd);
	const struct secret32 *private_key; /* copied; our node key */
	const struct secret32 *mesh_key;    /* copied; NULL for everyone but relays */
	const struct log *log;              /* borrowed; NULL: silent */

	/* Each may be NULL but on_down. Each may destroy the client. */
	void (*on_up)(void *arg); /* admitted */
	void (*on_packet)(void *arg, const struct key *from, struct bytes pkt);
	void (*on_peer_gone)(void *arg, const struct key *peer, enum derp_gone why);
	void (*on_pong)(void *arg, const uint8_t data[DERP_PING_LEN]);
	void (*on_health)(void *arg, const char *problem); /* "": well again */
	void (*on_restarting)(void *arg, uint32_t reconnect_in_ms, uint32_t try_for_ms);
	void (*on_frame)(void *arg, const struct derp_frame *f); /* mesh: PeerPresent, PeerGone */
	void (*on_drain)(void *arg);                             /* see derp_client_write() */
	void (*on_down)(void *arg, const struct err *why);
	void *arg;
};

struct derp_client *derp_client_create(struct loop *loop, const struct derp_client_conf *conf);
void derp_client_destroy(struct derp_client *c); /* no on_down; NULL is a no-op */

/* Copies pkt. False when it was dropped: too long, over the relay's limit, or no room. */
bool derp_client_send(struct derp_client *c, const struct key *to, struct bytes pkt);
void derp_client_note_home(struct derp_client *c, bool home); /* remembered until up */
void derp_client_ping(struct derp_client *c, const uint8_t data[DERP_PING_LEN]);
/* Is anybody there? Pings; on_down with ERR_TIMEOUT unless something arrives in time. */
void derp_client_check(struct derp_client *c, unsigned timeout_ms);

/* Frames that somebody else made (a mesh link). Copied, ignored before on_up. */
void derp_client_write(struct derp_client *c, struct bytes frames);
size_t derp_client_queued(const struct derp_client *c); /* what the kernel has not taken */

/* Stops reading, so that TCP holds the relay back; for whoever cannot take more now. */
void derp_client_hold(struct derp_client *c, bool hold);

bool derp_client_is_up(const struct derp_client *c);
bool derp_client_was_fast(const struct derp_client *c);
const struct key *derp_client_relay_key(const struct derp_client *c); /* NULL: not known yet */

struct derp_client_stats {
	uint64_t packets_in, bytes_in, packets_out, bytes_out, drops;
	int64_t idle_in_ms, idle_out_ms; /* since the last byte read, the last packet sent */
	int64_t dial_ms, tls_ms, up_ms;  /* how long each took from the start; -1: not yet */
	size_t queued_bytes;
};
void derp_client_stats(const struct derp_client *c, struct derp_client_stats *out);
