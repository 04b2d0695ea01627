#include "os/rtnl/rtnl.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/err.h"
#include "base/mem.h"
#include "os/rtnl/rtnl_parse.h"

enum { MESSAGE_MAX = 32768 };

struct rtnl {
	struct mnl_socket *socket;
	uint32_t seq;
	_Alignas(8) uint8_t request[1024];
	uint8_t answer[MESSAGE_MAX];
};

struct rtnl *rtnl_open(struct err *err)
{
	struct rtnl *r = mem_alloc(sizeof(*r));

	r->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!r->socket || mnl_socket_bind(r->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		err_sys(err, "open rtnetlink");
		rtnl_close(r);
		return NULL;
	}
	r->seq = (uint32_t)time(NULL);
	return r;
}

void rtnl_close(struct rtnl *r)
{
	if (!r)
		return;
	if (r->socket)
		(void)mnl_socket_close(r->socket);
	mem_free(r);
}

static struct nlmsghdr *begin(struct rtnl *r, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(r->request);

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	h->nlmsg_seq = ++r->seq;
	return h;
}

/* Sends and runs each() on every message of the answer. errno on failure. */
static int talk(struct rtnl *r, struct nlmsghdr *h, mnl_cb_t each, void *arg)
{
	unsigned port = mnl_socket_get_portid(r->socket);
	int more = 1;

	if (mnl_socket_sendto(r->socket, h, h->nlmsg_len) < 0)
		return -1;
	while (more > 0) {
		ssize_t n = mnl_socket_recvfrom(r->socket, r->answer, sizeof(r->answer));

		if (n < 0)
			return -1;
		more = mnl_cb_run(r->answer, (size_t)n, r->seq, port, each, arg);
	}
	return more;
}

static int change(struct rtnl *r, struct nlmsghdr *h, int harmless)
{
	h->nlmsg_flags |= NLM_F_ACK;
	if (talk(r, h, NULL, NULL) < 0 && errno != harmless)
		return -1;
	return 0;
}

static uint8_t af(uint8_t family)
{
	return family == 4 ? AF_INET : AF_INET6;
}

static void put_ip(struct nlmsghdr *h, uint16_t type, struct ip ip)
{
	mnl_attr_put(h, type, ip_len(ip), ip.b);
}

/* --- links --- */

int rtnl_link_change(struct rtnl *r, unsigned index, const struct rtnl_link_change *c,
		     struct err *err)
{
	struct nlmsghdr *h = begin(r, RTM_NEWLINK, 0);
	struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));

	m->ifi_index = (int)index;
	if (c->up || c->down) {
		m->ifi_change = IFF_UP;
		m->ifi_flags = c->up ? IFF_UP : 0;
	}
	if (c->mtu)
		mnl_attr_put_u32(h, IFLA_MTU, c->mtu);
	if (c->queue_length)
		mnl_attr_put_u32(h, IFLA_TXQLEN, c->queue_length);
	if (c->gso_max_segments)
		mnl_attr_put_u32(h, IFLA_GSO_MAX_SEGS, c->gso_max_segments);
	if (change(r, h, 0) < 0)
		return err_sys(err, "change interface %u", index);
	return 0;
}

struct each_link {
	void (*each)(void *arg, const struct rtnl_link *link);
	void *arg;
};

static int on_link(const struct nlmsghdr *h, void *arg)
{
	struct each_link *e = arg;
	struct rtnl_link link;

	if (h->nlmsg_type == RTM_NEWLINK && rtnl_parse_link(h, &link))
		e->each(e->arg, &link);
	return MNL_CB_OK;
}

int rtnl_link_list(struct rtnl *r, void (*each)(void *arg, const struct rtnl_link *link), void *arg,
		   struct err *err)
{
	struct nlmsghdr *h = begin(r, RTM_GETLINK, NLM_F_DUMP);
	struct each_link e = { each, arg };

	(void)mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg));
	if (talk(r, h, on_link, &e) < 0)
		return err_sys(err, "list interfaces");
	return 0;
}

static void keep_link(void *arg, const struct rtnl_link *link)
{
	*(struct rtnl_link *)arg = *link;
}

int rtnl_link_get(struct rtnl *r, unsigned index, struct rtnl_link *out, struct err *err)
{
	struct nlmsghdr *h = begin(r, RTM_GETLINK, NLM_F_ACK);
	struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	struct rtnl_link link = { 0 };
	struct each_link e = { keep_link, &link };

	m->ifi_index = (int)index;
	if (talk(r, h, on_link, &e) < 0)
		return err_sys(err, "look at interface %u", index);
	*out = link;
	return 0;
}

/* --- addresses --- */

static int addr_request(struct rtnl *r, bool add, unsigned index, struct prefix addr,
			struct err *err)
{
	struct nlmsghdr *h =
	    begin(r, add ? RTM_NEWADDR : RTM_DELADDR, add ? NLM_F_CREATE | NLM_F_REPLACE : 0);
	struct ifaddrmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	char text[PREFIX_TEXT_MAX];

	m->ifa_family = af(addr.addr.family);
	m->ifa_prefixlen = addr.len;
	m->ifa_index = index;
	/* A tunnel has no neighbours to ask whether the address is taken. */
	if (addr.addr.family == 6)
		m->ifa_flags = IFA_F_NODAD;
	put_ip(h, IFA_LOCAL, addr.addr);
	put_ip(h, IFA_ADDRESS, addr.addr);
	if (change(r, h, add ? EEXIST : EADDRNOTAVAIL) < 0)
		return err_sys(err, "%s address %s", add ? "add" : "delete",
			       prefix_format(addr, text));
	return 0;
}

int rtnl_addr_add(struct rtnl *r, unsigned index, struct prefix addr, struct err *err)
{
	return addr_request(r, true, index, addr, err);
}

int rtnl_addr_del(struct rtnl *r, unsigned index, struct prefix addr, struct err *err)
{
	return addr_request(r, false, index, addr, err);
}

struct each_addr {
	unsigned index;
	void (*each)(void *arg, const struct rtnl_addr *addr);
	void *arg;
};

static int on_addr(const struct nlmsghdr *h, void *arg)
{
	struct each_addr *e = arg;
	struct rtnl_addr addr;

	if (rtnl_parse_addr(h, &addr) && (!e->index || e->index == addr.index))
		e->each(e->arg, &addr);
	return MNL_CB_OK;
}

int rtnl_addr_list(struct rtnl *r, unsigned index,
		   void (*each)(void *arg, const struct rtnl_addr *addr), void *arg,
		   struct err *err)
{
	struct nlmsghdr *h = begin(r, RTM_GETADDR, NLM_F_DUMP);
	struct each_addr e = { index, each, arg };

	(void)mnl_nlmsg_put_extra_header(h, sizeof(struct ifaddrmsg));
	if (talk(r, h, on_addr, &e) < 0)
		return err_sys(err, "list addresses");
	return 0;
}

/* --- routes --- */

static uint8_t route_type(enum rtnl_route_kind kind)
{
	switch (kind) {
	case RTNL_THROW:
		return RTN_THROW;
	case RTNL_BLACKHOLE:
		return RTN_BLACKHOLE;
	case RTNL_UNREACHABLE:
		return RTN_UNREACHABLE;
	default:
		return RTN_UNICAST;
	}
}

/* flags: those of an addition; 0 deletes. */
static int route_request(struct rtnl *r, uint16_t flags, const struct rtnl_route *route,
			 struct err *err)
{
	bool add = flags != 0;
	struct nlmsghdr *h = begin(r, add ? RTM_NEWROUTE : RTM_DELROUTE, flags);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	struct prefix dst = prefix_masked(route->dst);
	char text[PREFIX_TEXT_MAX];

	m->rtm_family = af(dst.addr.family);
	m->rtm_dst_len = dst.len;
	m->rtm_table = RT_TABLE_UNSPEC;
	m->rtm_type = add || route->kind ? route_type(route->kind) : RTN_UNSPEC;
	m->rtm_protocol = route->protocol ? route->protocol : add ? RTPROT_STATIC : RTPROT_UNSPEC;
	m->rtm_scope =
	    !add ? RT_SCOPE_NOWHERE
	    : route->kind == RTNL_UNICAST && !ip_is_valid(route->via) && dst.addr.family == 4
		? RT_SCOPE_LINK
		: RT_SCOPE_UNIVERSE;
	mnl_attr_put_u32(h, RTA_TABLE, route->table ? route->table : RTNL_TABLE_MAIN);
	if (dst.len)
		put_ip(h, RTA_DST, dst.addr);
	if (route->index)
		mnl_attr_put_u32(h, RTA_OIF, route->index);
	if (ip_is_valid(route->via))
		put_ip(h, RTA_GATEWAY, route->via);
	if (ip_is_valid(route->source))
		put_ip(h, RTA_PREFSRC, route->source);
	if (route->metric)
		mnl_attr_put_u32(h, RTA_PRIORITY, route->metric);
	if (change(r, h, !add ? ESRCH : flags & NLM_F_EXCL ? 0 : EEXIST) < 0)
		return err_sys(err, "%s route %s", add ? "add" : "delete",
			       prefix_format(dst, text));
	return 0;
}

int rtnl_route_add(struct rtnl *r, const struct rtnl_route *route, struct err *err)
{
	return route_request(r, NLM_F_CREATE | NLM_F_REPLACE, route, err);
}

int rtnl_route_add_new(struct rtnl *r, const struct rtnl_route *route, struct err *err)
{
	return route_request(r, NLM_F_CREATE | NLM_F_EXCL, route, err);
}

int rtnl_route_del(struct rtnl *r, const struct rtnl_route *route, struct err *err)
{
	return route_request(r, 0, route, err);
}

struct each_route {
	uint32_t table;
	void (*each)(void *arg, const struct rtnl_route *route);
	void *arg;
};

static int on_route(const struct nlmsghdr *h, void *arg)
{
	struct each_route *e = arg;
	struct rtnl_route route;

	if (h->nlmsg_type == RTM_NEWROUTE && rtnl_parse_route(h, &route) &&
	    (!e->table || e->table == route.table))
		e->each(e->arg, &route);
	return MNL_CB_OK;
}

int rtnl_route_list(struct rtnl *r, uint8_t family, uint32_t table,
		    void (*each)(void *arg, const struct rtnl_route *route), void *arg,
		    struct err *err)
{
	struct nlmsghdr *h = begin(r, RTM_GETROUTE, NLM_F_DUMP);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	struct each_route e = { table, each, arg };

	m->rtm_family = af(family);
	if (talk(r, h, on_route, &e) < 0)
		return err_sys(err, "list routes");
	return 0;
}

static void keep_route(void *arg, const struct rtnl_route *route)
{
	*(struct rtnl_route *)arg = *route;
}

int rtnl_route_get(struct rtnl *r, struct ip dst, uint32_t mark, struct rtnl_route *out,
		   struct err *err)
{
	struct nlmsghdr *h = begin(r, RTM_GETROUTE, NLM_F_ACK);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	struct rtnl_route route = { 0 };
	struct each_route e = { 0, keep_route, &route };
	char text[IP_TEXT_MAX];

	m->rtm_family = af(dst.family);
	m->rtm_dst_len = ip_bits(dst);
	put_ip(h, RTA_DST, dst);
	if (mark)
		mnl_attr_put_u32(h, RTA_MARK, mark);
	if (talk(r, h, on_route, &e) < 0)
		return err_sys(err, "route to %s", ip_format(dst, text));
	*out = route;
	return 0;
}

/* --- rules --- */

static int rule_request(struct rtnl *r, bool add, const struct rtnl_rule *rule, struct err *err)
{
	struct nlmsghdr *h =
	    begin(r, add ? RTM_NEWRULE : RTM_DELRULE, add ? NLM_F_CREATE | NLM_F_EXCL : 0);
	struct fib_rule_hdr *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));

	m->family = af(rule->family);
	m->action = rule->unreachable ? FR_ACT_UNREACHABLE : FR_ACT_TO_TBL;
	m->flags = rule->invert ? FIB_RULE_INVERT : 0;
	m->table = RT_TABLE_UNSPEC;
	mnl_attr_put_u32(h, FRA_PRIORITY, rule->priority);
	if (!rule->unreachable)
		mnl_attr_put_u32(h, FRA_TABLE, rule->table);
	if (rule->mask) {
		mnl_attr_put_u32(h, FRA_FWMARK, rule->mark);
		mnl_attr_put_u32(h, FRA_FWMASK, rule->mask);
	}
	if (rule->suppress_prefix_length >= 0)
		mnl_attr_put_u32(h, FRA_SUPPRESS_PREFIXLEN, (uint32_t)rule->suppress_prefix_length);
	if (change(r, h, add ? EEXIST : ENOENT) < 0)
		return err_sys(err, "%s IPv%u rule %u", add ? "add" : "delete", rule->family,
			       rule->priority);
	return 0;
}

int rtnl_rule_add(struct rtnl *r, const struct rtnl_rule *rule, struct err *err)
{
	return rule_request(r, true, rule, err);
}

int rtnl_rule_del(struct rtnl *r, const struct rtnl_rule *rule, struct err *err)
{
	return rule_request(r, false, rule, err);
}

struct each_rule {
	void (*each)(void *arg, const struct rtnl_rule *rule);
	void *arg;
};

static int on_rule(const struct nlmsghdr *h, void *arg)
{
	struct each_rule *e = arg;
	struct rtnl_rule rule;

	if (h->nlmsg_type == RTM_NEWRULE && rtnl_parse_rule(h, &rule))
		e->each(e->arg, &rule);
	return MNL_CB_OK;
}

int rtnl_rule_list(struct rtnl *r, uint8_t family,
		   void (*each)(void *arg, const struct rtnl_rule *rule), void *arg,
		   struct err *err)
{
	struct nlmsghdr *h = begin(r, RTM_GETRULE, NLM_F_DUMP);
	struct fib_rule_hdr *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	struct each_rule e = { each, arg };

	m->family = af(family);
	if (talk(r, h, on_rule, &e) < 0)
		return err_sys(err, "list rules");
	return 0;
}
