#include "app/tunnel/device.h"

#include <errno.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/wall.h"
#include "crypto/x25519.h"

enum { OWNERS_FIRST = 64 };

static struct wg_time now(void)
{
	return (struct wg_time){ mono_now(), wall_now() };
}

/* --- what the datapath tells --- */

static struct device_peer *peer_of(struct device *d, uint32_t owner)
{
	return owner < d->owner_cap ? d->by_owner[owner] : NULL;
}

static void publish_endpoint(struct device *d, const struct device_peer *p)
{
	struct datapath_path path = { .addr = p->endpoint, .trusted_until = MONO_NEVER };

	datapath_set_path(d->datapath, p->owner, &path);
}

/* Roaming: a peer is where its last authenticated datagram came from. The datapath went ahead;
 * this is for those that came with a handshake, and for what is shown. */
static void on_source(void *arg, uint32_t owner, const struct datapath_source *from)
{
	struct device *d = arg;
	struct device_peer *p = peer_of(d, owner);

	if (!p || addrport_equal(p->endpoint, from->addr))
		return;
	p->endpoint = from->addr;
	publish_endpoint(d, p);
}

static void on_broken(void *arg, const struct err *why)
{
	struct device *d = arg;

	d->conf.on_broken(d->conf.arg, why);
}

/* --- sockets --- */

static int open_sockets(const struct device *d, uint16_t port, struct udp *u4, struct udp *u6,
			struct err *err)
{
	struct udp_conf conf = { .family = 4,
				 .port = port,
				 .mark = d->fwmark,
				 .no_gso = d->conf.no_gso,
				 .no_gro = d->conf.no_gro };

	u4->fd = u6->fd = -1;
	if (udp_open(u4, &conf, err) < 0)
		return -1;
	conf.family = 6;
	conf.port = u4->port;
	if (udp_open(u6, &conf, err) == 0 || err->sys == EAFNOSUPPORT)
		return 0;
	udp_close(u4);
	return -1;
}

/* When the kernel chooses, its port for IPv4 may be taken for IPv6: ask again. */
static int open_pair(const struct device *d, uint16_t port, struct udp *u4, struct udp *u6,
		     struct err *err)
{
	for (int i = 0; i < 10; i++) {
		if (open_sockets(d, port, u4, u6, err) == 0)
			return 0;
		if (port != 0 || err->sys != EADDRINUSE)
			return -1;
	}
	return -1;
}

static struct udp *if_open(struct udp *u)
{
	return u->fd >= 0 ? u : NULL;
}

int device_set_port(struct device *d, uint16_t port, struct err *err)
{
	struct udp u4, u6, old4 = { .fd = -1 }, old6 = { .fd = -1 };

	if (port != 0 && port == d->listen_port)
		return 0;
	if (open_pair(d, port, &u4, &u6, err) < 0)
		return -1;
	old4.fd = d->udp4.fd;
	old6.fd = d->udp6.fd;
	if (d->datapath) /* its threads must not see the sockets change under them */
		datapath_set_sockets(d->datapath, NULL, NULL);
	memcpy(&d->udp4, &u4, sizeof(u4));
	memcpy(&d->udp6, &u6, sizeof(u6));
	if (d->datapath)
		datapath_set_sockets(d->datapath, if_open(&d->udp4), if_open(&d->udp6));
	udp_close(&old4);
	udp_close(&old6);
	d->listen_port = d->udp4.port;
	return 0;
}

int device_set_fwmark(struct device *d, uint32_t mark, struct err *err)
{
	d->fwmark = mark;
	if (udp_set_mark(&d->udp4, mark, err) < 0)
		return -1;
	return d->udp6.fd >= 0 ? udp_set_mark(&d->udp6, mark, err) : 0;
}

void device_set_mtu(struct device *d, unsigned mtu)
{
	if (mtu == d->mtu)
		return;
	log_info(d->conf.log, "MTU changed from %u to %u", d->mtu, mtu);
	d->mtu = mtu;
	datapath_set_mtu(d->datapath, mtu);
}

/* --- life --- */

static struct bytes key_of_peer(const void *item)
{
	return bytes_of(((const struct device_peer *)item)->public_key.b, 32);
}

static struct bytes key_of_allowed(const void *item)
{
	const struct device_allowed *a = item;

	return bytes_of(&a->prefix, sizeof(a->prefix));
}

static int make_engines(struct device *d, struct err *err)
{
	unsigned threads =
	    d->conf.threads < 0 ? datapath_threads_wanted() : (unsigned)d->conf.threads;
	struct wg_conf wg = { .rng = &d->rng, .mtu = d->mtu, .data_threads = threads > 0 };
	struct datapath_conf conf = {
		.tun = &d->tun,
		.udp4 = if_open(&d->udp4),
		.udp6 = if_open(&d->udp6),
		.mtu = d->mtu,
		.threads = threads,
		.no_coalesce = d->conf.no_coalesce,
		.never_equal_tail = d->conf.never_equal_tail,
		.follow_source = true,
		.crypto = d->conf.crypto,
		.memory_bytes = d->conf.memory_bytes,
		.hooks = { .on_source = on_source, .on_broken = on_broken, .arg = d }
	};

	d->wg = wg_create(&wg, err);
	if (!d->wg)
		return -1;
	conf.wg = d->wg;
	d->datapath = datapath_create(&conf, err);
	return d->datapath ? 0 : -1;
}

struct device *device_create(const struct device_conf *conf, struct err *err)
{
	struct device *d = mem_alloc(sizeof(*d));
	struct tun_conf tun = { .name = conf->name,
				.plain = conf->plain_tun,
				.no_tso = conf->no_tso,
				.no_uso = conf->no_uso };

	d->conf = *conf;
	d->rng = rng_system();
	d->mtu = conf->mtu ? conf->mtu : DEVICE_MTU;
	d->tun.fd = d->udp4.fd = d->udp6.fd = -1;
	list_init(&d->peers);
	map_init(&d->by_key, key_of_peer, NULL);
	map_init(&d->by_prefix, key_of_allowed, NULL);
	d->allowed = wg_allowed_set_create();
	if ((!conf->no_tun && tun_open(&d->tun, &tun, err) < 0) || device_set_port(d, 0, err) < 0 ||
	    make_engines(d, err) < 0) {
		device_destroy(d);
		return NULL;
	}
	return d;
}

void device_destroy(struct device *d)
{
	if (!d)
		return;
	if (d->datapath)
		device_remove_peers(d);
	datapath_destroy(d->datapath);
	wg_destroy(d->wg);
	udp_close(&d->udp4);
	udp_close(&d->udp6);
	tun_close(&d->tun);
	wg_allowed_set_destroy(d->allowed);
	map_fini(&d->by_key);
	map_fini(&d->by_prefix);
	mem_free(d->by_owner);
	owners_fini(&d->owners);
	secret32_wipe(&d->private_key);
	mem_free(d);
}

static int tell_machine(struct device *d, struct device_peer *p, struct err *err)
{
	struct wg_peer_conf conf = { .public_key = p->public_key,
				     .psk = p->psk,
				     .owner = p->owner,
				     .keepalive_s = p->keepalive_s };

	/* Without a private key the machine takes no peers: they follow when there is one. */
	if (secret_is_zero(&d->private_key, sizeof(d->private_key)))
		return 0;
	return wg_peer_add(d->wg, &conf, &p->id, err);
}

int device_set_private_key(struct device *d, const struct secret32 *key, struct err *err)
{
	struct device_peer *self;
	struct key public_key = { 0 };

	if (secret_equal(key, &d->private_key, sizeof(*key)))
		return 0;
	if (!secret_is_zero(key, sizeof(*key)))
		x25519_public(public_key.b, key);
	self = map_get(&d->by_key, bytes_of(public_key.b, 32));
	if (self) /* nobody is a peer of himself */
		device_peer_remove(d, self);
	d->private_key = *key;
	d->public_key = public_key;
	wg_set_private_key(d->wg, key);
	list_each_safe (it, &d->peers) {
		struct device_peer *p = list_entry(it, struct device_peer, link);

		if (wg_peer_id_is_none(p->id) && tell_machine(d, p, err) < 0)
			device_peer_remove(d, p);
	}
	return 0;
}

/* --- peers --- */

struct device_peer *device_peer_find(struct device *d, const struct key *public_key)
{
	return map_get(&d->by_key, bytes_of(public_key->b, 32));
}

static bool take_owner(struct device *d, struct device_peer *p)
{
	uint32_t cap = d->owner_cap;

	if (!owners_take(&d->owners, WG_OWNER_MAX, &p->owner))
		return false;
	while (p->owner >= cap)
		cap = cap ? cap * 2 : OWNERS_FIRST;
	if (cap != d->owner_cap) {
		d->by_owner = mem_resize(d->by_owner, cap, sizeof(struct device_peer *));
		memset(d->by_owner + d->owner_cap, 0,
		       (cap - d->owner_cap) * sizeof(struct device_peer *));
		d->owner_cap = cap;
	}
	d->by_owner[p->owner] = p;
	datapath_forget(d->datapath, p->owner);
	return true;
}

static void give_back_owner(struct device *d, uint32_t owner)
{
	datapath_forget(d->datapath, owner);
	d->by_owner[owner] = NULL;
	owners_give_back(&d->owners, owner);
}

struct device_peer *device_peer_add(struct device *d, const struct key *public_key, struct err *err)
{
	struct device_peer *p = device_peer_find(d, public_key);

	if (p)
		return p;
	if (d->peer_count >= DEVICE_PEERS_MAX) {
		err_set(err, ERR_LIMIT, "there are %d peers already", DEVICE_PEERS_MAX);
		return NULL;
	}
	p = mem_alloc(sizeof(*p));
	p->public_key = *public_key;
	list_init(&p->allowed);
	if (!take_owner(d, p)) {
		err_set(err, ERR_LIMIT, "no number is free for the peer");
		mem_free(p);
		return NULL;
	}
	if (tell_machine(d, p, err) < 0) {
		give_back_owner(d, p->owner);
		mem_free(p);
		return NULL;
	}
	(void)map_put(&d->by_key, p);
	list_append(&d->peers, &p->link);
	d->peer_count++;
	publish_endpoint(d, p);
	return p;
}

void device_peer_remove(struct device *d, struct device_peer *p)
{
	device_peer_disallow_all(d, p);
	(void)wg_peer_remove(d->wg, p->id);
	give_back_owner(d, p->owner);
	(void)map_remove(&d->by_key, bytes_of(p->public_key.b, 32));
	list_remove(&p->link);
	d->peer_count--;
	secret_wipe(p, sizeof(*p));
	mem_free(p);
}

void device_remove_peers(struct device *d)
{
	list_each_safe (it, &d->peers)
		device_peer_remove(d, list_entry(it, struct device_peer, link));
}

/* The machine knows a peer with its key: a new one is a new peer under a new number. */
int device_peer_set_psk(struct device *d, struct device_peer *p, const struct secret32 *psk,
			struct err *err)
{
	uint32_t old = p->owner;

	if (secret_equal(psk, &p->psk, sizeof(*psk)))
		return 0;
	if (!take_owner(d, p))
		return err_set(err, ERR_LIMIT, "no number is free for the peer");
	p->psk = *psk;
	(void)wg_peer_remove(d->wg, p->id);
	p->id = (struct wg_peer_id){ 0 };
	give_back_owner(d, old);
	if (tell_machine(d, p, err) < 0)
		return -1;
	publish_endpoint(d, p);
	list_each (it, &p->allowed)
		wg_allowed_set_put(d->allowed, list_entry(it, struct device_allowed, link)->prefix,
				   p->owner);
	d->allowed_changed = true;
	return 0;
}

void device_peer_set_endpoint(struct device *d, struct device_peer *p,
			      const struct addrport *endpoint)
{
	p->endpoint = *endpoint;
	publish_endpoint(d, p);
}

void device_peer_set_keepalive(struct device *d, struct device_peer *p, uint16_t seconds)
{
	p->keepalive_s = seconds;
	wg_peer_set_keepalive(d->wg, p->id, seconds);
}

/* --- allowed addresses --- */

static struct prefix canonical(struct prefix prefix)
{
	struct prefix out;

	memset(&out, 0, sizeof(out)); /* it is a key of a map, padding included */
	prefix = prefix_masked(prefix);
	out.addr.family = prefix.addr.family;
	memcpy(out.addr.b, prefix.addr.b, sizeof(out.addr.b));
	out.len = prefix.len;
	return out;
}

static void drop(struct device *d, struct device_allowed *a)
{
	(void)map_remove(&d->by_prefix, bytes_of(&a->prefix, sizeof(a->prefix)));
	(void)wg_allowed_set_remove(d->allowed, a->prefix);
	list_remove(&a->link);
	mem_free(a);
	d->allowed_changed = true;
}

void device_peer_allow(struct device *d, struct device_peer *p, struct prefix prefix)
{
	struct prefix key = canonical(prefix);
	struct device_allowed *a = map_get(&d->by_prefix, bytes_of(&key, sizeof(key)));

	if (a && a->peer == p)
		return;
	if (a)
		drop(d, a);
	a = mem_alloc(sizeof(*a));
	memcpy(&a->prefix, &key, sizeof(key));
	a->peer = p;
	list_append(&p->allowed, &a->link);
	(void)map_put(&d->by_prefix, a);
	wg_allowed_set_put(d->allowed, key, p->owner);
	d->allowed_changed = true;
}

void device_peer_disallow(struct device *d, struct device_peer *p, struct prefix prefix)
{
	struct prefix key = canonical(prefix);
	struct device_allowed *a = map_get(&d->by_prefix, bytes_of(&key, sizeof(key)));

	if (a && a->peer == p)
		drop(d, a);
}

void device_peer_disallow_all(struct device *d, struct device_peer *p)
{
	list_each_safe (it, &p->allowed)
		drop(d, list_entry(it, struct device_allowed, link));
}

void device_commit(struct device *d)
{
	struct wg_allowed *snapshot;

	if (d->allowed_changed) {
		snapshot = wg_allowed_set_snapshot(d->allowed);
		datapath_set_allowed(d->datapath, snapshot);
		wg_allowed_unref(snapshot);
		d->allowed_changed = false;
	}
	device_turn(d);
}

static void on_quiet(void *arg)
{
	struct device *d = arg;

	owners_rested(&d->owners);
}

void device_turn(struct device *d)
{
	/* Not before the routes that name them are gone: see device_commit(). */
	if (!d->allowed_changed && owners_rest(&d->owners))
		datapath_when_quiet(d->datapath, on_quiet, d);
	datapath_turn(d->datapath, now());
}
