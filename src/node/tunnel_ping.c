/*
 * node/tunnel_ping.c - pings through the tunnel: TSMP, which every node answers whatever its rules
 * say, and ICMP, which its host answers when a rule allows it. Also what others ask of us.
 */
#include <string.h>

#include "base/mem.h"
#include "node/netmap.h"
#include "node/tunnel_state.h"
#include "wire/inetsum.h"
#include "wire/ipbuild.h"
#include "wire/tsmp.h"

enum {
	PINGS_MAX = 64,
	PING_TIMEOUT_MS = 5000,
	ECHO_LEN = 8 + TSMP_DATA_LEN, /* header, then what tells our pings apart */
	ECHO_SUM_AT = 2,
	ECHO_REPLY_4 = 0,
	ECHO_REPLY_6 = 129,
};

struct packet_ping {
	struct list link;
	uint64_t token;
	enum tunnel_ping_kind kind;
	uint32_t owner;
	uint8_t data[TSMP_DATA_LEN];
	struct mono at;
};

static void end_ping(struct tunnel *t, struct packet_ping *p, int64_t latency_ns, uint16_t port)
{
	struct tunnel_ping r = {
		.token = p->token, .kind = p->kind, .latency_ns = latency_ns, .peerapi_port = port
	};

	list_remove(&p->link);
	mem_free(p);
	t->ping_count--;
	atomic_fetch_sub_explicit(&t->echoes, r.kind == TUNNEL_PING_ICMP, memory_order_relaxed);
	t->conf.on_ping(t->conf.arg, &r);
}

static void arm(struct tunnel *t)
{
	struct list *it = list_first(&t->packet_pings);

	if (it)
		io_timer_at(
		    t->loop, &t->ping_timer,
		    mono_add_ms(list_entry(it, struct packet_ping, link)->at, PING_TIMEOUT_MS));
	else
		io_timer_stop(&t->ping_timer);
}

void tunnel_on_ping_timer(struct io_timer *timer)
{
	struct tunnel *t = container_of(timer, struct tunnel, ping_timer);
	struct mono now = loop_now(t->loop);
	struct list *it;

	/* In the order of their deadlines: all wait equally long. */
	while ((it = list_first(&t->packet_pings))) {
		struct packet_ping *p = list_entry(it, struct packet_ping, link);

		if (!mono_reached(now, mono_add_ms(p->at, PING_TIMEOUT_MS)))
			break;
		end_ping(t, p, -1, 0);
	}
	arm(t);
}

void tunnel_free_pings(struct tunnel *t)
{
	struct list *it;

	io_timer_stop(&t->ping_timer);
	while ((it = list_first(&t->packet_pings))) {
		list_remove(it);
		mem_free(list_entry(it, struct packet_ping, link));
	}
}

/* ---- asking ---- */

static bool own_address(const struct tunnel *t, uint8_t family, struct ip *out)
{
	const struct tailcfg_node *self = t->map ? netmap_self(t->map) : NULL;

	for (size_t i = 0; self && i < self->addresses.n; i++)
		if (self->addresses.v[i].addr.family == family) {
			*out = self->addresses.v[i].addr;
			return true;
		}
	return false;
}

static size_t echo_request(struct tunnel *t, const struct packet_ping *p, uint8_t *packet,
			   struct ip src, struct ip dst)
{
	size_t head = ipbuild_header_len(src);
	struct writer w = writer_of(packet + head, ECHO_LEN);
	uint16_t sum;

	write_u8(&w, src.family == 4 ? 8 : 128);
	write_u8(&w, 0);
	write_be16(&w, 0); /* checksum */
	write_be16(&w, t->echo_id);
	write_be16(&w, (uint16_t)p->token);
	write_copy(&w, p->data, sizeof(p->data));
	if (src.family == 6)
		return ipbuild(packet, src, dst, IPPKT_ICMP6, w.n, ECHO_SUM_AT);
	/* Unlike everything newer, ICMP does not sum up the addresses. */
	sum = (uint16_t)~inetsum_fold(inetsum_add(0, packet + head, w.n));
	packet[head + ECHO_SUM_AT] = (uint8_t)(sum >> 8);
	packet[head + ECHO_SUM_AT + 1] = (uint8_t)sum;
	return ipbuild_bare(packet, src, dst, IPPKT_ICMP, w.n);
}

/* Also from inside a turn of the datapath, which is why it does not make one. */
static void send_to(struct tunnel *t, uint32_t owner, struct bytes packet)
{
	struct wg_time now = { loop_now(t->loop), wall_now() };

	(void)datapath_send_packet(t->dp, now, owner, packet);
	tunnel_note_send(t, owner);
}

bool tunnel_ping_inside(struct tunnel *t, int64_t node_id, enum tunnel_ping_kind kind, struct ip to,
			uint64_t token)
{
	const struct peer *peer = tunnel_peer_by_id(t, node_id);
	uint8_t packet[TSMP_PACKET_MAX + ECHO_LEN];
	struct tsmp m = { .type = TSMP_PING };
	struct packet_ping *p;
	struct ip src;
	size_t n;

	if (!peer || t->ping_count >= PINGS_MAX || !own_address(t, to.family, &src))
		return false;
	p = mem_alloc(sizeof(*p));
	p->token = token;
	p->kind = kind;
	p->owner = peer->owner;
	p->at = loop_now(t->loop);
	t->rng.fill(&t->rng, p->data, sizeof(p->data));
	list_append(&t->packet_pings, &p->link);
	t->ping_count++;
	atomic_fetch_add_explicit(&t->echoes, kind == TUNNEL_PING_ICMP, memory_order_relaxed);
	memcpy(m.data, p->data, sizeof(m.data));
	n = kind == TUNNEL_PING_ICMP ? echo_request(t, p, packet, src, to)
				     : tsmp_encode(packet, &m, src, to);
	arm(t);
	send_to(t, peer->owner, bytes_of(packet, n));
	tunnel_turn(t);
	return true;
}

/* ---- what comes in ---- */

bool tunnel_is_echo_answer(const struct tunnel *t, const struct ippkt *pkt, struct bytes packet)
{
	struct reader r = reader_of(bytes_from(packet, pkt->transport));

	if (!pkt->has_icmp || !atomic_load_explicit(&t->echoes, memory_order_relaxed) ||
	    pkt->icmp_type != (pkt->version == 4 ? ECHO_REPLY_4 : ECHO_REPLY_6))
		return false;
	(void)read_be32(&r);
	return read_be16(&r) == t->echo_id && !r.bad;
}

static void take_answer(struct tunnel *t, uint32_t owner, enum tunnel_ping_kind kind,
			const uint8_t data[TSMP_DATA_LEN], uint16_t port)
{
	list_each_safe (it, &t->packet_pings) {
		struct packet_ping *p = list_entry(it, struct packet_ping, link);

		if (p->kind != kind || p->owner != owner ||
		    memcmp(p->data, data, sizeof(p->data)) != 0)
			continue;
		end_ping(t, p, mono_now().ns - p->at.ns, port);
		arm(t);
		return;
	}
}

static void take_echo(struct tunnel *t, uint32_t owner, struct bytes body)
{
	struct reader r = reader_of(bytes_from(body, 8));
	uint8_t data[TSMP_DATA_LEN];

	read_copy(&r, data, sizeof(data));
	if (!r.bad)
		take_answer(t, owner, TUNNEL_PING_ICMP, data, 0);
}

/* Where we serve peers, at the address that was asked; 0: not there. */
static uint16_t port_at(const struct tunnel *t, struct ip ip)
{
	for (size_t i = 0; i < t->service_count; i++)
		if (ip_equal(t->services[i].ip, ip))
			return t->services[i].port;
	return 0;
}

static void take_tsmp(struct tunnel *t, uint32_t owner, const struct ippkt *pkt, struct bytes body)
{
	struct peer *p = tunnel_peer_at(t, owner);
	uint8_t answer[TSMP_PACKET_MAX];
	struct tsmp m;

	if (!p || !tsmp_decode(&m, body))
		return;
	switch (m.type) {
	case TSMP_PING:
		/* As long as the question, so nobody gains by asking for somebody else. */
		m.type = TSMP_PONG;
		m.peerapi_port = port_at(t, pkt->dst);
		send_to(t, owner, bytes_of(answer, tsmp_encode(answer, &m, pkt->dst, pkt->src)));
		return;
	case TSMP_PONG:
		take_answer(t, owner, TUNNEL_PING_TSMP, m.data, m.peerapi_port);
		return;
	case TSMP_REJECT:
		p->reject = (struct tunnel_reject){ m.proto, m.reason, m.dst_port };
		p->rejected_at = loop_now(t->loop);
		return;
	case TSMP_DISCO:
		return; /* disco keys come from control alone */
	}
}

void tunnel_take_packet(struct tunnel *t, uint32_t owner, struct bytes packet)
{
	struct ippkt pkt;
	struct bytes body;

	if (!ippkt_parse(&pkt, packet) || pkt.fragment != IPPKT_WHOLE)
		return;
	body = bytes_from(bytes_of(packet.p, pkt.length), pkt.transport);
	if (pkt.proto == IPPKT_TSMP)
		take_tsmp(t, owner, &pkt, body);
	else if (tunnel_is_echo_answer(t, &pkt, packet))
		take_echo(t, owner, body);
}
