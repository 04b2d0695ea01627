#include "wire/url.h"

#include "base/mem.h"
#include "kit/kit.h"

static bool parses(const char *text, const char *host, unsigned port, bool tls, const char *target)
{
	struct url url;

	return url_parse(&url, kit_copy(bytes_str(text))) && bytes_equal_str(url.host, host) &&
	       url.port == port && url.tls == tls && bytes_equal_str(url.target, target);
}

static bool is_url(const char *text)
{
	struct url url;

	return url_parse(&url, kit_copy(bytes_str(text)));
}

TEST(url_parts)
{
	struct url url;

	CHECK(parses("https://example.org", "example.org", 443, true, "/"));
	CHECK(
	    parses("http://example.org:8080/a/b?c=d#frag", "example.org", 8080, false, "/a/b?c=d"));
	CHECK(parses("https://[2001:db8::1]:8443/", "2001:db8::1", 8443, true, "/"));
	CHECK(parses("ws://127.0.0.1/x", "127.0.0.1", 80, false, "/x"));
	CHECK(parses("wss://h/?q=a/b", "h", 443, true, "/?q=a/b"));
	CHECK(url_parse(&url, bytes_str("https://h:9/p?q")));
	CHECK(bytes_equal_str(url.authority, "h:9") && bytes_equal_str(url.path, "/p"));
	CHECK(bytes_equal_str(url.scheme, "https"));
}

TEST(url_refused)
{
	static const char *const bad[] = {
		"",
		"example.org",
		"ftp://h/",
		"https://",
		"https:///x",
		"https://h:0/",
		"https://h:65536/",
		"https://h:/",
		"https://h:80x/",
		"https://u@h/",
		"https://u:p@h/",
		"https://a b/",
		"https://h/\x01",
		"https://[::1/",
		"https://[h]/",
		"https://[1.2.3.4]/",
		"https://h?query",
		"HTTPS://h/",
		"https://h\\x/",
		"https://[::1]x/",
		"https://h\xc3\xa9/",
	};
	char longer[URL_MAX + 2];

	for (size_t i = 0; i < array_len(bad); i++)
		CHECK(!is_url(bad[i]));
	memset(longer, 'x', sizeof(longer));
	memcpy(longer, "https://h/", 10);
	longer[URL_MAX] = 0;
	CHECK(is_url(longer));
	longer[URL_MAX] = 'x';
	longer[URL_MAX + 1] = 0;
	CHECK(!is_url(longer));
}

/* The decoded path, or "refused". */
static const char *path(const char *raw, char out[128])
{
	struct bytes in = kit_copy(bytes_str(raw));
	struct writer w = writer_of(out, in.n);

	if (!url_path_decode(in, &w))
		return "refused";
	out[w.n] = 0;
	return out;
}

TEST(url_paths)
{
	char out[128];

	CHECK_STR(path("/", out), "/");
	CHECK_STR(path("/a/b", out), "/a/b");
	CHECK_STR(path("/a/b/", out), "/a/b/");
	CHECK_STR(path("/a%20b%C3%A9", out), "/a b\xc3\xa9");
	CHECK_STR(path("//a///b", out), "/a/b");
	CHECK_STR(path("/./a/././b/.", out), "/a/b/");
	CHECK_STR(path("/a/../b", out), "/b");
	CHECK_STR(path("/a/b/..", out), "/a/");
	CHECK_STR(path("/a/%2e%2e/b", out), "/b");
	CHECK_STR(path("/a/...", out), "/a/...");
	CHECK_STR(path("/..", out), "refused");
	CHECK_STR(path("/a/../..", out), "refused");
	CHECK_STR(path("/a/../../b", out), "refused");
	CHECK_STR(path("/%2e%2e/etc", out), "refused");
	CHECK_STR(path("/%2f", out), "refused");
	CHECK_STR(path("/a%5Cb", out), "refused");
	CHECK_STR(path("/a%00", out), "refused");
	CHECK_STR(path("/a%0d%0a", out), "refused");
	CHECK_STR(path("/a%7f", out), "refused");
	CHECK_STR(path("/a%", out), "refused");
	CHECK_STR(path("/a%2", out), "refused");
	CHECK_STR(path("/a%zz", out), "refused");
	CHECK_STR(path("a", out), "refused");
	CHECK_STR(path("", out), "refused");
}

TEST(url_targets)
{
	struct bytes authority, p, query;

	CHECK(url_target_split(bytes_str("/a?b?c"), &authority, &p, &query));
	CHECK(!authority.n && bytes_equal_str(p, "/a") && bytes_equal_str(query, "b?c"));
	CHECK(url_target_split(bytes_str("http://h:1/a"), &authority, &p, &query));
	CHECK(bytes_equal_str(authority, "h:1") && bytes_equal_str(p, "/a") && !query.n);
	CHECK(url_target_split(bytes_str("*"), &authority, &p, &query));
	CHECK(!url_target_split(bytes_str(""), &authority, &p, &query));
	CHECK(!url_target_split(bytes_str("h:80"), &authority, &p, &query));
	CHECK(!url_target_split(bytes_str("/a#b"), &authority, &p, &query));
	CHECK(!url_target_split(bytes_str("/a b"), &authority, &p, &query));
}

TEST(url_queries)
{
	char out[8];

	CHECK(url_query_get(bytes_str("a=1&b=x+y%21&b=2&c"), "b", out, sizeof(out)));
	CHECK_STR(out, "x y!");
	CHECK(url_query_get(bytes_str("a=1&c"), "c", out, sizeof(out)));
	CHECK_STR(out, "");
	CHECK(!url_query_get(bytes_str("a=1&bb=2"), "b", out, sizeof(out)));
	CHECK(!url_query_get(bytes_str(""), "b", out, sizeof(out)));
	CHECK(!url_query_get(bytes_of(NULL, 0), "b", out, sizeof(out)));
	CHECK(url_query_get(bytes_str("a=1234567"), "a", out, sizeof(out)));
	CHECK(!url_query_get(bytes_str("a=12345678"), "a", out, sizeof(out)));
	CHECK(!url_query_get(bytes_str("a=x%00y"), "a", out, sizeof(out)));
	CHECK(!url_query_get(bytes_str("a=%4"), "a", out, sizeof(out)));
}

TEST(url_percent_encode_round_trip)
{
	uint8_t all[256], back[256];
	struct writer w = writer_of(back, sizeof(back));
	struct buf out;

	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)i;
	buf_init(&out, 4096);
	CHECK(url_percent_encode(bytes_of(all, sizeof(all)), &out));
	CHECK(url_percent_decode(buf_bytes(&out), true, &w));
	CHECK(w.n == 256 && memcmp(all, back, 256) == 0);
	buf_clear(&out);
	url_percent_encode(bytes_str("a b/~"), &out);
	CHECK_STR(buf_cstr(&out), "a%20b%2F~");
	buf_fini(&out);
}
