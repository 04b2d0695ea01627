/* Two engines over a link with a seed: sessions over minutes, loss, replays, timers, clocks. */
#include <stdlib.h>

#include "base/rand.h"
#include "engine/wg/wg_machine.h"
#include "kit/kit.h"
#include "link.h"

static unsigned sessions(const struct link *l, int side)
{
	return (unsigned)wg_count(l->side[side].wg, WG_COUNT_SESSIONS);
}

static unsigned handshakes_sent(const struct link *l)
{
	return l->side[0].sent_type[1] + l->side[1].sent_type[1];
}

/* Every packet of numbers 0 .. n-1 arrived exactly once, or at most once. */
static unsigned count_seen(const struct link_side *s, uint32_t n)
{
	unsigned arrived = 0;

	for (uint32_t i = 0; i < n; i++) {
		CHECK(s->seen[i] <= 1);
		arrived += s->seen[i];
	}
	return arrived;
}

TEST(sim_sessions_are_renewed_and_nothing_is_lost)
{
	struct link *l = link_create(1, NULL);

	for (uint32_t i = 0; i < 4000; i++) { /* 400 s */
		link_send(l, LINK_A, i);
		if (i % 3 == 1) /* not at once: both would begin */
			link_send(l, LINK_B, i);
		link_run_ms(l, 100);
	}
	CHECK_INT(count_seen(&l->side[LINK_B], 4000), 4000);
	CHECK_INT(count_seen(&l->side[LINK_A], 4000), 1333);
	CHECK_INT(handshakes_sent(l), 4); /* at 0, 120, 240 and 360 s */
	CHECK_INT(l->side[LINK_B].sent_type[1],
		  0); /* the responder leaves renewing to the initiator */
	CHECK_INT(sessions(l, LINK_A), 4);
	/* Data says enough; A confirms the three later sessions, for which nothing waited. */
	CHECK_INT(wg_count(l->side[LINK_A].wg, WG_COUNT_KEEPALIVES_SENT), 3);
	CHECK_INT(wg_count(l->side[LINK_B].wg, WG_COUNT_KEEPALIVES_SENT), 0);
	link_destroy(l);
}

TEST(sim_one_way_traffic_is_answered_by_keepalives)
{
	struct link *l = link_create(2, NULL);

	for (uint32_t i = 0; i < 1000; i++) { /* 100 s, no data back */
		link_send(l, LINK_A, i);
		link_run_ms(l, 100);
	}
	/* Control watches, so data threads need not wake it for each packet. */
	CHECK(wg_table_lane(wg_table(l->side[LINK_A].wg), 7)->watched_send);
	CHECK(wg_table_lane(wg_table(l->side[LINK_B].wg), 7)->watched_receive);
	/* B: a keepalive each 10 s. A: none, it has data. No second handshake. */
	CHECK(l->side[LINK_B].sent_type[4] >= 9 && l->side[LINK_B].sent_type[4] <= 10);
	CHECK_INT(l->side[LINK_A].sent_type[4], 1000);
	CHECK_INT(handshakes_sent(l), 1);
	/* Silence: the last data is answered once, then both are quiet. */
	link_run_ms(l, 60000);
	CHECK(l->side[LINK_B].sent_type[4] <= 12);
	CHECK_INT(l->side[LINK_A].sent_type[4], 1000);
	link_destroy(l);
}

TEST(sim_data_during_the_wait_brings_a_second_keepalive)
{
	struct link *l = link_create(41, NULL);

	link_send(l, LINK_A, 0);
	link_run_ms(l, 5000);
	CHECK_INT(l->side[LINK_B].sent_type[4], 0);
	link_send(l, LINK_A, 1); /* while B's keepalive is pending */
	link_run_ms(l, 6000);
	CHECK_INT(l->side[LINK_B].sent_type[4], 1); /* at 10 s */
	link_run_ms(l, 8000);
	CHECK_INT(l->side[LINK_B].sent_type[4], 1);
	link_run_ms(l, 2000);
	CHECK_INT(l->side[LINK_B].sent_type[4], 2); /* at 20 s */
	link_run_ms(l, 60000);
	CHECK_INT(l->side[LINK_B].sent_type[4], 2);
	link_destroy(l);
}

TEST(sim_initiator_renews_when_it_hears_on_an_old_session)
{
	struct link *l = link_create(42, NULL);

	link_send(l, LINK_A, 0);
	link_run_ms(l, 164000);
	link_send(l, LINK_B, 0);
	link_run_ms(l, 500);
	CHECK_INT(handshakes_sent(l), 1); /* at 164 s it may still answer with a keepalive */
	link_run_ms(l, 1500);
	link_send(l, LINK_B, 1);
	link_run_ms(l, 500);
	CHECK_INT(handshakes_sent(l), 2); /* at 166 s not */
	CHECK_INT(l->side[LINK_B].sent_type[1], 0);
	link_send(l, LINK_B, 2);
	link_run_ms(l, 500);
	CHECK_INT(handshakes_sent(l), 2);
	link_destroy(l);
}

TEST(sim_receiver_renews_before_its_session_ends)
{
	struct link *l = link_create(3, NULL);

	link_send(l, LINK_A, 0); /* A is the initiator and only receives from then on */
	for (uint32_t i = 0; i < 1640; i++) {
		link_run_ms(l, 100);
		link_send(l, LINK_B, i);
	}
	/* A's keepalives leave with an old session and renew it at 120 s. */
	CHECK(l->side[LINK_A].sent_type[1] >= 2);
	link_run_ms(l, 2000);
	CHECK_INT(count_seen(&l->side[LINK_A], 1640), 1640);
	link_destroy(l);
}

TEST(sim_loss_reordering_and_doubles)
{
	for (uint64_t seed = 10; seed < 14; seed++) {
		struct link *l = link_create(seed, NULL);
		unsigned a, b;

		l->loss_permille = 200;
		l->double_permille = 100;
		l->jitter_ms = 400;
		for (uint32_t i = 0; i < 10000; i++) {
			link_send(l, LINK_A, i);
			link_send(l, LINK_B, i);
			link_run_ms(l, 50); /* 500 s */
		}
		a = count_seen(&l->side[LINK_A], 10000);
		b = count_seen(&l->side[LINK_B], 10000);
		CHECK(a > 7500 && a < 8500);
		CHECK(b > 7500 && b < 8500);
		CHECK(l->side[LINK_A].verdicts[WG_DROP_REPLAY] > 500);
		CHECK_INT(l->side[LINK_A].verdicts[WG_DROP_AUTH], 0);
		CHECK(handshakes_sent(l) < 40);
		link_destroy(l);
	}
}

TEST(sim_both_begin_at_once)
{
	for (uint64_t seed = 20; seed < 40; seed++) {
		struct link *l = link_create(seed, NULL);

		l->jitter_ms = 5;
		link_send(l, LINK_A, 0);
		link_send(l, LINK_B, 0);
		link_run_ms(l, 1000);
		for (uint32_t i = 1; i < 100; i++) {
			link_send(l, LINK_A, i);
			link_send(l, LINK_B, i);
			link_run_ms(l, 20);
		}
		CHECK_INT(count_seen(&l->side[LINK_A], 100), 100);
		CHECK_INT(count_seen(&l->side[LINK_B], 100), 100);
		CHECK(handshakes_sent(l) <= 4);
		link_destroy(l);
	}
}

struct tape {
	struct bytes from_a[200];
	size_t n;
};

static void record(void *arg, int from, const uint8_t *p, size_t n)
{
	struct tape *t = arg;

	if (from == LINK_A && t->n < sizeof(t->from_a) / sizeof(t->from_a[0]))
		t->from_a[t->n++] = kit_copy(bytes_of(p, n));
}

TEST(sim_replays_change_nothing)
{
	struct link *l = link_create(4, NULL);
	struct wg_source evil = { .addr = { ip_v4(203, 0, 113, 66), 666 } };
	struct tape tape = { .n = 0 };
	unsigned delivered, responses;

	l->on_datagram = record;
	l->arg = &tape;
	for (uint32_t i = 0; i < 100; i++) {
		link_send(l, LINK_A, i);
		link_run_ms(l, 20);
	}
	delivered = l->side[LINK_B].delivered;
	responses = l->side[LINK_B].sent_type[2];
	CHECK(tape.n >= 101);
	for (size_t i = 0; i < tape.n; i++) {
		enum wg_verdict v = link_inject(l, LINK_B, evil, tape.from_a[i]);

		CHECK(v == WG_DROP_REPLAY || v == WG_DROP_OLD_TIMESTAMP);
		link_run_ms(l, 50);
	}
	CHECK_INT(l->side[LINK_B].delivered, delivered);
	CHECK_INT(l->side[LINK_B].sent_type[2], responses);
	CHECK(!addrport_equal(l->side[LINK_B].last_from.addr, evil.addr));
	link_destroy(l);
}

TEST(sim_response_counts_once)
{
	struct link *l = link_create(5, NULL);
	struct tape tape = { .n = 0 };

	l->on_datagram = record;
	l->arg = &tape;
	link_send(l, LINK_B, 0); /* so A's first datagram is its response */
	link_run_ms(l, 100);
	CHECK(tape.n >= 1 && tape.from_a[0].n == 92);
	CHECK_INT(sessions(l, LINK_B), 1);
	CHECK_INT(link_inject(l, LINK_B, l->side[LINK_A].at, tape.from_a[0]), WG_DROP_INDEX);
	CHECK_INT(sessions(l, LINK_B), 1);
	link_destroy(l);
}

TEST(sim_roaming_is_reported)
{
	struct link *l = link_create(6, NULL);
	struct wg_source moved = { .addr = { ip_v4(198, 51, 100, 9), 1000 }, .via = 3 };

	link_send(l, LINK_A, 0);
	link_run_ms(l, 100);
	CHECK(addrport_equal(l->side[LINK_B].last_from.addr, l->side[LINK_A].at.addr));
	l->side[LINK_A].at = moved;
	link_send(l, LINK_A, 1);
	link_run_ms(l, 100);
	CHECK(addrport_equal(l->side[LINK_B].last_from.addr, moved.addr));
	CHECK_INT(l->side[LINK_B].last_from.via, 3);
	CHECK_INT(count_seen(&l->side[LINK_B], 2), 2);
	link_destroy(l);
}

TEST(sim_cookie_under_load)
{
	struct link *l = link_create(7, NULL);

	wg_set_under_load(l->side[LINK_B].wg, true);
	link_send(l, LINK_A, 0);
	link_run_ms(l, 1000);
	CHECK_INT(l->side[LINK_B].verdicts[WG_COOKIE_SENT], 1);
	CHECK_INT(l->side[LINK_B].cookies_back, 1); /* to where it came from, not to a peer */
	CHECK_INT(l->side[LINK_A].verdicts[WG_COOKIE_TAKEN], 1);
	CHECK_INT(sessions(l, LINK_B), 0);
	link_run_ms(l, 5000); /* the retry carries mac2 */
	CHECK_INT(sessions(l, LINK_B), 1);
	CHECK_INT(count_seen(&l->side[LINK_B], 1), 1);
	CHECK_INT(l->side[LINK_A].sent_type[1], 2);
	link_destroy(l);
}

TEST(sim_cookie_that_does_not_help_is_forgotten)
{
	struct link *l = link_create(8, NULL);
	struct tape tape = { .n = 0 };

	l->on_datagram = record;
	l->arg = &tape;
	wg_set_under_load(l->side[LINK_B].wg, true);
	link_send(l, LINK_A, 0);
	link_run_ms(l, 1000);
	CHECK_INT(l->side[LINK_A].verdicts[WG_COOKIE_TAKEN], 1);
	l->side[LINK_B].cut = true; /* no response, no further cookie */
	link_run_ms(l, 10500);
	CHECK_INT(tape.n, 3);
	CHECK(!secret_is_zero(tape.from_a[1].p + 132, 16)); /* tried with mac2 ... */
	CHECK(secret_is_zero(tape.from_a[2].p + 132, 16));  /* ... and without */
	link_destroy(l);
}

TEST(sim_initiations_stop_after_90_seconds)
{
	struct link *l = link_create(9, NULL);
	struct tape tape = { .n = 0 };
	struct wg_peer_status st;

	l->on_datagram = record;
	l->arg = &tape;
	l->side[LINK_A].cut = true;
	for (uint32_t i = 0; i < 200; i++)
		link_send(l, LINK_A, i);
	CHECK(wg_peer_status(l->side[LINK_A].wg, l->now.mono, l->side[LINK_A].peer, &st));
	CHECK_INT(st.staged, WG_STAGED_MAX);
	CHECK_INT(wg_count(l->side[LINK_A].wg, WG_COUNT_STAGED_DROPPED), 72);
	link_run_ms(l, 600000);
	CHECK_INT(tape.n, 20);                /* the first and 19 retries */
	for (size_t i = 1; i < tape.n; i++) { /* each with its own index, ephemeral and timestamp */
		CHECK(memcmp(tape.from_a[i].p + 4, tape.from_a[i - 1].p + 4, 4) != 0);
		CHECK(memcmp(tape.from_a[i].p + 8, tape.from_a[i - 1].p + 8, 32) != 0);
	}
	CHECK_INT(wg_count(l->side[LINK_A].wg, WG_COUNT_HANDSHAKES_GIVEN_UP), 1);
	CHECK(l->side[LINK_A].wg->index.n <= 2); /* each retry gave its index back */
	CHECK(wg_peer_status(l->side[LINK_A].wg, l->now.mono, l->side[LINK_A].peer, &st));
	CHECK_INT(st.staged, 0);
	l->side[LINK_A].cut = false;
	link_send(l, LINK_A, 500);
	link_run_ms(l, 100);
	CHECK_INT(l->side[LINK_B].seen[500], 1);
	link_destroy(l);
}

TEST(sim_staged_packets_leave_in_order_newest_kept)
{
	struct link *l = link_create(30, NULL);

	l->side[LINK_B].cut = true; /* no response yet */
	for (uint32_t i = 0; i < 200; i++)
		link_send(l, LINK_A, i);
	link_run_ms(l, 1000);
	l->side[LINK_B].cut = false;
	link_run_ms(l, 6000);
	CHECK_INT(count_seen(&l->side[LINK_B], 200), WG_STAGED_MAX);
	CHECK_INT(l->side[LINK_B].seen[71], 0);
	CHECK_INT(l->side[LINK_B].seen[72], 1);
	CHECK_INT(l->side[LINK_B].seen[199], 1);
	link_destroy(l);
}

TEST(sim_silence_after_data_starts_a_handshake)
{
	struct link *l = link_create(31, NULL);

	link_send(l, LINK_A, 0);
	link_run_ms(l, 30000); /* B's keepalive came after 10 s */
	CHECK_INT(handshakes_sent(l), 1);
	l->side[LINK_B].cut = true;
	link_send(l, LINK_A, 1);
	link_run_ms(l, 14900);
	CHECK_INT(handshakes_sent(l), 1);
	link_run_ms(l, 500); /* 15 s and up to 333 ms */
	CHECK_INT(handshakes_sent(l), 2);
	link_destroy(l);
}

TEST(sim_handshake_messages_count_as_signs_of_life)
{
	struct link *l = link_create(45, NULL);

	link_send(l, LINK_A, 0); /* B owes a keepalive at 10 s ... */
	link_run_ms(l, 6000);
	wg_peer_handshake(l->side[LINK_A].wg, l->now, l->side[LINK_A].peer);
	link_run_ms(l, 14000); /* ... and its response paid for it */
	CHECK_INT(handshakes_sent(l), 2);
	CHECK_INT(l->side[LINK_B].sent_type[4], 0);
	l->side[LINK_B].cut = true;
	link_send(l, LINK_A, 1); /* unanswered ... */
	link_run_ms(l, 7000);
	l->side[LINK_B].cut = false;
	wg_peer_handshake(l->side[LINK_B].wg, l->now, l->side[LINK_B].peer);
	link_run_ms(l, 5); /* on its way */
	l->side[LINK_B].cut = true;
	link_run_ms(l, 20000); /* ... until their initiation came */
	CHECK_INT(l->side[LINK_A].sent_type[1], 2);
	CHECK_INT(l->side[LINK_A].sent_type[2], 1);
	link_destroy(l);
}

TEST(sim_traffic_keeps_the_attempts_going)
{
	struct link *l = link_create(46, NULL);

	l->side[LINK_A].cut = true;
	for (uint32_t i = 0; i < 20; i++) { /* 600 s */
		link_send(l, LINK_A, i);
		link_run_ms(l, 30000);
	}
	CHECK_INT(wg_count(l->side[LINK_A].wg, WG_COUNT_HANDSHAKES_GIVEN_UP), 0);
	CHECK(l->side[LINK_A].sent_type[1] > 100);
	link_destroy(l);
}

TEST(sim_persistent_keepalive)
{
	struct link *l = link_create(32, NULL);

	wg_peer_set_keepalive(l->side[LINK_A].wg, l->side[LINK_A].peer, 25);
	link_run_ms(l, 100);
	CHECK_INT(l->side[LINK_A].sent_type[1], 1); /* begins by itself */
	CHECK_INT(l->side[LINK_A].sent_type[4], 1);
	link_run_ms(l, 100000);
	CHECK(l->side[LINK_A].sent_type[4] >= 4 && l->side[LINK_A].sent_type[4] <= 6);
	wg_peer_set_keepalive(l->side[LINK_A].wg, l->side[LINK_A].peer, 0);
	l->side[LINK_A].sent_type[4] = 0;
	link_run_ms(l, 100000);
	CHECK_INT(l->side[LINK_A].sent_type[4], 0);
	link_destroy(l);
}

TEST(sim_keys_are_wiped_after_nine_minutes)
{
	struct link *l = link_create(33, NULL);
	struct wg_peer_status st;
	uint32_t index = 0;

	link_send(l, LINK_A, 0);
	link_run_ms(l, 100);
	index = wg_table_lane(wg_table(l->side[0].wg), 7)->sending->local_index;
	link_run_ms(l, 181000);
	CHECK(wg_table_session(wg_table(l->side[0].wg), index) != NULL);
	CHECK(wg_peer_status(l->side[0].wg, l->now.mono, l->side[0].peer, &st) && !st.has_session);
	link_run_ms(l, 360000);
	CHECK(wg_table_session(wg_table(l->side[0].wg), index) == NULL);
	CHECK(wg_table_lane(wg_table(l->side[0].wg), 7)->sending == NULL);
	CHECK(!wg_table_lane(wg_table(l->side[0].wg), 7)->watched_send);
	CHECK(!wg_table_lane(wg_table(l->side[1].wg), 7)->watched_receive);
	CHECK(wg_deadline(l->side[0].wg).ns == INT64_MAX); /* an idle machine sleeps */
	link_send(l, LINK_A, 1);
	link_run_ms(l, 100);
	CHECK_INT(l->side[LINK_B].seen[1], 1);
	link_destroy(l);
}

TEST(sim_old_sessions_are_not_used)
{
	struct link *l = link_create(34, NULL);
	struct tape tape = { .n = 0 };

	l->on_datagram = record;
	l->arg = &tape;
	link_send(l, LINK_A, 0);
	link_run_ms(l, 100);
	l->side[LINK_A].cut = true;
	link_send(l, LINK_A, 1); /* sealed, lost, and brought back when it is too late */
	l->now.mono = mono_add_s(l->now.mono, 180);
	CHECK_INT(link_inject(l, LINK_B, l->side[LINK_A].at, tape.from_a[tape.n - 1]),
		  WG_DROP_EXPIRED);
	link_destroy(l);
}

TEST(sim_peer_removed_in_the_middle)
{
	struct link *l = link_create(35, NULL);
	struct link_side *b = &l->side[LINK_B];
	struct wg_peer_conf again = { .public_key = l->side[LINK_A].public_key, .owner = 9 };
	struct wg_peer_id old = b->peer;
	struct wg_datagram d;

	for (uint32_t i = 0; i < 50; i++) {
		link_send(l, LINK_A, i);
		link_run_ms(l, 20);
	}
	CHECK(wg_output(b->wg, l->now, b->peer, kit_hex("45000014")));
	CHECK(wg_peer_remove(b->wg, b->peer));
	CHECK(!wg_peer_remove(b->wg, old));
	CHECK(!wg_next_datagram(b->wg, &d)); /* what was queued for it is gone */
	CHECK(!wg_output(b->wg, l->now, old, kit_hex("45000014")));
	CHECK(wg_table_lane(wg_table(b->wg), 7) == NULL);
	CHECK_INT(wg_peer_count(b->wg), 0);
	link_send(l, LINK_A, 60);
	link_run_ms(l, 100);
	CHECK_INT(b->seen[60], 0);
	CHECK(b->verdicts[WG_DROP_INDEX] > 0);
	link_run_ms(l, 15400);
	CHECK(b->verdicts[WG_DROP_UNKNOWN_PEER] > 0); /* A tries anew, B does not answer */
	CHECK(wg_peer_add(b->wg, &again, &b->peer, NULL) == 0);
	CHECK(b->peer.slot == old.slot && b->peer.gen != old.gen);
	link_run_ms(l, 6000);
	link_send(l, LINK_A, 61);
	link_run_ms(l, 100);
	CHECK_INT(b->seen[61], 1);
	link_destroy(l);
}

TEST(sim_wall_clock_goes_back)
{
	struct link *l = link_create(36, NULL);

	link_send(l, LINK_A, 0);
	link_run_ms(l, 100);
	l->now.wall.ns -= INT64_C(86400) * 1000000000;
	for (uint32_t i = 1; i < 4000; i++) {
		link_send(l, LINK_A, i);
		link_run_ms(l, 100);
	}
	CHECK_INT(l->side[LINK_B].verdicts[WG_DROP_OLD_TIMESTAMP], 0);
	CHECK_INT(count_seen(&l->side[LINK_B], 4000), 4000);
	CHECK_INT(handshakes_sent(l), 4);
	link_destroy(l);
}

TEST(sim_restart_with_a_bad_clock_needs_the_floor)
{
	struct link *l = link_create(37, NULL);
	struct link_side *a = &l->side[LINK_A];
	struct wg_conf conf = { .rng = &a->rng, .private_key = a->private_key };
	struct wall floor;

	link_send(l, LINK_A, 0);
	link_run_ms(l, 100);
	floor = wg_clock(a->wg);
	CHECK(floor.ns == 1700000000000000000);
	l->now.wall.ns = 1000; /* a machine without a battery */
	link_restart(l, LINK_A, &conf);
	link_send(l, LINK_A, 1);
	link_run_ms(l, 1000);
	CHECK_INT(l->side[LINK_B].verdicts[WG_DROP_OLD_TIMESTAMP], 1);
	conf.clock_floor = (struct wall){ floor.ns + 1000000000 };
	link_restart(l, LINK_A, &conf);
	link_send(l, LINK_A, 2);
	link_run_ms(l, 1000);
	CHECK_INT(l->side[LINK_B].seen[2], 1);
	link_destroy(l);
}

TEST(sim_restarted_peer_is_heard_at_once)
{
	struct link *l = link_create(38, NULL);
	struct link_side *b = &l->side[LINK_B];
	struct wg_conf conf = { .rng = &b->rng, .private_key = b->private_key };

	link_send(l, LINK_A, 0);
	link_run_ms(l, 1000);
	link_restart(l, LINK_B, &conf);
	link_send(l, LINK_B, 5); /* B speaks first: A follows without delay */
	link_run_ms(l, 100);
	CHECK_INT(l->side[LINK_A].seen[5], 1);
	link_send(l, LINK_A, 6);
	link_run_ms(l, 100);
	CHECK_INT(b->seen[6], 1);
	link_destroy(l);
}

TEST(sim_nudge_restarts_the_session_with_the_next_packet)
{
	struct link *l = link_create(39, NULL);

	link_send(l, LINK_A, 0);
	link_run_ms(l, 6000);
	wg_peer_nudge(l->side[LINK_A].wg, l->side[LINK_A].peer);
	CHECK(wg_table_lane(wg_table(l->side[0].wg), 7)->sending == NULL);
	link_run_ms(l, 1000);
	CHECK_INT(handshakes_sent(l), 1); /* not by itself */
	link_send(l, LINK_A, 1);
	CHECK(wg_table_lane(wg_table(l->side[0].wg), 7)->sending != NULL); /* until then */
	link_run_ms(l, 1000);
	CHECK_INT(handshakes_sent(l), 2);
	CHECK_INT(l->side[LINK_B].seen[1], 1); /* and the packet did not wait */
	CHECK(wg_table_lane(wg_table(l->side[0].wg), 7)->sending != NULL);
	link_send(l, LINK_A, 2);
	link_run_ms(l, 1000);
	CHECK_INT(handshakes_sent(l), 2);
	link_destroy(l);
}

TEST(sim_nudge_is_done_when_a_session_came_meanwhile)
{
	struct link *l = link_create(43, NULL);

	link_send(l, LINK_A, 0);
	link_run_ms(l, 6000);
	wg_peer_nudge(l->side[LINK_A].wg, l->side[LINK_A].peer);
	wg_peer_handshake(l->side[LINK_B].wg, l->now, l->side[LINK_B].peer);
	link_run_ms(l, 1000);
	CHECK(wg_table_lane(wg_table(l->side[0].wg), 7)->sending != NULL);
	link_send(l, LINK_A, 1);
	link_run_ms(l, 1000);
	CHECK_INT(handshakes_sent(l), 2); /* A's first, B's second */
	CHECK_INT(l->side[LINK_B].seen[1], 1);
	link_destroy(l);
}

static void little_staging(int side, struct wg_conf *conf)
{
	(void)side;
	conf->staged_bytes_max = 500;
}

TEST(sim_sent_packets_give_their_room_back)
{
	struct link *l = link_create(44, little_staging);

	for (uint32_t i = 0; i < 200; i++) {
		link_send(l, LINK_A, i);
		link_run_ms(l, 50);
	}
	CHECK_INT(count_seen(&l->side[LINK_B], 200), 200);
	CHECK_INT(wg_count(l->side[LINK_A].wg, WG_COUNT_STAGED_DROPPED), 0);
	link_destroy(l);
}

TEST(sim_private_key_change_ends_attempts)
{
	struct link *l = link_create(47, NULL);

	l->side[LINK_A].cut = true;
	link_send(l, LINK_A, 0);
	wg_set_private_key(l->side[LINK_A].wg, &l->side[LINK_A].private_key);
	link_run_ms(l, 60000);
	CHECK_INT(l->side[LINK_A].sent_type[1], 1);
	CHECK_INT(wg_count(l->side[LINK_A].wg, WG_COUNT_STAGED_DROPPED), 1);
	link_send(l, LINK_A, 1);
	wg_set_private_key(l->side[LINK_A].wg, &l->side[LINK_A].private_key);
	link_send(l, LINK_A, 2);
	CHECK_INT(l->side[LINK_A].sent_type[1], 3); /* without waiting out the old key's 5 s */
	link_destroy(l);
}

TEST(sim_private_key_change_and_logout)
{
	struct link *l = link_create(40, NULL);
	struct secret32 none = { 0 };
	struct tape tape = { .n = 0 };

	l->on_datagram = record;
	l->arg = &tape;
	link_send(l, LINK_A, 0);
	link_run_ms(l, 100);
	wg_set_private_key(l->side[LINK_B].wg, &none);
	CHECK_INT(link_inject(l, LINK_B, l->side[LINK_A].at, tape.from_a[0]), WG_DROP_LOGGED_OUT);
	link_send(l, LINK_B, 1); /* staged for nobody */
	link_run_ms(l, 100);
	CHECK_INT(l->side[LINK_B].sent_type[1], 0);
	wg_set_private_key(l->side[LINK_B].wg, &l->side[LINK_B].private_key);
	CHECK_INT(link_inject(l, LINK_B, l->side[LINK_A].at, tape.from_a[1]), WG_DROP_INDEX);
	link_send(l, LINK_B, 2);
	link_run_ms(l, 100);
	CHECK_INT(l->side[LINK_A].seen[2], 1);
	link_destroy(l);
}
