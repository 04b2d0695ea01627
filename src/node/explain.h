/*
 * node/explain.h - why a peer can or cannot be reached, from identity to the last handshake, as one
 * screen of lines. Pure: it reads snapshots.
 *
 *   { "Peer": "bob", "Lines": [{ "Topic", "Verdict": "ok"|"bad"|"note", "Text" }], "Advice": [...]
 * }
 *
 * What our own filter lets in is asked from the filter itself, one rule at a time: there is no
 * second opinion about what a rule means.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/wall.h"

struct json_out;
struct lan;
struct netcheck_report;
struct netmap;
struct prefs;
struct tailcfg_node;
struct tunnel_peer_status;

struct explain {
	const struct netmap *map;
	const struct prefs *prefs;
	const struct lan *lan; /* or NULL */
	const struct tailcfg_node *peer;
	const struct tunnel_peer_status *path; /* NULL: the node does not run */
	const struct netcheck_report *report;  /* or NULL */
	uint16_t port;                         /* 0: any, that is what a ping needs */
	uint8_t proto;                         /* with a port: enum ippkt_proto */
	struct wall now;
};

void explain_write(const struct explain *e, struct json_out *o);
