/* Many nodes: what is mended in place is what would have been asked for again, and frames are
 * small. */
#include <stdio.h>

#include "app/control/mapstream.h"
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
