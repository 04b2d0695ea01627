/*
 * Reads what control sends. An element that does not parse is left out: a filter may become
 * narrower by a mistake, never wider. The legacy members SrcBits and Bits make a rule void, as
 * upstream.
 */
#include "engine/filter/filter_rules.h"

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/filter/filter.h"

enum { RULES_MAX = 1 << 20, ENTRIES_MAX = 4 << 20 };

static const struct ip_range all_v4 = { { 4, { 0 } }, { 4, { 255, 255, 255, 255 } } };
static const struct ip_range all_v6 = {
	{ 6, { 0 } },
	{ 6, { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255 } }
};

/* "*", an address, a masked prefix or a range; one or two ranges. 0: none of these. */
static int read_ranges(struct bytes text, struct ip_range out[2])
{
	struct prefix p;

	if (bytes_equal_str(text, "*")) {
		out[0] = all_v4;
		out[1] = all_v6;
		return 2;
	}
	if (ip_parse(&out[0].first, text)) {
		out[0].last = out[0].first;
		return 1;
	}
	if (prefix_parse(&p, text) && prefix_is_masked(p)) {
		out[0] = prefix_range(p);
		return 1;
	}
	return range_parse(&out[0], text);
}

static void add_source(struct rules *r, struct ip_range range, uint32_t rule)
{
	mem_reserve(r->sources, r->source_count, r->source_cap);
	r->sources[r->source_count++] = (struct axis_range){ range, rule };
}

static bool add_cap(struct rules *r, struct bytes name, uint32_t rule)
{
	size_t i = 0;

	while (i < r->cap_count && !bytes_equal_str(name, r->caps[i]))
		i++;
	if (i == r->cap_count) {
		if (i == FILTER_CAPS_MAX || !name.n)
			return false;
		r->caps = mem_resize(r->caps, i + 1, sizeof(*r->caps));
		r->caps[r->cap_count++] = bytes_strdup(name);
	}
	mem_reserve(r->cap_sources, r->cap_source_count, r->cap_source_cap);
	r->cap_sources[r->cap_source_count++] = (struct cap_source){ (uint32_t)i, rule };
	return true;
}

static void read_sources(struct rules *r, const struct json *list, uint32_t rule)
{
	json_each (it, list) {
		struct ip_range ranges[2];
		struct bytes text;
		int n;

		if (!json_string(it, &text)) {
			r->skipped++;
			continue;
		}
		if (bytes_has_prefix(text, "cap:")) {
			r->skipped += !add_cap(r, bytes_from(text, 4), rule);
			continue;
		}
		n = read_ranges(text, ranges);
		r->skipped += n == 0;
		for (int i = 0; i < n; i++)
			add_source(r, ranges[i], rule);
	}
}

static bool read_port(const struct json *ports, const char *name, uint16_t *out)
{
	uint64_t v;

	if (!json_u64(json_get_nocase(ports, name), &v) || v > UINT16_MAX)
		return false;
	*out = (uint16_t)v;
	return true;
}

static void read_destination(struct rules *r, const struct json *dst, uint32_t rule)
{
	const struct json *ports = json_get_nocase(dst, "Ports");
	struct entry e = { .rule = rule };
	struct ip_range ranges[2];
	struct bytes text;
	int n = 0;

	if (json_string(json_get_nocase(dst, "IP"), &text))
		n = read_ranges(text, ranges);
	if (!n || !read_port(ports, "First", &e.first_port) ||
	    !read_port(ports, "Last", &e.last_port)) {
		r->skipped++;
		return;
	}
	for (int i = 0; i < n; i++) {
		e.dst = ranges[i];
		mem_reserve(r->entries, r->entry_count, r->entry_cap);
		r->entries[r->entry_count++] = e;
		r->rules[rule].entries++;
	}
}

static void set_proto(struct rule *rule, uint64_t proto)
{
	rule->protos[proto / 32] |= 1u << proto % 32;
}

/* Absent or empty: TCP, UDP and ICMP of both versions. False: some were named, none is a protocol.
 */
static bool read_protos(struct rules *r, struct rule *rule, const struct json *list)
{
	static const uint8_t usual[] = { IPPKT_TCP, IPPKT_UDP, IPPKT_ICMP, IPPKT_ICMP6 };
	uint64_t proto;
	bool any = false;

	if (!list || list->kind == JSON_NULL || !list->count) {
		for (size_t i = 0; i < sizeof(usual); i++)
			set_proto(rule, usual[i]);
		return true;
	}
	json_each (it, list) {
		if (json_u64(it, &proto) && proto <= 255) {
			set_proto(rule, proto);
			any = true;
		} else {
			r->skipped++;
		}
	}
	return any;
}

static bool is_void(const struct json *rule)
{
	if (json_is(json_get_nocase(rule, "SrcBits"), JSON_ARRAY))
		return true;
	json_each (dst, json_get_nocase(rule, "DstPorts")) {
		const struct json *bits = json_get_nocase(dst, "Bits");

		if (bits && bits->kind != JSON_NULL)
			return true;
	}
	return false;
}

static void read_rule(struct rules *r, const struct json *json)
{
	const struct json *dsts = json_get_nocase(json, "DstPorts");
	uint32_t number = (uint32_t)r->n;

	if (!json_is(dsts, JSON_ARRAY) || !dsts->count)
		return; /* a capability grant: not for packets */
	if (is_void(json)) {
		r->skipped++;
		return;
	}
	mem_reserve(r->rules, r->n, r->cap);
	r->rules[r->n++] = (struct rule){ .first_entry = (uint32_t)r->entry_count };
	if (!read_protos(r, &r->rules[number], json_get_nocase(json, "IPProto")))
		return; /* it stays, as a rule without sources */
	read_sources(r, json_get_nocase(json, "SrcIPs"), number);
	json_each (dst, dsts)
		read_destination(r, dst, number);
}

int rules_add(struct rules *r, const struct json *list, struct err *err)
{
	if (!json_is(list, JSON_ARRAY))
		return 0;
	json_each (it, list) {
		if (r->n >= RULES_MAX || r->entry_count >= ENTRIES_MAX ||
		    r->source_count >= ENTRIES_MAX)
			return err_set(err, ERR_LIMIT,
				       "packet filter: more than %d rules or destinations",
				       RULES_MAX);
		read_rule(r, it);
	}
	return 0;
}

void rules_fini(struct rules *r)
{
	for (size_t i = 0; i < r->cap_count; i++)
		mem_free(r->caps[i]);
	mem_free(r->caps);
	mem_free(r->rules);
	mem_free(r->entries);
	mem_free(r->sources);
	mem_free(r->cap_sources);
	*r = (struct rules){ 0 };
}
