#include "os/rtnl/rtnl_parse.h"

#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

enum { ATTRS = 64 };

struct table {
	const struct nlattr *a[ATTRS];
};

static int collect(const struct nlattr *attr, void *arg)
{
	struct table *t = arg;
	unsigned type = mnl_attr_get_type(attr);

	if (type < ATTRS)
		t->a[type] = attr;
	return MNL_CB_OK;
}

static bool attributes(struct table *t, const struct nlmsghdr *h, size_t fixed)
{
	memset(t, 0, sizeof(*t));
	return mnl_nlmsg_get_payload_len(h) >= fixed &&
	       mnl_attr_parse(h, (unsigned)fixed, collect, t) >= 0;
}

static uint32_t number(const struct table *t, unsigned type, uint32_t fallback)
{
	const struct nlattr *a = t->a[type];

	return a && mnl_attr_get_payload_len(a) >= 4 ? mnl_attr_get_u32(a) : fallback;
}

static uint8_t family_of(unsigned af)
{
	return af == AF_INET ? 4 : af == AF_INET6 ? 6 : 0;
}

static struct ip address(const struct table *t, unsigned type, uint8_t family)
{
	const struct nlattr *a = t->a[type];
	struct ip ip = { .family = family };

	if (!a || mnl_attr_get_payload_len(a) < ip_len(ip))
		return (struct ip){ 0 };
	memcpy(ip.b, mnl_attr_get_payload(a), ip_len(ip));
	return ip;
}

bool rtnl_parse_link(const struct nlmsghdr *h, struct rtnl_link *out)
{
	const struct ifinfomsg *m = mnl_nlmsg_get_payload(h);
	struct table t;

	if (!attributes(&t, h, sizeof(*m)))
		return false;
	*out = (struct rtnl_link){ .index = (unsigned)m->ifi_index,
				   .up = m->ifi_flags & IFF_UP,
				   .running = m->ifi_flags & IFF_RUNNING,
				   .loopback = m->ifi_flags & IFF_LOOPBACK,
				   .mtu = number(&t, IFLA_MTU, 0) };
	if (t.a[IFLA_IFNAME])
		strncpy(out->name, mnl_attr_get_str(t.a[IFLA_IFNAME]), sizeof(out->name) - 1);
	return true;
}

bool rtnl_parse_addr(const struct nlmsghdr *h, struct rtnl_addr *out)
{
	const struct ifaddrmsg *m = mnl_nlmsg_get_payload(h);
	uint32_t flags;
	struct table t;

	if (!attributes(&t, h, sizeof(*m)) || !family_of(m->ifa_family))
		return false;
	flags = number(&t, IFA_FLAGS, m->ifa_flags);
	*out = (struct rtnl_addr){ .index = m->ifa_index,
				   .link_local = m->ifa_scope == RT_SCOPE_LINK,
				   .usable = !(flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED |
							IFA_F_DEPRECATED)),
				   /* On point-to-point links IFA_ADDRESS is the other end. */
				   .prefix = { address(&t, t.a[IFA_LOCAL] ? IFA_LOCAL : IFA_ADDRESS,
						       family_of(m->ifa_family)),
					       m->ifa_prefixlen } };
	return ip_is_valid(out->prefix.addr);
}

bool rtnl_parse_route(const struct nlmsghdr *h, struct rtnl_route *out)
{
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	struct table t;
	uint8_t family;

	if (!attributes(&t, h, sizeof(*m)))
		return false;
	family = family_of(m->rtm_family);
	if (!family)
		return false;
	*out = (struct rtnl_route){ .dst = { address(&t, RTA_DST, family), m->rtm_dst_len },
				    .table = number(&t, RTA_TABLE, m->rtm_table),
				    .index = number(&t, RTA_OIF, 0),
				    .via = address(&t, RTA_GATEWAY, family),
				    .source = address(&t, RTA_PREFSRC, family),
				    .metric = number(&t, RTA_PRIORITY, 0),
				    .protocol = m->rtm_protocol };
	out->dst.addr.family = family; /* a default route has no address */
	switch (m->rtm_type) {
	case RTN_UNICAST:
	case RTN_LOCAL:
		return true;
	case RTN_THROW:
		out->kind = RTNL_THROW;
		return true;
	case RTN_BLACKHOLE:
		out->kind = RTNL_BLACKHOLE;
		return true;
	case RTN_UNREACHABLE:
		out->kind = RTNL_UNREACHABLE;
		return true;
	default:
		return false;
	}
}

bool rtnl_parse_rule(const struct nlmsghdr *h, struct rtnl_rule *out)
{
	const struct fib_rule_hdr *m = mnl_nlmsg_get_payload(h);
	struct table t;

	if (!attributes(&t, h, sizeof(*m)) || !family_of(m->family))
		return false;
	*out = (struct rtnl_rule){ .family = family_of(m->family),
				   .priority = number(&t, FRA_PRIORITY, 0),
				   .mark = number(&t, FRA_FWMARK, 0),
				   .mask = number(&t, FRA_FWMASK, t.a[FRA_FWMARK] ? UINT32_MAX : 0),
				   .invert = m->flags & FIB_RULE_INVERT,
				   .table = number(&t, FRA_TABLE, m->table),
				   .unreachable = m->action == FR_ACT_UNREACHABLE,
				   .suppress_prefix_length =
				       (int)number(&t, FRA_SUPPRESS_PREFIXLEN, UINT32_MAX) };
	if (out->unreachable)
		out->table = 0;
	return true;
}
