#include "engine/wg/wg.h"

#include "base/err.h"
#include "base/mem.h"
#include "engine/wg/wg_allowed.h"
#include "engine/wg/wg_machine.h"

static struct bytes key_of_peer(const void *item)
{
	const struct wg_peer *p = item;

	return bytes_of(p->conf.public_key.b, sizeof(p->conf.public_key.b));
}

static void take_private_key(struct wg *wg, const struct secret32 *key)
{
	wg->logged_in = !secret_is_zero(key->b, sizeof(key->b));
	secret_wipe(&wg->me, sizeof(wg->me));
	secret_wipe(&wg->judge, sizeof(wg->judge));
	if (!wg->logged_in)
		return;
	wg_identity_init(&wg->me, key);
	wg_cookie_judge_init(&wg->judge, &wg->me.public_key);
}

struct wg *wg_create(const struct wg_conf *conf, struct err *err)
{
	struct wg *wg;
	uint8_t seed[16];

	if (!conf->rng || conf->mtu > WG_PACKET_MAX) {
		(void)err_set(err, ERR_USAGE, "tunnel needs randomness and an MTU up to %d",
			      WG_PACKET_MAX);
		return NULL;
	}
	wg = mem_alloc(sizeof(*wg));
	wg->conf = *conf;
	secret32_wipe(&wg->conf.private_key); /* lives in me */
	if (!wg->conf.mtu)
		wg->conf.mtu = WG_MTU_DEFAULT;
	if (!wg->conf.staged_bytes_max)
		wg->conf.staged_bytes_max = WG_STAGED_BYTES;
	if (!wg->conf.handshakes_per_s)
		wg->conf.handshakes_per_s = WG_HANDSHAKES_PER_S;
	if (conf->clock_floor.ns > 0)
		wg->clock_floor = (uint64_t)conf->clock_floor.ns;
	conf->rng->fill(conf->rng, seed, sizeof(seed));
	map_init(&wg->by_key, key_of_peer, seed);
	wg_limit_init(&wg->limit, wg->conf.handshakes_per_s, conf->rng);
	wg->table = wg_table_create();
	wg_queue_init(&wg->queue);
	heap_init(&wg->timers);
	list_init(&wg->retired);
	take_private_key(wg, &conf->private_key);
	return wg;
}

void wg_destroy(struct wg *wg)
{
	if (!wg)
		return;
	for (size_t i = 0; i < wg->slots_n; i++)
		if (wg->slots[i])
			wg_peer_delete(wg, wg->slots[i]);
	wg_reclaim(wg, UINT64_MAX);
	wg_allowed_unref(wg->allowed);
	heap_fini(&wg->timers);
	wg_queue_fini(&wg->queue);
	wg_table_destroy(wg->table);
	wg_index_fini(&wg->index);
	map_fini(&wg->by_key);
	mem_free(wg->slots);
	mem_free(wg->generations);
	mem_free(wg->free_slots);
	secret_wipe(wg, sizeof(*wg));
	mem_free(wg);
}

const struct wg_table *wg_table(const struct wg *wg)
{
	return wg->table;
}

void wg_set_allowed(struct wg *wg, struct wg_allowed *allowed)
{
	struct wg_allowed *old = wg->allowed;

	wg->allowed = allowed ? wg_allowed_ref(allowed) : NULL;
	wg_allowed_unref(old);
}

/* Peers stay; what was derived from the old key goes. A peer whose key is our new one goes too. */
void wg_set_private_key(struct wg *wg, const struct secret32 *key)
{
	take_private_key(wg, key);
	for (size_t i = 0; i < wg->slots_n; i++) {
		struct wg_peer *p = wg->slots[i];
		struct secret32 psk;

		if (!p)
			continue;
		wg_peer_clear(wg, p);
		wg_queue_drop_peer(&wg->queue, p->id);
		wg_cookie_forget(&p->jar);
		p->last_initiation = (struct mono){ 0 };
		if (!wg->logged_in)
			continue;
		psk = p->remote.psk;
		if (key_equal(&p->conf.public_key, &wg->me.public_key) ||
		    !wg_remote_init(&p->remote, &wg->me, &p->conf.public_key, &psk))
			wg_peer_delete(wg, p);
		secret32_wipe(&psk);
	}
	wg_settle(wg);
}

struct wall wg_clock(const struct wg *wg)
{
	return (struct wall){ (int64_t)wg->clock_floor };
}

void wg_set_mtu(struct wg *wg, size_t mtu)
{
	wg->conf.mtu = mtu && mtu <= WG_PACKET_MAX ? mtu : WG_MTU_DEFAULT;
}

void wg_set_under_load(struct wg *wg, bool under_load)
{
	wg->limit.forced = under_load;
}

void wg_enter(struct wg *wg, struct wg_time now)
{
	wg->now = now.mono;
	wg_queue_release(&wg->queue);
}

void wg_settle(struct wg *wg)
{
	if (!wg->conf.data_threads)
		wg_reclaim(wg, UINT64_MAX);
}

/* --- datagrams --- */

static bool answer_with_cookie(struct wg *wg, struct mono now, const struct wg_source *from,
			       struct bytes msg)
{
	struct reader r = reader_of(bytes_from(msg, 4)); /* sender index */
	struct wg_packet *pkt = wg_queue_spare(&wg->queue);

	if (!pkt)
		return false;
	pkt->n = WG_COOKIE_REPLY_LEN;
	pkt->peer = (struct wg_peer_id){ 0 };
	pkt->owner = WG_OWNER_NONE;
	pkt->reply_to = *from;
	pkt->is_handshake = true;
	wg_cookie_issue(&wg->judge, now, wg->conf.rng, from, msg, read_le32(&r),
			wg_packet_datagram(pkt));
	return wg_queue_put(&wg->queue, pkt);
}

/* Cheap before dear: length, mac1, rate, mac2; WG_HANDSHAKE: worth the curve operations. */
static enum wg_verdict admit(struct wg *wg, struct mono now, const struct wg_source *from,
			     struct bytes msg)
{
	if (!wg_cookie_mac1_ok(&wg->judge, msg))
		return WG_DROP_MAC1;
	if (!wg_limit_is_loaded(&wg->limit, now))
		return WG_HANDSHAKE;
	if (!wg_cookie_mac2_ok(&wg->judge, now, from, msg))
		return answer_with_cookie(wg, now, from, msg) ? WG_COOKIE_SENT : WG_DROP_RATE;
	return wg_limit_admit(&wg->limit, now, from) ? WG_HANDSHAKE : WG_DROP_RATE;
}

static enum wg_verdict handshake(struct wg *wg, struct wg_time now, const struct wg_source *from,
				 struct bytes msg, unsigned type, struct wg_received *out)
{
	enum wg_verdict v;

	if (msg.n != (type == WG_INITIATION ? WG_INITIATION_LEN : WG_RESPONSE_LEN))
		return WG_DROP_LENGTH;
	v = admit(wg, now.mono, from, msg);
	if (v != WG_HANDSHAKE)
		return v;
	return type == WG_INITIATION ? wg_handshake_initiation(wg, now, msg, out)
				     : wg_handshake_response(wg, now, msg, out);
}

enum wg_verdict wg_input(struct wg *wg, struct wg_time now, const struct wg_source *from,
			 uint8_t *datagram, size_t n, struct wg_received *out)
{
	struct bytes msg = bytes_of(datagram, n);
	unsigned type = wg_message_type(msg);
	enum wg_verdict v = WG_DROP_TYPE;

	*out = (struct wg_received){ .owner = WG_OWNER_NONE };
	wg_enter(wg, now);
	if (!wg->logged_in)
		v = WG_DROP_LOGGED_OUT;
	else if (type == WG_INITIATION || type == WG_RESPONSE)
		v = handshake(wg, now, from, msg, type, out);
	else if (type == WG_COOKIE_REPLY)
		v = wg_handshake_cookie(wg, now, msg);
	else if (type == WG_TRANSPORT)
		v = wg_transport_open(wg, now, datagram, n, out);
	wg->verdicts[v]++;
	wg_settle(wg);
	return v;
}

bool wg_next_datagram(struct wg *wg, struct wg_datagram *out)
{
	struct wg_packet *pkt = wg_queue_fetch(&wg->queue);

	if (!pkt)
		return false;
	*out = (struct wg_datagram){
		.p = wg_packet_datagram(pkt),
		.n = pkt->n,
		.peer = pkt->peer,
		.owner = pkt->owner,
		.reply_to = pkt->reply_to,
		.is_handshake = pkt->is_handshake,
	};
	return true;
}

/* --- data threads ask --- */

void wg_notice_peer(struct wg *wg, struct wg_time now, struct wg_peer *p)
{
	const struct wg_session *s;

	wg_handshake_confirm(wg, now, p);
	s = p->current;
	if (s && !p->initiating &&
	    (atomic_load(&s->asked_rekey) || atomic_load(&s->asked_receive_rekey)))
		wg_handshake_initiate(wg, now, p, false);
	wg_timers_watch(wg, p);
}

void wg_notice(struct wg *wg, struct wg_time now, uint32_t owner)
{
	struct wg_peer *p = wg_peer_by_owner(wg, owner);

	wg_enter(wg, now);
	if (p)
		wg_notice_peer(wg, now, p);
	wg_settle(wg);
}

/* --- counters --- */

uint64_t wg_count_verdict(const struct wg *wg, enum wg_verdict v)
{
	return wg->verdicts[v];
}

uint64_t wg_count(const struct wg *wg, enum wg_counter c)
{
	return wg->counters[c];
}

const char *wg_verdict_sentence(enum wg_verdict v)
{
	static const char *const sentences[] = {
#define WG_SENTENCE(name, sentence) sentence,
		WG_VERDICTS(WG_SENTENCE)
	};

	return sentences[v];
}

const char *wg_counter_sentence(enum wg_counter c)
{
	static const char *const sentences[] = { WG_COUNTERS(WG_SENTENCE)
#undef WG_SENTENCE
	};

	return sentences[c];
}
