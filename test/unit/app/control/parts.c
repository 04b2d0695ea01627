/* Names, addresses, configuration, relay maps, keys: the parts that need no server. */
#include <stdio.h>

#include "app/control/authkey.h"
#include "app/control/config.h"
#include "app/control/derpmap.h"
#include "app/control/ipam.h"
#include "app/control/model.h"
#include "app/control/names.h"
#include "app/control/origin.h"
#include "app/control/password.h"
#include "app/control/rate.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/rand.h"
#include "io/file.h"
#include "io/httpd.h"
#include "kit/kit.h"

TEST(names_become_labels) /* T38 */
{
	static const struct {
		const char *host, *want;
	} cases[] = {
		{ "Alice's MacBook Pro.local", "alices-macbook-pro" },
		{ "db_1@eu.example", "db-1-eu-example" },
		{ "---", "node" },
		{ "", "node" },
		{ "\xc3\xa4\xc3\xb6", "node" },
		{ "-x-", "x" },
		{ "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghij-123456",
		  "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghij" },
	};
	char out[NAME_SIZE];

	for (size_t i = 0; i < array_len(cases); i++) {
		names_sanitise(kit_copy(bytes_str(cases[i].host)), out);
		CHECK_STR(out, cases[i].want);
		CHECK(names_is_label(bytes_str(out)));
	}
	names_with_suffix("abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk", 12,
			  out);
	CHECK_INT(strlen(out), 63);
	CHECK_STR(out + 60, "-12");
}

static bool nothing_used(void *arg, struct ip v4)
{
	(void)arg;
	(void)v4;
	return false;
}

static bool all_used(void *arg, struct ip v4)
{
	(void)arg;
	(void)v4;
	return true;
}

TEST(addresses_move_forward_and_skip_what_is_taken) /* T36 */
{
	uint32_t cursor = 0;
	struct ip v4, v6;
	char text[IP_TEXT_MAX];

	CHECK(ipam_next(&cursor, nothing_used, NULL, &v4, &v6));
	CHECK_STR(ip_format(v4, text), "100.64.0.1");
	CHECK_STR(ip_format(v6, text), "fd7a:115c:a1e0::6440:1");
	CHECK(ipam_next(&cursor, nothing_used, NULL, &v4, &v6));
	CHECK_STR(ip_format(v4, text), "100.64.0.2"); /* even if .1 was given back meanwhile */
	cursor = 0x64735bff;
	CHECK(ipam_next(&cursor, nothing_used, NULL, &v4, &v6));
	CHECK_STR(ip_format(v4, text), "100.115.94.0");
	cursor = 0x647ffffe;
	CHECK(ipam_next(&cursor, nothing_used, NULL, &v4, &v6));
	CHECK_STR(ip_format(v4, text), "100.64.0.1");
	CHECK(!ipam_next(&cursor, all_used, NULL, &v4, &v6));
	CHECK(!ipam_is_ours(ip_v4(100, 115, 92, 7)) && !ipam_is_ours(ip_v4(10, 0, 0, 1)));
}

TEST(configuration_refuses_what_cannot_work) /* T37 */
{
	struct config c;
	struct err err;

	config_defaults(&c);
	CHECK(config_finish(&c, &err) == 0);
	CHECK_STR(c.server_url, "http://127.0.0.1:8080");
	CHECK_STR(c.admin_socket, "/var/lib/weft-control/admin.sock");
	config_defaults(&c);
	(void)bytes_to_cstr(bytes_str("https://control.example.com/"), c.server_url,
			    sizeof(c.server_url));
	(void)bytes_to_cstr(bytes_str("example.com"), c.base_domain, sizeof(c.base_domain));
	CHECK(config_finish(&c, &err) < 0 && strstr(err.text, "base_domain"));
	(void)bytes_to_cstr(bytes_str("ample.com"), c.base_domain, sizeof(c.base_domain));
	CHECK(config_finish(&c, &err) == 0); /* only whole labels count */
	config_defaults(&c);
	(void)bytes_to_cstr(bytes_str("/x"), c.tls_cert, sizeof(c.tls_cert));
	CHECK(config_finish(&c, &err) < 0);
}

TEST(configuration_file_says_what_is_wrong)
{
	static const char path[] = "/tmp/weft-control-test.yaml";
	char stun[] = "WEFT_CONTROL_STUN_PORT=99", other[] = "OTHER=1";
	char *const env[] = { stun, other, NULL };
	struct config c;
	struct err err = { 0 };

	config_defaults(&c);
	CHECK(file_write(path, bytes_str("listen: 0.0.0.0:443\nrelay: no\n"), 0600, &err) == 0);
	CHECK(config_read(&c, path, &err) == 0 && !c.relay);
	CHECK(config_environment(&c, env, &err) == 0 && c.stun_port == 99);
	CHECK(file_write(path, bytes_str("a: 1\n"), 0600, &err) == 0);
	CHECK(config_read(&c, path, &err) < 0);
	CHECK(file_write(path, bytes_str("x: y\nlistem: 1\n"), 0600, &err) == 0);
	CHECK(config_read(&c, path, &err) < 0 && strstr(err.text, "line 1: unknown key x"));
	CHECK(file_write(path, bytes_str("listem: 1\n"), 0600, &err) == 0);
	CHECK(config_read(&c, path, &err) < 0 && strstr(err.text, "did you mean listen?"));
	CHECK(file_write(path, bytes_str("relay: perhaps\n"), 0600, &err) == 0);
	CHECK(config_read(&c, path, &err) < 0 && strstr(err.text, "relay takes yes or no"));
}

static int build(const char *json, struct err *err)
{
	static const char path[] = "/tmp/weft-control-test-derp.json";
	struct config c;
	struct buf out;
	int ret;

	config_defaults(&c);
	(void)config_finish(&c, NULL);
	(void)bytes_to_cstr(bytes_str(path), c.derp_map, sizeof(c.derp_map));
	CHECK(file_write(path, bytes_str(json), 0600, err) == 0);
	ret = derpmap_build(&c, "", &out, err);
	buf_fini(&out);
	return ret;
}

TEST(relay_maps_are_checked) /* T5, T35 */
{
	struct err err = { 0 };

	CHECK(build("{\"Regions\":{\"5\":{\"RegionID\":5,\"RegionCode\":\"a\",\"RegionName\":\"A\","
		    "\"Nodes\":[{\"Name\":\"5a\",\"RegionID\":5,\"HostName\":\"h\"}]}}}",
		    &err) == 0);
	CHECK(build("{\"Regions\":{\"5\":{\"RegionID\":6,\"Nodes\":[]}}}", &err) < 0);
	CHECK(build("{\"Regions\":{\"5\":null}}", &err) < 0);
	CHECK(build("{\"Regions\":{}}", &err) < 0);
	CHECK(build("{\"Regions\":{\"5\":{\"RegionID\":5,\"Nodes\":[{\"RegionID\":6,\"HostName\":"
		    "\"h\"}]}}}",
		    &err) < 0);
	CHECK(build("{\"Regions\":{\"65536\":{\"RegionID\":65536,\"Nodes\":[]}}}", &err) < 0);
}

TEST(auth_keys_prove_themselves)
{
	struct rng rng = rng_seeded(3);
	struct err err = { 0 };
	char secret[49], text[AUTHKEY_TEXT_MAX];
	struct auth_key *k;
	struct tailnet *t;
	struct model m;

	model_init(&m);
	t = model_add_tailnet(&m, 1, "default", "x.internal");
	k = model_add_key(t, 7);
	authkey_secret(&rng, secret, k->hash);
	authkey_format(7, secret, text);
	CHECK(authkey_find(&m, bytes_str(text), &err) == k);
	text[strlen(text) - 1] ^= 1;
	CHECK(!authkey_find(&m, bytes_str(text), &err) && err.code == ERR_REFUSED);
	CHECK(!authkey_find(&m, bytes_str("tskey-auth-k7-"), &err));
	CHECK(!authkey_find(&m, bytes_str("nonsense"), &err));
	CHECK(authkey_check(k, wall_from_s(100), &err) == 0);
	k->expiry = wall_from_s(99);
	CHECK(authkey_check(k, wall_from_s(100), &err) < 0 && strstr(err.text, "expired"));
	model_fini(&m);
}

static struct tn_node *node_of(struct model *m, struct tailnet *t, int64_t id, struct tn_user *u,
			       const char *tag)
{
	struct tn_node *n = model_node_new(t);
	struct bytes tags[1] = { bytes_str(tag ? tag : "") };

	n->id = id;
	n->user = u;
	memset(n->machine.b, 7, sizeof(n->machine.b));
	n->key.b[0] = (uint8_t)id;
	n->v4 = ip_v4(100, 64, 0, (uint8_t)id);
	(void)snprintf(n->name, sizeof(n->name), "n%d", (int)id);
	(void)text_set_assign(&n->tags, tags, tag ? 1 : 0);
	model_add_node(m, n);
	return n;
}

TEST(a_machine_is_found_for_each_of_its_owners)
{
	struct tn_user *alice, *bob;
	struct tn_node *a, *b, *tagged;
	struct tailnet *t, *other;
	struct key machine, stranger = { { 1 } };
	struct model m;

	memset(machine.b, 7, sizeof(machine.b));
	model_init(&m);
	t = model_add_tailnet(&m, 1, "default", "x.internal");
	other = model_add_tailnet(&m, 2, "other", "y.internal");
	alice = model_add_user(&m, t, 1, "alice@x");
	bob = model_add_user(&m, t, 2, "bob@x");
	CHECK(!model_node_of_machine(t, &machine, alice));
	a = node_of(&m, t, 1, alice, NULL);
	tagged = node_of(&m, t, 2, alice, "tag:a");
	CHECK(model_node_of_machine(t, &machine, alice) == a);
	CHECK(model_node_of_machine(t, &machine, NULL) == tagged);
	CHECK(!model_node_of_machine(t, &machine, bob));
	b = node_of(&m, t, 3, bob, NULL);
	CHECK(model_node_of_machine(t, &machine, bob) == b);
	CHECK(!model_node_of_machine(t, &stranger, bob));
	CHECK(!model_node_of_machine(other, &machine, bob));
	model_remove_node(&m, a); /* the others stay in the index, whoever stood there */
	CHECK(!model_node_of_machine(t, &machine, alice));
	CHECK(model_node_of_machine(t, &machine, NULL) == tagged);
	CHECK(model_node_of_machine(t, &machine, bob) == b);
	model_remove_node(&m, tagged);
	model_remove_node(&m, b);
	CHECK(!model_node_of_machine(t, &machine, bob));
	model_node_free(a);
	model_node_free(tagged);
	model_node_free(b);
	model_fini(&m);
}

TEST(passwords)
{
	char hash[PASSWORD_HASH_MAX];

	CHECK(password_hash(hash, bytes_str("correct horse")));
	CHECK(strncmp(hash, "$argon2id$", 10) == 0);
	CHECK(password_verify(hash, bytes_str("correct horse")));
	CHECK(!password_verify(hash, bytes_str("correct hors")));
	CHECK(!password_verify(NULL, bytes_str("correct horse")));
}

TEST(rate_counts_per_address)
{
	static struct rate r;
	struct mono now = { 1000000000 };
	struct ip a = ip_v4(192, 0, 2, 1), b = ip_v4(192, 0, 2, 2);

	rate_init(&r, 3);
	for (int i = 0; i < 3; i++)
		CHECK(rate_allow(&r, a, now));
	CHECK(!rate_allow(&r, a, now));
	CHECK(rate_allow(&r, b, now));
	CHECK(rate_allow(&r, a, mono_add_s(now, 61)));
}

static struct addrport origin(const struct origin_proxies *p, const char *peer, const char *first,
			      const char *second)
{
	struct http_header h[] = { { bytes_str("X-Forwarded-For"), bytes_str(first) },
				   { bytes_str("Accept"), bytes_str("192.0.2.77") },
				   { bytes_str("x-forwarded-for"), bytes_str(second) } };
	struct http_request req = { .headers = h, .header_count = 3 };

	CHECK(addrport_parse(&req.peer, bytes_str(peer)));
	return origin_of(p, &req);
}

TEST(only_trusted_proxies_say_where_a_request_comes_from)
{
	struct origin_proxies none = { 0 }, p;
	char t[IP_TEXT_MAX];

	CHECK(origin_parse(&p, bytes_str("10.0.0.1, 192.168.0.0/16  fd00::1")));
	CHECK_INT(p.n, 3);
	CHECK_STR(ip_format(origin(&none, "10.0.0.1:5", "1.1.1.1", "2.2.2.2").ip, t), "10.0.0.1");
	CHECK_STR(ip_format(origin(&p, "10.0.0.2:5", "1.1.1.1", "2.2.2.2").ip, t), "10.0.0.2");
	CHECK_STR(ip_format(origin(&p, "10.0.0.1:5", "1.1.1.1", "2.2.2.2").ip, t), "2.2.2.2");
	/* What the client wrote itself stands to the left of what the proxy added. */
	CHECK_STR(ip_format(origin(&p, "10.0.0.1:5", "6.6.6.6, 1.1.1.1", "192.168.3.4").ip, t),
		  "1.1.1.1");
	CHECK_STR(ip_format(origin(&p, "[fd00::1]:5", "", "2001:db8::5").ip, t), "2001:db8::5");
	CHECK_STR(ip_format(origin(&p, "10.0.0.1:5", "", "9.9.9.9:1234").ip, t), "9.9.9.9");
	CHECK_STR(ip_format(origin(&p, "10.0.0.1:5", "1.1.1.1", "unknown").ip, t), "10.0.0.1");
	CHECK_STR(ip_format(origin(&p, "10.0.0.1:5", "1.1.1.1", ", ,").ip, t), "10.0.0.1");
	CHECK_STR(ip_format(origin(&p, "10.0.0.1:5", "", "").ip, t), "10.0.0.1");
	CHECK(!origin_parse(&p, bytes_str("10.0.0.1 proxy.example")));
	CHECK(!origin_parse(&p, bytes_str("1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 "
					  "1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 "
					  "1.1.1.1 1.1.1.1 1.1.1.1")));
}
