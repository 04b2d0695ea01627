#include "engine/filter/filter_axis.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"

enum { AXIS_IDS_MAX = 4 << 20 };

/* Where the set of covering ranges changes. */
struct edge {
	struct ip at;
	uint32_t id;
	bool begins;
};

struct active {
	uint32_t *ids; /* ascending, each with how often it is active: an id may have many ranges */
	uint32_t *depth;
	size_t n, cap;
};

static int compare_edges(const void *a, const void *b)
{
	return ip_compare(((const struct edge *)a)->at, ((const struct edge *)b)->at);
}

static size_t lower_bound(const uint32_t *ids, size_t n, uint32_t id)
{
	size_t low = 0;

	while (n > 0) {
		size_t half = n / 2;

		if (ids[low + half] < id) {
			low += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return low;
}

bool axis_has(struct axis_ids ids, uint32_t id)
{
	size_t at = lower_bound(ids.ids, ids.n, id);

	return at < ids.n && ids.ids[at] == id;
}

static void enter(struct active *a, uint32_t id)
{
	size_t at = lower_bound(a->ids, a->n, id);

	if (at < a->n && a->ids[at] == id) {
		a->depth[at]++;
		return;
	}
	if (a->n == a->cap) {
		a->cap = a->cap ? a->cap * 2 : 16;
		a->ids = mem_resize(a->ids, a->cap, sizeof(*a->ids));
		a->depth = mem_resize(a->depth, a->cap, sizeof(*a->depth));
	}
	memmove(a->ids + at + 1, a->ids + at, (a->n - at) * sizeof(*a->ids));
	memmove(a->depth + at + 1, a->depth + at, (a->n - at) * sizeof(*a->depth));
	a->ids[at] = id;
	a->depth[at] = 1;
	a->n++;
}

static void leave(struct active *a, uint32_t id)
{
	size_t at = lower_bound(a->ids, a->n, id);

	if (at >= a->n || --a->depth[at] > 0)
		return; /* an id leaves only where it entered */
	a->n--;
	memmove(a->ids + at, a->ids + at + 1, (a->n - at) * sizeof(*a->ids));
	memmove(a->depth + at, a->depth + at + 1, (a->n - at) * sizeof(*a->depth));
}

static int emit(struct axis *a, size_t *cap, struct ip first, const struct active *active,
		struct err *err)
{
	struct axis_piece *p = &a->pieces[a->piece_count++];

	if (a->id_count + active->n > AXIS_IDS_MAX)
		return err_set(err, ERR_LIMIT, "packet filter: its ranges overlap too much");
	while (a->id_count + active->n > *cap) {
		*cap = *cap ? *cap * 2 : 64;
		a->ids = mem_resize(a->ids, *cap, sizeof(*a->ids));
	}
	*p = (struct axis_piece){ first, (uint32_t)a->id_count, (uint32_t)active->n };
	if (active->n)
		memcpy(a->ids + a->id_count, active->ids, active->n * sizeof(*a->ids));
	a->id_count += active->n;
	return 0;
}

static bool is_whole_family(struct ip_range r)
{
	struct prefix all = { { .family = r.first.family }, 0 };
	struct ip_range whole = prefix_range(all);

	return ip_equal(r.first, whole.first) && ip_equal(r.last, whole.last);
}

/* Ranges become edges; a range to the end of its family has no second one: the family ends itself.
 */
static size_t cut(struct axis *a, struct edge *edges, const struct axis_range *ranges, size_t n)
{
	size_t m = 0;

	for (size_t i = 0; i < n; i++) {
		int v6 = ranges[i].range.first.family == 6;
		struct ip end = ranges[i].range.last;

		if (is_whole_family(ranges[i].range)) {
			if (!a->any_count[v6] || a->any[v6][a->any_count[v6] - 1] != ranges[i].id)
				a->any[v6][a->any_count[v6]++] = ranges[i].id;
			continue;
		}
		edges[m++] = (struct edge){ ranges[i].range.first, ranges[i].id, true };
		if (ip_next(&end))
			edges[m++] = (struct edge){ end, ranges[i].id, false };
	}
	qsort(edges, m, sizeof(*edges), compare_edges);
	return m;
}

static int compare_ids(const void *a, const void *b)
{
	uint32_t x = ((const struct axis_range *)a)->id, y = ((const struct axis_range *)b)->id;

	return (x > y) - (x < y);
}

static int sweep(struct axis *a, const struct edge *edges, size_t m, struct active *active,
		 struct err *err)
{
	size_t cap = 0;
	uint8_t family = 4;

	for (size_t i = 0; i < m;) {
		struct ip at = edges[i].at;

		if (at.family != family) { /* what reached the end of IPv4 ends there */
			active->n = 0;
			family = at.family;
		}
		for (; i < m && ip_equal(edges[i].at, at); i++) {
			if (edges[i].begins)
				enter(active, edges[i].id);
		}
		for (size_t j = i; j > 0 && ip_equal(edges[j - 1].at, at); j--)
			if (!edges[j - 1].begins)
				leave(active, edges[j - 1].id);
		if (emit(a, &cap, at, active, err) < 0)
			return -1;
	}
	return 0;
}

static void index_v4(struct axis *a)
{
	a->first4 = mem_alloc((a->piece_count + 1) * sizeof(*a->first4));
	for (; a->count4 < a->piece_count && a->pieces[a->count4].first.family == 4; a->count4++)
		a->first4[a->count4] = ip_v4_u32(a->pieces[a->count4].first);
}

int axis_build(struct axis *a, struct axis_range *ranges, size_t n, struct err *err)
{
	struct edge *edges = mem_alloc((2 * n + 1) * sizeof(*edges));
	struct active active = { 0 };
	size_t m;
	int ret;

	*a = (struct axis){ 0 };
	if (n)
		qsort(ranges, n, sizeof(*ranges), compare_ids);
	for (int v6 = 0; v6 < 2; v6++)
		a->any[v6] = mem_alloc((n + 1) * sizeof(uint32_t));
	m = cut(a, edges, ranges, n);
	a->pieces = mem_alloc((m + 1) * sizeof(*a->pieces));
	ret = sweep(a, edges, m, &active, err);
	index_v4(a);
	mem_free(active.ids);
	mem_free(active.depth);
	mem_free(edges);
	if (ret < 0)
		axis_fini(a);
	return ret;
}

void axis_fini(struct axis *a)
{
	mem_free(a->pieces);
	mem_free(a->first4);
	mem_free(a->ids);
	mem_free(a->any[0]);
	mem_free(a->any[1]);
	*a = (struct axis){ 0 };
}

/* How many of the pieces begin at or before the address. Without a branch that could be
 * mispredicted. */
static size_t search4(const uint32_t *first, size_t n, uint32_t ip)
{
	const uint32_t *base = first;

	while (n > 1) {
		size_t half = n / 2;

		base += (base[half - 1] <= ip) * half;
		n -= half;
	}
	return (size_t)(base - first) + (n == 1 && *base <= ip);
}

static size_t search6(const struct axis_piece *pieces, size_t n, const struct ip *ip)
{
	size_t low = 0;

	while (n > 0) {
		size_t half = n / 2;

		if (memcmp(pieces[low + half].first.b, ip->b, sizeof(ip->b)) <= 0) {
			low += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return low;
}

struct axis_ids axis_lookup(const struct axis *a, struct ip ip)
{
	const struct axis_piece *pieces = ip.family == 4 ? a->pieces : a->pieces + a->count4;
	size_t at = ip.family == 4 ? search4(a->first4, a->count4, ip_v4_u32(ip))
				   : search6(pieces, a->piece_count - a->count4, &ip);

	if (!at)
		return (struct axis_ids){ NULL, 0 };
	return (struct axis_ids){ a->ids + pieces[at - 1].offset, pieces[at - 1].n };
}

struct axis_ids axis_any(const struct axis *a, struct ip ip)
{
	int v6 = ip.family == 6;

	return (struct axis_ids){ a->any[v6], a->any_count[v6] };
}
