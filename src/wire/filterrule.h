/*
 * wire/filterrule.h - packet-filter rules as the control server sends them
 * (upstream: tailcfg/tailcfg.go FilterRule, NetPortRange, CapGrant).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"

struct json_out;

enum filter_dst_kind {
	FILTER_DST_ANY,   /* "*" */
	FILTER_DST_RANGE, /* printed as address or prefix where it is one, else as first-last */
	FILTER_DST_SPAN,  /* always printed as first-last */
};

struct filter_dst {
	enum filter_dst_kind kind;
	struct ip_range range;
	uint16_t first_port, last_port;
};

struct filter_cap {
	struct bytes name;
	struct bytes values; /* a JSON array, compact; empty: null */
};

struct filter_cap_grant {
	const struct prefix *dsts; /* IPv4 first, ascending, each once */
	size_t n_dsts;
	const struct filter_cap *caps;
	size_t n_caps;
};

/* Either dsts or grants are used. proto < 0: none named, the client's default of 6, 17, 1, 58. */
struct filter_rule {
	const char *const *srcs; /* address, prefix, first-last or "*"; ascending as text */
	size_t n_srcs;
	int proto;
	const struct filter_dst *dsts;
	size_t n_dsts;
	const struct filter_cap_grant *grants;
	size_t n_grants;
};

enum { FILTER_TEXT_MAX = RANGE_TEXT_MAX };

/* A range in its shortest form: address, prefix, or first-last. */
const char *filter_range_format(struct ip_range r, char out[FILTER_TEXT_MAX]);
const char *filter_dst_format(const struct filter_dst *d, char out[FILTER_TEXT_MAX]);
/* Appends the rules as one JSON array of FilterRule objects. */
void filter_rules_encode(struct json_out *o, const struct filter_rule *rules, size_t n);
