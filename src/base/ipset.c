#include "base/ipset.h"

#include <stdlib.h>

#include "base/mem.h"

void ipset_init(struct ipset *s)
{
	*s = (struct ipset){ 0 };
}

void ipset_fini(struct ipset *s)
{
	mem_free(s->r);
	*s = (struct ipset){ 0 };
}

bool ranges_overlap(struct ip_range a, struct ip_range b)
{
	return a.first.family == b.first.family && ip_compare(a.first, b.last) <= 0 &&
	       ip_compare(b.first, a.last) <= 0;
}

/* True when b starts inside a or right behind it: the two make one interval. Needs a <= b. */
static bool touches(struct ip_range a, struct ip_range b)
{
	struct ip next = a.last;

	if (a.first.family != b.first.family)
		return false;
	return ip_compare(b.first, a.last) <= 0 || (ip_next(&next) && ip_equal(next, b.first));
}

/* The first interval whose last address is not below ip. */
static size_t lower(const struct ipset *s, struct ip ip)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (ip_compare(s->r[mid].last, ip) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Replaces the intervals [at, end) by the n of r (at most 2). */
static void splice(struct ipset *s, size_t at, size_t end, const struct ip_range *r, size_t n)
{
	while (s->cap < s->n + n)
		mem_reserve(s->r, s->cap, s->cap);
	if (s->n > end)
		memmove(s->r + at + n, s->r + end, (s->n - end) * sizeof(*s->r));
	if (n)
		memcpy(s->r + at, r, n * sizeof(*r));
	s->n = s->n - (end - at) + n;
}

void ipset_add(struct ipset *s, struct ip_range r)
{
	size_t at = lower(s, r.first), end;

	if (at > 0 && touches(s->r[at - 1], r))
		at--;
	for (end = at; end < s->n; end++) {
		struct ip_range *x = &s->r[end];

		if (ip_compare(x->first, r.first) <= 0 ? !touches(*x, r) : !touches(r, *x))
			break;
		if (ip_compare(x->first, r.first) < 0)
			r.first = x->first;
		if (ip_compare(x->last, r.last) > 0)
			r.last = x->last;
	}
	splice(s, at, end, &r, 1);
}

static int by_first(const void *a, const void *b)
{
	return ip_compare(((const struct ip_range *)a)->first, ((const struct ip_range *)b)->first);
}

void ipset_add_all(struct ipset *s, const struct ip_range *r, size_t n)
{
	size_t kept = 0;

	if (!n)
		return;
	s->r = mem_resize(s->r, s->n + n, sizeof(*s->r));
	s->cap = s->n + n;
	memcpy(s->r + s->n, r, n * sizeof(*r));
	s->n += n;
	qsort(s->r, s->n, sizeof(*s->r), by_first);
	for (size_t i = 1; i < s->n; i++) {
		if (!touches(s->r[kept], s->r[i]))
			s->r[++kept] = s->r[i];
		else if (ip_compare(s->r[i].last, s->r[kept].last) > 0)
			s->r[kept].last = s->r[i].last;
	}
	s->n = kept + 1;
}

void ipset_add_set(struct ipset *s, const struct ipset *other)
{
	ipset_add_all(s, other->r, other->n);
}

void ipset_remove(struct ipset *s, struct ip_range r)
{
	size_t at = lower(s, r.first), end = at, n = 0;
	struct ip_range rest[2];

	for (; end < s->n && ranges_overlap(s->r[end], r); end++) {
		struct ip_range x = s->r[end];

		if (ip_compare(x.first, r.first) < 0) {
			rest[n] = (struct ip_range){ x.first, r.first };
			(void)ip_prev(&rest[n++].last);
		}
		if (ip_compare(x.last, r.last) > 0) {
			rest[n] = (struct ip_range){ r.last, x.last };
			(void)ip_next(&rest[n++].first);
		}
	}
	splice(s, at, end, rest, n);
}

void ipset_remove_set(struct ipset *s, const struct ipset *other)
{
	for (size_t i = 0; i < other->n; i++)
		ipset_remove(s, other->r[i]);
}

bool ipset_contains(const struct ipset *s, struct ip ip)
{
	return ipset_overlaps(s, (struct ip_range){ ip, ip });
}

bool ipset_overlaps(const struct ipset *s, struct ip_range r)
{
	size_t at = lower(s, r.first);

	return at < s->n && ranges_overlap(s->r[at], r);
}

bool ipset_covers(const struct ipset *s, struct ip_range r)
{
	size_t at = lower(s, r.first);

	return at < s->n && s->r[at].first.family == r.first.family &&
	       ip_compare(s->r[at].first, r.first) <= 0 && ip_compare(r.last, s->r[at].last) <= 0;
}

bool ipset_overlaps_set(const struct ipset *a, const struct ipset *b)
{
	const struct ipset *few = a->n <= b->n ? a : b, *many = a->n <= b->n ? b : a;

	for (size_t i = 0; i < few->n; i++)
		if (ipset_overlaps(many, few->r[i]))
			return true;
	return false;
}

bool ipset_covers_set(const struct ipset *s, const struct ipset *inner)
{
	for (size_t i = 0; i < inner->n; i++)
		if (!ipset_covers(s, inner->r[i]))
			return false;
	return true;
}

bool ipset_equal(const struct ipset *a, const struct ipset *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!ip_equal(a->r[i].first, b->r[i].first) ||
		    !ip_equal(a->r[i].last, b->r[i].last))
			return false;
	return true;
}

bool range_is_prefix(struct ip_range r, struct prefix *out)
{
	bool done = false;
	struct prefix p;

	if (!range_next_prefix(&r, &p, &done) || !done)
		return false;
	*out = p;
	return true;
}
