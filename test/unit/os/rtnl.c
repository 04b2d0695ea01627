#include "os/rtnl/rtnl.h"

#include <net/if.h>

#include "base/err.h"
#include "kit/kit.h"
#include "netns.h"
#include "os/tun.h"

static struct prefix prefix(const char *text)
{
	struct prefix p = { 0 };

	CHECK(prefix_parse(&p, bytes_str(text)));
	return p;
}

struct found {
	struct prefix want;
	unsigned n;
	struct rtnl_route route;
	struct rtnl_rule rule;
};

static void find_addr(void *arg, const struct rtnl_addr *addr)
{
	struct found *f = arg;

	f->n += prefix_equal(addr->prefix, f->want);
}

static void find_route(void *arg, const struct rtnl_route *route)
{
	struct found *f = arg;

	if (prefix_equal(route->dst, f->want)) {
		f->n++;
		f->route = *route;
	}
}

static void find_rule(void *arg, const struct rtnl_rule *rule)
{
	struct found *f = arg;

	if (rule->priority == 5270) {
		f->n++;
		f->rule = *rule;
	}
}

static void count_event(void *arg, const struct rtnl_event *e)
{
	unsigned *seen = arg;

	seen[e->kind]++;
}

static struct tun device(struct rtnl *r)
{
	struct tun_conf conf = { .name = "t0" };
	struct rtnl_link_change change = { .up = true, .mtu = 1280, .gso_max_segments = 49 };
	struct tun tun = { .fd = -1 };
	struct err err;

	if (tun_open(&tun, &conf, &err) < 0)
		kit_skip(err.text);
	CHECK(rtnl_link_change(r, tun.index, &change, &err) == 0);
	return tun;
}

TEST(addresses_routes_and_rules_come_and_go_twice)
{
	struct err err;
	struct rtnl *r;
	struct tun tun;
	const char *dsts[] = { "10.1.0.0/16", "fd00:1::/32", "0.0.0.0/0", "::/0" };
	const char *addrs[] = { "100.64.0.1/32", "fd7a:115c:a1e0::1/128" };

	netns_enter();
	r = rtnl_open(&err);
	tun = device(r);
	for (int i = 0; i < 2; i++) {
		struct found f = { .want = prefix(addrs[i]) };

		CHECK(rtnl_addr_add(r, tun.index, f.want, &err) == 0);
		CHECK(rtnl_addr_add(r, tun.index, f.want, &err) == 0);
		CHECK(rtnl_addr_list(r, tun.index, find_addr, &f, &err) == 0 && f.n == 1);
	}
	for (int i = 0; i < 4; i++) {
		struct rtnl_route route = { .dst = prefix(dsts[i]),
					    .table = 52,
					    .index = tun.index };
		struct found f = { .want = route.dst };

		CHECK(rtnl_route_add(r, &route, &err) == 0 && rtnl_route_add(r, &route, &err) == 0);
		CHECK(rtnl_route_list(r, route.dst.addr.family, 52, find_route, &f, &err) == 0);
		CHECK(f.n == 1 && f.route.index == tun.index && f.route.kind == RTNL_UNICAST);
		CHECK(rtnl_route_del(r, &route, &err) == 0 && rtnl_route_del(r, &route, &err) == 0);
		route.kind = RTNL_THROW;
		route.index = 0;
		CHECK(rtnl_route_add(r, &route, &err) == 0);
		CHECK(rtnl_route_list(r, route.dst.addr.family, 52, find_route, &f, &err) == 0);
		CHECK(f.n == 2 && f.route.kind == RTNL_THROW);
	}
	for (uint8_t family = 4; family <= 6; family += 2) {
		struct rtnl_rule rule = { .family = family,
					  .priority = 5270,
					  .mark = 0x80000,
					  .mask = 0xff0000,
					  .table = 52,
					  .suppress_prefix_length = -1 };
		struct found f = { 0 };

		CHECK(rtnl_rule_add(r, &rule, &err) == 0 && rtnl_rule_add(r, &rule, &err) == 0);
		CHECK(rtnl_rule_list(r, family, find_rule, &f, &err) == 0 && f.n == 1);
		CHECK(f.rule.mark == 0x80000 && f.rule.mask == 0xff0000 && f.rule.table == 52);
		CHECK(f.rule.suppress_prefix_length == -1);
		CHECK(rtnl_rule_del(r, &rule, &err) == 0 && rtnl_rule_del(r, &rule, &err) == 0);
		CHECK(rtnl_rule_list(r, family, find_rule, &f, &err) == 0 && f.n == 1);
	}
	tun_close(&tun);
	rtnl_close(r);
}

TEST(changes_are_announced)
{
	struct rtnl_watch *w;
	struct rtnl_link link;
	unsigned seen[5] = { 0 };
	struct err err;
	struct rtnl *r;
	struct tun tun;

	netns_enter();
	r = rtnl_open(&err);
	w = rtnl_watch_open(&err);
	tun = device(r);
	CHECK(rtnl_addr_add(r, tun.index, prefix("10.9.0.1/24"), &err) == 0);
	CHECK(rtnl_link_get(r, tun.index, &link, &err) == 0);
	CHECK(link.up && link.mtu == 1280);
	CHECK_STR(link.name, "t0");
	tun_close(&tun);
	CHECK(rtnl_watch_read(w, count_event, seen));
	CHECK(seen[RTNL_LINK] && seen[RTNL_ADDR] && seen[RTNL_ROUTE] && seen[RTNL_LINK_GONE]);
	CHECK(rtnl_link_get(r, 4711, &link, &err) < 0 && err.code == ERR_SYSTEM);
	rtnl_watch_close(w);
	rtnl_close(r);
}

TEST(the_route_of_a_packet_is_known)
{
	struct rtnl_route route;
	struct err err;
	struct rtnl *r;
	struct tun tun;

	netns_enter();
	r = rtnl_open(&err);
	tun = device(r);
	CHECK(rtnl_addr_add(r, tun.index, prefix("10.9.0.1/24"), &err) == 0);
	CHECK(rtnl_route_get(r, ip_v4(10, 9, 0, 7), 0, &route, &err) == 0);
	CHECK(route.index == tun.index && ip_equal(route.source, ip_v4(10, 9, 0, 1)));
	CHECK(rtnl_route_get(r, ip_v4(192, 0, 2, 1), 0, &route, &err) < 0);
	tun_close(&tun);
	rtnl_close(r);
}
