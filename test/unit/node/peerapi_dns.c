#include "node/peerapi_dns.h"

#include "base/text.h"
#include "io/httpd.h"
#include "kit/kit.h"
#include "wire/schema.h"

static const uint8_t query[] = "\0\7\1\0\0\1\0\0\0\0\0\0\3www\7Example\3org\0\0\1\0\1";
enum { QUERY_LEN = sizeof(query) - 1 };

static unsigned status_of(const char *method, const char *type, const char *params,
			  struct bytes body, struct buf *out)
{
	struct http_header h = { bytes_str("content-type"), bytes_str(type) };
	struct http_request req = { .method = bytes_str(method),
				    .query = bytes_str(params),
				    .headers = &h,
				    .header_count = 1,
				    .body = body };

	buf_clear(out);
	return peerapi_dns_read(&req, out);
}

TEST(peerapi_dns_messages_come_in_two_ways)
{
	struct bytes q = bytes_of(query, QUERY_LEN), none = bytes_str("");
	char params[128] = "x=1&dns=";
	uint8_t long_one[PEERAPI_DNS_MAX + 1] = { 0 };
	struct buf out;

	buf_init(&out, PEERAPI_DNS_MAX);
	CHECK_INT(status_of("POST", PEERAPI_DNS_TYPE, "", q, &out), 0);
	CHECK(bytes_equal(buf_bytes(&out), q));
	CHECK_INT(status_of("POST", "Application/DNS-Message ; v=1", "", q, &out), 0);
	CHECK_INT(status_of("POST", "application/json", "", q, &out), 415);
	CHECK_INT(status_of("POST", "", "", q, &out), 415);
	CHECK_INT(status_of("POST", PEERAPI_DNS_TYPE, "", none, &out), 400);
	CHECK_INT(
	    status_of("POST", PEERAPI_DNS_TYPE, "", bytes_of(long_one, PEERAPI_DNS_MAX), &out), 0);
	CHECK_INT(
	    status_of("POST", PEERAPI_DNS_TYPE, "", bytes_of(long_one, sizeof(long_one)), &out),
	    400);
	CHECK_INT(status_of("PUT", PEERAPI_DNS_TYPE, "", q, &out), 405);

	text_base64(BASE64_URL, q, params + strlen(params));
	CHECK_INT(status_of("GET", "", params, none, &out), 0);
	CHECK(bytes_equal(buf_bytes(&out), q));
	CHECK_INT(status_of("GET", "", "dns=AAA=", none, &out), 0); /* padded: clients do that */
	CHECK_INT(status_of("GET", "", "dns=", none, &out), 400);
	CHECK_INT(status_of("GET", "", "dns=====", none, &out), 400);
	CHECK_INT(status_of("GET", "", "dns=a+b/", none, &out), 400);
	CHECK_INT(status_of("GET", "", "q=www.example.org", none, &out), 400);
	buf_fini(&out);
}

TEST(peerapi_dns_one_question_about_the_internet)
{
	struct dnsmsg_question q;
	uint8_t m[QUERY_LEN];

	CHECK(peerapi_dns_question(kit_copy(bytes_of(query, QUERY_LEN)), &q));
	CHECK_INT(q.type, DNSMSG_A);
	for (size_t n = 0; n < QUERY_LEN; n++)
		CHECK(!peerapi_dns_question(kit_copy(bytes_of(query, n)), &q));
	for (int i = 0; i < 4; i++) {
		static const struct {
			uint8_t at, value;
		} change[] = { { 2, 0x81 }, { 2, 0x28 }, { 5, 2 }, { QUERY_LEN - 1, 3 } };

		memcpy(m, query, sizeof(m));
		m[change[i].at] = change[i].value; /* a reply, an update, two of them, CHAOS */
		CHECK(!peerapi_dns_question(bytes_of(m, sizeof(m)), &q));
	}
}

static bool is_filtered(const char *listed, const char *text)
{
	struct bytes v[2] = { bytes_str("other.example"), bytes_str(listed) };
	struct text_list set = { .v = v, .n = 2 };
	struct dnsname name;

	CHECK(dnsname_parse(&name, bytes_str(text)));
	return peerapi_dns_is_filtered(&set, &name);
}

TEST(peerapi_dns_names_that_are_withheld)
{
	CHECK(is_filtered("corp.example", "Corp.Example"));
	CHECK(!is_filtered("corp.example", "a.corp.example"));
	CHECK(is_filtered(".corp.example", "a.b.corp.example"));
	CHECK(!is_filtered(".corp.example", "corp.example")); /* something must be before it */
	CHECK(!is_filtered(".corp.example", "xcorp.example"));
	CHECK(!is_filtered("", "corp.example"));
	CHECK(!is_filtered(".", "corp.example"));
	CHECK(!is_filtered("..", "corp.example"));
}

TEST(peerapi_dns_refusals)
{
	uint8_t out[DNSMSG_HEADER_LEN + DNSNAME_MAX + 4];
	struct dnsmsg_question q;
	struct dnsmsg m;
	size_t n;

	CHECK(peerapi_dns_question(bytes_of(query, QUERY_LEN), &q));
	n = peerapi_dns_refuse(bytes_of(query, QUERY_LEN), &q, out, sizeof(out));
	CHECK_INT(n, QUERY_LEN);
	CHECK(dnsmsg_open(&m, bytes_of(out, n)));
	CHECK_INT(m.header.id, 7);
	CHECK_INT(m.header.flags, DNSMSG_QR | DNSMSG_RD | DNSMSG_REFUSED);
}
