/*
 * Message 4 in the control thread: packets that waited for a session, keepalives, and all traffic
 * of a machine that runs without data threads. It uses sessions exactly as data threads do.
 */
#include "base/mem.h"
#include "crypto/aead.h"
#include "engine/wg/wg_allowed.h"
#include "engine/wg/wg_machine.h"

/* --- staging --- */

static void free_staged(struct wg *wg, struct wg_peer *p, struct wg_packet *pkt)
{
	p->staged_n--;
	wg->staged_bytes -= pkt->cap;
	wg_queue_free(&wg->queue, pkt);
}

static struct wg_packet *first_staged(struct wg_peer *p)
{
	struct list *l = list_first(&p->staged);

	return l ? list_entry(l, struct wg_packet, link) : NULL;
}

void wg_transport_drop_staged(struct wg *wg, struct wg_peer *p)
{
	struct wg_packet *pkt;

	while ((pkt = first_staged(p))) {
		free_staged(wg, p, pkt);
		wg_bump(wg, WG_COUNT_STAGED_DROPPED);
	}
}

/* Room for the packet when it is sealed; the plaintext stands where it will be sealed in place. */
static struct wg_packet *plain_packet(struct wg *wg, struct wg_peer *p, struct bytes plain)
{
	struct wg_packet *pkt = wg_packet_create(wg_padded(plain.n, wg->conf.mtu) + WG_OVERHEAD);

	if (plain.n)
		memcpy(wg_packet_datagram(pkt) + WG_HEADER_LEN, plain.p, plain.n);
	pkt->n = plain.n;
	pkt->peer = p->id;
	pkt->owner = p->conf.owner;
	return pkt;
}

/* The oldest of this peer go first; what other peers hold is theirs. */
void wg_transport_stage(struct wg *wg, struct wg_peer *p, struct bytes packet)
{
	struct wg_packet *pkt = plain_packet(wg, p, packet);

	while (p->staged_n && (p->staged_n >= WG_STAGED_MAX ||
			       wg->staged_bytes + pkt->cap > wg->conf.staged_bytes_max)) {
		free_staged(wg, p, first_staged(p));
		wg_bump(wg, WG_COUNT_STAGED_DROPPED);
	}
	if (wg->staged_bytes + pkt->cap > wg->conf.staged_bytes_max) {
		wg_queue_free(&wg->queue, pkt);
		wg_bump(wg, WG_COUNT_STAGED_DROPPED);
		return;
	}
	list_append(&p->staged, &pkt->link);
	p->staged_n++;
	wg->staged_bytes += pkt->cap;
}

/* --- sealing --- */

static struct wg_session *usable(const struct wg_peer *p, struct mono now)
{
	return p->current && wg_session_is_fresh(p->current, now) ? p->current : NULL;
}

static void write_header(uint8_t *datagram, const struct wg_session *s, uint64_t counter)
{
	struct writer w = writer_of(datagram, WG_HEADER_LEN);

	write_le32(&w, WG_TRANSPORT);
	write_le32(&w, s->remote_index);
	write_le64(&w, counter);
}

/* Takes pkt, whose plaintext is in place. False: the counters are used up. */
static bool send(struct wg *wg, struct wg_time now, struct wg_session *s, struct wg_packet *pkt)
{
	uint8_t *datagram = wg_packet_datagram(pkt), *plain = datagram + WG_HEADER_LEN;
	struct wg_amount what = { .packets = 1, .data = pkt->n > 0 };
	size_t padded = wg_padded(pkt->n, pkt->cap - WG_OVERHEAD);
	uint8_t nonce[AEAD_NONCE_LEN];
	uint64_t counter;

	if (!wg_session_reserve(s, 1, &counter)) {
		wg_queue_free(&wg->queue, pkt);
		return false;
	}
	write_header(datagram, s, counter);
	aead_nonce_le(nonce, counter);
	aead_seal(plain, &s->send_key, nonce, bytes_of(plain, padded), bytes_of(NULL, 0));
	pkt->n = WG_OVERHEAD + padded;
	what.bytes = pkt->n;
	if (!wg_queue_put(&wg->queue, pkt))
		wg_bump(wg, WG_COUNT_QUEUE_DROPPED);
	if (wg_session_sent(s, now.mono, &what))
		wg_notice_peer(wg, now, wg_peer_get(wg, s->peer));
	return true;
}

size_t wg_transport_flush(struct wg *wg, struct wg_time now, struct wg_peer *p)
{
	struct wg_session *s = usable(p, now.mono);
	struct wg_packet *pkt;
	size_t sent = 0;

	while (s && (pkt = first_staged(p))) {
		list_remove(&pkt->link);
		p->staged_n--;
		wg->staged_bytes -= pkt->cap;
		if (!send(wg, now, s, pkt))
			s = NULL;
		else
			sent++;
	}
	if (!s)
		wg_handshake_initiate(wg, now, p, false);
	return sent;
}

void wg_transport_keepalive(struct wg *wg, struct wg_time now, struct wg_peer *p)
{
	bool empty = p->staged_n == 0;

	if (empty)
		wg_transport_stage(wg, p, bytes_of(NULL, 0));
	if (wg_transport_flush(wg, now, p) && empty)
		wg_bump(wg, WG_COUNT_KEEPALIVES_SENT);
}

size_t wg_transport_priority(struct wg *wg, struct wg_time now, struct wg_peer *p)
{
	uint8_t plain[WG_PRIORITY_MAX];
	size_t n;

	if (!wg->conf.on_priority)
		return 0;
	n = wg->conf.on_priority(wg->conf.arg, p->id, p->conf.owner, plain);
	if (n == 0 || n > sizeof(plain))
		return 0;
	return send(wg, now, p->current, plain_packet(wg, p, bytes_of(plain, n)));
}

bool wg_output(struct wg *wg, struct wg_time now, struct wg_peer_id to, struct bytes packet)
{
	struct wg_peer *p = wg_peer_get(wg, to);

	wg_enter(wg, now);
	if (!p || packet.n == 0 || packet.n > WG_PACKET_MAX)
		return false;
	wg_transport_stage(wg, p, packet);
	(void)wg_transport_flush(wg, now, p);
	if (p->nudged) {
		p->nudged = false;
		atomic_store(&p->lane->sending, p->current);
		wg_handshake_initiate(wg, now, p, false);
	}
	wg_settle(wg);
	return true;
}

/* --- opening --- */

static bool commit(struct wg_session *s, uint64_t counter)
{
	bool fresh;

	wg_session_lock(s);
	fresh = wg_replay_commit(&s->replay, counter);
	wg_session_unlock(s);
	return fresh;
}

static bool seen_before(struct wg_session *s, uint64_t counter)
{
	bool fresh;

	wg_session_lock(s);
	fresh = wg_replay_check(&s->replay, counter);
	wg_session_unlock(s);
	return !fresh;
}

static enum wg_verdict judge_inner(const struct wg *wg, const struct wg_session *s,
				   struct bytes plain, struct bytes *packet)
{
	struct bytes inner;
	struct ip source;

	if (plain.n == 0)
		return WG_KEEPALIVE;
	if (!wg_inner_parse(plain, &inner, &source))
		return WG_DROP_INNER;
	if (wg->allowed && !wg_allowed_source(wg->allowed, &source, s->owner))
		return WG_DROP_SOURCE;
	*packet = inner;
	return WG_DELIVER;
}

enum wg_verdict wg_transport_open(struct wg *wg, struct wg_time now, uint8_t *datagram, size_t n,
				  struct wg_received *out)
{
	struct reader r = reader_of(bytes_of(datagram, n));
	struct wg_amount what = { .packets = 1, .bytes = n };
	uint8_t nonce[AEAD_NONCE_LEN], *body = datagram + WG_HEADER_LEN;
	struct wg_session *s;
	enum wg_verdict v;
	uint64_t counter;

	if (n < WG_TRANSPORT_MIN)
		return WG_DROP_LENGTH;
	read_skip(&r, 4);
	s = wg_table_session(wg->table, read_le32(&r));
	counter = read_le64(&r);
	if (!s)
		return WG_DROP_INDEX;
	if (!wg_session_is_fresh(s, now.mono) || counter >= WG_REJECT_AFTER_MESSAGES)
		return WG_DROP_EXPIRED;
	if (seen_before(s, counter))
		return WG_DROP_REPLAY;
	aead_nonce_le(nonce, counter);
	if (!aead_open(body, &s->receive_key, nonce, bytes_of(body, n - WG_HEADER_LEN),
		       bytes_of(NULL, 0)))
		return WG_DROP_AUTH;
	if (!commit(s, counter))
		return WG_DROP_REPLAY;
	out->peer = s->peer;
	out->owner = s->owner;
	v = judge_inner(wg, s, bytes_of(body, n - WG_OVERHEAD), &out->packet);
	what.data = n > WG_OVERHEAD;
	if (wg_session_received(s, now.mono, &what))
		wg_notice_peer(wg, now, wg_peer_get(wg, s->peer));
	return v;
}
