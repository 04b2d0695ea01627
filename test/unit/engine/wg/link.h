/*
 * Two engines, a virtual clock and a link with a seed: it loses, delays (hence reorders) and
 * doubles datagrams. Everything happens in link_run_ms().
 */
#pragma once

#include "base/rand.h"
#include "engine/wg/wg.h"

enum { LINK_A, LINK_B, LINK_IN_FLIGHT = 4096, LINK_DATAGRAM_MAX = 2048, LINK_SEEN_MAX = 100000 };

struct link_side {
	struct rng rng;
	struct wg *wg;
	struct secret32 private_key;
	struct key public_key;
	struct wg_peer_id peer; /* the other one */
	struct wg_source at;    /* where our datagrams come from */
	bool cut;               /* nothing of ours arrives */
	/* What arrived here. */
	uint8_t seen[LINK_SEEN_MAX]; /* times the packet of that number was delivered */
	unsigned delivered;
	struct wg_source last_from; /* of the last authenticated datagram */
	unsigned verdicts[WG_VERDICT_COUNT];
	/* What left here. */
	unsigned sent, sent_type[5], cookies_back;
};

struct link_datagram {
	struct mono at;
	int to;
	struct wg_source from;
	size_t n;
	uint8_t b[LINK_DATAGRAM_MAX];
};

struct link {
	struct wg_time now;
	struct rng rng;
	struct link_side side[2];
	unsigned loss_permille, double_permille;
	int64_t delay_ms, jitter_ms;
	struct link_datagram *flight;
	size_t flight_n;
	/* Called with each datagram as it leaves. */
	void (*on_datagram)(void *arg, int from, const uint8_t *p, size_t n);
	void *arg;
};

/* Both sides know each other as owner 7. tweak may change each side's configuration; or NULL. */
struct link *link_create(uint64_t seed, void (*tweak)(int side, struct wg_conf *conf));
void link_destroy(struct link *l);
void link_restart(struct link *l, int side,
		  const struct wg_conf *conf); /* a new engine, same key */
void link_run_ms(struct link *l, int64_t ms);
/* An IPv4 packet that carries a number; recognised when it arrives. */
void link_send(struct link *l, int from, uint32_t number);
size_t link_packet(int from, uint32_t number, uint8_t out[64]);
/* Straight into the other side's engine, now. */
enum wg_verdict link_inject(struct link *l, int to, struct wg_source from, struct bytes datagram);
