/* Frames into snapshots: every merge rule of the map protocol, one by one. */
#include "node/netmap.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "kit/kit.h"

#define NOW ((struct wall){ 1770000000LL * 1000000000 })
#define D8(c) c c c c c c c c
#define HEX(c) D8(c) D8(c) D8(c) D8(c) D8(c) D8(c) D8(c) D8(c)

#define SELF                                                                                       \
	"\"Node\":{\"ID\":1,\"StableID\":\"n1\",\"Name\":\"a.tail.net.\",\"User\":7,\"Key\":"      \
	"\"nodekey:" HEX("1") "\",\"Addresses\":[\"100.64.0.1/32\"],\"MachineAuthorized\":true}"
#define PEER(id, key, rest)                                                                        \
	"{\"ID\":" id ",\"StableID\":\"n" id "\",\"Name\":\"p" id                                  \
	".tail.net.\",\"User\":7,\"Key\":\"nodekey:" HEX(key) "\",\"Addresses\":[\"100.64.0." id   \
							      "/32\"]" rest "}"

static struct netmap *step(struct netmap *old, bool first, const char *json)
{
	struct tailcfg_map_response f = { 0 };
	struct netmap *m = NULL;
	struct arena arena;
	struct err err = { 0 };

	arena_init(&arena, 1 << 20);
	if (schema_decode(&f, &tailcfg_map_response_schema, &arena, bytes_str(json), &err) == 0)
		m = netmap_apply(old, first, &f, NOW, &err);
	if (!m && err.text[0])
		printf("# %s\n", err.text);
	arena_fini(&arena); /* nothing of the frame may be needed afterwards */
	return m;
}

/* Replaces *m by what the frame makes of it. */
static bool next(struct netmap **m, const char *json)
{
	struct netmap *n = step(*m, false, json);

	if (!n)
		return false;
	netmap_unref(*m);
	*m = n;
	return true;
}

static struct netmap *start(const char *rest)
{
	char text[8192];

	(void)snprintf(text, sizeof(text), "{" SELF "%s}", rest);
	return step(NULL, true, text);
}

TEST(first_frame_needs_our_node)
{
	CHECK(!step(NULL, true, "{\"Peers\":[" PEER("2", "2", "") "]}"));
}

TEST(first_frame_stands_alone)
{
	struct netmap *m = start(
	    ",\"Peers\":[" PEER("3", "3", "") "," PEER("2", "2", "") "],"
								     "\"Domain\":\"example.com\"");

	CHECK_INT(netmap_self(m)->id, 1);
	CHECK_INT(netmap_peer_count(m), 2);
	CHECK_INT(netmap_peer(m, 0)->id, 2);
	CHECK_INT(netmap_peer(m, 1)->id, 3);
	CHECK(bytes_equal_str(netmap_domain(m), "example.com"));
	CHECK(bytes_equal_str(netmap_node_label(netmap_peer(m, 0)), "p2"));
	CHECK(bytes_equal_str(netmap_node_suffix(netmap_peer(m, 0)), "tail.net"));
	CHECK_INT(netmap_node_by_ip(m, ip_v4(100, 64, 0, 3))->id, 3);
	CHECK(!netmap_node_by_ip(m, ip_v4(100, 64, 0, 9)));
	netmap_unref(m);
}

TEST(new_stream_forgets_the_old_one)
{
	struct netmap *a = start(",\"Peers\":[" PEER("2", "2", "") "],\"PacketFilter\":[]");
	struct netmap *b = step(a, true, "{" SELF "}");

	CHECK_INT(netmap_peer_count(b), 0);
	CHECK_INT(netmap_filter_count(b), 0);
	netmap_unref(a);
	netmap_unref(b);
}

TEST(allowed_ips_default_to_addresses)
{
	struct netmap *m = start(",\"Peers\":[" PEER("2", "2", "") "," PEER(
	    "3", "3",
	    ",\"AllowedIPs\":[\"100.64.0.3/32\",\"10.0.0.0/8\"]") "," PEER("4", "4",
									   ",\"AllowedIPs\":[\"100."
									   "64.0.4/32\",\"10.0.0.0/"
									   "8\"],"
									   "\"UnsignedPeerAPIOnly\""
									   ":true") "]");

	CHECK_INT(netmap_peer(m, 0)->allowed_ips.n, 1);
	CHECK_INT(netmap_peer(m, 1)->allowed_ips.n, 2);
	CHECK_INT(netmap_peer(m, 2)->allowed_ips.n, 1);
	netmap_unref(m);
}

TEST(legacy_derp_string_is_a_home)
{
	struct netmap *m =
	    start(",\"Peers\":[" PEER("2", "2", ",\"DERP\":\"127.3.3.40:9\"") "," PEER(
		"3", "3", ",\"DERP\":\"127.3.3.40:9\",\"HomeDERP\":4") "]");

	CHECK_INT(netmap_peer(m, 0)->home_derp, 9);
	CHECK_INT(netmap_peer(m, 1)->home_derp, 4);
	netmap_unref(m);
}

TEST(peers_replace_and_an_empty_list_is_no_news)
{
	struct netmap *m = start(",\"Peers\":[" PEER("2", "2", "") "]");

	CHECK(next(&m, "{\"Peers\":[]}"));
	CHECK_INT(netmap_peer_count(m), 1);
	/* With a full list every other word about peers is ignored. */
	CHECK(next(&m, "{\"Peers\":[" PEER("5", "5", "") "],\"PeersRemoved\":[5]}"));
	CHECK_INT(netmap_peer_count(m), 1);
	CHECK_INT(netmap_peer(m, 0)->id, 5);
	netmap_unref(m);
}

TEST(removed_then_changed)
{
	struct netmap *m = start(",\"Peers\":[" PEER("2", "2", "") "," PEER("3", "3", "") "]");

	CHECK(next(&m, "{\"PeersRemoved\":[2,3,77],\"PeersChanged\":[" PEER("3", "8", "") "," PEER(
			   "4", "4", "") "]}"));
	CHECK_INT(netmap_peer_count(m), 2);
	CHECK_INT(netmap_peer(m, 0)->id, 3);
	CHECK_INT(netmap_peer(m, 0)->key.b[0], 0x88);
	CHECK(!netmap_peer_by_id(m, 2));
	netmap_unref(m);
}

TEST(patches_set_and_clear)
{
	struct netmap *m =
	    start(",\"Peers\":[" PEER("2", "2",
				      ",\"Endpoints\":[\"1.2.3.4:5\"],\"CapMap\":{\"a\":null},"
				      "\"KeyExpiry\":\"2030-01-01T00:00:00Z\",\"HomeDERP\":1") "]");
	const struct tailcfg_node *p;

	CHECK(next(&m, "{\"PeersChangedPatch\":[{\"NodeID\":99,\"DERPRegion\":3},"
		       "{\"NodeID\":2,\"DERPRegion\":5,\"Cap\":130,\"Online\":true}]}"));
	p = netmap_peer_by_id(m, 2);
	CHECK_INT(p->home_derp, 5);
	CHECK_INT(p->cap, 130);
	CHECK_INT(p->online, OPT_TRUE);
	CHECK_INT(p->endpoints.n, 1); /* not named: kept */
	CHECK_INT(p->cap_map.n, 1);
	CHECK(next(&m, "{\"PeersChangedPatch\":[{\"NodeID\":2,\"Endpoints\":[],\"CapMap\":{},"
		       "\"KeyExpiry\":\"0001-01-01T00:00:00Z\"}]}"));
	p = netmap_peer_by_id(m, 2);
	CHECK_INT(p->endpoints.n, 0);
	CHECK_INT(p->cap_map.n, 0);
	CHECK_INT(p->key_expiry.ns, 0);
	CHECK_INT(p->home_derp, 5); /* cannot be set to 0 */
	netmap_unref(m);
}

TEST(stale_disco_key_does_not_win)
{
	struct netmap *m = start(",\"Peers\":[" PEER(
	    "2", "2",
	    ",\"DiscoKey\":\"discokey:" HEX("a") "\",\"LastSeen\":"
						 "\"2026-01-02T00:00:00Z\"") "]");

	CHECK(next(&m, "{\"PeersChangedPatch\":[{\"NodeID\":2,\"DiscoKey\":\"discokey:" HEX(
			   "b") "\",\"Online\":false,\"LastSeen\":\"2026-01-01T00:00:00Z\"}]}"));
	CHECK_INT(netmap_peer(m, 0)->disco_key.b[0], 0xaa);
	CHECK(next(&m, "{\"PeersChangedPatch\":[{\"NodeID\":2,\"DiscoKey\":\"discokey:" HEX(
			   "b") "\",\"Online\":false,\"LastSeen\":\"2026-01-03T00:00:00Z\"}]}"));
	CHECK_INT(netmap_peer(m, 0)->disco_key.b[0], 0xbb);
	CHECK(next(&m,
		   "{\"Peers\":[" PEER(
		       "2", "2", ",\"DiscoKey\":\"discokey:" HEX("c") "\",\"Online\":false") "]}"));
	CHECK_INT(netmap_peer(m, 0)->disco_key.b[0], 0xbb);
	CHECK(next(&m,
		   "{\"Peers\":[" PEER(
		       "2", "2", ",\"DiscoKey\":\"discokey:" HEX("c") "\",\"Online\":true") "]}"));
	CHECK_INT(netmap_peer(m, 0)->disco_key.b[0], 0xcc);
	netmap_unref(m);
}

TEST(online_and_seen_changes)
{
	struct netmap *m = start(",\"Peers\":[" PEER("2", "2", ",\"Online\":true") "]");

	CHECK(next(&m,
		   "{\"OnlineChange\":{\"2\":false,\"9\":true},\"PeerSeenChange\":{\"2\":true}}"));
	CHECK_INT(netmap_peer(m, 0)->online, OPT_FALSE);
	CHECK(netmap_peer(m, 0)->last_seen.set && netmap_peer(m, 0)->last_seen.at.ns == NOW.ns);
	CHECK(next(&m, "{\"PeerSeenChange\":{\"2\":false}}"));
	CHECK(!netmap_peer(m, 0)->last_seen.set);
	netmap_unref(m);
}

TEST(filters_are_named)
{
	struct netmap *m = start("");

	CHECK_INT(netmap_filter_count(m), 0);
	CHECK(next(&m, "{\"PacketFilter\":[]}"));
	CHECK_INT(netmap_filter_count(m), 1);
	CHECK(bytes_equal_str(netmap_filter(m, 0).name, "base"));
	CHECK(next(&m, "{\"PacketFilters\":{\"x\":[{\"SrcIPs\":[\"*\"]}],\"y\":[]}}"));
	CHECK_INT(netmap_filter_count(m), 3);
	CHECK(next(&m, "{\"PacketFilters\":{\"y\":null}}"));
	CHECK_INT(netmap_filter_count(m), 2);
	/* The star clears first, wherever it stands. */
	CHECK(next(&m, "{\"PacketFilters\":{\"z\":[],\"*\":null}}"));
	CHECK_INT(netmap_filter_count(m), 1);
	CHECK(bytes_equal_str(netmap_filter(m, 0).name, "z"));
	/* Absent and null: as it was. */
	CHECK(next(&m, "{\"PacketFilter\":null,\"PacketFilters\":null}"));
	CHECK_INT(netmap_filter_count(m), 1);
	netmap_unref(m);
}

TEST(derp_regions_and_scores)
{
	struct netmap *m = start(
	    ",\"DERPMap\":{\"HomeParams\":{\"RegionScore\":{\"1\":0.5}},\"Regions\":"
	    "{\"1\":{\"RegionID\":1,\"RegionCode\":\"fra\"},\"2\":null,\"3\":{\"RegionID\":4}}}");

	CHECK(netmap_region(m, 1));
	CHECK(!netmap_region(m, 2)); /* null is none */
	CHECK(!netmap_region(m, 3)); /* key and id must agree */
	CHECK(netmap_derp(m)->home_params);
	CHECK(next(&m, "{\"DERPMap\":{\"HomeParams\":{\"RegionScore\":{}}}}"));
	CHECK(netmap_region(m, 1));
	CHECK(next(&m, "{\"DERPMap\":{\"Regions\":{}}}"));
	CHECK(!netmap_region(m, 1));
	netmap_unref(m);
}

TEST(dns_domain_health_and_profiles_stay_until_replaced)
{
	struct netmap *m =
	    start(",\"DNSConfig\":{\"Proxied\":true,\"Domains\":[\"tail.net\"]},\"Domain\":\"d\","
		  "\"Health\":[\"bad\"],\"UserProfiles\":[{\"ID\":7,\"LoginName\":\"a@b\"}]");

	CHECK(next(&m, "{\"Domain\":\"\",\"DNSConfig\":null,\"Health\":null,"
		       "\"UserProfiles\":[{\"ID\":8,\"LoginName\":\"c@d\"}]}"));
	CHECK(netmap_dns(m)->proxied);
	CHECK(bytes_equal_str(netmap_domain(m), "d"));
	CHECK_INT(netmap_health(m)->n, 1);
	CHECK_INT(netmap_profile_count(m), 2);
	CHECK(next(
	    &m,
	    "{\"DNSConfig\":{},\"Health\":[],\"UserProfiles\":[{\"ID\":7,\"LoginName\":\"x\"}]}"));
	CHECK(!netmap_dns(m)->proxied);
	CHECK_INT(netmap_dns(m)->domains.n, 0);
	CHECK_INT(netmap_health(m)->n, 0);
	CHECK(bytes_equal_str(netmap_profile(m, 7)->login_name, "x"));
	netmap_unref(m);
}

TEST(display_messages_are_patched)
{
	struct netmap *m =
	    start(",\"DisplayMessages\":{\"a\":{\"Title\":\"A\"},\"b\":{\"Title\":\"B\"}}");

	CHECK_INT(netmap_message_count(m), 2);
	CHECK(next(&m, "{\"DisplayMessages\":{\"a\":null}}"));
	CHECK_INT(netmap_message_count(m), 1);
	CHECK(next(&m, "{\"DisplayMessages\":{\"*\":null,\"c\":{\"Title\":\"C\"}}}"));
	CHECK_INT(netmap_message_count(m), 1);
	CHECK(bytes_equal_str(netmap_message(m, 0).name, "c"));
	netmap_unref(m);
}

TEST(self_capabilities_become_a_map)
{
	struct netmap *m = step(
	    NULL, true,
	    "{\"Node\":{\"ID\":1,\"StableID\":\"n1\",\"Name\":\"a.b.\",\"Key\":\"nodekey:" HEX(
		"1") "\",\"Addresses\":[],\"Capabilities\":[\"old\"],\"CapMap\":{\"new\":[1]}}}");

	CHECK(netmap_node_has_cap(netmap_self(m), "old"));
	CHECK(netmap_node_has_cap(netmap_self(m), "new"));
	CHECK(!netmap_node_has_cap(netmap_self(m), "other"));
	netmap_unref(m);
}

TEST(expiry_goes_by_the_clock_of_control)
{
	struct netmap *m =
	    start(",\"Peers\":[" PEER("2", "2", ",\"KeyExpiry\":\"2030-01-01T00:00:00Z\"") "," PEER(
		"3", "3", ",\"Expired\":true") "]");
	const struct tailcfg_node *p = netmap_peer(m, 0);

	CHECK(!netmap_node_is_expired(m, p, NOW));
	CHECK(netmap_node_is_expired(m, netmap_peer(m, 1), NOW));
	CHECK_INT(netmap_next_expiry(m, NOW).ns, p->key_expiry.ns);
	CHECK(next(&m, "{\"ControlTime\":\"2031-01-01T00:00:00Z\"}"));
	CHECK(netmap_node_is_expired(m, netmap_peer(m, 0), NOW));
	netmap_unref(m);
}

TEST(diff_names_what_changed)
{
	struct netmap *a = start(
	    ",\"Peers\":[" PEER("2", "2", "") "," PEER("3", "3", "") "," PEER("4", "4", "") "]");
	struct netmap *b =
	    step(a, false,
		 "{\"PeersRemoved\":[2],\"PeersChanged\":[" PEER(
		     "5", "5", "") "],"
				   "\"PeersChangedPatch\":[{\"NodeID\":3,\"Endpoints\":[\"1.2.3.4:"
				   "5\"],\"DERPRegion\":2}],"
				   "\"PacketFilter\":[]}");
	struct netmap_diff d;

	netmap_diff(a, b, &d);
	CHECK_INT(d.peer_count, 3);
	CHECK(d.peers[0].before->id == 2 && !d.peers[0].after);
	CHECK_INT(d.peers[1].what, NETMAP_ENDPOINTS | NETMAP_HOME);
	CHECK(!d.peers[2].before && d.peers[2].after->id == 5);
	CHECK(d.filter && !d.dns && !d.derp && !d.self);
	netmap_diff_fini(&d);
	netmap_diff(NULL, a, &d);
	CHECK_INT(d.peer_count, 3);
	CHECK(d.self && d.filter);
	netmap_diff_fini(&d);
	netmap_diff(b, b, &d);
	CHECK(!d.peer_count && !d.self && !d.filter);
	netmap_diff_fini(&d);
	netmap_unref(a);
	netmap_unref(b);
}

TEST(cache_leads_back_to_the_same_map)
{
	struct netmap *a = start(",\"Peers\":[" PEER(
	    "2", "2",
	    ",\"Hostinfo\":{\"OS\":\"linux\",\"Odd\":1}") "],"
							  "\"PacketFilters\":{\"x\":[]},"
							  "\"DERPMap\":{\"Regions\":{\"1\":{"
							  "\"RegionID\":1}}},"
							  "\"Domain\":\"d\",\"UserProfiles\":[{"
							  "\"ID\":7,\"LoginName\":\"a\"}]");
	struct netmap_diff d;
	struct netmap *b;
	struct err err;
	struct buf buf;

	buf_init(&buf, 1 << 20);
	CHECK(netmap_encode(a, &buf));
	b = netmap_decode(buf_bytes(&buf), NOW, &err);
	CHECK(b);
	netmap_diff(a, b, &d);
	CHECK(!d.peer_count && !d.self && !d.filter && !d.derp && !d.domain && !d.profiles);
	netmap_diff_fini(&d);
	buf_fini(&buf);
	netmap_unref(a);
	netmap_unref(b);
}

TEST(old_snapshot_is_untouched)
{
	struct netmap *a = start(",\"Peers\":[" PEER("2", "2", "") "]");
	struct netmap *b = step(a, false, "{\"PeersRemoved\":[2]}");

	CHECK_INT(netmap_peer_count(a), 1);
	CHECK_INT(netmap_peer_count(b), 0);
	netmap_unref(b);
	CHECK_INT(netmap_peer(a, 0)->id, 2);
	netmap_unref(a);
}
