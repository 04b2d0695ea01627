/* node/lan.c - see lan.h. */
#include "node/lan.h"

#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "os/rtnl/rtnl.h"

enum { LINKS_MAX = 256 };

bool lan_is_tailnet(struct ip ip)
{
	static const struct prefix four = { { 4, { 100, 64 } }, 10 };
	static const struct prefix six = { { 6, { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0 } }, 48 };

	return prefix_contains(ip.family == 4 ? four : six, ip);
}

void lan_add(struct lan *lan, struct prefix address, bool loopback)
{
	struct lan_net net = { .net = prefix_masked(address), .own = address.addr };

	net.internal = loopback || ip_is_loopback(address.addr) || ip_is_link_local(address.addr);
	if (lan->n == LAN_NETS_MAX || lan_is_tailnet(address.addr) || prefix_is_single(address) ||
	    address.len == 0)
		return;
	for (size_t i = 0; i < lan->n; i++)
		if (prefix_equal(lan->v[i].net, net.net) && ip_equal(lan->v[i].own, net.own))
			return;
	lan->v[lan->n++] = net;
}

struct reading {
	struct lan *lan;
	const char *device;
	unsigned up[LINKS_MAX];
	bool loopback[LINKS_MAX];
	size_t n;
};

static void see_link(void *arg, const struct rtnl_link *l)
{
	struct reading *r = arg;

	if (!l->up || r->n == LINKS_MAX || (r->device && !strcmp(l->name, r->device)))
		return;
	r->loopback[r->n] = l->loopback;
	r->up[r->n++] = l->index;
}

static void see_address(void *arg, const struct rtnl_addr *a)
{
	struct reading *r = arg;

	for (size_t i = 0; i < r->n; i++)
		if (r->up[i] == a->index)
			lan_add(r->lan, a->prefix, r->loopback[i]);
}

void lan_read(struct lan *out, const char *device)
{
	struct reading r = { .lan = out, .device = device };
	struct err err;
	struct rtnl *rtnl = rtnl_open(&err);

	out->n = 0;
	if (!rtnl)
		return;
	(void)rtnl_link_list(rtnl, see_link, &r, &err);
	(void)rtnl_addr_list(rtnl, 0, see_address, &r, &err);
	rtnl_close(rtnl);
}
