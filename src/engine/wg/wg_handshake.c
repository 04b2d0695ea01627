/*
 * Messages 1-3, and the three session slots of a peer:
 *
 *   initiator   response arrived   new -> current, the old one -> previous
 *   responder   response sent      new -> next; data still leaves with current
 *               first datagram     next -> current, the old one -> previous
 *
 * Our own initiation and an answer to theirs may cross: both sessions then work, and the peer's
 * first datagram decides.
 */
#include "base/mem.h"
#include "engine/wg/wg_machine.h"

#define NS_PER_S UINT64_C(1000000000)
#define WHITEN UINT64_C(0xffffff) /* low bits of the nanoseconds that are not told */

/* --- sending --- */

static uint64_t whiten(uint64_t ns)
{
	return ns / NS_PER_S * NS_PER_S + (ns % NS_PER_S & ~WHITEN);
}

/* Greater than any this peer got from us, also when the wall clock went back. */
static void next_timestamp(struct wg *wg, struct wall wall, struct wg_peer *p,
			   uint8_t out[WG_TIMESTAMP_LEN])
{
	struct writer w = writer_of(out, WG_TIMESTAMP_LEN);
	uint64_t t;

	if (wall.ns > 0 && (uint64_t)wall.ns > wg->clock_floor)
		wg->clock_floor = (uint64_t)wall.ns;
	t = whiten(wg->clock_floor);
	if (t <= p->last_timestamp_sent)
		t = whiten(p->last_timestamp_sent + WHITEN + 1);
	p->last_timestamp_sent = t;
	write_be64(&w, UINT64_C(0x400000000000000a) + t / NS_PER_S);
	write_be32(&w, (uint32_t)(t % NS_PER_S));
}

static struct wg_packet *handshake_packet(struct wg_peer *p, size_t n)
{
	struct wg_packet *pkt = wg_packet_create(n);

	pkt->n = n;
	pkt->peer = p->id;
	pkt->owner = p->conf.owner;
	pkt->is_handshake = true;
	return pkt;
}

static void put(struct wg *wg, struct wg_packet *pkt)
{
	if (!wg_queue_put(&wg->queue, pkt))
		wg_bump(wg, WG_COUNT_QUEUE_DROPPED);
}

void wg_handshake_initiate(struct wg *wg, struct wg_time now, struct wg_peer *p, bool is_retry)
{
	uint8_t timestamp[WG_TIMESTAMP_LEN];
	struct wg_initiation m;
	struct wg_packet *pkt;

	if (!is_retry)
		p->attempts = 0;
	if (!wg->logged_in || (!mono_is_zero(p->last_initiation) &&
			       mono_since_ms(now.mono, p->last_initiation) < WG_REKEY_TIMEOUT_MS))
		return;
	wg_peer_stop_initiating(wg, p); /* a retry has its own ephemeral and index */
	if (!wg_index_take(&wg->index, wg->conf.rng, p, &p->initiation_index))
		return;
	next_timestamp(wg, now.wall, p, timestamp);
	m.sender = p->initiation_index;
	p->initiating =
	    wg_noise_initiate(&p->noise, &wg->me, &p->remote, timestamp, wg->conf.rng, &m);
	if (!p->initiating) { /* cannot be: the key passed wg_remote_init() */
		wg_index_release(&wg->index, p->initiation_index);
		return;
	}
	pkt = handshake_packet(p, WG_INITIATION_LEN);
	wg_initiation_encode(&m, wg_packet_datagram(pkt));
	wg_cookie_stamp(&p->jar, now.mono, wg_packet_datagram(pkt), pkt->n);
	put(wg, pkt);
	wg_bump(wg, WG_COUNT_INITIATIONS_SENT);
	p->last_initiation = now.mono;
	p->nudged = false;
	wg_timers_note_sent(wg, now.mono, p);
	wg_timer_arm(wg, p, WG_TIMER_RETRANSMIT,
		     mono_add_ms(now.mono, WG_REKEY_TIMEOUT_MS + wg_timers_jitter_ms(wg)));
}

/* --- sessions --- */

static struct wg_session *new_session(struct wg *wg, struct mono now, struct wg_peer *p,
				      struct wg_noise *noise, uint32_t local, uint32_t remote,
				      bool initiator)
{
	struct wg_session *s = mem_alloc_aligned(_Alignof(struct wg_session), sizeof(*s));

	wg_noise_keys(noise, initiator, &s->send_key, &s->receive_key);
	s->local_index = local;
	s->remote_index = remote;
	s->owner = p->conf.owner;
	s->peer = p->id;
	s->lane = p->lane;
	s->created = now;
	s->initiator = initiator;
	atomic_flag_clear(&s->busy);
	atomic_store(&s->confirmed, initiator);
	wg_index_find(&wg->index, local)->session = s;
	wg_bump(wg, WG_COUNT_SESSIONS);
	p->last_session = now;
	p->newborn = false;
	wg_timer_arm(wg, p, WG_TIMER_ZERO_KEYS, mono_add_ms(now, WG_ZERO_KEYS_MS));
	return s;
}

static void install_as_initiator(struct wg *wg, struct wg_peer *p, struct wg_session *s)
{
	wg_session_retire(wg, &p->previous);
	if (p->next) {
		wg_session_retire(wg, &p->current);
		p->previous = p->next;
		p->next = NULL;
	} else {
		p->previous = p->current;
	}
	p->current = s;
	wg_table_put_session(wg->table, s->local_index, s);
}

static void install_as_responder(struct wg *wg, struct wg_peer *p, struct wg_session *s)
{
	wg_session_retire(wg, &p->next);
	wg_session_retire(wg, &p->previous);
	p->next = s;
	wg_table_put_session(wg->table, s->local_index, s);
}

/* current is confirmed: what waited goes first, then data threads may send. */
static void begin_sending(struct wg *wg, struct wg_time now, struct wg_peer *p)
{
	size_t sent;

	p->attempts = 0;
	p->nudged = false; /* this is what it would have asked for */
	wg_timer_disarm(wg, p, WG_TIMER_RETRANSMIT);
	wg_peer_stop_initiating(wg, p);
	sent = wg_transport_priority(wg, now, p);
	sent += wg_transport_flush(wg, now, p);
	if (!sent && p->current->initiator)
		wg_transport_keepalive(wg, now, p); /* the responder waits for this to confirm */
	atomic_store_explicit(&p->lane->sending, p->current, memory_order_release);
	if (wg->conf.on_session)
		wg->conf.on_session(wg->conf.arg, p->id, p->conf.owner);
}

void wg_handshake_confirm(struct wg *wg, struct wg_time now, struct wg_peer *p)
{
	if (!p->next || !atomic_load(&p->next->confirmed))
		return;
	wg_session_retire(wg, &p->previous);
	p->previous = p->current;
	p->current = p->next;
	p->next = NULL;
	begin_sending(wg, now, p);
}

/* --- receiving --- */

static bool timestamp_is_newer(const uint8_t a[WG_TIMESTAMP_LEN], const uint8_t b[WG_TIMESTAMP_LEN])
{
	return memcmp(a, b, WG_TIMESTAMP_LEN) > 0;
}

static enum wg_verdict respond(struct wg *wg, struct wg_time now, struct wg_peer *p,
			       struct wg_noise *noise, uint32_t remote)
{
	struct wg_response m = { .receiver = remote };
	struct wg_packet *pkt;

	if (!wg_index_take(&wg->index, wg->conf.rng, p, &m.sender))
		return WG_DROP_RATE;
	if (!wg_noise_respond(noise, &p->remote, wg->conf.rng, &m)) {
		wg_index_release(&wg->index, m.sender);
		return WG_DROP_CRYPTO; /* their ephemeral is a point of low order */
	}
	pkt = handshake_packet(p, WG_RESPONSE_LEN);
	wg_response_encode(&m, wg_packet_datagram(pkt));
	wg_cookie_stamp(&p->jar, now.mono, wg_packet_datagram(pkt), pkt->n);
	put(wg, pkt);
	wg_bump(wg, WG_COUNT_RESPONSES_SENT);
	install_as_responder(wg, p, new_session(wg, now.mono, p, noise, m.sender, remote, false));
	wg_timers_note_sent(wg, now.mono, p);
	return WG_HANDSHAKE;
}

static enum wg_verdict judge_initiation(struct wg *wg, struct wg_time now, struct wg_peer *p,
					struct wg_noise *noise, const struct wg_initiation *m)
{
	uint8_t timestamp[WG_TIMESTAMP_LEN];

	if (!wg_noise_open_timestamp(noise, &p->remote, m, timestamp))
		return WG_DROP_CRYPTO;
	if (!timestamp_is_newer(timestamp, p->last_timestamp))
		return WG_DROP_OLD_TIMESTAMP;
	if (!mono_is_zero(p->last_initiation_taken) &&
	    now.mono.ns - p->last_initiation_taken.ns < WG_INITIATION_GAP_MS * INT64_C(1000000))
		return WG_DROP_FLOOD;
	memcpy(p->last_timestamp, timestamp, sizeof(timestamp));
	p->last_initiation_taken = now.mono;
	wg_timers_note_received(wg, now.mono, p);
	return respond(wg, now, p, noise, m->sender);
}

/*
 * Whoever knows our key can seal any static key into an initiation; only its owner can seal the
 * timestamp. So that claims cost the caller nothing, it is asked about proven keys only.
 */
static bool claim_is_proven(const struct wg *wg, const struct wg_noise *noise,
			    const struct wg_initiation *m, const struct key *claimed)
{
	static const struct secret32 no_psk; /* comes in with the response */
	uint8_t timestamp[WG_TIMESTAMP_LEN];
	struct wg_noise copy = *noise;
	struct wg_remote remote;
	bool ok = wg_remote_init(&remote, &wg->me, claimed, &no_psk) &&
		  wg_noise_open_timestamp(&copy, &remote, m, timestamp);

	secret_wipe(&remote, sizeof(remote));
	secret_wipe(&copy, sizeof(copy));
	return ok;
}

static enum wg_verdict find_or_ask(struct wg *wg, const struct wg_noise *noise,
				   const struct wg_initiation *m, const struct key *claimed,
				   struct wg_peer **p)
{
	*p = wg_peer_by_key(wg, claimed);
	if (*p)
		return WG_HANDSHAKE;
	if (!wg->conf.on_unknown_peer)
		return WG_DROP_UNKNOWN_PEER;
	if (!claim_is_proven(wg, noise, m, claimed))
		return WG_DROP_CRYPTO;
	if (wg->conf.on_unknown_peer(wg->conf.arg, claimed))
		*p = wg_peer_by_key(wg, claimed);
	return *p ? WG_HANDSHAKE : WG_DROP_UNKNOWN_PEER;
}

enum wg_verdict wg_handshake_initiation(struct wg *wg, struct wg_time now, struct bytes msg,
					struct wg_received *out)
{
	enum wg_verdict v = WG_DROP_CRYPTO;
	struct wg_noise noise;
	struct wg_initiation m;
	struct wg_peer *p = NULL;
	struct key claimed;

	if (!wg_initiation_decode(&m, msg))
		return WG_DROP_LENGTH;
	if (wg_noise_open_static(&noise, &wg->me, &m, &claimed))
		v = find_or_ask(wg, &noise, &m, &claimed, &p);
	if (p)
		v = judge_initiation(wg, now, p, &noise, &m);
	if (v == WG_HANDSHAKE) {
		out->peer = p->id;
		out->owner = p->conf.owner;
	}
	secret_wipe(&noise, sizeof(noise));
	return v;
}

enum wg_verdict wg_handshake_response(struct wg *wg, struct wg_time now, struct bytes msg,
				      struct wg_received *out)
{
	struct wg_index_entry *e;
	struct wg_response m;
	struct wg_peer *p;
	uint32_t local;

	if (!wg_response_decode(&m, msg))
		return WG_DROP_LENGTH;
	e = wg_index_find(&wg->index, m.receiver);
	p = e ? e->peer : NULL;
	/* An index that already names a session: the response is a replay. */
	if (!p || e->session || !p->initiating || p->initiation_index != m.receiver)
		return WG_DROP_INDEX;
	if (!wg_noise_open_response(&p->noise, &wg->me, &p->remote, &m))
		return WG_DROP_CRYPTO;
	local = p->initiation_index;
	p->initiating = false; /* the index now belongs to the session */
	install_as_initiator(wg, p, new_session(wg, now.mono, p, &p->noise, local, m.sender, true));
	wg_timers_note_received(wg, now.mono, p);
	out->peer = p->id;
	out->owner = p->conf.owner;
	begin_sending(wg, now, p);
	return WG_HANDSHAKE;
}

enum wg_verdict wg_handshake_cookie(struct wg *wg, struct wg_time now, struct bytes msg)
{
	struct wg_index_entry *e;
	struct wg_cookie_reply m;

	if (!wg_cookie_reply_decode(&m, msg))
		return WG_DROP_LENGTH;
	e = wg_index_find(&wg->index, m.receiver);
	if (!e)
		return WG_DROP_INDEX;
	return wg_cookie_take(&((struct wg_peer *)e->peer)->jar, now.mono, &m) ? WG_COOKIE_TAKEN
									       : WG_DROP_COOKIE;
}
