/* Local answers per second of one core: 1000 hosts, decode to reply, no socket. */
#include <stdio.h>
#include <stdlib.h>

#include "engine/dns/dns.h"
#include "wire/dnsmsg.h"

enum { HOSTS = 1000, QUERIES = 2000000 };

int main(void)
{
	static char names[HOSTS][40];
	static struct ip addrs[HOSTS];
	static struct dns_host hosts[HOSTS];
	static uint8_t queries[HOSTS][64];
	static size_t lens[HOSTS];
	const struct dns_client client = { { { 4, { 100, 64, 0, 1 } }, 9 }, 1, false };
	struct dns_conf conf = { .zone = "tail.example", .hosts = hosts, .host_count = HOSTS };
	struct dns *d = dns_create(rng_seeded(1));
	struct dns_reply reply;
	size_t answered = 0;
	struct mono start;
	double seconds;

	for (int i = 0; i < HOSTS; i++) {
		struct dnsmsg_question q = { .type = DNSMSG_A, .class = DNSMSG_IN };
		struct dnsmsg_out o;

		snprintf(names[i], sizeof(names[i]), "host-%d.tail.example", i);
		addrs[i] = ip_v4_of(0x64400000u + (unsigned)i);
		hosts[i] = (struct dns_host){ names[i], &addrs[i], 1, false };
		dnsname_parse(&q.name, bytes_str(names[i]));
		dnsmsg_begin(&o, queries[i], sizeof(queries[i]), (uint16_t)i, DNSMSG_RD, &q);
		dnsmsg_put_opt(&o, 1232, 0, false);
		lens[i] = dnsmsg_done(&o);
	}
	if (dns_set_conf(d, &conf, NULL) < 0)
		return 1;
	start = mono_now();
	for (int i = 0; i < QUERIES; i++) {
		int h = i % HOSTS;

		dns_input_query(d, start, &client, bytes_of(queries[h], lens[h]));
		while (dns_next_reply(d, &reply))
			answered++;
	}
	seconds = (double)(mono_now().ns - start.ns) / 1e9;
	printf("%zu local answers in %.2f s: %.0f per second\n", answered, seconds,
	       (double)answered / seconds);
	dns_destroy(d);
	return answered == QUERIES ? 0 : 1;
}
