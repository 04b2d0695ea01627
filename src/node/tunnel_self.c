/* node/tunnel_self.c - our own addresses: what the gateway maps, STUN saw, the interfaces have. */
#include <string.h>

#include "base/err.h"
#include "node/tunnel_state.h"
#include "os/rtnl/rtnl.h"
#include "part/portmapper.h"

enum {
	TYPE_LOCAL = 1,
	TYPE_STUN = 2,
	TYPE_PORTMAPPED = 3,
	TYPE_STUN_LOCAL_PORT = 4,
	LINKS_MAX = 64,
};

struct collector {
	struct tunnel *t;
	struct tunnel_endpoint *v;
	size_t n;
	struct rtnl_link links[LINKS_MAX];
	size_t link_count;
};

static void put(struct collector *c, struct ip ip, uint16_t port, uint8_t type)
{
	struct addrport at = { ip, port };

	for (size_t i = 0; i < c->n; i++)
		if (addrport_equal(c->v[i].at, at))
			return;
	if (c->n < TUNNEL_ENDPOINTS_MAX && port)
		c->v[c->n++] = (struct tunnel_endpoint){ at, type };
}

static bool is_tailnet(struct ip ip)
{
	static const struct prefix four = { { 4, { 100, 64 } }, 10 };
	static const struct prefix six = { { 6, { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0 } }, 48 };

	return prefix_contains(ip.family == 4 ? four : six, ip);
}

static void each_link(void *arg, const struct rtnl_link *link)
{
	struct collector *c = arg;

	if (c->link_count < LINKS_MAX)
		c->links[c->link_count++] = *link;
}

static bool is_usable_link(const struct collector *c, unsigned index)
{
	for (size_t i = 0; i < c->link_count; i++) {
		const struct rtnl_link *l = &c->links[i];

		if (l->index == index)
			return l->up && !l->loopback && strncmp(l->name, "zt", 2) != 0 &&
			       strcmp(l->name, "wt0") != 0 &&
			       (c->t->tun.fd < 0 || index != c->t->tun.index);
	}
	return false;
}

static void each_address(void *arg, const struct rtnl_addr *a)
{
	struct collector *c = arg;
	struct ip ip = a->prefix.addr;

	if (!a->usable || a->link_local || ip_is_link_local(ip) || ip_is_loopback(ip) ||
	    is_tailnet(ip) || !is_usable_link(c, a->index))
		return;
	if (ip.family == 4)
		put(c, ip, c->t->udp4.port, TYPE_LOCAL);
	else if (c->t->udp6.fd >= 0)
		put(c, ip, c->t->udp6.port, TYPE_LOCAL);
}

static void from_interfaces(struct collector *c)
{
	struct err err;
	struct rtnl *r = rtnl_open(&err);

	if (!r)
		return;
	(void)rtnl_link_list(r, each_link, c, &err);
	(void)rtnl_addr_list(r, 0, each_address, c, &err);
	rtnl_close(r);
}

static void from_gateway(struct collector *c)
{
	struct addrport at;

	if (portmapper_mapped(c->t->ports, &at))
		put(c, at.ip, at.port, TYPE_PORTMAPPED);
}

static void from_stun(struct collector *c)
{
	const struct netcheck_report *report = netcheck_last(c->t->netcheck);

	for (size_t i = 0; report && i < report->seen_count; i++)
		put(c, report->seen[i].ip, report->seen[i].port, TYPE_STUN);
	/* A manual forward of the same port may exist in front of a hard NAT. */
	if (report && report->varies && c->t->conf.port)
		for (size_t i = 0; i < report->seen_count; i++)
			if (report->seen[i].ip.family == 4) {
				put(c, report->seen[i].ip, c->t->udp4.port, TYPE_STUN_LOCAL_PORT);
				break;
			}
}

static bool same_set(const struct tunnel_endpoint *a, size_t n, const struct tunnel_endpoint *b,
		     size_t m)
{
	if (n != m)
		return false;
	for (size_t i = 0; i < n; i++) {
		size_t j = 0;

		while (j < m && !addrport_equal(a[i].at, b[j].at))
			j++;
		if (j == m)
			return false;
	}
	return true;
}

void tunnel_update_endpoints(struct tunnel *t)
{
	struct tunnel_endpoint v[TUNNEL_ENDPOINTS_MAX] = { 0 };
	struct addrport plain[TUNNEL_ENDPOINTS_MAX];
	struct collector c = { .t = t, .v = v };

	from_gateway(&c);
	from_stun(&c);
	from_interfaces(&c);
	for (size_t i = 0; i < c.n; i++)
		plain[i] = v[i].at;
	magic_set_endpoints(t->magic, loop_now(t->loop), plain, c.n);
	tunnel_flush_magic(t);
	if (same_set(v, c.n, t->endpoints, t->endpoint_count))
		return;
	memcpy(t->endpoints, v, c.n * sizeof(*v));
	t->endpoint_count = c.n;
	t->conf.on_endpoints(t->conf.arg, t->endpoints, t->endpoint_count);
}

size_t tunnel_endpoints(const struct tunnel *t, struct tunnel_endpoint *out, size_t max)
{
	size_t n = t->endpoint_count < max ? t->endpoint_count : max;

	memcpy(out, t->endpoints, n * sizeof(*out));
	return n;
}
