/* That the host follows the plan, with a host that only writes down what it is told. */
#include "node/routes.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "kit/kit.h"
#include "maps.h"
#include "node/lan.h"
#include "node/privops.h"

struct fake {
	struct privops head;
	struct privops_host host;
	struct privops_firewall firewall;
	char said[2048];
	const char *refuse; /* the line that fails */
};

static int say(struct privops *p, const char *text, struct err *err)
{
	struct fake *f = (struct fake *)p;
	size_t n = strlen(f->said);

	if (f->refuse && !strcmp(f->refuse, text))
		return err_set(err, ERR_SYSTEM, "refused");
	(void)snprintf(f->said + n, sizeof(f->said) - n, "%s%s", n ? " " : "", text);
	return 0;
}

static int fake_address(struct privops *p, const struct privops_address *a, struct err *err)
{
	char text[64], ip[PREFIX_TEXT_MAX];

	(void)snprintf(text, sizeof(text), "%ca:%s", a->add ? '+' : '-',
		       prefix_format(a->addr, ip));
	return say(p, text, err);
}

static int fake_route(struct privops *p, const struct privops_route *r, struct err *err)
{
	char text[64], ip[PREFIX_TEXT_MAX];

	(void)snprintf(text, sizeof(text), "%c%s%s", r->add ? '+' : '-',
		       r->kind == PRIVOPS_ROUTE_THROW ? "!" : "", prefix_format(r->to, ip));
	return say(p, text, err);
}

static int fake_rules(struct privops *p, bool on, struct err *err)
{
	return say(p, on ? "+rules" : "-rules", err);
}

static int fake_firewall(struct privops *p, const struct privops_firewall *f, struct err *err)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "fw%u%s%s%s%s", f->mode, f->snat ? "n" : "",
		       f->stateful ? "s" : "", f->drop_spoofed ? "d" : "",
		       f->keep_marks ? "k" : "");
	((struct fake *)p)->firewall = *f;
	return say(p, text, err);
}

static int fake_host(struct privops *p, struct privops_host *out, struct err *err)
{
	(void)err;
	*out = ((struct fake *)p)->host;
	return 0;
}

static const struct privops_ops ops = { .address = fake_address,
					.route = fake_route,
					.rules = fake_rules,
					.firewall = fake_firewall,
					.host = fake_host };

struct scene {
	struct fake fake;
	struct log_sink sink;
	struct log log;
	struct routes *r;
	struct lan lan;
	struct err err;
};

static void begin(struct scene *s)
{
	memset(s, 0, sizeof(*s));
	s->fake.head.ops = &ops;
	log_sink_init(&s->sink, -1);
	s->log = log_of(&s->sink, "test", NULL);
	s->r = routes_create(&s->fake.head, &s->log);
}

/* What the host was told for this map and these preferences. */
static const char *told(struct scene *s, const char *peers, const char *prefs_json)
{
	struct netmap *m = peers ? maps_make("", peers) : NULL;
	struct prefs *p = maps_prefs(prefs_json);

	s->fake.said[0] = '\0';
	(void)routes_apply(s->r, m, p, &s->lan, &s->err);
	prefs_destroy(p);
	netmap_unref(m);
	return s->fake.said;
}

#define ROUTER MAPS_PEER(2, ",\"10.9.0.0/24\"", "")
#define EXIT_NODE MAPS_PEER(3, ",\"0.0.0.0/0\",\"::/0\"", "")

TEST(routes_follow_the_plan_by_differences)
{
	struct scene s;

	begin(&s);
	CHECK_STR(told(&s, ROUTER, "{}"),
		  "+rules fw2nd +a:100.64.0.1/32 +100.64.0.2/32 +100.100.100.100/32");
	CHECK_STR(told(&s, ROUTER, "{}"), "");
	CHECK_STR(told(&s, ROUTER, "{\"RouteAllSet\":true,\"RouteAll\":true}"), "+10.9.0.0/24");
	maps_lan(&s.lan, "10.9.0.7/24");
	/* Removed before its successor of another kind is added. */
	CHECK_STR(told(&s, ROUTER, "{\"RouteAllSet\":true,\"RouteAll\":true}"),
		  "-10.9.0.0/24 +!10.9.0.0/24");
	CHECK_STR(told(&s, NULL, "{}"), "-!10.9.0.0/24 -100.64.0.2/32 -100.100.100.100/32 "
					"-a:100.64.0.1/32 fw0 -rules");
	CHECK_STR(told(&s, NULL, "{}"), "");
	routes_destroy(s.r);
}

TEST(routes_that_fail_are_tried_again)
{
	struct scene s;

	begin(&s);
	s.fake.refuse = "+100.64.0.2/32";
	CHECK_STR(told(&s, ROUTER, "{}"), "+rules fw2nd +a:100.64.0.1/32 +100.100.100.100/32");
	s.fake.refuse = "fw2ndk";
	CHECK_STR(told(&s, ROUTER, "{\"ExitNodeIDSet\":true,\"ExitNodeID\":\"n9\"}"),
		  "+0.0.0.0/0 +100.64.0.2/32");
	s.fake.refuse = NULL;
	CHECK_STR(told(&s, ROUTER, "{\"ExitNodeIDSet\":true,\"ExitNodeID\":\"n9\"}"), "fw2ndk");
	routes_destroy(s.r);
}

TEST(routes_firewall_follows_the_preferences)
{
	struct netmap *m = maps_make("", ""), *kept;
	struct privops_firewall f;
	struct prefs *p =
	    maps_prefs("{\"NoSNATSet\":true,\"NoSNAT\":true,"
		       "\"NoStatefulFilteringSet\":true,\"NoStatefulFiltering\":false}");

	routes_firewall(&f, m, p, false);
	CHECK(f.mode == PRIVOPS_FIREWALL_ON && !f.snat && f.stateful && f.drop_spoofed);
	routes_firewall(&f, m, p, true);
	CHECK(!f.drop_spoofed); /* another tunnel's packets have such addresses, too */
	routes_firewall(&f, NULL, p, false);
	CHECK_INT(f.mode, PRIVOPS_FIREWALL_OFF);
	prefs_destroy(p);
	p = maps_prefs("{\"NetfilterModeSet\":true,\"NetfilterMode\":1}");
	kept = maps_make(",\"CapMap\":{\"disable-linux-cgnat-drop-rule\":null}", "");
	routes_firewall(&f, kept, p, false);
	CHECK(f.mode == PRIVOPS_FIREWALL_NODIVERT && !f.drop_spoofed);
	prefs_destroy(p);
	p = maps_prefs("{\"NetfilterModeSet\":true,\"NetfilterMode\":0}");
	routes_firewall(&f, m, p, false);
	CHECK_INT(f.mode, PRIVOPS_FIREWALL_OFF);
	prefs_destroy(p);
	netmap_unref(kept);
	netmap_unref(m);
}

TEST(routes_rules_come_back_and_stay_when_somebody_shares_them)
{
	struct scene s;

	begin(&s);
	routes_restore_rules(s.r); /* none of ours */
	CHECK_STR(s.fake.said, "");
	(void)told(&s, EXIT_NODE, "{}");
	s.fake.said[0] = '\0';
	routes_restore_rules(s.r);
	CHECK_STR(s.fake.said, "+rules");
	(void)snprintf(s.fake.host.rival, sizeof(s.fake.host.rival), "tailscale0");
	routes_look(s.r);
	CHECK_STR(routes_host(s.r)->rival, "tailscale0");
	CHECK(!strstr(told(&s, NULL, "{}"), "rules"));
	routes_destroy(s.r);
}

TEST(routes_firewall_is_set_again_for_new_interfaces)
{
	const char *exit = "{\"ExitNodeIDSet\":true,\"ExitNodeID\":\"n3\"}";
	struct scene s;

	begin(&s);
	(void)told(&s, EXIT_NODE, exit);
	CHECK_STR(told(&s, EXIT_NODE, exit), "");
	routes_moved(s.r);
	CHECK_STR(told(&s, EXIT_NODE, exit), "fw2ndk");
	CHECK_STR(told(&s, EXIT_NODE, exit), "");
	routes_destroy(s.r);
}
