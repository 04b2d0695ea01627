#include "wire/filterrule.h"

#include <stdio.h>

#include "base/ipset.h"
#include "base/json.h"

const char *filter_range_format(struct ip_range r, char out[FILTER_TEXT_MAX])
{
	struct prefix p;

	if (ip_equal(r.first, r.last)) {
		char ip[IP_TEXT_MAX];

		(void)snprintf(out, FILTER_TEXT_MAX, "%s", ip_format(r.first, ip));
	} else if (range_is_prefix(r, &p)) {
		char text[PREFIX_TEXT_MAX];

		(void)snprintf(out, FILTER_TEXT_MAX, "%s", prefix_format(p, text));
	} else {
		(void)range_format(r, out);
	}
	return out;
}

const char *filter_dst_format(const struct filter_dst *d, char out[FILTER_TEXT_MAX])
{
	if (d->kind == FILTER_DST_ANY)
		return "*";
	if (d->kind == FILTER_DST_SPAN)
		return range_format(d->range, out);
	return filter_range_format(d->range, out);
}

static void encode_dst(struct json_out *o, const struct filter_dst *d)
{
	char text[FILTER_TEXT_MAX];

	json_open_object(o);
	json_key(o, "IP");
	json_put_cstr(o, filter_dst_format(d, text));
	json_key(o, "Ports");
	json_open_object(o);
	json_key(o, "First");
	json_put_u64(o, d->first_port);
	json_key(o, "Last");
	json_put_u64(o, d->last_port);
	json_close_object(o);
	json_close_object(o);
}

static void encode_grant(struct json_out *o, const struct filter_cap_grant *g)
{
	char text[PREFIX_TEXT_MAX];

	json_open_object(o);
	json_key(o, "Dsts");
	json_open_array(o);
	for (size_t i = 0; i < g->n_dsts; i++)
		json_put_cstr(o, prefix_format(g->dsts[i], text));
	json_close_array(o);
	json_key(o, "CapMap");
	json_open_object(o);
	for (size_t i = 0; i < g->n_caps; i++) {
		json_key_bytes(o, g->caps[i].name);
		if (g->caps[i].values.n)
			json_put_raw(o, g->caps[i].values);
		else
			json_put_null(o);
	}
	json_close_object(o);
	json_close_object(o);
}

static void encode_rule(struct json_out *o, const struct filter_rule *r)
{
	json_open_object(o);
	json_key(o, "SrcIPs");
	json_open_array(o);
	for (size_t i = 0; i < r->n_srcs; i++)
		json_put_cstr(o, r->srcs[i]);
	json_close_array(o);
	if (r->n_dsts) {
		json_key(o, "DstPorts");
		json_open_array(o);
		for (size_t i = 0; i < r->n_dsts; i++)
			encode_dst(o, &r->dsts[i]);
		json_close_array(o);
	}
	if (r->proto >= 0) {
		json_key(o, "IPProto");
		json_open_array(o);
		json_put_i64(o, r->proto);
		json_close_array(o);
	}
	if (r->n_grants) {
		json_key(o, "CapGrant");
		json_open_array(o);
		for (size_t i = 0; i < r->n_grants; i++)
			encode_grant(o, &r->grants[i]);
		json_close_array(o);
	}
	json_close_object(o);
}

void filter_rules_encode(struct json_out *o, const struct filter_rule *rules, size_t n)
{
	json_open_array(o);
	for (size_t i = 0; i < n; i++)
		encode_rule(o, &rules[i]);
	json_close_array(o);
}
