/* Local answers per second of one core, 1000 hosts: by the engine alone, and packet to packet. */
#include <stdio.h>
#include <stdlib.h>

#include "engine/dns/dns.h"
#include "io/loop.h"
#include "part/dnsd/dnsd.h"
#include "part/localnet.h"
#include "wire/dnsmsg.h"
#include "wire/ipbuild.h"

enum { HOSTS = 1000, QUERIES = 2000000 };

struct questions {
	char names[HOSTS][40];
	struct ip addrs[HOSTS];
	struct dns_host hosts[HOSTS];
	uint8_t messages[HOSTS][64];
	size_t lens[HOSTS];
	struct dns_conf conf;
};

static void prepare(struct questions *qs)
{
	for (int i = 0; i < HOSTS; i++) {
		struct dnsmsg_question q = { .type = DNSMSG_A, .class = DNSMSG_IN };
		struct dnsmsg_out o;

		snprintf(qs->names[i], sizeof(qs->names[i]), "host-%d.tail.example", i);
		qs->addrs[i] = ip_v4_of(0x64400000u + (unsigned)i);
		qs->hosts[i] = (struct dns_host){ qs->names[i], &qs->addrs[i], 1, false };
		dnsname_parse(&q.name, bytes_str(qs->names[i]));
		dnsmsg_begin(&o, qs->messages[i], sizeof(qs->messages[i]), (uint16_t)i, DNSMSG_RD,
			     &q);
		dnsmsg_put_opt(&o, 1232, 0, false);
		qs->lens[i] = dnsmsg_done(&o);
	}
	qs->conf =
	    (struct dns_conf){ .zone = "tail.example", .hosts = qs->hosts, .host_count = HOSTS };
}

static void report(const char *what, size_t answered, struct mono start)
{
	double seconds = (double)(mono_now().ns - start.ns) / 1e9;

	printf("%s: %zu local answers in %.2f s: %.0f per second\n", what, answered, seconds,
	       (double)answered / seconds);
}

/* Message in, message out. */
static bool bench_engine(struct questions *qs)
{
	const struct dns_client client = { { { 4, { 100, 64, 0, 1 } }, 9 }, 1, false };
	struct dns *d = dns_create(rng_seeded(1));
	struct mono start = mono_now();
	struct dns_reply reply;
	size_t answered = 0;

	if (dns_set_conf(d, &qs->conf, NULL) < 0)
		return false;
	for (int i = 0; i < QUERIES; i++) {
		int h = i % HOSTS;

		dns_input_query(d, start, &client, bytes_of(qs->messages[h], qs->lens[h]));
		while (dns_next_reply(d, &reply))
			answered++;
	}
	report("engine", answered, start);
	dns_destroy(d);
	return answered == QUERIES;
}

struct node {
	struct localnet *net;
	struct dnsd *dnsd;
	size_t answered;
};

static void on_packet(void *arg, struct bytes packet)
{
	((struct node *)arg)->answered += packet.n > 0;
}

static void on_datagram(void *arg, const struct addrport *local, const struct addrport *peer,
			struct bytes data)
{
	(void)local;
	dnsd_input_datagram(((struct node *)arg)->dnsd, peer, data);
}

static void send_datagram(void *arg, const struct addrport *to, struct bytes message)
{
	static const struct addrport service = { { 4, { 100, 100, 100, 100 } }, 53 };

	(void)localnet_send_datagram(((struct node *)arg)->net, &service, to, message);
}

/* Packet in, packet out: what a node does between two turns with its device. */
static bool bench_packets(struct questions *qs)
{
	static const struct addrport service = { { 4, { 100, 100, 100, 100 } }, 53 };
	static uint8_t packets[HOSTS][128];
	size_t lens[HOSTS];
	struct node n = { 0 };
	struct localnet_conf net = { .send = on_packet, .on_datagram = on_datagram, .arg = &n };
	struct dnsd_conf dns = { .send_datagram = send_datagram, .arg = &n };
	struct loop *loop = loop_create(NULL);
	struct mono start;

	n.net = localnet_create(loop, &net);
	n.dnsd = dnsd_create(loop, &dns);
	if (dnsd_set_conf(n.dnsd, &qs->conf, NULL, 0, NULL) < 0)
		return false;
	for (int i = 0; i < HOSTS; i++) {
		struct addrport from = { ip_v4(100, 64, 0, 1), (uint16_t)(4000 + i) };

		lens[i] = ipbuild_udp(packets[i], sizeof(packets[i]), &from, &service,
				      bytes_of(qs->messages[i], qs->lens[i]));
	}
	start = mono_now();
	for (int i = 0; i < QUERIES; i++)
		(void)localnet_input(n.net, bytes_of(packets[i % HOSTS], lens[i % HOSTS]));
	report("packets", n.answered, start);
	dnsd_destroy(n.dnsd);
	localnet_destroy(n.net);
	loop_turn(loop, false);
	loop_destroy(loop);
	return n.answered == QUERIES;
}

int main(void)
{
	static struct questions qs;

	prepare(&qs);
	return bench_engine(&qs) && bench_packets(&qs) ? 0 : 1;
}
