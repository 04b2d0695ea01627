#include "wire/disco.h"

#include "crypto/box.h"
#include "crypto/secret.h"

static const uint8_t magic[DISCO_MAGIC_LEN] = { 'T', 'S', 0xf0, 0x9f, 0x92, 0xac };

enum { ADDRPORT_LEN = 18 };

bool disco_is_envelope(struct bytes datagram)
{
	return datagram.n >= DISCO_HEAD_LEN + 24 && memcmp(datagram.p, magic, sizeof(magic)) == 0;
}

struct key disco_sender(struct bytes datagram)
{
	struct reader r = reader_of(datagram);
	struct key k = { 0 };

	read_skip(&r, DISCO_MAGIC_LEN);
	read_copy(&r, k.b, sizeof(k.b));
	return k;
}

size_t disco_open(uint8_t *body, struct bytes datagram, const struct secret32 *shared)
{
	struct bytes sealed = bytes_from(datagram, DISCO_HEAD_LEN);

	/* A body has at least a type and a version. */
	if (sealed.n < BOX_OVERHEAD + 2 || !box_open(body, shared, sealed))
		return 0;
	return sealed.n - BOX_OVERHEAD;
}

size_t disco_seal(uint8_t *out, const struct key *sender, const struct secret32 *shared,
		  const uint8_t nonce[24], struct bytes body)
{
	struct writer w = writer_of(out, DISCO_HEAD_LEN);

	write_copy(&w, magic, sizeof(magic));
	write_copy(&w, sender->b, sizeof(sender->b));
	box_seal(out + DISCO_HEAD_LEN, shared, nonce, body);
	return DISCO_ENVELOPE_LEN + body.n;
}

/* IPv4 travels mapped into IPv6: ::ffff:a.b.c.d. */
static void write_addrport(struct writer *w, struct addrport a)
{
	if (a.ip.family == 4) {
		write_zeros(w, 10);
		write_be16(w, 0xffff);
		write_copy(w, a.ip.b, 4);
	} else {
		write_copy(w, a.ip.b, 16);
	}
	write_be16(w, a.port);
}

static struct addrport read_addrport(struct reader *r)
{
	struct addrport a = { .ip = { .family = 6 } };

	read_copy(r, a.ip.b, 16);
	a.ip = ip_unmap(a.ip);
	a.port = read_be16(r);
	return a;
}

/*
 *   off  len  ping
 *     0    1  type 0x01
 *     1    1  version 0
 *     2   12  transaction id
 *    14   32  sender's node key; absent in old clients
 *    46    *  zero padding, to probe the path MTU
 */
bool disco_ping_decode(struct disco_ping *ping, struct bytes body)
{
	struct reader r = reader_of(body);
	struct disco_ping p = { 0 };

	if (read_u8(&r) != DISCO_PING)
		return false;
	(void)read_u8(&r); /* version: ignored for pings */
	read_copy(&r, p.txid, sizeof(p.txid));
	p.has_node_key = reader_left(&r) >= sizeof(p.node_key.b);
	if (p.has_node_key)
		read_copy(&r, p.node_key.b, sizeof(p.node_key.b));
	p.padding = read_rest(&r).n;
	if (r.bad)
		return false;
	*ping = p;
	return true;
}

size_t disco_ping_encode(const struct disco_ping *ping, uint8_t *out, size_t size)
{
	struct writer w = writer_of(out, size);

	write_u8(&w, DISCO_PING);
	write_u8(&w, 0);
	write_copy(&w, ping->txid, sizeof(ping->txid));
	if (ping->has_node_key)
		write_copy(&w, ping->node_key.b, sizeof(ping->node_key.b));
	write_zeros(&w, ping->padding);
	return writer_done(&w);
}

/*
 *   off  len  pong
 *     0    1  type 0x02
 *     1    1  version 0
 *     2   12  transaction id of the ping
 *    14   16  source address of the ping
 *    30    2  and its port
 *
 * Longer is accepted: newer peers may append.
 */
bool disco_pong_decode(struct disco_pong *pong, struct bytes body)
{
	struct reader r = reader_of(body);
	struct disco_pong p;

	if (read_u8(&r) != DISCO_PONG)
		return false;
	(void)read_u8(&r);
	read_copy(&r, p.txid, sizeof(p.txid));
	p.src = read_addrport(&r);
	if (r.bad)
		return false;
	*pong = p;
	return true;
}

size_t disco_pong_encode(const struct disco_pong *pong, uint8_t *out, size_t size)
{
	struct writer w = writer_of(out, size);

	write_u8(&w, DISCO_PONG);
	write_u8(&w, 0);
	write_copy(&w, pong->txid, sizeof(pong->txid));
	write_addrport(&w, pong->src);
	return writer_done(&w);
}

/* type 0x03, version 0, then n times (address 16, port 2). A list we cannot read is an empty list.
 */
bool disco_call_me_maybe_decode(struct disco_call_me_maybe *cmm, struct bytes body)
{
	struct reader r = reader_of(body);
	uint8_t type = read_u8(&r), version = read_u8(&r);

	if (type != DISCO_CALL_ME_MAYBE || r.bad)
		return false;
	cmm->n = 0;
	if (version != 0 || reader_left(&r) % ADDRPORT_LEN != 0)
		return true;
	while (reader_left(&r) > 0 && cmm->n < DISCO_ENDPOINTS_MAX)
		cmm->endpoints[cmm->n++] = read_addrport(&r);
	return true;
}

size_t disco_call_me_maybe_encode(const struct disco_call_me_maybe *cmm, uint8_t *out, size_t size)
{
	struct writer w = writer_of(out, size);

	write_u8(&w, DISCO_CALL_ME_MAYBE);
	write_u8(&w, 0);
	for (size_t i = 0; i < cmm->n; i++)
		write_addrport(&w, cmm->endpoints[i]);
	return writer_done(&w);
}
