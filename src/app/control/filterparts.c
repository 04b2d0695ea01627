#include "app/control/filterparts.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"

enum {
	SPLIT_MIN = 128,   /* sources of a rule that is cut */
	PART_SOURCES = 64, /* on average; a power of two */
	LISTS_MAX = 16,
	RULE_JSON_MAX = 64 << 20,
};

struct chunk {
	uint64_t key, hash;
	struct bytes text; /* "a","b",... */
};

struct list_entry {
	const char *const *srcs; /* NULL: free */
	size_t n_srcs;
	struct filterlists_owner owner;
	struct chunk *chunks; /* by ascending key */
	size_t n;
	struct buf text;
};

struct filterlists {
	struct list_entry v[LISTS_MAX];
	unsigned next; /* to be replaced */
};

static uint64_t hash_of(struct bytes b)
{
	static const uint64_t seed[2] = { 0x77656674207061ULL, 0x7274206f66206669ULL };

	return map_hash(seed, b);
}

/* ---- lists ---- */

static void entry_fini(struct list_entry *e)
{
	if (e->srcs)
		e->owner.unref(e->owner.arg);
	mem_free(e->chunks);
	buf_fini(&e->text);
	*e = (struct list_entry){ 0 };
}

struct filterlists *filterlists_create(void)
{
	return mem_alloc(sizeof(struct filterlists));
}

void filterlists_destroy(struct filterlists *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < LISTS_MAX; i++)
		entry_fini(&l->v[i]);
	mem_free(l);
}

static int by_key(const void *a, const void *b)
{
	uint64_t x = ((const struct chunk *)a)->key, y = ((const struct chunk *)b)->key;

	return x < y ? -1 : x > y;
}

/* Lengths first, views into the text when it no longer moves. */
static void cut(struct list_entry *e)
{
	size_t cap = 0, at = 0;

	buf_init(&e->text, RULE_JSON_MAX);
	for (size_t i = 0; i < e->n_srcs; i++) {
		uint64_t h = hash_of(bytes_str(e->srcs[i]));
		size_t from = e->text.n;

		if (!e->n || h % PART_SOURCES == 0) {
			mem_reserve(e->chunks, e->n, cap);
			e->chunks[e->n++] = (struct chunk){ .key = h };
		} else {
			(void)buf_append_u8(&e->text, ',');
		}
		(void)buf_append_u8(&e->text, '"');
		(void)buf_append_str(&e->text, e->srcs[i]);
		(void)buf_append_u8(&e->text, '"');
		e->chunks[e->n - 1].text.n += e->text.n - from;
	}
	if (e->text.bad)
		e->n = 0; /* nobody has so many sources; then they are not admitted */
	for (size_t i = 0; i < e->n; i++) {
		struct chunk *c = &e->chunks[i];

		c->text.p = e->text.p + at;
		at += c->text.n;
		c->hash = hash_of(c->text);
	}
	qsort(e->chunks, e->n, sizeof(*e->chunks), by_key);
}

static const struct list_entry *list_of(struct filterlists *l, const struct filter_rule *r,
					const struct filterlists_owner *owner)
{
	struct list_entry *e;

	for (size_t i = 0; i < LISTS_MAX; i++)
		if (l->v[i].srcs == r->srcs && l->v[i].n_srcs == r->n_srcs)
			return &l->v[i];
	e = &l->v[l->next++ % LISTS_MAX];
	entry_fini(e);
	*e = (struct list_entry){ .srcs = r->srcs, .n_srcs = r->n_srcs, .owner = *owner };
	owner->ref(owner->arg);
	cut(e);
	return e;
}

/* ---- parts ---- */

void filterparts_fini(struct filterparts *p)
{
	mem_free(p->v);
	*p = (struct filterparts){ 0 };
}

struct delta {
	struct filterparts *told, now;
	size_t at; /* in told: everything before was looked at */
	struct buf *out;
};

static void put_name(struct delta *d, uint32_t rule, uint64_t key)
{
	if (d->out->n)
		(void)buf_append_u8(d->out, ',');
	if (!rule)
		(void)buf_append_str(d->out, "\"base\":");
	else
		(void)buf_printf(d->out, "\"r%u.%016llx\":", rule, (unsigned long long)key);
}

static bool is_before(const struct filterpart *a, const struct filterpart *b)
{
	return a->rule != b->rule ? a->rule < b->rule : a->key < b->key;
}

/* Parts come in ascending order, so one walk over what was told finds what is gone. */
static bool is_news(struct delta *d, struct filterpart p)
{
	const struct filterparts *t = d->told;
	bool same = false;

	while (d->at < t->n && is_before(&t->v[d->at], &p)) {
		put_name(d, t->v[d->at].rule, t->v[d->at].key);
		(void)buf_append_str(d->out, "null");
		d->at++;
	}
	if (d->at < t->n && !is_before(&p, &t->v[d->at]))
		same = t->v[d->at++].hash == p.hash;
	mem_reserve(d->now.v, d->now.n, d->now.cap);
	d->now.v[d->now.n++] = p;
	if (!same)
		put_name(d, p.rule, p.key);
	return !same;
}

static void finish(struct delta *d)
{
	for (; d->at < d->told->n; d->at++) {
		put_name(d, d->told->v[d->at].rule, d->told->v[d->at].key);
		(void)buf_append_str(d->out, "null");
	}
	filterparts_fini(d->told);
	*d->told = d->now;
}

static void put_base(struct delta *d, const struct filter_rule *rules, size_t n)
{
	struct filter_rule *small = mem_alloc((n + 1) * sizeof(*small));
	struct json_out o;
	struct buf text;
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		if (rules[i].n_srcs < SPLIT_MIN)
			small[count++] = rules[i];
	buf_init(&text, RULE_JSON_MAX);
	json_out_init(&o, &text);
	filter_rules_encode(&o, small, count);
	if (is_news(d, (struct filterpart){ 0, 0, hash_of(buf_bytes(&text)) }))
		(void)buf_append(d->out, buf_bytes(&text));
	buf_fini(&text);
	mem_free(small);
}

/* The rule without sources is the same text around every part of them. */
static void put_rule(struct delta *d, uint32_t rule, const struct filter_rule *r,
		     const struct list_entry *e)
{
	static const char head[] = "[{\"SrcIPs\":[";
	struct filter_rule bare = *r;
	struct bytes tail;
	struct json_out o;
	struct buf text;
	uint64_t hash;

	bare.n_srcs = 0;
	buf_init(&text, RULE_JSON_MAX);
	json_out_init(&o, &text);
	filter_rules_encode(&o, &bare, 1);
	hash = hash_of(buf_bytes(&text));
	tail = bytes_from(buf_bytes(&text), sizeof(head) - 1);
	for (size_t i = 0; i < e->n; i++) {
		const struct chunk *c = &e->chunks[i];

		if (!is_news(d, (struct filterpart){ rule, c->key, c->hash * 31 + hash }))
			continue;
		(void)buf_append_str(d->out, head);
		(void)buf_append(d->out, c->text);
		(void)buf_append(d->out, tail);
	}
	buf_fini(&text);
}

void filterparts_delta(struct filterparts *told, struct filterlists *l,
		       const struct filter_rule *rules, size_t n,
		       const struct filterlists_owner *owner, struct buf *out)
{
	struct delta d = { .told = told, .out = out };

	put_base(&d, rules, n);
	for (size_t i = 0; i < n; i++)
		if (rules[i].n_srcs >= SPLIT_MIN)
			put_rule(&d, (uint32_t)i + 1, &rules[i], list_of(l, &rules[i], owner));
	finish(&d);
}
