/* node/privops_none.c - a node without privileges: plain sockets, nothing of the host is touched.
 */
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "io/udp.h"
#include "node/privops.h"

static int open_tun(struct privops *p, const struct privops_tun *want, int *fd, struct err *err)
{
	(void)p;
	(void)want;
	(void)fd;
	return err_set(err, ERR_REFUSED, "this node has no privileges and opens no device");
}

static int open_udp(struct privops *p, const struct privops_udp *want, int *fd, struct err *err)
{
	struct udp_conf conf = { .family = want->family, .port = want->port };
	struct udp u;

	(void)p;
	if (udp_open(&u, &conf, err) < 0)
		return -1;
	*fd = u.fd;
	return 0;
}

/* Without routes of ours nothing can loop, and nothing needs a mark. */
static int mark(struct privops *p, int fd, struct err *err)
{
	(void)p;
	(void)fd;
	(void)err;
	return 0;
}

static int address(struct privops *p, const struct privops_address *a, struct err *err)
{
	(void)p;
	(void)a;
	(void)err;
	return 0;
}

static int route(struct privops *p, const struct privops_route *r, struct err *err)
{
	(void)p;
	(void)r;
	(void)err;
	return 0;
}

static int rules(struct privops *p, bool on, struct err *err)
{
	(void)p;
	(void)on;
	(void)err;
	return 0;
}

static int firewall(struct privops *p, const struct privops_firewall *f, struct err *err)
{
	(void)p;
	(void)f;
	(void)err;
	return 0;
}

/* Nobody may ask it to forward, so nothing is missing. */
static int host(struct privops *p, struct privops_host *out, struct err *err)
{
	(void)p;
	(void)err;
	*out = (struct privops_host){ .ipv6 = true, .forward4 = true, .forward6 = true };
	return 0;
}

static int dns(struct privops *p, const struct privops_dns *d, struct err *err)
{
	(void)p;
	(void)d;
	(void)err;
	return 0;
}

static void restore(struct privops *p)
{
	(void)p;
}

static void destroy(struct privops *p)
{
	mem_free(p);
}

struct privops *privops_none_create(void)
{
	static const struct privops_ops ops = {
		.open_tun = open_tun,
		.open_udp = open_udp,
		.mark = mark,
		.address = address,
		.route = route,
		.rules = rules,
		.firewall = firewall,
		.host = host,
		.dns = dns,
		.restore = restore,
		.destroy = destroy,
	};
	struct privops *p = mem_alloc(sizeof(*p));

	p->ops = &ops;
	return p;
}
