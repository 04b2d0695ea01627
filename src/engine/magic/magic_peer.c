/*
 * One peer's path. The states are not stored, they are read off two values, route.direct and
 * route.trusted_until:
 *
 *   relay only   no direct address          send by relay; seek
 *   direct       trusted                    send direct
 *   stale        direct, but trust ran out  send both ways; seek
 *
 * While packets flow a heartbeat pings the direct address every 3 s and a pong extends trust by 6.5
 * s. A ping that is received does not cause one back, which would let a stranger's replay aim our
 * traffic, but for one case: see magic_peer_heard().
 */
#include "engine/magic/magic_peer.h"

static bool is_trusted(const struct magic_peer *p, struct mono now)
{
	return ip_is_valid(p->route.direct.ip) && now.ns <= p->route.trusted_until.ns;
}

static bool is_due(struct mono now, struct mono last, int64_t interval_s)
{
	return mono_is_zero(last) || mono_reached(now, mono_add_s(last, interval_s));
}

void magic_peer_changed(struct magic_peer *p)
{
	if (p->m->conf.on_route)
		p->m->conf.on_route(p->m->conf.arg, p->id, &p->route);
}

void magic_peer_forget_best(struct magic_peer *p)
{
	if (!ip_is_valid(p->route.direct.ip))
		return;
	p->route.direct = (struct addrport){ 0 };
	p->route.trusted_until = (struct mono){ 0 };
	p->best_latency_ns = 0;
	magic_peer_changed(p);
}

/* ---- candidates ---- */

struct candidate *magic_candidate(struct magic_peer *p, struct addrport addr)
{
	for (size_t i = 0; i < p->n; i++)
		if (addrport_equal(p->candidates[i].addr, addr))
			return &p->candidates[i];
	return NULL;
}

static bool is_alive(struct candidate *c, struct mono now)
{
	if (c->sources & FROM_PING &&
	    mono_reached(now, mono_add_s(c->last_got_ping, PING_SOURCE_LIFE_S)))
		c->sources &= ~(unsigned)FROM_PING;
	return c->sources != 0;
}

/* Forgets candidates without a reason left, and the best path if it was one of them. */
static void prune(struct magic_peer *p, struct mono now)
{
	for (size_t i = 0; i < p->n;) {
		if (is_alive(&p->candidates[i], now)) {
			i++;
			continue;
		}
		if (addrport_equal(p->candidates[i].addr, p->route.direct) && !is_trusted(p, now))
			magic_peer_forget_best(p);
		if (addrport_equal(p->candidates[i].addr, p->route.direct)) {
			i++; /* it works right now: keep it until its trust runs out */
			continue;
		}
		p->candidates[i] = p->candidates[--p->n];
	}
}

struct candidate *magic_candidate_add(struct magic_peer *p, struct mono now, struct addrport addr,
				      enum candidate_source source)
{
	struct candidate *c = magic_candidate(p, addr);

	if (!c) {
		if (p->n >= CANDIDATES_MAX)
			prune(p, now);
		if (p->n >= CANDIDATES_MAX)
			return NULL;
		mem_reserve(p->candidates, p->n, p->cap);
		c = &p->candidates[p->n++];
		*c = (struct candidate){ .addr = addr };
	}
	c->sources |= source;
	return c;
}

static bool listed(const struct addrport *list, size_t n, struct addrport addr)
{
	for (size_t i = 0; i < n; i++)
		if (addrport_equal(list[i], addr))
			return true;
	return false;
}

void magic_peer_candidates(struct magic_peer *p, struct mono now, const struct addrport *list,
			   size_t n, enum candidate_source source)
{
	for (size_t i = 0; i < p->n; i++)
		if (!listed(list, n, p->candidates[i].addr))
			p->candidates[i].sources &= ~(unsigned)source;
	prune(p, now);
	for (size_t i = 0; i < n; i++)
		/* A link-local address has no zone on the wire: it names nobody. */
		if (list[i].port && !(list[i].ip.family == 6 && ip_is_link_local(list[i].ip)))
			(void)magic_candidate_add(p, now, list[i], source);
}

/* ---- seeking ---- */

static bool ping_candidate(struct magic_peer *p, struct mono now, struct candidate *c,
			   enum ping_purpose purpose, uint64_t token)
{
	struct magic_path to = { .kind = MAGIC_DIRECT, .addr = c->addr };

	c->last_ping = now;
	return magic_send_ping(p, now, &to, purpose, token);
}

static void request_call_me_maybe(struct magic_peer *p, struct mono now)
{
	struct magic *m = p->m;

	p->last_call_me_maybe = now;
	if (!mono_is_zero(m->endpoints_at) &&
	    !mono_reached(now, mono_add_s(m->endpoints_at, ENDPOINTS_FRESH_S))) {
		magic_send_call_me_maybe(p);
		return;
	}
	p->wants_call_me_maybe = true;
	if (m->conf.on_endpoints_wanted)
		m->conf.on_endpoints_wanted(m->conf.arg);
}

static void note_seeking(struct magic_peer *p, struct mono now)
{
	if (is_trusted(p, now))
		p->seeking_since = (struct mono){ 0 };
	else if (mono_is_zero(p->seeking_since))
		p->seeking_since = now;
}

/*
 * Upstream tells our endpoints only when a ping went out in this very round. Then two hosts that
 * moved at once can miss each other for ever: the one keeps pinging in answer to call-me-maybe, so
 * its own rounds find nothing due and stay silent. We tell them in every round, at most every five
 * seconds.
 */
static void full_ping_round(struct magic_peer *p, struct mono now)
{
	p->last_full_ping = now;
	note_seeking(p, now);
	prune(p, now);
	for (size_t i = 0; i < p->n; i++)
		if (is_due(now, p->candidates[i].last_ping, DISCOVERY_INTERVAL_S))
			(void)ping_candidate(p, now, &p->candidates[i], PING_DISCOVERY, 0);
	if (p->route.region && is_due(now, p->last_call_me_maybe, DISCOVERY_INTERVAL_S))
		request_call_me_maybe(p, now);
}

static bool wants_full_ping(const struct magic_peer *p, struct mono now)
{
	if (!is_trusted(p, now) || mono_is_zero(p->last_full_ping))
		return true;
	return p->best_latency_ns > GOOD_ENOUGH_NS &&
	       mono_reached(now, mono_add_s(p->last_full_ping, UPGRADE_INTERVAL_S));
}

void magic_peer_ping_now(struct magic_peer *p, struct mono now)
{
	for (size_t i = 0; i < p->n; i++)
		(void)ping_candidate(p, now, &p->candidates[i], PING_DISCOVERY, 0);
}

/*
 * Our ping to this address was lost in a NAT that the peer's ping has opened since; the peer has
 * its path and will not call us, so our next round in five seconds would be the first to find out.
 * Asking again at once is safe where the address is known from the map or from call-me-maybe: a
 * replay cannot aim at others. Once per interval and address, while packets flow.
 */
void magic_peer_heard(struct magic_peer *p, struct mono now, struct candidate *c)
{
	bool in_use = !mono_is_zero(p->last_send) &&
		      !mono_reached(now, mono_add_s(p->last_send, SESSION_ACTIVE_S));

	if (!in_use || is_trusted(p, now) || !(c->sources & (FROM_MAP | FROM_CALL_ME_MAYBE)) ||
	    !is_due(now, c->last_back, DISCOVERY_INTERVAL_S))
		return;
	c->last_back = now;
	(void)ping_candidate(p, now, c, PING_DISCOVERY, 0);
}

void magic_peer_sending(struct magic_peer *p, struct mono now)
{
	p->last_send = now;
	if (!p->disco)
		return;
	if (wants_full_ping(p, now))
		full_ping_round(p, now);
	if (!heap_has(&p->heartbeat))
		heap_set(&p->m->heartbeats, &p->heartbeat, mono_add_s(now, HEARTBEAT_S));
}

void magic_peer_heartbeat(struct magic_peer *p, struct mono now)
{
	struct candidate *best;

	if (mono_reached(now, mono_add_s(p->last_send, SESSION_ACTIVE_S))) {
		p->seeking_since = (struct mono){ 0 };
		return; /* idle: no timer until the next send */
	}
	best = ip_is_valid(p->route.direct.ip) ? magic_candidate(p, p->route.direct) : NULL;
	if (best)
		(void)ping_candidate(p, now, best, PING_HEARTBEAT, 0);
	if (wants_full_ping(p, now))
		full_ping_round(p, now);
	heap_set(&p->m->heartbeats, &p->heartbeat, mono_add_s(now, HEARTBEAT_S));
}

/* ---- answers ---- */

static void person_result(struct magic_peer *p, struct mono now, const struct sent_ping *ping,
			  bool answered)
{
	struct magic_ping_result r = { .token = ping->token };

	if (p->person_token != ping->token || !ping->token)
		return;
	if (answered) {
		r.path = ping->to;
		r.latency_ns = now.ns - ping->at.ns;
	}
	p->person_token = 0;
	if (p->m->conf.on_ping_result)
		p->m->conf.on_ping_result(p->m->conf.arg, &r);
}

void magic_peer_pong(struct magic_peer *p, struct mono now, const struct sent_ping *ping)
{
	struct magic_score now_best = { p->route.direct, p->best_latency_ns };
	struct magic_score answer = { ping->to.addr, now.ns - ping->at.ns };
	struct candidate *c;

	person_result(p, now, ping, true);
	if (ping->to.kind != MAGIC_DIRECT)
		return;
	c = magic_candidate(p, ping->to.addr);
	if (!c)
		return; /* no longer believed to be the peer's */
	c->latency_ns = answer.latency_ns > 0 ? answer.latency_ns : 1;
	if (magic_is_better(&answer, &now_best) ||
	    (!is_trusted(p, now) && !addrport_equal(answer.addr, now_best.addr))) {
		p->route.direct = answer.addr;
		p->direct_since = now;
	}
	if (addrport_equal(p->route.direct, answer.addr)) {
		p->best_latency_ns = c->latency_ns;
		p->route.trusted_until = mono_add_ms(now, TRUST_MS);
		p->seeking_since = (struct mono){ 0 };
		magic_peer_changed(p);
	}
}

void magic_peer_ping_lost(struct magic_peer *p, struct mono now, const struct sent_ping *ping)
{
	if (ping->purpose == PING_PERSON) {
		bool others = false;

		list_each (it, &p->pings) {
			const struct sent_ping *other = list_entry(it, struct sent_ping, link);

			others |= other != ping && other->token == ping->token;
		}
		if (!others)
			person_result(p, now, ping, false);
	}
	if (ping->to.kind == MAGIC_DIRECT && addrport_equal(ping->to.addr, p->route.direct) &&
	    !is_trusted(p, now))
		magic_peer_forget_best(p);
}

void magic_peer_person(struct magic_peer *p, struct mono now, uint64_t token)
{
	struct magic_path relay = { .kind = MAGIC_RELAY,
				    .region = p->route.region,
				    .node = p->node_key };
	struct candidate *best = is_trusted(p, now) ? magic_candidate(p, p->route.direct) : NULL;
	struct sent_ping none = { .token = token };
	bool any = false;

	p->person_token = token;
	p->last_send = now; /* a person waits: that counts as traffic */
	note_seeking(p, now);
	if (best) {
		any = ping_candidate(p, now, best, PING_PERSON, token);
	} else {
		if (p->route.region)
			any = magic_send_ping(p, now, &relay, PING_PERSON, token);
		for (size_t i = 0; i < p->n; i++)
			any |= ping_candidate(p, now, &p->candidates[i], PING_PERSON, token);
		if (p->disco && p->route.region)
			request_call_me_maybe(p, now);
	}
	if (!any)
		person_result(p, now, &none, false);
}

/* ---- questions ---- */

static bool ever_answered(const struct magic_peer *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->candidates[i].latency_ns)
			return true;
	return false;
}

enum magic_why magic_peer_why(const struct magic_peer *p, struct mono now)
{
	if (is_trusted(p, now))
		return MAGIC_WHY_DIRECT;
	if (!p->disco)
		return MAGIC_WHY_NO_DISCO;
	if (mono_is_zero(p->last_send) ||
	    mono_reached(now, mono_add_s(p->last_send, SESSION_ACTIVE_S)))
		return MAGIC_WHY_IDLE;
	if (mono_is_zero(p->seeking_since) ||
	    !mono_reached(now, mono_add_s(p->seeking_since, SEEKING_S)))
		return MAGIC_WHY_SEEKING;
	if (!p->n)
		return MAGIC_WHY_NO_ADDRESS;
	return ever_answered(p) ? MAGIC_WHY_LOST : MAGIC_WHY_NO_ANSWER;
}
