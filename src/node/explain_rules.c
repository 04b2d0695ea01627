/* node/explain_rules.c - see explain_rules.h. */
#include "node/explain_rules.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/filter/filter.h"
#include "node/gate.h"
#include "node/netmap.h"
#include "node/prefs.h"
#include "node/served.h"

enum { FILTER_JSON_MAX = 64 << 20, NAMED_MAX = 4 };

struct judge {
	const struct explain *e;
	struct filter_flows *flows; /* empty: what we opened ourselves must not count */
	struct ip_range *local;
	size_t local_count;
	struct buf *lines;
	size_t max, found, total;
};

static bool address_of(const struct tailcfg_node *n, uint8_t family, struct ip *out)
{
	for (size_t i = 0; i < n->addresses.n; i++)
		if (n->addresses.v[i].addr.family == family) {
			*out = n->addresses.v[i].addr;
			return true;
		}
	return false;
}

/* What the peer would send first: a SYN, a datagram, or without a port an echo request. */
static bool first_packet(const struct explain *e, uint8_t family, struct ippkt *pkt)
{
	*pkt = (struct ippkt){ .version = family, .proto = e->proto };
	if (!e->port) {
		pkt->proto = family == 4 ? IPPKT_ICMP : IPPKT_ICMP6;
		pkt->has_icmp = true;
		pkt->icmp_type = family == 4 ? 8 : 128;
	} else {
		pkt->has_ports = true;
		pkt->src_port = 40000;
		pkt->dst_port = e->port;
		pkt->tcp_flags = e->proto == IPPKT_TCP ? TCP_SYN : 0;
	}
	return address_of(e->peer, family, &pkt->src) &&
	       address_of(netmap_self(e->map), family, &pkt->dst);
}

static bool lets_in(const struct judge *j, const struct json *rule)
{
	struct json one = *rule,
		    list = { .kind = JSON_ARRAY, .count = 1, .first = &one, .last = &one };
	const struct json *lists[] = { &list };
	struct filter_conf conf = { .lists = lists,
				    .list_count = 1,
				    .local = j->local,
				    .local_count = j->local_count,
				    .flows = j->flows };
	struct filter_source from;
	struct err err = { 0 };
	struct filter *f;
	bool yes = false;

	one.next = NULL;
	f = filter_create(&conf, NULL, &err);
	if (!f)
		return false;
	from = gate_source(f, j->e->peer);
	from.jailed = false; /* said in a line of its own */
	for (uint8_t family = 4; family <= 6 && !yes; family += 2) {
		struct ippkt pkt;

		yes = first_packet(j->e, family, &pkt) &&
		      filter_in(f, &from, &pkt) == FILTER_ACCEPT_RULE;
	}
	filter_unref(f);
	return yes;
}

/* ---- a rule as text ---- */

static void put_ports(struct buf *out, const struct json *ports)
{
	int64_t first = 0, last = 65535;

	(void)json_i64(json_get(ports, "First"), &first);
	(void)json_i64(json_get(ports, "Last"), &last);
	if (first == 0 && last == 65535)
		(void)buf_append_str(out, ":*");
	else if (first == last)
		(void)buf_printf(out, ":%lld", (long long)first);
	else
		(void)buf_printf(out, ":%lld-%lld", (long long)first, (long long)last);
}

static void put_list(struct buf *out, const struct json *list, bool with_ports)
{
	size_t n = 0;

	json_each (item, list) {
		const struct json *ip = with_ports ? json_get(item, "IP") : item;
		struct bytes text = bytes_str("?");

		if (n++ == NAMED_MAX)
			break;
		(void)json_string(ip, &text);
		(void)buf_printf(out, "%s%.*s", n > 1 ? ", " : "", BYTES_FMT(text));
		if (with_ports)
			put_ports(out, json_get(item, "Ports"));
	}
	if (list && list->count > NAMED_MAX)
		(void)buf_printf(out, " and %u more", list->count - NAMED_MAX);
}

static void put_protos(struct buf *out, const struct json *protos)
{
	size_t n = 0;

	json_each (p, protos) {
		(void)buf_printf(out, "%s%.*s", n++ ? "," : ", protocol ", BYTES_FMT(p->text));
	}
}

static void put_rule(struct judge *j, struct bytes name, size_t index, const struct json *rule)
{
	struct buf *out = j->lines;

	if (name.n)
		(void)buf_printf(out, "rule %.*s/%zu: ", BYTES_FMT(name), index);
	else
		(void)buf_printf(out, "rule %zu: ", index);
	put_list(out, json_get(rule, "SrcIPs"), false);
	(void)buf_append_str(out, " -> ");
	put_list(out, json_get(rule, "DstPorts"), true);
	put_protos(out, json_get(rule, "IPProto"));
	(void)buf_append_str(out, "\n");
}

static void judge_list(struct judge *j, const struct named_json *filter)
{
	const struct json *list;
	struct arena arena;
	struct err err;
	size_t index = 0;

	arena_init(&arena, FILTER_JSON_MAX);
	list = json_parse(&arena, filter->json, 0, &err);
	json_each (rule, list) {
		j->total++;
		index++;
		if (!lets_in(j, rule))
			continue;
		if (j->found++ < j->max)
			put_rule(j, filter->name, index, rule);
	}
	arena_fini(&arena);
}

size_t explain_rules(const struct explain *e, struct buf *lines, size_t max, size_t *total)
{
	static const uint8_t seed[16] = { 1 };
	struct judge j = { .e = e, .lines = lines, .max = max };

	j.flows = filter_flows_create(seed);
	j.local = served_ranges(e->map, e->prefs, e->lan, &j.local_count);
	for (size_t i = 0; i < netmap_filter_count(e->map); i++) {
		struct named_json filter = netmap_filter(e->map, i);

		judge_list(&j, &filter);
	}
	mem_free(j.local);
	filter_flows_destroy(j.flows);
	*total = j.total;
	return j.found;
}
