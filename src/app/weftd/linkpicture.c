/* app/weftd/linkpicture.c - see linkpicture.h. */
#include "app/weftd/linkpicture.h"

#include <string.h>

#include "base/mem.h"
#include "crypto/hash.h"

enum {
	TEXT_MAX = 1 << 20,
	SETTLE_MS = 200,
	SETTLE_MOST_MS = 800,
	SLEPT_MS = 2000,
	RESTORE_BURST = 10,
	RESTORE_EVERY_MS = 5000,
};

/* Bridges and their ends that container and machine hosts make and remove all day. */
static bool is_virtual(const char *name)
{
	static const char *const starts[] = { "docker", "br-",  "veth",    "virbr",  "cni",
					      "lxc",    "cali", "flannel", "podman", "vnet" };

	for (size_t i = 0; i < array_len(starts); i++)
		if (!strncmp(name, starts[i], strlen(starts[i])))
			return true;
	return false;
}

void linkpicture_begin(struct linkpicture *p, const char *own)
{
	p->own = own;
	p->n = 0;
	buf_init(&p->core, TEXT_MAX);
	buf_init(&p->all, TEXT_MAX);
}

void linkpicture_link(struct linkpicture *p, const struct rtnl_link *l)
{
	if (!l->up || !l->running || l->loopback || p->n == LINKPICTURE_LINKS_MAX ||
	    (p->own && !strcmp(l->name, p->own)))
		return;
	p->is_virtual[p->n] = is_virtual(l->name);
	p->usable[p->n++] = l->index;
}

static int find(const struct linkpicture *p, unsigned index)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->usable[i] == index)
			return (int)i;
	return -1;
}

void linkpicture_addr(struct linkpicture *p, const struct rtnl_addr *a)
{
	int link = find(p, a->index);
	char text[PREFIX_TEXT_MAX];

	if (link < 0 || !a->usable || a->link_local)
		return;
	(void)buf_printf(&p->all, "a %u %s\n", a->index, prefix_format(a->prefix, text));
	if (!p->is_virtual[link])
		(void)buf_printf(&p->core, "a %u %s\n", a->index, text);
}

void linkpicture_route(struct linkpicture *p, const struct rtnl_route *r)
{
	char text[IP_TEXT_MAX];

	if (r->dst.len || find(p, r->index) < 0)
		return;
	(void)buf_printf(&p->core, "r %u %s %u\n", r->index, ip_format(r->via, text), r->metric);
}

void linkpicture_end(struct linkpicture *p, struct linkpicture_hash *out)
{
	hash_sha256(out->core, buf_bytes(&p->core));
	hash_sha256(out->all, buf_bytes(&p->all));
	buf_fini(&p->core);
	buf_fini(&p->all);
}

enum linkpicture_change linkpicture_compare(const struct linkpicture_hash *before,
					    const struct linkpicture_hash *after)
{
	if (memcmp(before->core, after->core, sizeof(before->core)) != 0)
		return LINKPICTURE_MAJOR;
	return memcmp(before->all, after->all, sizeof(before->all)) != 0 ? LINKPICTURE_MINOR
									 : LINKPICTURE_SAME;
}

unsigned linkpicture_settle_ms(int64_t since_first_ms)
{
	int64_t left = SETTLE_MOST_MS - since_first_ms;

	return left >= SETTLE_MS ? SETTLE_MS : left > 0 ? (unsigned)left : 0;
}

bool linkpicture_slept(int64_t awake_ms, int64_t all_ms)
{
	return all_ms - awake_ms >= SLEPT_MS;
}

bool linkpicture_may_restore(struct linkpicture_budget *b, struct mono now)
{
	int64_t regained =
	    mono_is_zero(b->last) ? 0 : mono_since_ms(now, b->last) / RESTORE_EVERY_MS;

	if (mono_is_zero(b->last) || regained)
		b->last = now;
	b->used = b->used > regained ? b->used - (unsigned)regained : 0;
	if (b->used >= RESTORE_BURST)
		return false;
	b->used++;
	return true;
}
