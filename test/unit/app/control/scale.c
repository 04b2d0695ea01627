/* Many nodes: what is mended in place is what would have been asked for again, and frames are
 * small. */
#include <stdio.h>

#include "app/control/mapstream.h"
#include "app/control/store.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/rand.h"
#include "control_bench.h"
#include "kit/kit.h"

static const char policy[] =
    "{\"tagOwners\":{\"tag:a\":[\"alice@x.test\"],\"tag:b\":[\"alice@x.test\"],\"tag:c\":[\"alice@"
    "x.test\"]},"
    "\"grants\":[{\"src\":[\"tag:a\"],\"dst\":[\"tag:a\",\"tag:b\"],\"ip\":[\"*\"]},"
    "{\"src\":[\"tag:b\"],\"dst\":[\"10.0.0.0/8\"],\"ip\":[\"tcp:22\"]},"
    "{\"src\":[\"autogroup:member\"],\"dst\":[\"autogroup:self\",\"tag:c\"],\"ip\":[\"*\"]},"
    "{\"src\":[\"tag:c\"],\"dst\":[\"100.100.0.0/16\"],\"ip\":[\"*\"]}]}";

static struct tailnet *first_tailnet(struct bench *b)
{
	return list_entry(b->c->model.tailnets.next, struct tailnet, link);
}

static void set_tags(struct tn_node *n, const char *tag)
{
	struct bytes v = bytes_str(tag ? tag : "");

	(void)text_set_assign(&n->tags, &v, tag ? 1 : 0);
}

static struct tn_node *add_node(struct bench *b, int64_t id, const char *tag)
{
	struct tailnet *t = first_tailnet(b);
	struct tn_node *n = model_node_new(t);
	struct bytes host;

	n->id = id;
	(void)snprintf(n->stable_id, sizeof(n->stable_id), "s%lld", (long long)id);
	memcpy(n->key.b, &id, sizeof(id));
	memcpy(n->machine.b, &id, sizeof(id));
	n->user = model_user(t, bytes_str("alice@x.test"));
	n->authorized = true;
	host = bytes_str("n");
	model_free_name(t, NULL, host, n->name);
	CHECK(model_next_ip(t, &n->v4, &n->v6));
	set_tags(n, tag);
	model_add_node(&b->c->model, n);
	core_node_changed(b->c, n);
	return n;
}

static bool same_peers(const struct access_peers *a, const struct access_peers *b)
{
	bool same = a->n == b->n;

	for (size_t i = 0; same && i < a->n; i++) {
		uint64_t x = a->v[i].routes ? a->v[i].routes->hash : 0,
			 y = b->v[i].routes ? b->v[i].routes->hash : 0;

		same = a->v[i].node == b->v[i].node && x == y;
	}
	return same;
}

static size_t count_wrong(struct bench *b)
{
	size_t wrong = 0;

	list_each (it, &first_tailnet(b)->nodes) {
		struct tn_node *n = list_entry(it, struct tn_node, link);
		struct access_peers fresh;

		access_peers(n, &fresh);
		wrong += !same_peers(model_peers(n), &fresh);
		access_peers_fini(&fresh);
	}
	return wrong;
}

static const char *tag_of(uint64_t r)
{
	static const char *const tags[] = { NULL, "tag:a", "tag:a", "tag:b", "tag:c" };

	return tags[r % array_len(tags)];
}

static void give_route(struct tn_node *n, uint64_t r)
{
	static const char *const routes[] = { "10.1.0.0/16", "10.2.0.0/16", "0.0.0.0/0",
					      "100.64.0.0/24", "100.100.1.0/24" };
	struct prefix p;

	CHECK(prefix_parse(&p, bytes_str(routes[r % array_len(routes)])));
	(void)prefix_set_assign(&n->advertised, &p, r & 192 ? 1 : 0);
	(void)prefix_set_assign(&n->approved, &p, r & 192 ? 1 : 0);
}

TEST(mended_answers_equal_fresh_ones)
{
	struct rng rng = rng_seeded(7);
	struct tn_node *nodes[24] = { 0 };
	struct bench b;
	struct err err;
	char key[128];
	size_t wrong = 0;

	bench_start(&b);
	bench_key(&b, "alice@x.test", "", key);
	CHECK(strstr(bench_command(&b, "policy set", policy), "in force") != NULL);
	for (int64_t step = 0; step < 500; step++) {
		struct tn_node **at = &nodes[rng_below(&rng, array_len(nodes))];
		uint64_t r = rng_u64(&rng);

		if (!*at) {
			*at = add_node(&b, 1000 + step, tag_of(r));
		} else if (r % 8 == 0) {
			CHECK(core_delete_node(b.c, *at, &err) == 0);
			*at = NULL;
		} else if (r % 8 <= 2) {
			set_tags(*at, tag_of(r >> 8));
			core_node_changed(b.c, *at);
		} else if (r % 8 <= 6 && step % 100 > 30) { /* times with and without routers */
			give_route(*at, r >> 8);
			core_node_changed(b.c, *at);
		} else {
			(*at)->authorized = (r & 0x3000) != 0;
			core_node_changed(b.c, *at);
		}
		if (step % 100 == 0)
			for (size_t i = 0; i < array_len(nodes); i++)
				if (nodes[i]) {
					give_route(nodes[i], 0);
					core_node_changed(b.c, nodes[i]);
				}
		wrong += count_wrong(&b);
		bench_settle(&b); /* deleted ones are freed */
	}
	CHECK_INT(wrong, 0);
	bench_stop(&b);
}

TEST(a_join_among_many_is_one_small_frame)
{
	struct peer p, q;
	struct bench b;
	const char *f;
	char key[128];

	bench_start(&b);
	bench_key(&b, "alice@x.test", "--reusable", key);
	for (int64_t i = 0; i < 200; i++)
		(void)add_node(&b, 1000 + i, NULL);
	peer_init(&p, &b, 1);
	CHECK(peer_connect(&p));
	CHECK(strstr(peer_register(&p, key, "one"), "\"MachineAuthorized\":true") != NULL);
	peer_poll(&p);
	f = peer_frame(&p);
	CHECK(f && strstr(f, "\"r1.") && strstr(f, "\"n-199.weft"));
	CHECK(peer_is_quiet(&p));
	peer_init(&q, &b, 2);
	CHECK(peer_connect(&q));
	CHECK(strstr(peer_register(&q, key, "two"), "\"MachineAuthorized\":true") != NULL);
	f = peer_frame(&p);
	CHECK(f && strstr(f, "{\"PeersChanged\":[{") && strstr(f, "\"PacketFilters\":{\"r1."));
	CHECK(f && strlen(f) < 12000 && !strstr(f, "\"Node\"") && !strstr(f, "\"base\""));
	CHECK(peer_is_quiet(&p));
	peer_fini(&p);
	peer_fini(&q);
	bench_stop(&b);
}

static int64_t count_changes(struct bench *b)
{
	struct store_change list[64];
	bool gap;

	return store_changes(b->c->store, 0, list, 64, &gap, NULL);
}

TEST(the_change_log_does_not_grow_for_ever)
{
	struct bench b;
	struct err err;
	char words[64];
	int64_t before;

	bench_start(&b);
	for (int i = 0; i < 30; i++) {
		(void)snprintf(words, sizeof(words), "users create u%d", i);
		(void)bench_command(&b, words, NULL);
	}
	CHECK(core_commit_now(b.c, &err) == 0);
	before = count_changes(&b);
	CHECK(before >= 30);
	CHECK(store_prune_changes(b.c->store, 100, &err) == 0 &&
	      store_commit(b.c->store, &err) == 0);
	CHECK_INT(count_changes(&b), before);
	CHECK(store_prune_changes(b.c->store, 10, &err) == 0 &&
	      store_commit(b.c->store, &err) == 0);
	CHECK_INT(count_changes(&b), 10);
	bench_restart(&b); /* the model does not come from there */
	CHECK(strstr(bench_command(&b, "users list", NULL), "\"u0\"") != NULL);
	bench_stop(&b);
}

static size_t frame_at(struct mapview *v, struct mapview_world *w, int64_t s, struct buf *out)
{
	w->now = wall_from_s(s);
	buf_clear(out);
	return mapview_next(v, w, true, out) ? out->n : 0;
}

TEST(a_clock_that_jumps_makes_no_news)
{
	enum { YEAR = 365 * 86400, NOW = 1800000000 };
	struct mapview_world w = { .derp_map = bytes_str("{}"), .derp_hash = 1, .base_url = "x" };
	struct tn_node *one, *two;
	struct mapview v;
	struct bench b;
	struct buf out;
	char key[128];

	bench_start(&b);
	bench_key(&b, "alice@x.test", "", key);
	one = add_node(&b, 1001, NULL);
	two = add_node(&b, 1002, NULL);
	two->expiry = wall_from_s(NOW + YEAR);
	buf_init(&out, 1 << 20);
	mapview_init(&v, one, 145);
	CHECK(frame_at(&v, &w, NOW, &out) > 0);
	for (int64_t jump = -20; jump <= 20; jump += 10) { /* years, and before 1970, too */
		CHECK_INT(frame_at(&v, &w, NOW + jump * 4 * YEAR, &out), 0);
		v.access_due = v.self_due = true;
		CHECK_INT(frame_at(&v, &w, NOW + jump * 4 * YEAR, &out), 0);
	}
	/* Presence carries the new time and nothing else. */
	two->online = true;
	model_touch(&b.c->model, two, PART_ONLINE);
	mapview_peer_due(&v, two->id);
	CHECK(frame_at(&v, &w, NOW - 10 * YEAR, &out) > 0);
	CHECK(strstr(buf_cstr(&out), "{\"PeersChangedPatch\":[{\"NodeID\":1002,\"Online\":true,"
				     "\"LastSeen\":\"2017-"));
	mapview_fini(&v);
	buf_fini(&out);
	bench_stop(&b);
}

TEST(what_cannot_wait_goes_ahead_of_a_big_round)
{
	struct mapview_world w = { .derp_map = bytes_str("{}"), .derp_hash = 1, .base_url = "x" };
	struct addrport at = { ip_v4(192, 0, 2, 9), 41641 };
	struct tn_node *one, *two, *three;
	struct mapview v;
	struct bench b;
	struct buf out;
	char key[128];

	bench_start(&b);
	bench_key(&b, "alice@x.test", "", key);
	one = add_node(&b, 1001, NULL);
	two = add_node(&b, 1002, NULL);
	buf_init(&out, 1 << 20);
	mapview_init(&v, one, 145);
	CHECK(!mapview_urgent(&v, &w, &out)); /* nothing before the first map */
	CHECK(frame_at(&v, &w, 1800000000, &out) > 0);
	three = add_node(&b, 1003, NULL);
	mapview_peer_due(&v, three->id);
	v.rules_due = v.dns_due = true;
	CHECK(mapview_is_heavy(&v));
	buf_clear(&out);
	CHECK(!mapview_urgent(&v, &w, &out)); /* a peer that came waits for its rules */
	two->endpoints = mem_alloc(sizeof(at));
	two->endpoints[0] = at;
	two->n_endpoints = 1;
	model_touch(&b.c->model, two, PART_ENDPOINTS);
	mapview_peer_due(&v, two->id);
	buf_clear(&out);
	CHECK(mapview_urgent(&v, &w, &out));
	CHECK_STR(buf_cstr(&out), "{\"PeersChangedPatch\":[{\"NodeID\":1002,\"Endpoints\":["
				  "\"192.0.2.9:41641\"]}]}");
	CHECK(frame_at(&v, &w, 1800000000, &out) > 0);
	CHECK(strstr(buf_cstr(&out), "\"PeersChanged\":[{\"ID\":1003") != NULL);
	CHECK(strstr(buf_cstr(&out), "PeersChangedPatch") == NULL); /* told already */
	mapview_fini(&v);
	buf_fini(&out);
	bench_stop(&b);
}
