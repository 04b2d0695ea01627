/* DNS settings one member at a time, and what a node gets of them. */
#include "kit/kit.h"

#include "control_bench.h"

static bool has(const char *text, const char *what)
{
	return text && strstr(text, what);
}

TEST(dns_settings_are_edited_one_by_one)
{
	struct bench b;

	bench_start(&b);
	CHECK(has(bench_command(&b, "dns nameservers 1.1.1.1 [2001:db8::1]:53", NULL),
		  "\"Resolvers\":[{\"Addr\":\"1.1.1.1\"},{\"Addr\":\"[2001:db8::1]:53\"}]"));
	CHECK(has(bench_command(&b, "dns override off", NULL),
		  "\"FallbackResolvers\":[{\"Addr\":\"1.1.1.1\"}"));
	CHECK(!has(bench_command(&b, "dns get", NULL), "\"Resolvers\""));
	CHECK(has(bench_command(&b, "dns nameservers 9.9.9.9", NULL),
		  "\"FallbackResolvers\":[{\"Addr\":\"9.9.9.9\"}]"));
	CHECK(has(bench_command(&b, "dns override on", NULL),
		  "\"Resolvers\":[{\"Addr\":\"9.9.9.9\"}]"));
	CHECK(has(bench_command(&b, "dns split corp.example 10.0.0.53 tls://10.0.0.54", NULL),
		  "\"corp.example\":[{\"Addr\":\"10.0.0.53\"},{\"Addr\":\"tls://10.0.0.54\"}]"));
	CHECK(has(bench_command(&b, "dns search a.example b.example", NULL),
		  "\"Domains\":[\"a.example\",\"b.example\"]"));
	CHECK(has(bench_command(&b, "dns record add x.example 10.1.1.1", NULL), "10.1.1.1"));
	CHECK(has(bench_command(&b, "dns record add x.example fd00::1", NULL), "\"AAAA\""));
	bench_restart(&b); /* all of it is on disk */
	CHECK(has(bench_command(&b, "dns record remove x.example fd00::1", NULL), "10.1.1.1"));
	CHECK(has(bench_command(&b, "dns split corp.example none", NULL), "10.1.1.1"));
	CHECK(!has(bench_command(&b, "dns get", NULL), "corp.example"));
	CHECK(!has(bench_command(&b, "dns record remove X.example", NULL), "10.1.1.1"));
	bench_stop(&b);
}

TEST(wrong_dns_settings_are_refused_with_a_sentence)
{
	static const char *const wrong[][2] = {
		{ "dns nameservers one.two", "no address" },
		{ "dns override on", "there are no resolvers" },
		{ "dns override perhaps", "on or off" },
		{ "dns split .. 1.1.1.1", "no domain" },
		{ "dns split corp.example", "usage" },
		{ "dns record add x.example", "address" },
		{ "dns record add x.example 10.0.0", "address" },
		{ "dns record remove x.example", "no such record" },
		{ "dns record move x.example", "add or remove" },
		{ "dns search a..b", "no domain" },
	};
	struct bench b;

	bench_start(&b);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CHECK(has(bench_command(&b, wrong[i][0], NULL), wrong[i][1]));
	CHECK_STR(bench_command(&b, "dns get", NULL), "{}");
	bench_stop(&b);
}
