/* The grants section: sources, destinations, ip and app capabilities, via. */
#include "engine/policy/policy_parse.h"

#include <stdlib.h>

#include "base/text.h"

static const char *const grant_keys[] = { "src", "dst", "ip", "app", "via", "srcPosture" };

static const char *const user_caps[] = {
	"tailscale.com/cap/drive",      "tailscale.com/cap/relay",  "tailscale.com/cap/webui",
	"tailscale.com/cap/kubernetes", "tailscale.com/cap/tsidp",  "tailscale.com/cap/secrets",
	"tailscale.com/cap/tailsql",    "tailscale.com/cap/golink", "tailscale.com/cap/pam",
};

struct grant *policy_add_grant(struct policy *p)
{
	struct grant *g;

	mem_reserve(p->grants, p->n_grants, p->cap_grants);
	g = &p->grants[p->n_grants];
	*g = (struct grant){ .id = p->n_grants++ };
	return g;
}

/* A finished grant enters the indices. */
void policy_grant_done(struct policy *p, struct grant *g)
{
	struct ids dsts = { g->dsts, g->n_dsts, g->n_dsts };
	struct cls *k = p->classes[g->src];

	if (g->n_via) {
		ids_add(&p->grants_via, g->id);
		ids_add(&k->via_grants, g->id);
		for (uint32_t i = 0; i < g->n_via; i++)
			ids_add(&p->sels[g->via[i]]->via, g->id);
		return;
	}
	ids_add(&k->grants, g->id);
	if (g->self) {
		ids_add(&k->self_grants, g->id);
		ids_add(&p->grants_self, g->id);
	}
	for (uint32_t i = 0; i < g->n_dsts; i++) {
		struct sel *s = p->sels[g->dsts[i]];

		mem_reserve(s->dst_uses, s->n_dst_uses, s->cap_dst_uses);
		s->dst_uses[s->n_dst_uses++] = (struct dst_use){ g->id, i };
		k->to_internet |= s->is_internet;
	}
	if (g->drive || g->relay) {
		p->has_companions = true;
		g->dst_class = policy_class(p, &dsts, NULL);
		ids_add(&p->classes[g->dst_class]->companions, g->id);
	}
}

static uint32_t *copy_ids(struct policy *p, const struct ids *l)
{
	uint32_t *out = policy_alloc(p, l->n, sizeof(*out));

	if (l->n)
		memcpy(out, l->v, l->n * sizeof(*out));
	return out;
}

bool policy_self_sources_ok(const struct policy *p, const struct ids *src, bool any_ok)
{
	for (uint32_t i = 0; i < src->n; i++) {
		switch (p->sels[src->v[i]]->kind) {
		case SEL_USER:
		case SEL_GROUP:
		case SEL_DOMAIN:
		case SEL_MEMBER:
		case SEL_ROLE:
			break;
		case SEL_ANY:
			if (any_ok)
				break;
			return false;
		default:
			return false;
		}
	}
	return true;
}

static bool parse_dsts(struct compiler *c, const struct json *dsts, struct grant *g)
{
	struct ids out = { 0 };
	bool ok = true;

	json_each (it, dsts) {
		struct bytes text = text_trim(it->text);
		uint32_t id = 0;

		if (bytes_equal_str(text, "0.0.0.0/0") || bytes_equal_str(text, "::/0"))
			ok = policy_complain(c, it, NULL,
					     "dst %s: to allow all IP addresses, use \"*\" or "
					     "\"autogroup:internet\"",
					     policy_quote(c, text));
		else
			ok = policy_select(c, it, text, CTX_GRANT_DST, &id);
		if (!ok)
			break;
		if (c->p->sels[id]->kind == SEL_SELF)
			g->self = true;
		else
			ids_add(&out, id);
	}
	g->dsts = copy_ids(c->p, &out);
	g->n_dsts = out.n;
	mem_free(out.v);
	return ok;
}

/* Grows by doubling, so a list of any length costs what it is long. */
void policy_append_ports(struct policy *p, struct proto_group *g, const struct port_range *ports,
			 uint32_t n)
{
	if (!n)
		return;
	if (!g->ports || g->n_ports + n > g->cap_ports) {
		uint32_t cap = 2 * (g->n_ports + n);
		struct port_range *grown = policy_alloc(p, cap, sizeof(*grown));

		if (g->n_ports)
			memcpy(grown, g->ports, g->n_ports * sizeof(*grown));
		g->ports = grown;
		g->cap_ports = cap;
	}
	memcpy(g->ports + g->n_ports, ports, n * sizeof(*ports));
	g->n_ports += n;
}

/* Adds ports to the group of their protocol, which stands where the protocol first appeared. */
static void add_ports(struct policy *p, struct grant *g, int proto, struct port_range *ports,
		      uint32_t n)
{
	struct proto_group *at = NULL;

	for (uint32_t i = 0; i < g->n_protos && !at; i++)
		if (g->protos[i].proto == proto)
			at = &g->protos[i];
	if (!g->protos)
		g->protos = policy_alloc(p, PROTOS_MAX, sizeof(*g->protos));
	if (!at) {
		at = &g->protos[g->n_protos++];
		*at = (struct proto_group){ .proto = proto };
	}
	policy_append_ports(p, at, ports, n);
}

/* "*", "<ports>", "<proto>:*" or "<proto>:<ports>". */
static bool parse_ip(struct compiler *c, const struct json *it, struct grant *g)
{
	struct bytes rest = it->text, first;
	struct port_range *ports;
	char why[160];
	const char *reason;
	int proto = -1;
	uint32_t n;

	(void)text_split(&rest, ':', &first);
	if (rest.p) {
		if (rest.n && memchr(rest.p, ':', rest.n))
			return policy_complain(c, it, NULL,
					       "expected only one colon in Internet protocol and "
					       "port type, got: %s",
					       policy_quote(c, it->text));
		if (!first.n)
			return policy_complain(c, it, NULL,
					       "input cannot start with a colon character");
		if (!policy_proto(first, false, &proto, &reason, why))
			return policy_complain(c, it, NULL, "%s", reason);
	} else {
		rest = first;
	}
	if (!policy_ports(c->p, rest, &ports, &n, why)) {
		char unused[160];
		bool is_proto = policy_proto(rest, false, &proto, &reason, unused) && proto >= 0;

		return policy_complain(
		    c, it, is_proto ? "write a protocol with its ports: \"icmp:*\"" : NULL, "%s",
		    why);
	}
	if (!policy_proto_has_ports(proto))
		for (uint32_t i = 0; i < n; i++)
			if (ports[i].first != 0 || ports[i].last != UINT16_MAX)
				return policy_complain(c, it, NULL,
						       "protocol does not support specific ports: "
						       "%s, only \"*\" is allowed",
						       policy_quote(c, first));
	add_ports(c->p, g, proto, ports, n);
	return true;
}

static bool cap_name_ok(struct compiler *c, const struct json *it)
{
	struct bytes name = it->key;

	if (memmem(name.p, name.n, "://", 3) || !name.n || !memchr(name.p, '/', name.n) ||
	    name.p[0] == '/' || name.p[name.n - 1] == '/')
		return policy_complain_key(c, it, NULL,
					   "capability name must have the form {domain}/{path}");
	if (!bytes_has_prefix(name, "tailscale.com/") ||
	    bytes_has_prefix(name, "tailscale.com/cap/conn25/"))
		return true;
	for (size_t i = 0; i < array_len(user_caps); i++)
		if (bytes_equal_str(name, user_caps[i]))
			return true;
	return policy_complain_key(c, it,
				   policy_suggest_in(c, name, user_caps, array_len(user_caps)),
				   "capability name must not be in the tailscale.com domain");
}

static int by_cap_name(const void *a, const void *b)
{
	const struct filter_cap *x = a, *y = b;
	size_t n = x->name.n < y->name.n ? x->name.n : y->name.n;
	int d = memcmp(x->name.p, y->name.p, n);

	return d ? d : x->name.n < y->name.n ? -1 : x->name.n > y->name.n;
}

static bool parse_app(struct compiler *c, const struct json *app, struct grant *g)
{
	g->caps = policy_alloc(c->p, app ? app->count : 0, sizeof(*g->caps));
	json_each (it, app) {
		if (!cap_name_ok(c, it))
			return false;
		if (it->kind != JSON_ARRAY && it->kind != JSON_NULL)
			return policy_complain(c, it, "write a list: [...]",
					       "the value of a capability must be an array, not %s",
					       json_kind_name(it->kind));
		g->caps[g->n_caps].name = it->key;
		if (it->kind == JSON_ARRAY)
			g->caps[g->n_caps].values = policy_json_text(c->p, it);
		g->n_caps++;
		g->drive |= bytes_equal_str(it->key, "tailscale.com/cap/drive");
		g->relay |= bytes_equal_str(it->key, "tailscale.com/cap/relay");
	}
	if (g->n_caps)
		qsort(g->caps, g->n_caps, sizeof(*g->caps), by_cap_name);
	return true;
}

static bool parse_via(struct compiler *c, const struct json *via, struct grant *g)
{
	struct ids out = { 0 };

	json_each (it, via) {
		uint32_t id;

		if (!bytes_has_prefix(it->text, "tag:")) {
			mem_free(out.v);
			return policy_complain(c, it, NULL, "via can only be a tag");
		}
		if (!policy_name(c->p, it->text)) {
			mem_free(out.v);
			return policy_complain(c, it, policy_suggest(c, it->text, "tag:"),
					       "tag %s not found", policy_quote(c, it->text));
		}
		if (policy_select(c, it, it->text, CTX_GRANT_SRC, &id))
			ids_add(&out, id);
	}
	g->via = copy_ids(c->p, &out);
	g->n_via = out.n;
	mem_free(out.v);
	return true;
}

static bool app_dsts_ok(struct compiler *c, const struct grant *g, const struct json *dsts)
{
	for (uint32_t i = 0; i < g->n_dsts && g->n_caps; i++)
		if (c->p->sels[g->dsts[i]]->kind == SEL_INTERNET)
			return policy_complain(c, dsts, NULL,
					       "cannot use app grants with autogroup:internet");
	for (uint32_t i = 0; i < g->n_dsts && g->n_caps; i++)
		if (c->p->sels[g->dsts[i]]->kind == SEL_ROLE)
			return policy_complain(c, dsts, NULL, "cannot use app grants with %s",
					       policy_quote(c, c->p->sels[g->dsts[i]]->name));
	return true;
}

static bool parse_grant(struct compiler *c, const struct json *v, struct grant *g, struct ids *src,
			struct ids *postures)
{
	const struct json *srcs, *dsts, *ip, *app, *via;

	if (!policy_check_keys(c, v, grant_keys, array_len(grant_keys), 0) ||
	    !policy_strings(c, v, "src", &srcs) || !policy_strings(c, v, "dst", &dsts) ||
	    !policy_strings(c, v, "ip", &ip) || !policy_member(c, v, "app", JSON_OBJECT, &app) ||
	    !policy_strings(c, v, "via", &via))
		return false;
	if ((!ip || !ip->count) && (!app || !app->count))
		return policy_complain(c, v, NULL, "ip and app can not both be empty");
	if (!policy_select_list(c, srcs, CTX_GRANT_SRC, src) || !parse_dsts(c, dsts, g))
		return false;
	json_each (it, ip)
		if (!parse_ip(c, it, g))
			return false;
	if (!parse_app(c, app, g) || !parse_via(c, via, g) || !app_dsts_ok(c, g, dsts) ||
	    !policy_posture_list(c, v, postures))
		return false;
	if (g->self && !policy_self_sources_ok(c->p, src, false))
		return policy_complain(c, v, "use autogroup:member as the source",
				       "autogroup:self can only be used with users, groups, or "
				       "supported autogroups");
	return true;
}

bool policy_compile_grants(struct compiler *c)
{
	const struct json *grants;
	uint32_t number = 0;

	if (!policy_member(c, c->p->root, "grants", JSON_ARRAY, &grants))
		return false;
	json_each (it, grants) {
		struct grant g = { .rule = number++, .where = where_of(it) }, *out;
		struct ids src = { 0 }, postures = { 0 };
		bool ok = it->kind == JSON_OBJECT ||
			  policy_complain(c, it, NULL, "a grant is an object, not %s",
					  json_kind_name(it->kind));

		ok = ok && parse_grant(c, it, &g, &src, &postures);
		if (ok && src.n && (g.n_dsts || g.self)) {
			g.src = policy_class(c->p, &src, &postures);
			out = policy_add_grant(c->p);
			g.id = out->id;
			*out = g;
			policy_grant_done(c->p, out);
		}
		mem_free(src.v);
		mem_free(postures.v);
		if (!ok)
			return false;
	}
	return true;
}
