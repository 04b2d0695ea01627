/* node/privops_table.c - see privops_table.h. Validators first, then how each is run, then the
 * table. */
#include "node/privops_table.h"

#include <string.h>

#include "base/err.h"
#include "base/mem.h"

enum { MTU_MIN = 576, MTU_MAX = 65535 };

/* A byte that is neither 0 nor 1 must not be read as a bool. */
static bool is_flag(const bool *flag)
{
	uint8_t byte;

	memcpy(&byte, flag, sizeof(byte));
	return byte <= 1;
}

static bool is_address(const struct ip *ip)
{
	static const uint8_t zero[12];

	return ip->family == 6 || (ip->family == 4 && memcmp(ip->b + 4, zero, sizeof(zero)) == 0);
}

static bool is_prefix(const struct prefix *p)
{
	return is_address(&p->addr) && p->len <= ip_bits(p->addr);
}

/* ---- what must hold ---- */

static bool open_tun_is_valid(const void *body)
{
	const struct privops_tun *t = body;

	return privops_name_is_valid(t->name) && t->mtu >= MTU_MIN && t->mtu <= MTU_MAX;
}

static bool open_udp_is_valid(const void *body)
{
	const struct privops_udp *u = body;

	return u->family == 4 || u->family == 6;
}

static bool rules_is_valid(const void *body)
{
	return is_flag(&((const struct privops_rules *)body)->on);
}

static bool address_is_valid(const struct privops_address *a)
{
	return is_prefix(&a->addr) && is_flag(&a->add);
}

static bool route_is_valid(const struct privops_route *r)
{
	return is_prefix(&r->to) && prefix_is_masked(r->to) && r->kind <= PRIVOPS_ROUTE_THROW &&
	       is_flag(&r->add);
}

static bool domains_are_valid(const char (*names)[PRIVOPS_DOMAIN_MAX], unsigned n)
{
	if (n > PRIVOPS_DOMAINS_MAX)
		return false;
	for (unsigned i = 0; i < n; i++)
		if (!privops_domain_is_valid(names[i]))
			return false;
	return true;
}

static bool dns_is_valid(const struct privops_dns *d)
{
	if (d->server_count > PRIVOPS_SERVERS_MAX || !is_flag(&d->override_all))
		return false;
	for (unsigned i = 0; i < d->server_count; i++)
		if (!is_address(&d->servers[i]))
			return false;
	return domains_are_valid(d->search, d->search_count) &&
	       domains_are_valid(d->match, d->match_count);
}

static bool firewall_is_valid(const struct privops_firewall *f)
{
	return f->mode <= PRIVOPS_FIREWALL_ON && is_flag(&f->snat) && is_flag(&f->stateful) &&
	       is_flag(&f->drop_spoofed) && is_flag(&f->keep_marks);
}

static bool notify_is_valid(const struct privops_notify *n)
{
	return n->what <= PRIVOPS_ALIVE;
}

/* ---- how it is done ---- */

static int run_open_tun(struct privops *p, const struct privops_call *c, struct err *err)
{
	return p->ops->open_tun(p, c->body, c->out, err);
}

static int run_open_udp(struct privops *p, const struct privops_call *c, struct err *err)
{
	return p->ops->open_udp(p, c->body, c->out, err);
}

static int run_mark(struct privops *p, const struct privops_call *c, struct err *err)
{
	return p->ops->mark(p, c->fd, err);
}

static int run_rules(struct privops *p, const struct privops_call *c, struct err *err)
{
	return p->ops->rules(p, ((const struct privops_rules *)c->body)->on, err);
}

static int run_dns_watch(struct privops *p, const struct privops_call *c, struct err *err)
{
	return p->ops->dns_watch(p, c->out, err);
}

static int run_restore(struct privops *p, const struct privops_call *c, struct err *err)
{
	(void)c;
	(void)err;
	p->ops->restore(p);
	return 0;
}

#define X(name, NAME, type)                                                                        \
	_Static_assert(sizeof(type) <= PRIVOPS_BODY_MAX, #name " does not fit a message");         \
	static bool name##_body_is_valid(const void *body)                                         \
	{                                                                                          \
		return name##_is_valid(body);                                                      \
	}                                                                                          \
	static int run_##name(struct privops *p, const struct privops_call *c, struct err *err)    \
	{                                                                                          \
		return p->ops->name(p, c->body, err);                                              \
	}
PRIVOPS_STRUCT_OPS(X)
#undef X

#define X(name, NAME, type)                                                                        \
	_Static_assert(sizeof(type) <= PRIVOPS_ANSWER_MAX, #name " does not fit a reply");         \
	static int run_##name(struct privops *p, const struct privops_call *c, struct err *err)    \
	{                                                                                          \
		return p->ops->name(p, c->answer, err);                                            \
	}
PRIVOPS_ANSWER_OPS(X)
#undef X

// clang-format off
static const struct privops_row rows[PRIVOPS_OPS] = {
	[PRIVOPS_OPEN_TUN]    = { "open a device",    .size = sizeof(struct privops_tun),   .gives_fd = true, .is_valid = open_tun_is_valid, .run = run_open_tun },
	[PRIVOPS_OPEN_UDP]    = { "open a socket",    .size = sizeof(struct privops_udp),   .gives_fd = true, .is_valid = open_udp_is_valid, .run = run_open_udp },
	[PRIVOPS_MARK_SOCKET] = { "mark a socket",    .takes_fd = true,			    .run = run_mark },
	[PRIVOPS_RULES]	      = { "change the rules", .size = sizeof(struct privops_rules), .is_valid = rules_is_valid, .run = run_rules },
	[PRIVOPS_DNS_WATCH]   = { "watch the resolver", .gives_fd = true,		    .run = run_dns_watch },
	[PRIVOPS_RESTORE]     = { "restore",	      .run = run_restore },
#define X(name, NAME, type) \
	[PRIVOPS_OP_##NAME]   = { #name, .size = sizeof(type), .is_valid = name##_body_is_valid, .run = run_##name },
	PRIVOPS_STRUCT_OPS(X)
#undef X
#define X(name, NAME, type) \
	[PRIVOPS_OP_##NAME]   = { #name, .answer = sizeof(type), .run = run_##name },
	PRIVOPS_ANSWER_OPS(X)
#undef X
};
// clang-format on

const struct privops_row *privops_row(uint32_t op)
{
	return op < array_len(rows) && rows[op].name ? &rows[op] : NULL;
}
