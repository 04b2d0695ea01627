/*
 * Peers and what they own. A peer lives in control alone; its lane and its sessions are shared with
 * data threads, so they are taken out of the tables first and freed by wg_reclaim() later.
 */
#include "base/err.h"
#include "base/mem.h"
#include "engine/wg/wg_machine.h"

static void retire(struct wg *wg, struct wg_session *s, struct wg_lane *lane)
{
	struct wg_retired *r = mem_alloc(sizeof(*r));

	*r = (struct wg_retired){ .generation = ++wg->generation, .session = s, .lane = lane };
	list_append(&wg->retired, &r->link);
}

uint64_t wg_retired(const struct wg *wg)
{
	return wg->retired.next == &wg->retired ? 0 : wg->generation;
}

/* A session points at its lane; the lane is always retired after its sessions, hence freed after.
 */
void wg_reclaim(struct wg *wg, uint64_t generation)
{
	list_each_safe (it, &wg->retired) {
		struct wg_retired *r = list_entry(it, struct wg_retired, link);

		if (r->generation > generation)
			break;
		list_remove(&r->link);
		if (r->session)
			secret_wipe(r->session, sizeof(*r->session));
		mem_free(r->session);
		mem_free(r->lane);
		mem_free(r);
	}
}

void wg_session_retire(struct wg *wg, struct wg_session **slot)
{
	struct wg_session *s = *slot;

	if (!s)
		return;
	*slot = NULL;
	if (atomic_load(&s->lane->sending) == s)
		atomic_store(&s->lane->sending, NULL);
	wg_table_put_session(wg->table, s->local_index, NULL);
	wg_index_release(&wg->index, s->local_index);
	retire(wg, s, NULL);
}

struct wg_peer *wg_peer_get(const struct wg *wg, struct wg_peer_id id)
{
	return id.gen && id.slot < wg->slots_n && wg->generations[id.slot] == id.gen
		   ? wg->slots[id.slot]
		   : NULL;
}

struct wg_peer *wg_peer_by_key(const struct wg *wg, const struct key *k)
{
	return map_get(&wg->by_key, bytes_of(k->b, sizeof(k->b)));
}

struct wg_peer *wg_peer_by_owner(const struct wg *wg, uint32_t owner)
{
	struct wg_lane *lane = wg_table_lane(wg->table, owner);

	return lane ? wg_peer_get(wg, lane->peer) : NULL;
}

static struct wg_peer_id take_slot(struct wg *wg, struct wg_peer *p)
{
	uint32_t slot;

	if (wg->free_n) {
		slot = wg->free_slots[--wg->free_n];
	} else {
		size_t cap = wg->slots_cap;

		mem_reserve(wg->slots, wg->slots_n, wg->slots_cap);
		if (cap != wg->slots_cap)
			wg->generations =
			    mem_resize(wg->generations, wg->slots_cap, sizeof(uint32_t));
		slot = (uint32_t)wg->slots_n++;
		wg->generations[slot] = 0;
	}
	wg->slots[slot] = p;
	if (++wg->generations[slot] == 0)
		wg->generations[slot] = 1;
	return (struct wg_peer_id){ slot, wg->generations[slot] };
}

static int check_new(const struct wg *wg, const struct wg_peer_conf *conf, struct err *err)
{
	if (!wg->logged_in)
		return err_set(err, ERR_USAGE, "tunnel has no private key");
	if (conf->owner >= WG_OWNER_MAX)
		return err_set(err, ERR_LIMIT, "peer number %u is above %d", conf->owner,
			       WG_OWNER_MAX - 1);
	if (wg_table_lane(wg->table, conf->owner))
		return err_set(err, ERR_USAGE, "peer number %u is taken", conf->owner);
	if (wg_peer_by_key(wg, &conf->public_key))
		return err_set(err, ERR_USAGE, "peer exists already");
	if (key_equal(&conf->public_key, &wg->me.public_key))
		return err_set(err, ERR_USAGE, "peer has our own key");
	return 0;
}

int wg_peer_add(struct wg *wg, const struct wg_peer_conf *conf, struct wg_peer_id *id,
		struct err *err)
{
	struct wg_peer *p;

	if (check_new(wg, conf, err) < 0)
		return -1;
	p = mem_alloc(sizeof(*p));
	if (!wg_remote_init(&p->remote, &wg->me, &conf->public_key, &conf->psk)) {
		secret_wipe(p, sizeof(*p));
		mem_free(p);
		return err_set(err, ERR_AUTH, "peer key is a point of low order");
	}
	p->conf = *conf;
	secret32_wipe(&p->conf.psk); /* lives in remote */
	wg_cookie_jar_init(&p->jar, &conf->public_key);
	list_init(&p->staged);
	p->id = take_slot(wg, p);
	p->lane = mem_alloc_aligned(_Alignof(struct wg_lane), sizeof(*p->lane));
	p->lane->owner = conf->owner;
	p->lane->peer = p->id;
	(void)map_put(&wg->by_key, p);
	wg_table_put_lane(wg->table, conf->owner, p->lane);
	if (conf->keepalive_s)
		wg_timer_arm(wg, p, WG_TIMER_PERSISTENT, wg->now);
	p->newborn = conf->lazy;
	if (conf->lazy)
		wg_timer_arm(wg, p, WG_TIMER_ZERO_KEYS, wg->now);
	if (id)
		*id = p->id;
	return 0;
}

void wg_peer_stop_initiating(struct wg *wg, struct wg_peer *p)
{
	if (!p->initiating)
		return;
	p->initiating = false;
	wg_index_release(&wg->index, p->initiation_index);
	secret_wipe(&p->noise, sizeof(p->noise));
}

void wg_peer_clear(struct wg *wg, struct wg_peer *p)
{
	wg_peer_stop_initiating(wg, p);
	wg_timer_disarm(wg, p, WG_TIMER_RETRANSMIT);
	wg_timer_disarm(wg, p, WG_TIMER_NEW_HANDSHAKE);
	wg_timer_disarm(wg, p, WG_TIMER_KEEPALIVE);
	wg_session_retire(wg, &p->previous);
	wg_session_retire(wg, &p->current);
	wg_session_retire(wg, &p->next);
	wg_transport_drop_staged(wg, p);
	atomic_store(&p->lane->unanswered_since, 0);
	atomic_store(&p->lane->unacked_since, 0);
	atomic_store(&p->lane->watched_send, false);
	atomic_store(&p->lane->watched_receive, false);
}

void wg_peer_delete(struct wg *wg, struct wg_peer *p)
{
	wg_table_put_lane(wg->table, p->conf.owner, NULL);
	wg_peer_clear(wg, p);
	wg_timers_stop(wg, p);
	wg_queue_drop_peer(&wg->queue, p->id);
	(void)map_remove(&wg->by_key, bytes_of(p->conf.public_key.b, sizeof(p->conf.public_key.b)));
	wg->slots[p->id.slot] = NULL;
	mem_reserve(wg->free_slots, wg->free_n, wg->free_cap);
	wg->free_slots[wg->free_n++] = p->id.slot;
	retire(wg, NULL, p->lane);
	secret_wipe(p, sizeof(*p));
	mem_free(p);
}

bool wg_peer_remove(struct wg *wg, struct wg_peer_id id)
{
	struct wg_peer *p = wg_peer_get(wg, id);

	if (!p)
		return false;
	wg_peer_delete(wg, p);
	wg_settle(wg);
	return true;
}

bool wg_peer_find(const struct wg *wg, const struct key *public_key, struct wg_peer_id *id)
{
	const struct wg_peer *p = wg_peer_by_key(wg, public_key);

	if (p)
		*id = p->id;
	return p != NULL;
}

bool wg_peer_of_owner(const struct wg *wg, uint32_t owner, struct wg_peer_id *id)
{
	const struct wg_peer *p = wg_peer_by_owner(wg, owner);

	if (p)
		*id = p->id;
	return p != NULL;
}

bool wg_peer_next(const struct wg *wg, size_t *it, struct wg_peer_id *id)
{
	while (*it < wg->slots_n) {
		const struct wg_peer *p = wg->slots[(*it)++];

		if (p) {
			*id = p->id;
			return true;
		}
	}
	return false;
}

size_t wg_peer_count(const struct wg *wg)
{
	return wg->by_key.n;
}

void wg_peer_set_keepalive(struct wg *wg, struct wg_peer_id id, uint16_t seconds)
{
	struct wg_peer *p = wg_peer_get(wg, id);

	if (!p || p->conf.keepalive_s == seconds)
		return;
	p->conf.keepalive_s = seconds;
	if (seconds)
		wg_timer_arm(wg, p, WG_TIMER_PERSISTENT, wg->now);
	else
		wg_timer_disarm(wg, p, WG_TIMER_PERSISTENT);
}

void wg_peer_nudge(struct wg *wg, struct wg_peer_id id)
{
	struct wg_peer *p = wg_peer_get(wg, id);

	if (!p)
		return;
	p->nudged = true;
	wg_cookie_forget(&p->jar);
	/* Data threads find no session and hand the next packet to wg_output(). */
	atomic_store(&p->lane->sending, NULL);
}

void wg_peer_handshake(struct wg *wg, struct wg_time now, struct wg_peer_id id)
{
	struct wg_peer *p = wg_peer_get(wg, id);

	wg_enter(wg, now);
	if (p)
		wg_handshake_initiate(wg, now, p, false);
	wg_settle(wg);
}

void wg_peer_retry(struct wg *wg, struct wg_time now, struct wg_peer_id id)
{
	struct wg_peer *p = wg_peer_get(wg, id);

	wg_enter(wg, now);
	if (p && p->initiating) {
		p->last_initiation = (struct mono){ 0 };
		wg_handshake_initiate(wg, now, p, true);
	}
	wg_settle(wg);
}

bool wg_peer_status(const struct wg *wg, struct mono now, struct wg_peer_id id,
		    struct wg_peer_status *out)
{
	struct wg_peer *p = wg_peer_get(wg, id);

	if (!p)
		return false;
	*out = (struct wg_peer_status){
		.public_key = p->conf.public_key,
		.owner = p->conf.owner,
		.last_handshake = p->last_session,
		.last_sent = { atomic_load(&p->lane->last_sent) },
		.last_received = { atomic_load(&p->lane->last_received) },
		.tx_packets = atomic_load(&p->lane->tx_packets),
		.tx_bytes = atomic_load(&p->lane->tx_bytes),
		.rx_packets = atomic_load(&p->lane->rx_packets),
		.rx_bytes = atomic_load(&p->lane->rx_bytes),
		.attempts = p->attempts,
		.staged = p->staged_n,
		.has_session = p->current && wg_session_is_fresh(p->current, now),
	};
	return true;
}
