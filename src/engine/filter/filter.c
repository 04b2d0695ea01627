#include "engine/filter/filter.h"

#include <stdatomic.h>

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/filter/filter_axis.h"
#include "engine/filter/filter_flows.h"
#include "engine/filter/filter_rules.h"

enum { FRAGMENT_OFFSET_MIN = 80 }; /* before it a fragment could rewrite a transport header */

struct filter {
	_Atomic unsigned refs;
	struct rules rules;
	struct axis sources, destinations; /* ids are rules; ids are entries */
	struct ip_range *local;
	size_t local_count;
	bool shields_up;
	struct filter_flows *flows;
};

struct filter *filter_create(const struct filter_conf *conf, size_t *skipped, struct err *err)
{
	struct filter *f = mem_alloc(sizeof(*f));
	struct axis_range *dsts = NULL;

	f->refs = 1;
	f->flows = conf->flows;
	f->shields_up = conf->shields_up;
	f->local_count = conf->local_count;
	f->local = mem_alloc((conf->local_count + 1) * sizeof(*f->local));
	for (size_t i = 0; i < conf->local_count; i++)
		f->local[i] = conf->local[i];
	for (size_t i = 0; i < conf->list_count; i++)
		if (rules_add(&f->rules, conf->lists[i], err) < 0)
			goto fail;
	dsts = mem_alloc((f->rules.entry_count + 1) * sizeof(*dsts));
	for (size_t i = 0; i < f->rules.entry_count; i++)
		dsts[i] = (struct axis_range){ f->rules.entries[i].dst, (uint32_t)i };
	if (axis_build(&f->sources, f->rules.sources, f->rules.source_count, err) < 0 ||
	    axis_build(&f->destinations, dsts, f->rules.entry_count, err) < 0)
		goto fail;
	mem_free(dsts);
	if (skipped)
		*skipped = f->rules.skipped;
	return f;
fail:
	mem_free(dsts);
	filter_unref(f);
	return NULL;
}

struct filter *filter_ref(struct filter *f)
{
	atomic_fetch_add(&f->refs, 1);
	return f;
}

void filter_unref(struct filter *f)
{
	if (!f || atomic_fetch_sub(&f->refs, 1) > 1)
		return;
	axis_fini(&f->sources);
	axis_fini(&f->destinations);
	rules_fini(&f->rules);
	mem_free(f->local);
	mem_free(f);
}

static const struct {
	bool accept;
	const char *sentence;
} verdicts[] = {
#define X(name, accepts, text) { accepts, text },
	FILTER_VERDICTS(X)
#undef X
};

bool filter_accepts(enum filter_verdict v)
{
	return verdicts[v].accept;
}

const char *filter_sentence(enum filter_verdict v)
{
	return verdicts[v].sentence;
}

size_t filter_cap_count(const struct filter *f)
{
	return f->rules.cap_count;
}

struct bytes filter_cap_name(const struct filter *f, size_t i)
{
	return bytes_str(f->rules.caps[i]);
}

size_t filter_rule_count(const struct filter *f)
{
	return f->rules.n;
}

/* ---- rules ---- */

enum want { WANT_PORT, WANT_PROTO, WANT_ADDRESSES };

static bool allows_proto(const struct rule *r, uint8_t proto)
{
	return r->protos[proto / 32] >> proto % 32 & 1;
}

/* Everything about an entry but its rule's sources. */
static bool fits(const struct filter *f, const struct entry *e, const struct ippkt *pkt,
		 enum want want)
{
	const struct rule *r = &f->rules.rules[e->rule];

	if (!range_contains(e->dst, pkt->dst))
		return false;
	switch (want) {
	case WANT_ADDRESSES:
		return true;
	case WANT_PROTO:
		return allows_proto(r, pkt->proto) && e->first_port == 0 &&
		       e->last_port == UINT16_MAX;
	case WANT_PORT:
		return allows_proto(r, pkt->proto) && e->first_port <= pkt->dst_port &&
		       pkt->dst_port <= e->last_port;
	}
	return false;
}

static bool rule_fits(const struct filter *f, uint32_t rule, const struct ippkt *pkt,
		      enum want want)
{
	const struct rule *r = &f->rules.rules[rule];

	for (uint32_t i = 0; i < r->entries; i++)
		if (fits(f, &f->rules.entries[r->first_entry + i], pkt, want))
			return true;
	return false;
}

static bool by_sources(const struct filter *f, struct axis_ids rules, const struct ippkt *pkt,
		       enum want want)
{
	for (uint32_t i = 0; i < rules.n; i++)
		if (rule_fits(f, rules.ids[i], pkt, want))
			return true;
	return false;
}

static bool by_destinations(const struct filter *f, struct axis_ids entries, struct axis_ids a,
			    struct axis_ids b, const struct ippkt *pkt, enum want want)
{
	for (uint32_t i = 0; i < entries.n; i++) {
		const struct entry *e = &f->rules.entries[entries.ids[i]];

		if (fits(f, e, pkt, want) && (axis_has(a, e->rule) || axis_has(b, e->rule)))
			return true;
	}
	return false;
}

/* Entries to look at for these rules, as far as it matters: not beyond limit. */
static uint64_t cost(const struct filter *f, struct axis_ids rules, uint64_t limit)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < rules.n && n <= limit; i++)
		n += f->rules.rules[rules.ids[i]].entries;
	return n;
}

/* Goes through the shorter side: the rules that name the source, or those that name the
 * destination. */
static bool by_address(const struct filter *f, const struct ippkt *pkt, enum want want)
{
	struct axis_ids src = axis_lookup(&f->sources, pkt->src),
			any = axis_any(&f->sources, pkt->src);
	struct axis_ids dst, all;
	uint64_t limit;

	if (!src.n && !any.n)
		return false;
	dst = axis_lookup(&f->destinations, pkt->dst);
	all = axis_any(&f->destinations, pkt->dst);
	limit = (uint64_t)dst.n + all.n;
	if (cost(f, src, limit) + cost(f, any, limit) <= limit)
		return by_sources(f, src, pkt, want) || by_sources(f, any, pkt, want);
	return by_destinations(f, dst, src, any, pkt, want) ||
	       by_destinations(f, all, src, any, pkt, want);
}

static bool by_cap(const struct filter *f, const struct filter_source *from,
		   const struct ippkt *pkt, enum want want)
{
	for (size_t i = 0; from->caps && i < f->rules.cap_source_count; i++) {
		const struct cap_source *c = &f->rules.cap_sources[i];

		if (from->caps >> c->cap & 1 && rule_fits(f, c->rule, pkt, want))
			return true;
	}
	return false;
}

static enum filter_verdict ask_rules(const struct filter *f, const struct filter_source *from,
				     const struct ippkt *pkt, enum want want)
{
	if (f->shields_up || from->jailed)
		return FILTER_DROP_RULE;
	if (by_address(f, pkt, want))
		return FILTER_ACCEPT_RULE;
	if (want != WANT_PROTO && by_cap(f, from, pkt, want))
		return FILTER_ACCEPT_RULE;
	return FILTER_DROP_RULE;
}

/* ---- packets ---- */

static bool is_local(const struct filter *f, struct ip ip)
{
	for (size_t i = 0; i < f->local_count; i++)
		if (range_contains(f->local[i], ip))
			return true;
	return false;
}

/* What holds in both directions; FILTER_ACCEPT_OUT: nothing against it. */
static enum filter_verdict check_shape(const struct ippkt *pkt)
{
	if (ip_is_multicast(pkt->dst))
		return FILTER_DROP_MULTICAST;
	if (ip_is_link_local(pkt->dst) && !ip_equal(pkt->dst, ip_v4(169, 254, 169, 254)))
		return FILTER_DROP_LINK_LOCAL;
	if (pkt->fragment == IPPKT_LATER)
		return pkt->fragment_offset >= FRAGMENT_OFFSET_MIN ? FILTER_ACCEPT_FRAGMENT
								   : FILTER_DROP_FRAGMENT;
	if (pkt->proto == IPPKT_UNKNOWN)
		return FILTER_DROP_UNKNOWN;
	return FILTER_ACCEPT_OUT;
}

/* Echo replies and errors; neighbour discovery and the like are requests. */
static bool is_icmp_answer(const struct ippkt *pkt)
{
	if (!pkt->has_icmp)
		return false;
	if (pkt->proto == IPPKT_ICMP)
		return pkt->icmp_type == 0 || pkt->icmp_type == 3 || pkt->icmp_type == 11 ||
		       pkt->icmp_type == 12;
	return pkt->icmp_type == 129 || (pkt->icmp_type >= 1 && pkt->icmp_type <= 4);
}

static enum filter_verdict icmp_in(const struct filter *f, const struct filter_source *from,
				   const struct ippkt *pkt)
{
	if (is_icmp_answer(pkt))
		return FILTER_ACCEPT_ICMP;
	return pkt->has_icmp ? ask_rules(f, from, pkt, WANT_ADDRESSES) : FILTER_DROP_UNKNOWN;
}

static enum filter_verdict tcp_in(const struct filter *f, const struct filter_source *from,
				  const struct ippkt *pkt)
{
	if (!pkt->has_ports)
		return FILTER_DROP_UNKNOWN;
	return ippkt_is_tcp_open(pkt) ? ask_rules(f, from, pkt, WANT_PORT) : FILTER_ACCEPT_TCP;
}

static enum filter_verdict flow_in(const struct filter *f, const struct filter_source *from,
				   const struct ippkt *pkt)
{
	if (!pkt->has_ports)
		return FILTER_DROP_UNKNOWN;
	if (flows_expects(f->flows, pkt))
		return FILTER_ACCEPT_FLOW;
	return ask_rules(f, from, pkt, WANT_PORT);
}

enum filter_verdict filter_in(const struct filter *f, const struct filter_source *from,
			      const struct ippkt *pkt)
{
	enum filter_verdict shape = check_shape(pkt);

	if (!is_local(f, pkt->dst))
		return FILTER_DROP_NOT_LOCAL;
	if (shape != FILTER_ACCEPT_OUT)
		return shape;
	switch (pkt->proto) {
	case IPPKT_ICMP:
	case IPPKT_ICMP6:
		return icmp_in(f, from, pkt);
	case IPPKT_TCP:
		return tcp_in(f, from, pkt);
	case IPPKT_UDP:
	case IPPKT_SCTP:
		return flow_in(f, from, pkt);
	case IPPKT_TSMP:
		return FILTER_ACCEPT_TSMP;
	default:
		return ask_rules(f, from, pkt, WANT_PROTO);
	}
}

enum filter_verdict filter_out(const struct filter *f, const struct ippkt *pkt)
{
	enum filter_verdict shape = check_shape(pkt);

	if (!filter_accepts(shape))
		return shape;
	if (pkt->proto == IPPKT_TSMP)
		return FILTER_DROP_TSMP_OUT;
	if (pkt->has_ports && (pkt->proto == IPPKT_UDP || pkt->proto == IPPKT_SCTP))
		flows_note(f->flows, pkt);
	return FILTER_ACCEPT_OUT;
}
