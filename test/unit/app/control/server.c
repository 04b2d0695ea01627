/* The server as nodes see it. Tn: the trap of that number in doc/protocol/control-traps.md. */
#include <stdio.h>
#include <stdlib.h>

#include "unit/app/control/control_bench.h"
#include "app/control/c2n.h"
#include "app/control/control.h"
#include "app/control/store.h"
#include "base/err.h"
#include "base/mem.h"
#include "crypto/x25519.h"
#include "io/httpc.h"
#include "part/derp_client.h"

#include "kit/kit.h"

static bool has(const char *text, const char *part)
{
	if (text && strstr(text, part))
		return true;
	(void)fprintf(stderr, "# %s\n# lacks %s\n", text ? text : "(nothing)", part);
	return false;
}

static bool lacks(const char *text, const char *part)
{
	return text && !strstr(text, part);
}

struct pair {
	struct bench b;
	struct peer one, two;
	char key[128];
};

/* Two nodes of alice, both polling; their first frames are taken. */
static void pair_start(struct pair *p)
{
	bench_start(&p->b);
	bench_key(&p->b, "alice", "--reusable", p->key);
	peer_init(&p->one, &p->b, 1);
	peer_init(&p->two, &p->b, 2);
	CHECK(peer_connect(&p->one) && peer_connect(&p->two));
	CHECK(has(peer_register(&p->one, p->key, "one"), "\"MachineAuthorized\":true"));
	CHECK(has(peer_register(&p->two, p->key, "two"), "\"MachineAuthorized\":true"));
	(void)peer_update(&p->one, "\"Hostinfo\":{\"OS\":\"linux\",\"Hostname\":\"one\","
				   "\"NetInfo\":{\"PreferredDERP\":900}}");
	(void)peer_update(&p->two, "\"Hostinfo\":{\"OS\":\"linux\",\"Hostname\":\"two\","
				   "\"NetInfo\":{\"PreferredDERP\":900}}");
	peer_poll(&p->one);
	CHECK(peer_frame(&p->one) != NULL);
	peer_poll(&p->two);
	CHECK(peer_frame(&p->two) != NULL);
	(void)peer_frame(&p->one); /* two went online */
}

static void pair_stop(struct pair *p)
{
	peer_fini(&p->one);
	peer_fini(&p->two);
	bench_stop(&p->b);
}

TEST(first_frame_is_whole) /* T1, T3, T4, T6, T23, T39 */
{
	struct bench b;
	struct peer p;
	char key[128];
	const char *f;

	bench_start(&b);
	bench_key(&b, "alice@example.com", "", key);
	peer_init(&p, &b, 1);
	CHECK(peer_connect(&p));
	f = peer_register(&p, key, "My Host.local");
	CHECK(p.status == 200 && has(f, "\"LoginName\":\"alice@example.com\""));
	CHECK(has(f, "\"NodeKeyExpired\":false") && has(f, "\"Error\":\"\"")); /* T55 */
	peer_poll(&p);
	f = peer_frame(&p);
	CHECK(has(f, "{\"Node\":{\"ID\":1,\"StableID\":\"n"));
	CHECK(has(f, "\"Name\":\"my-host.weft.internal.\"")); /* T38 */
	CHECK(has(f, "\"MachineAuthorized\":true"));
	CHECK(has(f, "\"Addresses\":[\"100.64.0.1/32\",\"fd7a:115c:a1e0::6440:1/128\"]"));
	CHECK(has(f, "\"DERPMap\":{\"Regions\":{\"900\":{\"RegionID\":900")); /* T5 */
	CHECK(has(f, "\"DNSConfig\":{\"Routes\":{\"weft.internal\":null}"));
	CHECK(has(f, "\"PacketFilters\":{\"base\":"));
	CHECK(has(f, "\"UserProfiles\":[{\"ID\":1,\"LoginName\":\"alice@example.com\""));
	CHECK(has(f, "\"Domain\":") && has(f, "\"ControlTime\":\"2"));
	CHECK(lacks(f, "\"Peers\"") && lacks(f, "KeyExpiry"));                     /* T4, T7 */
	CHECK(lacks(f, "SrcBits") && lacks(f, "\"Bits\"") && lacks(f, "IPProto")); /* T27, T28 */
	peer_fini(&p);
	bench_stop(&b);
}

TEST(peers_come_by_delta_and_changes_by_patch) /* T1, T22, T40 */
{
	struct pair p;
	const char *f;

	pair_start(&p);
	CHECK(peer_is_quiet(&p.one) && peer_is_quiet(&p.two));
	(void)peer_update(&p.two, "\"Endpoints\":[\"192.0.2.8:41641\",\"[fe80::1]:1\"]");
	CHECK_INT(p.two.status, 200);
	CHECK_INT(p.two.body.n, 0);
	CHECK_STR(peer_frame(&p.one), "{\"PeersChangedPatch\":[{\"NodeID\":2,\"Endpoints\":"
				      "[\"192.0.2.8:41641\"]}]}");
	CHECK(peer_is_quiet(&p.one));
	/* Nothing new: nobody is told. */
	(void)peer_update(&p.two, "\"Endpoints\":[\"192.0.2.8:41641\"]");
	CHECK(peer_is_quiet(&p.one));
	memset(p.two.disco.b, 0x77, 32);
	(void)peer_update(&p.two, "\"Endpoints\":[]");
	f = peer_frame(&p.one);
	CHECK(has(f, "\"Endpoints\":[]") && has(f, "\"DiscoKey\":\"discokey:7777"));
	CHECK(has(f, "\"Online\":true") && has(f, "\"LastSeen\":\"2"));
	pair_stop(&p);
}

TEST(whole_node_when_a_patch_cannot_say_it)
{
	struct pair p;
	const char *f;

	pair_start(&p);
	(void)peer_update(&p.two, "\"Hostinfo\":{\"OS\":\"linux\",\"Hostname\":\"renamed\"}");
	f = peer_frame(&p.one);
	CHECK(has(f, "{\"PeersChanged\":[{\"ID\":2"));
	CHECK(has(f, "\"Name\":\"renamed.weft.internal.\""));
	CHECK(has(f, "\"HomeDERP\":900")); /* T20: a report without NetInfo keeps the relay */
	CHECK(lacks(f, "UserProfiles") && lacks(f, "DERPMap") && lacks(f, "DNSConfig"));
	pair_stop(&p);
}

TEST(a_new_node_reaches_those_who_may_see_it) /* T24 */
{
	struct pair p;
	struct peer other;
	char key[128];
	const char *f;

	pair_start(&p);
	bench_key(&p.b, "bob", "", key);
	peer_init(&other, &p.b, 3);
	CHECK(peer_connect(&other) &&
	      has(peer_register(&other, key, "other"), "\"LoginName\":\"bob\""));
	peer_poll(&other);
	f = peer_frame(&other);
	CHECK(lacks(f, "\"Peers\"")); /* no policy: users are strangers */
	CHECK(peer_is_quiet(&p.one));
	CHECK(has(bench_command(&p.b, "policy set",
				"{\"grants\":[{\"src\":[\"*\"],\"dst\":[\"*\"],\"ip\":[\"*\"]}]}"),
		  "in force"));
	f = peer_frame(&p.one);
	CHECK(has(f, "\"PeersChanged\":[{\"ID\":3") && has(f, "\"PacketFilters\""));
	CHECK(has(f, "\"LoginName\":\"bob\""));
	f = peer_frame(&other);
	CHECK(has(f, "\"PeersChanged\":[{\"ID\":1") && has(f, "{\"ID\":2"));
	CHECK(has(bench_command(&p.b, "policy remove", NULL), "no policy is in force"));
	f = peer_frame(&other);
	CHECK(has(f, "\"PeersRemoved\":[1,2]") && has(f, "\"PacketFilters\""));
	peer_fini(&other);
	pair_stop(&p);
}

TEST(deleted_node_is_told_and_its_peers_too) /* T8 */
{
	struct pair p;
	const char *f;

	pair_start(&p);
	(void)bench_command(&p.b, "nodes delete two", NULL);
	f = peer_frame(&p.two);
	CHECK(has(f, "\"KeyExpiry\":\"2") && lacks(f, "Peers"));
	CHECK(has(peer_frame(&p.one), "{\"PeersRemoved\":[2]"));
	CHECK(bench_wait(&p.b, &p.two.poll_done));
	peer_poll(&p.two);
	CHECK(has(peer_frame(&p.two), "\"StableID\":\"deleted\""));
	pair_stop(&p);
}

struct relayed {
	struct derp_client *client;
	bool up, down;
};

static void on_relay_up(void *arg)
{
	((struct relayed *)arg)->up = true;
}

static void on_relay_down(void *arg, const struct err *why)
{
	(void)why;
	((struct relayed *)arg)->down = true;
}

static void relay_dial(struct relayed *r, struct pair *p, const struct secret32 *key)
{
	struct derp_client_conf conf = { .host = "localhost",
					 .ip4 = ip_v4(127, 0, 0, 1),
					 .port = (uint16_t)control_port(p->b.c),
					 .private_key = key,
					 .on_up = on_relay_up,
					 .on_down = on_relay_down,
					 .arg = r };

	*r = (struct relayed){ .client = derp_client_create(p->b.loop, &conf) };
}

TEST(relay_inside_cuts_a_revoked_key_at_once)
{
	struct secret32 keys[3] = { { { 8 } }, { { 16 } }, { { 24 } } };
	struct relayed at[3], stranger;
	struct pair p;
	struct peer who[3];

	pair_start(&p);
	for (int i = 0; i < 3; i++) {
		peer_init(&who[i], &p.b, (uint8_t)(10 + i));
		x25519_public(who[i].node_key.b, &keys[i]);
		CHECK(peer_connect(&who[i]));
		CHECK(has(peer_register(&who[i], p.key,
					i == 0   ? "kept"
					: i == 1 ? "gone"
						 : "rekeyed"),
			  "\"MachineAuthorized\":true"));
		relay_dial(&at[i], &p, &keys[i]);
		CHECK(bench_wait(&p.b, &at[i].up));
	}
	(void)bench_command(&p.b, "nodes delete gone", NULL);
	CHECK(bench_wait(&p.b, &at[1].down));
	memset(who[2].node_key.b, 0x55, 32);
	CHECK(has(peer_register(&who[2], p.key, "rekeyed"), "\"MachineAuthorized\":true"));
	CHECK(bench_wait(&p.b, &at[2].down));
	relay_dial(&stranger, &p, &keys[1]);
	CHECK(bench_wait(&p.b, &stranger.down) && !stranger.up);
	CHECK(!at[0].down);
	derp_client_destroy(stranger.client);
	for (int i = 0; i < 3; i++) {
		derp_client_destroy(at[i].client);
		peer_fini(&who[i]);
	}
	pair_stop(&p);
}

TEST(machine_key_decides) /* T12, T13 */
{
	struct pair p;
	struct peer thief;

	pair_start(&p);
	peer_init(&thief, &p.b, 9);
	thief.node_key = p.one.node_key;
	CHECK(peer_connect(&thief));
	(void)peer_update(&thief, "");
	CHECK_INT(thief.status, 404);
	CHECK(has(peer_register(&thief, p.key, "thief"), "belongs to another machine"));
	CHECK(has(peer_register(&thief, NULL, "thief"), "belongs to another machine"));
	CHECK(peer_is_quiet(&p.one));
	peer_fini(&thief);
	pair_stop(&p);
}

TEST(single_use_key_and_refresh) /* T10, T11, T54 */
{
	struct bench b;
	struct peer one, two;
	char key[128];

	bench_start(&b);
	bench_key(&b, "alice", "", key);
	peer_init(&one, &b, 1);
	peer_init(&two, &b, 2);
	CHECK(peer_connect(&one) && peer_connect(&two));
	CHECK(has(peer_register(&one, key, "one"), "\"Error\":\"\""));
	CHECK(has(peer_register(&two, key, "two"), "used before"));
	CHECK_INT(two.status, 200);
	/* A restart of the daemon sends the spent key again, and is no new login. */
	CHECK(has(peer_register(&one, key, "one"), "\"MachineAuthorized\":true"));
	CHECK(has(peer_register(&one, NULL, "one"), "\"AuthURL\":\"\""));
	CHECK(has(bench_command(&b, "nodes list", NULL), "\"id\":1"));
	CHECK(lacks(bench_command(&b, "nodes list", NULL), "\"id\":2"));
	peer_fini(&one);
	peer_fini(&two);
	bench_stop(&b);
}

TEST(rotation_and_another_user) /* T14, T15 */
{
	struct pair p;
	char bob[128];
	const char *f;

	pair_start(&p);
	memset(p.two.node_key.b, 0x55, 32);
	CHECK(has(peer_register(&p.two, p.key, "two"), "\"MachineAuthorized\":true"));
	f = peer_frame(&p.one);
	CHECK(has(f, "{\"ID\":2,") && has(f, "\"Key\":\"nodekey:5555"));
	CHECK(has(f, "100.64.0.2/32") && has(f, "\"two.weft.internal.\""));
	bench_key(&p.b, "bob", "", bob);
	memset(p.two.node_key.b, 0x56, 32);
	CHECK(has(peer_register(&p.two, bob, "two"), "\"LoginName\":\"bob\""));
	f = bench_command(&p.b, "nodes list", NULL);
	CHECK(has(f, "\"id\":2") && has(f, "\"id\":3") && has(f, "\"name\":\"two-1\""));
	pair_stop(&p);
}

TEST(logout_expiry_and_return) /* T7, T9, T45 */
{
	struct pair p;
	char key[KEYTEXT_MAX];
	const char *f;

	pair_start(&p);
	(void)peer_post(&p.two, "/machine/register",
			"{\"Version\":145,\"NodeKey\":\"%s\",\"Auth\":{\"AuthKey\":\"%s\"},"
			"\"Expiry\":\"1970-01-01T00:02:03Z\",\"Hostinfo\":null}",
			keytext_format(&p.two.node_key, KEY_NODE, key), p.key);
	CHECK_INT(p.two.status, 200);
	f = peer_frame(&p.one);
	CHECK(has(f, "\"NodeID\":2") && has(f, "\"KeyExpiry\":\"20")); /* now, not 1970 */
	CHECK(has(peer_frame(&p.two), "\"KeyExpiry\":\"20"));
	CHECK(!p.two.poll_done); /* expired, and still served */
	CHECK(has(peer_register(&p.two, NULL, "two"), "\"NodeKeyExpired\":true"));
	CHECK(has(bench_command(&p.b, "nodes extend two", NULL), "\"expires\":\"\""));
	CHECK(has(peer_frame(&p.one), "\"KeyExpiry\":\"0001-01-01T00:00:00Z\""));
	CHECK(has(peer_register(&p.two, NULL, "two"), "\"MachineAuthorized\":true"));
	pair_stop(&p);
}

TEST(streams_replace_each_other) /* T21, T53 */
{
	struct pair p;
	struct peer again;

	pair_start(&p);
	peer_init(&again, &p.b, 2); /* the same machine on a second connection */
	CHECK(peer_connect(&again));
	peer_poll(&again);
	CHECK(peer_frame(&again) != NULL);
	CHECK(bench_wait(&p.b, &p.two.poll_done));
	CHECK(peer_is_quiet(&p.one));  /* it never was offline */
	(void)peer_update(&p.two, ""); /* the older connection still works */
	CHECK_INT(p.two.status, 200);
	peer_fini(&again);
	pair_stop(&p);
}

TEST(hang_up_is_offline_after_grace)
{
	struct pair p;
	const char *f;

	pair_start(&p);
	peer_hang_up(&p.two);
	CHECK(peer_is_quiet(&p.one));
	model_node(list_entry(p.b.c->model.tailnets.next, struct tailnet, link), bytes_str("two"))
	    ->offline_since.ns -= 11LL * 1000000000;
	f = peer_frame(&p.one);
	CHECK(has(f, "\"PeersChangedPatch\":[{\"NodeID\":2,\"Online\":false,\"LastSeen\":"));
	pair_stop(&p);
}

TEST(restart_keeps_everything) /* order of life 6 */
{
	struct pair p;
	const char *f;

	pair_start(&p);
	(void)peer_update(&p.two, "\"Endpoints\":[\"192.0.2.8:41641\"]");
	(void)peer_frame(&p.one);
	httpc_destroy(p.one.h2);
	httpc_destroy(p.two.h2);
	p.one.h2 = p.two.h2 = NULL;
	bench_restart(&p.b);
	CHECK(peer_connect(&p.one));
	CHECK(has(peer_register(&p.one, NULL, "one"), "\"MachineAuthorized\":true"));
	peer_poll(&p.one);
	f = peer_frame(&p.one);
	CHECK(has(f, "\"Peers\":[{\"ID\":2") && has(f, "\"192.0.2.8:41641\"") &&
	      has(f, "\"HomeDERP\":900"));
	pair_stop(&p);
}

TEST(a_broken_newest_policy_gives_way_to_the_last_good_one)
{
	static const char good[] =
	    "{\"grants\":[{\"src\":[\"*\"],\"dst\":[\"*\"],\"ip\":[\"tcp:22\"]}]}";
	struct tailnet *t;
	struct bench b;

	bench_start(&b);
	CHECK(has(bench_command(&b, "policy set", good), "in force"));
	CHECK(has(bench_command(&b, "policy set", "{\"grants\":["), "line 1"));
	t = list_entry(b.c->model.tailnets.next, struct tailnet, link);
	CHECK(store_put_policy(b.c->store, t, bytes_str("{\"grants\":["), "x", NULL) == 0);
	bench_restart(&b);
	CHECK(has(bench_command(&b, "policy get", NULL), "tcp:22"));
	bench_stop(&b);
}

TEST(interactive_login_by_an_admin) /* T54 and section 4.6 */
{
	struct bench b;
	struct peer p;
	const char *url;
	char token[64], words[128];

	bench_start(&b);
	(void)bench_command(&b, "users create alice", NULL);
	peer_init(&p, &b, 1);
	CHECK(peer_connect(&p));
	url = strstr(peer_register(&p, NULL, "laptop"), "/a/");
	CHECK(url && has(buf_cstr(&p.body), "\"MachineAuthorized\":false"));
	(void)snprintf(token, sizeof(token), "%.32s", url ? url + 3 : "");
	CHECK(has(bench_command(&b, "nodes logins", NULL), "\"hostname\":\"laptop\""));
	(void)snprintf(words, sizeof(words), "nodes approve %s --user alice", token);
	CHECK(has(bench_command(&b, words, NULL), "\"name\":\"laptop\""));
	CHECK(has(peer_register(&p, NULL, "laptop"), "\"LoginName\":\"alice\""));
	CHECK(has(bench_command(&b, words, NULL), "no login of that id"));
	peer_fini(&p);
	bench_stop(&b);
}

TEST(tags_and_their_pseudo_user) /* T3, T23 */
{
	struct bench b;
	struct peer p;
	char key[128];
	const char *f;

	bench_start(&b);
	bench_key(&b, NULL, "--tags tag:web", key);
	peer_init(&p, &b, 1);
	CHECK(peer_connect(&p));
	f = peer_register(&p, key, "web");
	CHECK(has(f, "\"LoginName\":\"tagged-devices\""));
	peer_poll(&p);
	f = peer_frame(&p);
	CHECK(has(f, "\"Tags\":[\"tag:web\"]") && has(f, "\"LoginName\":\"tagged-devices\""));
	CHECK(has(bench_command(&b, "nodes expire web", NULL), "do not expire"));
	peer_fini(&p);
	bench_stop(&b);
}

TEST(old_and_odd_requests_get_a_status) /* T2, T47, T48 */
{
	struct pair p;
	char key[KEYTEXT_MAX];

	pair_start(&p);
	(void)peer_post(&p.one, "/machine/map", "{\"Version\":112,\"NodeKey\":\"%s\"}",
			keytext_format(&p.one.node_key, KEY_NODE, key));
	CHECK_INT(p.one.status, 400);
	(void)peer_post(&p.one, "/machine/map", "{\"Version\":145,\"NodeKey\":\"\"}");
	CHECK_INT(p.one.status, 400);
	(void)peer_post(&p.one, "/machine/map", "[");
	CHECK_INT(p.one.status, 400);
	(void)peer_post(&p.one, "/machine/set-dns", "{}");
	CHECK_INT(p.one.status, 501);
	(void)peer_post(&p.one, "/machine/map", "{\"Version\":145,\"NodeKey\":\"%s\"}", key);
	CHECK_INT(p.one.status, 200);
	CHECK(p.one.body.n > 4 && strstr((char *)p.one.body.p + 4, "\"Peers\":[{\"ID\":2"));
	(void)peer_post(&p.one, "/machine/map",
			"{\"Version\":145,\"NodeKey\":\"%s\",\"ReadOnly\":true,\"OmitPeers\":true}",
			key);
	CHECK(p.one.status == 200 && !strstr((char *)p.one.body.p + 4, "\"Peers\""));
	pair_stop(&p);
}

TEST(hostile_host_information_stays_inside) /* T33, T52, T55 */
{
	struct pair p;
	const char *f;

	pair_start(&p);
	(void)peer_update(
	    &p.two,
	    "\"Hostinfo\":{\"OS\":\"li\\\"nux\",\"Hostname\":\"a\\u0001/../..\",\"Services\":"
	    "[{\"Proto\":\"peerapi4\",\"Port\":1},{\"Proto\":\"x\\\\y\",\"Port\":2},"
	    "{\"Proto\":\"tcp\",\"Port\":99999}],\"RoutableIPs\":[\"10.9.8.7/8\"]}");
	CHECK_INT(p.two.status, 200);
	f = peer_frame(&p.one);
	CHECK(has(f, "\"Services\":[{\"Proto\":\"peerapi4\",\"Port\":1}]"));
	CHECK(lacks(f, "\\") && has(f, "\"Name\":\"a.weft.internal.\""));
	CHECK(lacks(f, "10.0.0.0/8")); /* T29: not approved */
	pair_stop(&p);
}

TEST(routes_need_approval_and_both_exits) /* T29, T30, T31 */
{
	struct pair p;
	const char *f;

	pair_start(&p);
	(void)peer_update(&p.two,
			  "\"Hostinfo\":{\"OS\":\"linux\",\"Hostname\":\"two\",\"RoutableIPs\":"
			  "[\"10.1.0.0/16\",\"0.0.0.0/0\",\"::/0\"]}");
	(void)bench_command(&p.b, "policy set",
			    "{\"grants\":[{\"src\":[\"*\"],\"dst\":[\"*\"],\"ip\":[\"*\"]},"
			    "{\"src\":[\"*\"],\"dst\":[\"autogroup:internet\"],\"ip\":[\"*\"]}]}");
	(void)bench_command(&p.b, "routes approve two 10.1.0.0/16,exit", NULL);
	do
		f = peer_frame(&p.one);
	while (f && !strstr(f, "10.1.0.0/16"));
	CHECK(has(f, "\"PrimaryRoutes\":[\"10.1.0.0/16\"]"));
	CHECK(has(f, "\"0.0.0.0/0\",\"::/0\"") && has(f, "suggest-exit-node"));
	pair_stop(&p);
}

TEST(ephemeral_node_goes_after_its_grace) /* T26 */
{
	struct bench b;
	struct peer p;
	struct tn_node *n;
	char key[128];

	bench_start(&b);
	bench_key(&b, "alice", "--ephemeral", key);
	peer_init(&p, &b, 1);
	CHECK(peer_connect(&p) && has(peer_register(&p, key, "ci"), "\"Error\":\"\""));
	n = model_node(list_entry(b.c->model.tailnets.next, struct tailnet, link), bytes_str("ci"));
	n->offline_since.ns -= 700LL * 1000000000; /* has not polled yet: it may take its time */
	for (int i = 0; i < 20; i++)
		(void)peer_is_quiet(&p);
	CHECK(has(bench_command(&b, "nodes list", NULL), "\"ci\""));
	n->offline_since.ns -= 1200LL * 1000000000;
	for (int i = 0; i < 100 && strstr(bench_command(&b, "nodes list", NULL), "\"ci\""); i++)
		(void)peer_is_quiet(&p);
	CHECK_STR(bench_command(&b, "nodes list", NULL), "[]");
	peer_fini(&p);
	bench_stop(&b);
}

TEST(other_tailnet_is_another_world)
{
	struct pair p;
	struct peer far;
	const char *f;
	char key[128];

	pair_start(&p);
	(void)bench_command(&p.b, "tailnets create far --domain far.internal", NULL);
	(void)bench_command(&p.b, "users create alice --tailnet far", NULL);
	bench_key(&p.b, "alice", "--tailnet far", key);
	peer_init(&far, &p.b, 5);
	CHECK(peer_connect(&far) && has(peer_register(&far, key, "one"), "\"Error\":\"\""));
	peer_poll(&far);
	f = peer_frame(&far);
	CHECK(has(f, "\"one.far.internal.\"") && has(f, "100.64.0.1/32") && lacks(f, "\"Peers\""));
	CHECK(peer_is_quiet(&p.one));
	CHECK(has(bench_command(&p.b, "nodes delete 3", NULL), "there is no node 3"));
	CHECK(has(bench_command(&p.b, "nodes show 1 --tailnet far", NULL), "there is no node 1"));
	CHECK(lacks(bench_command(&p.b, "keys list --tailnet far", NULL), "\"id\":1,"));
	peer_fini(&far);
	pair_stop(&p);
}

/* ---- calls to nodes ---- */

struct asked {
	bool done;
	unsigned status;
	char body[64], why[256];
};

static void on_asked(void *arg, const struct c2n_answer *answer, const struct err *err)
{
	struct asked *a = arg;

	a->done = true;
	a->status = answer ? answer->status : 0;
	(void)snprintf(a->body, sizeof(a->body), "%.*s",
		       BYTES_FMT(answer ? answer->body : (struct bytes){ 0 }));
	(void)snprintf(a->why, sizeof(a->why), "%s", err ? err->text : "");
}

static bool token_path(const char *frame, char out[64])
{
	const char *at = frame ? strstr(frame, "https://unused/c2n/") : NULL;

	out[0] = '\0';
	if (at)
		(void)snprintf(out, 64, "/c2n/%.32s", at + sizeof("https://unused/c2n/") - 1);
	return at != NULL;
}

TEST(a_node_is_asked_and_only_its_own_machine_answers)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nX: y\r\n\r\npong";
	struct bytes ask = bytes_str("POST /echo HTTP/1.1\r\n\r\n");
	struct asked got = { 0 };
	struct err err = { 0 };
	struct tn_node *n;
	struct bench b;
	struct peer p, q;
	char key[128], path[64];

	bench_start(&b);
	peer_init(&p, &b, 1);
	peer_init(&q, &b, 2);
	bench_key(&b, "alice", "--reusable", key);
	CHECK(peer_connect(&p) && peer_connect(&q));
	(void)peer_register(&p, key, "one");
	(void)peer_register(&q, key, "two");
	n = model_node_by_key(&b.c->model, &p.node_key);
	CHECK(n != NULL);
	CHECK(c2n_call(b.c, n, ask, 5000, on_asked, &got, &err) == -1);
	CHECK_STR(err.text, "one is not connected");
	peer_poll(&p);
	CHECK(peer_frame(&p) != NULL);
	CHECK(c2n_call(b.c, n, ask, 5000, on_asked, &got, &err) == 0);
	CHECK(token_path(peer_frame(&p), path));
	(void)peer_post(&q, path, "%s", answer); /* another machine */
	CHECK_INT(q.status, 404);
	CHECK(!got.done);
	(void)peer_post(&p, "/c2n/00000000000000000000000000000000", "%s", answer);
	CHECK_INT(p.status, 404);
	(void)peer_post(&p, path, "%s", answer);
	CHECK_INT(p.status, 200);
	CHECK(got.done && got.status == 200);
	CHECK_STR(got.body, "pong");
	(void)peer_post(&p, path, "%s", answer); /* once */
	CHECK_INT(p.status, 404);

	got = (struct asked){ 0 };
	CHECK(c2n_call(b.c, n, ask, 5000, on_asked, &got, &err) == 0);
	CHECK(token_path(peer_frame(&p), path));
	(void)peer_post(&p, path, "nonsense");
	CHECK(got.done && !got.status);
	CHECK_STR(got.why, "the node's answer is not HTTP");

	got = (struct asked){ 0 };
	CHECK(c2n_call(b.c, n, ask, 1, on_asked, &got, &err) == 0);
	CHECK(bench_wait(&b, &got.done));
	CHECK_STR(got.why, "the node did not answer in time");
	CHECK(has(bench_command(&b, "nodes ping one", NULL), "on the server itself"));
	got = (struct asked){ 0 };
	CHECK(c2n_call(b.c, n, ask, 5000, on_asked, &got, &err) == 0);
	peer_fini(&p);
	peer_fini(&q);
	bench_stop(&b);
	CHECK_STR(got.why, "the server stops");
}
