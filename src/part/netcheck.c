/* part/netcheck.c - see netcheck.h. */
#include "part/netcheck.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "io/loop.h"
#include "io/resolve.h"
#include "wire/stun.h"
#include "wire/tailcfg_derp.h"

enum {
	BUDGET_MS = 3000,
	TRY_EVERY_MS = 100,
	TRIES = 3,
	ENOUGH_REGIONS = 3,
	NODES_MAX = 4, /* of a region, for probing */
	SAMPLES = 16,
	HISTORY_S = 300,
	HEARD_MS = 8000, /* a relay that spoke so lately is reachable */
	HEARD_LONG_MS = 120000,
	NEAR_NS = 10 * 1000000, /* not worth moving for */
};

struct target { /* one STUN server */
	struct netcheck *n;
	struct ip ip4, ip6;
	uint16_t port;
	char host[256]; /* to be resolved, or "" */
	struct resolve *resolve;
};

struct sample {
	struct mono at;
	int64_t ns;
};

struct region {
	int id;
	double score;
	struct target targets[NODES_MAX];
	size_t target_count;
	int64_t v4_ns, v6_ns; /* of this run */
	struct sample samples[SAMPLES];
	size_t next_sample;
};

struct probe {
	struct stun_txid txid;
	struct region *region;
	struct mono sent;
	bool v6;
};

struct netcheck {
	struct loop *loop;
	struct netcheck_conf conf;
	struct region **regions;
	size_t region_count;
	bool running, again;
	unsigned tries;
	struct mono started, settle_by;
	struct io_timer timer;
	struct probe *probes;
	size_t probe_count, probe_cap;
	struct netcheck_report report; /* being made */
	unsigned seen_times[NETCHECK_SEEN_MAX];
	struct netcheck_report last;
	struct netcheck_ports ports;
	bool has_last;
	int home;
};

/* ---- the map ---- */

static double score_of(const struct tailcfg_derp_map *map, int id)
{
	const struct json *v;
	struct arena arena;
	struct err ignored;
	double score = 1;
	char name[16];

	if (!map->home_params || !map->home_params->region_score.n)
		return 1;
	arena_init(&arena, 1 << 20);
	v = json_parse(&arena, map->home_params->region_score, 0, &ignored);
	(void)snprintf(name, sizeof(name), "%d", id);
	(void)json_real(json_get(v, name), &score);
	arena_fini(&arena);
	return score > 0 ? score : 1;
}

/* Empty: ask DNS; an address: take it; other text: the family is off. */
static void set_address(struct target *t, struct bytes text, struct ip *ip, uint8_t family)
{
	struct ip parsed;

	if (text.n && ip_parse(&parsed, text) && parsed.family == family)
		*ip = parsed;
	else if (text.n)
		ip->family = 0;
	(void)t;
}

static void add_target(struct netcheck *n, struct region *r, const struct tailcfg_derp_node *node)
{
	struct target *t;

	if (node->stun_port < 0 || node->stun_port > UINT16_MAX || r->target_count == NODES_MAX)
		return;
	t = &r->targets[r->target_count++];
	t->n = n;
	t->port = node->stun_port ? (uint16_t)node->stun_port : STUN_PORT;
	set_address(t, node->stun_test_ip.n ? node->stun_test_ip : node->ipv4, &t->ip4, 4);
	set_address(t, node->ipv6, &t->ip6, 6);
	if (!node->ipv4.n && !node->stun_test_ip.n &&
	    !bytes_to_cstr(node->host_name, t->host, sizeof(t->host)))
		t->host[0] = '\0';
}

static struct region *make_region(struct netcheck *n, const struct tailcfg_derp_map *map,
				  const struct tailcfg_derp_region *in)
{
	struct region *r = mem_alloc(sizeof(*r));

	r->id = (int)in->region_id;
	r->score = score_of(map, r->id);
	for (size_t i = 0; i < in->nodes.n; i++)
		add_target(n, r, &in->nodes.v[i]);
	return r;
}

static void free_regions(struct netcheck *n)
{
	for (size_t i = 0; i < n->region_count; i++) {
		for (size_t j = 0; j < n->regions[i]->target_count; j++)
			resolve_cancel(n->regions[i]->targets[j].resolve);
		mem_free(n->regions[i]);
	}
	mem_free(n->regions);
	n->regions = NULL;
	n->region_count = 0;
	n->probe_count = 0;
}

static void finish(struct netcheck *n);

void netcheck_set_map(struct netcheck *n, const struct tailcfg_derp_map *map)
{
	bool was_running = n->running;
	bool home_is_there = false;

	n->running = false;
	io_timer_stop(&n->timer);
	free_regions(n);
	if (map)
		n->regions = mem_alloc((map->regions.n + 1) * sizeof(*n->regions));
	for (size_t i = 0; map && i < map->regions.n; i++) {
		const struct tailcfg_derp_region *r = map->regions.v[i].object;

		if (r->no_measure_no_home || n->region_count == NETCHECK_REGIONS_MAX)
			continue;
		n->regions[n->region_count++] = make_region(n, map, r);
		home_is_there = home_is_there || (int)r->region_id == n->home;
	}
	if (!home_is_there)
		n->home = 0;
	if (was_running)
		netcheck_run(n, true);
}

/* ---- probes ---- */

static void send_probe(struct netcheck *n, struct region *r, struct ip ip, uint16_t port)
{
	uint8_t request[STUN_REQUEST_LEN];
	struct addrport to = { ip, port };
	struct probe *p;

	if (!ip_is_valid(ip))
		return;
	mem_reserve(n->probes, n->probe_count, n->probe_cap);
	p = &n->probes[n->probe_count];
	*p = (struct probe){ .region = r, .sent = mono_now(), .v6 = ip.family == 6 };
	n->conf.rng.fill(&n->conf.rng, p->txid.b, sizeof(p->txid.b));
	(void)stun_request_encode(request, &p->txid);
	if (n->conf.send(n->conf.arg, &to, bytes_of(request, sizeof(request))))
		n->probe_count++;
}

static struct region *region_of_target(struct netcheck *n, const struct target *t)
{
	for (size_t i = 0; i < n->region_count; i++)
		if (t >= n->regions[i]->targets && t < n->regions[i]->targets + NODES_MAX)
			return n->regions[i];
	return NULL;
}

static void on_resolved(void *arg, const struct addrport *to, size_t count, const struct err *err)
{
	struct target *t = arg;
	struct netcheck *n = t->n;
	struct region *r = region_of_target(n, t);

	(void)err;
	t->resolve = NULL;
	for (size_t i = 0; i < count; i++) {
		if (to[i].ip.family == 4 && !ip_is_valid(t->ip4))
			t->ip4 = to[i].ip;
		if (to[i].ip.family == 6 && !ip_is_valid(t->ip6))
			t->ip6 = to[i].ip;
	}
	if (!n->running || !r)
		return;
	send_probe(n, r, t->ip4, t->port);
	send_probe(n, r, t->ip6, t->port);
}

static void probe_region(struct netcheck *n, struct region *r, unsigned try)
{
	struct target *t;

	if (!r->target_count)
		return;
	t = &r->targets[try % r->target_count];
	if (t->host[0] && !ip_is_valid(t->ip4) && !ip_is_valid(t->ip6)) {
		if (!t->resolve)
			t->resolve = resolve_start(n->loop, t->host, t->port, on_resolved, t);
		return;
	}
	if (!r->v4_ns)
		send_probe(n, r, t->ip4, t->port);
	if (!r->v6_ns)
		send_probe(n, r, t->ip6, t->port);
}

static int64_t best_ns(const struct region *r)
{
	if (r->v4_ns && r->v6_ns)
		return r->v4_ns < r->v6_ns ? r->v4_ns : r->v6_ns;
	return r->v4_ns ? r->v4_ns : r->v6_ns;
}

/* ---- a run ---- */

static void on_timer(struct io_timer *t)
{
	struct netcheck *n = container_of(t, struct netcheck, timer);
	struct mono now = loop_now(n->loop);

	if (n->tries < TRIES) {
		for (size_t i = 0; i < n->region_count; i++)
			probe_region(n, n->regions[i], n->tries);
		n->tries++;
	} else if (mono_reached(now, n->settle_by)) {
		finish(n);
		return;
	}
	io_timer_at(n->loop, &n->timer,
		    n->tries < TRIES ? mono_min(mono_add_ms(now, TRY_EVERY_MS), n->settle_by)
				     : n->settle_by);
}

void netcheck_run(struct netcheck *n, bool full)
{
	(void)full; /* with a handful of regions every run asks all */
	if (n->running) {
		n->again = true;
		return;
	}
	n->running = true;
	n->again = false;
	n->tries = 0;
	n->probe_count = 0;
	n->started = loop_now(n->loop);
	n->settle_by = mono_add_ms(n->started, BUDGET_MS);
	n->report = (struct netcheck_report){ 0 };
	memset(n->seen_times, 0, sizeof(n->seen_times));
	for (size_t i = 0; i < n->region_count; i++)
		n->regions[i]->v4_ns = n->regions[i]->v6_ns = 0;
	io_timer_in_ms(n->loop, &n->timer, 0);
}

static void note_seen(struct netcheck *n, struct addrport seen, bool v6)
{
	struct netcheck_report *r = &n->report;
	size_t i = 0;

	while (i < r->seen_count && !addrport_equal(r->seen[i], seen))
		i++;
	if (i == NETCHECK_SEEN_MAX)
		return;
	if (i == r->seen_count) {
		if (!v6)
			for (size_t j = 0; j < r->seen_count; j++)
				r->varies = r->varies || r->seen[j].ip.family == 4;
		r->seen[r->seen_count++] = seen;
	}
	n->seen_times[i]++;
	/* Another IPv4 server's word on it settles the question. */
	r->varies_known = r->varies_known || (!v6 && (n->seen_times[i] > 1 || r->varies));
}

/* All there, or three regions there and twice the slowest of them waited for. */
static void settle(struct netcheck *n)
{
	struct mono now = loop_now(n->loop);
	size_t answered = 0, possible = 0;
	int64_t slowest = 0;

	for (size_t i = 0; i < n->region_count; i++) {
		int64_t ns = best_ns(n->regions[i]);

		possible += n->regions[i]->target_count > 0;
		answered += ns > 0;
		slowest = ns > slowest ? ns : slowest;
	}
	if (answered < possible && answered < ENOUGH_REGIONS)
		return;
	/* The other family and the other servers get as long as the slowest answer took. */
	n->settle_by = mono_min(n->settle_by, mono_add_ns(now, 2 * slowest));
	if (n->tries >= TRIES)
		io_timer_at(n->loop, &n->timer, n->settle_by);
	else if (answered == possible)
		n->tries = TRIES, io_timer_at(n->loop, &n->timer, n->settle_by);
}

void netcheck_input(struct netcheck *n, struct addrport from, struct bytes datagram)
{
	struct mono now = mono_now();
	struct stun_txid txid;
	struct addrport seen;

	if (!n->running || !stun_response_decode(datagram, &txid, &seen))
		return;
	for (size_t i = 0; i < n->probe_count; i++) {
		struct probe *p = &n->probes[i];
		int64_t *slot, ns = now.ns - p->sent.ns;

		if (memcmp(p->txid.b, txid.b, sizeof(txid.b)) != 0)
			continue;
		slot = p->v6 ? &p->region->v6_ns : &p->region->v4_ns;
		if (ns < 1)
			ns = 1;
		if (!*slot || ns < *slot)
			*slot = ns;
		n->report.udp = true;
		if (p->v6)
			n->report.ipv6 = true;
		else
			n->report.ipv4 = true;
		seen.ip = ip_unmap(seen.ip);
		note_seen(n, seen, p->v6);
		n->probes[i] = n->probes[--n->probe_count]; /* each answer counts once */
		settle(n);
		return;
	}
	(void)from;
}

/* ---- home ---- */

static int64_t recent_ns(const struct region *r, struct mono now)
{
	int64_t best = 0;

	for (size_t i = 0; i < SAMPLES; i++) {
		const struct sample *s = &r->samples[i];

		if (s->ns && mono_since_ms(now, s->at) <= HISTORY_S * 1000 &&
		    (!best || s->ns < best))
			best = s->ns;
	}
	return (int64_t)((double)best * r->score);
}

static bool is_heard(struct netcheck *n, int region, int64_t within_ms)
{
	int64_t ago =
	    region && n->conf.relay_heard_ms ? n->conf.relay_heard_ms(n->conf.arg, region) : -1;

	return ago >= 0 && ago <= within_ms;
}

static int choose_home(struct netcheck *n, struct mono now)
{
	const struct region *best = NULL, *old = NULL;
	int64_t best_at = 0, old_at;

	for (size_t i = 0; i < n->region_count; i++) {
		const struct region *r = n->regions[i];

		if (r->id == n->home)
			old = r;
		if (best_ns(r) && (!best || recent_ns(r, now) < best_at)) {
			best = r;
			best_at = recent_ns(r, now);
		}
	}
	if (!best)
		return is_heard(n, n->home, HEARD_LONG_MS) ? n->home : 0;
	if (!old || old == best)
		return best->id;
	old_at = recent_ns(old, now);
	if ((best_ns(old) || is_heard(n, old->id, HEARD_MS)) && old_at &&
	    (old_at - best_at < NEAR_NS || best_at > old_at * 2 / 3))
		return old->id;
	return best->id;
}

/* Most seen first: that is the address to tell others. */
static void sort_seen(struct netcheck *n)
{
	struct netcheck_report *r = &n->report;

	for (size_t i = 1; i < r->seen_count; i++)
		for (size_t j = i; j > 0 && n->seen_times[j] > n->seen_times[j - 1]; j--) {
			struct addrport a = r->seen[j];
			unsigned t = n->seen_times[j];

			r->seen[j] = r->seen[j - 1];
			n->seen_times[j] = n->seen_times[j - 1];
			r->seen[j - 1] = a;
			n->seen_times[j - 1] = t;
		}
}

static void finish(struct netcheck *n)
{
	struct mono now = loop_now(n->loop);
	struct netcheck_report *report = &n->report;

	n->running = false;
	io_timer_stop(&n->timer);
	for (size_t i = 0; i < n->region_count; i++) {
		struct region *r = n->regions[i];

		if (!best_ns(r))
			continue;
		r->samples[r->next_sample++ % SAMPLES] = (struct sample){ now, best_ns(r) };
		report->regions[report->region_count++] =
		    (struct netcheck_region){ r->id, r->v4_ns, r->v6_ns };
	}
	sort_seen(n);
	n->home = choose_home(n, now);
	/* Nothing measured and nothing known: any relay is better than none. */
	if (!n->home && n->region_count)
		n->home = n->regions[0]->id;
	report->preferred = n->home;
	report->ports = n->ports;
	n->last = *report;
	n->has_last = true;
	if (n->again)
		netcheck_run(n, true);
	n->conf.on_report(n->conf.arg, &n->last);
}

/* ---- */

struct netcheck *netcheck_create(struct loop *loop, const struct netcheck_conf *conf)
{
	struct netcheck *n = mem_alloc(sizeof(*n));

	n->loop = loop;
	n->conf = *conf;
	io_timer_init(&n->timer, on_timer);
	return n;
}

void netcheck_destroy(struct netcheck *n)
{
	if (!n)
		return;
	io_timer_stop(&n->timer);
	free_regions(n);
	mem_free(n->probes);
	mem_free(n);
}

bool netcheck_is_running(const struct netcheck *n)
{
	return n->running;
}

bool netcheck_set_ports(struct netcheck *n, struct netcheck_ports ports)
{
	bool same = n->ports.checked == ports.checked && n->ports.mapped == ports.mapped &&
		    n->ports.pmp == ports.pmp && n->ports.pcp == ports.pcp;

	n->ports = n->last.ports = ports;
	return !same;
}

const struct netcheck_report *netcheck_last(const struct netcheck *n)
{
	return n->has_last ? &n->last : NULL;
}

int netcheck_home(const struct netcheck *n)
{
	return n->home;
}
