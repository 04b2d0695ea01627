/*
 * Classes of sources, the sorted spans of all literals, and the contents that are hashed.
 *
 * A content is a sum of 128-bit hashes, one per printed source. Sums can be added to and taken from
 * as nodes come and go, so comparing two source lists of any length costs sixteen bytes.
 */
#include "engine/policy/policy_parse.h"

#include <stdlib.h>

static const uint64_t seeds[2][2] = { { 0x736f6d6570736575, 0x646f72616e646f6d },
				      { 0x6c7967656e657261, 0x7465646279746573 } };

void content_add(uint64_t sum[2], const void *data, size_t n)
{
	sum[0] += map_hash(seeds[0], bytes_of(data, n));
	sum[1] += map_hash(seeds[1], bytes_of(data, n));
}

void content_sub(uint64_t sum[2], const void *data, size_t n)
{
	sum[0] -= map_hash(seeds[0], bytes_of(data, n));
	sum[1] -= map_hash(seeds[1], bytes_of(data, n));
}

static void range_bytes(struct ip_range r, uint8_t out[34])
{
	out[0] = r.first.family;
	memcpy(out + 1, r.first.b, 16);
	out[17] = r.last.family;
	memcpy(out + 18, r.last.b, 16);
}

void content_add_range(uint64_t sum[2], struct ip_range r)
{
	uint8_t raw[34];

	range_bytes(r, raw);
	content_add(sum, raw, sizeof(raw));
}

void content_sub_range(uint64_t sum[2], struct ip_range r)
{
	uint8_t raw[34];

	range_bytes(r, raw);
	content_sub(sum, raw, sizeof(raw));
}

static void add_text(struct ipset *s, const char *text)
{
	struct ip_range r;
	struct prefix p;

	if (policy_address(bytes_str(text), &p))
		ipset_add(s, prefix_range(p));
	else if (range_parse(&r, bytes_str(text)))
		ipset_add(s, r);
}

void policy_constants(struct policy *p)
{
	static const char *const internet[] = {
		"0.0.0.0-9.255.255.255",
		"11.0.0.0-100.63.255.255",
		"100.128.0.0-169.253.255.255",
		"169.255.0.0-172.15.255.255",
		"172.32.0.0-192.167.255.255",
		"192.169.0.0-255.255.255.255",
		"2000::/3",
	};

	for (size_t i = 0; i < array_len(internet); i++)
		add_text(&p->internet, internet[i]);
	add_text(&p->tailnet, "100.64.0.0/10");
	add_text(&p->tailnet, "fd7a:115c:a1e0::/48");
	add_text(&p->wild, "100.64.0.0-100.115.91.255");
	add_text(&p->wild, "100.115.94.0-100.127.255.255");
	add_text(&p->wild, "fd7a:115c:a1e0::/48");
}

static struct bytes class_key(const void *item)
{
	return ((const struct cls *)item)->key;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void sort_ids(struct ids *l)
{
	uint32_t kept = 0;

	if (!l->n)
		return;
	qsort(l->v, l->n, sizeof(*l->v), by_value);
	for (uint32_t i = 1; i < l->n; i++)
		if (l->v[i] != l->v[kept])
			l->v[++kept] = l->v[i];
	l->n = kept + 1;
}

/*
 * danger-all under a posture: everything outside the tailnet, which has no posture, the subnets,
 * and the nodes that pass. Printed as it is without one it would admit those that do not.
 */
static void tame_danger(struct policy *p, struct cls *k)
{
	static const char *const all[] = { "0.0.0.0/0", "::/0" };

	for (uint32_t i = 0; i < k->sels.n; i++) {
		if (p->sels[k->sels.v[i]]->kind != SEL_DANGER_ALL)
			continue;
		k->sels.v[i] = policy_sel_of_kind(p, SEL_ANY);
		for (size_t j = 0; j < array_len(all); j++)
			add_text(&k->lits, all[j]);
	}
	sort_ids(&k->sels);
}

static int by_range(const void *a, const void *b)
{
	const struct ip_range *x = a, *y = b;
	int d = ip_compare(x->first, y->first);

	return d ? d : ip_compare(x->last, y->last);
}

/* Beside "*" the service prints each other source as if it stood alone, else the union. */
static void print_literals(struct policy *p, struct cls *k)
{
	size_t room = k->lits.n, n = 0;

	for (uint32_t i = 0; i < k->sels.n && k->any; i++)
		room += p->sels[k->sels.v[i]]->n_ranges;
	k->printed = policy_alloc(p, room, sizeof(*k->printed));
	for (uint32_t i = 0; i < k->sels.n && k->any; i++)
		for (uint32_t j = 0; j < p->sels[k->sels.v[i]]->n_ranges; j++)
			k->printed[n++] = p->sels[k->sels.v[i]]->range[j];
	for (size_t i = 0; i < k->lits.n && !k->any; i++)
		k->printed[n++] = k->lits.r[i];
	if (n)
		qsort(k->printed, n, sizeof(*k->printed), by_range);
	for (size_t i = 0; i < n; i++) {
		if (i && by_range(&k->printed[i], &k->printed[k->n_printed - 1]) == 0)
			continue;
		k->printed[k->n_printed++] = k->printed[i];
		content_add_range(k->base, k->printed[k->n_printed - 1]);
	}
}

/* Takes in the literals and notes the special sources. */
static void fill_class(struct policy *p, struct cls *k)
{
	bool postured = k->postures.n > 0;

	if (postured)
		tame_danger(p, k);
	for (uint32_t i = 0; i < k->sels.n; i++) {
		struct sel *s = p->sels[k->sels.v[i]];
		struct ipset view = { s->range, s->n_ranges, s->n_ranges };

		ids_add(&s->classes, k->id);
		if (s->kind == SEL_ANY && postured)
			k->any_posture = true;
		else if (s->kind == SEL_ANY)
			k->any = true;
		else if (s->kind == SEL_DANGER_ALL)
			k->danger = true;
		else if (sel_is_literal(s))
			ipset_add_set(&k->lits, &view);
	}
	if (postured) /* inside the tailnet only the nodes that pass count */
		ipset_remove_set(&k->lits, &p->tailnet);
	print_literals(p, k);
	if (k->any)
		content_add(k->base, "*", 1);
	if (k->danger) {
		content_add(k->base, "danger", 6);
		ids_add(&p->danger, k->id);
	}
}

uint32_t policy_class(struct policy *p, const struct ids *sels, const struct ids *postures)
{
	struct ids key = { 0 };
	struct cls *k, probe;

	if (!p->class_keys.key_of)
		map_init(&p->class_keys, class_key, NULL);
	for (uint32_t i = 0; i < sels->n; i++)
		ids_add(&key, sels->v[i]);
	sort_ids(&key);
	ids_add(&key, NO_SEL);
	for (uint32_t i = 0; postures && i < postures->n; i++)
		ids_add(&key, postures->v[i]);
	probe.key = bytes_of(key.v, key.n * sizeof(*key.v));
	k = map_get(&p->class_keys, probe.key);
	if (!k) {
		k = policy_alloc(p, 1, sizeof(*k));
		*k = (struct cls){ .id = p->n_classes };
		k->key = arena_bytes(&p->arena, probe.key);
		for (uint32_t i = 0; i < sels->n; i++)
			ids_add(&k->sels, sels->v[i]);
		sort_ids(&k->sels);
		for (uint32_t i = 0; postures && i < postures->n; i++)
			ids_add(&k->postures, postures->v[i]);
		mem_reserve(p->classes, p->n_classes, p->cap_classes);
		p->classes[p->n_classes++] = k;
		(void)map_put(&p->class_keys, k);
		fill_class(p, k);
	}
	mem_free(key.v);
	return k->id;
}

static int by_span(const void *a, const void *b)
{
	const struct span *x = a, *y = b;
	int d = prefix_compare(x->prefix, y->prefix);

	return d ? d : x->sel < y->sel ? -1 : x->sel > y->sel;
}

/*
 * Sorted by address, wider first, with a link to the next wider one: the spans around an address
 * are one binary search and a walk up, the spans inside a prefix are neighbours.
 */
bool policy_index_spans(struct policy *p)
{
	struct span *spans = NULL;
	uint32_t n = 0, cap = 0;

	for (uint32_t i = 0; i < p->n_sels; i++)
		for (uint32_t j = 0; j < p->sels[i]->n_ranges && n < SPANS_MAX; j++) {
			struct ip_range r = p->sels[i]->range[j];
			struct prefix prefix;
			bool done = false;

			while (range_next_prefix(&r, &prefix, &done)) {
				mem_reserve(spans, n, cap);
				spans[n++] = (struct span){ prefix, i, NO_SEL };
			}
		}
	if (n)
		qsort(spans, n, sizeof(*spans), by_span);
	for (uint32_t i = 1; i < n; i++) {
		uint32_t up = i - 1;

		while (up != NO_SEL && !prefix_covers(spans[up].prefix, spans[i].prefix))
			up = spans[up].parent;
		spans[i].parent = up;
	}
	p->spans = spans;
	p->n_spans = n;
	return n < SPANS_MAX;
}
