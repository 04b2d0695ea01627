#include "engine/wg/wg_allowed.h"

#include "base/rand.h"
#include "kit/kit.h"

static struct wg_allowed_entry entry(const char *prefix, uint32_t owner)
{
	struct wg_allowed_entry e = { .owner = owner };

	CHECK(prefix_parse(&e.prefix, bytes_str(prefix)));
	return e;
}

static uint32_t at(const struct wg_allowed *a, const char *addr)
{
	struct ip ip;

	CHECK(ip_parse(&ip, bytes_str(addr)));
	return wg_allowed_lookup(a, &ip);
}

TEST(longest_prefix_wins)
{
	struct wg_allowed_entry e[] = {
		entry("0.0.0.0/0", 1),
		entry("10.0.0.0/8", 2),
		entry("10.1.0.0/16", 3),
		entry("10.1.128.0/17", 4),
		entry("10.1.128.0/23", 5),
		entry("10.1.128.7/32", 6),
		entry("fd7a:115c:a1e0::/48", 7),
		entry("fd7a:115c:a1e0::1/128", 8),
		entry("fd7a:115c:a1e0:b1a:0:1::/96", 9),
		entry("10.1.129.255/31", 10),
	};
	struct wg_allowed *a = wg_allowed_create(e, sizeof(e) / sizeof(e[0]));

	CHECK_INT(at(a, "192.0.2.1"), 1);
	CHECK_INT(at(a, "10.200.0.1"), 2);
	CHECK_INT(at(a, "10.1.0.1"), 3);
	CHECK_INT(at(a, "10.1.127.255"), 3);
	CHECK_INT(at(a, "10.1.130.0"), 4);
	CHECK_INT(at(a, "10.1.129.1"), 5);
	CHECK_INT(at(a, "10.1.128.7"), 6);
	CHECK_INT(at(a, "10.1.128.8"), 5);
	CHECK_INT(at(a, "10.1.129.254"), 10);
	CHECK_INT(at(a, "10.1.129.253"), 5);
	CHECK_INT(at(a, "fd7a:115c:a1e0::1"), 8);
	CHECK_INT(at(a, "fd7a:115c:a1e0::2"), 7);
	CHECK_INT(at(a, "fd7a:115c:a1e0:b1a:0:1:c0a8:1"), 9);
	CHECK_INT(at(a, "fd7a:115c:a1e0:b1a:0:2:c0a8:1"), 7);
	CHECK_INT(at(a, "fd7a:115c:a1e1::1"), WG_OWNER_NONE); /* no ::/0 */
	CHECK(wg_allowed_source(a, &(struct ip){ 4, { 10, 1, 128, 7 } }, 6));
	CHECK(!wg_allowed_source(a, &(struct ip){ 4, { 10, 1, 128, 7 } }, 5));
	CHECK(!wg_allowed_source(a, &(struct ip){ 6, { 1 } }, WG_OWNER_NONE));
	CHECK(!wg_allowed_source(a, &(struct ip){ 0 }, 1));
	wg_allowed_unref(a);
}

TEST(later_entries_replace_and_host_bits_do_not_count)
{
	struct wg_allowed_entry e[] = {
		entry("100.64.0.1/32", 1), entry("100.64.0.9/10", 2), entry("100.64.0.1/32", 3),
		entry("100.64.0.0/10", 4), entry("::/0", 5),
	};
	struct wg_allowed *a = wg_allowed_create(e, 5), *again;

	CHECK_INT(at(a, "100.64.0.1"), 3);
	CHECK_INT(at(a, "100.127.255.255"), 4);
	CHECK_INT(at(a, "100.128.0.0"), WG_OWNER_NONE);
	CHECK_INT(at(a, "2001:db8::1"), 5);
	again = wg_allowed_ref(a);
	wg_allowed_unref(a);
	CHECK_INT(at(again, "100.64.0.1"), 3);
	wg_allowed_unref(again);
	wg_allowed_unref(NULL);
	a = wg_allowed_create(NULL, 0);
	CHECK_INT(at(a, "0.0.0.0"), WG_OWNER_NONE);
	CHECK_INT(at(a, "::"), WG_OWNER_NONE);
	wg_allowed_unref(a);
}

static uint32_t slow_lookup(const struct wg_allowed_entry *e, size_t n, struct ip ip)
{
	uint32_t owner = WG_OWNER_NONE;
	int best = -1;

	for (size_t i = 0; i < n; i++)
		if (prefix_contains(e[i].prefix, ip) && e[i].prefix.len >= best) {
			best = e[i].prefix.len;
			owner = e[i].owner;
		}
	return owner;
}

/* Few distinct bytes, so that prefixes nest and addresses hit them. */
static struct ip some_ip(struct rng *rng)
{
	uint8_t b[16];

	for (int i = 0; i < 16; i++)
		b[i] = (uint8_t)(rng_below(rng, 3) * 127);
	return rng_below(rng, 2) ? ip_v4(b[0], b[1], b[2], b[3]) : ip_v6_of(b);
}

TEST(snapshots_agree_with_a_linear_search)
{
	enum { N = 400 };
	struct rng rng = rng_seeded(42);

	for (int round = 0; round < 10; round++) {
		struct wg_allowed_entry e[N];
		struct wg_allowed *a;

		for (uint32_t i = 0; i < N; i++) {
			struct ip ip = some_ip(&rng);
			uint8_t len = (uint8_t)rng_below(&rng, ip_bits(ip) + 1U);

			e[i] = (struct wg_allowed_entry){ prefix_masked((struct prefix){ ip, len }),
							  i };
		}
		a = wg_allowed_create(e, N);
		for (int i = 0; i < 4000; i++) {
			struct ip ip = some_ip(&rng);

			CHECK_INT(wg_allowed_lookup(a, &ip), slow_lookup(e, N, ip));
		}
		wg_allowed_unref(a);
	}
}

TEST(set_takes_changes_one_by_one)
{
	struct wg_allowed_set *s = wg_allowed_set_create();
	struct wg_allowed *before, *after;

	wg_allowed_set_put(s, entry("100.64.0.1/32", 0).prefix, 1);
	wg_allowed_set_put(s, entry("10.0.0.0/8", 0).prefix, 1);
	wg_allowed_set_put(s, entry("10.0.0.0/9", 0).prefix, 2);
	wg_allowed_set_put(s, entry("10.9.9.9/8", 0).prefix, 3); /* replaces the /8 */
	before = wg_allowed_set_snapshot(s);
	CHECK(wg_allowed_set_remove(s, entry("10.0.0.0/9", 0).prefix));
	CHECK(!wg_allowed_set_remove(s, entry("10.0.0.0/9", 0).prefix));
	CHECK_INT(wg_allowed_set_remove_owner(s, 1), 1);
	after = wg_allowed_set_snapshot(s);
	CHECK_INT(at(before, "10.1.1.1"), 2);
	CHECK_INT(at(before, "10.200.1.1"), 3);
	CHECK_INT(at(before, "100.64.0.1"), 1);
	CHECK_INT(at(after, "10.1.1.1"), 3);
	CHECK_INT(at(after, "100.64.0.1"), WG_OWNER_NONE);
	wg_allowed_unref(before);
	wg_allowed_unref(after);
	wg_allowed_set_destroy(s);
}

TEST(thousand_peers_fit_into_little_memory)
{
	enum { PEERS = 10000 };
	static struct wg_allowed_entry e[2 * PEERS];
	struct wg_allowed *a;

	for (uint32_t i = 0; i < PEERS; i++) {
		uint8_t v6[16] = { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0 };

		v6[14] = (uint8_t)(i >> 8);
		v6[15] = (uint8_t)i;
		e[2 * i] = (struct wg_allowed_entry){ prefix_of(ip_v4_of(0x64400000 + i)), i };
		e[2 * i + 1] = (struct wg_allowed_entry){ prefix_of(ip_v6_of(v6)), i };
	}
	a = wg_allowed_create(e, 2 * (size_t)PEERS);
	CHECK(wg_allowed_bytes(a) <= 1100000); /* 32768 entries of 8 and of 24 bytes */
	for (uint32_t i = 0; i < PEERS; i++) {
		CHECK_INT(wg_allowed_lookup4(a, 0x64400000 + i), i);
		CHECK_INT(wg_allowed_lookup6(a, e[2 * i + 1].prefix.addr.b), i);
	}
	CHECK_INT(wg_allowed_lookup4(a, 0x64400000 + PEERS), WG_OWNER_NONE);
	wg_allowed_unref(a);
}
