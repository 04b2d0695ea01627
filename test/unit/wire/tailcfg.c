/* The messages of the protocol as other programs write them. */
#include "base/err.h"
#include "kit/kit.h"
#include "wire/tailcfg_map.h"
#include "wire/tailcfg_register.h"

struct doc {
	struct arena arena;
	struct buf buf;
	struct err err;
};

static struct doc doc_make(void)
{
	struct doc d = { 0 };

	arena_init(&d.arena, 1 << 20);
	buf_init(&d.buf, 1 << 20);
	return d;
}

static void doc_free(struct doc *d)
{
	arena_fini(&d->arena);
	buf_fini(&d->buf);
}

static bool decode(struct doc *d, void *out, const struct schema *s, const char *text)
{
	d->err = (struct err){ 0 };
	return schema_decode(out, s, &d->arena, kit_copy(bytes_str(text)), &d->err) == 0;
}

static const char *encode(struct doc *d, const struct schema *s, const void *in)
{
	struct json_out o;

	buf_clear(&d->buf);
	json_out_init(&o, &d->buf);
	schema_encode(&o, s, in);
	return buf_cstr(&d->buf);
}

#define ZEROS64 "0000000000000000000000000000000000000000000000000000000000000000"
#define ONES64 "1111111111111111111111111111111111111111111111111111111111111111"

TEST(register_request_minimal)
{
	static const char text[] =
	    "{\"Version\":145,\"NodeKey\":\"nodekey:" ONES64 "\",\"OldNodeKey\":\"nodekey:" ZEROS64
	    "\",\"NLKey\":\"nlpub:" ONES64 "\",\"Auth\":{\"AuthKey\":\"tskey-auth-x\"},"
	    "\"Expiry\":\"0001-01-01T00:00:00Z\",\"Followup\":\"\",\"Hostinfo\":{\"IPNVersion\":"
	    "\"1.103.0-own\",\"OS\":\"linux\",\"Hostname\":\"b\",\"Novelty\":[1]},"
	    "\"NodeKeySignature\":null}";
	struct tailcfg_register_request r;
	struct doc d = doc_make();

	CHECK(decode(&d, &r, &tailcfg_register_request_schema, text));
	CHECK(r.version == 145 && key_is_zero(&r.old_node_key) && !key_is_zero(&r.node_key));
	CHECK(r.auth && bytes_equal_str(r.auth->auth_key, "tskey-auth-x"));
	CHECK(r.expiry.ns == 0 && bytes_equal_str(r.hostinfo->hostname, "b"));
	CHECK_STR(encode(&d, &tailcfg_register_request_schema, &r), text); /* Novelty survives */
	doc_free(&d);
}

TEST(register_response_writes_every_member) /* T55 */
{
	struct tailcfg_user user = { .id = 1, .display_name = bytes_str("alice") };
	struct tailcfg_login login = { .id = 1,
				       .login_name = bytes_str("alice@example.com"),
				       .display_name = bytes_str("alice") };
	struct tailcfg_register_response r = { .user = &user,
					       .login = &login,
					       .machine_authorized = true };
	struct doc d = doc_make();

	CHECK_STR(
	    encode(&d, &tailcfg_register_response_schema, &r),
	    "{\"User\":{\"ID\":1,\"DisplayName\":\"alice\"},\"Login\":{\"ID\":1,\"Provider\":\"\","
	    "\"LoginName\":\"alice@example.com\",\"DisplayName\":\"alice\"},\"NodeKeyExpired\":"
	    "false,"
	    "\"MachineAuthorized\":true,\"AuthURL\":\"\",\"NodeKeySignature\":null,\"Error\":"
	    "\"\"}");
	doc_free(&d);
}

TEST(map_request_of_the_second_client) /* T56: HostInfo, PreferredDerp */
{
	struct tailcfg_map_request r;
	struct doc d = doc_make();

	CHECK(decode(
	    &d, &r, &tailcfg_map_request_schema,
	    "{\"Version\":130,\"NodeKey\":\"nodekey:" ONES64 "\",\"DiscoKey\":\"discokey:" ONES64
	    "\",\"Stream\":true,\"HostInfo\":{\"Os\":\"linux\",\"RoutableIps\":[\"10.1.0.0/16\"],"
	    "\"NetInfo\":{\"PreferredDerp\":900,\"WorkingUdp\":true}},"
	    "\"Endpoints\":[\"192.0.2.8:41641\",\"[2001:db8::1]:1\"]}"));
	CHECK(r.stream && !r.omit_peers && r.endpoints.n == 2);
	CHECK(r.hostinfo && r.hostinfo->netinfo && r.hostinfo->netinfo->preferred_derp == 900);
	CHECK(r.hostinfo->netinfo->working_udp == OPT_TRUE);
	CHECK(r.hostinfo->routable_ips.n == 1);
	doc_free(&d);
}

TEST(map_response_tells_absent_from_empty)
{
	struct tailcfg_map_response r;
	struct doc d = doc_make();

	CHECK(decode(&d, &r, &tailcfg_map_response_schema, "{\"PacketFilter\":[],\"Health\":[]}"));
	CHECK(!r.peers.set && r.packet_filter.n == 2 && r.health.set && !r.health.n);
	CHECK(decode(
	    &d, &r, &tailcfg_map_response_schema,
	    "{\"PeersChangedPatch\":[{\"NodeID\":8,\"Online\":false,\"Endpoints\":[],"
	    "\"LastSeen\":\"2026-01-02T03:05:00Z\",\"KeyExpiry\":\"0001-01-01T00:00:00Z\"}]}"));
	CHECK(r.peers_changed_patch.n == 1 && r.peers_changed_patch.v[0].online == OPT_FALSE);
	CHECK(r.peers_changed_patch.v[0].endpoints.set && !r.peers_changed_patch.v[0].cap_map.set);
	CHECK(r.peers_changed_patch.v[0].key_expiry.set &&
	      !r.peers_changed_patch.v[0].key_expiry.at.ns);
	doc_free(&d);
}

TEST(derp_map_round)
{
	static const char text[] =
	    "{\"Regions\":{\"900\":{\"RegionID\":900,\"RegionCode\":\"own\",\"RegionName\":\"Own\","
	    "\"Nodes\":[{\"Name\":\"900a\",\"RegionID\":900,\"HostName\":\"relay.example.com\","
	    "\"STUNPort\":3478,\"DERPPort\":443}]},\"901\":null}}";
	struct tailcfg_derp_map map;
	struct doc d = doc_make();

	CHECK(decode(&d, &map, &tailcfg_derp_map_schema, text));
	CHECK(map.regions.n == 2 && !map.regions.v[1].object);
	CHECK_STR(encode(&d, &tailcfg_derp_map_schema, &map), text);
	doc_free(&d);
}

TEST(node_minimal_and_truncations)
{
	static const char text[] =
	    "{\"ID\":7,\"StableID\":\"n7\",\"Name\":\"a.tail.example.com.\",\"User\":1,"
	    "\"Key\":\"nodekey:" ONES64 "\",\"DiscoKey\":\"discokey:" ONES64 "\","
	    "\"Addresses\":[\"100.64.0.7/32\",\"fd7a:115c:a1e0::7/128\"],"
	    "\"HomeDERP\":900,\"Hostinfo\":{\"OS\":\"linux\"},\"Cap\":145,\"Online\":true,"
	    "\"MachineAuthorized\":true,\"CapMap\":{\"https://tailscale.com/cap/"
	    "file-sharing\":null}}";
	struct tailcfg_node n;
	struct doc d = doc_make();

	CHECK(decode(&d, &n, &tailcfg_node_schema, text));
	CHECK(n.id == 7 && n.addresses.n == 2 && n.home_derp == 900 && n.online == OPT_TRUE);
	CHECK_STR(encode(&d, &tailcfg_node_schema, &n), text);
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		struct bytes cut = kit_copy(bytes_of(text, i));

		arena_reset(&d.arena);
		CHECK(schema_decode(&n, &tailcfg_node_schema, &d.arena, cut, &d.err) < 0);
	}
	doc_free(&d);
}
