/*
 * Segments as bytes (RFC 9293 3.1):
 *
 *   off  len  field
 *     0    4  source and destination port
 *     4    4  sequence number
 *     8    4  acknowledgement
 *    12    2  header length in words (4 bits), flags
 *    14    2  window
 *    16    4  checksum, urgent pointer (ignored)
 *    20    *  options: 2 is MSS (len 4), 3 is the window's scale (len 3)
 */
#include "engine/microtcp/microtcp_impl.h"
#include "wire/inetsum.h"
#include "wire/ipbuild.h"

enum { OPTION_END, OPTION_NOP, OPTION_MSS, OPTION_SCALE, SCALE_MAX = 14 };

static void read_options(struct segment *s, struct bytes options)
{
	struct reader r = reader_of(options);

	while (reader_left(&r)) {
		uint8_t kind = read_u8(&r), n;
		struct bytes body;

		if (kind == OPTION_END)
			return;
		if (kind == OPTION_NOP)
			continue;
		n = read_u8(&r);
		body = read_bytes(&r, n < 2 ? SIZE_MAX : n - 2U);
		if (r.bad)
			return;
		if (kind == OPTION_MSS && body.n == 2)
			s->mss = (uint16_t)(body.p[0] << 8 | body.p[1]);
		else if (kind == OPTION_SCALE && body.n == 1)
			s->scale = body.p[0] > SCALE_MAX ? SCALE_MAX : body.p[0];
	}
}

bool segment_decode(struct segment *s, struct bytes packet)
{
	struct ippkt ip;
	struct reader r;
	struct bytes tcp;
	uint16_t word;
	size_t header;

	if (!ippkt_parse(&ip, packet) || ip.proto != IPPKT_TCP || !ip.has_ports ||
	    ip.fragment != IPPKT_WHOLE)
		return false;
	tcp = bytes_of(packet.p + ip.transport, ip.length - ip.transport);
	if (inetsum_fold(inetsum_add(inetsum_pseudo(packet.p, IPPKT_TCP, (uint32_t)tcp.n), tcp.p,
				     tcp.n)) != UINT16_MAX)
		return false;
	*s = (struct segment){ .scale = -1 };
	s->peer = (struct addrport){ ip.src, ip.src_port };
	s->local = (struct addrport){ ip.dst, ip.dst_port };
	r = reader_of(tcp);
	read_skip(&r, 4);
	s->seq = read_be32(&r);
	s->ack = read_be32(&r);
	word = read_be16(&r);
	s->window = read_be16(&r);
	read_skip(&r, 4);
	header = (size_t)(word >> 12) * 4;
	if (r.bad || header < TCP_HEADER_LEN || header > tcp.n)
		return false;
	s->flags = (uint8_t)(word & 0x3f);
	if (s->flags & TCP_SYN)
		read_options(s, bytes_of(tcp.p + TCP_HEADER_LEN, header - TCP_HEADER_LEN));
	s->data = bytes_from(tcp, header);
	return true;
}

struct bytes segment_encode(const struct outgoing *o, uint8_t *packet)
{
	size_t head = ipbuild_header_len(o->local->ip), options = 0, n;
	struct writer w = writer_of(packet + head, MICROTCP_PACKET_MAX - head);

	if (o->flags & TCP_SYN)
		options = o->scale ? 8 : 4;
	write_be16(&w, o->local->port);
	write_be16(&w, o->peer->port);
	write_be32(&w, o->seq);
	write_be32(&w, o->ack);
	write_be16(&w, (uint16_t)((TCP_HEADER_LEN + options) / 4 << 12 | o->flags));
	write_be16(&w, o->window);
	write_be32(&w, 0);
	if (options) {
		write_be16(&w, OPTION_MSS << 8 | 4);
		write_be16(&w, o->mss);
	}
	if (options == 8)
		write_be32(&w, (uint32_t)OPTION_NOP << 24 | OPTION_SCALE << 16 | 3 << 8);
	write_bytes(&w, o->data);
	n = writer_done(&w);
	return bytes_of(packet,
			ipbuild(packet, o->local->ip, o->peer->ip, IPPKT_TCP, n, TCP_SUM_AT));
}
