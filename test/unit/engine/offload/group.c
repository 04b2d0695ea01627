#include "engine/offload/offload.h"

#include "base/mem.h"
#include "flows.h"
#include "kit/kit.h"
#include "wire/ippkt.h"

enum { PACKETS = 400, PACKET_MAX = 1500 };

struct packets {
	uint8_t *p[PACKETS];
	size_t n[PACKETS];
	uint8_t original[PACKETS][PACKET_MAX];
	unsigned count;
};

static void packets_add(struct packets *all, struct bytes b)
{
	all->p[all->count] = mem_alloc(b.n);
	memcpy(all->p[all->count], b.p, b.n);
	memcpy(all->original[all->count], b.p, b.n);
	all->n[all->count++] = b.n;
}

static void packets_free(struct packets *all)
{
	for (unsigned i = 0; i < all->count; i++)
		mem_free(all->p[i]);
	all->count = 0;
}

/* Runs of several flows with everything that must break a run thrown in. */
static void packets_random(struct packets *all, struct rng *rng)
{
	uint8_t out[PACKET_MAX];

	while (all->count < PACKETS - 20) {
		struct flow f = flow_random(rng);
		size_t full = 1 + rng_below(rng, PACKET_MAX - flow_header(&f));
		unsigned run = 1 + (unsigned)rng_below(rng, 20);

		for (unsigned i = 0; i < run; i++) {
			uint8_t flags = TCP_ACK;
			size_t n = rng_below(rng, 12) ? full : rng_below(rng, full + 1), length;

			if (rng_below(rng, 8) == 0)
				flags |= TCP_PSH;
			if (rng_below(rng, 30) == 0)
				flags |= (uint8_t)(1U << rng_below(rng, 8));
			if (rng_below(rng, 40) == 0)
				f.tos ^= 3; /* congestion experienced */
			if (rng_below(rng, 40) == 0)
				f.seq += 1; /* lost or reordered */
			if (rng_below(rng, 40) == 0)
				f.id += 3;
			length = flow_packet(&f, rng, out, n, flags);
			if (rng_below(rng, 40) == 0)
				out[length - 1] ^= 1; /* wrong checksum must come through as is */
			if (!f.v6 && rng_below(rng, 40) == 0)
				out[6] ^= 0x20; /* more fragments */
			packets_add(all, bytes_of(out, length));
		}
	}
}

/* What the kernel does with a frame that was written: splits it. Compares with what went in. */
static unsigned kernel_takes(struct offload_group *g, struct packets *all, unsigned from)
{
	static uint8_t frame[OFFLOAD_HDR_LEN + 65535];
	uint8_t out[PACKET_MAX + 1];
	struct offload_split s;
	struct offload_hdr h;
	size_t length = 0;
	int n = offload_group_finish(g);

	for (int i = 0; i < n; i++) {
		memcpy(frame + length, g->iov[i].iov_base, g->iov[i].iov_len);
		length += g->iov[i].iov_len;
	}
	offload_hdr_decode(&h, frame);
	CHECK(offload_split_begin(
	    &s, &h, kit_copy(bytes_of(frame + OFFLOAD_HDR_LEN, length - OFFLOAD_HDR_LEN))));
	CHECK_INT(s.count, g->n);
	for (unsigned i = 0; i < g->n && i < s.count; i++) {
		size_t got = offload_split_next(&s, out);
		const uint8_t *want = all->original[from + i];
		struct bytes single = offload_group_single(g, i);

		CHECK(single.n == all->n[from + i] && memcmp(single.p, want, single.n) == 0);
		if (got && g->n > 1 && want[0] >> 4 == 4 && want[6] & 0x40)
			memcpy(out + 4, want + 4, 2), memcpy(out + 10, want + 10, 2);
		CHECK(got == all->n[from + i] && memcmp(out, want, got) == 0);
	}
	CHECK(offload_split_done(&s));
	return g->n;
}

static unsigned merge(struct packets *all, struct offload_group *g)
{
	unsigned frames = 0, written = 0;

	offload_group_clear(g);
	for (unsigned i = 0; i < all->count; i++) {
		if (offload_group_add(g, all->p[i], all->n[i]))
			continue;
		written += kernel_takes(g, all, written);
		frames++;
		offload_group_clear(g);
		CHECK(offload_group_add(g, all->p[i], all->n[i]));
	}
	written += kernel_takes(g, all, written);
	CHECK_INT(written, all->count);
	return frames + 1;
}

TEST(random_flows_come_back_byte_for_byte)
{
	static struct packets all;
	struct rng rng = rng_seeded(42);
	struct offload_group g;
	unsigned packets = 0, frames = 0;

	for (unsigned round = 0; round < 60; round++) {
		packets_random(&all, &rng);
		offload_group_init(&g, true, true);
		packets += all.count;
		frames += merge(&all, &g);
		packets_free(&all);
	}
	CHECK(frames * 2 < packets); /* and it does merge */
}

TEST(a_device_without_offloads_gets_single_packets)
{
	static struct packets all;
	struct rng rng = rng_seeded(43);
	struct offload_group g;

	for (unsigned features = 0; features < 3; features++) {
		unsigned frames;

		packets_random(&all, &rng);
		offload_group_init(&g, features & 1, features & 2);
		frames = merge(&all, &g);
		CHECK(features ? frames < all.count : frames == all.count);
		packets_free(&all);
	}
}

static unsigned added(struct offload_group *g, struct packets *all)
{
	unsigned i = 0;

	while (i < all->count && offload_group_add(g, all->p[i], all->n[i]))
		i++;
	return i;
}

TEST(a_run_of_equal_segments_is_one_frame_up_to_the_limits)
{
	static struct packets all;
	struct rng rng = rng_seeded(1);
	struct flow f = { .seq = UINT32_MAX - 3000, .options = 12, .dont_fragment = true };
	struct flow udp = { .v6 = true, .udp = true };
	uint8_t out[PACKET_MAX];
	struct offload_group g;

	offload_group_init(&g, true, true);
	for (int i = 0; i < 70; i++)
		packets_add(&all, bytes_of(out, flow_packet(&f, &rng, out, 1368, TCP_ACK)));
	CHECK_INT(added(&g, &all), 47); /* 52 + 48 * 1368 would pass 65535 */
	offload_group_clear(&g);
	packets_free(&all);
	for (int i = 0; i < 70; i++)
		packets_add(&all, bytes_of(out, flow_packet(&udp, &rng, out, 100, 0)));
	CHECK_INT(added(&g, &all), OFFLOAD_GROUP_MAX);
	packets_free(&all);
}

TEST(what_ends_or_breaks_a_run)
{
	static const uint8_t flags[] = { TCP_ACK | TCP_FIN,
					 TCP_ACK | TCP_SYN,
					 TCP_ACK | TCP_RST,
					 TCP_ACK | TCP_URG,
					 TCP_ACK | TCP_ECE,
					 TCP_ACK | TCP_CWR,
					 0 };
	static struct packets all;
	struct rng rng = rng_seeded(2);
	uint8_t out[PACKET_MAX];
	struct offload_group g;

	offload_group_init(&g, true, true);
	for (size_t i = 0; i < sizeof(flags); i++) {
		struct flow f = { .dont_fragment = true };

		packets_add(&all, bytes_of(out, flow_packet(&f, &rng, out, 900, TCP_ACK)));
		packets_add(&all, bytes_of(out, flow_packet(&f, &rng, out, 900, flags[i])));
		CHECK_INT(added(&g, &all), 1);
		offload_group_clear(&g);
		packets_free(&all);
	}
	for (int tail = 0; tail < 2; tail++) { /* PSH and a short packet are taken, then no more */
		struct flow f = { .dont_fragment = true };

		packets_add(&all, bytes_of(out, flow_packet(&f, &rng, out, 900, TCP_ACK)));
		packets_add(&all, bytes_of(out, flow_packet(&f, &rng, out, tail ? 899 : 900,
							    tail ? TCP_ACK : TCP_ACK | TCP_PSH)));
		packets_add(&all, bytes_of(out, flow_packet(&f, &rng, out, 900, TCP_ACK)));
		CHECK_INT(added(&g, &all), 2);
		offload_group_clear(&g);
		packets_free(&all);
	}
}
