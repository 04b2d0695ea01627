#include "engine/policy/state.h"

/* The first span that sorts behind q. */
static uint32_t behind(const struct policy *p, struct prefix q)
{
	uint32_t lo = 0, hi = p->n_spans;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (prefix_compare(p->spans[mid].prefix, q) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void around(const struct policy *p, uint32_t from, struct prefix q, span_fn *fn, void *arg)
{
	for (uint32_t i = from; i != NO_SEL; i = p->spans[i].parent)
		if (prefix_covers(p->spans[i].prefix, q))
			fn(arg, p->spans[i].sel);
}

void policy_spans_at(const struct policy *p, struct ip ip, span_fn *fn, void *arg)
{
	uint32_t at = behind(p, prefix_of(ip));

	if (at > 0)
		around(p, at - 1, prefix_of(ip), fn, arg);
}

void policy_spans_meeting(const struct policy *p, struct prefix q, span_fn *fn, void *arg)
{
	uint32_t at = behind(p, q);

	if (at > 0)
		around(p, at - 1, q, fn, arg);
	for (; at < p->n_spans && prefix_covers(q, p->spans[at].prefix); at++)
		fn(arg, p->spans[at].sel);
}

bool sel_names_address(const struct sel *sel, struct ip ip)
{
	uint32_t lo = 0, hi = sel->n_ranges;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (ip_compare(sel->range[mid].first, ip) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < sel->n_ranges && ip_equal(sel->range[lo].first, ip) &&
	       ip_equal(sel->range[lo].last, ip);
}
