#include "node/datapath.h"

#include <poll.h>
#include <stdatomic.h>

#include "base/err.h"
#include "base/rand.h"
#include "crypto/x25519.h"
#include "io/udp.h"
#include "kit/kit.h"
#include "node/datapath_path.h"

/* --- path --- */

TEST(paths_are_read_as_they_were_set)
{
	static struct datapath_peers peers;
	struct datapath_path path = { .addr = { ip_v6_of((const uint8_t[16]){ 0xfd, [15] = 9 }),
						41641 },
				      .vni = 0xabcdef,
				      .relay = 17,
				      .trusted_until = { 123456789012 } },
			     got;
	struct datapath_source a = { .addr = path.addr }, b = a;

	CHECK(!datapath_peer_of(&peers, 300) && !datapath_peer_make(&peers, WG_OWNER_MAX));
	datapath_peer_set_path(datapath_peer_make(&peers, 300), &path);
	got = datapath_peer_path(datapath_peer_of(&peers, 300));
	CHECK(addrport_equal(got.addr, path.addr) && got.vni == path.vni && got.relay == 17 &&
	      got.trusted_until.ns == path.trusted_until.ns);
	got = datapath_peer_path(datapath_peer_of(&peers, 301));
	CHECK(!ip_is_valid(got.addr.ip) && got.relay == 0);
	b.addr.port++;
	CHECK(datapath_source_hash(&a) != datapath_source_hash(&b));
	CHECK(datapath_source_hash(&a) == datapath_source_hash(&a));
	datapath_peers_fini(&peers);
}

/* --- two ends over loopback --- */

enum { OWNER = 3, PACKET = 29 };

struct end {
	struct rng rng;
	struct wg *wg;
	struct udp udp;
	struct datapath *dp;
	struct key key;
	struct secret32 priv;
	struct wg_peer_id peer;
	unsigned received, sources, sends, relayed;
	struct datapath_source source;
	_Atomic enum datapath_verdict verdict; /* the filter runs in a data thread */
	_Atomic unsigned misfiltered;
	_Atomic unsigned answers_to; /* the port of the path when the filter saw a packet */
	struct end *other;           /* relays hand it over */
};

static void on_local(void *arg, bool outbound, uint32_t owner, struct bytes packet)
{
	struct end *e = arg;

	CHECK(!outbound && owner == OWNER && packet.n == PACKET);
	e->received++;
}

static void on_source(void *arg, uint32_t owner, const struct datapath_source *from)
{
	struct end *e = arg;

	CHECK(owner == OWNER);
	e->sources++;
	e->source = *from;
}

static void on_relay(void *arg, uint32_t relay, uint32_t owner, const struct bytes *datagrams,
		     size_t n)
{
	struct end *e = arg;
	struct datapath_source from = { .relay = relay };

	CHECK(owner == OWNER && relay == 5);
	for (size_t i = 0; i < n; i++)
		CHECK(datapath_inject(e->other->dp, datagrams[i], &from));
	e->relayed += (unsigned)n;
}

static enum datapath_verdict filter(void *arg, uint32_t owner, const struct ippkt *pkt,
				    struct bytes packet)
{
	struct end *e = arg;

	if (owner != OWNER || pkt->proto != IPPKT_TSMP || packet.n != PACKET)
		atomic_fetch_add(&e->misfiltered, 1);
	atomic_store(&e->answers_to, datapath_path_of(e->dp, owner).addr.port);
	return e->verdict;
}

enum { FOLLOW = 1, ROOMY = 2 };

static void end_open(struct end *e, uint64_t seed, unsigned threads, const char *crypto,
		     unsigned how)
{
	struct udp_conf udp = { .family = 4, .bind = ip_v4(127, 0, 0, 1) };
	struct wg_conf wg = { .rng = &e->rng, .data_threads = threads > 0 };
	struct datapath_conf conf = { .udp4 = &e->udp,
				      .threads = threads,
				      .crypto = crypto,
				      .memory_bytes = how & ROOMY ? 4 << 20 : 1 << 20,
				      .follow_source = how & FOLLOW,
				      .hooks = { .filter_in = filter,
						 .on_local = on_local,
						 .on_source = on_source,
						 .on_relay = on_relay,
						 .arg = e } };
	struct err err;

	memset(e, 0, sizeof(*e));
	e->rng = rng_seeded(seed);
	x25519_generate(&e->priv, &e->rng);
	x25519_public(e->key.b, &e->priv);
	wg.private_key = e->priv;
	e->wg = wg_create(&wg, &err);
	CHECK(udp_open(&e->udp, &udp, &err) == 0);
	conf.wg = e->wg;
	e->dp = datapath_create(&conf, &err);
	CHECK(e->wg && e->dp);
}

static void end_know(struct end *e, struct end *other)
{
	struct wg_peer_conf conf = { .public_key = other->key, .owner = OWNER };
	struct wg_allowed_entry all = { { ip_v4(100, 64, 0, 0), 10 }, OWNER };
	struct wg_allowed *allowed = wg_allowed_create(&all, 1);
	struct datapath_path path = { .addr = { ip_v4(127, 0, 0, 1), other->udp.port },
				      .trusted_until = MONO_NEVER };
	struct err err;

	e->other = other;
	CHECK(wg_peer_add(e->wg, &conf, &e->peer, &err) == 0);
	datapath_set_allowed(e->dp, allowed);
	wg_allowed_unref(allowed);
	datapath_set_path(e->dp, OWNER, &path);
}

static void end_close(struct end *e)
{
	datapath_destroy(e->dp);
	wg_destroy(e->wg);
	udp_close(&e->udp);
}

static struct wg_time now(void)
{
	return (struct wg_time){ mono_now(), wall_now() };
}

/* Turns both until *count reaches want; false after two seconds. */
static bool turn_until(struct end *a, struct end *b, const unsigned *count, unsigned want)
{
	struct mono limit = mono_add_s(mono_now(), 2);

	while (*count < want && !mono_reached(mono_now(), limit)) {
		struct pollfd fds[2] = { { datapath_fd(a->dp), POLLIN, 0 },
					 { datapath_fd(b->dp), POLLIN, 0 } };

		(void)poll(fds, 2, 5);
		datapath_turn(a->dp, now());
		datapath_turn(b->dp, now());
	}
	return *count >= want;
}

static void transmit(struct end *e, unsigned n)
{
	struct bytes packet = kit_hex("4500001d000000004063b1fb6440000164400002700102030405060708");

	while (n--)
		CHECK(datapath_route_packet(e->dp, now(), packet));
}

static void two_ends(unsigned threads, const char *crypto)
{
	struct datapath_path path = { .relay = 5 };
	struct end a, b;

	end_open(&a, 1, threads, crypto, 0);
	end_open(&b, 2, threads, crypto, 0);
	end_know(&a, &b);
	end_know(&b, &a);

	transmit(&a, 3); /* staged, handshake, delivered */
	CHECK(turn_until(&a, &b, &b.received, 3));
	CHECK(b.sources >= 1 && b.source.addr.port == a.udp.port && b.source.relay == 0);
	transmit(&b, 2);
	CHECK(turn_until(&a, &b, &a.received, 2));

	datapath_set_path(a.dp, OWNER, &path); /* a relay alone */
	transmit(&a, 4);
	CHECK(turn_until(&a, &b, &b.received, 7));
	CHECK(a.relayed >= 4 && b.source.relay == 5);

	path = (struct datapath_path){ .addr = { ip_v4(127, 0, 0, 1), b.udp.port },
				       .vni = 77,
				       .trusted_until = MONO_NEVER };
	datapath_set_path(a.dp, OWNER, &path); /* behind a Geneve header */
	transmit(&a, 2);
	CHECK(turn_until(&a, &b, &b.received, 9));
	CHECK(b.source.vni == 77 && b.source.addr.port == a.udp.port);

	b.verdict = DATAPATH_DROP;
	transmit(&a, 2);
	(void)turn_until(&a, &b, &b.received, 10);
	CHECK_INT(b.received, 9);
	CHECK_INT(datapath_count(b.dp, DATAPATH_DROP_FILTER_IN), 2);
	CHECK_INT(datapath_count(b.dp, DATAPATH_RELAYED_IN), a.relayed);
	CHECK_INT(datapath_count(b.dp, DATAPATH_DROP_AUTH), 0);

	CHECK(a.misfiltered == 0 && b.misfiltered == 0);
	CHECK(wg_peer_remove(b.wg, b.peer)); /* retired, and reclaimed once it is quiet */
	(void)turn_until(&a, &b, &b.received, 10);
	CHECK_INT(wg_retired(b.wg), 0);
	end_close(&a);
	end_close(&b);
}

TEST(packets_take_every_kind_of_path_without_threads)
{
	two_ends(0, "openssl");
}

TEST(packets_take_every_kind_of_path_with_threads)
{
	two_ends(2, NULL);
}

static void roam(unsigned threads)
{
	struct udp_conf udp = { .family = 4, .bind = ip_v4(127, 0, 0, 1) };
	struct end a, b;
	struct udp moved;
	struct err err;

	end_open(&a, 1, threads, NULL, FOLLOW);
	end_open(&b, 2, threads, NULL, FOLLOW);
	end_know(&a, &b);
	end_know(&b, &a);
	transmit(&a, 1);
	CHECK(turn_until(&a, &b, &b.received, 1));
	CHECK_INT(b.answers_to, a.udp.port);

	CHECK(udp_open(&moved, &udp, &err) == 0);
	datapath_set_sockets(a.dp, &moved, NULL);
	transmit(&a, 1);
	CHECK(turn_until(&a, &b, &b.received, 2));
	CHECK_INT(b.answers_to, moved.port);
	transmit(&b, 1);
	CHECK(turn_until(&a, &b, &a.received, 1));
	end_close(&a);
	end_close(&b);
	udp_close(&moved);
}

TEST(the_first_answer_after_roaming_goes_to_the_new_address)
{
	roam(0);
	roam(2);
}

TEST(datagrams_that_are_not_ours_are_counted)
{
	struct end a, b;
	struct addrport to;
	uint8_t junk[64] = { 4 };
	unsigned never = 0;

	end_open(&a, 1, 0, "openssl", 0);
	end_open(&b, 2, 0, "openssl", 0);
	to = (struct addrport){ ip_v4(127, 0, 0, 1), b.udp.port };
	CHECK(datapath_send_datagram(a.dp, &to, bytes_of(junk, sizeof(junk))));
	CHECK(datapath_send_datagram(a.dp, &to, bytes_of(junk, 1)));
	junk[0] = 9;
	CHECK(datapath_send_datagram(a.dp, &to, bytes_of(junk, sizeof(junk))));
	for (int i = 0; i < 20; i++)
		(void)turn_until(&a, &b, &never, 0), datapath_turn(b.dp, now());
	CHECK_INT(datapath_count(b.dp, DATAPATH_DROP_INDEX), 1);
	CHECK_INT(datapath_count(b.dp, DATAPATH_UDP_DATAGRAMS_IN), 3);
	CHECK_INT(datapath_count(b.dp, DATAPATH_TO_CONTROL), 1);
	CHECK_INT(wg_count_verdict(b.wg, WG_DROP_TYPE), 1);
	end_close(&a);
	end_close(&b);
}

static void count_taken(void *arg)
{
	struct end *e = arg;

	e->received = (unsigned)wg_count_verdict(e->wg, WG_DROP_TYPE);
}

/* More messages than one turn takes: it is not quiet before the last of them was taken. */
TEST(quiet_comes_after_what_was_told_before)
{
	enum { PIECE = 50, ALL = 1500 };
	struct mono limit = mono_add_s(mono_now(), 60);
	struct end a, b;
	struct addrport to;
	uint8_t junk[8] = { 9 };

	end_open(&a, 1, 0, "openssl", 0);
	end_open(&b, 2, 2, "openssl", ROOMY);
	to = (struct addrport){ ip_v4(127, 0, 0, 1), b.udp.port };
	for (unsigned n = PIECE; n <= ALL && !mono_reached(mono_now(), limit); n += PIECE) {
		for (int i = 0; i < PIECE; i++)
			CHECK(datapath_send_datagram(a.dp, &to, bytes_of(junk, sizeof(junk))));
		while (datapath_count(b.dp, DATAPATH_TO_CONTROL) < n &&
		       !mono_reached(mono_now(), limit))
			(void)poll(NULL, 0, 1);
	}
	CHECK_INT(datapath_count(b.dp, DATAPATH_TO_CONTROL), ALL);
	datapath_when_quiet(b.dp, count_taken, &b);
	datapath_turn(b.dp, now());
	CHECK_INT(b.received, 0);
	while (b.received == 0 && !mono_reached(mono_now(), limit))
		datapath_turn(b.dp, now());
	CHECK_INT(b.received, ALL);
	end_close(&a);
	end_close(&b);
}

/* Merged datagrams that change their tunnel number all the time: more sources than a batch holds.
 */
TEST(a_batch_of_many_tunnels_stays_within_its_table)
{
	struct end a, b;
	struct addrport to;
	uint8_t data[64 * 40] = { 0 };
	struct udp_run run = { .to = &to, .p = data, .n = sizeof(data), .segment = 40 };
	unsigned never = 0;

	end_open(&a, 1, 0, "openssl", 0);
	end_open(&b, 2, 0, "openssl", 0);
	to = (struct addrport){ ip_v4(127, 0, 0, 1), b.udp.port };
	for (int i = 0; i < 64; i++) {
		data[i * 40 + 2] = 0x7a;
		data[i * 40 + 3] = 0x12;
		data[i * 40 + 6] = (uint8_t)i;
		data[i * 40 + 8] = 4;
	}
	for (int i = 0; i < 8; i++)
		CHECK(udp_send_run(&a.udp, &run).datagrams == 64);
	for (int i = 0; i < 400 && datapath_count(b.dp, DATAPATH_DROP_INDEX) < 512; i++) {
		(void)turn_until(&a, &b, &never, 0);
		datapath_turn(b.dp, now());
	}
	CHECK_INT(datapath_count(b.dp, DATAPATH_DROP_INDEX), 512);
	end_close(&a);
	end_close(&b);
}
