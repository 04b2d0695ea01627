#include "app/tunnel/netconf.h"

#include "app/tunnel/conf.h"
#include "base/err.h"
#include "os/rtnl/rtnl.h"
#include "os/tun.h"

/* The numbers wg-quick uses, so that its documentation holds here as well. */
enum { MARK_DEFAULT = 51820, PRIORITY_MAIN = 32764, PRIORITY_TUNNEL = 32765, QUEUE_LENGTH = 1000 };

static bool wants_default(const struct tunnel_conf *conf, uint8_t family)
{
	return conf->table == TUNNEL_TABLE_AUTO && (family == 4 ? conf->default4 : conf->default6);
}

/*
 * Everything that is not marked, which is all but our own datagrams, asks the tunnel's table; the
 * main table keeps what is more precise than its default route.
 */
static void rules_of(uint8_t family, uint32_t mark, struct rtnl_rule out[2])
{
	out[0] = (struct rtnl_rule){ .family = family,
				     .priority = PRIORITY_MAIN,
				     .table = RTNL_TABLE_MAIN,
				     .suppress_prefix_length = 0 };
	out[1] = (struct rtnl_rule){ .family = family,
				     .priority = PRIORITY_TUNNEL,
				     .mark = mark,
				     .mask = UINT32_MAX,
				     .invert = true,
				     .table = mark,
				     .suppress_prefix_length = -1 };
}

static int add_rules(struct rtnl *r, uint8_t family, uint32_t mark, struct err *err)
{
	struct rtnl_rule rules[2];

	rules_of(family, mark, rules);
	for (int i = 0; i < 2; i++)
		if (rtnl_rule_add(r, &rules[i], err) < 0)
			return -1;
	return 0;
}

void netconf_undo(struct rtnl *r, const struct tunnel_conf *conf, uint32_t mark)
{
	struct rtnl_rule rules[2];

	for (uint8_t family = 4; family <= 6; family += 2) {
		if (!wants_default(conf, family))
			continue;
		rules_of(family, mark, rules);
		for (int i = 0; i < 2; i++)
			(void)rtnl_rule_del(r, &rules[i], NULL);
	}
}

static int add_route(struct rtnl *r, unsigned index, const struct tunnel_conf *conf,
		     struct prefix dst, uint32_t mark, struct err *err)
{
	struct rtnl_route route = { .dst = dst, .index = index };

	if (conf->table > 0)
		route.table = (uint32_t)conf->table;
	else if (dst.len == 0)
		route.table = mark;
	return rtnl_route_add(r, &route, err);
}

static int add_routes(struct rtnl *r, unsigned index, const struct tunnel_conf *conf, uint32_t mark,
		      struct err *err)
{
	if (conf->table == TUNNEL_TABLE_OFF)
		return 0;
	for (size_t i = 0; i < conf->peer_count; i++)
		for (size_t k = 0; k < conf->peers[i].allowed_count; k++)
			if (add_route(r, index, conf, conf->peers[i].allowed[k], mark, err) < 0)
				return -1;
	return 0;
}

int netconf_apply(struct rtnl *r, unsigned index, unsigned mtu, const struct tunnel_conf *conf,
		  uint32_t *mark, struct err *err)
{
	struct rtnl_link_change link = { .mtu = mtu, .queue_length = QUEUE_LENGTH };
	struct rtnl_link_change limit = { .gso_max_segments = tun_gso_segments(mtu) };
	struct rtnl_link_change up = { .up = true };

	if (rtnl_link_change(r, index, &link, err) < 0)
		return -1;
	/* Older kernels cannot; super-packets then take two sends. */
	(void)rtnl_link_change(r, index, &limit, NULL);
	for (size_t i = 0; i < conf->address_count; i++)
		if (rtnl_addr_add(r, index, conf->addresses[i], err) < 0)
			return -1;
	if (rtnl_link_change(r, index, &up, err) < 0)
		return -1;
	if (*mark == 0 && (wants_default(conf, 4) || wants_default(conf, 6)))
		*mark = MARK_DEFAULT;
	netconf_undo(r, conf, *mark);
	if (add_routes(r, index, conf, *mark, err) < 0)
		return -1;
	for (uint8_t family = 4; family <= 6; family += 2)
		if (wants_default(conf, family) && add_rules(r, family, *mark, err) < 0)
			return -1;
	return 0;
}
