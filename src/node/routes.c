/* node/routes.c - see routes.h. */
#include "node/routes.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/netmap.h"
#include "node/prefs.h"
#include "node/privops.h"

struct routes {
	struct privops *priv;
	struct log log;
	struct routes_plan have; /* what is in the kernel */
	struct privops_firewall firewall;
	struct privops_host host;
	bool looked, rules, firewall_stale;
};

/* ---- one change ---- */

static int change_address(struct routes *r, struct prefix p, bool on, struct err *err)
{
	struct privops_address a = { p, on };
	char text[PREFIX_TEXT_MAX];

	if (r->priv->ops->address(r->priv, &a, err) == 0)
		return 0;
	log_warn(&r->log, "%s address %s failed: %s", on ? "adding" : "removing",
		 prefix_format(p, text), err->text);
	return -1;
}

static int change_route(struct routes *r, const struct planned_route *p, bool on, struct err *err)
{
	struct privops_route route = { p->to, p->kind, on };
	char text[PREFIX_TEXT_MAX];

	if (r->priv->ops->route(r->priv, &route, err) == 0)
		return 0;
	log_warn(&r->log, "%s route %s failed: %s", on ? "adding" : "removing",
		 prefix_format(p->to, text), err->text);
	return -1;
}

/* ---- the difference ---- */

static bool has_address(const struct routes_plan *p, struct prefix a)
{
	for (size_t i = 0; i < p->address_count; i++)
		if (prefix_equal(p->addresses[i], a))
			return true;
	return false;
}

static bool has_route(const struct routes_plan *p, const struct planned_route *one)
{
	return p->route_count &&
	       bsearch(one, p->routes, p->route_count, sizeof(*p->routes), routes_plan_compare);
}

/* Removing before adding: a route that changes its kind must not take its successor along. */
static void remove_old(struct routes *r, const struct routes_plan *want, struct err *err)
{
	for (size_t i = 0; i < r->have.route_count; i++)
		if (!has_route(want, &r->have.routes[i]))
			(void)change_route(r, &r->have.routes[i], false, err);
	for (size_t i = 0; i < r->have.address_count; i++)
		if (!has_address(want, r->have.addresses[i]))
			(void)change_address(r, r->have.addresses[i], false, err);
}

/* What cannot be added is left out of the plan, so that the next time tries again. */
static int add_new(struct routes *r, struct routes_plan *want, struct err *err)
{
	size_t kept = 0;
	int ret = 0;

	for (size_t i = 0; i < want->address_count; i++)
		if (has_address(&r->have, want->addresses[i]) ||
		    change_address(r, want->addresses[i], true, err) == 0)
			want->addresses[kept++] = want->addresses[i];
		else
			ret = -1;
	want->address_count = kept;
	kept = 0;
	for (size_t i = 0; i < want->route_count; i++)
		if (has_route(&r->have, &want->routes[i]) ||
		    change_route(r, &want->routes[i], true, err) == 0)
			want->routes[kept++] = want->routes[i];
		else
			ret = -1;
	want->route_count = kept;
	return ret;
}

/* ---- rules and firewall ---- */

void routes_firewall(struct privops_firewall *out, const struct netmap *map,
		     const struct prefs *prefs, bool rival)
{
	/* Compared as bytes. */
	memset(out, 0, sizeof(*out));
	if (!map || prefs->v.netfilter_mode <= PRIVOPS_FIREWALL_OFF)
		return;
	out->mode = prefs->v.netfilter_mode == PRIVOPS_FIREWALL_NODIVERT ? PRIVOPS_FIREWALL_NODIVERT
									 : PRIVOPS_FIREWALL_ON;
	out->snat = !prefs->v.no_snat;
	out->stateful = prefs->v.no_stateful_filtering == OPT_FALSE;
	/* Two tunnels on one host: the other one's packets are honest, too. */
	out->drop_spoofed =
	    !rival && !netmap_node_has_cap(netmap_self(map), "disable-linux-cgnat-drop-rule");
	out->keep_marks = routes_has_exit_node(prefs);
}

static int set_firewall(struct routes *r, const struct netmap *map, const struct prefs *prefs,
			struct err *err)
{
	struct privops_firewall want;

	routes_firewall(&want, map, prefs, *r->host.rival != '\0');
	if (!memcmp(&want, &r->firewall, sizeof(want)) && !r->firewall_stale)
		return 0;
	if (r->priv->ops->firewall(r->priv, &want, err) < 0) {
		log_warn(&r->log, "firewall rules failed: %s", err->text);
		r->firewall_stale = true;
		return err_wrap(err, "firewall");
	}
	r->firewall = want;
	r->firewall_stale = false;
	return 0;
}

static int set_rules(struct routes *r, bool on, struct err *err)
{
	if (r->rules == on)
		return 0;
	/* Whoever shares our table lives by the same rules: they stay. */
	if (!on && *r->host.rival) {
		r->rules = false;
		return 0;
	}
	if (r->priv->ops->rules(r->priv, on, err) < 0) {
		log_warn(&r->log, "policy rules failed: %s", err->text);
		return -1;
	}
	r->rules = on;
	return 0;
}

void routes_restore_rules(struct routes *r)
{
	struct err err;

	if (!r->rules)
		return;
	r->rules = false;
	if (set_rules(r, true, &err) == 0)
		log_info(&r->log, "policy rules were removed by somebody, restored");
}

void routes_look(struct routes *r)
{
	char before[PRIVOPS_NAME_MAX];
	struct err err;

	memcpy(before, r->host.rival, sizeof(before));
	if (r->priv->ops->host(r->priv, &r->host, &err) < 0)
		log_warn(&r->log, "looking at the host failed: %s", err.text);
	/* It came from another process. */
	r->host.rival[PRIVOPS_NAME_MAX - 1] = '\0';
	r->host.device[PRIVOPS_NAME_MAX - 1] = '\0';
	r->host.dropper[PRIVOPS_CHAIN_MAX - 1] = '\0';
	if (*r->host.rival && strcmp(before, r->host.rival) != 0)
		log_warn(&r->log,
			 "device %s has routes in table %d, too: two tunnels on one host "
			 "disturb each other",
			 r->host.rival, PRIVOPS_ROUTE_TABLE);
	r->looked = true;
}

void routes_moved(struct routes *r)
{
	routes_look(r);
	if (r->firewall.keep_marks)
		r->firewall_stale = true; /* a new interface may be strict */
}

const struct privops_host *routes_host(const struct routes *r)
{
	return &r->host;
}

/* ---- ---- */

int routes_apply(struct routes *r, const struct netmap *map, const struct prefs *prefs,
		 const struct lan *lan, struct err *err)
{
	struct routes_plan_in in = { map, prefs, lan, wall_now(), true };
	struct routes_plan want = { 0 };
	int ret = 0;

	if (map && !r->looked)
		routes_look(r);
	in.ipv6 = r->host.ipv6;
	if (map)
		routes_plan_make(&want, &in);
	if (map && set_rules(r, true, err) < 0)
		ret = -1;
	/* Before the routes: not one packet goes out by the wrong rules. */
	if (map && set_firewall(r, map, prefs, err) < 0)
		ret = -1;
	remove_old(r, &want, err);
	if (add_new(r, &want, err) < 0)
		ret = -1;
	routes_plan_fini(&r->have);
	r->have = want;
	if (!map) {
		(void)set_firewall(r, NULL, prefs, err);
		(void)set_rules(r, false, err);
	}
	return ret;
}

void routes_clear(struct routes *r)
{
	struct err ignored;

	(void)routes_apply(r, NULL, NULL, NULL, &ignored);
}

struct routes *routes_create(struct privops *priv, const struct log *log)
{
	struct routes *r = mem_alloc(sizeof(*r));

	r->priv = priv;
	r->log = *log;
	return r;
}

void routes_destroy(struct routes *r)
{
	if (!r)
		return;
	routes_plan_fini(&r->have);
	mem_free(r);
}
