/*
 *   request               off  len          response              off  len
 *   version = 2             0    1          version = 2             0    1
 *   op: 0 announce, 1 map   1    1          128 + op                1    1
 *   reserved                2    2          reserved                2    1
 *   lifetime, seconds       4    4          result                  3    1
 *   client's address        8   16          lifetime                4    4
 *                                           epoch, seconds          8    4
 *                                           reserved               12   12
 *   body of map, both ways
 *   nonce                  24   12
 *   protocol = 17 (UDP)    36    1
 *   reserved               37    3
 *   internal port          40    2
 *   external port          42    2
 *   external address       44   16
 *
 * IPv4 addresses are written as ::ffff:a.b.c.d. Options may follow; none is asked for.
 */
#include "wire/pcp.h"

enum { VERSION = 2, OP_ANNOUNCE = 0, OP_MAP = 1, OP_ANSWER = 128, PROTOCOL_UDP = 17 };

static void put_address(struct writer *w, struct ip ip)
{
	if (ip.family == 6) {
		write_copy(w, ip.b, 16);
		return;
	}
	write_zeros(w, 10);
	write_be16(w, 0xffff);
	write_copy(w, ip.b, 4); /* no address: 0.0.0.0, any */
}

static void put_header(struct writer *w, uint8_t op, uint32_t lifetime_s, struct ip client)
{
	write_u8(w, VERSION);
	write_u8(w, op);
	write_be16(w, 0);
	write_be32(w, lifetime_s);
	put_address(w, client);
}

size_t pcp_announce_encode(uint8_t out[PCP_ANNOUNCE_LEN], struct ip client)
{
	struct writer w = writer_of(out, PCP_ANNOUNCE_LEN);

	put_header(&w, OP_ANNOUNCE, 0, client);
	return writer_done(&w);
}

size_t pcp_map_request_encode(uint8_t out[PCP_MAP_LEN], const struct pcp_map_request *m)
{
	struct writer w = writer_of(out, PCP_MAP_LEN);

	put_header(&w, OP_MAP, m->lifetime_s, m->client);
	write_copy(&w, m->nonce, sizeof(m->nonce));
	write_u8(&w, PROTOCOL_UDP);
	write_zeros(&w, 3);
	write_be16(&w, m->internal_port);
	write_be16(&w, m->external_port);
	put_address(&w, m->external);
	return writer_done(&w);
}

static bool get_map(struct pcp_response *out, struct reader *r)
{
	uint8_t address[16], protocol;

	read_copy(r, out->nonce, sizeof(out->nonce));
	protocol = read_u8(r);
	read_skip(r, 3);
	out->internal_port = read_be16(r);
	out->external_port = read_be16(r);
	read_copy(r, address, sizeof(address));
	out->external = ip_unmap(ip_v6_of(address));
	return !r->bad && protocol == PROTOCOL_UDP;
}

static enum pcp_kind kind_of(uint8_t op)
{
	if (op == OP_ANSWER + OP_ANNOUNCE)
		return PCP_ANNOUNCE;
	return op == OP_ANSWER + OP_MAP ? PCP_MAP : PCP_NONE;
}

bool pcp_response_decode(struct pcp_response *out, struct bytes msg)
{
	struct reader r = reader_of(msg);
	uint8_t version = read_u8(&r);

	*out = (struct pcp_response){ .kind = kind_of(read_u8(&r)) };
	read_skip(&r, 1);
	out->result = read_u8(&r);
	out->lifetime_s = read_be32(&r);
	out->epoch_s = read_be32(&r);
	read_skip(&r, 12);
	if (r.bad || msg.n > PCP_MESSAGE_MAX || version != VERSION || out->kind == PCP_NONE)
		return false;
	if (out->result != PCP_OK || out->kind == PCP_ANNOUNCE)
		return true;
	return get_map(out, &r);
}
