/*
 * Steps of one byte of kind, one of length and that many bytes: a segment whose numbers are made to
 * fit the connection (or not), any packet at all, an answer of the owner, or time.
 */
#include "engine/microtcp/microtcp_impl.h"

#include <stdlib.h>

static const struct addrport here = { { 4, { 100, 100, 100, 100 } }, 53 };
static const struct addrport there = { { 4, { 100, 64, 0, 1 } }, 40000 };

struct owner {
	struct microtcp_conn *c;
	struct mono now;
	size_t calls;
};

static bool on_ask(void *arg, const struct addrport *local, const struct addrport *peer)
{
	(void)arg;
	(void)peer;
	return local->port == 53;
}

static void *on_open(void *arg, struct microtcp_conn *c)
{
	struct owner *o = arg;

	if (o->c) /* one at a time is watched */
		return NULL;
	o->c = c;
	return o;
}

static void on_data(void *arg, struct bytes data)
{
	struct owner *o = arg;

	if (!o->c)
		abort();
	if (data.n && data.p[0] == 'p')
		microtcp_pause(o->c);
	microtcp_output(o->c, o->now, data);
	if (data.n && data.p[0] == 'q') {
		microtcp_close(o->c, o->now, data.n > 1);
		o->c = NULL;
	}
}

static void on_end(void *arg)
{
	struct owner *o = arg;

	microtcp_finish(o->c, o->now);
}

static void on_gone(void *arg, enum microtcp_end why)
{
	(void)why;
	((struct owner *)arg)->c = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct owner owner = { .now = { 1000000000 } };
	struct microtcp_conf conf = { .rng = rng_seeded(1),
				      .on_ask = on_ask,
				      .on_open = on_open,
				      .on_data = on_data,
				      .on_end = on_end,
				      .on_gone = on_gone,
				      .arg = &owner };
	struct microtcp *t = microtcp_create(&conf);
	struct reader r = reader_of(bytes_of(data, n));
	uint8_t packet[MICROTCP_PACKET_MAX];
	uint32_t seq = 100, ack = 0;
	struct segment s;
	struct bytes b;

	while (reader_left(&r) > 1) {
		uint8_t kind = read_u8(&r), len = read_u8(&r);
		struct bytes body = read_bytes(&r, len < reader_left(&r) ? len : reader_left(&r));
		struct outgoing o = { .local = &there,
				      .peer = &here,
				      .seq = seq,
				      .ack = ack,
				      .flags = kind & 0x1f,
				      .window = (uint16_t)(len << 4),
				      .mss = len,
				      .scale = kind & 0x20,
				      .data = body };

		if ((kind & 0xc0) == 0x00) {
			(void)microtcp_input(t, owner.now, segment_encode(&o, packet));
			seq += (uint32_t)body.n + !!(kind & TCP_SYN) + !!(kind & TCP_FIN);
		} else if ((kind & 0xc0) == 0x40) {
			o.seq += (uint32_t)(int8_t)len; /* beside the right number */
			(void)microtcp_input(t, owner.now, segment_encode(&o, packet));
		} else if ((kind & 0xc0) == 0x80) {
			(void)microtcp_input(t, owner.now, body);
		} else {
			if (owner.c && kind & 1)
				microtcp_resume(owner.c);
			if (owner.c && kind & 2)
				microtcp_output(owner.c, owner.now, body);
			owner.now = mono_add_ms(owner.now, (int64_t)len * (kind & 4 ? 1000 : 10));
			microtcp_tick(t, owner.now);
		}
		while ((b = microtcp_next_packet(t, owner.now)).n) {
			if (!segment_decode(&s, b))
				abort(); /* what we say must be well-formed */
			ack = s.seq + (uint32_t)s.data.n + !!(s.flags & (TCP_SYN | TCP_FIN));
		}
	}
	microtcp_destroy(t);
	return 0;
}
