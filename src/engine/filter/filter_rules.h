/* engine/filter/filter_rules.h - FilterRule JSON as flat tables; inside the engine only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "engine/filter/filter_axis.h"

struct err;
struct json;

enum { RULE_NO_CAP = -1 };

struct rule {
	uint32_t protos[8]; /* 256 bits */
	uint32_t first_entry, entries;
};

/* One destination of one rule. */
struct entry {
	struct ip_range dst;
	uint16_t first_port, last_port;
	uint32_t rule;
};

/* A rule that a node capability of the sender opens. */
struct cap_source {
	uint32_t cap, rule;
};

struct rules {
	struct rule *rules;
	size_t n, cap;
	struct entry *entries;
	size_t entry_count, entry_cap;
	struct axis_range *sources;
	size_t source_count, source_cap;
	struct cap_source *cap_sources;
	size_t cap_source_count, cap_source_cap;
	char **caps; /* names, at most FILTER_CAPS_MAX */
	size_t cap_count;
	size_t skipped; /* elements that could not be read */
};

/* Adds the rules of one JSON array. */
int rules_add(struct rules *r, const struct json *list, struct err *err);
void rules_fini(struct rules *r);
