/* Packet filters: by what they let through, and as they stand on the wire. */
#include <stdio.h>
#include <stdlib.h>

#include "base/ipset.h"
#include "base/mem.h"
#include "capture.h"

/* Everything one destination entry says, and the sources it says it of. */
struct fact {
	char key[512];
	struct ipset src;
};

struct facts {
	struct fact *v;
	size_t n, cap;
};

static bool parse_range(struct bytes text, struct ip_range *r)
{
	struct prefix p;
	struct ip ip;

	if (ip_parse(&ip, text))
		*r = (struct ip_range){ ip, ip };
	else if (prefix_parse(&p, text))
		*r = prefix_range(p);
	else
		return range_parse(r, text);
	return true;
}

static void parse_srcs(const struct json *rule, struct ipset *out)
{
	struct prefix all4 = { { .family = 4 }, 0 }, all6 = { { .family = 6 }, 0 };
	struct ip_range r;

	json_each (it, member(rule, "SrcIPs")) {
		if (bytes_equal_str(it->text, "*")) {
			ipset_add(out, prefix_range(all4));
			ipset_add(out, prefix_range(all6));
		} else if (parse_range(it->text, &r)) {
			ipset_add(out, r);
		}
	}
}

static void add_fact(struct facts *f, const char *key, const struct ipset *src)
{
	if (!src->n)
		return;
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->v[i].key, key) == 0) {
			ipset_add_set(&f->v[i].src, src);
			return;
		}
	mem_reserve(f->v, f->n, f->cap);
	f->v[f->n] = (struct fact){ 0 };
	(void)snprintf(f->v[f->n].key, sizeof(f->v[f->n].key), "%s", key);
	ipset_add_set(&f->v[f->n++].src, src);
}

static void dst_fact(struct facts *f, int64_t proto, struct bytes ip, const struct json *ports,
		     const struct ipset *src)
{
	int64_t first = 0, last = 0;
	struct ip_range r = { 0 };
	char key[512], text[RANGE_TEXT_MAX] = "*";

	(void)json_i64(member(ports, "First"), &first);
	(void)json_i64(member(ports, "Last"), &last);
	if (parse_range(ip, &r))
		(void)range_format(r, text);
	(void)snprintf(key, sizeof(key), "proto %lld to %s ports %lld-%lld", (long long)proto, text,
		       (long long)first, (long long)last);
	add_fact(f, key, src);
}

static void dst_facts(struct facts *f, const struct json *rule, const struct ipset *src)
{
	static const int64_t usual[] = { 1, 6, 17, 58 };
	const struct json *protos = member(rule, "IPProto");

	json_each (d, member(rule, "DstPorts")) {
		struct bytes ip = { 0 };

		(void)json_string(member(d, "IP"), &ip);
		for (size_t i = 0; i < 4 && !(protos && protos->count); i++)
			dst_fact(f, usual[i], ip, member(d, "Ports"), src);
		json_each (p, protos) {
			int64_t n = 0;

			(void)json_i64(p, &n);
			dst_fact(f, n, ip, member(d, "Ports"), src);
		}
	}
}

static void cap_facts(struct arena *a, struct facts *f, const struct json *rule,
		      const struct ipset *src)
{
	json_each (g, member(rule, "CapGrant"))
		json_each (dst, member(g, "Dsts"))
			json_each (cap, member(g, "CapMap")) {
				struct bytes values = canonical(a, cap);
				char key[512];

				(void)snprintf(key, sizeof(key), "%.*s on %.*s = %.*s",
					       BYTES_FMT(cap->key), BYTES_FMT(dst->text),
					       BYTES_FMT(values));
				add_fact(f, key, src);
			}
}

static void facts_of(struct arena *a, const struct json *rules, struct facts *f)
{
	json_each (rule, rules) {
		struct ipset src;

		ipset_init(&src);
		parse_srcs(rule, &src);
		dst_facts(f, rule, &src);
		cap_facts(a, f, rule, &src);
		ipset_fini(&src);
	}
}

static void facts_fini(struct facts *f)
{
	for (size_t i = 0; i < f->n; i++)
		ipset_fini(&f->v[i].src);
	mem_free(f->v);
}

static bool facts_within(const struct facts *a, const struct facts *b, const char *who,
			 char diff[DIFF_MAX])
{
	for (size_t i = 0; i < a->n; i++) {
		const struct fact *other = NULL;

		for (size_t j = 0; j < b->n && !other; j++)
			if (strcmp(a->v[i].key, b->v[j].key) == 0)
				other = &b->v[j];
		if (other && ipset_equal(&a->v[i].src, &other->src))
			continue;
		(void)snprintf(diff, DIFF_MAX, "%s: %s", other ? "sources differ" : who,
			       a->v[i].key);
		return false;
	}
	return true;
}

bool compare_filter_behaviour(const struct json *want, const struct json *got, char diff[DIFF_MAX])
{
	struct facts a = { 0 }, b = { 0 };
	struct arena arena;
	bool ok;

	arena_init(&arena, 1 << 28);
	facts_of(&arena, want, &a);
	facts_of(&arena, got, &b);
	ok = facts_within(&a, &b, "we do not allow", diff) &&
	     facts_within(&b, &a, "only we allow", diff);
	facts_fini(&a);
	facts_fini(&b);
	arena_fini(&arena);
	return ok;
}

static void put_list(struct arena *a, const struct json *list, struct texts *t)
{
	t->n = 0;
	json_each (it, list)
		if (t->n < array_len(t->v))
			t->v[t->n++] = canonical(a, it);
}

static bool same_list(struct arena *a, const struct json *want, const struct json *got,
		      const char *key, bool order, char diff[DIFF_MAX])
{
	struct texts *x = mem_alloc(sizeof(*x)), *y = mem_alloc(sizeof(*y));
	struct bytes odd;
	bool missing, ok;

	put_list(a, member(want, key), x);
	put_list(a, member(got, key), y);
	if (!order) {
		texts_sort(x);
		texts_sort(y);
	}
	ok = texts_equal(x, y, &odd, &missing);
	if (!ok)
		(void)snprintf(diff, DIFF_MAX, "%s: %s %.*s", key, missing ? "lacks" : "has also",
			       BYTES_FMT(odd));
	mem_free(x);
	mem_free(y);
	return ok;
}

static bool same_grants(struct arena *a, const struct json *want, const struct json *got,
			char diff[DIFF_MAX])
{
	const struct json *x = member(want, "CapGrant"), *y = member(got, "CapGrant");

	x = x ? x->first : NULL;
	y = y ? y->first : NULL;
	for (; x && y; x = x->next, y = y->next) {
		const struct json *cx = member(x, "CapMap"), *cy = member(y, "CapMap");
		struct bytes tx, ty;

		if (!same_list(a, x, y, "Dsts", false, diff))
			return false;
		tx = canonical(a, cx);
		ty = canonical(a, cy);
		if (!bytes_equal(tx, ty)) {
			(void)snprintf(diff, DIFF_MAX, "CapMap %.*s, not %.*s", BYTES_FMT(ty),
				       BYTES_FMT(tx));
			return false;
		}
	}
	if (x || y)
		(void)snprintf(diff, DIFF_MAX, "another number of CapGrant elements");
	return !x && !y;
}

bool compare_filter_wire(const struct json *want, const struct json *got, bool order,
			 char diff[DIFF_MAX])
{
	const struct json *x = want ? want->first : NULL, *y = got ? got->first : NULL;
	struct arena arena;
	char inner[DIFF_MAX];
	bool ok = true;

	if ((want ? want->count : 0) != (got ? got->count : 0)) {
		(void)snprintf(diff, DIFF_MAX, "%u rules, not %u", got ? got->count : 0,
			       want ? want->count : 0);
		return false;
	}
	arena_init(&arena, 1 << 28);
	for (size_t i = 1; x && y && ok; x = x->next, y = y->next, i++) {
		ok = same_list(&arena, x, y, "SrcIPs", order, inner) &&
		     same_list(&arena, x, y, "IPProto", order, inner) &&
		     same_list(&arena, x, y, "DstPorts", order, inner) &&
		     same_grants(&arena, x, y, inner);
		if (!ok)
			(void)snprintf(diff, DIFF_MAX, "rule %zu: %.1100s", i, inner);
	}
	arena_fini(&arena);
	return ok;
}
