/* node/privops_none.c - a node without privileges: plain sockets, nothing of the host is touched.
 */
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

// clang-format off
#define X(name, NAME, type)                                                                        \
	static int none_##name(struct privops *p, const type *want, struct err *err)               \
	{                                                                                          \
		(void)p, (void)want, (void)err;                                                    \
		return 0;                                                                          \
	}
PRIVOPS_STRUCT_OPS(X)
#undef X
#define X(name, NAME, type)                                                                        \
	static int none_##name(struct privops *p, type *out, struct err *err)                      \
	{                                                                                          \
		(void)p, (void)err;                                                                \
		*out = (type){ 0 };							       \
		return 0;                   \
	}
PRIVOPS_ANSWER_OPS(X)
#undef X
// clang-format on

static int rules(struct privops *p, bool on, struct err *err)
{
	(void)p;
	(void)on;
	(void)err;
	return 0;
}

static int dns_watch(struct privops *p, int *fd, struct err *err)
{
	(void)p;
	(void)fd;
	return err_set(err, ERR_REFUSED, "this node does not watch the host's resolver");
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
		.rules = rules,
		.dns_watch = dns_watch,
#define X(name, NAME, type) .name = none_##name,
		PRIVOPS_STRUCT_OPS(X) PRIVOPS_ANSWER_OPS(X)
#undef X
		    .restore = restore,
		.destroy = destroy,
	};
	struct privops *p = mem_alloc(sizeof(*p));

	p->ops = &ops;
	return p;
}
