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

size_t gate_rule_count(const struct gate *g)
{
	return g && g->filter ? filter_rule_count(g->filter) : 0;
}

enum datapath_verdict gate_in(const struct gate *g, uint32_t owner, const struct ippkt *pkt)
{
	static const struct filter_source nobody = { .jailed = true };
	const struct filter_source *from = &nobody;
	enum filter_verdict v;

	if (!g || !g->filter)
		return DATAPATH_DROP;
	if (owner < g->source_count)
		from = &g->sources[owner];
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
