/* The PeerAPI as a peer meets it: packets in, packets out, with a client of a few lines. */
#include "node/peerapi.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "engine/microtcp/microtcp_impl.h"
#include "io/loop.h"
#include "kit/kit.h"
#include "maps.h"
#include "node/peerapi_at.h"
#include "part/dnsd/dnsd.h"
#include "wire/dnsmsg.h"

enum { TURNS = 20 };

#define EXIT_SELF ",\"AllowedIPs\":[\"100.64.0.1/32\",\"0.0.0.0/0\",\"::/0\"]"
#define EXIT_PREFS "{\"AdvertiseRoutesSet\":true,\"AdvertiseRoutes\":[\"0.0.0.0/0\",\"::/0\"]}"
#define DOH                                                                                        \
	"POST /dns-query HTTP/1.1\r\nHost: peer\r\nContent-Type: application/dns-message\r\n"      \
	"Content-Length: "

struct world {
	struct loop *loop;
	struct dnsd *dnsd;
	struct peerapi *p;
	struct netmap *map;
	struct prefs *prefs;
	bool may;
	int64_t asked_for;
	/* the last thing said to the client, and all its data */
	struct segment last;
	unsigned segments;
	char data[8192];
	size_t n;
};

static bool may_exit(void *arg, int64_t node_id, struct ip from)
{
	struct world *w = arg;

	(void)from;
	w->asked_for = node_id;
	return w->may;
}

static void on_packet(void *arg, struct bytes packet)
{
	struct world *w = arg;
	struct segment s;

	CHECK(segment_decode(&s, packet));
	w->segments++;
	if (s.data.n && w->n + s.data.n < sizeof(w->data))
		memcpy(w->data + w->n, s.data.p, s.data.n);
	w->n += s.data.n;
	w->data[w->n] = '\0';
	s.data = bytes_str("");
	w->last = s;
}

static void world_apply(struct world *w, const char *self, const char *peers, const char *prefs)
{
	netmap_unref(w->map);
	if (w->prefs)
		prefs_destroy(w->prefs);
	w->map = maps_make(self, peers);
	w->prefs = maps_prefs(prefs);
	(void)peerapi_apply(w->p, w->map, w->prefs);
}

static void world_init(struct world *w, const char *self, const char *peers, const char *prefs)
{
	struct dnsd_conf dns = { .no_upgrade = true };
	struct peerapi_conf conf = { .may_exit = may_exit, .send = on_packet, .arg = w };
	struct dns_host host = { .name = "db.tail.net.", .addr_count = 1 };
	struct ip ip = ip_v4(100, 64, 0, 9);
	struct dns_conf names = { .zone = "tail.net", .hosts = &host, .host_count = 1 };
	struct err err;

	*w = (struct world){ .may = true };
	host.addrs = &ip;
	w->loop = loop_create(&err);
	w->dnsd = dnsd_create(w->loop, &dns);
	CHECK(dnsd_set_conf(w->dnsd, &names, NULL, 0, &err) == 0);
	conf.dnsd = w->dnsd;
	w->p = peerapi_create(w->loop, &conf);
	world_apply(w, self, peers, prefs);
}

static void world_fini(struct world *w)
{
	peerapi_destroy(w->p);
	dnsd_destroy(w->dnsd);
	netmap_unref(w->map);
	prefs_destroy(w->prefs);
	loop_turn(w->loop, false);
	loop_destroy(w->loop);
}

static void say(struct world *w, const struct addrport *from, uint32_t seq, uint32_t ack,
		uint8_t flags, struct bytes data)
{
	struct addrport to = { ip_v4(100, 64, 0, 1), peerapi_port(ip_v4(100, 64, 0, 1), 0) };
	struct outgoing o = { .local = from,
			      .peer = &to,
			      .seq = seq,
			      .ack = ack,
			      .flags = flags,
			      .window = 65535,
			      .mss = flags & TCP_SYN ? 1240 : 0,
			      .data = data };
	uint8_t packet[MICROTCP_PACKET_MAX];

	peerapi_packet(w->p, segment_encode(&o, packet));
	for (int i = 0; i < TURNS; i++)
		loop_turn(w->loop, false);
}

static bool opens(struct world *w, uint8_t host, uint16_t port)
{
	struct addrport from = { ip_v4(100, 64, 0, host), port };

	w->segments = 0;
	say(w, &from, 100, 0, TCP_SYN, bytes_str(""));
	if (!w->segments || w->last.flags != (TCP_SYN | TCP_ACK))
		return false;
	say(w, &from, 101, w->last.seq + 1, TCP_ACK, bytes_str(""));
	return true;
}

/* What a request of 100.64.0.host is answered with; 0: not at all. */
static int asks(struct world *w, uint8_t host, struct bytes request)
{
	static uint16_t port = 40000;
	struct addrport from = { ip_v4(100, 64, 0, host), ++port };
	uint32_t ack;
	int status = 0;

	w->segments = 0;
	w->n = 0;
	say(w, &from, 100, 0, TCP_SYN, bytes_str(""));
	if (!w->segments || w->last.flags != (TCP_SYN | TCP_ACK))
		return 0;
	ack = w->last.seq + 1;
	say(w, &from, 101, ack, TCP_ACK | TCP_PSH, request);
	if (sscanf(w->data, "HTTP/1.1 %d", &status) != 1)
		status = 0;
	say(w, &from, 101 + (uint32_t)request.n, ack, TCP_RST, bytes_str(""));
	return status;
}

static int asks_text(struct world *w, uint8_t host, const char *request)
{
	return asks(w, host, bytes_str(request));
}

/* The code of the answer about that name; -1: HTTP said no. */
static int resolves(struct world *w, uint8_t host, const char *name)
{
	struct dnsmsg_question q = { .type = DNSMSG_A, .class = DNSMSG_IN };
	uint8_t message[512];
	struct dnsmsg_out o;
	struct dnsmsg m;
	struct buf request;
	const char *body;
	size_t n;
	int status;

	CHECK(dnsname_parse(&q.name, bytes_str(name)));
	dnsmsg_begin(&o, message, sizeof(message), 7, DNSMSG_RD, &q);
	n = dnsmsg_done(&o);
	buf_init(&request, 4096);
	(void)buf_printf(&request, DOH "%zu\r\n\r\n", n);
	(void)buf_append(&request, bytes_of(message, n));
	status = asks(w, host, buf_bytes(&request));
	buf_fini(&request);
	body = strstr(w->data, "\r\n\r\n");
	if (status != 200 || !body)
		return -1;
	n = w->n - (size_t)(body + 4 - w->data);
	return CHECK(dnsmsg_open(&m, bytes_of(body + 4, n))) ? m.header.flags & DNSMSG_RCODE : -2;
}

TEST(peerapi_greets_peers_and_nobody_else)
{
	struct world w;
	struct addrport self = { ip_v4(100, 64, 0, 1), 4000 };

	world_init(&w, "",
		   MAPS_PEER(2, "", "") "," MAPS_PEER(3, "", ",\"IsJailed\":true") "," MAPS_PEER(
		       4, "", ",\"Expired\":true"),
		   "{}");
	CHECK_INT(asks_text(&w, 2, "GET / HTTP/1.1\r\nHost: peer\r\n\r\n"), 200);
	CHECK(strstr(w.data, "Hello, p2") != NULL);
	CHECK_INT(asks_text(&w, 2, "HEAD / HTTP/1.1\r\nHost: peer\r\n\r\n"), 200);
	CHECK_INT(asks_text(&w, 3, "GET / HTTP/1.1\r\nHost: peer\r\n\r\n"), 0);
	CHECK_INT(asks_text(&w, 4, "GET / HTTP/1.1\r\nHost: peer\r\n\r\n"), 0);
	CHECK_INT(asks_text(&w, 5, "GET / HTTP/1.1\r\nHost: peer\r\n\r\n"), 0);
	w.segments = 0;
	say(&w, &self, 1, 0, TCP_SYN, bytes_str(""));
	CHECK(w.last.flags & TCP_RST);
	(void)peerapi_apply(w.p, NULL, w.prefs);
	CHECK_INT(asks_text(&w, 2, "GET / HTTP/1.1\r\nHost: peer\r\n\r\n"), 0);
	world_fini(&w);
}

TEST(peerapi_wants_to_be_meant)
{
	char request[256];
	struct world w;

	world_init(&w, "", MAPS_PEER(2, "", ""), "{}");
	(void)snprintf(request, sizeof(request), "GET / HTTP/1.1\r\nHost: 100.64.0.1:%u\r\n\r\n",
		       peerapi_port(ip_v4(100, 64, 0, 1), 0));
	CHECK_INT(asks_text(&w, 2, request), 200);
	CHECK_INT(asks_text(&w, 2, "GET / HTTP/1.1\r\nHost: 100.64.0.1:80\r\n\r\n"), 403);
	CHECK_INT(asks_text(&w, 2, "GET / HTTP/1.1\r\nHost: rebound.example\r\n\r\n"), 403);
	CHECK_INT(asks_text(&w, 2, "GET / HTTP/1.1\r\nHost: peer\r\nOrigin: null\r\n\r\n"), 403);
	CHECK_INT(asks_text(&w, 2, "GET / HTTP/1.1\r\nHost: peer\r\nReferer: http://x/\r\n\r\n"),
		  403);
	CHECK_INT(asks_text(&w, 2, "GET /v0/metrics HTTP/1.1\r\nHost: peer\r\n\r\n"), 404);
	CHECK(strstr(w.data, "unsupported peerapi path") != NULL);
	CHECK_INT(
	    asks_text(&w, 2, "PUT /v0/put/a HTTP/1.1\r\nHost: peer\r\nContent-Length: 1\r\n\r\nx"),
	    404);
	world_fini(&w);
}

TEST(peerapi_names_are_for_users_of_an_exit_node)
{
	struct world w;

	world_init(&w, "", MAPS_PEER(2, "", ""), "{}");
	CHECK_INT(resolves(&w, 2, "db.tail.net"), -1);
	world_apply(&w, EXIT_SELF, MAPS_PEER(2, "", ""), "{}"); /* approved, not offered any more */
	CHECK_INT(resolves(&w, 2, "db.tail.net"), -1);
	world_apply(&w, "", MAPS_PEER(2, "", ""), EXIT_PREFS); /* offered, not approved */
	CHECK_INT(resolves(&w, 2, "db.tail.net"), -1);
	CHECK_INT(w.asked_for, 0);
	world_apply(&w, EXIT_SELF, MAPS_PEER(2, "", ""), EXIT_PREFS);
	CHECK_INT(resolves(&w, 2, "db.tail.net"), DNSMSG_NOERROR);
	CHECK_INT(w.asked_for, 2);
	CHECK_INT(resolves(&w, 2, "no.tail.net"), DNSMSG_NXDOMAIN);
	w.may = false;
	CHECK_INT(resolves(&w, 2, "db.tail.net"), -1);
	CHECK(strstr(w.data, "HTTP/1.1 403") == w.data);
	w.may = true;
	CHECK_INT(asks_text(&w, 2, DOH "4097\r\n\r\n"), 413);
	CHECK_INT(asks_text(&w, 2, DOH "3\r\n\r\nabc"), 400);
	world_fini(&w);
}

TEST(peerapi_strangers_learn_no_names_of_the_tailnet)
{
	static const char shared[] =
	    "{\"ID\":8,\"StableID\":\"n8\",\"Name\":\"x.other.net.\",\"Key\":"
	    "\"nodekey:" MAPS_HEX(8) "\",\"Addresses\":[\"100.64.0.8/32\"]}";
	struct world w;

	world_init(&w, EXIT_SELF, shared, EXIT_PREFS);
	CHECK_INT(resolves(&w, 8, "db.tail.net"), DNSMSG_REFUSED);
	world_fini(&w);
}

TEST(peerapi_connections_of_one_peer_are_bounded)
{
	struct world w;

	world_init(&w, "", MAPS_PEER(2, "", "") "," MAPS_PEER(3, "", ""), "{}");
	for (uint16_t i = 0; i < PEERAPI_VISITORS_OF_ONE; i++)
		CHECK(opens(&w, 2, (uint16_t)(2000 + i)));
	CHECK(!opens(&w, 2, 1999));
	CHECK(opens(&w, 3, 1999));
	world_fini(&w);
}

TEST(peerapi_ports_stay_and_move_with_addresses)
{
	struct world w;
	const struct addrport *at;
	size_t n;

	world_init(&w, "", "", "{}");
	at = peerapi_at(w.p, &n);
	CHECK(n == 2 && at[0].ip.family == 4 && at[1].ip.family == 6);
	CHECK_INT(at[0].port, peerapi_port(ip_v4(100, 64, 0, 1), 0));
	CHECK(!peerapi_apply(w.p, w.map, w.prefs));
	CHECK(!peerapi_apply(w.p, NULL, w.prefs));
	(void)peerapi_at(w.p, &n);
	CHECK_INT(n, 2);
	world_fini(&w);
}
