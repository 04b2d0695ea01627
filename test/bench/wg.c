/*
 * What the tunnel engine costs on one core: handshakes per second in both roles, refusals, lookups
 * at 1, 100, 5000 and 10000 peers, and a tick with as many live sessions.
 *
 *   bench-wg            prints one line per figure; some five seconds
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/rand.h"
#include "crypto/x25519.h"
#include "engine/wg/wg.h"
#include "engine/wg/wg_allowed.h"

enum { HANDSHAKES = 2000, LOOKUPS = 4000000, CHECKS = 100000 };

static const struct wg_source somewhere = { .addr = { { 4, { 192, 0, 2, 1 } }, 1 } };

struct side {
	struct rng rng;
	struct wg *wg;
	struct key public_key;
};

static void side_init(struct side *s, uint64_t seed)
{
	struct wg_conf conf = { .rng = &s->rng, .handshakes_per_s = 1000000 };

	s->rng = rng_seeded(seed);
	x25519_generate(&conf.private_key, &s->rng);
	x25519_public(s->public_key.b, &conf.private_key);
	s->wg = wg_create(&conf, NULL);
}

static struct wg_time at_ms(int64_t ms)
{
	return (struct wg_time){ { 1000000000 + ms * 1000000 },
				 { 1700000000000000000 + ms * 1000000 } };
}

static double ns_since(struct mono then)
{
	return (double)(mono_now().ns - then.ns);
}

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void say(const char *what, double ns)
{
	(void)printf("%-44s %10.1f ns %12.0f /s\n", what, ns, 1e9 / ns);
}

static struct wg_peer_id meet(struct side *s, const struct key *k, uint32_t owner)
{
	struct wg_peer_conf conf = { .public_key = *k, .owner = owner };
	struct wg_peer_id id;

	must(wg_peer_add(s->wg, &conf, &id, NULL) == 0);
	return id;
}

/* Times the two halves apart: begin + finish on a, answer on b. */
static void bench_handshakes(void)
{
	double begin = 0, answer = 0, finish = 0;
	struct wg_received got;
	struct wg_datagram d;
	struct wg_peer_id to_b;
	struct side a, b;
	struct mono t;

	side_init(&a, 1);
	side_init(&b, 2);
	to_b = meet(&a, &b.public_key, 0);
	(void)meet(&b, &a.public_key, 0);
	for (int i = 0; i < HANDSHAKES; i++) {
		struct wg_time now = at_ms(i * INT64_C(6000));

		t = mono_now();
		wg_peer_handshake(a.wg, now, to_b);
		must(wg_next_datagram(a.wg, &d));
		begin += ns_since(t);
		t = mono_now();
		must(wg_input(b.wg, now, &somewhere, d.p, d.n, &got) == WG_HANDSHAKE);
		must(wg_next_datagram(b.wg, &d));
		answer += ns_since(t);
		t = mono_now();
		must(wg_input(a.wg, now, &somewhere, d.p, d.n, &got) == WG_HANDSHAKE);
		must(wg_next_datagram(a.wg, &d));
		finish += ns_since(t);
		must(wg_input(b.wg, now, &somewhere, d.p, d.n, &got) == WG_KEEPALIVE);
	}
	say("initiation made", begin / HANDSHAKES);
	say("initiation answered (responder)", answer / HANDSHAKES);
	say("response taken", finish / HANDSHAKES);
	wg_destroy(a.wg);
	wg_destroy(b.wg);
}

static void bench_refusals(void)
{
	uint8_t msg[148] = { 1 };
	struct wg_received got;
	struct side s;
	struct mono t;

	side_init(&s, 1);
	t = mono_now();
	for (int i = 0; i < CHECKS; i++)
		must(wg_input(s.wg, at_ms(0), &somewhere, msg, sizeof(msg), &got) == WG_DROP_MAC1);
	say("initiation with a bad mac1 refused", ns_since(t) / CHECKS);
	wg_destroy(s.wg);
}

static void bench_routes(uint32_t peers)
{
	struct wg_allowed_entry *e = calloc(2 * (size_t)peers, sizeof(*e));
	struct rng rng = rng_seeded(peers);
	struct wg_allowed *a;
	uint32_t *want = calloc(4096, sizeof(*want));
	uint64_t sum = 0;
	char what[64];
	struct mono t;

	for (uint32_t i = 0; i < peers; i++) {
		struct ip route = ip_v4_of(0x0a000000 + (i << 8));

		e[2 * i] = (struct wg_allowed_entry){ prefix_of(ip_v4_of(0x64400000 + i)), i };
		e[2 * i + 1] = (struct wg_allowed_entry){ { route, 24 }, i };
	}
	t = mono_now();
	a = wg_allowed_create(e, 2 * (size_t)peers);
	(void)printf("%5u peers: built in %.2f ms, %zu KiB\n", peers, ns_since(t) / 1e6,
		     wg_allowed_bytes(a) / 1024);
	for (int i = 0; i < 4096; i++)
		want[i] = 0x64400000 + (uint32_t)rng_below(&rng, peers);
	t = mono_now();
	for (uint32_t i = 0; i < LOOKUPS; i++)
		sum += wg_allowed_lookup4(a, want[i & 4095]) + UINT64_C(1);
	(void)snprintf(what, sizeof(what), "%5u peers: address to peer", peers);
	say(what, ns_since(t) / LOOKUPS);
	for (int i = 0; i < 4096; i++)
		want[i] = 0x0a000000 + (uint32_t)rng_below(&rng, (uint64_t)peers << 8);
	t = mono_now();
	for (uint32_t i = 0; i < LOOKUPS; i++)
		sum += wg_allowed_lookup4(a, want[i & 4095]) + UINT64_C(1);
	(void)snprintf(what, sizeof(what), "%5u peers: address in a /24 to peer", peers);
	say(what, ns_since(t) / LOOKUPS);
	must(sum != 0);
	wg_allowed_unref(a);
	free(want);
	free(e);
}

/* As many peers with a live session on one side; the others are one machine per peer in turn. */
static void bench_sessions(uint32_t peers)
{
	uint32_t *index = calloc(peers, sizeof(*index)), *ask = calloc(4096, sizeof(*ask));
	struct rng rng = rng_seeded(peers);
	struct wg_received got;
	struct wg_datagram d;
	struct side hub;
	uint64_t hits = 0;
	char what[64];
	struct mono t;

	side_init(&hub, 1);
	for (uint32_t i = 0; i < peers; i++) {
		struct wg_peer_id to_hub, id;
		struct side s;

		side_init(&s, 100 + i);
		to_hub = meet(&s, &hub.public_key, 0);
		id = meet(&hub, &s.public_key, i);
		wg_peer_handshake(hub.wg, at_ms(0), id);
		must(wg_next_datagram(hub.wg, &d));
		must(wg_input(s.wg, at_ms(0), &somewhere, d.p, d.n, &got) == WG_HANDSHAKE);
		must(wg_next_datagram(s.wg, &d));
		must(wg_input(hub.wg, at_ms(0), &somewhere, d.p, d.n, &got) == WG_HANDSHAKE);
		while (wg_next_datagram(hub.wg, &d))
			;
		index[i] = wg_table_lane(wg_table(hub.wg), i)->sending->local_index;
		(void)to_hub;
		wg_destroy(s.wg);
	}
	for (int i = 0; i < 4096; i++)
		ask[i] = index[rng_below(&rng, peers)];
	t = mono_now();
	for (uint32_t i = 0; i < LOOKUPS; i++)
		hits += wg_table_session(wg_table(hub.wg), ask[i & 4095]) != NULL;
	(void)snprintf(what, sizeof(what), "%5u peers: receiver index to session", peers);
	say(what, ns_since(t) / LOOKUPS);
	must(hits == LOOKUPS);
	t = mono_now();
	for (uint32_t i = 0; i < LOOKUPS; i++) {
		struct wg_session *s = wg_table_session(wg_table(hub.wg), ask[i & 4095]);

		hits += wg_lane_sending(s->lane, at_ms(1).mono) != NULL;
	}
	must(hits == 2 * (uint64_t)LOOKUPS);
	t = mono_now();
	for (int i = 0; i < 1000; i++) {
		wg_tick(hub.wg, at_ms(2));
		hits += wg_deadline(hub.wg).ns != 0;
	}
	(void)snprintf(what, sizeof(what), "%5u peers: tick with nothing due", peers);
	say(what, ns_since(t) / 1000);
	wg_destroy(hub.wg);
	free(ask);
	free(index);
}

static void bench_session_use(void)
{
	struct wg_amount what = { .packets = 45, .bytes = 60000, .data = true };
	struct wg_lane *lane = aligned_alloc(64, sizeof(*lane));
	struct wg_session *s = aligned_alloc(64, sizeof(*s));
	uint64_t first, sum = 0;
	struct mono t;

	memset(lane, 0, sizeof(*lane));
	memset(s, 0, sizeof(*s));
	s->lane = lane;
	t = mono_now();
	for (int i = 0; i < LOOKUPS; i++) {
		must(wg_session_reserve(s, 45, &first));
		sum += wg_session_sent(s, at_ms(i / 1000).mono, &what);
	}
	say("counters reserved and a flush noted", ns_since(t) / LOOKUPS);
	t = mono_now();
	wg_session_lock(s);
	for (uint64_t i = 0; i < LOOKUPS; i++)
		sum += wg_replay_check(&s->replay, i) && wg_replay_commit(&s->replay, i);
	wg_session_unlock(s);
	say("replay window: checked and committed", ns_since(t) / LOOKUPS);
	must(sum >= LOOKUPS);
	free(s);
	free(lane);
}

int main(void)
{
	static const uint32_t sizes[] = { 1, 100, 5000, 10000 };

	bench_handshakes();
	bench_refusals();
	bench_session_use();
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		bench_routes(sizes[i]);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		bench_sessions(sizes[i]);
	return 0;
}
