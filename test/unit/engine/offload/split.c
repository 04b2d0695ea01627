#include "engine/offload/offload.h"

#include "flows.h"
#include "kit/kit.h"
#include "wire/inetsum.h"
#include "wire/ippkt.h"

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* A super-packet as the kernel hands it over: unfinished checksum, length of the whole. */
static size_t super(struct flow *f, struct rng *rng, uint8_t *out, size_t n, uint8_t flags,
		    struct offload_hdr *h, uint16_t gso)
{
	size_t length = flow_packet(f, rng, out, n, flags);
	uint16_t at = (uint16_t)(f->v6 ? 40 + f->extensions : 20);

	*h = (struct offload_hdr){ .flags = OFFLOAD_NEEDS_CSUM,
				   .gso_type = f->udp  ? OFFLOAD_UDP
					       : f->v6 ? OFFLOAD_TCP6
						       : OFFLOAD_TCP4,
				   .hdr_len = 7, /* forwarded traffic has nonsense here */
				   .gso_size = gso,
				   .csum_start = at,
				   .csum_offset = f->udp ? 6 : 16 };
	put16(out + at + h->csum_offset,
	      inetsum_fold(inetsum_pseudo(out, f->udp ? 17 : 6, (uint32_t)(length - at))));
	return length;
}

TEST(segments_are_whole_packets_with_right_sums)
{
	static uint8_t frame[65535], out[65535];
	struct rng rng = rng_seeded(5);

	for (int round = 0; round < 300; round++) {
		struct flow f = flow_random(&rng), again = f;
		size_t n = 1 + rng_below(&rng, 20000), at = 0;
		uint16_t gso = (uint16_t)(1 + rng_below(&rng, 1500));
		uint8_t flags = TCP_ACK | TCP_PSH | TCP_FIN | TCP_CWR;
		struct offload_hdr h;
		struct offload_split s;
		size_t length = super(&f, &rng, frame, n, flags, &h, gso);

		CHECK(offload_split_begin(&s, &h, kit_copy(bytes_of(frame, length))));
		CHECK_INT(s.count, (n + gso - 1) / gso);
		for (unsigned i = 0; !offload_split_done(&s); i++) {
			size_t got = offload_split_next(&s, out), head = flow_header(&again);
			struct ippkt p;

			CHECK(got <= offload_split_size(&s) && flow_sums_are_right(out, got));
			CHECK(ippkt_parse(&p, bytes_of(out, got)) && p.length == got);
			CHECK(memcmp(out + head, frame + head + at, got - head) == 0);
			CHECK(again.v6 || (out[4] << 8 | out[5]) == (uint16_t)(again.id + i));
			if (!again.udp) {
				bool last = i + 1 == s.count;

				CHECK(p.tcp_flags == (TCP_ACK | (last ? TCP_PSH | TCP_FIN : 0) |
						      (i ? 0 : TCP_CWR)));
			}
			at += got - head;
		}
		CHECK_INT(at, n);
	}
}

TEST(single_packets_get_their_checksum_finished)
{
	uint8_t frame[1500], out[1500];
	struct rng rng = rng_seeded(6);

	for (int round = 0; round < 200; round++) {
		struct flow f = flow_random(&rng);
		struct offload_hdr h;
		struct offload_split s;
		size_t length = super(&f, &rng, frame, rng_below(&rng, 1300), TCP_ACK, &h, 0);

		h.gso_type = OFFLOAD_NONE;
		CHECK(offload_split_begin(&s, &h, kit_copy(bytes_of(frame, length))));
		CHECK(s.count == 1 && offload_split_next(&s, out) == length);
		CHECK(flow_sums_are_right(out, length) && offload_split_done(&s));
		h.flags = 0; /* nothing to finish: comes through untouched */
		CHECK(offload_split_begin(&s, &h, bytes_of(frame, length)));
		CHECK(offload_split_next(&s, out) == length && memcmp(out, frame, length) == 0);
	}
}

static bool takes(const struct offload_hdr *h, struct bytes packet)
{
	struct offload_split s;

	return offload_split_begin(&s, h, packet);
}

TEST(headers_that_contradict_the_packet_are_refused)
{
	uint8_t frame[3000];
	struct rng rng = rng_seeded(7);
	struct flow f = { .options = 4, .dont_fragment = true };
	struct offload_hdr good, h;
	size_t n = super(&f, &rng, frame, 2000, TCP_ACK, &good, 500);
	struct bytes b = bytes_of(frame, n);

	CHECK(takes(&good, b));
	for (size_t cut = 0; cut < 44; cut++)
		CHECK(!takes(&good, kit_copy(bytes_of(frame, cut))));
	h = good, h.gso_size = 0;
	CHECK(!takes(&h, b));
	h = good, h.flags = 0;
	CHECK(!takes(&h, b));
	h = good, h.csum_start = 19;
	CHECK(!takes(&h, b));
	h = good, h.csum_start = (uint16_t)n;
	CHECK(!takes(&h, b));
	h = good, h.csum_offset = 6;
	CHECK(!takes(&h, b));
	h = good, h.gso_type = OFFLOAD_TCP6;
	CHECK(!takes(&h, b));
	h = good, h.gso_type = 3; /* UDP by IP fragments: never asked for */
	CHECK(!takes(&h, b));
	h = good, h.gso_type = OFFLOAD_NONE, h.csum_offset = 3000;
	CHECK(!takes(&h, b));
	frame[6] = 0x20;
	CHECK(!takes(&good, b));
}

TEST(the_header_is_ten_bytes_in_host_order)
{
	struct offload_hdr h = { 1, 0x81, 2, 3, 4, 5 }, back;
	uint8_t p[OFFLOAD_HDR_LEN];

	offload_hdr_encode(&h, p);
	offload_hdr_decode(&back, p);
	CHECK(back.flags == 1 && back.gso_type == 0x81 && back.hdr_len == 2 && back.gso_size == 3 &&
	      back.csum_start == 4 && back.csum_offset == 5);
}
