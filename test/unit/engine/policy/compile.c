/* What a policy may say: each mistake has its words and its place, and changes nothing. */
#include <stdio.h>

#include "base/json.h"
#include "base/mem.h"
#include "engine/policy/policy.h"
#include "kit/kit.h"

static const struct policy_user users[] = {
	{ .id = 1, .login = { (const uint8_t *)"alice@example.com", 17 }, .role = POLICY_OWNER },
	{ .id = 2, .login = { (const uint8_t *)"bob@example.com", 15 } },
	{ .id = 3,
	  .login = { (const uint8_t *)"twin@example.com", 16 },
	  .name = { (const uint8_t *)"twin", 4 } },
	{ .id = 4,
	  .login = { (const uint8_t *)"twin@example.org", 16 },
	  .name = { (const uint8_t *)"twin", 4 } },
};

static struct policy_directory directory(void)
{
	static const struct bytes domain = { (const uint8_t *)"example.com", 11 };

	return (struct policy_directory){
		.users = users, .n_users = array_len(users), .domains = &domain, .n_domains = 1
	};
}

static struct policy *compile(struct bytes text, struct policy_report *report)
{
	struct policy_directory dir = directory();

	policy_report_init(report);
	return policy_compile(text, &dir, report);
}

/* Where a place of the report lies in the text. */
static const char *place(const char *text, const struct policy_issue *i)
{
	for (unsigned line = 1; line < i->line; line++)
		text = strchr(text, '\n') + 1;
	return i->line ? text + i->column - 1 : "";
}

/* Refused with these words where `at` stands; a suggestion holding hint, where one is expected. */
static void refused(const char *text, const char *words, const char *at, const char *hint)
{
	struct policy_report report;
	struct policy *p = compile(bytes_str(text), &report);

	if (CHECK(!p && report.errors == 1)) {
		const struct policy_issue *i = &report.issues[report.n - 1];

		if (!CHECK(strstr(i->message, words) != NULL))
			(void)printf("# %s\n# %s\n", text, i->message);
		if (!CHECK(strncmp(place(text, i), at, strlen(at)) == 0))
			(void)printf("# %s: at %u:%u\n", text, i->line, i->column);
		if (hint && !CHECK(strstr(i->suggestion, hint) != NULL))
			(void)printf("# %s: suggests \"%s\"\n", text, i->suggestion);
	}
	policy_unref(p);
	policy_report_fini(&report);
}

static void accepted(const char *text)
{
	struct policy_report report;
	struct policy *p = compile(bytes_str(text), &report);

	if (!CHECK(p != NULL))
		(void)printf("# %s\n# %s\n", text, policy_report_message(&report));
	policy_unref(p);
	policy_report_fini(&report);
}

TEST(structure_mistakes_have_a_place)
{
	refused("{\n  \"acl\": []\n}", "unknown field: \"acl\"", "\"acl\": []", "acls");
	refused("{\"grants\": [{\"src\": [\"*\"], \"dts\": [\"*\"], \"ip\": [\"*\"]}]}",
		"unknown field: \"dts\"", "\"dts\": [\"*\"], \"ip\": [\"", "dst");
	refused("{\"groups\": {},\n \"groups\": {}}", "duplicate key: \"groups\"",
		"\"groups\": {}}", NULL);
	refused("{\"acls\": [], \"ACLs\": []}", "duplicate key", "\"ACLs\": []}", NULL);
	refused("{\"acls\": 1}", "acls must be an array, not a number", "1}", NULL);
	refused("[]", "a policy is an object", "[]", NULL);
	refused("{\"acls\": [", "hujson: line 1, column 10", "[", NULL);
	refused("{\"acls\": [\"\x01\"]}", "hujson: line 1, column 12", "\x01\"]}", NULL);
	refused("{\"groups\": {\"eng\": []}}", "group must start with 'group:', got: \"eng\"",
		"\"eng\": []}}", NULL);
	refused("{\"groups\": {\"group:a\": \"alice@example.com\"}}",
		"group value must be an array of users: group \"group:a\" got string",
		"\"alice@example.com\"}}", NULL);
	refused("{\"groups\": {\"group:a\": [\"alice\"]}}",
		"username must contain @, got: \"alice\"", "\"alice\"]}}", NULL);
	refused("{\"groups\": {\"group:a\": [\"group:b\"], \"group:b\": [\"group:c\"], "
		"\"group:c\": []}}",
		"groups[\"group:b\"]: \"group:c\": group members cannot be recursive",
		"\"group:c\"], \"group:c\":", NULL);
	refused("{\"hosts\": {\"a:b\": \"10.0.0.1\"}}", "invalid hostname: \"a:b\"",
		"\"a:b\": \"10.0.0.1\"}}", NULL);
	refused("{\"hosts\": {\"a\": \"10.0.0\"}}", "hostname contains invalid IP address",
		"\"10.0.0\"}}", NULL);
	refused("{\"tagOwners\": {\"tag:a\": [\"tag:b\"]}}",
		"tag \"tag:a\" references undefined tag \"tag:b\"", "\"tag:b\"]}}", NULL);
	refused("{\"tagOwners\": {\"tag:a\": [\"twin@\"]}}",
		"multiple users found: token \"twin@\"", "\"twin@\"]}}", NULL);
}

#define GRANT(src, dst, rest)                                                                      \
	"{\"tagOwners\":{\"tag:web\":[]},\"grants\":[{\"src\":[\"" src "\"],\"dst\":[\"" dst       \
	"\"]," rest "}]}"
#define ACL(src, dst, rest)                                                                        \
	"{\"tagOwners\":{\"tag:web\":[]},\"acls\":[{\"action\":\"accept\",\"src\":[\"" src         \
	"\"],\"dst\":[\"" dst "\"]" rest "}]}"

TEST(selectors_in_rules)
{
	refused(GRANT("tag:wbe", "*", "\"ip\":[\"*\"]"), "src=tag not found: \"tag:wbe\"",
		"\"tag:wbe\"],\"dst\":[\"*\"]", "tag:web");
	refused(ACL("*", "tag:wbe:22", ""), "dst=\"tag:wbe\": tag not found: \"tag:wbe\"",
		"\"tag:wbe:22\"]}]}", "tag:web");
	refused(GRANT("*", "tag:x", "\"ip\":[\"*\"]"), "tag not found: \"tag:x\"",
		"\"tag:x\"],\"ip\":[\"*\"]}]}", NULL);
	refused(GRANT("group:x", "*", "\"ip\":[\"*\"]"), "group not defined in policy: \"group:x\"",
		"\"group:x\"],\"dst\":[\"*\"]", NULL);
	refused(GRANT("nohost", "*", "\"ip\":[\"*\"]"), "host not defined in policy: \"nohost\"",
		"\"nohost\"],\"dst\":[\"*\"],", NULL);
	refused(GRANT("autogroup:membr", "*", "\"ip\":[\"*\"]"), "invalid autogroup: got",
		"\"autogroup:membr\"],\"ds", "autogroup:member");
	refused(GRANT("x:y", "*", "\"ip\":[\"*\"]"), "invalid alias format: \"x:y\"",
		"\"x:y\"],\"dst\":[\"*\"],\"ip", NULL);
	refused(GRANT("user:*@example.net", "*", "\"ip\":[\"*\"]"),
		"example.net is not associated with this Tailnet", "\"user:*@example.net\"],",
		NULL);
	refused(GRANT("svc:web", "*", "\"ip\":[\"*\"]"), "not valid on the src side of a rule",
		"\"svc:web\"],\"dst\":[\"*\"]", NULL);
	accepted(GRANT("  tag:web\\t", " * ", "\"ip\":[\"*\"]"));
	accepted(GRANT("user:*@example.com", "svc:web", "\"ip\":[\"*\"]"));
	accepted(GRANT("nobody@example.com", "twin@example.org", "\"ip\":[\"*\"]"));
	refused(
	    "{\"acls\":[{\"action\":\"accept\",\"src\":[\"autogroup:member\"],\"dst\":[\"*:*\"]},"
	    "{\"action\":\"accept\",\"src\":[\"autogroup:members\"],\"dst\":[\"*:*\"]}]}",
	    "can not both be used", "\"autogroup:members\"],\"", NULL);
}

TEST(ports_and_protocols)
{
	refused(ACL("*", "tag:web:ssh", ""),
		"dst=\"tag:web:ssh\": port range \"ssh\": invalid first integer",
		"\"tag:web:ssh\"]}]}", NULL);
	refused(ACL("*", "autogroup:self", ""),
		"dst=\"autogroup:self\": port range \"self\": invalid first integer",
		"\"autogroup:self\"]}]}", NULL);
	refused(ACL("*", "tag", ""), "hostport must contain a colon", "\"tag\"]}]}", NULL);
	refused(ACL("*", "tag:web:99999", ""), "port number out of range", "\"tag:web:99999\"]}]}",
		NULL);
	refused(ACL("*", "tag:web:9-5", ""), "first port is greater than last port",
		"\"tag:web:9-5\"]}]}", NULL);
	refused(ACL("*", "[10.0.0.1]:22", ""), "square brackets are only valid around IPv6",
		"\"[10.0.0.1]:22\"]}]}", NULL);
	refused(ACL("*", "*:*", ",\"proto\":\"*\""), "proto name \"*\" not known", "\"*\"}]}",
		NULL);
	refused(ACL("*", "*:*", ",\"proto\":\"06\""), "leading 0 not permitted", "\"06\"}]}", NULL);
	refused(ACL("*", "*:*", ",\"proto\":\"300\""), "protocol number out of range (0-255): 300",
		"\"300\"}]}", NULL);
	refused(ACL("*", "*:22", ",\"proto\":\"icmp\""), "does not support specific ports",
		"\"*:22\"],\"proto\":\"icmp\"", NULL);
	accepted(ACL("*", "[fd7a:115c:a1e0::1]:22,80-90", ",\"proto\":\"TCP\""));
	accepted(ACL("*", "[fd7a:115c:a1e0::]/64:*", ",\"proto\":\"58\""));
	accepted(ACL("*", "fd7a:115c:a1e0::1/128:443", ""));
	refused(GRANT("*", "*", "\"ip\":[\"icmp\"]"), "port range \"icmp\": invalid first integer",
		"\"icmp\"]}]}", "icmp:*");
	refused(GRANT("*", "*", "\"ip\":[\"tcp:0\"]"),
		"port range \"0\": first port must be >0, or use '*' for wildcard", "\"tcp:0\"]}]}",
		NULL);
	refused(GRANT("*", "*", "\"ip\":[\"tcp:1:2\"]"), "expected only one colon",
		"\"tcp:1:2\"]}]}", NULL);
	accepted(GRANT("*", "*", "\"ip\":[\"tcp:0-5\",\"sctp:9\",\"6:80\",\"gre:*\"]"));
}

TEST(grants)
{
	refused(GRANT("*", "*", "\"ip\":[],\"app\":{}"), "ip and app can not both be empty",
		"{\"src\":[\"*\"],\"dst\":[\"*", NULL);
	refused(GRANT("*", "*", "\"ip\":[\"*\"],\"via\":[\"x\"]"), "via can only be a tag",
		"\"x\"]}]}", NULL);
	refused(GRANT("*", "*", "\"ip\":[\"*\"],\"via\":[\"tag:x\"]"), "tag \"tag:x\" not found",
		"\"tag:x\"]}]}", NULL);
	refused(GRANT("*", "autogroup:internet", "\"app\":{\"a.com/b\":[]}"),
		"cannot use app grants with autogroup:internet", "[\"autogroup:internet\"]", NULL);
	refused(GRANT("*", "*", "\"app\":{\"tailscale.com/cap/drvie\":[]}"),
		"capability name must not be in the tailscale.com domain",
		"\"tailscale.com/cap/drv", "tailscale.com/cap/drive");
	refused(GRANT("*", "*", "\"app\":{\"https://a/b\":[]}"),
		"must have the form {domain}/{path}", "\"https://a/b\":[]}}]}", NULL);
	refused(GRANT("*", "autogroup:danger-all", "\"ip\":[\"*\"]"),
		"cannot use autogroup:danger-all as a dst", "\"autogroup:danger-all\"", NULL);
	refused("{\"acls\":[{\"action\":\"deny\",\"src\":[],\"dst\":[]}]}",
		"action=\"deny\" is not supported", "\"deny\",\"src\":[],\"dst\":", NULL);
	accepted(
	    "{\"acls\":[{\"#x\":1,\"action\":\"accept\",\"users\":[\"*\"],\"ports\":[\"*:*\"]}]}");
}

#define SSH(rest)                                                                                  \
	"{\"tagOwners\":{\"tag:web\":[]},\"hosts\":{\"h\":\"10.0.0.1\"},\"ssh\":[{\"src\":["       \
	"\"autogroup:member\"],\"dst\":[\"tag:web\"]," rest "}]}"

TEST(ssh_rules)
{
	refused(SSH("\"users\":[\"root\"]"), "action must be specified",
		"{\"src\":[\"autogroup:mem", NULL);
	refused(SSH("\"action\":\"acept\",\"users\":[\"root\"]"), "\"acept\" is not a valid action",
		"\"acept\",\"users\":[\"root", "accept");
	refused(SSH("\"action\":\"accept\""), "users must be specified",
		"{\"src\":[\"autogroup:mem", NULL);
	refused(SSH("\"action\":\"accept\",\"users\":[\"*\"]"), "user \"*\" is not valid",
		"\"*\"]}]}", NULL);
	refused(SSH("\"action\":\"check\",\"users\":[\"a\"],\"checkPeriod\":\"abc\""),
		"time: invalid duration \"abc\"", "\"abc\"}]}", NULL);
	refused(SSH("\"action\":\"check\",\"users\":[\"a\"],\"checkPeriod\":\"5\""),
		"time: missing unit in duration \"5\"", "\"5\"}]}", NULL);
	refused(SSH("\"action\":\"check\",\"users\":[\"a\"],\"checkPeriod\":\"5x\""),
		"time: unknown unit \"x\" in duration \"5x\"", "\"5x\"}]}", NULL);
	refused(SSH("\"action\":\"check\",\"users\":[\"a\"],\"checkPeriod\":\"-1m\""),
		"checkPeriod -1m0s must be a positive duration", "\"-1m\"}]}", NULL);
	refused(SSH("\"action\":\"check\",\"users\":[\"a\"],\"checkPeriod\":\"168h0m1s\""),
		"checkPeriod 168h0m1s is above the max (168h)", "\"168h0m1s\"}]}", NULL);
	refused(SSH("\"action\":\"check\",\"users\":[\"a\"],\"checkPeriod\":\"200h\""),
		"checkPeriod 200h0m0s is above", "\"200h\"}]}", NULL);
	refused(SSH("\"action\":\"accept\",\"users\":[\"a\"],\"checkPeriod\":\"1h\""),
		"checkPeriod is only valid with action \"check\"", "\"1h\"}]}", NULL);
	refused(SSH("\"action\":\"accept\",\"users\":[\"a\"],\"acceptEnv\":[\"\"]"),
		"acceptEnv values cannot be empty", "\"\"]}]}", NULL);
	refused(SSH("\"action\":\"accept\",\"users\":[\"localpart:*@EXAMPLE.COM\"]"),
		"EXAMPLE.COM is not associated with this Tailnet", "\"localpart:*@EXAMPLE.C", NULL);
	accepted(SSH("\"action\":\" check\",\"users\":[\"a\"],\"checkPeriod\":\"1h30m\""));
	accepted(SSH("\"action\":\"check\",\"users\":[\"a\"],\"checkPeriod\":\"always\""));
	refused("{\"ssh\":[{\"action\":\"accept\",\"src\":[\"bob@example.com\"],\"dst\":["
		"\"alice@example.com\"],\"users\":[\"a\"]}]}",
		"user destination requires source to contain only that same user",
		"{\"action\":\"accept\",\"sr", NULL);
	refused("{\"hosts\":{\"h\":\"10.0.0.1\"},\"ssh\":[{\"action\":\"accept\",\"src\":"
		"[\"bob@example.com\"],\"dst\":[\"h\"],\"users\":[\"a\"]}]}",
		"invalid dst \"h\"", "\"h\"],\"users\":[\"a\"]}]}", NULL);
}

TEST(attributes_approvers_ipsets_postures)
{
	refused("{\"nodeAttrs\":[{\"target\":[\"*\"],\"ipPool\":[\"100.115.92.0/24\"]}]}",
		"IPPool(100.115.92.0/24): network within reserved range", "\"100.115.92.0/24\"]}]}",
		NULL);
	refused("{\"nodeAttrs\":[{\"target\":[\"autogroup:self\"],\"attr\":[\"x\"]}]}",
		"nodeAttrs target does not support this autogroup", "\"autogroup:self\"],\"att",
		NULL);
	refused("{\"autoApprovers\":{\"routes\":{\"10.0.0/8\":[]}}}", "invalid prefix",
		"\"10.0.0/8\":[]}}}", NULL);
	refused("{\"autoApprovers\":{\"exitNode\":[\"tag:x\"]}}", "tag not found: \"tag:x\"",
		"\"tag:x\"]}}", NULL);
	refused("{\"ipsets\":{\"ipset:a\":[\"add ipset:b\"],\"ipset:b\":[\"ipset:a\"]}}",
		"contains itself", "\"ipset:a\"]}}", NULL);
	refused("{\"ipsets\":{\"ipset:a\":[\"10.0.0.0/8\",\"remove 10.1.0.0/16\"]}}",
		"every target needs add or remove", "\"10.0.0.0/8\",\"remove 1", NULL);
	refused("{\"ipsets\":{\"ipset:a\":[\"tag:x\"]}}", "invalid ipset target", "\"tag:x\"]}}",
		NULL);
	refused("{\"postures\":{\"posture:a\":[\"node:os = 'x'\"]}}",
		"needs one of ==", "\"node:os = 'x'\"]}}", NULL);
	refused("{\"postures\":{\"posture:a\":[\"node:os > 'x'\"]}}", "compared by size",
		"\"node:os > 'x'\"]}}", NULL);
	refused("{\"defaultSrcPosture\":[\"posture:a\"]}", "posture not defined in policy",
		"\"posture:a\"]}", NULL);
	refused("{\"OneCGNATRoute\":\"always\"}", "unknown value \"always\"", "\"always\"}",
		"mac-always");
	accepted(
	    "{\"attrConfig\":{\"custom:tier\":{\"type\":\"string\",\"allowSetByNode\":true}}}");
}

/* Truncated anywhere, a policy that holds everything is refused with a place, and never crashes. */
TEST(truncations)
{
	struct bytes all = kit_file("test/fuzz/corpus/policy/all");
	struct bytes text = bytes_of(all.p, all.n - 1); /* without the last line feed */

	for (size_t n = 1; n < text.n - 1; n++) {
		struct policy_report report;
		struct policy *p = compile(kit_copy(bytes_of(text.p, n)), &report);

		CHECK(!p && report.errors == 1 && report.issues[report.n - 1].line > 0);
		policy_unref(p);
		policy_report_fini(&report);
	}
}

static void refused_bulk(struct buf *b, const char *words)
{
	struct policy_report report;
	struct policy *p = compile(buf_bytes(b), &report);

	CHECK(!p && report.errors == 1);
	if (!CHECK(strstr(policy_report_message(&report), words) != NULL))
		(void)printf("# %s\n", policy_report_message(&report));
	CHECK(report.n && report.issues[report.n - 1].line > 0);
	policy_report_fini(&report);
	buf_fini(b);
}

TEST(absurd_texts)
{
	struct buf b;

	buf_init(&b, 1 << 26);
	(void)buf_append_str(&b, "{\"acls\":");
	for (int i = 0; i < 10000; i++)
		(void)buf_append_u8(&b, '[');
	refused_bulk(&b, "nested too deeply");

	buf_init(&b, 1 << 26);
	for (int i = 0; i < 10 << 20; i++)
		(void)buf_append_u8(&b, ' ');
	refused_bulk(&b, "at most");

	buf_init(&b, 1 << 20);
	(void)buf_append(&b, bytes_of("{\"acls\": [\0]}", 13));
	refused_bulk(&b, "hujson: line 1, column 11");

	buf_init(&b, 1 << 26); /* two hundred thousand keys, the last one twice */
	(void)buf_append_str(&b, "{\"hosts\":{");
	for (int i = 0; i < 100000; i++)
		(void)buf_printf(&b, "\"h%d\":\"10.0.0.1\",", i);
	(void)buf_append_str(&b, "\"h7\":\"10.0.0.2\"}}");
	refused_bulk(&b, "duplicate key: \"h7\"");
}

TEST(cycles_of_tags_are_legal)
{
	struct policy_report report;
	struct policy *p = compile(
	    bytes_str("{\"tagOwners\":{\"tag:a\":[\"tag:b\"],\"tag:b\":[\"tag:a\",\"tag:b\","
		      "\"bob@example.com\"],\"tag:c\":[]}}"),
	    &report);
	struct bytes a = bytes_str("tag:a"), cc = bytes_str("tag:c"), bad = { 0 };

	CHECK(p != NULL);
	CHECK(policy_user_may_tag(p, 2, &a, 1, &bad)); /* bob owns b, b owns a */
	CHECK(!policy_user_may_tag(p, 2, &cc, 1, &bad) && bytes_equal(bad, cc));
	CHECK(policy_user_may_tag(p, 1, &cc, 1, &bad)); /* the owner may assign every tag */
	CHECK(policy_tags_may_tag(p, &a, 1, (struct bytes[]){ bytes_str("tag:b") }, 1, &bad));
	CHECK(!policy_tags_may_tag(p, &a, 1, &cc, 1, &bad));
	policy_unref(p);
	policy_report_fini(&report);
}

TEST(etag_ignores_blanks_and_nothing_else)
{
	char a[65], b[65], c[65];

	policy_etag(bytes_str("{\"acls\": []}"), a);
	policy_etag(bytes_str("{\n\"acls\":[],\n}"), b);
	policy_etag(bytes_str("{\"acls\": [], // all closed\n}"), c);
	CHECK_STR(a, b);
	CHECK(strcmp(a, c) != 0);
	policy_etag(bytes_str("{"), c);
	CHECK_INT(strlen(c), 64);
}
