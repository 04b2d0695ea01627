/* The nodeAttrs section and the tailnet-wide switches. */
#include "engine/policy/policy_parse.h"

#include <stdlib.h>

static const char *const attr_keys[] = { "target", "attr", "app", "ipPool" };

static bool parse_pool(struct compiler *c, const struct json *it, struct attr_entry *e)
{
	static const char *const reserved[] = { "100.100.0.0/24", "100.100.100.0/24",
						"100.115.92.0/23" };
	struct prefix p, r, cgnat = { ip_v4(100, 64, 0, 0), 10 };

	if (!policy_address(it->text, &p) || p.addr.family != 4)
		return policy_complain(c, it, "for instance \"100.81.0.0/16\"",
				       "IPPool(%.*s): invalid prefix", BYTES_FMT(it->text));
	if (!prefix_covers(cgnat, p))
		return policy_complain(c, it, NULL,
				       "IPPool(%.*s): network not within 100.64.0.0/10",
				       BYTES_FMT(it->text));
	for (size_t i = 0; i < array_len(reserved); i++)
		if (policy_address(bytes_str(reserved[i]), &r) && prefix_overlaps(r, p))
			return policy_complain(c, it, NULL,
					       "IPPool(%.*s): network within reserved range",
					       BYTES_FMT(it->text));
	e->pools[e->n_pools++] = p;
	return true;
}

static bool parse_app(struct compiler *c, const struct json *app, struct attr_entry *e)
{
	json_each (it, app) {
		if (it->kind != JSON_ARRAY)
			return policy_complain(
			    c, it, "write a list: [...]",
			    "the value of an app attribute must be an array, not %s",
			    json_kind_name(it->kind));
		e->caps[e->n_caps].name = it->key;
		e->caps[e->n_caps++].values = policy_json_text(c->p, it);
	}
	return true;
}

static bool parse_entry(struct compiler *c, const struct json *v, struct attr_entry *e,
			struct ids *targets)
{
	const struct json *target, *attr, *app, *pool;

	if (!policy_check_keys(c, v, attr_keys, array_len(attr_keys), 0) ||
	    !policy_strings(c, v, "target", &target) || !policy_strings(c, v, "attr", &attr) ||
	    !policy_member(c, v, "app", JSON_OBJECT, &app) ||
	    !policy_strings(c, v, "ipPool", &pool) ||
	    !policy_select_list(c, target, CTX_ATTR, targets))
		return false;
	e->caps =
	    policy_alloc(c->p, (attr ? attr->count : 0) + (app ? app->count : 0), sizeof(*e->caps));
	e->pools = policy_alloc(c->p, pool ? pool->count : 0, sizeof(*e->pools));
	json_each (it, attr) {
		e->caps[e->n_caps++].name = it->text;
		e->funnel |= bytes_equal_str(it->text, "funnel");
		e->disable_ipv4 |= bytes_equal_str(it->text, "disable-ipv4");
	}
	if (!parse_app(c, app, e))
		return false;
	json_each (it, pool)
		if (!parse_pool(c, it, e))
			return false;
	return true;
}

bool policy_compile_attrs(struct compiler *c)
{
	struct policy *p = c->p;
	const struct json *attrs, *cgnat, *derp;

	if (!policy_member(c, p->root, "nodeAttrs", JSON_ARRAY, &attrs) ||
	    !policy_flag(c, p->root, "randomizeClientPort", &p->randomize) ||
	    !policy_flag(c, p->root, "disableIPv4", &p->disable_ipv4) ||
	    !policy_member(c, p->root, "OneCGNATRoute", JSON_STRING, &cgnat) ||
	    !policy_member(c, p->root, "derpMap", JSON_OBJECT, &derp))
		return false;
	if (cgnat && cgnat->text.n && !bytes_equal_str(cgnat->text, "mac-always") &&
	    !bytes_equal_str(cgnat->text, "mac-never"))
		return policy_complain(c, cgnat, "\"mac-always\", \"mac-never\" or \"\"",
				       "OneCGNATRoute: unknown value %s",
				       policy_quote(c, cgnat->text));
	p->one_cgnat = cgnat ? cgnat->text : (struct bytes){ 0 };
	p->derp_map = derp ? policy_json_text(p, derp) : (struct bytes){ 0 };
	p->attrs = policy_alloc(p, attrs ? attrs->count : 0, sizeof(*p->attrs));
	json_each (it, attrs) {
		struct attr_entry *e = &p->attrs[p->n_attrs];
		struct ids targets = { 0 };
		bool ok;

		if (it->kind != JSON_OBJECT)
			return policy_complain(c, it, NULL,
					       "a nodeAttrs entry is an object, not %s",
					       json_kind_name(it->kind));
		*e = (struct attr_entry){ .where = where_of(it) };
		ok = parse_entry(c, it, e, &targets);
		for (uint32_t i = 0; ok && i < targets.n; i++)
			ids_add(&p->sels[targets.v[i]]->attrs, p->n_attrs);
		mem_free(targets.v);
		if (!ok)
			return false;
		p->n_attrs++;
	}
	return true;
}
