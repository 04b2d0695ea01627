/* What nodes get: the parts the recorded answers do not cover, and the worked examples. */
#include "engine/policy/policy_explain.h"
#include "place.h"

/* The worked example: who sees whom, and with which routes. */
TEST(worked_example)
{
	struct place w;

	place_init(
	    &w, "{\"groups\":{\"group:eng\":[\"alice@example.com\",\"bob@example.com\"]},"
		"\"tagOwners\":{\"tag:web\":[],\"tag:db\":[],\"tag:router\":[],\"tag:exit\":[]},"
		"\"grants\":["
		"{\"src\":[\"group:eng\"],\"dst\":[\"tag:web\"],\"ip\":[\"tcp:443\","
		"\"tcp:8080-8090\",\"icmp:*\"]},"
		"{\"src\":[\"tag:web\"],\"dst\":[\"tag:db\"],\"ip\":[\"tcp:5432\"]},"
		"{\"src\":[\"bob@example.com\"],\"dst\":[\"10.20.8.0/24\"],\"ip\":[\"22\"],"
		"\"via\":[\"tag:router\"]},"
		"{\"src\":[\"autogroup:member\"],\"dst\":[\"autogroup:internet\"],\"ip\":[\"*\"]},"
		"{\"src\":[\"group:eng\"],\"dst\":[\"tag:web\"],"
		"\"app\":{\"tailscale.com/cap/drive\":[1]}},"
		"{\"src\":[\"autogroup:member\"],\"dst\":[\"autogroup:self\"],\"ip\":[\"*\"]}]}");
	put(&w, 1, 1, NULL, NULL, NULL);
	put(&w, 2, 1, NULL, NULL, NULL);
	put(&w, 3, 2, NULL, NULL, NULL);
	put(&w, 4, 0, "tag:web", NULL, NULL);
	put(&w, 5, 0, "tag:db", NULL, NULL);
	put(&w, 6, 0, "tag:router", "10.20.0.0/16", NULL);
	put(&w, 7, 0, "tag:exit", "0.0.0.0/0", "::/0");
	check_peers(&w, 1, "2 4 7+0.0.0.0/0+::/0");
	check_peers(&w, 3, "4 6+10.20.0.0/16 7+0.0.0.0/0+::/0");
	check_peers(&w, 4, "1 2 3 5");
	check_peers(&w, 6, "3");
	check_peers(&w, 7, "1 2 3");
	check_filter(&w, 3,
		     "100.64.0.4,fd7a:115c:a1e0::4 + tailscale.com/cap/drive-sharer\n"
		     "100.64.0.3,fd7a:115c:a1e0::3 > 100.64.0.3:0-65535/-1 > "
		     "fd7a:115c:a1e0::3:0-65535/-1\n");
	check_filter(&w, 5,
		     "100.64.0.4,fd7a:115c:a1e0::4 > 100.64.0.5:5432-5432/6 > "
		     "fd7a:115c:a1e0::5:5432-5432/6\n");
	check_filter(&w, 6, "100.64.0.3,fd7a:115c:a1e0::3 > 10.20.8.0/24:22-22/-1\n");
	place_fini(&w);
}

TEST(subnet_to_node)
{
	struct place w;

	place_init(&w, "{\"tagOwners\":{\"tag:db\":[],\"tag:router\":[]},\"grants\":[{\"src\":"
		       "[\"10.20.0.0/16\"],\"dst\":[\"tag:db\"],\"ip\":[\"tcp:5432\"]}]}");
	put(&w, 1, 0, "tag:db", NULL, NULL);
	put(&w, 2, 0, "tag:router", "10.20.0.0/16", NULL);
	put(&w, 3, 0, "tag:router", "0.0.0.0/0", NULL);
	check_peers(&w, 1, "2+10.20.0.0/16");
	check_peers(&w, 2, "1");
	check_filter(&w, 1,
		     "10.20.0.0/16 > 100.64.0.1:5432-5432/6 > fd7a:115c:a1e0::1:5432-5432/6\n");
	place_fini(&w);
}

/* "*" under a posture admits the nodes that pass, one by one, and the subnets. */
TEST(postures_filter_the_sources)
{
	struct policy_posture_attr os = { .name = B("node:os"), .text = B("linux") };
	struct policy_posture_attr version = { .name = B("node:tsVersion"), .text = B("1.9.4") };
	struct policy_node n = { .id = 5, .user = 1, .v4 = ip_v4(100, 64, 0, 5), .n_attrs = 1 };
	struct place w;

	place_init(&w, "{\"postures\":{\"posture:new\":[\"node:os IN ['linux','macos']\","
		       "\"node:tsVersion >= '1.40'\"]},\"tagOwners\":{\"tag:db\":[]},"
		       "\"grants\":[{\"src\":[\"*\"],\"dst\":[\"tag:db\"],\"ip\":[\"22\"],"
		       "\"srcPosture\":[\"posture:new\"]}]}");
	put(&w, 1, 0, "tag:db", NULL, NULL);
	put(&w, 2, 1, NULL, NULL, NULL); /* has no attributes: passes nothing */
	n.attrs = &os;
	CHECK(policy_state_upsert(w.s, &n, NULL, NULL) == 0);
	check_filter(&w, 1, "");
	n.attrs = (struct policy_posture_attr[]){ os, version };
	n.n_attrs = 2;
	CHECK(policy_state_upsert(w.s, &n, NULL, NULL) == 0);
	check_filter(&w, 1, ""); /* 1.9 is older than 1.40 */
	version.text = B("1.100.0");
	n.attrs = (struct policy_posture_attr[]){ os, version };
	CHECK(policy_state_upsert(w.s, &n, NULL, NULL) == 0);
	check_filter(&w, 1, "100.64.0.5 > 100.64.0.1:22-22/-1 > fd7a:115c:a1e0::1:22-22/-1\n");
	check_peers(&w, 1, "5");
	check_peers(&w, 2, "");
	place_fini(&w);
}

TEST(ipsets_are_ranges)
{
	struct place w;

	place_init(
	    &w,
	    "{\"hosts\":{\"h\":\"10.1.0.0/16\"},\"ipsets\":{\"ipset:a\":[\"add 10.0.0.0/8\","
	    "\"remove host:h\"],\"ipset:b\":[\"ipset:a\",\"192.0.2.1\"]},"
	    "\"acls\":[{\"action\":\"accept\",\"src\":[\"ipset:b\"],\"dst\":[\"ipset:b:80\"]}]}");
	put(&w, 1, 1, NULL, "10.0.7.0/24", NULL);
	check_filter(&w, 1,
		     "10.0.0.0/16,10.2.0.0-10.255.255.255,192.0.2.1 > "
		     "10.0.0.0-10.0.255.255:80-80/-1\n");
	place_fini(&w);
}

/* A group of the identity provider is a group; a share recipient is no member. */
TEST(synced_groups_and_shared_users)
{
	struct place w;

	place_init(&w, "{\"tagOwners\":{\"tag:a\":[],\"tag:b\":[]},\"grants\":["
		       "{\"src\":[\"group:sync@example.com\"],\"dst\":[\"tag:a\"],\"ip\":[\"1\"]},"
		       "{\"src\":[\"autogroup:member\"],\"dst\":[\"tag:b\"],\"ip\":[\"2\"]},"
		       "{\"src\":[\"autogroup:shared\"],\"dst\":[\"tag:b\"],\"ip\":[\"3\"]}]}");
	put(&w, 1, 0, "tag:a", NULL, NULL);
	put(&w, 2, 0, "tag:b", NULL, NULL);
	put(&w, 3, 2, NULL, NULL, NULL);
	put(&w, 4, 3, NULL, NULL, NULL);
	check_filter(&w, 1,
		     "100.64.0.3,fd7a:115c:a1e0::3 > 100.64.0.1:1-1/-1 > "
		     "fd7a:115c:a1e0::1:1-1/-1\n");
	check_filter(
	    &w, 2,
	    "100.64.0.3,fd7a:115c:a1e0::3 > 100.64.0.2:2-2/-1 > fd7a:115c:a1e0::2:2-2/-1\n"
	    "100.64.0.4,fd7a:115c:a1e0::4 > 100.64.0.2:3-3/-1 > fd7a:115c:a1e0::2:3-3/-1\n");
	place_fini(&w);
}

TEST(services)
{
	struct bytes tag = B("tag:host"), service = B("svc:web");
	struct policy_node n = { .id = 9, .v4 = ip_v4(100, 64, 0, 9), .tags = &tag, .n_tags = 1 };
	struct place w;

	place_init(&w,
		   "{\"tagOwners\":{\"tag:host\":[]},\"autoApprovers\":{\"services\":{\"svc:web\":"
		   "[\"tag:host\"]}},\"grants\":[{\"src\":[\"alice@example.com\"],"
		   "\"dst\":[\"svc:web\"],\"ip\":[\"tcp:443\"]}]}");
	put(&w, 1, 1, NULL, NULL, NULL);
	put(&w, 2, 2, NULL, NULL, NULL);
	CHECK(policy_approves_service(w.p, &n, service));
	CHECK(!policy_approves_service(w.p, &n, B("svc:other")));
	n.services = &service;
	n.n_services = 1;
	CHECK(policy_state_upsert(w.s, &n, NULL, NULL) == 0);
	check_filter(&w, 9, "100.64.0.1,fd7a:115c:a1e0::1 > 100.99.0.1:443-443/6\n");
	check_peers(&w, 1, "9+100.99.0.1/32");
	check_peers(&w, 2, "");
	place_fini(&w);
}

TEST(approvals)
{
	struct bytes tag = B("tag:router");
	struct policy_node tagged = { .id = 1, .tags = &tag, .n_tags = 1, .user = 1 };
	struct policy_node owned = { .id = 2, .user = 1 };
	struct prefix p, all;
	struct place w;

	place_init(&w, "{\"tagOwners\":{\"tag:router\":[]},\"autoApprovers\":{\"routes\":{"
		       "\"10.0.0.0/8\":[\"tag:router\"],\"0.0.0.0/0\":[\"alice@example.com\"]},"
		       "\"exitNode\":[\"tag:router\"]}}");
	CHECK(prefix_parse(&p, B("10.3.0.0/16")) && prefix_parse(&all, B("0.0.0.0/0")));
	CHECK(policy_approves_route(w.p, &tagged, p) && policy_approves_route(w.p, &owned, p));
	CHECK(prefix_parse(&p, B("192.168.0.0/24")));
	CHECK(!policy_approves_route(w.p, &tagged, p)); /* never through the user behind a tag */
	CHECK(policy_approves_route(w.p, &owned, p));
	CHECK(policy_approves_route(w.p, &tagged, all));
	CHECK(!policy_approves_route(w.p, &owned, all)); /* a route key is no exit approval */
	place_fini(&w);
}

/* The server of a subnet stays while it is online; then the earliest takes over. */
TEST(primaries_do_not_flap)
{
	struct policy_ids ids;
	struct prefix p;
	struct place w;

	policy_ids_init(&ids);
	place_init(&w, "{}");
	CHECK(prefix_parse(&p, B("10.0.0.0/8")));
	put(&w, 2, 1, NULL, "10.0.0.0/8", NULL);
	put(&w, 1, 1, NULL, "10.0.0.0/8", NULL);
	put(&w, 3, 2, NULL, NULL, NULL);
	CHECK_INT(policy_state_primary(w.s, p), 2);
	policy_state_set_online(w.s, 2, false, &ids);
	CHECK_INT(policy_state_primary(w.s, p), 1);
	CHECK_INT(ids.n, 3);
	policy_state_set_online(w.s, 2, true, &ids);
	CHECK_INT(policy_state_primary(w.s, p), 1);
	CHECK_INT(ids.n, 0);
	policy_state_set_online(w.s, 3, false, &ids);
	CHECK_INT(ids.n, 0); /* coming and going is no policy event */
	policy_ids_fini(&ids);
	place_fini(&w);
}

TEST(nodes_that_cannot_be)
{
	struct policy_node n = { .id = 7, .v4 = ip_v4(10, 0, 0, 1) };
	struct err err = { 0 };
	struct place w;

	place_init(&w, "{}");
	put(&w, 1, 1, NULL, NULL, NULL);
	CHECK(policy_state_upsert(w.s, &n, NULL, &err) < 0);
	CHECK_STR(err.text, "node 7: 10.0.0.1 lies outside the tailnet");
	n.v4 = ip_v4(100, 64, 0, 1);
	CHECK(policy_state_upsert(w.s, &n, NULL, &err) < 0);
	CHECK_STR(err.text, "node 7: 100.64.0.1 belongs to node 1");
	n.v4.family = 0;
	CHECK(policy_state_upsert(w.s, &n, NULL, &err) < 0);
	CHECK_INT(policy_state_count(w.s), 1);
	place_fini(&w);
}

TEST(ssh_checks)
{
	int64_t period = 0;
	struct place w;

	place_init(
	    &w, "{\"tagOwners\":{\"tag:a\":[]},\"ssh\":[{\"action\":\"check\",\"src\":"
		"[\"alice@example.com\"],\"dst\":[\"tag:a\",\"autogroup:self\"],\"users\":[\"x\"],"
		"\"checkPeriod\":\"90m\"}]}");
	put(&w, 1, 1, NULL, NULL, NULL);
	put(&w, 2, 0, "tag:a", NULL, NULL);
	put(&w, 3, 2, NULL, NULL, NULL);
	put(&w, 4, 1, NULL, NULL, NULL);
	CHECK(policy_state_ssh_check(w.s, 1, 2, &period) && period == 5400 * 1000000000LL);
	CHECK(policy_state_ssh_check(w.s, 1, 4, &period));
	CHECK(!policy_state_ssh_check(w.s, 3, 2, &period));
	CHECK(!policy_state_ssh_check(w.s, 1, 3, &period));
	place_fini(&w);
}

static void says(struct buf *b, const char *part)
{
	if (!CHECK(strstr(buf_cstr(b), part) != NULL))
		(void)printf("# %s\n# lacks %s\n", buf_cstr(b), part);
	buf_clear(b);
}

#define OFFICE                                                                                     \
	"{\"groups\":{\"group:eng\":[\"alice@example.com\",\"ghost@example.com\"]},\n"             \
	"\"hosts\":{\"unused\":\"10.9.9.9\"},\n\"tagOwners\":{\"tag:a\":[],\"tag:none\":[]},\n"    \
	"\"acls\":[\n{\"action\":\"accept\",\"src\":[\"group:eng\"],\"dst\":[\"tag:a:443\"]},\n"   \
	"{\"action\":\"accept\",\"src\":[\"*\"],\"dst\":[\"tag:a:400-500\",\"10.0.0.0/8:*\"]},\n"  \
	"{\"action\":\"accept\",\"src\":[\"tag:none\"],\"dst\":[\"tag:a:1\"]}]}"

TEST(explain_names_the_line_and_the_way)
{
	struct err err = { 0 };
	struct place w;
	struct buf b;

	buf_init(&b, 1 << 20);
	place_init(&w, OFFICE);
	put(&w, 1, 1, NULL, NULL, NULL);
	put(&w, 2, 0, "tag:a", NULL, NULL);
	put(&w, 3, 0, "tag:a", "10.5.0.0/16", NULL);
	CHECK(policy_explain(w.s, B("alice@example.com"), B("100.64.0.2:443/tcp"), &b, &err) == 0);
	says(&b, "\"section\":\"acls\",\"rule\":1,\"line\":5,\"column\":1");
	CHECK(policy_explain(w.s, B("alice@example.com"), B("100.64.0.2:443/tcp"), &b, &err) == 0);
	says(&b, "\"source\":\"group:eng\",\"member\":\"alice@example.com\"");
	CHECK(policy_explain(w.s, B("alice@example.com"), B("tag:a:80"), &b, &err) == 0);
	says(&b, "\"missing\":\"the rule is about other ports or another protocol\"");
	CHECK(policy_explain(w.s, B("alice@example.com"), B("tag:a:80"), &b, &err) == 0);
	says(&b, "}],\"allowed\":false}");
	CHECK(policy_explain(w.s, B("100.64.0.1"), B("10.5.1.1:80"), &b, &err) == 0);
	says(&b, "\"router\":3,\"route\":\"10.5.0.0/16\"");
	CHECK(policy_explain(w.s, B("100.64.0.1"), B("10.77.1.1:80"), &b, &err) == 0);
	says(&b, "no node serves a route to that address");
	CHECK(policy_explain(w.s, B("nobody@example.com"), B("tag:a:80"), &b, &err) < 0);
	CHECK_STR(err.text, "nobody@example.com stands for no node and no address");
	buf_fini(&b);
	place_fini(&w);
}

TEST(lint_finds_dead_weight)
{
	struct place w;
	struct buf b;

	buf_init(&b, 1 << 20);
	place_init(&w, OFFICE);
	put(&w, 1, 1, NULL, NULL, NULL);
	put(&w, 2, 0, "tag:a", NULL, NULL);
	policy_lint(w.s, &b);
	CHECK(
	    strstr(buf_cstr(&b), "\"message\":\"tag:a is allowed by the rule at line 6 already\""));
	CHECK(strstr(buf_cstr(&b), "\"message\":\"ghost@example.com is nobody's login\""));
	CHECK(strstr(buf_cstr(&b), "\"message\":\"unused is defined and never used\""));
	CHECK(strstr(buf_cstr(&b), "\"kind\":\"unused\",\"line\":7"));
	CHECK(!strstr(buf_cstr(&b), "tag:none is defined"));
	buf_fini(&b);
	place_fini(&w);
}

/* Every fix at once; what is left has nothing more to fix. */
TEST(lint_fixes_what_is_safe)
{
	static const char want[] =
	    "{\"groups\":{\n\"group:eng\":[\"alice@example.com\",  \"ghost@example.com\"]},\n"
	    "\"tagOwners\":{\"tag:a\":[],\"tag:later\":[]},\n"
	    "\"acls\":[\n{\"action\":\"accept\",\"src\":[\"*\"],\"dst\":[\"tag:a:22\"]},"
	    "// why\n\n{\"action\":\"accept\",\"src\":[\"group:eng\",\"autogroup:member\"],"
	    "\"dst\":[\"*:80\"]}]}";
	struct place w, again;
	struct buf b, left;

	buf_init(&b, 1 << 20);
	buf_init(&left, 1 << 20);
	place_init(&w,
		   "{\"groups\":{\"group:none\":[],\n\"group:eng\":[\"alice@example.com\",  "
		   "\"alice@example.com\" /* twice, */ // \n ,\"ghost@example.com\"]},\n"
		   "\"tagOwners\":{\"tag:a\":[],\"tag:later\":[]},\n"
		   "\"acls\":[\n{\"action\":\"accept\",\"users\":[\"*\",\"group:eng\"],\"ports\":["
		   "\"tag:a:22\"]},// why\n"
		   "{\"action\":\"accept\",\"src\":[\"tag:a\"],\"dst\":[\"tag:a:22\"]},\n"
		   "{\"action\":\"accept\",\"src\":[\"group:eng\",\"autogroup:members\"],"
		   "\"dst\":[\"*:80\"]}]}");
	put(&w, 1, 1, NULL, NULL, NULL);
	put(&w, 2, 0, "tag:a", NULL, NULL);
	policy_lint_fix(w.s, &b);
	if (!CHECK(strstr(buf_cstr(&b), "\"src\":[\"*\",]") != NULL)) /* the comma is legal */
		(void)printf("# %s\n", buf_cstr(&b));
	place_init(&again, buf_cstr(&b));
	put(&again, 1, 1, NULL, NULL, NULL);
	put(&again, 2, 0, "tag:a", NULL, NULL);
	policy_lint_fix(again.s, &left);
	CHECK_STR(buf_cstr(&left), buf_cstr(&b));
	buf_clear(&left);
	for (const char *at = buf_cstr(&b); *at; at++)
		if (strncmp(at, ",]", 2) != 0)
			(void)buf_append_u8(&left, (uint8_t)*at);
	CHECK_STR(buf_cstr(&left), want);
	place_fini(&again);
	place_fini(&w);
	buf_fini(&left);
	buf_fini(&b);
}

TEST(preview_and_compare)
{
	struct policy_report report;
	struct policy_state *next;
	struct policy *p;
	struct place w;
	struct buf b;

	buf_init(&b, 1 << 20);
	place_init(&w, OFFICE);
	put(&w, 1, 1, NULL, NULL, NULL);
	put(&w, 2, 0, "tag:a", NULL, NULL);
	CHECK(policy_preview_user(w.s, B("alice@example.com"), &b, NULL) == 0);
	says(&b, "{\"users\":[\"group:eng\"],\"ports\":[\"tag:a:443\"],\"lineNumber\":5}");
	CHECK(policy_preview_node(w.s, 2, &b, NULL) == 0);
	says(&b, "\"destinationOf\":[{\"section\":\"acls\",\"rule\":1,\"line\":5");
	policy_report_init(&report);
	p = policy_compile(
	    B("{\"tagOwners\":{\"tag:a\":[]},\"grants\":[{\"src\":[\"alice@example.com\"],"
	      "\"dst\":[\"tag:a\"],\"ip\":[\"tcp:22\"]}]}"),
	    &w.dir, &report);
	next = policy_state_with(w.s, p);
	policy_compare(w.s, next, &b);
	CHECK(strstr(buf_cstr(&b), "100.64.0.1 may reach 100.64.0.2 ports 22-22 protocol 6"));
	CHECK(strstr(buf_cstr(&b), "\"loses\":[\"100.115.94.0-100.127.255.255 may reach"));
	policy_state_destroy(next);
	policy_unref(p);
	policy_report_fini(&report);
	buf_fini(&b);
	place_fini(&w);
}

/* What was asked for before a change stays what it was. */
TEST(answers_outlive_changes)
{
	struct policy_filter f;
	struct place w;

	place_init(&w, OFFICE);
	put(&w, 1, 1, NULL, NULL, NULL);
	put(&w, 2, 0, "tag:a", NULL, NULL);
	CHECK(policy_state_filter(w.s, 2, &f, NULL) == 0);
	policy_state_remove(w.s, 1, NULL);
	place_fini(&w);
	CHECK(f.n == 2 && strcmp(f.rules[0].srcs[0], "100.64.0.1") == 0);
	policy_filter_fini(&f);
}

/* What has no posture is not asked for one; nodes that fail it do not slip in under "*". */
TEST(danger_all_under_a_posture)
{
	struct policy_posture_attr os = { .name = B("node:os"), .text = B("linux") };
	struct policy_node n = { .id = 5, .user = 1, .v4 = ip_v4(100, 64, 0, 5), .n_attrs = 1 };
	struct place w;

	place_init(&w, "{\"tagOwners\":{\"tag:a\":[]},\"postures\":{\"posture:p\":["
		       "\"node:os == 'linux'\"]},\"grants\":[{\"src\":[\"autogroup:danger-all\"],"
		       "\"dst\":[\"tag:a\"],\"ip\":[\"22\"],\"srcPosture\":[\"posture:p\"]}]}");
	n.attrs = &os;
	put(&w, 1, 1, NULL, NULL, NULL);
	put(&w, 2, 0, "tag:a", NULL, NULL);
	CHECK(policy_state_upsert(w.s, &n, NULL, NULL) == 0);
	check_peers(&w, 2, "5");
	check_filter(&w, 2,
		     "0.0.0.0-100.63.255.255,100.128.0.0-255.255.255.255,100.64.0.5,"
		     "::-fd7a:115c:a1df:ffff:ffff:ffff:ffff:ffff,"
		     "fd7a:115c:a1e1::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff > "
		     "100.64.0.2:22-22/-1 > fd7a:115c:a1e0::2:22-22/-1\n");
	place_fini(&w);
}

/* Exit routes have no primary: every exit node with the tag offers them, every other one is hidden.
 */
TEST(exit_nodes_of_a_via_grant)
{
	struct place w;

	place_init(&w, "{\"tagOwners\":{\"tag:x\":[],\"tag:y\":[]},\"grants\":[{\"src\":["
		       "\"autogroup:member\"],\"dst\":[\"autogroup:internet\"],\"ip\":[\"*\"],"
		       "\"app\":{},\"via\":[\"tag:x\"]},{\"src\":[\"autogroup:member\"],\"dst\":["
		       "\"autogroup:tagged\"],\"ip\":[\"22\"]}]}");
	put(&w, 1, 1, NULL, NULL, NULL);
	put(&w, 2, 0, "tag:x", "0.0.0.0/0", "::/0");
	put(&w, 3, 0, "tag:x", "0.0.0.0/0", NULL);
	put(&w, 4, 0, "tag:y", "0.0.0.0/0", NULL);
	check_peers(&w, 1, "2+0.0.0.0/0+::/0 3+0.0.0.0/0 4");
	place_fini(&w);
}

/* With via, ip opens the router for the sources and app gives nothing. */
TEST(app_of_a_via_grant_makes_no_rule)
{
	struct place w;

	place_init(&w, "{\"tagOwners\":{\"tag:r\":[]},\"grants\":[{\"src\":[\"autogroup:member\"],"
		       "\"dst\":[\"10.20.0.0/16\"],\"ip\":[\"tcp:80\"],\"app\":{\"a.com/b\":[1]},"
		       "\"via\":[\"tag:r\"]}]}");
	put(&w, 1, 1, NULL, NULL, NULL);
	put(&w, 2, 0, "tag:r", "10.20.0.0/16", NULL);
	check_filter(&w, 2, "100.64.0.1,fd7a:115c:a1e0::1 > 10.20.0.0/16:80-80/6\n");
	check_peers(&w, 1, "2+10.20.0.0/16");
	place_fini(&w);
}

static void check_caps(struct place *w, uint64_t id, const char *want)
{
	struct policy_caps caps;
	struct buf b;

	buf_init(&b, 1 << 16);
	CHECK(policy_state_caps(w->s, id, &caps, NULL) == 0);
	for (size_t i = 0; i < caps.n; i++)
		(void)buf_printf(&b, "%.*s=%.*s ", BYTES_FMT(caps.v[i].name),
				 BYTES_FMT(caps.v[i].values));
	if (!CHECK(strstr(buf_cstr(&b), want) != NULL))
		(void)printf("# %s\n# lacks %s\n", buf_cstr(&b), want);
	policy_caps_fini(&caps);
	buf_fini(&b);
}

static bool has_cap(struct place *w, uint64_t id, const char *name)
{
	struct policy_caps caps;
	bool found = false;

	CHECK(policy_state_caps(w->s, id, &caps, NULL) == 0);
	for (size_t i = 0; i < caps.n; i++)
		found |= bytes_equal_str(caps.v[i].name, name);
	policy_caps_fini(&caps);
	return found;
}

TEST(attributes_and_switches)
{
	struct policy_posture_attr os = { .name = B("node:os"), .text = B("macos") };
	struct policy_node n = { .id = 5, .user = 1, .v4 = ip_v4(100, 64, 0, 5), .n_attrs = 1 };
	const struct prefix *pools[4];
	struct bytes web = B("svc:web");
	struct place w;

	place_init(
	    &w,
	    "{\"tagOwners\":{\"tag:a\":[]},\"nodeAttrs\":["
	    "{\"target\":[\"tag:a\"],\"attr\":[\"funnel\",\"custom:x\"]},"
	    "{\"target\":[\"tag:a\",\"100.64.0.2\"],\"app\":{\"tailscale.com/app-connectors\":"
	    "[{\"name\":\"x\",\"connectors\":[\"*\"]}]}},"
	    "{\"target\":[\"autogroup:member\"],\"ipPool\":[\"100.81.0.0/16\",\"100.82.0.0/16\"]},"
	    "{\"target\":[],\"attr\":[\"nobody\"]},{\"target\":[\"*\"]}],"
	    "\"randomizeClientPort\":true,\"disableIPv4\":true,\"OneCGNATRoute\":\"mac-never\","
	    "\"derpMap\":{\"OmitDefaultRegions\":true,\"Regions\":{\"900\":null}}}");
	put(&w, 1, 1, NULL, NULL, NULL);
	put(&w, 2, 0, "tag:a", NULL, NULL);
	n.attrs = &os;
	n.services = &web;
	n.n_services = 1;
	CHECK(policy_state_upsert(w.s, &n, NULL, NULL) == 0);
	check_caps(&w, 2, "custom:x= ");
	CHECK(has_cap(&w, 2, "funnel"));
	CHECK(has_cap(&w, 2, "https://tailscale.com/cap/funnel-ports?ports=443,8443,10000"));
	CHECK(has_cap(&w, 2, "https://tailscale.com/cap/warn-funnel-no-https"));
	CHECK(!has_cap(&w, 1, "funnel") && !has_cap(&w, 1, "nobody"));
	check_caps(&w, 2,
		   "tailscale.com/app-connectors=[{\"name\":\"x\",\"connectors\":[\"*\"]}] ");
	CHECK(has_cap(&w, 1, "randomize-client-port") && has_cap(&w, 2, "randomize-client-port"));
	CHECK(has_cap(&w, 5, "one-cgnat?v=false") && !has_cap(&w, 1, "one-cgnat?v=false"));
	check_caps(&w, 5, "service-host=[{\"svc:web\":[\"100.99.0.1\"]}] ");
	CHECK(!has_cap(&w, 1, "service-host"));
	CHECK(policy_disables_ipv4(w.p) && policy_randomizes_port(w.p));
	CHECK(bytes_equal_str(policy_one_cgnat(w.p), "mac-never"));
	CHECK(bytes_equal_str(policy_derp_map(w.p),
			      "{\"OmitDefaultRegions\":true,\"Regions\":{\"900\":null}}"));
	CHECK_INT(policy_ip_pools(w.p, &n, pools, array_len(pools)), 2);
	CHECK(pools[0]->addr.b[1] == 81 && pools[1]->addr.b[1] == 82);
	n.tags = (struct bytes[]){ B("tag:a") };
	n.n_tags = 1;
	CHECK_INT(policy_ip_pools(w.p, &n, pools, array_len(pools)), 0);
	place_fini(&w);
}

/* Nobody keeps an IPv4 address under disableIPv4, and nobody is shown one; subnets stay. */
TEST(disabled_ipv4)
{
	struct policy_peers p;
	struct place w;

	place_init(&w, "{\"tagOwners\":{\"tag:a\":[]},\"disableIPv4\":true}");
	put(&w, 1, 1, NULL, NULL, NULL);
	put(&w, 2, 0, "tag:a", "10.20.0.0/16", NULL);
	CHECK(policy_state_peers(w.s, 1, &p, NULL) == 0 && p.n == 1);
	CHECK(p.self.n_addresses == 1 && p.self.addresses[0].addr.family == 6);
	CHECK(p.v[0].n_addresses == 1 && p.v[0].addresses[0].addr.family == 6);
	CHECK(p.v[0].n_routes == 1 && p.v[0].routes[0].addr.family == 4);
	policy_peers_fini(&p);
	place_fini(&w);
}

TEST(explain_knows_hosts_behind_routers)
{
	static const char *const from[] = { "10.20.0.9", "100.64.0.77", "10.99.0.1" };
	struct place w;
	struct buf b;

	buf_init(&b, 1 << 20);
	place_init(&w, "{\"tagOwners\":{\"tag:a\":[],\"tag:r\":[]},\"grants\":[{\"src\":[\"*\"],"
		       "\"dst\":[\"tag:a\"],\"ip\":[\"22\"]}]}");
	put(&w, 1, 0, "tag:a", NULL, NULL);
	put(&w, 2, 0, "tag:r", "10.20.0.0/16", NULL);
	for (size_t i = 0; i < array_len(from); i++) {
		buf_clear(&b);
		CHECK(policy_explain(w.s, B(from[i]), B("tag:a:22/tcp"), &b, NULL) == 0);
		CHECK((strstr(buf_cstr(&b), "}],\"allowed\":true}") != NULL) == (i < 2));
	}
	buf_fini(&b);
	place_fini(&w);
}

/* App alone under via: no rule anywhere, and yet sources and routers with the route are peers. */
TEST(app_only_via_makes_peers)
{
	struct place w;

	place_init(&w,
		   "{\"tagOwners\":{\"tag:r\":[],\"tag:q\":[]},\"grants\":[{\"src\":["
		   "\"alice@example.com\"],\"dst\":[\"10.20.0.0/16\"],\"app\":{\"a.com/b\":[1]},"
		   "\"via\":[\"tag:r\"]}]}");
	put(&w, 1, 1, NULL, NULL, NULL);
	put(&w, 2, 0, "tag:r", "10.20.0.0/16", NULL);
	put(&w, 3, 0, "tag:r", "10.99.0.0/16", NULL); /* another subnet */
	put(&w, 4, 0, "tag:q", "10.20.0.0/16", NULL); /* another tag */
	put(&w, 5, 2, NULL, NULL, NULL);              /* no source */
	check_peers(&w, 1, "2+10.20.0.0/16");
	check_peers(&w, 2, "1");
	check_peers(&w, 3, "");
	check_peers(&w, 4, "");
	check_filter(&w, 1, "");
	check_filter(&w, 2, "");
	place_fini(&w);
}

/* One grant to a subnet and the internet: each router gets what it serves. */
TEST(via_grant_to_subnet_and_internet)
{
	struct place w;

	place_init(&w, "{\"tagOwners\":{\"tag:r\":[],\"tag:x\":[]},\"grants\":[{\"src\":["
		       "\"autogroup:member\"],\"dst\":[\"10.20.5.0/24\",\"autogroup:internet\","
		       "\"tag:x\"],\"ip\":[\"443\"],\"via\":[\"tag:r\",\"tag:x\"]}]}");
	put(&w, 1, 1, NULL, NULL, NULL);
	put(&w, 2, 0, "tag:r", "10.20.0.0/16", NULL);
	put(&w, 3, 0, "tag:x", "0.0.0.0/0", "::/0");
	check_peers(&w, 1, "2+10.20.0.0/16 3+0.0.0.0/0+::/0");
	check_filter(&w, 2, "100.64.0.1,fd7a:115c:a1e0::1 > 10.20.5.0/24:443-443/-1\n");
	check_filter(&w, 3,
		     "100.64.0.1,fd7a:115c:a1e0::1 > 0.0.0.0-9.255.255.255:443-443/-1 > "
		     "11.0.0.0-100.63.255.255:443-443/-1 > 100.128.0.0-169.253.255.255:443-443/-1 "
		     "> 169.255.0.0-172.15.255.255:443-443/-1 > "
		     "172.32.0.0-192.167.255.255:443-443/-1 > "
		     "192.169.0.0-255.255.255.255:443-443/-1 > "
		     "2000::-3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:443-443/-1\n");
	place_fini(&w);
}

/* Beside "*" every source is printed by itself, though others and "*" cover it. */
TEST(sources_beside_a_star)
{
	struct place w;

	place_init(&w,
		   "{\"tagOwners\":{\"tag:a\":[],\"tag:r\":[]},\"grants\":[{\"src\":[\"*\","
		   "\"10.0.0.0/8\",\"10.20.0.0/16\",\"100.64.0.0/24\",\"100.64.0.1\",\"tag:a\"],"
		   "\"dst\":[\"tag:a\"],\"ip\":[\"22\"]},{\"src\":[\"10.0.0.0/8\",\"10.20.0.0/16\","
		   "\"100.64.0.0/24\",\"100.64.0.1\",\"tag:a\"],\"dst\":[\"tag:a\"],"
		   "\"ip\":[\"80\"]}]}");
	put(&w, 1, 1, NULL, NULL, NULL);
	put(&w, 2, 0, "tag:a", NULL, NULL);
	put(&w, 3, 0, "tag:r", "10.20.0.0/16", NULL);
	check_filter(
	    &w, 2,
	    "10.0.0.0/8,10.20.0.0/16,100.115.94.0-100.127.255.255,100.64.0.0-100.115.91.255,"
	    "100.64.0.0/24,100.64.0.1,100.64.0.2,fd7a:115c:a1e0::/48,fd7a:115c:a1e0::2 > "
	    "100.64.0.2:22-22/-1 > fd7a:115c:a1e0::2:22-22/-1\n"
	    "10.0.0.0/8,100.64.0.0/24,fd7a:115c:a1e0::2 > 100.64.0.2:80-80/-1 > "
	    "fd7a:115c:a1e0::2:80-80/-1\n");
	place_fini(&w);
}
