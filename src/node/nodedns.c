#include "node/nodedns.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "io/loop.h"
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
	struct privops_dns os;       /* as the host was told */
	struct resolver_status host; /* what came of it */
	struct io_watch news;        /* of that */
	int news_fd;                 /* -1: not watched */
	bool cannot_watch;
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

/* The host's resolvers as whoever manages them knows them: without us among them. */
static bool take_host(struct nodedns *n)
{
	struct addrport base[DNSBASE_MAX];
	size_t count = 0;
	struct err err;

	if (n->conf.priv->ops->dns_status(n->conf.priv, &n->host, &err) < 0)
		return false;
	for (; count < n->host.upstreams.count && count < DNSBASE_MAX; count++)
		base[count] = (struct addrport){ n->host.upstreams.servers[count], PORT_DNS };
	if (!n->host.serial || !count ||
	    (count == n->base_count && !memcmp(base, n->base, count * sizeof(*base))))
		return false;
	memcpy(n->base, base, count * sizeof(*base));
	n->base_count = count;
	return true;
}

static void on_news(struct io_watch *w, unsigned events)
{
	struct nodedns *n = container_of(w, struct nodedns, news);
	uint64_t count;

	(void)events;
	if (read(n->news_fd, &count, sizeof(count)) != sizeof(count))
		return;
	if (take_host(n))
		n->conf.on_change(n->conf.arg);
}

/* Late: a node that never asks for anything leaves the host's resolver alone altogether. */
static void watch_host(struct nodedns *n)
{
	struct err err;

	if (n->news_fd >= 0 || n->cannot_watch)
		return;
	if (n->conf.priv->ops->dns_watch(n->conf.priv, &n->news_fd, &err) == 0 &&
	    io_watch_start(n->loop, &n->news, n->news_fd, IO_READ, on_news, &err) == 0) {
		(void)take_host(n);
		return;
	}
	n->cannot_watch = true;
	log_debug(&n->conf.log, "%s", err.text);
}

static void unwatch_host(struct nodedns *n)
{
	io_watch_stop(&n->news);
	if (n->news_fd >= 0)
		(void)close(n->news_fd);
	n->news_fd = -1;
}

static void tell_host(struct nodedns *n, const struct privops_dns *os)
{
	struct err err = { 0 };

	if (!memcmp(os, &n->os, sizeof(*os)))
		return;
	n->os = *os;
	if (n->conf.priv->ops->dns(n->conf.priv, os, &err) == 0)
		return;
	log_warn(&n->conf.log, "the host's resolver was not changed: %s", err.text);
	(void)snprintf(n->host.trouble, sizeof(n->host.trouble), "%.200s", err.text);
}

void nodedns_apply(struct nodedns *n, const struct netmap *map, const struct prefs *prefs,
		   const struct netmap_diff *diff)
{
	struct dnsconf *fresh;
	struct err err;

	if (diff && n->applied && !is_of_interest(diff))
		return;
	if (map && prefs->v.corp_dns)
		watch_host(n);
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

const struct resolver_status *nodedns_host(const struct nodedns *n)
{
	return &n->host;
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
	n->news_fd = -1;
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
	unwatch_host(n);
	tell_host(n, &nothing);
	dnsd_destroy(n->dnsd);
	localnet_destroy(n->net);
	dnsconf_destroy(n->applied);
	mem_free(n);
}
