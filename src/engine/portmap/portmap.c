/*
 * engine/portmap/portmap.c - see portmap.h.
 *
 *   OFF ----gateway----> IDLE --want--> PROBING --somebody answered, 250 ms--> ASKING --yes-->
 * MAPPED ^                |                                     |  ^            |
 *                         +----nobody------+            no, or silence for 5 s --+  +-half life--+
 *
 * NAT-PMP is asked first, PCP if only that answered or NAT-PMP refused. While a mapping is renewed
 * it stays in use until its time is over.
 *
 * The gateway is a stranger: answers count only from its address and port, only while one is
 * awaited, only for our port (and, with PCP, our nonce); each makes us send at most one datagram.
 */
#include "engine/portmap/portmap.h"

#include <string.h>

#include "base/mem.h"
#include "wire/natpmp.h"
#include "wire/pcp.h"

enum {
	PROBE_MS = 250,
	REPROBE_MS = 5000, /* after a probe that found nothing */
	ASK_MS = 5000,     /* for a mapping, with all retries */
	RETRY_MS = 250,    /* doubled each time */
	LIFETIME_S = 7200,
	LIFETIME_MIN_S = 60, /* granted for less, a mapping is not worth its traffic */
	LIFETIME_MAX_S = 86400,
	QUEUE_MAX = 4,
	EPOCH_SLACK_S = 5,
};

enum state { OFF, IDLE, PROBING, ASKING, MAPPED };
enum protocol { NONE, PMP, PCP };

struct mapping {
	struct addrport at; /* no address: none */
	enum protocol by;
	struct mono renew, end;
};

struct portmap {
	struct portmap_conf conf;
	enum state state;
	struct ip gateway, self;
	uint16_t port;
	uint8_t nonce[PCP_NONCE_LEN];
	struct portmap_services can;
	bool found_pmp, found_pcp; /* by the probe that runs */
	struct ip pmp_address;     /* the gateway's public one */
	struct mono next_probe;    /* not before */
	struct mono until;         /* of this probe or attempt */
	struct mono retry;
	int64_t retry_ms;
	enum protocol asking;
	struct mapping map;
	uint16_t wish; /* the external port we had last */
	bool has_epoch;
	uint32_t epoch_s;
	struct mono epoch_at;
	struct portmap_datagram queue[QUEUE_MAX];
	size_t queued;
};

/* ---- what goes out ---- */

static uint8_t *slot(struct portmap *p, size_t n)
{
	struct portmap_datagram *d;

	if (p->queued == QUEUE_MAX) { /* nobody fetches: the newest matter */
		memmove(p->queue, p->queue + 1, (QUEUE_MAX - 1) * sizeof(p->queue[0]));
		p->queued--;
	}
	d = &p->queue[p->queued++];
	d->to = (struct addrport){ p->gateway, NATPMP_PORT };
	d->n = n;
	return d->bytes;
}

static void send_pmp_address(struct portmap *p)
{
	(void)natpmp_address_request_encode(slot(p, NATPMP_ADDRESS_REQUEST_LEN));
}

static void send_map(struct portmap *p, enum protocol by, uint32_t lifetime_s)
{
	struct natpmp_map_request pmp = { p->port, lifetime_s ? p->wish : 0, lifetime_s };
	struct pcp_map_request pcp = { .client = p->self,
				       .internal_port = p->port,
				       .external_port = p->wish,
				       .lifetime_s = lifetime_s };

	memcpy(pcp.nonce, p->nonce, sizeof(pcp.nonce));
	if (by == PMP)
		(void)natpmp_map_request_encode(slot(p, NATPMP_MAP_REQUEST_LEN), &pmp);
	else
		(void)pcp_map_request_encode(slot(p, PCP_MAP_LEN), &pcp);
}

static void send_ask(struct portmap *p, struct mono now)
{
	/* With PCP the answer holds the address; with NAT-PMP it may have changed since. */
	if (p->asking == PMP)
		send_pmp_address(p);
	send_map(p, p->asking, LIFETIME_S);
	p->retry = mono_add_ms(now, p->retry_ms);
	p->retry_ms *= 2;
}

/* ---- states ---- */

static void set_mapped(struct portmap *p, struct addrport at)
{
	if (addrport_equal(p->map.at, at))
		return;
	p->map.at = at;
	p->conf.on_change(p->conf.arg);
}

static void probe(struct portmap *p, struct mono now)
{
	p->state = PROBING;
	p->until = mono_add_ms(now, PROBE_MS);
	p->found_pmp = p->found_pcp = false;
	p->pmp_address = (struct ip){ 0 };
	send_pmp_address(p);
	(void)pcp_announce_encode(slot(p, PCP_ANNOUNCE_LEN), p->self);
}

static void ask(struct portmap *p, struct mono now, enum protocol by)
{
	p->state = ASKING;
	p->asking = by;
	p->until = mono_add_ms(now, ASK_MS);
	p->retry_ms = RETRY_MS;
	send_ask(p, now);
}

/* Nothing is mapped and nothing runs; the next want() may start again after a while. */
static void give_up(struct portmap *p, struct mono now)
{
	p->state = IDLE;
	p->next_probe = mono_add_ms(now, REPROBE_MS);
	p->map.by = NONE;
	set_mapped(p, (struct addrport){ 0 });
}

/* This protocol does not give us a mapping: the other one, or what is left of the old mapping. */
static void fall_back(struct portmap *p, struct mono now)
{
	if (p->asking == PMP && p->can.pcp) {
		ask(p, now, PCP);
	} else if (ip_is_valid(p->map.at.ip) && !mono_reached(now, p->map.end)) {
		p->state = MAPPED; /* until its end, with one more try before */
		p->map.renew =
		    mono_add_ns(now, (p->map.end.ns - now.ns) / 2 + (int64_t)REPROBE_MS * 1000000);
	} else {
		give_up(p, now);
	}
}

static void end_probe(struct portmap *p, struct mono now)
{
	struct portmap_services was = p->can;

	p->can = (struct portmap_services){ true, p->found_pmp, p->found_pcp };
	if (p->found_pmp)
		ask(p, now, PMP);
	else if (p->found_pcp)
		ask(p, now, PCP);
	else
		give_up(p, now);
	if (was.checked != p->can.checked || was.pmp != p->can.pmp || was.pcp != p->can.pcp)
		p->conf.on_change(p->conf.arg);
}

static void forget(struct portmap *p)
{
	p->state = OFF;
	p->map = (struct mapping){ 0 };
	p->can = (struct portmap_services){ 0 };
	p->next_probe = (struct mono){ 0 };
	p->has_epoch = false;
	p->wish = 0;
	p->queued = 0;
	p->conf.rng.fill(&p->conf.rng, p->nonce, sizeof(p->nonce));
}

void portmap_set_gateway(struct portmap *p, struct ip gateway, struct ip self, uint16_t port)
{
	bool good = gateway.family == 4 && ip_is_private(gateway) && self.family == 4 && port;
	bool was_mapped = ip_is_valid(p->map.at.ip);

	if (!good)
		gateway = self = (struct ip){ 0 };
	if (ip_equal(gateway, p->gateway) && ip_equal(self, p->self) && port == p->port)
		return;
	forget(p);
	p->gateway = gateway;
	p->self = self;
	p->port = port;
	p->state = good ? IDLE : OFF;
	if (was_mapped)
		p->conf.on_change(p->conf.arg);
}

void portmap_want(struct portmap *p, struct mono now)
{
	if (p->state == IDLE && mono_reached(now, p->next_probe))
		probe(p, now);
}

void portmap_rebind(struct portmap *p, struct mono now)
{
	if (p->state == PROBING || p->state == OFF)
		return;
	if (p->map.by == NONE) {
		p->next_probe = now;
		portmap_want(p, now);
		return;
	}
	p->map.end = mono_min(p->map.end, mono_add_ms(now, ASK_MS));
	ask(p, now, p->map.by);
}

void portmap_release(struct portmap *p)
{
	if (ip_is_valid(p->map.at.ip))
		send_map(p, p->map.by, 0);
	p->map = (struct mapping){ 0 };
	p->state = p->state == OFF ? OFF : IDLE;
}

/* ---- what comes in ---- */

/* The world's addresses only, as far as they can be told; private ones may still serve neighbours
 * below a second NAT. 100.64.0.0/10 would lead peers into their own tunnels. */
static bool is_usable(struct ip ip)
{
	static const struct prefix shared = { { 4, { 100, 64 } }, 10 };

	return ip.family == 4 && ip.b[0] != 0 && ip.b[0] < 224 && !ip_is_loopback(ip) &&
	       !ip_is_link_local(ip) && !prefix_contains(shared, ip);
}

static uint32_t gap(uint32_t a, uint32_t b)
{
	return a > b ? a - b : b - a;
}

/* A gateway that counts from a new start has forgotten our mapping (RFC 6886, 3.6). */
static bool is_restarted(struct portmap *p, struct mono now, uint32_t epoch_s)
{
	int64_t passed = mono_since_ms(now, p->epoch_at) / 1000;
	uint32_t awaited = p->epoch_s + (uint32_t)(passed - passed / 8);
	bool restarted = p->has_epoch && epoch_s < awaited && gap(epoch_s, awaited) > EPOCH_SLACK_S;

	p->has_epoch = true;
	p->epoch_s = epoch_s;
	p->epoch_at = now;
	return restarted;
}

static void granted(struct portmap *p, struct mono now, struct addrport at, uint32_t lifetime_s)
{
	int64_t s = lifetime_s < LIFETIME_MAX_S ? lifetime_s : LIFETIME_MAX_S;

	if (!is_usable(at.ip) || !at.port || s < LIFETIME_MIN_S) {
		fall_back(p, now);
		return;
	}
	p->state = MAPPED;
	p->wish = at.port;
	p->map.by = p->asking;
	p->map.renew = mono_add_s(now, s / 2);
	p->map.end = mono_add_s(now, s);
	set_mapped(p, at);
}

static void take_pmp(struct portmap *p, struct mono now, const struct natpmp_response *r)
{
	bool awaited = p->state == PROBING || (p->state == ASKING && p->asking == PMP);

	if (!awaited)
		return;
	if (r->result == NATPMP_OK && is_restarted(p, now, r->epoch_s))
		set_mapped(p, (struct addrport){ 0 });
	if (r->kind == NATPMP_ADDRESS && r->result == NATPMP_OK) {
		p->pmp_address = r->address;
		p->found_pmp = true;
	} else if (p->state == ASKING && r->result != NATPMP_OK) {
		fall_back(p, now);
	} else if (p->state == ASKING && r->kind == NATPMP_MAP && r->internal_port == p->port) {
		granted(p, now, (struct addrport){ p->pmp_address, r->external_port },
			r->lifetime_s);
	}
	if (p->state == PROBING && p->found_pmp && p->found_pcp)
		end_probe(p, now);
}

static void take_pcp(struct portmap *p, struct mono now, const struct pcp_response *r)
{
	if (p->state == PROBING && r->kind == PCP_ANNOUNCE && r->result == PCP_OK) {
		p->found_pcp = true;
		if (p->found_pmp)
			end_probe(p, now);
		return;
	}
	if (p->state != ASKING || p->asking != PCP || r->kind != PCP_MAP)
		return;
	if (r->result != PCP_OK) {
		fall_back(p, now);
		return;
	}
	if (memcmp(r->nonce, p->nonce, sizeof(p->nonce)) != 0 || r->internal_port != p->port)
		return;
	granted(p, now, (struct addrport){ r->external, r->external_port }, r->lifetime_s);
}

void portmap_input(struct portmap *p, struct mono now, struct addrport from, struct bytes msg)
{
	struct addrport gateway = { p->gateway, NATPMP_PORT };
	struct natpmp_response pmp;
	struct pcp_response pcp;

	if (p->state == OFF || !addrport_equal(from, gateway))
		return;
	if (natpmp_response_decode(&pmp, msg))
		take_pmp(p, now, &pmp);
	else if (pcp_response_decode(&pcp, msg))
		take_pcp(p, now, &pcp);
}

/* ---- time ---- */

static void tick_asking(struct portmap *p, struct mono now)
{
	if (mono_reached(now, p->until))
		fall_back(p, now);
	else if (mono_reached(now, p->retry))
		send_ask(p, now);
}

void portmap_tick(struct portmap *p, struct mono now)
{
	switch (p->state) {
	case OFF:
	case IDLE:
		return;
	case PROBING:
		if (mono_reached(now, p->until))
			end_probe(p, now);
		return;
	case ASKING:
		tick_asking(p, now);
		return;
	case MAPPED:
		if (mono_reached(now, p->map.end))
			give_up(p, now);
		else if (mono_reached(now, p->map.renew))
			ask(p, now, p->map.by);
		return;
	}
}

struct mono portmap_deadline(const struct portmap *p)
{
	switch (p->state) {
	case PROBING:
		return p->until;
	case ASKING:
		return mono_min(p->until, p->retry);
	case MAPPED:
		return mono_min(p->map.renew, p->map.end);
	default:
		return MONO_NEVER;
	}
}

bool portmap_next_datagram(struct portmap *p, struct portmap_datagram *out)
{
	if (!p->queued)
		return false;
	*out = p->queue[0];
	memmove(p->queue, p->queue + 1, --p->queued * sizeof(p->queue[0]));
	return true;
}

/* ---- questions ---- */

bool portmap_mapped(const struct portmap *p, struct addrport *out)
{
	*out = p->map.at;
	return ip_is_valid(out->ip);
}

struct portmap_services portmap_services(const struct portmap *p)
{
	return p->can;
}

struct portmap *portmap_create(const struct portmap_conf *conf)
{
	struct portmap *p = mem_alloc(sizeof(*p));

	p->conf = *conf;
	forget(p);
	return p;
}

void portmap_destroy(struct portmap *p)
{
	mem_free(p);
}
