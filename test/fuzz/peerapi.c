/*
 * What a peer asks an exit node: first byte GET (odd) or POST, second the length of one withheld
 * name, then that name, then the message or the value of dns=. What is read stays within its limit,
 * and a refusal is a message about the same question.
 */
#include "node/peerapi_dns.h"

#include <stdlib.h>

#include "io/httpd.h"
#include "wire/schema.h"

static void check_refusal(struct bytes message, const struct dnsmsg_question *q)
{
	uint8_t out[DNSMSG_HEADER_LEN + DNSNAME_MAX + 4];
	struct dnsmsg_question again;
	struct dnsmsg m;
	size_t n = peerapi_dns_refuse(message, q, out, sizeof(out));

	if (!dnsmsg_open(&m, bytes_of(out, n)) || !dnsmsg_question(&m, &again) ||
	    (m.header.flags & DNSMSG_RCODE) != DNSMSG_REFUSED ||
	    !dnsname_equal(&again.name, &q->name) || again.type != q->type)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct reader r = reader_of(bytes_of(data, n));
	bool get = read_u8(&r) & 1;
	struct bytes withheld = read_bytes(&r, read_u8(&r)), rest = read_rest(&r);
	struct text_list set = { .v = &withheld, .n = 1 };
	struct http_header type = { bytes_str("content-type"), bytes_str(PEERAPI_DNS_TYPE) };
	struct http_request req = { .method = bytes_str(get ? "GET" : "POST"),
				    .headers = &type,
				    .header_count = 1 };
	struct dnsmsg_question q;
	struct buf query, message;

	buf_init(&query, n + 8);
	(void)buf_append_str(&query, "dns=");
	(void)buf_append(&query, rest);
	req.query = get ? buf_bytes(&query) : bytes_str("");
	req.body = get ? bytes_str("") : rest;
	buf_init(&message, PEERAPI_DNS_MAX);
	if (!peerapi_dns_read(&req, &message)) {
		if (!message.n || message.n > PEERAPI_DNS_MAX)
			abort();
		if (peerapi_dns_question(buf_bytes(&message), &q)) {
			(void)peerapi_dns_is_filtered(&set, &q.name);
			check_refusal(buf_bytes(&message), &q);
		}
	}
	buf_fini(&message);
	buf_fini(&query);
	return 0;
}
