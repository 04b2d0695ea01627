/* node/privops_resolver.c - the host's resolver in this process: os/resolver. */
#include "node/privops_local.h"

#include <fcntl.h>
#include <string.h>

#include "base/err.h"
#include "os/resolver/resolver.h"

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
int local_dns(struct privops *p, const struct privops_dns *dns, struct err *err)
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

int local_dns_status(struct privops *p, struct resolver_status *out, struct err *err)
{
	struct local *l = local_of(p);

	if (need_resolver(l, err) < 0)
		return -1;
	resolver_get_status(l->resolver, out);
	return 0;
}

int local_dns_watch(struct privops *p, int *fd, struct err *err)
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

void local_dns_restore(struct local *l)
{
	struct err ignored;

	if (l->resolver)
		resolver_destroy(l->resolver); /* takes everything back */
	else
		(void)resolver_recover(&(struct resolver_conf){ 0 }, &ignored);
	l->resolver = NULL;
}
