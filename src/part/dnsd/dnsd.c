#include "part/dnsd/dnsd_impl.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "io/tls.h"
#include "part/dnsd/dnsd_provider.h"

enum { PORT_DNS = 53, PORT_TLS = 853, PORT_HTTPS = 443 };

/* ---- clients that are no datagram ---- */

static struct bytes client_key(const void *item)
{
	return bytes_of(&((const struct client *)item)->id, sizeof(uint64_t));
}

void client_add(struct dnsd *d, struct client *c)
{
	c->id = ++d->next_id; /* 0 are datagrams */
	(void)map_put(&d->clients, c);
}

void client_remove(struct dnsd *d, struct client *c)
{
	(void)map_remove(&d->clients, client_key(c));
}

static void deliver(struct dnsd *d, const struct dns_reply *r)
{
	struct client *c;

	if (!r->to.token) {
		d->conf.send_datagram(d->conf.arg, &r->to.addr, r->message);
		return;
	}
	c = map_get(&d->clients, bytes_of(&r->to.token, sizeof(r->to.token)));
	if (c)
		c->on_reply(c, r->message);
}

/* ---- what the engine wants done ---- */

static void pump_once(struct dnsd *d)
{
	struct dns_reply reply;
	struct dns_query query;
	bool any = true;

	while (any) {
		any = false;
		while (dns_next_reply(d->engine, &reply)) {
			any = true;
			deliver(d, &reply);
		}
		while (dns_next_query(d->engine, &query)) {
			any = true;
			exchange_start(d, &query);
		}
	}
}

/* A reply's taker may ask again from inside; that is looked at when it is back. */
void dnsd_pump(struct dnsd *d)
{
	d->again = true;
	if (d->pumping || d->destroyed)
		return;
	d->pumping = true;
	while (d->again && !d->destroyed) {
		d->again = false;
		pump_once(d);
	}
	d->pumping = false;
	if (!d->destroyed)
		io_timer_at(d->loop, &d->timer, dns_deadline(d->engine));
}

static void on_timer(struct io_timer *t)
{
	struct dnsd *d = container_of(t, struct dnsd, timer);

	dns_tick(d->engine, loop_now(d->loop));
	dnsd_pump(d);
}

/* ---- questions ---- */

void dnsd_input_datagram(struct dnsd *d, const struct addrport *from, struct bytes message)
{
	struct dns_client client = { .addr = *from };

	dns_input_query(d->engine, loop_now(d->loop), &client, message);
	dnsd_pump(d);
}

struct dnsd_asking {
	struct client client;
	struct dnsd *d;
	void (*on_answer)(void *arg, struct bytes message);
	void *arg;
};

static void asking_free(struct dnsd_asking *a)
{
	client_remove(a->d, &a->client);
	mem_free(a);
}

static void on_asked(struct client *c, struct bytes message)
{
	struct dnsd_asking *a = container_of(c, struct dnsd_asking, client), copy = *a;

	asking_free(a);
	copy.on_answer(copy.arg, message);
}

struct dnsd_asking *dnsd_ask_for(struct dnsd *d, const struct addrport *from, struct bytes message,
				 void (*on_answer)(void *arg, struct bytes message), void *arg)
{
	struct dnsd_asking *a = mem_alloc(sizeof(*a));
	struct dns_client client = { .addr = *from, .tcp = true };

	a->d = d;
	a->on_answer = on_answer;
	a->arg = arg;
	a->client.on_reply = on_asked;
	client_add(d, &a->client);
	client.token = a->client.id;
	dns_input_query(d->engine, loop_now(d->loop), &client, message);
	dnsd_pump(d);
	return a;
}

struct dnsd_asking *dnsd_ask(struct dnsd *d, struct bytes message,
			     void (*on_answer)(void *arg, struct bytes message), void *arg)
{
	const struct addrport self = { ip_v4(127, 0, 0, 1), 0 };

	return dnsd_ask_for(d, &self, message, on_answer, arg);
}

void dnsd_ask_cancel(struct dnsd_asking *a)
{
	if (a)
		asking_free(a);
}

/* ---- configuration ---- */

static void drop_upstreams(struct upstream *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		mem_free(v[i].host);
		mem_free(v[i].path);
	}
	mem_free(v);
}

static void find_upgrade(const struct dnsd *d, struct upstream *u, struct dnsd_provider *p)
{
	if (u->kind != DNSD_PLAIN || u->at.port != PORT_DNS || d->conf.no_upgrade ||
	    !dnsd_provider_of(u->at.ip, p))
		return;
	u->upgrade = true;
	u->https_only = p->https_only;
}

static struct upstream copy_upstream(const struct dnsd_upstream *from)
{
	return (struct upstream){ .at = from->at,
				  .kind = from->kind,
				  .inside = from->inside,
				  .host = from->host ? mem_strdup(from->host) : NULL,
				  .path = mem_strdup(from->path ? from->path : "/dns-query") };
}

int dnsd_set_conf(struct dnsd *d, const struct dns_conf *conf, const struct dnsd_upstream *list,
		  size_t n, struct err *err)
{
	struct upstream *fresh;

	if (dns_set_conf(d->engine, conf, err) < 0)
		return -1;
	fresh = mem_alloc((n + 1) * sizeof(*fresh));
	for (size_t i = 0; i < n; i++)
		fresh[i] = copy_upstream(&list[i]);
	drop_upstreams(d->upstreams, d->upstream_count);
	d->upstreams = fresh;
	d->upstream_count = n;
	return 0;
}

struct upstream upstream_of(const struct dnsd *d, struct addrport at)
{
	struct upstream u = { .at = at };
	struct dnsd_provider p;

	for (size_t i = 0; i < d->upstream_count; i++)
		if (addrport_equal(d->upstreams[i].at, at)) {
			u = d->upstreams[i];
			break;
		}
	find_upgrade(d, &u, &p);
	return u;
}

const char *dnsd_upstream_text(const struct dnsd *d, struct addrport at, char out[DNSD_TEXT_MAX])
{
	struct upstream u = upstream_of(d, at);
	char text[ADDRPORT_TEXT_MAX];

	if (u.kind == DNSD_HTTPS)
		(void)snprintf(out, DNSD_TEXT_MAX, "https://%s%s", u.host, u.path);
	else if (u.kind == DNSD_TLS)
		(void)snprintf(out, DNSD_TEXT_MAX, "tls://%s", u.host);
	else if (u.kind == DNSD_HTTP)
		(void)snprintf(out, DNSD_TEXT_MAX, "http://%s%s", addrport_format(at, text),
			       u.path);
	else if (at.port == PORT_DNS)
		(void)snprintf(out, DNSD_TEXT_MAX, "%s", ip_format(at.ip, text));
	else
		(void)snprintf(out, DNSD_TEXT_MAX, "%s", addrport_format(at, text));
	return out;
}

const struct dns *dnsd_engine(const struct dnsd *d)
{
	return d->engine;
}

/* ---- ---- */

struct dnsd *dnsd_create(struct loop *loop, const struct dnsd_conf *conf)
{
	struct dnsd *d = mem_alloc(sizeof(*d));

	d->loop = loop;
	d->conf = *conf;
	d->rng = rng_system();
	d->engine = dns_create(d->rng);
	map_init(&d->clients, client_key, NULL);
	list_init(&d->exchanges);
	list_init(&d->fronts);
	list_init(&d->https);
	io_timer_init(&d->timer, on_timer);
	return d;
}

static void drop_clients(struct dnsd *d)
{
	struct client *c;
	size_t it;

	while (it = 0, (c = map_next(&d->clients, &it)))
		asking_free(container_of(c, struct dnsd_asking, client));
}

void dnsd_destroy(struct dnsd *d)
{
	if (!d)
		return;
	d->destroyed = true;
	io_timer_stop(&d->timer);
	exchange_drop_all(d);
	https_drop_all(d);
	front_drop_all(d);
	drop_clients(d); /* only askings are left */
	map_fini(&d->clients);
	drop_upstreams(d->upstreams, d->upstream_count);
	tls_ctx_unref(d->https_ctx);
	tls_ctx_unref(d->tls_ctx);
	dns_destroy(d->engine);
	d->engine = NULL;
	loop_free_later(d->loop, d);
}
