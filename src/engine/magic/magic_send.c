/* Sealing and queueing what goes out, and the table of pings that wait for a pong. */
#include "engine/magic/magic_peer.h"

void magic_send_body(struct magic *m, const struct magic_path *to, const struct disco_key *key,
		     struct bytes body)
{
	struct queued *q;
	uint8_t nonce[24];

	if (m->queued >= QUEUE_MAX || body.n + DISCO_ENVELOPE_LEN > sizeof(q->d.bytes)) {
		m->counters.dropped_queue_full++;
		return;
	}
	q = mem_alloc(sizeof(*q));
	q->d.to = *to;
	m->conf.rng.fill(&m->conf.rng, nonce, sizeof(nonce));
	q->d.n = disco_seal(q->d.bytes, &m->disco_public, &key->shared, nonce, body);
	list_append(&m->queue, &q->link);
	m->queued++;
}

bool magic_send_ping(struct magic_peer *p, struct mono now, const struct magic_path *to,
		     enum ping_purpose purpose, uint64_t token)
{
	struct magic *m = p->m;
	struct disco_ping body = { .has_node_key = true, .node_key = m->conf.node_key };
	uint8_t out[DISCO_PING_LEN];
	struct sent_ping *ping;

	if (!p->disco || p->ping_count >= PINGS_MAX)
		return false;
	ping = mem_alloc(sizeof(*ping));
	m->conf.rng.fill(&m->conf.rng, ping->txid, sizeof(ping->txid));
	ping->to = *to;
	ping->at = now;
	ping->purpose = purpose;
	ping->token = token;
	ping->peer = p;
	list_append(&p->pings, &ping->link);
	p->ping_count++;
	(void)map_put(&m->pings, ping);
	heap_set(&m->timeouts, &ping->timeout, mono_add_s(now, PING_TIMEOUT_S));
	memcpy(body.txid, ping->txid, sizeof(body.txid));
	magic_send_body(m, to, p->disco, bytes_of(out, disco_ping_encode(&body, out, sizeof(out))));
	m->counters.pings_sent++;
	return true;
}

void magic_forget_ping(struct sent_ping *ping)
{
	struct magic_peer *p = ping->peer;

	(void)map_remove(&p->m->pings, bytes_of(ping->txid, sizeof(ping->txid)));
	heap_remove(&p->m->timeouts, &ping->timeout);
	list_remove(&ping->link);
	p->ping_count--;
	mem_free(ping);
}

void magic_forget_pings(struct magic_peer *p)
{
	struct magic_ping_result none = { .token = p->person_token };

	list_each_safe (it, &p->pings)
		magic_forget_ping(list_entry(it, struct sent_ping, link));
	p->person_token = 0;
	if (none.token && p->m->conf.on_ping_result)
		p->m->conf.on_ping_result(p->m->conf.arg, &none);
}

void magic_send_call_me_maybe(struct magic_peer *p)
{
	struct magic *m = p->m;
	struct magic_path relay = { .kind = MAGIC_RELAY,
				    .region = p->route.region,
				    .node = p->node_key };
	struct disco_call_me_maybe cmm = { .n = m->endpoint_count };
	uint8_t out[2 + 18 * DISCO_ENDPOINTS_MAX];

	p->wants_call_me_maybe = false;
	if (!p->disco || !p->route.region)
		return;
	memcpy(cmm.endpoints, m->endpoints, sizeof(cmm.endpoints));
	magic_send_body(m, &relay, p->disco,
			bytes_of(out, disco_call_me_maybe_encode(&cmm, out, sizeof(out))));
	m->counters.call_me_maybe_sent++;
}
