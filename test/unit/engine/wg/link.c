#include "link.h"

#include <stdlib.h>

#include "crypto/x25519.h"
#include "kit/kit.h"

static void add_peer(struct link *l, int side)
{
	struct wg_peer_conf peer = { .public_key = l->side[1 - side].public_key, .owner = 7 };

	CHECK(wg_peer_add(l->side[side].wg, &peer, &l->side[side].peer, NULL) == 0);
}

struct link *link_create(uint64_t seed, void (*tweak)(int side, struct wg_conf *conf))
{
	struct link *l = calloc(1, sizeof(*l));

	l->rng = rng_seeded(seed);
	l->now = (struct wg_time){ { 1000000000 }, { 1700000000000000000 } };
	l->delay_ms = 10;
	l->flight = calloc(LINK_IN_FLIGHT, sizeof(*l->flight));
	for (int i = 0; i < 2; i++) {
		struct link_side *s = &l->side[i];
		struct wg_conf conf = { .rng = &s->rng };

		s->rng = rng_seeded(seed * 2 + (uint64_t)i);
		x25519_generate(&s->private_key, &s->rng);
		x25519_public(s->public_key.b, &s->private_key);
		s->at.addr = (struct addrport){ ip_v4(192, 0, 2, (uint8_t)(i + 1)), 41641 };
		conf.private_key = s->private_key;
		if (tweak)
			tweak(i, &conf);
		s->wg = wg_create(&conf, NULL);
	}
	add_peer(l, LINK_A);
	add_peer(l, LINK_B);
	return l;
}

void link_destroy(struct link *l)
{
	wg_destroy(l->side[0].wg);
	wg_destroy(l->side[1].wg);
	free(l->flight);
	free(l);
}

void link_restart(struct link *l, int side, const struct wg_conf *conf)
{
	wg_destroy(l->side[side].wg);
	l->side[side].wg = wg_create(conf, NULL);
	add_peer(l, side);
}

size_t link_packet(int from, uint32_t number, uint8_t out[64])
{
	struct writer w = writer_of(out, 64);

	write_copy(&w, "\x45\x00\x00\x18\x00\x00\x00\x00\x40\x11\x00\x00\x64\x40\x00", 15);
	write_u8(&w, (uint8_t)(from + 1));
	write_copy(&w, "\x64\x40\x00\x03", 4);
	write_be32(&w, number);
	return writer_done(&w);
}

static void note_delivered(struct link_side *s, struct bytes packet)
{
	struct reader r = reader_of(packet);
	uint32_t number;

	read_skip(&r, 20);
	number = read_be32(&r);
	s->delivered++;
	CHECK(!r.bad && reader_left(&r) == 0 && number < LINK_SEEN_MAX);
	if (number < LINK_SEEN_MAX)
		s->seen[number]++;
}

/* In an exact-size block, so that ASan sees the engine read too far. */
enum wg_verdict link_inject(struct link *l, int to, struct wg_source from, struct bytes datagram)
{
	struct link_side *s = &l->side[to];
	struct wg_received got;
	uint8_t *copy = malloc(datagram.n ? datagram.n : 1);
	enum wg_verdict v;

	memcpy(copy, datagram.p, datagram.n);
	v = wg_input(s->wg, l->now, &from, copy, datagram.n, &got);
	s->verdicts[v]++;
	if (!wg_peer_id_is_none(got.peer))
		s->last_from = from;
	if (v == WG_DELIVER)
		note_delivered(s, got.packet);
	free(copy);
	return v;
}

static void launch(struct link *l, int from, struct bytes datagram)
{
	struct link_datagram *d = &l->flight[l->flight_n];

	if (l->side[from].cut || rng_below(&l->rng, 1000) < l->loss_permille ||
	    l->flight_n == LINK_IN_FLIGHT)
		return;
	l->flight_n++;
	d->at = mono_add_ms(l->now.mono, l->delay_ms);
	if (l->jitter_ms)
		d->at = mono_add_ms(d->at, (int64_t)rng_below(&l->rng, (uint64_t)l->jitter_ms));
	d->to = 1 - from;
	d->from = l->side[from].at;
	d->n = datagram.n;
	memcpy(d->b, datagram.p, datagram.n);
}

static void collect(struct link *l, int from)
{
	struct link_side *s = &l->side[from];
	struct wg_datagram d;

	while (wg_next_datagram(s->wg, &d)) {
		CHECK(d.n <= LINK_DATAGRAM_MAX);
		memset(d.p - WG_HEADROOM, 0xee, WG_HEADROOM);
		s->sent++;
		s->sent_type[d.p[0] < 5 ? d.p[0] : 0]++;
		if (wg_peer_id_is_none(d.peer))
			s->cookies_back +=
			    addrport_equal(d.reply_to.addr, l->side[1 - from].at.addr);
		if (l->on_datagram)
			l->on_datagram(l->arg, from, d.p, d.n);
		launch(l, from, bytes_of(d.p, d.n));
		if (rng_below(&l->rng, 1000) < l->double_permille)
			launch(l, from, bytes_of(d.p, d.n));
	}
}

static struct link_datagram *next_arrival(struct link *l)
{
	struct link_datagram *first = NULL;

	for (size_t i = 0; i < l->flight_n; i++)
		if (!first || l->flight[i].at.ns < first->at.ns)
			first = &l->flight[i];
	return first;
}

static void move_clock(struct link *l, struct mono to)
{
	if (to.ns <= l->now.mono.ns)
		return;
	l->now.wall.ns += to.ns - l->now.mono.ns;
	l->now.mono = to;
}

void link_run_ms(struct link *l, int64_t ms)
{
	struct mono end = mono_add_ms(l->now.mono, ms);

	for (;;) {
		struct link_datagram *d, arrived;
		struct mono timer;

		collect(l, LINK_A);
		collect(l, LINK_B);
		d = next_arrival(l);
		timer = mono_min(wg_deadline(l->side[0].wg), wg_deadline(l->side[1].wg));
		if ((!d || d->at.ns > end.ns) && timer.ns > end.ns)
			break;
		if (d && d->at.ns <= timer.ns) {
			arrived = *d;
			*d = l->flight[--l->flight_n];
			move_clock(l, arrived.at);
			(void)link_inject(l, arrived.to, arrived.from,
					  bytes_of(arrived.b, arrived.n));
			continue;
		}
		move_clock(l, timer);
		wg_tick(l->side[0].wg, l->now);
		wg_tick(l->side[1].wg, l->now);
	}
	move_clock(l, end);
}

void link_send(struct link *l, int from, uint32_t number)
{
	uint8_t packet[64];
	size_t n = link_packet(from, number, packet);

	CHECK(wg_output(l->side[from].wg, l->now, l->side[from].peer, bytes_of(packet, n)));
	collect(l, from);
}
