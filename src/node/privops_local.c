/* node/privops_local.c - privileged operations in this process: os/tun, os/rtnl, io/udp. */
#include "node/privops.h"

#include <errno.h>
#include <linux/capability.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "io/udp.h"
#include "os/resolver/resolver.h"
#include "os/rtnl/rtnl.h"
#include "os/sandbox/sandbox.h"
#include "os/sdnotify.h"
#include "os/tun.h"

struct local {
	struct privops head;
	struct rtnl *rtnl;
	unsigned index;            /* of the device; 0: none yet */
	struct resolver *resolver; /* NULL until first asked for */
};

static struct local *local_of(struct privops *p)
{
	return container_of(p, struct local, head);
}

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

static int need_device(const struct local *l, struct err *err)
{
	return l->index ? 0 : err_set(err, ERR_INTERNAL, "there is no device yet");
}

static int change_address(struct privops *p, const struct privops_address *a, struct err *err)
{
	struct local *l = local_of(p);

	if (need_device(l, err) < 0)
		return -1;
	return a->add ? rtnl_addr_add(l->rtnl, l->index, a->addr, err)
		      : rtnl_addr_del(l->rtnl, l->index, a->addr, err);
}

static int change_route(struct privops *p, const struct privops_route *r, struct err *err)
{
	struct local *l = local_of(p);
	struct rtnl_route route = { .dst = prefix_masked(r->to), .table = PRIVOPS_ROUTE_TABLE };

	if (need_device(l, err) < 0)
		return -1;
	if (r->kind == PRIVOPS_ROUTE_THROW) {
		route.kind = RTNL_THROW;
	} else {
		route.kind = RTNL_UNICAST;
		route.index = l->index;
	}
	return r->add ? rtnl_route_add(l->rtnl, &route, err) : rtnl_route_del(l->rtnl, &route, err);
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

		(void)rtnl_rule_del(l->rtnl, &rule, &ignored);
		if (on && rtnl_rule_add(l->rtnl, &rule, err) < 0 &&
		    rule.family == 4) /* a host may have no IPv6 */
			return -1;
	}
	return 0;
}

/* Born late, so that a process which never touches the resolver has no thread for it. */
static int need_resolver(struct local *l, struct err *err)
{
	if (!l->resolver)
		l->resolver = resolver_create(&(struct resolver_conf){ 0 }, err);
	return l->resolver ? 0 : -1;
}

_Static_assert((int)PRIVOPS_DOMAIN_MAX == (int)RESOLVER_DOMAIN_MAX, "one limit");
_Static_assert((int)PRIVOPS_DOMAINS_MAX == (int)RESOLVER_DOMAINS_MAX, "one limit");
_Static_assert((int)PRIVOPS_SERVERS_MAX == (int)RESOLVER_SERVERS_MAX, "one limit");

static int take_domains(char (*to)[RESOLVER_DOMAIN_MAX], const char (*from)[PRIVOPS_DOMAIN_MAX],
			uint8_t n, struct err *err)
{
	if (n > RESOLVER_DOMAINS_MAX)
		return err_set(err, ERR_USAGE, "%u domains are too many", n);
	for (unsigned i = 0; i < n; i++) {
		if (!privops_domain_is_valid(from[i]))
			return err_set(err, ERR_USAGE, "a domain for the resolver is none");
		memcpy(to[i], from[i], strlen(from[i]));
	}
	return 0;
}

static int change_dns(struct privops *p, const struct privops_dns *dns, struct err *err)
{
	struct local *l = local_of(p);
	struct resolver_want want = { .index = l->index,
				      .server_count = dns->server_count,
				      .search_count = dns->search_count,
				      .match_count = dns->match_count,
				      .override_all = dns->override_all };

	if (dns->server_count > PRIVOPS_SERVERS_MAX)
		return err_set(err, ERR_USAGE, "%u servers are too many", dns->server_count);
	if (take_domains(want.search, dns->search, dns->search_count, err) < 0 ||
	    take_domains(want.match, dns->match, dns->match_count, err) < 0)
		return -1;
	for (unsigned i = 0; i < dns->server_count; i++)
		want.servers[i] = dns->servers[i];
	if (!dns->server_count && !l->resolver)
		return 0; /* nothing was set */
	if (need_resolver(l, err) < 0)
		return -1;
	resolver_set(l->resolver, &want);
	return 0;
}

static int dns_status(struct privops *p, struct resolver_status *out, struct err *err)
{
	struct local *l = local_of(p);

	if (need_resolver(l, err) < 0)
		return -1;
	resolver_get_status(l->resolver, out);
	return 0;
}

static int dns_watch(struct privops *p, int *fd, struct err *err)
{
	struct local *l = local_of(p);
	int copy;

	if (need_resolver(l, err) < 0)
		return -1;
	copy = fcntl(resolver_fd(l->resolver), F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return err_sys(err, "hand on the resolver's descriptor");
	*fd = copy;
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

static void restore(struct privops *p)
{
	struct local *l = local_of(p);
	struct err ignored;

	(void)change_rules(p, false, &ignored);
	if (l->resolver)
		resolver_destroy(l->resolver); /* takes everything back */
	else
		(void)resolver_recover(&(struct resolver_conf){ 0 }, &ignored);
	l->resolver = NULL;
	/* Addresses and routes go with the device, which lives as long as its descriptor. */
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
		.dns = change_dns,
		.notify = notify,
		.about = about,
		.dns_status = dns_status,
		.dns_watch = dns_watch,
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
