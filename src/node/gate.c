/* node/gate.c - see gate.h. */
#include "node/gate.h"

#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/netmap.h"
#include "node/prefs.h"
#include "node/served.h"

enum { FILTER_JSON_MAX = 64 << 20 };

struct gate {
	struct filter *filter;
	struct addrport services[GATE_SERVICES_MAX];
	size_t service_count;
	size_t source_count;
	struct filter_source sources[];
};

static bool has_unsigned_peer(const struct netmap *map)
{
	for (size_t i = 0; i < netmap_peer_count(map); i++)
		if (netmap_peer(map, i)->unsigned_peer_api_only)
			return true;
	return false;
}

static struct filter *make_filter(const struct netmap *map, const struct prefs *prefs,
				  const struct lan *lan, struct filter_flows *flows,
				  const struct log *log)
{
	struct filter_conf conf = { .flows = flows };
	const struct json **lists = NULL;
	struct ip_range *local = NULL;
	size_t skipped = 0;
	struct arena arena;
	struct err err = { 0 };
	struct filter *f;

	arena_init(&arena, FILTER_JSON_MAX);
	if (map) {
		local = served_ranges(map, prefs, lan, &conf.local_count);
		conf.shields_up = prefs->v.shields_up;
		lists = mem_alloc((netmap_filter_count(map) + 1) * sizeof(*lists));
		for (size_t i = 0; i < netmap_filter_count(map); i++)
			lists[i] = json_parse(&arena, netmap_filter(map, i).json, 0, &err);
		conf.local = local;
		conf.lists = lists;
		conf.list_count = netmap_filter_count(map);
		if (has_unsigned_peer(map)) {
			log_warn(log, "map names unsigned peers, all inbound traffic is blocked");
			conf.list_count = 0;
		}
	}
	f = filter_create(&conf, &skipped, &err);
	if (!f) {
		log_warn(log, "filter was refused, all inbound traffic is blocked: %s", err.text);
		conf.list_count = 0;
		f = filter_create(&conf, NULL, &err);
	}
	if (skipped)
		log_warn(log, "%zu elements of filter rules could not be read", skipped);
	mem_free(lists);
	mem_free(local);
	arena_fini(&arena);
	return f;
}

struct filter_source gate_source(const struct filter *f, const struct tailcfg_node *n)
{
	struct filter_source s = { .jailed = n->is_jailed };
	char name[256];

	for (size_t i = 0; i < filter_cap_count(f); i++)
		if (bytes_to_cstr(filter_cap_name(f, i), name, sizeof(name)) &&
		    netmap_node_has_cap(n, name))
			s.caps |= (uint64_t)1 << i;
	return s;
}

struct gate *gate_create(const struct netmap *map, const struct prefs *prefs, const struct lan *lan,
			 const struct gate_peer *peers, size_t peer_count,
			 struct filter_flows *flows, const struct log *log)
{
	struct gate *g = mem_alloc(sizeof(*g) + peer_count * sizeof(g->sources[0]));

	g->filter = make_filter(map, prefs, lan, flows, log);
	g->source_count = peer_count;
	for (size_t i = 0; i < peer_count; i++) {
		g->sources[i].jailed = true;
		if (peers[i].node && g->filter)
			g->sources[i] = gate_source(g->filter, peers[i].node);
	}
	return g;
}

void gate_destroy(struct gate *g)
{
	if (!g)
		return;
	filter_unref(g->filter);
	mem_free(g);
}

void gate_serve(struct gate *g, const struct addrport *at, size_t n)
{
	for (size_t i = 0; i < n && g->service_count < GATE_SERVICES_MAX; i++)
		g->services[g->service_count++] = at[i];
}

size_t gate_rule_count(const struct gate *g)
{
	return g && g->filter ? filter_rule_count(g->filter) : 0;
}

static const struct filter_source *source_at(const struct gate *g, uint32_t owner)
{
	static const struct filter_source nobody = { .jailed = true };

	return owner < g->source_count ? &g->sources[owner] : &nobody;
}

static bool is_for_service(const struct gate *g, const struct ippkt *pkt)
{
	if (pkt->proto != IPPKT_TCP || !pkt->has_ports)
		return false;
	for (size_t i = 0; i < g->service_count; i++)
		if (pkt->dst_port == g->services[i].port && ip_equal(pkt->dst, g->services[i].ip))
			return true;
	return false;
}

bool gate_allows(const struct gate *g, uint32_t owner, const struct ippkt *pkt)
{
	return g && g->filter && filter_accepts(filter_in(g->filter, source_at(g, owner), pkt));
}

enum datapath_verdict gate_in(const struct gate *g, uint32_t owner, const struct ippkt *pkt)
{
	const struct filter_source *from;
	enum filter_verdict v;

	if (!g || !g->filter)
		return DATAPATH_DROP;
	from = source_at(g, owner);
	if (is_for_service(g, pkt))
		return from->jailed ? DATAPATH_DROP : DATAPATH_LOCAL;
	v = filter_in(g->filter, from, pkt);
	if (v == FILTER_ACCEPT_TSMP)
		return DATAPATH_LOCAL; /* between nodes: never for the host */
	return filter_accepts(v) ? DATAPATH_PASS : DATAPATH_DROP;
}

/* 100.100.100.100 and fd7a:115c:a1e0::53: our own services, never a peer. */
static bool is_service(const struct ip *ip)
{
	static const struct ip six = {
		6, { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53 }
	};

	return ip->family == 4 ? ip_v4_u32(*ip) == 0x64646464 : ip_equal(*ip, six);
}

enum datapath_verdict gate_out(const struct gate *g, uint32_t owner, const struct ippkt *pkt)
{
	(void)owner;
	if (is_service(&pkt->dst))
		return DATAPATH_LOCAL;
	if (!g || !g->filter)
		return DATAPATH_DROP;
	return filter_accepts(filter_out(g->filter, pkt)) ? DATAPATH_PASS : DATAPATH_DROP;
}
