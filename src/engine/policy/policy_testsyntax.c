/* The shape of tests and sshTests; running them needs nodes and is the state's business. */
#include "engine/policy/policy_parse.h"

#include "base/text.h"

static const char *const test_keys[] = { "src",   "user", "proto",          "accept",
					 "allow", "deny", "srcPostureAttrs" };
static const char *const ssh_keys[] = {
	"src", "dst", "accept", "check", "deny", "srcPostureAttrs"
};

/* "srcPostureAttrs": {"node:os": "linux", ...}: what the source is taken to have, and no more. */
static bool parse_device(struct compiler *c, const struct json *v, struct policy_node *out)
{
	struct policy_posture_attr *attrs;
	const struct json *object;

	if (!policy_member(c, v, "srcPostureAttrs", JSON_OBJECT, &object))
		return false;
	attrs = policy_alloc(c->p, object ? object->count : 0, sizeof(*attrs));
	*out = (struct policy_node){ .attrs = attrs };
	json_each (it, object) {
		struct policy_posture_attr *a = &attrs[out->n_attrs++];

		*a = (struct policy_posture_attr){ .name = it->key, .text = it->text };
		a->truth = it->truth;
		if (it->kind == JSON_STRING)
			a->kind = POLICY_ATTR_STRING;
		else if (it->kind == JSON_BOOL)
			a->kind = POLICY_ATTR_BOOL;
		else if (it->kind == JSON_NUMBER && json_real(it, &a->number))
			a->kind = POLICY_ATTR_NUMBER;
		else
			return policy_complain(c, it, NULL,
					       "srcPostureAttrs[%s] must be a string, a number, "
					       "true or false, not %s",
					       policy_quote(c, it->key), json_kind_name(it->kind));
	}
	return true;
}

static bool check_test(struct compiler *c, const struct json *v, struct test_case *t)
{
	const struct json *s;

	return (v->kind == JSON_OBJECT || policy_complain(c, v, NULL, "a test is an object, not %s",
							  json_kind_name(v->kind))) &&
	       policy_check_keys(c, v, test_keys, array_len(test_keys), 0) &&
	       policy_member(c, v, "src", JSON_STRING, &s) &&
	       policy_member(c, v, "user", JSON_STRING, &s) &&
	       policy_member(c, v, "proto", JSON_STRING, &s) &&
	       policy_strings(c, v, "accept", &s) && policy_strings(c, v, "allow", &s) &&
	       policy_strings(c, v, "deny", &s) && parse_device(c, v, &t->device);
}

/* These two have words of their own on the service; everything else just fails. */
static bool check_ssh_dst(struct compiler *c, const struct json *it)
{
	struct bytes dst = text_trim(it->text);
	struct prefix p;

	if (bytes_equal_str(dst, "autogroup:internet") ||
	    (policy_address(dst, &p) && !prefix_is_single(p)))
		return policy_complain(c, it, NULL, "SSH tests dst contains disallowed element %s",
				       policy_quote(c, dst));
	if (bytes_has_prefix(dst, "tag:") && !policy_name(c->p, dst))
		return policy_complain(c, it, policy_suggest(c, dst, "tag:"),
				       "SSH tests dst contains unknown tag %s",
				       policy_quote(c, dst));
	return true;
}

static bool check_ssh_test(struct compiler *c, const struct json *v, struct ssh_case *t)
{
	const struct json *s, *dst;

	if (v->kind != JSON_OBJECT)
		return policy_complain(c, v, NULL, "an SSH test is an object, not %s",
				       json_kind_name(v->kind));
	if (!policy_check_keys(c, v, ssh_keys, array_len(ssh_keys), 0) ||
	    !policy_member(c, v, "src", JSON_STRING, &s) || !policy_strings(c, v, "dst", &dst) ||
	    !policy_strings(c, v, "accept", &s) || !policy_strings(c, v, "check", &s) ||
	    !policy_strings(c, v, "deny", &s) || !parse_device(c, v, &t->device))
		return false;
	json_each (it, dst)
		if (!check_ssh_dst(c, it))
			return false;
	return true;
}

static void parse_test_dst(struct compiler *c, const struct json *it, struct test_dst *d)
{
	struct bytes host, ports;
	char why[160];
	struct prefix p;
	uint64_t port = 0;

	*d = (struct test_dst){ .at = it, .sel = NO_SEL };
	if (!policy_split_port(it->text, &host, &ports, why))
		d->bad = "needs the form host:port";
	else if (!text_u64(ports, UINT16_MAX, &port) || (!port && !bytes_equal_str(ports, "0")))
		d->bad = "test destination port must be a single port";
	else if (policy_address(host, &p) && host.n && memchr(host.p, '/', host.n))
		d->bad = "test destination must be a single host, not a CIDR range";
	else if (!policy_select(c, it, host, CTX_TEST, &d->sel))
		d->bad = "the destination is not known";
	d->port = (uint16_t)port;
}

static struct test_dst *parse_test_dsts(struct compiler *c, const struct json *list, uint32_t *n)
{
	struct test_dst *out = policy_alloc(c->p, list ? list->count : 0, sizeof(*out));

	*n = 0;
	json_each (it, list)
		parse_test_dst(c, it, &out[(*n)++]);
	return out;
}

static const struct json *either(const struct json *v, const char *now, const char *then)
{
	const struct json *found = json_get_nocase(v, now);

	if (!found || found->kind == JSON_NULL)
		found = json_get_nocase(v, then);
	return found && found->kind != JSON_NULL ? found : NULL;
}

static void parse_test(struct compiler *c, const struct json *v, struct test_case *t)
{
	const struct json *proto = either(v, "proto", "proto");
	const char *reason;
	char why[160];

	t->v = v;
	t->src = NO_SEL;
	t->proto = -1;
	t->src_at = either(v, "src", "user");
	t->accept = parse_test_dsts(c, either(v, "accept", "allow"), &t->n_accept);
	t->deny = parse_test_dsts(c, either(v, "deny", "deny"), &t->n_deny);
	if (!t->src_at || !policy_select(c, t->src_at, t->src_at->text, CTX_TEST, &t->src))
		t->bad = "failed to resolve source";
	else if (!t->n_accept && !t->n_deny)
		t->bad = "test entry must have at least one of \"accept\" or \"deny\"";
	else if (proto && !policy_proto(proto->text, false, &t->proto, &reason, why))
		t->bad = "test protocol is not known";
	else if (t->proto >= 0 && t->proto != 1 && t->proto != 58 &&
		 !policy_proto_has_ports(t->proto))
		t->bad = "test protocol must be tcp, udp, sctp, icmp, or empty";
}

static void parse_ssh_test(struct compiler *c, const struct json *v, struct ssh_case *t)
{
	const struct json *dst = either(v, "dst", "dst");

	t->v = v;
	t->src = NO_SEL;
	t->src_at = either(v, "src", "src");
	t->accept = either(v, "accept", "accept");
	t->check = either(v, "check", "check");
	t->deny = either(v, "deny", "deny");
	t->dsts = policy_alloc(c->p, dst ? dst->count : 0, sizeof(*t->dsts));
	if (!t->src_at ||
	    !policy_select(c, t->src_at, text_trim(t->src_at->text), CTX_TEST, &t->src))
		t->bad = "SSH tests entry must have a non-empty src";
	else if (!dst || !dst->count)
		t->bad = "SSH tests entry must have at least one dst";
	json_each (it, dst) {
		uint32_t id;

		if (!policy_select(c, it, text_trim(it->text), CTX_TEST, &id))
			t->bad = "a destination is not known";
		else if (c->p->sels[id]->kind == SEL_SELF)
			t->self = true;
		else
			t->dsts[t->n_dsts++] = id;
	}
}

bool policy_compile_tests(struct compiler *c)
{
	struct policy *p = c->p;
	const struct json *tests, *ssh_tests;

	if (!policy_member(c, p->root, "tests", JSON_ARRAY, &tests) ||
	    !policy_member(c, p->root, "sshTests", JSON_ARRAY, &ssh_tests))
		return false;
	p->tests = policy_alloc(p, tests ? tests->count : 0, sizeof(*p->tests));
	p->ssh_tests = policy_alloc(p, ssh_tests ? ssh_tests->count : 0, sizeof(*p->ssh_tests));
	json_each (it, tests) {
		struct test_case *t = &p->tests[p->n_tests++];

		*t = (struct test_case){ 0 };
		if (!check_test(c, it, t))
			return false;
		parse_test(c, it, t);
	}
	json_each (it, ssh_tests) {
		struct ssh_case *t = &p->ssh_tests[p->n_ssh_tests++];

		*t = (struct ssh_case){ 0 };
		if (!check_ssh_test(c, it, t))
			return false;
		parse_ssh_test(c, it, t);
	}
	return true;
}
