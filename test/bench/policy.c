/*
 * What the policy engine costs on one core: a policy of 2 000 rules and 500 groups over 10 000
 * nodes compiled, joined with its nodes, asked for one node's rules and peers, and told of one more
 * node. Then the same with every node open to every other.
 *
 *   bench-policy        prints one line per figure; some five seconds
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/json.h"
#include "engine/filter/filter.h"
#include "engine/policy/policy.h"

enum { USERS = 4000, GROUPS = 500, TAGS = 400, RULES = 2000, NODES = 10000, ROUNDS = 200 };

struct world {
	struct policy_user *users;
	struct policy_directory dir;
	char (*names)[32];
	char (*tags)[24];
	struct bytes *tag_bytes;
	struct prefix *routes;
};

static double ms_since(struct mono then)
{
	return (double)(mono_now().ns - then.ns) / 1e6;
}

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	(void)fprintf(stderr, "%s\n", what);
	exit(1);
}

static unsigned spread(unsigned i, unsigned n)
{
	return (i * 2654435761u >> 7) % n;
}

static void world_init(struct world *w)
{
	static const struct bytes domain = { (const uint8_t *)"example.com", 11 };

	w->users = mem_alloc(USERS * sizeof(*w->users));
	w->names = mem_alloc(USERS * sizeof(*w->names));
	w->tags = mem_alloc(TAGS * sizeof(*w->tags));
	w->tag_bytes = mem_alloc(TAGS * sizeof(*w->tag_bytes));
	w->routes = mem_alloc(NODES * sizeof(*w->routes));
	for (unsigned i = 0; i < USERS; i++) {
		(void)snprintf(w->names[i], sizeof(w->names[i]), "user%u@example.com", i);
		w->users[i] = (struct policy_user){ .id = i + 1, .login = bytes_str(w->names[i]) };
	}
	for (unsigned i = 0; i < TAGS; i++) {
		(void)snprintf(w->tags[i], sizeof(w->tags[i]), "tag:service%u", i);
		w->tag_bytes[i] = bytes_str(w->tags[i]);
	}
	w->users[0].role = POLICY_OWNER;
	w->dir = (struct policy_directory){
		.users = w->users, .n_users = USERS, .domains = &domain, .n_domains = 1
	};
}

static void put_rules(struct buf *b)
{
	static const char *const ports[] = { "443", "22,80", "5432", "8000-8100", "*" };

	for (unsigned i = 0; i < RULES; i++) {
		(void)buf_append_str(b, "{\"action\":\"accept\",\"src\":[");
		if (i % 5 == 0)
			(void)buf_printf(b, "\"tag:service%u\"", spread(i, TAGS));
		else
			(void)buf_printf(b, "\"group:team%u\",\"user%u@example.com\"",
					 spread(i, GROUPS), spread(i + 7, USERS));
		if (i % 10 == 3)
			(void)buf_printf(b, "],\"dst\":[\"10.%u.%u.0/24:%s\"]},\n", spread(i, 200),
					 spread(i + 1, 250), ports[i % 5]);
		else
			(void)buf_printf(
			    b, "],\"dst\":[\"tag:service%u:%s\",\"tag:service%u:22\"]},\n",
			    spread(i + 3, TAGS), ports[i % 5], spread(i + 5, TAGS));
	}
}

static void make_policy(struct buf *b, bool open)
{
	buf_init(b, POLICY_TEXT_MAX);
	(void)buf_append_str(b, "{\n\"groups\": {\n");
	for (unsigned i = 0; i < GROUPS; i++) {
		(void)buf_printf(b, "\"group:team%u\": [", i);
		for (unsigned k = 0; k < 20; k++)
			(void)buf_printf(b, "\"user%u@example.com\",", spread(i * 20 + k, USERS));
		(void)buf_append_str(b, "],\n");
	}
	(void)buf_append_str(b, "},\n\"tagOwners\": {\n");
	for (unsigned i = 0; i < TAGS; i++)
		(void)buf_printf(b, "\"tag:service%u\": [\"group:team%u\"],\n", i, i % GROUPS);
	(void)buf_append_str(b, "},\n\"acls\": [\n");
	if (open)
		(void)buf_append_str(b,
				     "{\"action\":\"accept\",\"src\":[\"*\"],\"dst\":[\"*:*\"]},");
	put_rules(b);
	(void)buf_append_str(
	    b, "],\n\"ssh\": [{\"action\": \"check\", \"src\": [\"autogroup:member\"], "
	       "\"dst\": [\"autogroup:self\"], \"users\": [\"autogroup:nonroot\"]}]}\n");
}

static struct policy_node make_node(struct world *w, unsigned i)
{
	struct policy_node n = { .id = i + 1, .user = 1 + i % USERS, .created = i };

	n.v4 = ip_v4_of(0x64400000u + 16 + i);
	n.v6 = (struct ip){ 6, { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0 } };
	n.v6.b[13] = (uint8_t)(i >> 16);
	n.v6.b[14] = (uint8_t)(i >> 8);
	n.v6.b[15] = (uint8_t)i;
	if (i % 3 == 0) {
		n.tags = &w->tag_bytes[spread(i, TAGS)];
		n.n_tags = 1;
	}
	if (i % 50 == 0 && i < NODES) {
		w->routes[i] = (struct prefix){ ip_v4(10, (uint8_t)(i / 50), 0, 0), 16 };
		n.routes = &w->routes[i];
		n.n_routes = 1;
	}
	return n;
}

static struct policy *compile(struct world *w, bool open)
{
	struct policy_report report;
	struct mono start;
	struct policy *p;
	struct buf text;

	make_policy(&text, open);
	policy_report_init(&report);
	start = mono_now();
	p = policy_compile(buf_bytes(&text), &w->dir, &report);
	(void)printf("compile %d rules, %d groups, %zu KiB        %9.2f ms\n", RULES, GROUPS,
		     text.n >> 10, ms_since(start));
	must(p, policy_report_message(&report));
	policy_report_fini(&report);
	buf_fini(&text);
	return p;
}

static struct policy_state *populate(struct world *w, struct policy *p)
{
	struct policy_state *s = policy_state_create(p);
	struct mono start = mono_now();
	struct err err = { 0 };

	for (unsigned i = 0; i < NODES; i++) {
		struct policy_node n = make_node(w, i);

		must(policy_state_upsert(s, &n, NULL, &err) == 0, err.text);
	}
	(void)printf("join the policy with %d nodes            %9.2f ms\n", NODES, ms_since(start));
	return s;
}

static void ask_filters(struct policy_state *s, const char *when)
{
	size_t rules = 0, sources = 0;
	struct mono start = mono_now();
	unsigned asked = 0;

	for (unsigned i = 1; i <= NODES; i += 7, asked++) {
		struct policy_filter f;

		must(policy_state_filter(s, i, &f, NULL) == 0, "filter");
		rules += f.n;
		for (size_t k = 0; k < f.n; k++)
			sources += f.rules[k].n_srcs;
		policy_filter_fini(&f);
	}
	(void)printf("filter of one node, %-17s    %9.2f us (%zu rules, %zu sources on average)\n",
		     when, ms_since(start) * 1000 / asked, rules / asked, sources / asked);
}

static void ask_peers(struct policy_state *s)
{
	size_t peers = 0;
	struct mono start = mono_now();
	unsigned asked = 0;

	for (unsigned i = 1; i <= NODES; i += 37, asked++) {
		struct policy_peers p;

		must(policy_state_peers(s, i, &p, NULL) == 0, "peers");
		peers += p.n;
		policy_peers_fini(&p);
	}
	(void)printf("peers of one node                          %9.2f us (%zu peers on average)\n",
		     ms_since(start) * 1000 / asked, peers / asked);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void say_spread(const char *what, double *t, size_t touched)
{
	qsort(t, ROUNDS, sizeof(*t), by_size);
	(void)printf("%-42s %9.2f us median, %.2f us p99 (%zu nodes told on average)\n", what,
		     t[ROUNDS / 2] * 1000, t[ROUNDS * 99 / 100] * 1000, touched / ROUNDS);
}

static void change_nodes(struct world *w, struct policy_state *s)
{
	struct policy_ids affected;
	double joins[ROUNDS], retags[ROUNDS], leaves[ROUNDS];
	size_t told[3] = { 0 };

	policy_ids_init(&affected);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct policy_node n = make_node(w, NODES + i);
		struct mono start = mono_now();

		must(policy_state_upsert(s, &n, &affected, NULL) == 0, "join");
		joins[i] = ms_since(start);
		told[0] += affected.n;
		n.tags = &w->tag_bytes[spread(i + 11, TAGS)];
		n.n_tags = 1;
		start = mono_now();
		must(policy_state_upsert(s, &n, &affected, NULL) == 0, "retag");
		retags[i] = ms_since(start);
		told[1] += affected.n;
		start = mono_now();
		policy_state_remove(s, n.id, &affected);
		leaves[i] = ms_since(start);
		told[2] += affected.n;
	}
	policy_ids_fini(&affected);
	say_spread("a node joins", joins, told[0]);
	say_spread("its tag changes", retags, told[1]);
	say_spread("it leaves", leaves, told[2]);
}

static void edit_policy(struct world *w, struct policy_state *s, bool open)
{
	struct policy *p = compile(w, open);
	struct mono start = mono_now();
	struct policy_state *next = policy_state_with(s, p);
	struct policy_ids affected;

	(void)printf("rebuild the state under it                 %9.2f ms\n", ms_since(start));
	policy_ids_init(&affected);
	start = mono_now();
	policy_state_diff(s, next, &affected);
	(void)printf("whom the edit touches                      %9.2f ms (%zu nodes)\n",
		     ms_since(start), affected.n);
	policy_ids_fini(&affected);
	policy_state_destroy(next);
	policy_unref(p);
}

/* The policy of a fresh server: all nodes are one user's, each may reach every other. */
static void one_owner(struct world *w)
{
	static const char text[] =
	    "{\"grants\":[{\"src\":[\"autogroup:member\"],\"dst\":[\"autogroup:self\"],"
	    "\"ip\":[\"*\"]}],\"ssh\":[{\"action\":\"check\",\"src\":[\"autogroup:member\"],"
	    "\"dst\":[\"autogroup:self\"],\"users\":[\"autogroup:nonroot\"]}]}";
	struct policy_report report;
	struct policy_state *s;
	struct policy_ids affected;
	struct policy *p;
	struct mono start;

	policy_report_init(&report);
	p = policy_compile(bytes_str(text), &w->dir, &report);
	must(p, policy_report_message(&report));
	s = policy_state_create(p);
	policy_ids_init(&affected);
	for (unsigned i = 0; i <= NODES; i++) {
		struct policy_node n = make_node(w, i);

		n.user = 1;
		n.n_tags = 0;
		start = mono_now();
		must(policy_state_upsert(s, &n, i == NODES ? &affected : NULL, NULL) == 0, "join");
	}
	(void)printf("one owner, everything to itself: a join    %9.2f ms (%zu nodes told)\n",
		     ms_since(start), affected.n);
	policy_ids_fini(&affected);
	policy_state_destroy(s);
	policy_unref(p);
	policy_report_fini(&report);
}

static void overlapping(void)
{
	struct policy_report report;
	struct mono start;
	struct policy *p;
	struct buf b;

	buf_init(&b, POLICY_TEXT_MAX);
	(void)buf_append_str(&b, "{\"grants\":[{\"src\":[\"10.0.0.0/8\",\"::/0\"");
	for (unsigned i = 0; i < 1000; i++)
		(void)buf_printf(&b, ",\"10.%u.%u.0/%u\"", i / 4, i % 4 * 16, 12 + i % 12);
	(void)buf_append_str(&b, "],\"dst\":[\"10.0.0.0/8\",\"fc00::/7\"],\"ip\":[\"*\"]}]}");
	policy_report_init(&report);
	start = mono_now();
	p = policy_compile(buf_bytes(&b), NULL, &report);
	must(p, policy_report_message(&report));
	(void)printf("compile 1 000 overlapping prefixes         %9.2f ms\n", ms_since(start));
	policy_unref(p);
	policy_report_fini(&report);
	buf_fini(&b);
}

/* ---- the matcher on the node: does its cost grow with the rules? ---- */

enum { PACKETS = 4096, PASSES = 200 };

/* Each rule lets ten addresses reach one port. */
static void put_filter(struct buf *b, unsigned rules)
{
	for (unsigned i = 0; i < rules; i++) {
		(void)buf_append_str(b, i ? ",{\"SrcIPs\":[" : "[{\"SrcIPs\":[");
		for (unsigned k = 0; k < 10; k++)
			(void)buf_printf(b, "%s\"100.%u.%u.%u\"", k ? "," : "", 65 + i % 60,
					 spread(i, 250), spread(k * 7 + i, 250));
		(void)buf_printf(b,
				 "],\"DstPorts\":[{\"IP\":\"100.64.0.1\",\"Ports\":{\"First\":%u,"
				 "\"Last\":%u}}]}",
				 i % 60000, i % 60000);
	}
	(void)buf_append_str(b, "]");
}

static struct filter *make_filter(unsigned rules, struct filter_flows *flows)
{
	struct ip_range local = { ip_v4(100, 64, 0, 1), ip_v4(100, 64, 0, 1) };
	struct filter_conf conf = {
		.local = &local, .local_count = 1, .list_count = 1, .flows = flows
	};
	const struct json *list;
	struct filter *f;
	struct arena arena;
	struct buf text;

	buf_init(&text, 1 << 26);
	arena_init(&arena, 1 << 28);
	put_filter(&text, rules);
	list = json_parse(&arena, buf_bytes(&text), 0, NULL);
	conf.lists = &list;
	f = filter_create(&conf, NULL, NULL);
	must(f != NULL, "the filter was refused");
	arena_fini(&arena);
	buf_fini(&text);
	return f;
}

static void match(unsigned rules)
{
	static const struct filter_source anyone;
	static struct ippkt packets[PACKETS];
	struct filter_flows *flows = filter_flows_create((const uint8_t *)"0123456789abcdef");
	struct filter *f = make_filter(rules, flows);
	size_t accepted = 0;
	struct mono start;

	for (unsigned i = 0; i < PACKETS; i++) {
		unsigned r = spread(i, rules), k = i % 10;

		packets[i] = (struct ippkt){
			.version = 4,
			.proto = IPPKT_TCP,
			.has_ports = true,
			.tcp_flags = TCP_SYN,
			.src = ip_v4(100, (uint8_t)(65 + r % 60), (uint8_t)spread(r, 250),
				     (uint8_t)spread(k * 7 + r, 250)),
			.dst = ip_v4(100, 64, 0, 1),
			.dst_port =
			    (uint16_t)(r % 60000 + i % 2), /* every other one by a port too high */
		};
	}
	start = mono_now();
	for (unsigned round = 0; round < PASSES; round++)
		for (unsigned i = 0; i < PACKETS; i++)
			accepted += filter_in(f, &anyone, &packets[i]) == FILTER_ACCEPT_RULE;
	(void)printf("match a packet, %5u rules                 %9.1f ns (%zu %% accepted)\n",
		     rules, ms_since(start) * 1e6 / (PASSES * PACKETS),
		     accepted * 100 / (PASSES * PACKETS));
	filter_unref(f);
	filter_flows_destroy(flows);
}

static void say_memory(const char *when)
{
	struct rusage u;

	(void)getrusage(RUSAGE_SELF, &u);
	(void)printf("memory, %-35s %9ld MiB at most\n", when, u.ru_maxrss >> 10);
}

int main(void)
{
	struct world w;
	struct policy *p;
	struct policy_state *s;

	world_init(&w);
	overlapping();
	say_memory("before");
	p = compile(&w, false);
	s = populate(&w, p);
	say_memory("policy and nodes");
	ask_filters(s, "first time");
	ask_filters(s, "sources printed");
	ask_peers(s);
	change_nodes(&w, s);
	say_memory("all asked");
	edit_policy(&w, s, true);
	say_memory("two states side by side");
	(void)printf("everybody may reach everybody:\n");
	policy_state_destroy(s);
	policy_unref(p);
	p = compile(&w, true);
	s = populate(&w, p);
	ask_filters(s, "first time");
	ask_peers(s);
	change_nodes(&w, s);
	edit_policy(&w, s, true);
	w.users[6].role = POLICY_ADMIN;
	w.dir.n_users--;
	(void)printf("one person left, another became admin:\n");
	edit_policy(&w, s, true);
	policy_state_destroy(s);
	policy_unref(p);
	one_owner(&w);
	match(10);
	match(1000);
	match(10000);
	return 0;
}
