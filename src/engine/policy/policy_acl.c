/* The acls section. A rule becomes one grant per distinct destination, in the service's order. */
#include "engine/policy/policy_parse.h"

#include <stdlib.h>

#include "base/text.h"

static const char *const acl_keys[] = { "action", "src",   "dst",       "proto",
					"users",  "ports", "srcPosture" };

struct acl_dst {
	uint32_t sel;
	struct proto_group ports;
};

struct acl {
	struct ids src, postures;
	struct acl_dst *dsts; /* one per distinct selector */
	uint32_t n_dsts;
	int proto;
	bool self, others;
};

static bool add_dst(struct compiler *c, const struct json *it, struct acl *a)
{
	struct bytes host, ports_text;
	struct port_range *ports;
	char why[160];
	uint32_t sel, n, at;

	if (!policy_split_port(it->text, &host, &ports_text, why))
		return policy_complain(c, it,
				       "write \"target:ports\", for instance \"tag:web:443\"",
				       "dst=%s: %s", policy_quote(c, it->text), why);
	if (!policy_ports(c->p, ports_text, &ports, &n, why))
		return policy_complain(c, it, NULL, "dst=%s: %s", policy_quote(c, it->text), why);
	if (!policy_select(c, it, host, CTX_ACL_DST, &sel))
		return false;
	for (uint32_t i = 0; i < n && !policy_proto_has_ports(a->proto); i++)
		if (ports[i].first != 0 || ports[i].last != UINT16_MAX)
			return policy_complain(c, it, NULL,
					       "protocol does not support specific ports: %d, only "
					       "\"*\" is allowed",
					       a->proto);
	a->self |= c->p->sels[sel]->kind == SEL_SELF;
	a->others |= !bytes_has_prefix(c->p->sels[sel]->name, "autogroup:");
	at = c->p->sels[sel]->scratch; /* right when it points back, else stale */
	if (at >= a->n_dsts || a->dsts[at].sel != sel) {
		at = c->p->sels[sel]->scratch = a->n_dsts++;
		a->dsts[at] = (struct acl_dst){ sel, { .proto = a->proto } };
	}
	policy_append_ports(c->p, &a->dsts[at].ports, ports, n);
	return true;
}

static bool parse_head(struct compiler *c, const struct json *v, struct acl *a)
{
	const struct json *action, *proto;
	const char *reason;
	char why[160];

	if (!policy_check_keys(c, v, acl_keys, array_len(acl_keys), '#') ||
	    !policy_member(c, v, "action", JSON_STRING, &action) ||
	    !policy_member(c, v, "proto", JSON_STRING, &proto))
		return false;
	if (!action || !bytes_equal_str(action->text, "accept"))
		return policy_complain(
		    c, action ? action : v, "the only action is \"accept\"",
		    "action=%s is not supported",
		    policy_quote(c, action ? action->text : (struct bytes){ 0 }));
	if (!policy_proto(proto ? proto->text : (struct bytes){ 0 }, false, &a->proto, &reason,
			  why))
		return policy_complain(c, proto, NULL, "%s", reason);
	return policy_posture_list(c, v, &a->postures);
}

/* The present names and the ones older files use; both at once is a contradiction. */
static bool list_of(struct compiler *c, const struct json *v, const char *now, const char *then,
		    const struct json **out)
{
	const struct json *old;

	if (!policy_strings(c, v, now, out) || !policy_strings(c, v, then, &old))
		return false;
	if (*out && old)
		return policy_complain(c, old, NULL, "%s and %s mean the same; use %s only", now,
				       then, now);
	if (old)
		*out = old;
	return true;
}

static bool parse_acl(struct compiler *c, const struct json *v, struct acl *a)
{
	const struct json *src, *dst;

	if (!parse_head(c, v, a) || !list_of(c, v, "src", "users", &src) ||
	    !list_of(c, v, "dst", "ports", &dst) ||
	    !policy_select_list(c, src, CTX_ACL_SRC, &a->src))
		return false;
	a->dsts = policy_alloc(c->p, dst ? dst->count : 0, sizeof(*a->dsts));
	json_each (it, dst)
		if (!add_dst(c, it, a))
			return false;
	if (a->self && !policy_self_sources_ok(c->p, &a->src, true))
		return policy_complain(c, v, "use autogroup:member as the source",
				       "autogroup:self can only be used with users, groups, or "
				       "supported autogroups");
	return true;
}

static void emit(struct policy *p, const struct acl *a, const struct acl_dst *d, uint32_t rule,
		 struct where where)
{
	struct grant *g = policy_add_grant(p);

	g->acl = true;
	g->rule = rule;
	g->where = where;
	g->src = policy_class(p, &a->src, &a->postures);
	g->self = p->sels[d->sel]->kind == SEL_SELF;
	g->dsts = policy_alloc(p, 1, sizeof(*g->dsts));
	g->dsts[0] = d->sel;
	g->n_dsts = g->self ? 0 : 1;
	g->protos = policy_alloc(p, 1, sizeof(*g->protos));
	g->protos[0] = d->ports;
	g->n_protos = 1;
	policy_grant_done(p, g);
}

bool policy_compile_acls(struct compiler *c)
{
	const struct json *acls;
	uint32_t number = 0;

	if (!policy_member(c, c->p->root, "acls", JSON_ARRAY, &acls))
		return false;
	json_each (it, acls) {
		struct acl a = { 0 };
		bool ok = it->kind == JSON_OBJECT ||
			  policy_complain(c, it, NULL, "an acl is an object, not %s",
					  json_kind_name(it->kind));

		ok = ok && parse_acl(c, it, &a);
		/* self goes last as soon as one destination is no autogroup */
		for (int pass = 0; ok && a.src.n && pass < 2; pass++)
			for (uint32_t i = 0; i < a.n_dsts; i++) {
				bool last = a.others && c->p->sels[a.dsts[i].sel]->kind == SEL_SELF;

				if (last == (pass == 1))
					emit(c->p, &a, &a.dsts[i], number, where_of(it));
			}
		mem_free(a.src.v);
		mem_free(a.postures.v);
		if (!ok)
			return false;
		number++;
	}
	return true;
}
