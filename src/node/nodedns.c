#include "node/nodedns.h"

#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "node/dnsbase.h"
#include "node/dnsconf.h"
#include "node/netmap.h"
#include "node/prefs.h"
#include "node/privops.h"
#include "part/localnet.h"

enum { PORT_DNS = 53 };

struct nodedns {
	struct loop *loop;
	struct nodedns_conf conf;
	struct localnet *net;
	struct dnsd *dnsd;
	struct dnsconf *applied;
	struct addrport base[DNSBASE_MAX];
	size_t base_count;
	struct privops_dns os; /* as the host was told */
	char os_error[256];
};

/* ---- packets ---- */

static bool on_ask(void *arg, const struct addrport *local, const struct addrport *peer)
{
	(void)arg;
	(void)peer;
	return local->port == PORT_DNS;
}

static void on_stream(void *arg, struct stream *s, const struct addrport *local,
		      const struct addrport *peer)
{
	struct nodedns *n = arg;

	(void)local;
	dnsd_input_stream(n->dnsd, s, peer);
}

static void on_datagram(void *arg, const struct addrport *local, const struct addrport *peer,
			struct bytes data)
{
	struct nodedns *n = arg;

	if (local->port == PORT_DNS)
		dnsd_input_datagram(n->dnsd, peer, data);
}

static void send_packet(void *arg, struct bytes packet)
{
	struct nodedns *n = arg;

	n->conf.write(n->conf.arg, packet);
}

/* Asked at a service address, answered from it: there is one in each family. */
static void send_datagram(void *arg, const struct addrport *to, struct bytes message)
{
	static const uint8_t six[16] = { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, [15] = 0x53 };
	struct nodedns *n = arg;
	struct addrport from = { to->ip.family == 4 ? ip_v4(100, 100, 100, 100) : ip_v6_of(six),
				 PORT_DNS };

	(void)localnet_send_datagram(n->net, &from, to, message);
}

static bool on_socket(void *arg, int fd)
{
	struct nodedns *n = arg;
	struct err err;

	if (n->conf.priv->ops->mark(n->conf.priv, fd, &err) < 0)
		log_debug(&n->conf.log, "%s", err.text);
	return true; /* without privileges there are no routes to loop through either */
}

void nodedns_packet(struct nodedns *n, struct bytes packet)
{
	(void)localnet_input(n->net, packet);
}

/* ---- configuration ---- */

static bool is_of_interest(const struct netmap_diff *diff)
{
	unsigned mine = NETMAP_OTHER | NETMAP_ALLOWED | NETMAP_CAPS | NETMAP_EXPIRY;

	if (diff->dns || diff->domain || diff->self & mine)
		return true;
	for (size_t i = 0; i < diff->peer_count; i++) {
		const struct netmap_peer_diff *p = &diff->peers[i];

		if (!p->before || !p->after || p->what & mine)
			return true;
	}
	return false;
}

static void tell_host(struct nodedns *n, const struct privops_dns *os)
{
	struct err err = { 0 };

	if (!memcmp(os, &n->os, sizeof(*os)))
		return;
	n->os = *os;
	if (n->conf.priv->ops->dns(n->conf.priv, os, &err) < 0)
		log_warn(&n->conf.log, "the host's resolver was not changed: %s", err.text);
	memcpy(n->os_error, err.text, sizeof(n->os_error));
}

void nodedns_apply(struct nodedns *n, const struct netmap *map, const struct prefs *prefs,
		   const struct netmap_diff *diff)
{
	struct dnsconf *fresh;
	struct err err;

	if (diff && n->applied && !is_of_interest(diff))
		return;
	fresh = dnsconf_create(map, prefs, n->base, n->base_count, wall_now());
	if (dnsd_set_conf(n->dnsd, &fresh->engine, fresh->upstreams, fresh->upstream_count, &err) <
	    0) {
		log_warn(&n->conf.log, "DNS settings were refused, the old ones stay: %s",
			 err.text);
		dnsconf_destroy(fresh);
		return;
	}
	if (fresh->skipped)
		log_warn(&n->conf.log, "%zu resolvers or records cannot be used", fresh->skipped);
	dnsconf_destroy(n->applied);
	n->applied = fresh;
	tell_host(n, &fresh->os);
}

/* ---- ---- */

struct dnsd *nodedns_dnsd(const struct nodedns *n)
{
	return n->dnsd;
}

const struct dnsconf *nodedns_conf(const struct nodedns *n)
{
	return n->applied;
}

const char *nodedns_os_error(const struct nodedns *n)
{
	return n->os_error;
}

const struct microtcp_counters *nodedns_tcp_counters(const struct nodedns *n)
{
	return localnet_counters(n->net);
}

struct nodedns *nodedns_create(struct loop *loop, const struct nodedns_conf *conf)
{
	struct nodedns *n = mem_alloc(sizeof(*n));
	struct localnet_conf net = { .send = send_packet,
				     .on_ask = on_ask,
				     .on_stream = on_stream,
				     .on_datagram = on_datagram,
				     .arg = n };
	struct dnsd_conf dns = {
		.log = conf->log, .on_socket = on_socket, .send_datagram = send_datagram, .arg = n
	};

	n->loop = loop;
	n->conf = *conf;
	n->base_count = dnsbase_read(conf->resolv_conf ? conf->resolv_conf : "/etc/resolv.conf",
				     n->base, DNSBASE_MAX);
	n->net = localnet_create(loop, &net);
	n->dnsd = dnsd_create(loop, &dns);
	return n;
}

void nodedns_destroy(struct nodedns *n)
{
	static const struct privops_dns nothing = { 0 };

	if (!n)
		return;
	tell_host(n, &nothing);
	dnsd_destroy(n->dnsd);
	localnet_destroy(n->net);
	dnsconf_destroy(n->applied);
	mem_free(n);
}
