/* Packets inside the tunnel: made by one host, judged by another. */
#include "base/bytes.h"
#include "sim/host.h"

static const uint8_t mark[8] = "WeFtOpEn";

/* IPv4, UDP, then mark (8), from (4), to (4), number (4), check (4), zeros. */
static void packet_make(uint8_t *out, size_t len, uint32_t from, uint32_t to, uint32_t number)
{
	struct writer w = writer_of(out, PACKET_MIN);
	struct ip src = host_ip(from), dst = host_ip(to);

	memset(out, 0, len);
	write_be32(&w, 0x45000000 | (uint32_t)len);
	write_be32(&w, 0);
	write_be32(&w, 64u << 24 | 17u << 16);
	write_copy(&w, src.b, 4);
	write_copy(&w, dst.b, 4);
	write_be16(&w, 7000);
	write_be16(&w, 7001);
	write_be16(&w, (uint16_t)(len - 20));
	write_be16(&w, 0);
	write_copy(&w, mark, sizeof(mark));
	write_be32(&w, from);
	write_be32(&w, to);
	write_be32(&w, number);
	write_be32(&w, from ^ to * 31 ^ number * 1009);
}

bool packet_is_visible(struct bytes datagram)
{
	return memmem(datagram.p, datagram.n, mark, sizeof(mark)) != NULL;
}

void host_send(struct host *h, uint32_t to)
{
	struct city *c = h->city;
	struct peer *p = host_peer(h, to);
	size_t len = c->packet_len;
	uint8_t packet[PACKET_MAX];
	struct wg_peer_conf conf = { .owner = to, .lazy = true };
	struct wg_peer_id id;
	struct ippkt pkt;

	if (!p || !h->up || !p->known)
		return;
	conf.public_key = p->key;
	if (!wg_peer_of_owner(h->wg, to, &id) && wg_peer_add(h->wg, &conf, &id, NULL) < 0)
		return;
	if (mono_is_zero(p->first_sent))
		p->first_sent = c->w.now;
	packet_make(packet, len, h->index, to, ++p->sent);
	c->sent++;
	if (c->w.fault == FAULT_PLAINTEXT && c->sent == 100 && h->endpoint_count)
		host_send_udp(h, c->hosts[to].endpoints[0], packet, len);
	if (ippkt_parse(&pkt, bytes_of(packet, len)))
		(void)filter_out(h->filter, &pkt);
	(void)wg_output(h->wg, host_time(h), id, bytes_of(packet, len));
	host_drain(h);
}

/* True when this number was not there before; what is too old to tell passes. */
static bool is_new(struct peer *p, uint32_t number)
{
	uint32_t back;

	if (number > p->top) {
		p->seen = number - p->top < 64 ? p->seen << (number - p->top) | 1 : 1;
		p->top = number;
		return true;
	}
	back = p->top - number;
	if (back >= 64)
		return true;
	if (p->seen >> back & 1)
		return false;
	p->seen |= 1ULL << back;
	return true;
}

static bool is_cut_off(const struct host *h)
{
	enum { REVOKED_WITHIN_MS = 1000 };
	const struct world *w = &h->city->w;

	return h->revoked && h->revoked_at.ns != MONO_NEVER.ns &&
	       mono_reached(w->now, mono_add_ms(h->revoked_at, REVOKED_WITHIN_MS));
}

void host_check_packet(struct host *h, uint32_t owner, struct bytes packet)
{
	struct world *w = &h->city->w;
	struct reader r = reader_of(bytes_from(packet, 28));
	uint8_t is[sizeof(mark)];
	uint32_t from, to, number, check;
	struct peer *p = host_peer(h, owner);

	read_copy(&r, is, sizeof(is));
	from = read_be32(&r);
	to = read_be32(&r);
	number = read_be32(&r);
	check = read_be32(&r);
	if (r.bad || memcmp(is, mark, sizeof(mark)) != 0 ||
	    check != (from ^ to * 31 ^ number * 1009))
		world_violation(w, "host %u got a damaged packet from %u", h->index, owner);
	else if (to != h->index || from != owner)
		world_violation(w, "host %u got a packet of %u for %u from %u", h->index, from, to,
				owner);
	else if (!p || !p->may_receive)
		world_violation(w, "host %u got a packet from %u, which policy denies", h->index,
				owner);
	else if (is_cut_off(h) || is_cut_off(&h->city->hosts[owner]))
		world_violation(w, "host %u heard %u a second after one of them was revoked",
				h->index, owner);
	else if (!is_new(p, number))
		world_violation(w, "host %u got packet %u of %u again", h->index, number, owner);
	if (!p)
		return;
	if (mono_is_zero(p->first_arrived))
		p->first_arrived = w->now;
	p->last_arrived = w->now;
	p->delivered++;
	h->city->delivered++;
	world_note(w, "delivered", h->index, owner);
}
