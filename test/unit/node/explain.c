/* Which rule lets whom in, and what the page says. */
#include "node/explain.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "kit/kit.h"
#include "maps.h"
#include "node/explain_rules.h"
#include "node/tunnel.h"
#include "part/netcheck.h"
#include "wire/ippkt.h"

#define RULES                                                                                      \
	",\"PacketFilter\":[{\"SrcIPs\":[\"100.64.0.2\"],\"DstPorts\":[{\"IP\":\"100.64.0.1\","    \
	"\"Ports\":{\"First\":22,\"Last\":22}}],\"IPProto\":[6]},"                                 \
	"{\"SrcIPs\":[\"100.64.0.9\"],\"DstPorts\":[{\"IP\":\"*\",\"Ports\":{\"First\":0,"         \
	"\"Last\":65535}}]}]"

static struct netmap *map_with_rules(const char *peer)
{
	struct netmap *m = maps_make("", peer), *with;
	struct tailcfg_map_response f = { 0 };
	struct err err = { 0 };
	struct arena arena;

	arena_init(&arena, 1 << 20);
	CHECK(schema_decode(&f, &tailcfg_map_response_schema, &arena,
			    bytes_str("{\"Seq\":1" RULES "}"), &err) == 0);
	with = netmap_apply(m, false, &f, MAPS_NOW, &err);
	CHECK(with != NULL);
	arena_fini(&arena);
	netmap_unref(m);
	return with;
}

static size_t rules_of(int64_t id, uint16_t port, uint8_t proto, char *first, size_t size)
{
	struct netmap *m = map_with_rules(MAPS_PEER(2, "", "") "," MAPS_PEER(9, "", ""));
	struct prefs *prefs = maps_prefs("{}");
	struct explain e = { .map = m,
			     .prefs = prefs,
			     .peer = netmap_peer_by_id(m, id),
			     .port = port,
			     .proto = proto,
			     .now = MAPS_NOW };
	size_t total = 0, found;
	struct buf lines;

	buf_init(&lines, 4096);
	found = explain_rules(&e, &lines, 3, &total);
	CHECK_INT(total, 2);
	if (first)
		CHECK(bytes_to_cstr(buf_bytes(&lines), first, size));
	buf_fini(&lines);
	prefs_destroy(prefs);
	netmap_unref(m);
	return found;
}

TEST(explain_asks_the_filter_itself)
{
	char text[256];

	CHECK_INT(rules_of(2, 22, IPPKT_TCP, text, sizeof(text)), 1);
	CHECK_STR(text, "rule base/1: 100.64.0.2 -> 100.64.0.1:22, protocol 6\n");
	CHECK_INT(rules_of(2, 80, IPPKT_TCP, NULL, 0), 0);
	CHECK_INT(rules_of(2, 22, IPPKT_UDP, NULL, 0), 0);
	CHECK_INT(rules_of(2, 0, IPPKT_TCP, NULL, 0), 1); /* some port is enough for a ping */
	CHECK_INT(rules_of(9, 53, IPPKT_UDP, text, sizeof(text)), 1);
	CHECK_STR(text, "rule base/2: 100.64.0.9 -> *:*\n");
}

static void page(struct buf *out, const char *prefs_text, const char *more,
		 const struct tunnel_peer_status *path, const struct netcheck_report *report)
{
	char peer[1024];
	struct netmap *m;
	struct prefs *prefs = maps_prefs(prefs_text);
	struct explain e = { .prefs = prefs, .path = path, .report = report, .now = MAPS_NOW };
	struct json_out o;

	(void)snprintf(peer, sizeof(peer), "%.*s%s}", (int)strlen(MAPS_PEER(2, "", "")) - 1,
		       MAPS_PEER(2, "", ""), more);
	m = map_with_rules(peer);
	e.map = m;
	e.peer = netmap_peer_by_id(m, 2);
	buf_init(out, 64 << 10);
	json_out_init(&o, out);
	explain_write(&e, &o);
	(void)buf_append(out, bytes_of("", 1));
	CHECK(!out->bad);
	prefs_destroy(prefs);
	netmap_unref(m);
}

static bool says(const struct buf *page, const char *text)
{
	return strstr((const char *)page->p, text) != NULL;
}

TEST(explain_says_what_to_do)
{
	static struct netcheck_report blocked,
	    hard = { .udp = true, .varies_known = true, .varies = true };
	struct tunnel_peer_status path = { .why = PATHWHY_NO_UDP,
					   .handshake_ms_ago = -1,
					   .reject_ms_ago = -1,
					   .write_ms_ago = 5 };
	struct buf out;

	page(&out, "{}", "", NULL, NULL);
	CHECK(says(&out, "this node does not run") && says(&out, "`weft up`"));
	buf_fini(&out);
	page(&out, "{\"ShieldsUp\":true,\"ShieldsUpSet\":true}", "", &path, &blocked);
	CHECK(says(&out, "shields are up here") && says(&out, "UDP does not get out here") &&
	      says(&out, "it did not answer") && says(&out, "here: no UDP"));
	buf_fini(&out);
	path.why = PATHWHY_NO_ANSWER;
	path.handshake_ms_ago = 12000;
	page(&out, "{}",
	     ",\"Online\":false,\"KeyExpiry\":\"2020-01-01T00:00:00Z\",\"Hostinfo\":{\"ShieldsUp\":"
	     "true,\"NetInfo\":{\"MappingVariesByDestIP\":true}}",
	     &path, &hard);
	CHECK(says(&out, "KEY EXPIRED") && says(&out, "p2 is offline") &&
	      says(&out, "has its shields up") && says(&out, "there: hard") &&
	      says(&out, "12 s ago"));
	buf_fini(&out);
	path.reject = (struct tunnel_reject){ IPPKT_TCP, 'A', 22 };
	path.reject_ms_ago = 4000;
	page(&out, "{}", "", &path, &hard);
	CHECK(says(&out, "p2 refused protocol 6 port 22 4 s ago: its rules do not allow it"));
	buf_fini(&out);
}
