/*
 * Runs recorded answers of the hosted service: policy-conformance [DIR]. DIR holds folders of
 * captures as its README describes, or is one such folder. Two levels: what is let through, and the
 * wire (rules and their elements); the order inside lists is counted as a third, for information.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/hujson.h"
#include "base/mem.h"
#include "capture.h"

/* Captures in which the service itself is believed wrong: file and reason. None so far. */
static const struct {
	const char *file, *reason;
} doubted[] = { { "", "" } };

struct tally {
	size_t total, behaviour, wire, order;
};

struct run {
	struct capture c;
	struct policy *policy;
	struct policy_state *state, *late;
	struct policy_report report;
	char diff[DIFF_MAX];
	bool behaviour, wire, order;
};

static void differs(struct run *r, bool *level, const char *who)
{
	char text[DIFF_MAX];

	if (*level) {
		(void)snprintf(text, sizeof(text), "%.200s: %.900s", who, r->diff);
		memcpy(r->diff, text, sizeof(text));
	}
	*level = false;
}

static bool is(const struct run *r, const char *category)
{
	return strcmp(r->c.category, category) == 0;
}

static struct policy_state *people(const struct run *r, const struct policy_node *nodes)
{
	struct policy_state *s = policy_state_create(r->policy);
	struct err err = { 0 };

	for (size_t i = 0; i < r->c.n_nodes; i++)
		if (policy_state_upsert(s, &nodes[i], NULL, &err) < 0)
			(void)fprintf(stderr, "%s: %s\n", r->c.name, err.text);
	return s;
}

static const struct json *as_json(struct run *r, size_t node, bool ssh)
{
	struct policy_filter filter;
	struct policy_ssh rules;
	struct json_out o;
	struct bytes text;
	struct buf b;

	buf_init(&b, 1 << 26);
	json_out_init(&o, &b);
	if (ssh && policy_state_ssh(r->state, node + 1, &rules, NULL) == 0) {
		ssh_rules_encode(&o, rules.rules, rules.n, "https://unused");
		policy_ssh_fini(&rules);
	} else if (!ssh && policy_state_filter(r->state, node + 1, &filter, NULL) == 0) {
		filter_rules_encode(&o, filter.rules, filter.n);
		policy_filter_fini(&filter);
	}
	text = arena_bytes(&r->c.arena, buf_bytes(&b));
	buf_fini(&b);
	return json_parse(&r->c.arena, text, 0, NULL);
}

/* An IPv6 literal in this policy names a node of the renumbered topology by accident. */
static bool verdict_only(const struct run *r)
{
	return strcmp(r->c.name, "policytest-allpass-grants-only-tag-src-ipv6-literal-dst") == 0;
}

static void check_node(struct run *r, size_t node)
{
	const struct json *cap = capture_of(&r->c, node);
	const struct json *want = member(cap, "packet_filter_rules"), *got;
	char who[256];

	if (!cap || verdict_only(r))
		return;
	(void)bytes_to_cstr(r->c.names[node], who, sizeof(who));
	got = as_json(r, node, false);
	if (!compare_filter_behaviour(want, got, r->diff))
		differs(r, &r->behaviour, who);
	else if (r->behaviour && !compare_filter_wire(want, got, false, r->diff))
		differs(r, &r->wire, who);
	else if (r->behaviour && r->wire && !compare_filter_wire(want, got, true, r->diff))
		differs(r, &r->order, who);
	if (r->behaviour &&
	    !compare_peers(&r->c, r->late, node, is(r, "nodeattrs_results"), r->diff))
		differs(r, &r->behaviour, who);
	if (r->behaviour && !compare_whois(&r->c, r->state, node, r->diff))
		differs(r, &r->behaviour, who);
	if (r->behaviour && is(r, "nodeattrs_results") &&
	    !compare_caps(&r->c, r->state, node, r->diff))
		differs(r, &r->behaviour, who);
	if (r->behaviour && !compare_ssh(member(cap, "ssh_rules"), as_json(r, node, true), r->diff))
		differs(r, &r->behaviour, who);
}

static bool approvals_differ(struct run *r)
{
	char name[256], text[PREFIX_TEXT_MAX];

	for (size_t i = 0; i < r->c.n_nodes; i++) {
		const struct json *v;

		if (!bytes_to_cstr(r->c.names[i], name, sizeof(name)))
			continue;
		v = json_get(member(r->c.root, "topology.nodes"), name);
		json_each (it, member(v, "routable_ips")) {
			struct prefix p;
			bool want = false, got;

			if (!prefix_parse(&p, it->text))
				continue;
			json_each (a, member(v, "approved_routes"))
				want |= bytes_equal(a->text, it->text);
			got = policy_approves_route(r->policy, &r->c.nodes[i], p);
			if (want == got)
				continue;
			(void)snprintf(r->diff, DIFF_MAX, "route %s of %s %s",
				       prefix_format(p, text), name,
				       got ? "is approved" : "is not approved");
			return true;
		}
	}
	return false;
}

static void check_rejected(struct run *r)
{
	const char *got = policy_report_message(&r->report);
	struct bytes want = r->c.message;

	if (!r->report.errors) {
		(void)snprintf(r->diff, DIFF_MAX, "accepted; the service says: %.*s",
			       BYTES_FMT(want));
		r->behaviour = false;
	} else if (!is(r, "nodeattrs_results") && want.n &&
		   !memmem(got, strlen(got), want.p, want.n)) {
		(void)snprintf(r->diff, DIFF_MAX, "\"%s\", not \"%.*s\"", got, BYTES_FMT(want));
		r->behaviour = false;
	}
}

static void check_accepted(struct run *r)
{
	if (r->report.errors) {
		(void)snprintf(r->diff, DIFF_MAX, "refused: %s", policy_report_message(&r->report));
		r->behaviour = false;
		return;
	}
	for (size_t i = 0; i < r->c.n_nodes; i++)
		check_node(r, i);
	if (r->behaviour && !is(r, "acl_results") && approvals_differ(r))
		r->behaviour = false;
}

/* The canonical layout of the canonical layout is itself, and it means the same. */
static void check_format(struct run *r)
{
	struct policy_report report;
	struct policy *p;
	struct buf once, twice;

	buf_init(&once, 1 << 26);
	buf_init(&twice, 1 << 26);
	policy_report_init(&report);
	p = NULL;
	if (hujson_format(r->c.policy, &once, NULL) == 0) {
		p = policy_compile(buf_bytes(&once), &r->c.dir, &report);
		if (hujson_format(buf_bytes(&once), &twice, NULL) < 0 ||
		    !bytes_equal(buf_bytes(&once), buf_bytes(&twice)) || !p != !r->policy ||
		    (!p && strcmp(policy_report_message(&report),
				  policy_report_message(&r->report)) != 0)) {
			(void)snprintf(r->diff, DIFF_MAX, "formatting alters it");
			r->behaviour = false;
		}
	}
	policy_unref(p);
	policy_report_fini(&report);
	buf_fini(&once);
	buf_fini(&twice);
}

static bool run_file(const char *category, const char *name, const char *path, struct tally *t)
{
	struct run *r = mem_alloc(sizeof(*r));
	bool ok;

	r->behaviour = r->wire = r->order = true;
	policy_report_init(&r->report);
	if (!capture_load(&r->c, category, path, r->diff)) {
		r->behaviour = false;
	} else {
		r->c.name = name;
		r->policy = policy_compile(r->c.policy, &r->c.dir, &r->report);
		check_format(r);
		if (r->policy) {
			r->state = people(r, r->c.nodes);
			r->late = people(r, r->c.late);
			(void)policy_run_tests(r->state, &r->report);
		}
		if (r->c.accepted)
			check_accepted(r);
		else
			check_rejected(r);
	}
	for (size_t i = 0; i < array_len(doubted); i++)
		if (strcmp(doubted[i].file, name) == 0) {
			(void)printf("doubted %s/%s: %s\n", category, name, doubted[i].reason);
			r->behaviour = r->wire = true;
		}
	ok = r->behaviour && r->wire;
	if (!ok || getenv("CONFORMANCE_ORDER"))
		if (!ok || !r->order)
			(void)printf("%s %s/%s: %s\n", ok ? "order " : "FAILED", category, name,
				     r->diff);
	t->total++;
	t->behaviour += r->behaviour;
	t->wire += ok;
	t->order += ok && r->order;
	policy_state_destroy(r->state);
	policy_state_destroy(r->late);
	policy_unref(r->policy);
	policy_report_fini(&r->report);
	capture_fini(&r->c);
	mem_free(r);
	return ok;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static bool run_folder(const char *category, const char *path, struct tally *sum)
{
	struct dirent **list;
	struct tally t = { 0 };
	char file[4096];
	bool ok = true;
	int n = scandir(path, &list, NULL, by_name);

	for (int i = 0; i < n; i++) {
		size_t len = strlen(list[i]->d_name);

		if (len > 5 && strcmp(list[i]->d_name + len - 5, ".json") == 0) {
			(void)snprintf(file, sizeof(file), "%s/%s", path, list[i]->d_name);
			list[i]->d_name[len - 5] = '\0';
			ok &= run_file(category, list[i]->d_name, file, &t);
		}
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	if (t.total)
		(void)printf("%-20s behaviour %zu/%zu, wire %zu/%zu, list order %zu/%zu\n",
			     category, t.behaviour, t.total, t.wire, t.total, t.order, t.total);
	sum->total += t.total;
	sum->behaviour += t.behaviour;
	sum->wire += t.wire;
	sum->order += t.order;
	return ok;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int main(int argc, char **argv)
{
	char *dir = argv[argc - 1];
	struct tally sum = { 0 };
	struct dirent **list;
	struct stat st;
	char path[4096];
	bool ok;
	int n;

	if (argc < 2 || stat(dir, &st) != 0 || !S_ISDIR(st.st_mode)) {
		(void)printf("no captures at %s\n", argc < 2 ? "(no folder named)" : dir);
		return 77;
	}
	for (size_t len = strlen(dir); len > 1 && dir[len - 1] == '/'; len--)
		dir[len - 1] = '\0'; /* the last part names the category */
	ok = run_folder(last_part(dir), dir, &sum);
	n = scandir(dir, &list, NULL, by_name);
	for (int i = 0; i < n; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name);
		if (list[i]->d_name[0] != '.' && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
			ok &= run_folder(list[i]->d_name, path, &sum);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	if (!sum.total) {
		(void)printf("no captures at %s\n", dir);
		return 77;
	}
	(void)printf("%-20s behaviour %zu/%zu, wire %zu/%zu, list order %zu/%zu\n", "total",
		     sum.behaviour, sum.total, sum.wire, sum.total, sum.order, sum.total);
	return ok ? 0 : 1;
}
