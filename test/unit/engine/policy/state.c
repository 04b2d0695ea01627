/* What nodes get: the parts the recorded answers do not cover, and the worked examples. */
#include <stdio.h>

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/policy/policy.h"
#include "engine/policy/policy_explain.h"
#include "kit/kit.h"

static struct bytes B(const char *s) {
	return bytes_str(s);
}

struct place {
	struct policy_directory dir;
	struct policy_user users[3];
	struct policy_group groups[1];
	struct bytes members[1], domains[1];
	struct policy_service service;
	struct policy_report report;
	struct policy *p;
	struct policy_state *s;
};

static void place_init(struct place *w, const char *text)
{
	*w = (struct place){ 0 };
	w->users[0] = (struct policy_user){ .id = 1, .login = B("alice@example.com") };
	w->users[1] = (struct policy_user){ .id = 2, .login = B("bob@example.com") };
	w->users[2] =
	    (struct policy_user){ .id = 3, .login = B("eve@other.net"), .role = POLICY_SHARED };
	w->members[0] = B("bob@example.com");
	w->groups[0] = (struct policy_group){ B("group:sync@example.com"), w->members, 1 };
	w->domains[0] = B("example.com");
	w->service = (struct policy_service){ .name = B("svc:web"), .v4 = ip_v4(100, 99, 0, 1) };
	w->dir = (struct policy_directory){ .users = w->users,
					    .n_users = 3,
					    .groups = w->groups,
					    .n_groups = 1,
					    .domains = w->domains,
					    .n_domains = 1,
					    .services = &w->service,
					    .n_services = 1 };
	policy_report_init(&w->report);
	w->p = policy_compile(B(text), &w->dir, &w->report);
	if (!CHECK(w->p != NULL))
		(void)printf("# %s\n", policy_report_message(&w->report));
	w->s = w->p ? policy_state_create(w->p) : NULL;
}

static void place_fini(struct place *w)
{
	policy_state_destroy(w->s);
	policy_unref(w->p);
	policy_report_fini(&w->report);
}

/* Node i has 100.64.0.i and fd7a:115c:a1e0::i; one tag or none, up to two routes. */
static void put(struct place *w, uint8_t id, uint64_t user, const char *tag, const char *route,
		const char *second)
{
	struct policy_node n = { .id = id, .user = user, .created = id };
	struct prefix routes[2] = { 0 };
	struct bytes tags[1];
	struct err err = { 0 };

	n.v4 = ip_v4(100, 64, 0, id);
	n.v6 = (struct ip){ 6, { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, [15] = id } };
	n.tags = tags;
	n.routes = routes;
	if (tag)
		tags[n.n_tags++] = B(tag);
	if (route)
		CHECK(prefix_parse(&routes[n.n_routes++], B(route)));
	if (second)
		CHECK(prefix_parse(&routes[n.n_routes++], B(second)));
	if (!CHECK(policy_state_upsert(w->s, &n, NULL, &err) == 0))
		(void)printf("# %s\n", err.text);
}

/* The filter as lines "sources > destination:first-last/protocol". */
static void check_filter(struct place *w, uint64_t id, const char *want)
{
	char text[FILTER_TEXT_MAX];
	struct policy_filter f;
	struct buf b;

	buf_init(&b, 1 << 16);
	CHECK(policy_state_filter(w->s, id, &f, NULL) == 0);
	for (size_t i = 0; i < f.n; i++) {
		for (size_t k = 0; k < f.rules[i].n_srcs; k++)
			(void)buf_printf(&b, "%s%s", k ? "," : "", f.rules[i].srcs[k]);
		for (size_t k = 0; k < f.rules[i].n_dsts; k++)
			(void)buf_printf(&b, " > %s:%u-%u/%d",
					 filter_dst_format(&f.rules[i].dsts[k], text),
					 f.rules[i].dsts[k].first_port,
					 f.rules[i].dsts[k].last_port, f.rules[i].proto);
		for (size_t k = 0; k < f.rules[i].n_grants; k++)
			(void)buf_printf(&b, " + %.*s",
					 BYTES_FMT(f.rules[i].grants[k].caps[0].name));
		(void)buf_append_str(&b, "\n");
	}
	CHECK_STR(buf_cstr(&b), want);
	policy_filter_fini(&f);
	buf_fini(&b);
}

static void check_peers(struct place *w, uint64_t id, const char *want)
{
	char text[PREFIX_TEXT_MAX];
	struct policy_peers p;
	struct buf b;

	buf_init(&b, 1 << 16);
	CHECK(policy_state_peers(w->s, id, &p, NULL) == 0);
	for (size_t i = 0; i < p.n; i++) {
		(void)buf_printf(&b, "%s%llu", i ? " " : "", (unsigned long long)p.v[i].id);
		for (size_t k = 0; k < p.v[i].n_routes; k++)
			(void)buf_printf(&b, "+%s", prefix_format(p.v[i].routes[k], text));
	}
	CHECK_STR(buf_cstr(&b), want);
	policy_peers_fini(&p);
	buf_fini(&b);
}

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
		   "\"alice@example.com\" ,\"ghost@example.com\"]},\n"
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

TEST(failing_tests_say_which)
{
	struct place w;

	place_init(
	    &w,
	    "{\"tagOwners\":{\"tag:a\":[]},\n\"grants\":[{\"src\":[\"alice@example.com\"],\"dst\":"
	    "[\"tag:a\"],\"ip\":[\"tcp:22\"]}],\n\"tests\":[{\"src\":\"alice@example.com\","
	    "\"accept\":[\"tag:a:22\",\"tag:a:23\"],\"deny\":[\"tag:a:24\"]}]}");
	put(&w, 1, 1, NULL, NULL, NULL);
	put(&w, 2, 0, "tag:a", NULL, NULL);
	CHECK(!policy_run_tests(w.s, &w.report));
	CHECK_INT(w.report.errors, 1);
	CHECK_STR(policy_report_message(&w.report),
		  "test(s) failed: alice@example.com -> tag:a:23: expected ALLOWED, got DENIED");
	CHECK_INT(w.report.issues[w.report.n - 1].line, 3);
	CHECK_STR(w.report.issues[w.report.n - 1].subject, "alice@example.com");
	place_fini(&w);
}

/* The tests of a policy over one laptop, a tagged node and a router; NULL: they pass. */
static void run_tests(const char *policy, const char *want)
{
	struct place w;

	place_init(&w, policy);
	put(&w, 1, 1, NULL, NULL, NULL);
	put(&w, 2, 0, "tag:a", NULL, NULL);
	put(&w, 3, 0, "tag:r", "10.20.0.0/16", NULL);
	CHECK(policy_run_tests(w.s, &w.report) == !want);
	if (want && !CHECK(strstr(policy_report_message(&w.report), want) != NULL))
		(void)printf("# %s\n# %s\n", policy, policy_report_message(&w.report));
	place_fini(&w);
}

#define TESTED(grant, test)                                                                        \
	"{\"tagOwners\":{\"tag:a\":[],\"tag:r\":[]},\"postures\":{\"posture:p\":["                 \
	"\"node:os == 'linux'\",\"custom:tier >= 2\",\"custom:ok == true\"]},"                     \
	"\"hosts\":{\"printer\":\"10.20.0.9\",\"lan\":\"10.20.0.0/16\",\"far\":\"10.9.0.1\"},"     \
	"\"grants\":[{" grant "}],\"tests\":[{" test "}]}"

#define GUARDED                                                                                    \
	"\"src\":[\"autogroup:member\"],\"dst\":[\"tag:a\"],\"ip\":[\"tcp:22\"],"                  \
	"\"srcPosture\":[\"posture:p\"]"

/* Postures are held against what the test says, whatever the devices have. */
TEST(tests_bring_their_posture)
{
	run_tests(TESTED(GUARDED, "\"src\":\"alice@example.com\",\"accept\":[\"tag:a:22\"],"
				  "\"srcPostureAttrs\":{\"node:os\":\"linux\",\"custom:tier\":2,"
				  "\"custom:ok\":true}"),
		  NULL);
	run_tests(TESTED(GUARDED, "\"src\":\"alice@example.com\",\"accept\":[\"tag:a:22\"],"
				  "\"srcPostureAttrs\":{\"node:os\":\"linux\",\"custom:tier\":1,"
				  "\"custom:ok\":true}"),
		  "expected ALLOWED, got DENIED");
	run_tests(TESTED(GUARDED, "\"src\":\"alice@example.com\",\"deny\":[\"tag:a:22\"],"
				  "\"srcPostureAttrs\":{\"node:os\":\"linux\",\"custom:tier\":2,"
				  "\"custom:ok\":false}"),
		  NULL);
	run_tests(TESTED(GUARDED, "\"src\":\"alice@example.com\",\"deny\":[\"tag:a:22\"]"), NULL);
	run_tests(TESTED("\"src\":[\"*\"],\"dst\":[\"tag:a\"],\"ip\":[\"*\"]",
			 "\"src\":\"alice@example.com\",\"accept\":[\"tag:a:22\"]"),
		  NULL);
}

TEST(ssh_tests_bring_their_posture)
{
#define GUARDED_SSH(test)                                                                          \
	"{\"tagOwners\":{\"tag:a\":[],\"tag:r\":[]},\"postures\":{\"posture:p\":["                 \
	"\"node:os == 'linux'\"]},\"ssh\":[{\"action\":\"accept\",\"src\":[\"autogroup:member\"]," \
	"\"dst\":[\"tag:a\"],\"users\":[\"root\"],\"srcPosture\":[\"posture:p\"]}],\"sshTests\":[" \
	"{\"src\":\"alice@example.com\",\"dst\":[\"tag:a\"]," test "}]}"
	run_tests(GUARDED_SSH("\"accept\":[\"root\"],\"srcPostureAttrs\":{\"node:os\":\"linux\"}"),
		  NULL);
	run_tests(GUARDED_SSH("\"deny\":[\"root\"],\"srcPostureAttrs\":{\"node:os\":\"macos\"}"),
		  NULL);
	run_tests(GUARDED_SSH("\"accept\":[\"root\"]"), "expected ALLOWED, got DENIED");
}

#define OPEN_A(ip) "\"src\":[\"*\"],\"dst\":[\"tag:a\",\"lan\"],\"ip\":[\"" ip "\"]"

TEST(what_a_test_may_name)
{
	/* a host behind an approved subnet is a source of "*", any other address is not */
	run_tests(TESTED(OPEN_A("*"), "\"src\":\"printer\",\"accept\":[\"tag:a:22\"]"), NULL);
	run_tests(TESTED(OPEN_A("*"), "\"src\":\"far\",\"deny\":[\"tag:a:22\"]"), NULL);
	run_tests(TESTED(OPEN_A("*"),
			 "\"src\":\"tag:r\",\"accept\":[\"printer:631\","
			 "\"10.20.3.4:1\",\"100.64.0.2:9\",\"[fd7a:115c:a1e0::2]:9\"]"),
		  NULL);
	run_tests(TESTED(OPEN_A("*"), "\"user\":\"tag:r\",\"allow\":[\"tag:a:65535\"]"), NULL);
	run_tests(TESTED(OPEN_A("udp:53"), "\"src\":\"tag:r\",\"accept\":[\"tag:a:53\"]"), NULL);
	run_tests(
	    TESTED(OPEN_A("udp:53"), "\"src\":\"tag:r\",\"proto\":\"6\",\"deny\":[\"tag:a:53\"]"),
	    NULL);
	run_tests(
	    TESTED(OPEN_A("53"), "\"src\":\"tag:r\",\"proto\":\"sctp\",\"deny\":[\"tag:a:53\"]"),
	    NULL);
	run_tests(TESTED(OPEN_A("sctp:53"),
			 "\"src\":\"tag:r\",\"proto\":\"132\",\"accept\":[\"tag:a:53\"]"),
		  NULL);
	run_tests(TESTED(OPEN_A("icmp:*"),
			 "\"src\":\"tag:r\",\"proto\":\"icmp\",\"accept\":[\"tag:a:0\"]"),
		  NULL);
}

TEST(tests_that_fail_by_their_form)
{
	static const char *const bad[] = {
		"\"src\":\"tag:r\",\"accept\":[\"lan:22\"]", /* more than one address */
		"\"src\":\"tag:r\",\"deny\":[\"10.20.0.9/32:22\"]",
		"\"src\":\"tag:r\",\"deny\":[\"tag:a:1-2\"]",
		"\"src\":\"tag:r\",\"deny\":[\"tag:a:1,2\"]",
		"\"src\":\"tag:r\",\"deny\":[\"tag:a:*\"]",
		"\"src\":\"tag:r\",\"deny\":[\"tag:a:0\"]",
		"\"src\":\"tag:r\",\"deny\":[\"tag:a:-1\"]",
		"\"src\":\"tag:r\",\"deny\":[\"tag:a:65536\"]",
		"\"src\":\"tag:r\",\"deny\":[\"tag:a\"]",
		"\"src\":\"tag:r\",\"deny\":[\"\"]",
		"\"src\":\"tag:r\",\"deny\":[\"autogroup:internet:22\"]",
		"\"src\":\"tag:r\",\"deny\":[\"autogroup:self:22\"]",
		"\"src\":\"tag:r\",\"deny\":[\"tag:none:22\"]",
		"\"src\":\"tag:r\",\"deny\":[\"group:none:22\"]",
		"\"src\":\"tag:r\",\"deny\":[\"nohost:22\"]",
		"\"src\":\"tag:r\",\"deny\":[\"bob@example.com:22\"]", /* has no nodes */
		"\"src\":\"tag:r\",\"deny\":[\"nobody@example.com:22\"]",
		"\"src\":\"tag:r\",\"proto\":\"gre\",\"deny\":[\"tag:a:22\"]",
		"\"src\":\"tag:r\",\"proto\":\"icmp\",\"accept\":[\"tag:a:*\"]",
		"\"src\":\"tag:r\"",
		"\"src\":\"tag:r\",\"accept\":[],\"deny\":[]",
		"\"src\":\"\",\"deny\":[\"tag:a:22\"]",
		"\"deny\":[\"tag:a:22\"]",
		"\"src\":\"bob@example.com\",\"deny\":[\"tag:a:22\"]",
		"\"src\":\"autogroup:nosuch\",\"deny\":[\"tag:a:22\"]",
		"\"src\":\"tag:none\",\"deny\":[\"tag:a:22\"]",
	};
	char text[2048];

	for (size_t i = 0; i < array_len(bad); i++) {
		(void)snprintf(text, sizeof(text), TESTED(OPEN_A("*"), "%s"), bad[i]);
		run_tests(text, "test(s) failed");
	}
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
