/* node/privops_local.c - privileged operations in this process: os/tun, os/rtnl, io/udp. */
#include "node/privops_local.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "io/udp.h"
#include "os/rtnl/rtnl.h"
#include "os/sandbox/sandbox.h"
#include "os/sdnotify.h"
#include "os/tun.h"

void privops_destroy(struct privops *p)
{
	if (p)
		p->ops->destroy(p);
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

bool privops_name_is_valid(const char *name)
{
	size_t n = strnlen(name, PRIVOPS_NAME_MAX);

	if (n == 0 || n >= PRIVOPS_NAME_MAX || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_name_char(name[i]) && name[i] != '.')
			return false;
	return true;
}

bool privops_domain_is_valid(const char *name)
{
	size_t n = strnlen(name, PRIVOPS_DOMAIN_MAX), label = 0;

	if (n == 0 || n >= PRIVOPS_DOMAIN_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (name[i] == '.') {
			if (!label)
				return false;
			label = 0;
		} else if (!is_name_char(name[i]) || ++label > 63) {
			return false;
		}
	}
	return label > 0;
}

static int open_tun(struct privops *p, const struct privops_tun *want, int *fd, struct err *err)
{
	struct local *l = local_of(p);
	struct rtnl_link_change up = { .up = true, .mtu = want->mtu };
	struct tun tun;

	if (!privops_name_is_valid(want->name))
		return err_set(err, ERR_USAGE, "'%.15s' cannot name a device", want->name);
	if (tun_open(&tun, &(struct tun_conf){ .name = want->name }, err) < 0)
		return -1;
	if (rtnl_link_change(l->rtnl, tun.index, &up, err) < 0) {
		tun_close(&tun);
		return err_wrap(err, "bring up %.15s", want->name);
	}
	l->index = tun.index;
	memcpy(l->device, tun.name, sizeof(l->device));
	*fd = tun.fd;
	return 0;
}

static int open_udp(struct privops *p, const struct privops_udp *want, int *fd, struct err *err)
{
	struct udp_conf conf = { .family = want->family, .port = want->port };
	struct udp u;

	(void)p;
	/* Without privileges there are no routes that it could loop through either. */
	if (sandbox_has_capability(CAP_NET_ADMIN))
		conf.mark = PRIVOPS_MARK;
	if (udp_open(&u, &conf, err) < 0)
		return -1;
	*fd = u.fd;
	return 0;
}

static int mark_socket(struct privops *p, int fd, struct err *err)
{
	uint32_t mark = PRIVOPS_MARK;

	(void)p;
	if (setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0)
		return err_sys(err, "mark a socket");
	return 0;
}

int local_need_device(const struct local *l, struct err *err)
{
	return l->index ? 0 : err_set(err, ERR_INTERNAL, "there is no device yet");
}

static int change_address(struct privops *p, const struct privops_address *a, struct err *err)
{
	struct local *l = local_of(p);

	if (local_need_device(l, err) < 0)
		return -1;
	return a->add ? rtnl_addr_add(l->rtnl, l->index, a->addr, err)
		      : rtnl_addr_del(l->rtnl, l->index, a->addr, err);
}

struct owner {
	struct prefix to;
	bool foreign;
};

static void see_owner(void *arg, const struct rtnl_route *r)
{
	struct owner *o = arg;

	if (prefix_equal(r->dst, o->to) && r->protocol != PRIVOPS_ROUTE_PROTOCOL)
		o->foreign = true;
}

/* Replaces a route of ours, but not that of somebody who uses the same table. */
static int add_route(struct local *l, const struct rtnl_route *route, struct err *err)
{
	struct owner o = { .to = route->dst };
	struct err first = { 0 }, ignored;
	char text[PREFIX_TEXT_MAX];

	if (rtnl_route_add_new(l->rtnl, route, &first) == 0)
		return 0;
	if (first.sys == EEXIST) {
		(void)rtnl_route_list(l->rtnl, route->dst.addr.family, PRIVOPS_ROUTE_TABLE,
				      see_owner, &o, &ignored);
		if (!o.foreign)
			return rtnl_route_add(l->rtnl, route, err);
		return err_set(err, ERR_REFUSED,
			       "route %s in table %d belongs to another tunnel on this host",
			       prefix_format(route->dst, text), PRIVOPS_ROUTE_TABLE);
	}
	if (err)
		*err = first;
	return -1;
}

static int change_route(struct privops *p, const struct privops_route *r, struct err *err)
{
	struct local *l = local_of(p);
	struct rtnl_route route = { .dst = prefix_masked(r->to),
				    .table = PRIVOPS_ROUTE_TABLE,
				    .protocol = PRIVOPS_ROUTE_PROTOCOL };

	if (local_need_device(l, err) < 0)
		return -1;
	if (r->kind == PRIVOPS_ROUTE_THROW) {
		route.kind = RTNL_THROW;
	} else {
		route.kind = RTNL_UNICAST;
		route.index = l->index;
	}
	return r->add ? add_route(l, &route, err) : rtnl_route_del(l->rtnl, &route, err);
}

/* upstream: wgengine/router/osrouter/router_linux.go, ipRules */
static struct rtnl_rule rule_at(uint8_t family, unsigned i)
{
	struct rtnl_rule rule = { .family = family, .suppress_prefix_length = -1 };

	rule.priority = PRIVOPS_RULE_BASE + 10 + 20 * i;
	if (i < 3) {
		rule.mark = PRIVOPS_MARK;
		rule.mask = PRIVOPS_MARK_MASK;
	}
	switch (i) {
	case 0:
		rule.table = RTNL_TABLE_MAIN;
		break;
	case 1:
		rule.table = RTNL_TABLE_DEFAULT;
		break;
	case 2:
		rule.unreachable = true;
		break;
	default:
		rule.table = PRIVOPS_ROUTE_TABLE;
	}
	return rule;
}

static int change_rules(struct privops *p, bool on, struct err *err)
{
	struct local *l = local_of(p);
	struct err ignored;

	for (unsigned i = 0; i < 8; i++) {
		struct rtnl_rule rule = rule_at(i < 4 ? 4 : 6, i % 4);

		/* What is there stays: whoever shares the rules would put them back, and we
		 * ours. */
		if (!on)
			(void)rtnl_rule_del(l->rtnl, &rule, &ignored);
		else if (rtnl_rule_add(l->rtnl, &rule, err) < 0 &&
			 rule.family == 4) /* a host may have no IPv6 */
			return -1;
	}
	return 0;
}

static int notify(struct privops *p, const struct privops_notify *n, struct err *err)
{
	static const char *const texts[] = {
		[PRIVOPS_READY] = SDNOTIFY_READY,
		[PRIVOPS_STOPPING] = SDNOTIFY_STOPPING,
		[PRIVOPS_ALIVE] = SDNOTIFY_WATCHDOG,
	};

	(void)p;
	(void)err;
	(void)sdnotify(texts[n->what]); /* nobody may be listening */
	return 0;
}

static int about(struct privops *p, struct privops_about *out, struct err *err)
{
	(void)p;
	(void)err;
	out->pid = getpid();
	return 0;
}

struct leftovers {
	struct rtnl_route v[512];
	size_t n;
};

static void see_leftover(void *arg, const struct rtnl_route *r)
{
	struct leftovers *left = arg;

	if (r->protocol == PRIVOPS_ROUTE_PROTOCOL && r->kind == RTNL_THROW &&
	    left->n < array_len(left->v))
		left->v[left->n++] = *r;
}

/* Routes through the device went with it; those without a device did not. */
static void remove_throws(struct local *l)
{
	struct leftovers *left = mem_alloc(sizeof(*left));
	struct err ignored;

	(void)rtnl_route_list(l->rtnl, 4, PRIVOPS_ROUTE_TABLE, see_leftover, left, &ignored);
	(void)rtnl_route_list(l->rtnl, 6, PRIVOPS_ROUTE_TABLE, see_leftover, left, &ignored);
	for (size_t i = 0; i < left->n; i++)
		(void)rtnl_route_del(l->rtnl, &left->v[i], &ignored);
	mem_free(left);
}

static void restore(struct privops *p)
{
	char rival[PRIVOPS_NAME_MAX] = "";
	struct err ignored;

	local_dns_restore(local_of(p));
	local_firewall_restore();
	remove_throws(local_of(p));
	/* Rules that somebody else lives by stay. */
	local_find_rival(local_of(p), rival);
	if (!*rival)
		(void)change_rules(p, false, &ignored);
	/* Addresses and other routes go with the device, which lives as long as its descriptor. */
}

static void destroy(struct privops *p)
{
	struct local *l = local_of(p);

	resolver_destroy(l->resolver);
	rtnl_close(l->rtnl);
	mem_free(l);
}

struct privops *privops_local_create(struct err *err)
{
	static const struct privops_ops ops = {
		.open_tun = open_tun,
		.open_udp = open_udp,
		.mark = mark_socket,
		.address = change_address,
		.route = change_route,
		.rules = change_rules,
		.firewall = local_firewall,
		.host = local_host,
		.dns = local_dns,
		.notify = notify,
		.about = about,
		.dns_status = local_dns_status,
		.dns_watch = local_dns_watch,
		.restore = restore,
		.destroy = destroy,
	};
	struct rtnl *rtnl = rtnl_open(err);
	struct local *l;

	if (!rtnl)
		return NULL;
	l = mem_alloc(sizeof(*l));
	l->head.ops = &ops;
	l->rtnl = rtnl;
	return &l->head;
}
