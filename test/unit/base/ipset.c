#include "base/ipset.h"

#include <stdio.h>

#include "base/mem.h"
#include "kit/kit.h"

static struct ip_range R(const char *text) {
	struct ip_range r = { 0 };
	struct prefix p;
	struct ip ip;

	if (ip_parse(&ip, bytes_str(text)))
		r = (struct ip_range){ ip, ip };
	else if (prefix_parse(&p, bytes_str(text)))
		r = prefix_range(p);
	else
		CHECK(range_parse(&r, bytes_str(text)));
	return r;
}

static const char *
say(const struct ipset *s, char out[512])
{
	char text[RANGE_TEXT_MAX];
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < s->n; i++)
		n += (size_t)snprintf(out + n, 512 - n, "%s ", range_format(s->r[i], text));
	return out;
}

TEST(ipset_coalesces_whatever_the_order)
{
	static const char *const parts[] = { "10.0.0.0/9", "10.128.0.0/9", "10.5.0.0/16",
					     "11.0.0.0",   "fd00::/9",     "fd80::/9" };
	struct ipset one, all;
	struct ip_range r[6];
	char text[512];

	ipset_init(&one);
	ipset_init(&all);
	for (size_t i = 0; i < 6; i++) {
		r[i] = R(parts[5 - i]);
		ipset_add(&one, r[i]);
	}
	CHECK_STR(say(&one, text),
		  "10.0.0.0-11.0.0.0 fd00::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ");
	ipset_add_all(&all, r, 6);
	CHECK(ipset_equal(&one, &all));
	ipset_fini(&one);
	ipset_fini(&all);
}

TEST(ipset_remove_splits)
{
	struct ipset s;
	char text[512];

	ipset_init(&s);
	ipset_add(&s, R("10.0.0.0/24"));
	ipset_add(&s, R("10.0.2.0/24"));
	ipset_remove(&s, R("10.0.0.128-10.0.2.7"));
	CHECK_STR(say(&s, text), "10.0.0.0-10.0.0.127 10.0.2.8-10.0.2.255 ");
	ipset_remove(&s, R("10.0.0.5"));
	CHECK_STR(say(&s, text), "10.0.0.0-10.0.0.4 10.0.0.6-10.0.0.127 10.0.2.8-10.0.2.255 ");
	ipset_remove(&s, R("0.0.0.0/0"));
	CHECK_INT(s.n, 0);
	ipset_fini(&s);
}

/* The ends of the families: no wrap-around, no IPv4 that touches IPv6. */
TEST(ipset_at_the_edges)
{
	struct ipset s;

	ipset_init(&s);
	ipset_add(&s, R("255.255.255.255"));
	ipset_add(&s, R("::"));
	CHECK_INT(s.n, 2);
	ipset_add(&s, R("0.0.0.0/0"));
	ipset_add(&s, R("::/0"));
	CHECK_INT(s.n, 2);
	CHECK(ipset_covers(&s, R("::/0")) && ipset_covers(&s, R("0.0.0.0/0")));
	ipset_remove(&s, R("0.0.0.0/0"));
	CHECK(!ipset_overlaps(&s, R("255.255.255.255")) && ipset_contains(&s, R("::1").first));
	ipset_fini(&s);
}

TEST(ipset_questions)
{
	struct ipset s, inner;
	struct prefix p;

	ipset_init(&s);
	ipset_init(&inner);
	ipset_add(&s, R("10.0.0.0/8"));
	ipset_add(&s, R("192.168.0.0/16"));
	ipset_add(&inner, R("10.1.0.0/16"));
	CHECK(ipset_covers_set(&s, &inner) && !ipset_covers_set(&inner, &s));
	CHECK(ipset_overlaps_set(&inner, &s));
	CHECK(ipset_overlaps(&s, R("9.0.0.0-10.0.0.0")) &&
	      !ipset_covers(&s, R("9.0.0.0-10.0.0.0")));
	CHECK(!ipset_overlaps(&s, R("11.0.0.0/8")) && !ipset_contains(&s, R("fd00::1").first));
	CHECK(range_is_prefix(R("10.0.0.0-10.255.255.255"), &p) && p.len == 8);
	CHECK(!range_is_prefix(R("10.0.0.0-10.0.0.2"), &p));
	ipset_fini(&s);
	ipset_fini(&inner);
}

/* Against one bool per address of a small space, with a fixed seed. */
TEST(ipset_against_a_bitmap)
{
	bool map[256] = { 0 };
	uint64_t x = 42;
	struct ipset s;

	ipset_init(&s);
	for (int round = 0; round < 2000; round++) {
		unsigned a, b;

		x = x * 6364136223846793005ULL + 1442695040888963407ULL;
		a = x >> 33 & 255;
		b = a + (x >> 45 & 15);
		b = b > 255 ? 255 : b;
		for (unsigned i = a; i <= b; i++)
			map[i] = x >> 60 & 1;
		if (x >> 60 & 1)
			ipset_add(&s, (struct ip_range){ ip_v4_of(a), ip_v4_of(b) });
		else
			ipset_remove(&s, (struct ip_range){ ip_v4_of(a), ip_v4_of(b) });
		for (unsigned i = 0; i < 256; i++)
			if (ipset_contains(&s, ip_v4_of(i)) != map[i])
				CHECK(!"differs");
		for (size_t i = 1; i < s.n; i++) /* never two that touch */
			CHECK(ip_v4_u32(s.r[i - 1].last) + 1 < ip_v4_u32(s.r[i].first));
	}
	ipset_fini(&s);
}
