/* node/peerapi.c - see peerapi.h. */
#include "node/peerapi.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/wall.h"
#include "io/httpd.h"
#include "io/loop.h"
#include "io/sockaddr.h"
#include "io/stream.h"
#include "node/netmap.h"
#include "node/peerapi_at.h"
#include "node/peerapi_dns.h"
#include "node/prefs.h"
#include "node/routes_plan.h"
#include "part/dnsd/dnsd.h"
#include "part/localnet.h"
#include "wire/ippkt.h"

struct peerapi {
	struct loop *loop;
	struct peerapi_conf conf;
	struct localnet *net;
	struct httpd *httpd;
	struct list visitors;
	size_t visitor_count;
	struct netmap *map; /* as applied, or NULL */
	bool is_exit;       /* offered here and approved there */
	struct addrport at[PEERAPI_ADDRESSES_MAX];
	int held[PEERAPI_ADDRESSES_MAX]; /* -1: nothing is reserved */
	size_t count;
};

struct visitor {          /* a connection */
	struct list link; /* peerapi.visitors */
	struct peerapi *p;
	struct addrport local, from;
	int64_t id; /* of the peer's node when it came */
};

struct question { /* under way */
	struct http_exchange *x;
	struct dnsd_asking *asking; /* NULL: dnsd_ask() is on the stack */
	bool answered;
};

/* ---- who ---- */

/* A peer that may speak to us and has this very address; NULL: nobody. */
static const struct tailcfg_node *peer_at(const struct peerapi *p, struct ip ip)
{
	const struct tailcfg_node *n = p->map ? netmap_node_by_ip(p->map, ip) : NULL;

	if (!n || n == netmap_self(p->map) || n->is_jailed ||
	    netmap_node_is_expired(p->map, n, wall_now()))
		return NULL;
	return n;
}

static bool is_ours(const struct peerapi *p, const struct addrport *local)
{
	for (size_t i = 0; i < p->count; i++)
		if (addrport_equal(p->at[i], *local))
			return true;
	return false;
}

static bool has_room(const struct peerapi *p, int64_t id)
{
	size_t n = 0;

	list_each (it, &p->visitors)
		n += list_entry(it, struct visitor, link)->id == id;
	return n < PEERAPI_VISITORS_OF_ONE && p->visitor_count < PEERAPI_VISITORS_MAX;
}

static bool on_ask(void *arg, const struct addrport *local, const struct addrport *peer)
{
	const struct peerapi *p = arg;
	const struct tailcfg_node *n = peer_at(p, peer->ip);

	return n && is_ours(p, local) && has_room(p, n->id);
}

static void on_visitor_gone(void *arg)
{
	struct visitor *v = arg;

	list_remove(&v->link);
	v->p->visitor_count--;
	mem_free(v);
}

static void on_stream(void *arg, struct stream *s, const struct addrport *local,
		      const struct addrport *peer)
{
	struct peerapi *p = arg;
	const struct tailcfg_node *n = peer_at(p, peer->ip);
	struct visitor *v;

	/* Since its first packet much may have changed. */
	if (!n || !has_room(p, n->id)) {
		stream_destroy(s);
		return;
	}
	v = mem_alloc(sizeof(*v));
	*v = (struct visitor){ .p = p, .local = *local, .from = *peer, .id = n->id };
	list_append(&p->visitors, &v->link);
	p->visitor_count++;
	httpd_serve(p->httpd, s, HTTPD_ANY, *peer, v, on_visitor_gone);
}

/* Not of a browser that a web page sent here, nor by a name that somebody pointed at us. */
static bool is_meant_for_us(const struct visitor *v, const struct http_request *req)
{
	struct addrport host;

	if (http_header_get(req, "origin").p || http_header_get(req, "referer").p)
		return false;
	return bytes_equal_str(req->authority, "peer") ||
	       (addrport_parse(&host, req->authority) && addrport_equal(host, v->local));
}

/* The node that asks; NULL: it was refused. */
static const struct tailcfg_node *admit(struct http_exchange *x, const struct http_request *req)
{
	const struct visitor *v = req->conn_arg;
	const struct tailcfg_node *n = peer_at(v->p, v->from.ip);

	http_add_security_headers(x, NULL);
	if (n && n->id == v->id && is_meant_for_us(v, req))
		return n;
	http_reply_text(x, 403, "invalid peerapi request\n");
	return NULL;
}

/* ---- what ---- */

static void put_greeting(struct buf *page, const struct peerapi *p, const struct tailcfg_node *n)
{
	(void)buf_append_str(page, "<!DOCTYPE html>\n<title>Weft</title>\n<h1>Hello, ");
	text_html(page, netmap_node_label(n));
	(void)buf_append_str(page, "</h1>\n<p>This is ");
	text_html(page, netmap_node_label(netmap_self(p->map)));
	(void)buf_append_str(page, ".</p>\n");
}

static void on_root(void *arg, struct http_exchange *x, const struct http_request *req)
{
	const struct tailcfg_node *n = admit(x, req);
	struct buf page;

	if (!n)
		return;
	buf_init(&page, 4096);
	put_greeting(&page, arg, n);
	http_reply(x, 200, "text/html; charset=utf-8", buf_bytes(&page));
	buf_fini(&page);
}

static void on_other(void *arg, struct http_exchange *x, const struct http_request *req)
{
	(void)arg;
	if (admit(x, req))
		http_reply_text(x, 404, "unsupported peerapi path\n");
}

/* ---- DNS for those who use us as exit node ---- */

static void on_answer(void *arg, struct bytes message)
{
	struct question *q = arg;

	q->answered = true;
	http_on_gone(q->x, NULL, NULL);
	http_add_header(q->x, "Cache-Control", "no-store");
	http_reply(q->x, 200, PEERAPI_DNS_TYPE, message);
	if (q->asking)
		mem_free(q);
}

static void on_question_gone(void *arg)
{
	struct question *q = arg;

	dnsd_ask_cancel(q->asking);
	mem_free(q);
}

static void ask(struct peerapi *p, struct http_exchange *x, const struct addrport *from,
		struct bytes message)
{
	struct question *q = mem_alloc(sizeof(*q));

	q->x = x;
	http_on_gone(x, on_question_gone, q);
	q->asking = dnsd_ask_for(p->conf.dnsd, from, message, on_answer, q);
	if (q->answered)
		mem_free(q);
}

/*
 * The network may name what an exit node keeps to itself. And who came in from another tailnet by
 * sharing learns nothing about the names of ours.
 */
static bool is_withheld(const struct peerapi *p, const struct tailcfg_node *n,
			const struct dnsmsg_question *q)
{
	const struct tailcfg_dns *dns = netmap_dns(p->map);
	struct addrport asked[DNS_RESOLVERS_MAX];

	if (dns && peerapi_dns_is_filtered(&dns->exit_node_filtered_set, &q->name))
		return true;
	return !bytes_equal_nocase(netmap_node_suffix(n),
				   netmap_node_suffix(netmap_self(p->map))) &&
	       !dns_resolvers_of(dnsd_engine(p->conf.dnsd), q, asked, DNS_RESOLVERS_MAX);
}

static void answer(struct peerapi *p, struct http_exchange *x, const struct http_request *req,
		   const struct tailcfg_node *n, struct bytes message)
{
	uint8_t refusal[DNSMSG_HEADER_LEN + DNSNAME_MAX + 4];
	struct dnsmsg_question q;

	if (!peerapi_dns_question(message, &q)) {
		http_reply_text(x, 400, "this is no DNS query with one question\n");
		return;
	}
	if (!is_withheld(p, n, &q)) {
		ask(p, x, &((const struct visitor *)req->conn_arg)->from, message);
		return;
	}
	http_reply(x, 200, PEERAPI_DNS_TYPE,
		   bytes_of(refusal, peerapi_dns_refuse(message, &q, refusal, sizeof(refusal))));
}

static const char *refusal_text(unsigned status)
{
	switch (status) {
	case 405:
		return "DNS is asked with GET or POST";
	case 415:
		return "the content type must be " PEERAPI_DNS_TYPE;
	default:
		return "the request carries no DNS message";
	}
}

static void on_dns(void *arg, struct http_exchange *x, const struct http_request *req)
{
	struct peerapi *p = arg;
	const struct tailcfg_node *n = admit(x, req);
	const struct visitor *v = req->conn_arg;
	struct buf message;
	unsigned status;

	if (!n)
		return;
	if (!p->is_exit || !p->conf.may_exit(p->conf.arg, n->id, v->from.ip)) {
		http_reply_text(x, 403, "DNS access denied\n");
		return;
	}
	buf_init(&message, PEERAPI_DNS_MAX);
	status = peerapi_dns_read(req, &message);
	if (status)
		http_reply_text(x, status, "%s\n", refusal_text(status));
	else
		answer(p, x, req, n, buf_bytes(&message));
	buf_fini(&message);
}

/* ---- where ---- */

/*
 * A socket that is bound and never listens: nobody else gets the port, and the kernel takes it for
 * no connection of its own. -1 and EADDRINUSE: somebody has it.
 */
static int hold(struct addrport at, uint16_t *port)
{
	struct sockaddr_storage sa;
	socklen_t len = sockaddr_of(at, &sa);
	bool six = at.ip.family == 6;
	int on = 1, fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	/* The address may come to the interface later than here. */
	(void)setsockopt(fd, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_FREEBIND : IP_FREEBIND,
			 &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&sa, len) == 0 &&
	    getsockname(fd, (struct sockaddr *)&sa, &len) == 0) {
		*port = sockaddr_addrport(&sa).port;
		return fd;
	}
	on = errno;
	(void)close(fd);
	errno = on;
	return -1;
}

/* The port where peers of old would look for us, else the next one, else any. */
static void settle(struct peerapi *p, struct ip ip)
{
	struct addrport at = { ip, peerapi_port(ip, 0) };
	char text[IP_TEXT_MAX];
	int fd = -1;

	for (unsigned i = 0; p->conf.reserve && fd < 0 && i <= PEERAPI_TRIES; i++) {
		struct addrport wish = { ip, i < PEERAPI_TRIES ? peerapi_port(ip, i) : 0 };

		fd = hold(wish, &at.port);
		if (fd < 0 && errno != EADDRINUSE) {
			log_debug(&p->conf.log, "the port at %s is not reserved",
				  ip_format(ip, text));
			break;
		}
	}
	p->held[p->count] = fd;
	p->at[p->count++] = at;
}

static void release(struct peerapi *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->held[i] >= 0)
			(void)close(p->held[i]);
	p->count = 0;
}

static size_t own_addresses(const struct netmap *map, struct ip out[PEERAPI_ADDRESSES_MAX])
{
	const struct prefix_list *list = &netmap_self(map)->addresses;
	size_t n = 0;

	for (uint8_t family = 4; family <= 6; family += 2)
		for (size_t i = 0; i < list->n; i++)
			if (list->v[i].addr.family == family) {
				out[n++] = list->v[i].addr;
				break;
			}
	return n;
}

static bool settle_all(struct peerapi *p, const struct netmap *map)
{
	struct ip own[PEERAPI_ADDRESSES_MAX];
	size_t n = own_addresses(map, own);
	bool same = n == p->count;

	for (size_t i = 0; same && i < n; i++)
		same = ip_equal(own[i], p->at[i].ip);
	if (same)
		return false;
	release(p);
	for (size_t i = 0; i < n; i++)
		settle(p, own[i]);
	return true;
}

bool peerapi_offers_exit(const struct prefs *prefs)
{
	const struct prefix_list *routes = &prefs->v.advertise_routes;
	bool four = false, six = false;

	for (size_t i = 0; i < routes->n; i++)
		if (routes->v[i].len == 0)
			*(routes->v[i].addr.family == 4 ? &four : &six) = true;
	return four && six;
}

bool peerapi_apply(struct peerapi *p, const struct netmap *map, const struct prefs *prefs)
{
	struct netmap *old = p->map;
	bool moved = map && settle_all(p, map);

	p->map = map ? (struct netmap *)netmap_ref(map) : NULL;
	p->is_exit = map && peerapi_offers_exit(prefs) && routes_is_exit_option(netmap_self(map));
	netmap_unref(old);
	return moved;
}

const struct addrport *peerapi_at(const struct peerapi *p, size_t *n)
{
	*n = p->count;
	return p->at;
}

void peerapi_packet(struct peerapi *p, struct bytes packet)
{
	struct ippkt pkt;
	struct addrport to;

	if (!ippkt_parse(&pkt, packet) || pkt.proto != IPPKT_TCP || !pkt.has_ports)
		return;
	to = (struct addrport){ pkt.dst, pkt.dst_port };
	if (is_ours(p, &to))
		(void)localnet_input(p->net, packet);
}

/* ---- ---- */

static void send_packet(void *arg, struct bytes packet)
{
	struct peerapi *p = arg;

	p->conf.send(p->conf.arg, packet);
}

static const struct httpd_route routes[] = {
	{ "GET", "/", on_root, 0 },
	{ NULL, "/dns-query", on_dns, PEERAPI_DNS_MAX },
	{ NULL, "/*", on_other, PEERAPI_DNS_MAX },
};

struct peerapi *peerapi_create(struct loop *loop, const struct peerapi_conf *conf)
{
	struct peerapi *p = mem_alloc(sizeof(*p));
	struct localnet_conf net = {
		.send = send_packet, .on_ask = on_ask, .on_stream = on_stream, .arg = p
	};
	struct httpd_conf http = { .routes = routes,
				   .route_count = array_len(routes),
				   .arg = p,
				   .log = &p->conf.log,
				   .connections_max = PEERAPI_VISITORS_MAX,
				   .streams_max = 8 };

	p->loop = loop;
	p->conf = *conf;
	list_init(&p->visitors);
	p->net = localnet_create(loop, &net);
	p->httpd = httpd_create(loop, &http);
	return p;
}

void peerapi_destroy(struct peerapi *p)
{
	if (!p)
		return;
	httpd_destroy(p->httpd);
	localnet_destroy(p->net);
	release(p);
	netmap_unref(p->map);
	p->map = NULL;
	loop_free_later(p->loop, p);
}
