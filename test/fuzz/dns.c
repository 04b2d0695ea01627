/*
 * Steps of one byte of kind, one of length and that many bytes: a client's message, an answer to
 * what was asked last (its id, port and question put in), or time.
 */
#include "engine/dns/dns.h"

#include <stdlib.h>

#include "wire/dnsmsg.h"

static struct dns *make(void)
{
	static const struct addrport up[2] = { { { 4, { 192, 0, 2, 1 } }, 53 },
					       { { 4, { 192, 0, 2, 2 } }, 53 } };
	static const struct ip addr = { 4, { 100, 64, 0, 1 } };
	const struct dns_host host = { "a.z", &addr, 1, true };
	const struct dns_conf conf = {
		.zone = "z", .hosts = &host, .host_count = 1, .resolvers = up, .resolver_count = 2
	};
	struct dns *d = dns_create(rng_seeded(1));

	if (dns_set_conf(d, &conf, NULL) < 0)
		abort();
	return d;
}

/* The step's bytes: flags and counts of the header, then what follows the question. */
static void answer(struct dns *d, struct mono now, const struct dns_query *q, struct bytes in)
{
	size_t question = q->n - DNSMSG_HEADER_LEN - DNSMSG_OPT_LEN;
	uint8_t *p = malloc(q->n + in.n + 16);
	struct writer w = writer_of(p, q->n + in.n + 16);
	uint8_t head[10] = { 0 };

	memcpy(head, in.p, in.n < 10 ? in.n : 10);
	write_copy(&w, q->message, 2);
	write_copy(&w, head, 10);
	write_copy(&w, q->message + DNSMSG_HEADER_LEN, question);
	write_bytes(&w, bytes_from(in, 10));
	dns_input_answer(d, now, q->resolver, q->port, q->tcp, bytes_of(p, w.n));
	free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct dns_client client = { { { 4, { 100, 64, 0, 1 } }, 9 }, 1, false };
	struct reader r = reader_of(bytes_of(data, n));
	struct dns *d = make();
	struct dns_query last = { 0 };
	struct mono now = { 1000000000 };
	struct dns_reply reply;
	struct dnsmsg m;

	while (reader_left(&r) > 1) {
		uint8_t kind = read_u8(&r), len = read_u8(&r);
		struct bytes body = read_bytes(&r, len < reader_left(&r) ? len : reader_left(&r));

		client.tcp = kind & 4;
		if ((kind & 3) == 0)
			dns_input_query(d, now, &client, body);
		else if ((kind & 3) == 1 && last.n)
			answer(d, now, &last, body);
		else
			now = mono_add_ms(now, (int64_t)len * (kind & 8 ? 1000 : 10));
		dns_tick(d, now);
		while (dns_next_query(d, &last))
			;
		while (dns_next_reply(d, &reply))
			if (!dnsmsg_open(&m, reply.message) || !(m.header.flags & DNSMSG_QR) ||
			    (!reply.to.tcp && reply.message.n > DNS_CLIENT_SIZE_MAX))
				abort();
	}
	dns_destroy(d);
	return 0;
}
