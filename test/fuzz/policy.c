/* Any text as a policy: it compiles or says where it does not, and every answer can be asked for.
 */
#include "engine/policy/policy.h"

#include <stdlib.h>

#include "base/json.h"
#include "engine/policy/policy_explain.h"

static struct bytes B(const char *s) {
	return bytes_str(s);
}

static void
ask(struct policy_state *s, uint64_t id)
{
	struct policy_filter f;
	struct policy_peers peers;
	struct policy_caps caps;
	struct policy_ssh ssh;

	if (policy_state_filter(s, id, &f, NULL) == 0)
		policy_filter_fini(&f);
	if (policy_state_peers(s, id, &peers, NULL) == 0)
		policy_peers_fini(&peers);
	if (policy_state_caps(s, id, &caps, NULL) == 0)
		policy_caps_fini(&caps);
	if (policy_state_ssh(s, id, &ssh, NULL) == 0)
		policy_ssh_fini(&ssh);
}

/* A policy with its safe fixes made is a policy, and the two can be compared. */
static void fix(struct policy_state *s, const struct policy_directory *dir)
{
	struct policy_report report;
	struct policy_state *next;
	struct policy_ids ids;
	struct policy *fixed;
	struct buf out;

	buf_init(&out, 1 << 24);
	policy_report_init(&report);
	policy_ids_init(&ids);
	policy_lint_fix(s, &out);
	fixed = policy_compile(buf_bytes(&out), dir, &report);
	if (!fixed && !out.bad)
		abort();
	if (fixed) {
		next = policy_state_with(s, fixed);
		policy_state_diff(s, next, &ids);
		policy_state_destroy(next);
	}
	policy_unref(fixed);
	policy_ids_fini(&ids);
	policy_report_fini(&report);
	buf_fini(&out);
}

static void live(struct policy *p, const struct policy_directory *dir)
{
	struct policy_state *s = policy_state_create(p);
	struct prefix routes[2] = { { ip_v4(10, 0, 0, 0), 8 }, { { .family = 4 }, 0 } };
	struct bytes tag = B("tag:a");
	struct policy_report report;
	struct policy_ids ids;
	struct buf out;

	policy_ids_init(&ids);
	for (uint8_t i = 1; i <= 4; i++) {
		struct policy_node n = { .id = i, .user = i, .v4 = ip_v4(100, 64, 0, i) };

		n.tags = &tag;
		n.n_tags = i > 2;
		n.routes = routes;
		n.n_routes = i > 3 ? 2 : 0;
		(void)policy_state_upsert(s, &n, &ids, NULL);
	}
	for (uint64_t i = 1; i <= 4; i++)
		ask(s, i);
	policy_report_init(&report);
	(void)policy_run_tests(s, &report);
	policy_report_fini(&report);
	buf_init(&out, 1 << 22);
	policy_lint(s, &out);
	(void)policy_explain(s, B("alice@example.com"), B("tag:a:22"), &out, NULL);
	buf_fini(&out);
	fix(s, dir);
	policy_state_remove(s, 3, &ids);
	policy_ids_fini(&ids);
	policy_state_destroy(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct policy_user users[] = {
		{ .id = 1, .login = B("alice@example.com") },
		{ .id = 2, .login = B("bob@example.com"), .role = POLICY_OWNER }
	};
	const struct bytes domain = B("example.com");
	struct policy_directory dir = { .users = users, .n_users = 2, .domains = &domain };
	struct policy_report report;
	struct policy *p;

	dir.n_domains = 1;
	policy_report_init(&report);
	p = policy_compile(bytes_of(data, n), &dir, &report);
	if (!p != (report.errors > 0))
		abort();
	if (!p && !*policy_report_message(&report))
		abort();
	if (p)
		live(p, &dir);
	policy_unref(p);
	policy_report_fini(&report);
	return 0;
}
