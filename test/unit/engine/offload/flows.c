#include "flows.h"

#include <string.h>

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t sum(uint32_t acc, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		acc += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (acc >> 16)
		acc = (acc & 0xffff) + (acc >> 16);
	return acc;
}

static size_t transport_of(const uint8_t *p, uint8_t *proto)
{
	size_t at = 40;

	if (p[0] >> 4 == 4) {
		*proto = p[9];
		return (p[0] & 15U) * 4;
	}
	for (*proto = p[6]; *proto == 60 || *proto == 0; at += (p[at + 1] + 1U) * 8)
		*proto = p[at];
	return at;
}

static uint32_t transport_sum(const uint8_t *p, size_t n)
{
	uint8_t proto;
	size_t at = transport_of(p, &proto);
	uint32_t acc = p[0] >> 4 == 4 ? sum(0, p + 12, 8) : sum(0, p + 8, 32);
	uint8_t tail[4] = { 0, proto, (uint8_t)((n - at) >> 8), (uint8_t)(n - at) };

	return sum(sum(acc, tail, 4), p + at, n - at);
}

bool flow_sums_are_right(const uint8_t *p, size_t n)
{
	return (p[0] >> 4 == 6 || sum(0, p, (p[0] & 15U) * 4) == 0xffff) &&
	       transport_sum(p, n) == 0xffff;
}

struct flow flow_random(struct rng *rng)
{
	struct flow f = { .v6 = rng_below(rng, 2), .udp = rng_below(rng, 3) == 0 };

	f.options = (unsigned)rng_below(rng, 11) * 4;
	if (f.v6 && rng_below(rng, 4) == 0)
		f.extensions = 8 * (1 + (unsigned)rng_below(rng, 3));
	f.tos = (uint8_t)rng_u32(rng);
	f.id = (uint16_t)rng_u32(rng);
	f.dont_fragment = rng_below(rng, 4) != 0;
	f.fixed_id = f.dont_fragment && rng_below(rng, 4) == 0;
	f.seq = rng_u32(rng);
	return f;
}

size_t flow_header(const struct flow *f)
{
	return (f->v6 ? 40 + f->extensions : 20) + (f->udp ? 8 : 20 + f->options);
}

static size_t ip_part(struct flow *f, uint8_t *p, size_t length)
{
	uint8_t proto = f->udp ? 17 : 6;

	if (!f->v6) {
		uint8_t v4[20] = { 0x45, f->tos, 0,     0,  0, 0,   f->dont_fragment ? 0x40 : 0,
				   0,    64,     proto, 0,  0, 100, 64,
				   0,    1,      100,   64, 0, 2 };

		put16(v4 + 2, (uint32_t)length);
		put16(v4 + 4, f->id);
		f->id = (uint16_t)(f->id + !f->fixed_id);
		put16(v4 + 10, ~sum(0, v4, 20));
		memcpy(p, v4, 20);
		return 20;
	}
	memset(p, 0, 40 + f->extensions);
	p[0] = (uint8_t)(0x60 | f->tos >> 4);
	p[1] = (uint8_t)(f->tos << 4);
	put16(p + 4, (uint32_t)length - 40);
	p[6] = f->extensions ? 60 : proto;
	p[7] = 64;
	p[8] = p[24] = 0xfd;
	p[23] = 1;
	p[39] = 2;
	if (f->extensions) { /* one destination options header full of PadN */
		p[40] = proto;
		p[41] = (uint8_t)(f->extensions / 8 - 1);
		p[42] = 1;
		p[43] = (uint8_t)(f->extensions - 4);
	}
	return 40 + f->extensions;
}

size_t flow_packet(struct flow *f, struct rng *rng, uint8_t *out, size_t n, uint8_t flags)
{
	size_t length = flow_header(f) + n, at = ip_part(f, out, length);
	uint8_t *t = out + at, *field = t + (f->udp ? 6 : 16);

	memset(t, 0, flow_header(f) - at);
	put16(t, 1234);
	put16(t + 2, 443);
	if (f->udp) {
		put16(t + 4, (uint32_t)n + 8);
	} else {
		put16(t + 4, f->seq >> 16);
		put16(t + 6, f->seq);
		put16(t + 10, 77);
		t[12] = (uint8_t)((20 + f->options) / 4 << 4);
		t[13] = flags;
		put16(t + 14, 501);
		memset(t + 20, 1, f->options); /* NOPs */
		f->seq += (uint32_t)n;
	}
	rng->fill(rng, out + flow_header(f), n);
	put16(field, ~transport_sum(out, length));
	if (f->udp && field[0] == 0 && field[1] == 0)
		put16(field, 0xffff);
	return length;
}
