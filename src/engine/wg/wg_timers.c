/*
 * The timers of a peer. Those that depend on data follow timestamps in the lane: the machine looks
 * at them when a data thread asks it to (wg_notice) and again when the timer is due; a deadline
 * that moved meanwhile is armed anew, and a watch that found nothing ends.
 *
 *   timer          armed by                             due after            does
 *   retransmit     initiation sent                      5 s + jitter         another initiation, 18
 * + 1 times new handshake  data sent, nothing received since    15 s + jitter        initiation
 *   keepalive      data received, nothing sent since    10 s                 keepalive
 *   persistent     configuration                        interval             keepalive
 *   zero keys      session made, handshake given up     540 s                wipe; lazy peers
 * vanish
 */
#include "engine/wg/wg_machine.h"

#define LOAD(field) atomic_load_explicit(&(field), memory_order_seq_cst)
#define STORE(field, v) atomic_store_explicit(&(field), (v), memory_order_seq_cst)

int64_t wg_timers_jitter_ms(struct wg *wg)
{
	return (int64_t)rng_below(wg->conf.rng, WG_JITTER_MS);
}

static void schedule(struct wg *wg, struct wg_peer *p)
{
	struct mono first = MONO_NEVER;

	for (int i = 0; i < WG_TIMERS; i++)
		if (!mono_is_zero(p->timers[i]))
			first = mono_min(first, p->timers[i]);
	if (first.ns == INT64_MAX)
		heap_remove(&wg->timers, &p->due);
	else if (!heap_has(&p->due) || p->due.at.ns != first.ns)
		heap_set(&wg->timers, &p->due, first);
}

void wg_timer_arm(struct wg *wg, struct wg_peer *p, enum wg_timer t, struct mono at)
{
	p->timers[t] = at.ns > 0 ? at : (struct mono){ 1 };
	schedule(wg, p);
}

void wg_timer_disarm(struct wg *wg, struct wg_peer *p, enum wg_timer t)
{
	if (mono_is_zero(p->timers[t]))
		return;
	p->timers[t] = (struct mono){ 0 };
	schedule(wg, p);
}

void wg_timers_stop(struct wg *wg, struct wg_peer *p)
{
	for (int i = 0; i < WG_TIMERS; i++)
		p->timers[i] = (struct mono){ 0 };
	heap_remove(&wg->timers, &p->due);
}

/*
 * Flag down first, then look: the data thread stores its timestamp and then reads the flag, so
 * either it sees the flag down and asks, or we see its timestamp.
 */
void wg_timers_watch(struct wg *wg, struct wg_peer *p)
{
	struct mono since;

	if (mono_is_zero(p->timers[WG_TIMER_NEW_HANDSHAKE])) {
		STORE(p->lane->watched_send, false);
		since.ns = LOAD(p->lane->unanswered_since);
		if (since.ns) {
			STORE(p->lane->watched_send, true);
			wg_timer_arm(wg, p, WG_TIMER_NEW_HANDSHAKE,
				     mono_add_ms(since, WG_KEEPALIVE_TIMEOUT_MS +
							    WG_REKEY_TIMEOUT_MS +
							    wg_timers_jitter_ms(wg)));
		}
	}
	if (mono_is_zero(p->timers[WG_TIMER_KEEPALIVE])) {
		STORE(p->lane->watched_receive, false);
		since.ns = LOAD(p->lane->unacked_since);
		if (since.ns) {
			STORE(p->lane->watched_receive, true);
			wg_timer_arm(wg, p, WG_TIMER_KEEPALIVE,
				     mono_add_ms(since, WG_KEEPALIVE_TIMEOUT_MS));
		}
	}
}

void wg_timers_note_sent(struct wg *wg, struct mono now, struct wg_peer *p)
{
	(void)wg;
	STORE(p->lane->last_sent, now.ns);
	STORE(p->lane->unacked_since, 0);
}

void wg_timers_note_received(struct wg *wg, struct mono now, struct wg_peer *p)
{
	(void)wg;
	STORE(p->lane->last_received, now.ns);
	STORE(p->lane->unanswered_since, 0);
}

static void on_retransmit(struct wg *wg, struct wg_time now, struct wg_peer *p)
{
	if (p->attempts <= WG_ATTEMPTS_MAX) {
		p->attempts++;
		/* Implementations exist that drop any mac2: try again without. */
		if (p->jar.cookie_used)
			wg_cookie_forget(&p->jar);
		wg_handshake_initiate(wg, now, p, true);
		return;
	}
	wg_bump(wg, WG_COUNT_HANDSHAKES_GIVEN_UP);
	wg_peer_stop_initiating(wg, p);
	wg_timer_disarm(wg, p, WG_TIMER_KEEPALIVE);
	STORE(p->lane->unacked_since, 0);
	STORE(p->lane->watched_receive, false);
	wg_transport_drop_staged(wg, p);
	if (mono_is_zero(p->timers[WG_TIMER_ZERO_KEYS]))
		wg_timer_arm(wg, p, WG_TIMER_ZERO_KEYS, mono_add_ms(now.mono, WG_ZERO_KEYS_MS));
}

static void on_new_handshake(struct wg *wg, struct wg_time now, struct wg_peer *p)
{
	struct mono since = { LOAD(p->lane->unanswered_since) };
	struct mono due = mono_add_ms(since, WG_KEEPALIVE_TIMEOUT_MS + WG_REKEY_TIMEOUT_MS);

	if (since.ns && mono_reached(now.mono, due)) {
		STORE(p->lane->unanswered_since, 0); /* the next data counts anew */
		wg_handshake_initiate(wg, now, p, false);
	}
	wg_timers_watch(wg, p);
}

static void on_keepalive(struct wg *wg, struct wg_time now, struct wg_peer *p)
{
	struct mono since = { LOAD(p->lane->unacked_since) };

	if (since.ns && mono_reached(now.mono, mono_add_ms(since, WG_KEEPALIVE_TIMEOUT_MS))) {
		bool again = LOAD(p->lane->more_unacked);

		STORE(p->lane->more_unacked, false);
		wg_transport_keepalive(wg, now, p);
		STORE(p->lane->unacked_since, again ? now.mono.ns : 0);
	}
	wg_timers_watch(wg, p);
}

static void on_persistent(struct wg *wg, struct wg_time now, struct wg_peer *p)
{
	int64_t sent = LOAD(p->lane->last_sent), received = LOAD(p->lane->last_received);
	struct mono busy = { sent > received ? sent : received };
	struct mono due = mono_add_s(busy, p->conf.keepalive_s);

	if (!p->conf.keepalive_s)
		return;
	if (mono_is_zero(busy) || mono_reached(now.mono, due)) {
		wg_transport_keepalive(wg, now, p);
		due = mono_add_s(now.mono, p->conf.keepalive_s);
	}
	wg_timer_arm(wg, p, WG_TIMER_PERSISTENT, due);
}

/* May delete p. */
static void on_zero_keys(struct wg *wg, struct wg_time now, struct wg_peer *p)
{
	struct wg_peer_conf conf = p->conf;

	if (p->newborn) { /* only now do we know the time it was added at */
		p->newborn = false;
		wg_timer_arm(wg, p, WG_TIMER_ZERO_KEYS, mono_add_ms(now.mono, WG_ZERO_KEYS_MS));
		return;
	}
	if (!conf.lazy) {
		wg_peer_clear(wg, p);
		return;
	}
	wg_peer_delete(wg, p);
	if (wg->conf.on_idle_peer)
		wg->conf.on_idle_peer(wg->conf.arg, &conf.public_key, conf.owner);
}

static void (*const on_due[WG_TIMERS])(struct wg *, struct wg_time, struct wg_peer *) = {
	[WG_TIMER_RETRANSMIT] = on_retransmit, [WG_TIMER_NEW_HANDSHAKE] = on_new_handshake,
	[WG_TIMER_KEEPALIVE] = on_keepalive,   [WG_TIMER_PERSISTENT] = on_persistent,
	[WG_TIMER_ZERO_KEYS] = on_zero_keys,
};

/* Zero keys comes last, so no other timer touches a peer that it deleted. */
static void run_timers(struct wg *wg, struct wg_time now, struct wg_peer *p)
{
	for (int i = 0; i < WG_TIMERS; i++) {
		bool last = i == WG_TIMER_ZERO_KEYS;

		if (mono_is_zero(p->timers[i]) || !mono_reached(now.mono, p->timers[i])) {
			if (last)
				schedule(wg, p);
			continue;
		}
		p->timers[i] = (struct mono){ 0 };
		if (last)
			schedule(wg, p);
		on_due[i](wg, now, p);
	}
}

struct mono wg_deadline(const struct wg *wg)
{
	const struct heap_node *first = heap_first(&wg->timers);

	return first ? first->at : MONO_NEVER;
}

void wg_tick(struct wg *wg, struct wg_time now)
{
	struct heap_node *node;

	wg_enter(wg, now);
	while ((node = heap_pop_due(&wg->timers, now.mono)))
		run_timers(wg, now, container_of(node, struct wg_peer, due));
	wg_settle(wg);
}
