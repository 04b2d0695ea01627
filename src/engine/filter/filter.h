/*
 * engine/filter/filter.h - the node's packet filter: what may come in. Default deny.
 *
 * Compiled from the rules that control sends, immutable afterwards, so data threads read it without
 * a lock. The one thing that changes under them is the table of UDP and SCTP flows we opened
 * ourselves, which outlives a filter and is shared by its successors. TCP needs no table: only a
 * SYN is checked. Upstream: wgengine/filter/filter.go.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "wire/ippkt.h"

struct err;
struct filter;
struct filter_flows;
struct json;

enum { FILTER_CAPS_MAX = 64 };

struct filter_conf {
	const struct json *const *lists; /* arrays of FilterRule; NULL items are skipped */
	size_t list_count;
	const struct ip_range *local; /* our addresses and the routes we serve */
	size_t local_count;
	bool shields_up;            /* nothing may be opened towards us, whatever the rules say */
	struct filter_flows *flows; /* borrowed; must outlive the filter */
};

/*
 * NULL only when a limit is reached; then the caller keeps or takes a filter without rules. A rule
 * element that cannot be read is left out, never widened; *skipped (may be NULL) counts them.
 */
struct filter *filter_create(const struct filter_conf *conf, size_t *skipped, struct err *err);
struct filter *filter_ref(struct filter *f);
void filter_unref(struct filter *f);

/* clang-format off */
#define FILTER_VERDICTS(X)                                                     \
	X(ACCEPT_RULE,      true,  "a rule allows it")                         \
	X(ACCEPT_FLOW,      true,  "it answers a flow of ours")                \
	X(ACCEPT_TCP,       true,  "it belongs to a TCP connection")           \
	X(ACCEPT_ICMP,      true,  "it is an ICMP answer or error")            \
	X(ACCEPT_FRAGMENT,  true,  "it is a later fragment")                   \
	X(ACCEPT_TSMP,      true,  "it is a message between nodes")            \
	X(ACCEPT_OUT,       true,  "it goes out")                              \
	X(DROP_RULE,        false, "no rule allows it")                        \
	X(DROP_NOT_LOCAL,   false, "its destination is not here")              \
	X(DROP_MULTICAST,   false, "its destination is multicast")             \
	X(DROP_LINK_LOCAL,  false, "its destination is link-local")            \
	X(DROP_FRAGMENT,    false, "it is a fragment too early to be one")     \
	X(DROP_UNKNOWN,     false, "its protocol could not be read")           \
	X(DROP_TSMP_OUT,    false, "this host may not send messages between nodes")
/* clang-format on */

enum filter_verdict {
#define X(name, accept, sentence) FILTER_##name,
	FILTER_VERDICTS(X)
#undef X
	    FILTER_VERDICT_COUNT
};

bool filter_accepts(enum filter_verdict v);
const char *filter_sentence(enum filter_verdict v);

struct filter_source {
	uint64_t caps; /* bit i: the sending peer has filter_cap_name(f, i) */
	bool jailed;   /* may answer us, may not open anything */
};

/* From the tunnel. */
enum filter_verdict filter_in(const struct filter *f, const struct filter_source *from,
			      const struct ippkt *pkt);
/* To the tunnel: remembers the flow, so that its answers may come in. */
enum filter_verdict filter_out(const struct filter *f, const struct ippkt *pkt);

/* Node capabilities that rules name as sources ("cap:..."), in the order of the bits above. */
size_t filter_cap_count(const struct filter *f);
struct bytes filter_cap_name(const struct filter *f, size_t i);
size_t filter_rule_count(const struct filter *f);

/* ---- flows ---- */

/* seed: 16 random bytes. Memory is fixed: 8192 flows in 64 KiB; the oldest of a bucket gives way.
 */
struct filter_flows *filter_flows_create(const uint8_t seed[16]);
void filter_flows_destroy(struct filter_flows *t);
