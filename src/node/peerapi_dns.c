/* node/peerapi_dns.c - see peerapi_dns.h. */
#include "node/peerapi_dns.h"

#include "base/text.h"
#include "io/httpd.h"
#include "wire/schema.h"

/* "application/dns-message; whatever" */
static bool is_message_type(struct bytes type)
{
	struct bytes kind;

	return text_split(&type, ';', &kind) &&
	       bytes_equal_nocase(text_trim(kind), bytes_str(PEERAPI_DNS_TYPE));
}

static unsigned read_get(const struct http_request *req, struct buf *out)
{
	char text[TEXT_BASE64_LEN(PEERAPI_DNS_MAX) + 1];
	struct bytes value;

	if (!http_query_get(req, "dns", text, sizeof(text)))
		return 400;
	value = bytes_str(text);
	while (value.n && value.p[value.n - 1] == '=') /* not allowed, and seen */
		value.n--;
	return value.n && text_unbase64(BASE64_URL, value, out) ? 0 : 400;
}

unsigned peerapi_dns_read(const struct http_request *req, struct buf *out)
{
	if (bytes_equal_str(req->method, "GET"))
		return read_get(req, out);
	if (!bytes_equal_str(req->method, "POST"))
		return 405;
	if (!is_message_type(http_header_get(req, "content-type")))
		return 415;
	return req->body.n && req->body.n <= PEERAPI_DNS_MAX && buf_append(out, req->body) ? 0
											   : 400;
}

bool peerapi_dns_question(struct bytes message, struct dnsmsg_question *q)
{
	struct dnsmsg m;

	return dnsmsg_open(&m, message) && !(m.header.flags & (DNSMSG_QR | DNSMSG_OPCODE)) &&
	       m.header.questions == 1 && dnsmsg_question(&m, q) && q->class == DNSMSG_IN;
}

bool peerapi_dns_is_filtered(const struct text_list *set, const struct dnsname *name)
{
	for (size_t i = 0; i < set->n; i++) {
		struct bytes text = set->v[i];
		bool below = text.n > 1 && text.p[0] == '.';
		struct dnsname listed;

		if (!dnsname_parse(&listed, below ? bytes_from(text, 1) : text) || listed.n == 1)
			continue; /* no name is like that, or all of them are */
		if (dnsname_equal(name, &listed)
			? !below
			: below && dnsname_is_under(dnsname_bytes(name), dnsname_bytes(&listed)))
			return true;
	}
	return false;
}

size_t peerapi_dns_refuse(struct bytes message, const struct dnsmsg_question *q, uint8_t *out,
			  size_t cap)
{
	struct dnsmsg_out o;
	struct dnsmsg m;

	if (!dnsmsg_open(&m, message))
		return 0;
	dnsmsg_begin(&o, out, cap, m.header.id,
		     (uint16_t)(DNSMSG_QR | (m.header.flags & DNSMSG_RD) | DNSMSG_REFUSED), q);
	return dnsmsg_done(&o);
}
