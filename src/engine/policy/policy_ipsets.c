/* ipsets: ordered additions and removals of addresses, hosts and other ipsets. No cycles. */
#include "engine/policy/policy_parse.h"

#include "base/text.h"

enum { IPSET_FRESH, IPSET_OPEN, IPSET_DONE, IPSET_DEPTH_MAX = 64 };

static bool evaluate(struct compiler *c, struct named *set, unsigned depth);

/* The addresses of one target into *out, which is empty. */
static bool target_set(struct compiler *c, const struct json *at, struct bytes target,
		       unsigned depth, struct ipset *out)
{
	struct named *other;
	struct prefix p;

	if (policy_address(target, &p)) {
		ipset_add(out, prefix_range(p));
		return true;
	}
	if (bytes_equal_str(target, "autogroup:internet")) {
		ipset_add_set(out, &c->p->internet);
		return true;
	}
	if (bytes_has_prefix(target, "host:")) {
		target = bytes_from(target, 5);
		other = policy_name(c->p, target);
		if (!other || other->kind != SEL_HOST)
			return policy_complain(c, at, policy_suggest(c, target, ""),
					       "host not defined in policy: %s",
					       policy_quote(c, target));
	} else if (bytes_has_prefix(target, "ipset:")) {
		other = policy_name(c->p, target);
		if (!other)
			return policy_complain(c, at, policy_suggest(c, target, "ipset:"),
					       "ipset not defined in policy: %s",
					       policy_quote(c, target));
		if (other->mark == IPSET_OPEN)
			return policy_complain(c, at, NULL, "ipset %s contains itself",
					       policy_quote(c, target));
		if (!evaluate(c, other, depth + 1))
			return false;
	} else {
		return policy_complain(c, at,
				       "an IP, a CIDR, host:NAME, ipset:NAME or "
				       "autogroup:internet",
				       "invalid ipset target: %s", policy_quote(c, target));
	}
	ipset_add_set(out, &other->set);
	return true;
}

/* "add X", "remove X" or a bare X. */
static bool apply(struct compiler *c, struct named *set, const struct json *at, bool bare_ok,
		  unsigned depth)
{
	struct bytes rest = at->text, verb;
	struct ipset part;
	bool removes = false, ok;

	(void)text_split(&rest, ' ', &verb);
	if (rest.p && bytes_equal_str(verb, "remove"))
		removes = true;
	else if (!rest.p || !bytes_equal_str(verb, "add")) {
		rest = at->text;
		if (!bare_ok)
			return policy_complain(c, at, "write \"add ...\"",
					       "ipset %s: every target needs add or remove when "
					       "one is removed",
					       policy_quote(c, set->name));
	}
	ipset_init(&part);
	ok = target_set(c, at, text_trim(rest), depth, &part);
	if (ok && removes)
		ipset_remove_set(&set->set, &part);
	else if (ok)
		ipset_add_set(&set->set, &part);
	ipset_fini(&part);
	return ok;
}

/* A long run of plain additions is sorted once instead of inserted one by one. */
static bool all_plain(const struct json *v, struct ipset *out)
{
	struct ip_range *r = mem_resize(NULL, v->count ? v->count : 1, sizeof(*r));
	size_t n = 0;
	struct prefix p;

	json_each (it, v) {
		struct bytes text = it->text;

		if (bytes_has_prefix(text, "add "))
			text = text_trim(bytes_from(text, 4));
		if (!policy_address(text, &p))
			break;
		r[n++] = prefix_range(p);
	}
	if (n == v->count)
		ipset_add_all(out, r, n);
	mem_free(r);
	return n == v->count;
}

static bool evaluate(struct compiler *c, struct named *set, unsigned depth)
{
	bool bare_ok = true;

	if (set->mark == IPSET_DONE)
		return true;
	if (depth > IPSET_DEPTH_MAX)
		return policy_complain_key(c, set->value, NULL,
					   "ipsets refer to each other more than %d deep",
					   IPSET_DEPTH_MAX);
	set->mark = IPSET_OPEN;
	json_each (it, set->value)
		if (bytes_has_prefix(it->text, "remove "))
			bare_ok = false;
	if (!all_plain(set->value, &set->set))
		json_each (it, set->value)
			if (!apply(c, set, it, bare_ok, depth))
				return false;
	set->mark = IPSET_DONE;
	return true;
}

bool policy_add_ipsets(struct compiler *c)
{
	struct policy *p = c->p;
	const struct json *sets, *list;

	if (!policy_member(c, p->root, "ipsets", JSON_OBJECT, &sets))
		return false;
	json_each (it, sets) {
		struct named *n;

		if (!bytes_has_prefix(it->key, "ipset:") || it->key.n == 6)
			return policy_complain_key(c, it, NULL,
						   "ipset must start with 'ipset:', got: %s",
						   policy_quote(c, it->key));
		if (it->kind != JSON_ARRAY)
			return policy_complain(c, it, NULL, "ipset %s must be an array, not %s",
					       policy_quote(c, it->key), json_kind_name(it->kind));
		json_each (t, it)
			if (t->kind != JSON_STRING)
				return policy_complain(
				    c, t, NULL, "type not supported: %s in ipset %s",
				    json_kind_name(t->kind), policy_quote(c, it->key));
		n = &p->names[p->n_names++];
		*n = (struct named){ .name = it->key, .kind = SEL_IPSET, .value = it };
		n->sel = NO_SEL;
		n->where = (struct where){ it->key_start, it->end };
		(void)map_put(&p->by_name, n);
	}
	list = sets;
	json_each (it, list)
		if (!evaluate(c, policy_name(p, it->key), 0))
			return false;
	return true;
}
