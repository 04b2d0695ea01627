#include "app/weftd/linkpicture.h"

#include <stdio.h>
#include <string.h>

#include "kit/kit.h"

struct world {
	struct rtnl_link links[4];
	struct rtnl_addr addrs[4];
	struct rtnl_route routes[4];
	size_t link_count, addr_count, route_count;
};

static void add_link(struct world *w, unsigned index, const char *name)
{
	struct rtnl_link *l = &w->links[w->link_count++];

	*l = (struct rtnl_link){ .index = index, .up = true, .running = true };
	(void)snprintf(l->name, sizeof(l->name), "%s", name);
}

static void add_addr(struct world *w, unsigned index, uint8_t last)
{
	w->addrs[w->addr_count++] = (struct rtnl_addr){ .index = index,
							.prefix = { ip_v4(192, 0, 2, last), 24 },
							.usable = true };
}

/* A host with one card and a default route. */
static struct world home(void)
{
	struct world w = { 0 };

	add_link(&w, 2, "eth0");
	add_addr(&w, 2, 7);
	w.routes[w.route_count++] = (struct rtnl_route){ .dst = { { .family = 4 }, 0 },
							 .index = 2,
							 .via = ip_v4(192, 0, 2, 1) };
	return w;
}

static struct linkpicture_hash look(const struct world *w)
{
	struct linkpicture_hash h;
	struct linkpicture p;

	linkpicture_begin(&p, "weft0");
	for (size_t i = 0; i < w->link_count; i++)
		linkpicture_link(&p, &w->links[i]);
	for (size_t i = 0; i < w->addr_count; i++)
		linkpicture_addr(&p, &w->addrs[i]);
	for (size_t i = 0; i < w->route_count; i++)
		linkpicture_route(&p, &w->routes[i]);
	linkpicture_end(&p, &h);
	return h;
}

static enum linkpicture_change change(const struct world *a, const struct world *b)
{
	struct linkpicture_hash before = look(a), after = look(b);

	return linkpicture_compare(&before, &after);
}

TEST(linkpicture_sees_what_breaks_paths)
{
	struct world a = home(), b = home();

	CHECK(change(&a, &b) == LINKPICTURE_SAME);
	b.addrs[0].prefix.addr = ip_v4(192, 0, 2, 8);
	CHECK(change(&a, &b) == LINKPICTURE_MAJOR);
	b = home();
	b.routes[0].via = ip_v4(192, 0, 2, 2);
	CHECK(change(&a, &b) == LINKPICTURE_MAJOR);
	b = home();
	b.links[0].running = false;
	CHECK(change(&a, &b) == LINKPICTURE_MAJOR);
	b = home();
	add_link(&b, 3, "wlan0");
	add_addr(&b, 3, 9);
	CHECK(change(&a, &b) == LINKPICTURE_MAJOR);
}

TEST(linkpicture_ignores_ourselves_and_links_without_addresses)
{
	struct world a = home(), b = home();

	add_link(&b, 5, "weft0");
	add_addr(&b, 5, 44);
	add_link(&b, 6, "wlan0");
	CHECK(change(&a, &b) == LINKPICTURE_SAME);
	b = home();
	add_addr(&b, 2, 99);
	b.addrs[1].usable = false;
	CHECK(change(&a, &b) == LINKPICTURE_SAME);
	b = home();
	b.routes[b.route_count++] =
	    (struct rtnl_route){ .dst = { ip_v4(10, 0, 0, 0), 8 }, .index = 2 };
	CHECK(change(&a, &b) == LINKPICTURE_SAME);
}

TEST(linkpicture_containers_are_a_minor_change)
{
	struct world a = home(), b = home();

	add_link(&b, 7, "docker0");
	add_addr(&b, 7, 129);
	CHECK(change(&a, &b) == LINKPICTURE_MINOR);
}

TEST(linkpicture_waits_for_the_end_of_a_burst_but_not_of_a_storm)
{
	CHECK_INT(linkpicture_settle_ms(0), 200);
	CHECK_INT(linkpicture_settle_ms(600), 200);
	CHECK_INT(linkpicture_settle_ms(700), 100);
	CHECK_INT(linkpicture_settle_ms(5000), 0);
}

TEST(linkpicture_knows_a_sleep_from_a_busy_moment)
{
	CHECK(!linkpicture_slept(5000, 5000));
	CHECK(!linkpicture_slept(60000, 60001)); /* late, but awake */
	CHECK(linkpicture_slept(5000, 3600000));
	CHECK(linkpicture_slept(5000, 7000));
	CHECK(!linkpicture_slept(5000, 6999));
}

TEST(linkpicture_does_not_fight_for_rules_for_ever)
{
	struct linkpicture_budget b = { 0 };
	struct mono now = { 1000000000 };

	for (unsigned i = 0; i < 10; i++)
		CHECK(linkpicture_may_restore(&b, now));
	CHECK(!linkpicture_may_restore(&b, now));
	now = mono_add_ms(now, 4999);
	CHECK(!linkpicture_may_restore(&b, now));
	now = mono_add_ms(now, 1);
	CHECK(linkpicture_may_restore(&b, now));
	CHECK(!linkpicture_may_restore(&b, now));
	now = mono_add_ms(now, 60000);
	for (unsigned i = 0; i < 10; i++)
		CHECK(linkpicture_may_restore(&b, now));
	CHECK(!linkpicture_may_restore(&b, now));
}
