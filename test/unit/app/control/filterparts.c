/* Filters in parts: what a reader puts together from the deltas is the filter, and deltas are
 * small. */
#include "app/control/filterparts.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/mem.h"
#include "kit/kit.h"

enum { SOURCES = 1000, NAMES_MAX = 256 };

static unsigned held;

static void take(void *arg)
{
	(void)arg;
	held++;
}

static void give(void *arg)
{
	(void)arg;
	held--;
}

static const struct filterlists_owner owner = { NULL, take, give };

/* A list of addresses as the policy hands it out: sorted as text, one block. */
struct sources {
	char text[SOURCES + 1][16];
	const char *v[SOURCES + 1];
	size_t n;
};

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static struct sources *sources_without(size_t left_out)
{
	struct sources *s = mem_alloc(sizeof(*s));

	for (size_t i = 0; i <= SOURCES; i++) {
		if (i == left_out)
			continue;
		(void)snprintf(s->text[i], sizeof(s->text[i]), "100.64.%u.%u", (unsigned)(i / 250),
			       (unsigned)(i % 250 + 1));
		s->v[s->n++] = s->text[i];
	}
	qsort(s->v, s->n, sizeof(s->v[0]), by_text);
	return s;
}

/* What a reader holds: the parts by name. */
struct reader_side {
	struct arena arena;
	struct {
		struct bytes name;
		const struct json *rules;
	} v[NAMES_MAX];
	size_t n;
};

static size_t apply(struct reader_side *r, const struct buf *delta)
{
	struct bytes copy;
	struct buf text;
	size_t members = 0;
	struct json *o;

	buf_init(&text, 1 << 20);
	(void)buf_append_u8(&text, '{');
	(void)buf_append(&text, buf_bytes(delta));
	(void)buf_append_u8(&text, '}');
	copy = kit_copy(buf_bytes(&text));
	buf_fini(&text);
	o = json_parse(&r->arena, copy, 0, NULL);
	CHECK(o != NULL);
	json_each (it, o) {
		size_t at = 0;

		members++;
		while (at < r->n && !bytes_equal(r->v[at].name, it->key))
			at++;
		if (json_is(it, JSON_NULL)) {
			CHECK(at < r->n); /* nothing is taken back that was not there */
			r->v[at] = r->v[--r->n];
			continue;
		}
		if (at == r->n)
			r->n++;
		r->v[at].name = it->key;
		r->v[at].rules = it;
	}
	return members;
}

static size_t count_source(const struct reader_side *r, const char *src, uint64_t port)
{
	size_t hits = 0;

	for (size_t i = 0; i < r->n; i++)
		json_each (rule, r->v[i].rules) {
			int64_t last = 0;

			(void)json_i64(
			    json_get(json_get(json_get(rule, "DstPorts")->first, "Ports"), "Last"),
			    &last);
			json_each (it, json_get(rule, "SrcIPs"))
				hits += (uint64_t)last == port && bytes_equal_str(it->text, src);
		}
	return hits;
}

static struct filter_dst dst_of(uint16_t port)
{
	struct ip_range to = { ip_v4(100, 64, 9, 9), ip_v4(100, 64, 9, 9) };

	return (struct filter_dst){ FILTER_DST_RANGE, to, port, port };
}

static void check_all(const struct reader_side *r, const struct sources *s, uint64_t port)
{
	size_t bad = 0;

	for (size_t i = 0; i < s->n; i++)
		bad += count_source(r, s->v[i], port) != 1;
	CHECK_INT(bad, 0);
}

TEST(a_long_list_is_cut_and_one_more_is_one_part)
{
	struct sources *before = sources_without(500), *after = sources_without(SOURCES + 1);
	struct filterlists *lists = filterlists_create();
	struct filter_dst dst[2] = { dst_of(22), dst_of(80) };
	const char *few[] = { "192.0.2.1" };
	struct filter_rule rules[2] = { { few, 1, -1, &dst[1], 1, NULL, 0 },
					{ before->v, before->n, -1, &dst[0], 1, NULL, 0 } };
	struct filterparts told = { 0 };
	struct reader_side r = { 0 };
	struct buf out;
	size_t whole;

	arena_init(&r.arena, 16 << 20);
	buf_init(&out, 1 << 20);
	filterparts_delta(&told, lists, rules, 2, &owner, &out);
	whole = out.n;
	CHECK(apply(&r, &out) > 8);
	check_all(&r, before, 22);
	CHECK_INT(count_source(&r, "192.0.2.1", 80), 1);
	CHECK_INT(count_source(&r, "192.0.2.1", 22), 0);
	buf_clear(&out);
	filterparts_delta(&told, lists, rules, 2, &owner, &out);
	CHECK_INT(out.n, 0); /* a change that changed nothing is never sent */

	rules[1].srcs = after->v;
	rules[1].n_srcs = after->n;
	filterparts_delta(&told, lists, rules, 2, &owner, &out);
	CHECK(apply(&r, &out) <= 2 && out.n < whole / 4);
	check_all(&r, after, 22);
	buf_clear(&out);
	rules[1].srcs = before->v;
	rules[1].n_srcs = before->n;
	filterparts_delta(&told, lists, rules, 2, &owner, &out);
	CHECK(apply(&r, &out) <= 3);
	check_all(&r, before, 22);
	CHECK_INT(count_source(&r, "100.64.2.1", 22), 0); /* the one that left is nowhere */

	dst[0] = dst_of(443); /* the same sources reach something else */
	buf_clear(&out);
	filterparts_delta(&told, lists, rules, 2, &owner, &out);
	(void)apply(&r, &out);
	check_all(&r, before, 443);
	CHECK_INT(count_source(&r, before->v[7], 22), 0);

	buf_clear(&out);
	filterparts_delta(&told, lists, NULL, 0, &owner, &out);
	(void)apply(&r, &out);
	CHECK_INT(r.n, 1); /* base, empty: admits nothing */
	CHECK(r.v[0].rules && !r.v[0].rules->first);
	filterlists_destroy(lists);
	CHECK_INT(held, 0);
	filterparts_fini(&told);
	buf_fini(&out);
	arena_fini(&r.arena);
	mem_free(before);
	mem_free(after);
}

TEST(short_lists_stay_in_base)
{
	struct filterlists *lists = filterlists_create();
	struct filter_dst dst = dst_of(22);
	const char *few[] = { "100.64.0.1", "100.64.0.2" };
	struct filter_rule rule = { few, 2, 6, &dst, 1, NULL, 0 };
	struct filterparts told = { 0 };
	struct buf out;

	buf_init(&out, 1 << 20);
	filterparts_delta(&told, lists, &rule, 1, &owner, &out);
	CHECK_STR(buf_cstr(&out),
		  "\"base\":[{\"SrcIPs\":[\"100.64.0.1\",\"100.64.0.2\"],\"DstPorts\":[{\"IP\":"
		  "\"100.64.9.9\",\"Ports\":{\"First\":22,\"Last\":22}}],\"IPProto\":[6]}]");
	CHECK_INT(held, 0);
	filterlists_destroy(lists);
	filterparts_fini(&told);
	buf_fini(&out);
}

TEST(many_lists_are_remembered_within_a_limit)
{
	struct filterlists *lists = filterlists_create();
	struct filter_dst dst = dst_of(22);
	struct filterparts told = { 0 };
	struct buf out;

	buf_init(&out, 4 << 20);
	for (unsigned i = 0; i < 100; i++) {
		struct sources *s = sources_without(i);
		struct filter_rule rule = { s->v, s->n, -1, &dst, 1, NULL, 0 };

		buf_clear(&out);
		filterparts_delta(&told, lists, &rule, 1, &owner, &out);
		CHECK(held <= 16);
		filterlists_destroy(i == 50 ? lists : NULL);
		if (i == 50)
			lists = filterlists_create();
		if (i < 50 || i > 50)
			(void)kit_copy(bytes_of(s->text, 1));
		mem_free(s);
	}
	filterlists_destroy(lists);
	CHECK_INT(held, 0);
	filterparts_fini(&told);
	buf_fini(&out);
}
