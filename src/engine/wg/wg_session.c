/*
 * What a data thread does to a lane after a batch: a handful of relaxed stores. Races between
 * sender and receiver lose at most one timer by the length of a batch, never a packet.
 */
#include "engine/wg/wg_session.h"

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)
#define STORE(field, v) atomic_store_explicit(&(field), (v), memory_order_relaxed)
#define ADD(field, v) (void)atomic_fetch_add_explicit(&(field), (v), memory_order_relaxed)

/* Sequentially consistent against wg_timers_watch(): it lowers the flag, then reads the time. */
static bool start_watch(_Atomic int64_t *since, struct mono now, _Atomic bool *watched)
{
	atomic_store(since, now.ns);
	return !atomic_load(watched);
}

static bool older_than(const struct wg_session *s, struct mono now, int64_t seconds)
{
	return now.ns - s->created.ns > seconds * 1000000000;
}

/* Once per session. */
static bool first_time(_Atomic bool *flag)
{
	return !LOAD(*flag) && !atomic_exchange_explicit(flag, true, memory_order_acq_rel);
}

bool wg_session_sent(struct wg_session *s, struct mono now, const struct wg_amount *what)
{
	struct wg_lane *lane = s->lane;
	bool wake = false;

	STORE(lane->last_sent, now.ns);
	ADD(lane->tx_packets, what->packets);
	ADD(lane->tx_bytes, what->bytes);
	if (LOAD(lane->unacked_since))
		STORE(lane->unacked_since, 0); /* whatever we send says that we are there */
	if (what->data) {
		STORE(lane->last_data_sent, now.ns);
		if (!LOAD(lane->unanswered_since))
			wake = start_watch(&lane->unanswered_since, now, &lane->watched_send);
	}
	if (LOAD(s->send_counter) > WG_REKEY_AFTER_MESSAGES ||
	    (s->initiator && older_than(s, now, WG_REKEY_AFTER_S)))
		wake |= first_time(&s->asked_rekey);
	return wake;
}

bool wg_session_received(struct wg_session *s, struct mono now, const struct wg_amount *what)
{
	struct wg_lane *lane = s->lane;
	bool wake = false;

	STORE(lane->last_received, now.ns);
	ADD(lane->rx_packets, what->packets);
	ADD(lane->rx_bytes, what->bytes);
	if (LOAD(lane->unanswered_since))
		STORE(lane->unanswered_since, 0);
	if (what->data) {
		STORE(lane->last_data_received, now.ns);
		if (!LOAD(lane->unacked_since))
			wake = start_watch(&lane->unacked_since, now, &lane->watched_receive);
		else if (!LOAD(lane->more_unacked))
			STORE(lane->more_unacked, true);
	}
	wake |= first_time(&s->confirmed);
	if (s->initiator && older_than(s, now, WG_REKEY_RECEIVE_S))
		wake |= first_time(&s->asked_receive_rekey);
	return wake;
}
