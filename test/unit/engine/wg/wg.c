/* Peers, callbacks, data threads and limits of the machine; the protocol is in sim.c and
 * conformance.c. */
#include "engine/wg/wg.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/rand.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/x25519.h"
#include "engine/wg/wg_machine.h"
#include "kit/kit.h"
#include "link.h"

static const struct wg_time start = { { 1000000000 }, { 1700000000000000000 } };
static const struct wg_source somewhere = { .addr = { { 4, { 192, 0, 2, 77 } }, 1 } };

static struct wg_time later(struct wg_time t, int64_t ms)
{
	return (struct wg_time){ { t.mono.ns + ms * 1000000 }, { t.wall.ns + ms * 1000000 } };
}

/* A machine that knows nobody yet. */
struct solo {
	struct rng rng;
	struct wg *wg;
	struct key public_key;
};

static void solo_init(struct solo *s, uint64_t seed, struct wg_conf conf)
{
	s->rng = rng_seeded(seed);
	conf.rng = &s->rng;
	x25519_generate(&conf.private_key, &s->rng);
	x25519_public(s->public_key.b, &conf.private_key);
	s->wg = wg_create(&conf, NULL);
}

static struct key some_key(struct rng *rng)
{
	struct secret32 priv;
	struct key k;

	x25519_generate(&priv, rng);
	x25519_public(k.b, &priv);
	return k;
}

/* Everything a has to say to b, and back, until both are silent. */
static void talk(struct wg *a, struct wg *b, struct wg_time now)
{
	struct wg_received got;
	struct wg_datagram d;
	bool more = true;

	while (more) {
		more = false;
		while (wg_next_datagram(a, &d)) {
			more = true;
			(void)wg_input(b, now, &somewhere, d.p, d.n, &got);
		}
		while (wg_next_datagram(b, &d)) {
			more = true;
			(void)wg_input(a, now, &somewhere, d.p, d.n, &got);
		}
	}
}

TEST(peers_are_found_by_key_owner_and_id)
{
	struct solo s;
	struct wg_peer_conf conf = { .owner = 3 };
	struct wg_peer_id id, same, other;
	size_t it = 0;
	struct err err;

	solo_init(&s, 1, (struct wg_conf){ 0 });
	conf.public_key = some_key(&s.rng);
	CHECK(wg_peer_add(s.wg, &conf, &id, &err) == 0);
	CHECK(wg_peer_find(s.wg, &conf.public_key, &same) && same.gen == id.gen);
	CHECK(wg_peer_of_owner(s.wg, 3, &same) && same.slot == id.slot);
	CHECK(!wg_peer_of_owner(s.wg, 4, &same) && !wg_peer_of_owner(s.wg, UINT32_MAX, &same));
	CHECK(!wg_peer_find(s.wg, &s.public_key, &same));
	CHECK(wg_peer_next(s.wg, &it, &other) && other.gen == id.gen);
	CHECK(!wg_peer_next(s.wg, &it, &other));
	CHECK_INT(wg_peer_count(s.wg), 1);
	CHECK(wg_peer_remove(s.wg, id));
	CHECK(!wg_peer_find(s.wg, &conf.public_key, &same));
	CHECK(!wg_peer_remove(s.wg, (struct wg_peer_id){ 0 }));
	wg_destroy(s.wg);
}

TEST(peers_that_cannot_be_are_refused)
{
	struct wg_peer_conf conf = { .owner = 3 }, bad;
	struct wg_conf none = { 0 };
	struct wg_peer_id id;
	struct err err;
	struct solo s;

	solo_init(&s, 1, (struct wg_conf){ 0 });
	conf.public_key = some_key(&s.rng);
	CHECK(wg_peer_add(s.wg, &conf, &id, &err) == 0);
	CHECK(wg_peer_add(s.wg, &conf, &id, &err) < 0 && err.code == ERR_USAGE);
	bad = conf;
	bad.owner = 4;
	CHECK(wg_peer_add(s.wg, &bad, &id, &err) < 0 && err.code == ERR_USAGE); /* same key */
	bad.public_key = some_key(&s.rng);
	bad.owner = 3;
	CHECK(wg_peer_add(s.wg, &bad, &id, &err) < 0 && err.code == ERR_USAGE); /* same owner */
	bad.owner = WG_OWNER_MAX;
	CHECK(wg_peer_add(s.wg, &bad, &id, &err) < 0 && err.code == ERR_LIMIT);
	bad.owner = WG_OWNER_MAX - 1;
	CHECK(wg_peer_add(s.wg, &bad, &id, &err) == 0);
	bad.owner = 5;
	bad.public_key = s.public_key;
	CHECK(wg_peer_add(s.wg, &bad, &id, &err) < 0);
	memset(bad.public_key.b, 0, 32);
	CHECK(wg_peer_add(s.wg, &bad, &id, &err) < 0 && err.code == ERR_AUTH);
	CHECK_INT(wg_peer_count(s.wg), 2);
	CHECK(wg_create(&none, &err) == NULL); /* no randomness */
	wg_destroy(s.wg);
	wg_destroy(NULL);
}

/* --- callbacks --- */

struct calls {
	struct wg *wg;
	struct key expect;
	bool refuse;
	unsigned unknown, sessions, idle;
	struct bytes priority;
};

static bool on_unknown(void *arg, const struct key *k)
{
	struct calls *c = arg;
	struct wg_peer_conf conf = { .public_key = *k, .owner = 11, .lazy = true };

	c->unknown++;
	return !c->refuse && key_equal(k, &c->expect) && wg_peer_add(c->wg, &conf, NULL, NULL) == 0;
}

static void on_session(void *arg, struct wg_peer_id peer, uint32_t owner)
{
	struct calls *c = arg;

	(void)peer;
	c->sessions++;
	CHECK_INT(owner, 11);
}

static size_t on_priority(void *arg, struct wg_peer_id peer, uint32_t owner,
			  uint8_t out[WG_PRIORITY_MAX])
{
	struct calls *c = arg;

	(void)peer;
	(void)owner;
	if (c->priority.n)
		memcpy(out, c->priority.p, c->priority.n);
	return c->priority.n;
}

static void on_idle(void *arg, const struct key *k, uint32_t owner)
{
	struct calls *c = arg;

	c->idle++;
	CHECK(key_equal(k, &c->expect) && owner == 11);
}

static void callbacks_init(struct solo *a, struct solo *b, struct calls *calls)
{
	struct wg_conf conf = { .on_unknown_peer = on_unknown,
				.on_session = on_session,
				.on_priority = on_priority,
				.on_idle_peer = on_idle,
				.arg = calls };
	struct wg_peer_conf to_b = { .owner = 1 };

	*calls = (struct calls){ 0 };
	solo_init(a, 1, (struct wg_conf){ 0 });
	solo_init(b, 2, conf);
	calls->wg = b->wg;
	calls->expect = a->public_key;
	to_b.public_key = b->public_key;
	CHECK(wg_peer_add(a->wg, &to_b, NULL, NULL) == 0);
}

TEST(unknown_peers_are_asked_about)
{
	struct wg_time now = start;
	struct wg_peer_id peer;
	struct calls calls;
	struct solo a, b;

	callbacks_init(&a, &b, &calls);
	CHECK(wg_peer_of_owner(a.wg, 1, &peer));
	calls.refuse = true;
	wg_peer_handshake(a.wg, now, peer);
	talk(a.wg, b.wg, now);
	CHECK_INT(calls.unknown, 1);
	CHECK_INT(calls.sessions, 0);
	CHECK_INT(wg_count_verdict(b.wg, WG_DROP_UNKNOWN_PEER), 1);
	calls.refuse = false;
	now = later(now, 6000);
	wg_tick(a.wg, now);
	talk(a.wg, b.wg, now);
	CHECK_INT(calls.unknown, 2);
	CHECK_INT(calls.sessions, 1);
	CHECK_INT(wg_peer_count(b.wg), 1);
	/* Nine idle minutes later it is forgotten, with a word to its owner. */
	now = later(now, 539000);
	wg_tick(b.wg, now);
	CHECK_INT(wg_peer_count(b.wg), 1);
	now = later(now, 2000);
	wg_tick(b.wg, now);
	CHECK_INT(wg_peer_count(b.wg), 0);
	CHECK_INT(calls.idle, 1);
	CHECK(wg_deadline(b.wg).ns == INT64_MAX);
	wg_destroy(a.wg);
	wg_destroy(b.wg);
}

TEST(priority_message_goes_first)
{
	struct bytes first = kit_hex("450000180000000040630000644000016440000261626364");
	struct wg_received got;
	struct wg_datagram d;
	struct wg_peer_id peer;
	struct calls calls;
	uint8_t packet[64];
	struct solo a, b;

	callbacks_init(&a, &b, &calls);
	calls.priority = first;
	CHECK(wg_peer_of_owner(a.wg, 1, &peer));
	wg_peer_handshake(a.wg, start, peer);
	CHECK(wg_next_datagram(a.wg, &d));
	CHECK_INT(wg_input(b.wg, start, &somewhere, d.p, d.n, &got), WG_HANDSHAKE);
	CHECK(wg_next_datagram(b.wg, &d)); /* the response; the keepalive confirms */
	CHECK_INT(wg_input(a.wg, start, &somewhere, d.p, d.n, &(struct wg_received){ 0 }),
		  WG_HANDSHAKE);
	CHECK(wg_output(b.wg, start, got.peer, bytes_of(packet, link_packet(1, 9, packet))));
	CHECK(wg_next_datagram(b.wg, &d) && d.is_handshake); /* its own try; lost */
	CHECK(wg_next_datagram(a.wg, &d));
	CHECK_INT(wg_input(b.wg, start, &somewhere, d.p, d.n, &got), WG_KEEPALIVE);
	CHECK_INT(calls.sessions, 1);
	CHECK(wg_next_datagram(b.wg, &d));
	CHECK_INT(wg_input(a.wg, start, &somewhere, d.p, d.n, &got), WG_DELIVER);
	CHECK(bytes_equal(got.packet, first));
	CHECK(wg_next_datagram(b.wg, &d));
	CHECK_INT(wg_input(a.wg, start, &somewhere, d.p, d.n, &got), WG_DELIVER);
	CHECK(bytes_equal(got.packet, bytes_of(packet, 24)));
	CHECK(!wg_next_datagram(b.wg, &d));
	wg_destroy(a.wg);
	wg_destroy(b.wg);
}

/* An initiation that names a peer whose key its sender does not hold: anyone can make the part that
 * carries the static key, so nobody is even asked. */
TEST(claims_are_not_asked_about)
{
	struct wg_received got;
	struct wg_datagram d;
	struct wg_peer_id peer;
	struct calls calls;
	struct solo a, b;
	uint8_t msg[148];

	callbacks_init(&a, &b, &calls);
	CHECK(wg_peer_of_owner(a.wg, 1, &peer));
	wg_peer_handshake(a.wg, start, peer);
	CHECK(wg_next_datagram(a.wg, &d));
	memcpy(msg, d.p, sizeof(msg));
	msg[100] ^= 1; /* in the sealed timestamp */
	{
		struct bytes names[] = { bytes_str("mac1----"), bytes_of(b.public_key.b, 32) };
		uint8_t key[32];

		hash_blake2s(key, names, 2);
		hash_blake2s_mac(msg + 116, bytes_of(key, 32), bytes_of(msg, 116));
	}
	CHECK_INT(wg_input(b.wg, start, &somewhere, msg, sizeof(msg), &got), WG_DROP_CRYPTO);
	CHECK_INT(calls.unknown, 0);
	CHECK_INT(wg_peer_count(b.wg), 0);
	wg_destroy(a.wg);
	wg_destroy(b.wg);
}

/* A machine that slept does not know the time; a lazy peer added then lives its nine minutes. */
TEST(lazy_peers_live_from_the_first_tick_on)
{
	struct wg_peer_conf conf = { .owner = 11, .lazy = true };
	struct wg_time now = later(start, 86400000);
	struct wg_peer_id id;
	struct solo s;

	solo_init(&s, 1, (struct wg_conf){ 0 });
	conf.public_key = some_key(&s.rng);
	CHECK(wg_peer_add(s.wg, &conf, &id, NULL) == 0);
	wg_tick(s.wg, now);
	CHECK_INT(wg_peer_count(s.wg), 1);
	now = later(now, 539000);
	wg_tick(s.wg, now);
	CHECK_INT(wg_peer_count(s.wg), 1);
	wg_tick(s.wg, later(now, 1000));
	CHECK_INT(wg_peer_count(s.wg), 0);
	wg_destroy(s.wg);
}

/* --- limits --- */

TEST(staged_bytes_have_a_limit_for_all_peers)
{
	struct wg_conf conf = { .staged_bytes_max = 10 * (1280 + WG_OVERHEAD) };
	uint8_t packet[1280] = { 0x45 };
	struct wg_peer_id id[3];
	struct wg_peer_status st;
	size_t staged = 0;
	struct solo s;

	solo_init(&s, 1, conf);
	for (uint32_t i = 0; i < 3; i++) {
		struct wg_peer_conf peer = { .public_key = some_key(&s.rng), .owner = i };

		CHECK(wg_peer_add(s.wg, &peer, &id[i], NULL) == 0);
		for (int k = 0; k < 8; k++)
			CHECK(wg_output(s.wg, start, id[i], bytes_of(packet, sizeof(packet))));
	}
	for (int i = 0; i < 3; i++) {
		CHECK(wg_peer_status(s.wg, start.mono, id[i], &st));
		staged += st.staged;
	}
	CHECK_INT(staged, 10);
	CHECK_INT(wg_count(s.wg, WG_COUNT_STAGED_DROPPED), 14);
	CHECK(wg_peer_remove(s.wg, id[0])); /* gives its share back */
	CHECK(wg_output(s.wg, start, id[1], bytes_of(packet, sizeof(packet))));
	CHECK(wg_peer_status(s.wg, start.mono, id[1], &st));
	CHECK_INT(st.staged, 3);
	wg_destroy(s.wg);
}

TEST(datagrams_nobody_fetches_have_a_limit)
{
	struct link *l = link_create(1, NULL);
	struct link_side *a = &l->side[LINK_A];
	uint8_t packet[64];
	size_t n = link_packet(LINK_A, 1, packet);
	struct wg_datagram d;
	unsigned fetched = 0;

	link_send(l, LINK_A, 0);
	link_run_ms(l, 100);
	for (int i = 0; i < 9000; i++)
		CHECK(wg_output(a->wg, l->now, a->peer, bytes_of(packet, n)));
	while (wg_next_datagram(a->wg, &d))
		fetched++;
	CHECK_INT(fetched, 8192);
	CHECK_INT(wg_count(a->wg, WG_COUNT_QUEUE_DROPPED), 9000 - 8192);
	link_destroy(l);
}

TEST(ten_thousand_peers_come_and_go)
{
	struct wg_peer_conf to_b = { .owner = 1 };
	struct wg_time now = start;
	struct solo a, b;
	struct wg_peer_id in_a;
	uint8_t packet[64];
	size_t n = link_packet(0, 1, packet);

	solo_init(&a, 1, (struct wg_conf){ 0 });
	solo_init(&b, 2, (struct wg_conf){ 0 });
	to_b.public_key = b.public_key;
	CHECK(wg_peer_add(a.wg, &to_b, &in_a, NULL) == 0);
	for (uint32_t i = 0; i < 10000; i++) {
		struct wg_peer_conf conf = { .public_key = a.public_key, .owner = i % 100 };
		struct wg_peer_id id;

		conf.public_key.b[0] ^= i % 8 ? (uint8_t)(i + 1) : 0; /* each eighth is real */
		if (wg_peer_add(b.wg, &conf, &id, NULL) < 0)
			continue;
		now = later(now, 30);
		wg_tick(a.wg, now);
		CHECK(wg_output(b.wg, now, id, bytes_of(packet, n)));
		if (i % 8 == 0)
			talk(a.wg, b.wg, now);
		CHECK(wg_peer_remove(b.wg, id));
	}
	CHECK_INT(wg_peer_count(b.wg), 0);
	CHECK(wg_count(b.wg, WG_COUNT_SESSIONS) > 1000);
	CHECK(wg_deadline(b.wg).ns == INT64_MAX);
	CHECK_INT(wg_retired(b.wg), 0);
	CHECK(a.wg->index.n < 10 && b.wg->index.n < 10);
	wg_destroy(a.wg);
	wg_destroy(b.wg);
}

TEST(counters_have_sentences)
{
	for (int v = 0; v < WG_VERDICT_COUNT; v++)
		CHECK(strlen(wg_verdict_sentence((enum wg_verdict)v)) > 8);
	for (int c = 0; c < WG_COUNTER_COUNT; c++)
		CHECK(strlen(wg_counter_sentence((enum wg_counter)c)) > 8);
}

/* --- data threads --- */

static void with_data_threads(int side, struct wg_conf *conf)
{
	(void)side;
	conf->data_threads = true;
}

/* What an egress thread does with one packet; false: no session. */
static bool egress(struct link *l, int side, uint32_t number, uint8_t out[128], size_t *n,
		   bool *wake)
{
	struct wg_amount what = { .packets = 1, .data = true };
	struct wg_lane *lane = wg_table_lane(wg_table(l->side[side].wg), 7);
	struct wg_session *s = lane ? wg_lane_sending(lane, l->now.mono) : NULL;
	struct writer w = writer_of(out, 16);
	uint8_t plain[64] = { 0 }, nonce[12];
	uint64_t counter;
	size_t len, padded;

	if (!s || !wg_session_reserve(s, 1, &counter))
		return false;
	len = link_packet(side, number, plain);
	padded = wg_padded(len, 1280);
	write_le32(&w, 4);
	write_le32(&w, s->remote_index);
	write_le64(&w, counter);
	aead_nonce_le(nonce, counter);
	aead_seal(out + 16, &s->send_key, nonce, bytes_of(plain, padded), bytes_of(NULL, 0));
	*n = 32 + padded;
	what.bytes = *n;
	*wake = wg_session_sent(s, l->now.mono, &what);
	return true;
}

TEST(data_threads_send_with_published_sessions)
{
	struct link *l = link_create(50, with_data_threads);
	struct wg_session *old;
	uint8_t out[128];
	unsigned wakes = 0;
	size_t n;
	bool wake;

	CHECK(!egress(l, LINK_A, 0, out, &n, &wake)); /* control stages and begins */
	link_send(l, LINK_A, 0);
	link_run_ms(l, 100);
	old = wg_table_lane(wg_table(l->side[0].wg), 7)->sending;
	CHECK(old != NULL);
	for (uint32_t i = 1; i < 1500; i++) { /* 150 s: one renewal on the way */
		CHECK(egress(l, LINK_A, i, out, &n, &wake));
		CHECK_INT(link_inject(l, LINK_B, l->side[LINK_A].at, bytes_of(out, n)), WG_DELIVER);
		wakes += wake;
		if (wake)
			wg_notice(l->side[LINK_A].wg, l->now, 7);
		link_run_ms(l, 100);
	}
	CHECK_INT(l->side[LINK_A].sent_type[1], 2);
	CHECK(wg_table_lane(wg_table(l->side[0].wg), 7)->sending != old);
	CHECK_INT(wakes, 1); /* to renew; the watch over an answer runs on by itself */
	/* The first session is `previous` now; a third one retires it. */
	CHECK_INT(wg_retired(l->side[LINK_A].wg), 0);
	wg_peer_handshake(l->side[LINK_A].wg, l->now, l->side[LINK_A].peer);
	link_run_ms(l, 100);
	CHECK(wg_retired(l->side[LINK_A].wg) > 0);
	CHECK(!secret_is_zero(old->send_key.b, 32)); /* readers may still hold it */
	wg_reclaim(l->side[LINK_A].wg, wg_retired(l->side[LINK_A].wg));
	CHECK_INT(wg_retired(l->side[LINK_A].wg), 0);
	link_destroy(l);
}

TEST(removed_peers_wait_for_the_data_threads)
{
	struct link *l = link_create(51, with_data_threads);
	struct wg *a = l->side[LINK_A].wg;
	struct wg_lane *lane;
	struct wg_session *s;
	uint64_t generation;
	struct wg_peer_conf again = { .public_key = l->side[LINK_B].public_key, .owner = 7 };

	link_send(l, LINK_A, 0);
	link_run_ms(l, 100);
	lane = wg_table_lane(wg_table(a), 7);
	s = lane->sending;
	CHECK(wg_peer_remove(a, l->side[LINK_A].peer));
	CHECK(wg_table_lane(wg_table(a), 7) == NULL);
	CHECK(wg_table_session(wg_table(a), s->local_index) == NULL); /* s itself still stands */
	CHECK(lane->sending == NULL);
	generation = wg_retired(a);
	CHECK(generation != 0);
	CHECK(wg_peer_add(a, &again, &l->side[LINK_A].peer, NULL) == 0);
	CHECK(wg_peer_remove(a, l->side[LINK_A].peer));
	wg_reclaim(a, generation); /* what came later stays */
	CHECK(wg_retired(a) > generation);
	link_destroy(l); /* and the end frees the rest */
}

/* A data thread never meets a wiped key. */
#define CHECK_KEY(k)                                                                               \
	do {                                                                                       \
		if (secret_is_zero((k).b, sizeof((k).b)))                                          \
			abort();                                                                   \
	} while (0)

struct traffic {
	const struct wg_table *table;
	_Atomic int64_t now;
	_Atomic bool stop, wake;
	_Atomic uint32_t index;     /* of a session to receive with */
	_Atomic uint64_t quiescent; /* times the thread held nothing */
	_Atomic uint64_t used;      /* sessions it found */
};

static void *egress_thread(void *arg)
{
	struct traffic *t = arg;

	while (!atomic_load(&t->stop)) {
		struct mono now = { atomic_load(&t->now) };
		struct wg_amount what = { .packets = 4, .bytes = 400, .data = true };
		struct wg_lane *lane = wg_table_lane(t->table, 7);
		struct wg_session *s = lane ? wg_lane_sending(lane, now) : NULL;
		uint64_t first;

		if (s && wg_session_reserve(s, 4, &first)) {
			CHECK_KEY(s->send_key);
			if (wg_session_sent(s, now, &what))
				atomic_store(&t->wake, true);
			atomic_fetch_add(&t->used, 1);
		}
		atomic_fetch_add(&t->quiescent, 1);
		(void)sched_yield(); /* hosts with one core */
	}
	return NULL;
}

/* Counters that control does not use, so that both may commit. */
static void *ingress_thread(void *arg)
{
	struct traffic *t = arg;

	for (uint64_t counter = 1000; !atomic_load(&t->stop); counter++) {
		struct mono now = { atomic_load(&t->now) };
		struct wg_amount what = { .packets = 1, .bytes = 100, .data = true };
		struct wg_session *s = wg_table_session(t->table, atomic_load(&t->index));
		bool fresh;

		if (s && wg_session_is_fresh(s, now) && wg_replay_check(&s->replay, counter)) {
			CHECK_KEY(s->receive_key);
			wg_session_lock(s);
			fresh = wg_replay_commit(&s->replay, counter);
			wg_session_unlock(s);
			if (fresh && wg_session_received(s, now, &what))
				atomic_store(&t->wake, true);
			atomic_fetch_add(&t->used, 1);
		}
		atomic_fetch_add(&t->quiescent, 1);
		(void)sched_yield(); /* hosts with one core */
	}
	return NULL;
}

/* It held nothing at some time after this call began. */
static void wait_quiescent(struct traffic *t)
{
	uint64_t seen = atomic_load(&t->quiescent);

	while (atomic_load(&t->quiescent) < seen + 2)
		(void)sched_yield();
}

/* Control rekeys and removes while other threads send and receive: for TSan and ASan. */
TEST(control_may_change_everything_under_data_threads)
{
	struct link *l = link_create(52, with_data_threads);
	struct wg *a = l->side[LINK_A].wg;
	struct traffic t[2] = { { .table = wg_table(a), .now = l->now.mono.ns },
				{ .table = wg_table(a), .now = l->now.mono.ns } };
	pthread_t thread[2];

	CHECK(pthread_create(&thread[0], NULL, egress_thread, &t[0]) == 0);
	CHECK(pthread_create(&thread[1], NULL, ingress_thread, &t[1]) == 0);
	for (uint32_t i = 0; i < 60; i++) {
		struct wg_lane *lane;
		uint64_t generation;

		if (i % 5 == 4) {
			struct wg_peer_conf again = { .public_key = l->side[LINK_B].public_key,
						      .owner = 7 };

			CHECK(wg_peer_remove(a, l->side[LINK_A].peer));
			CHECK(wg_peer_add(a, &again, &l->side[LINK_A].peer, NULL) == 0);
		}
		link_send(l, LINK_A, i);
		link_send(l, LINK_B, i);
		wg_peer_handshake(a, l->now, l->side[LINK_A].peer);
		link_run_ms(l, 6000);
		lane = wg_table_lane(wg_table(a), 7);
		if (lane && lane->sending)
			atomic_store(&t[1].index, lane->sending->local_index);
		for (int k = 0; k < 2; k++) {
			atomic_store(&t[k].now, l->now.mono.ns);
			if (atomic_exchange(&t[k].wake, false))
				wg_notice(a, l->now, 7);
		}
		generation = wg_retired(a);
		wait_quiescent(&t[0]);
		wait_quiescent(&t[1]);
		wg_reclaim(a, generation);
	}
	for (int k = 0; k < 2; k++) {
		atomic_store(&t[k].stop, true);
		(void)pthread_join(thread[k], NULL);
		CHECK(atomic_load(&t[k].used) > 100);
	}
	CHECK(wg_count(a, WG_COUNT_SESSIONS) >= 60);
	link_destroy(l);
}

TEST(counters_end_before_they_wrap)
{
	struct link *l = link_create(53, NULL);
	struct wg_session *s;
	uint64_t first = 0;

	link_send(l, LINK_A, 0);
	link_run_ms(l, 10000);
	s = wg_table_lane(wg_table(l->side[0].wg), 7)->sending;
	atomic_store(&s->send_counter, WG_REKEY_AFTER_MESSAGES + 1);
	link_send(l, LINK_A, 1); /* asks for a new session, and data still flows */
	link_run_ms(l, 100);
	CHECK_INT(l->side[LINK_A].sent_type[1], 2);
	CHECK_INT(l->side[LINK_B].seen[1], 1);
	link_run_ms(l, 6000);
	s = wg_table_lane(wg_table(l->side[0].wg), 7)->sending;
	atomic_store(&s->send_counter, WG_REJECT_AFTER_MESSAGES - 5);
	CHECK(!wg_session_reserve(s, 6, &first));
	CHECK(wg_session_reserve(s, 4, &first) && first == WG_REJECT_AFTER_MESSAGES - 5);
	CHECK(!wg_session_reserve(s, 4, &first));
	link_send(l, LINK_A, 2); /* the last counter is never used */
	link_run_ms(l, 100);
	link_send(l, LINK_A, 3);
	link_run_ms(l, 100);
	CHECK_INT(l->side[LINK_A].sent_type[1], 3);
	CHECK_INT(l->side[LINK_B].seen[3], 1);
	link_destroy(l);
}
