/* Dead weight in a policy: what nobody can use, what another rule says already, what nothing names.
 */
#include <stdio.h>

#include "engine/policy/policy_explain.h"
#include "engine/policy/policy_say.h"

/* Every rule is held against every other one. */
enum { FINDINGS_MAX = 1000, SHADOW_GRANTS_MAX = 8000 };

struct linter {
	struct policy_state *s;
	struct json_out o;
	unsigned found;
};

static void finding(struct linter *l, const char *kind, struct where at, struct bytes who,
		    const char *what, bool removable)
{
	const struct policy *p = l->s->p;
	unsigned line, column;
	char text[512];
	uint32_t end = at.end;

	if (l->found++ >= FINDINGS_MAX)
		return;
	json_where(p->text, at.start, &line, &column);
	(void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(who.n < 200 ? who.n : 200),
		       (const char *)who.p, who.n ? " " : "", what);
	json_open_object(&l->o);
	json_key(&l->o, "kind");
	json_put_cstr(&l->o, kind);
	json_key(&l->o, "line");
	json_put_u64(&l->o, line);
	json_key(&l->o, "column");
	json_put_u64(&l->o, column);
	json_key(&l->o, "message");
	json_put_cstr(&l->o, text);
	json_key(&l->o, "excerpt");
	json_put_string(&l->o, policy_excerpt(p, at));
	if (removable) {
		if (end < p->text.n && p->text.p[end] == ',') /* the comma goes with it */
			end++;
		json_key(&l->o, "fix");
		json_open_object(&l->o);
		json_key(&l->o, "start");
		json_put_u64(&l->o, at.start);
		json_key(&l->o, "end");
		json_put_u64(&l->o, end);
		json_key(&l->o, "text");
		json_put_cstr(&l->o, "");
		json_close_object(&l->o);
	}
	json_close_object(&l->o);
}

/* ---- rules nobody can use ---- */

static bool has_sources(const struct policy_state *s, const struct grant *g)
{
	return !state_class_empty(s, g->src);
}

static bool has_destinations(const struct policy_state *s, const struct grant *g)
{
	if (g->self)
		return true;
	for (uint32_t i = 0; i < g->n_dsts; i++) {
		const struct sel *d = s->p->sels[g->dsts[i]];

		if (d->kind == SEL_ANY || s->members[d->id].n)
			return true;
	}
	return false;
}

/* A rule is as many grants as it has destinations; it is dead when all of them are. */
static void lint_unused(struct linter *l)
{
	const struct policy *p = l->s->p;

	for (uint32_t i = 0, n; i < p->n_grants && !p->allow_all; i += n) {
		const struct grant *g = &p->grants[i];
		bool reached = false;

		for (n = 0; i + n < p->n_grants && p->grants[i + n].acl == g->acl &&
			    p->grants[i + n].rule == g->rule;
		     n++)
			reached |= has_destinations(l->s, &p->grants[i + n]);
		if (!has_sources(l->s, g))
			finding(l, "unused", g->where, (struct bytes){ 0 },
				"no node is a source of this rule", false);
		else if (!reached)
			finding(l, "unused", g->where, (struct bytes){ 0 },
				"no node is or serves a destination of this rule", false);
	}
}

/* ---- rules another covers ---- */

static bool has_id(const struct ids *l, uint32_t id)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (l->v[i] == id)
			return true;
	return false;
}

static bool sel_covers(const struct policy *p, uint32_t wide, uint32_t narrow)
{
	const struct sel *w = p->sels[wide], *n = p->sels[narrow];
	struct ipset a = { w->range, w->n_ranges, w->n_ranges };
	struct ipset b = { n->range, n->n_ranges, n->n_ranges };

	return wide == narrow ||
	       (sel_is_literal(w) && sel_is_literal(n) && n->n_ranges && ipset_covers_set(&a, &b));
}

static bool source_covers(const struct policy *p, const struct cls *w, const struct cls *n)
{
	for (uint32_t i = 0; i < w->postures.n; i++)
		if (w->postures.n && (!n->postures.n || !has_id(&n->postures, w->postures.v[i])))
			return false;
	for (uint32_t i = 0; i < n->postures.n && w->postures.n; i++)
		if (!has_id(&w->postures, n->postures.v[i]))
			return false;
	for (uint32_t i = 0; i < n->sels.n; i++) {
		const struct sel *s = p->sels[n->sels.v[i]];
		bool covered =
		    w->danger || (w->any && !sel_is_literal(s) && s->kind != SEL_DANGER_ALL);

		for (uint32_t k = 0; k < w->sels.n && !covered; k++)
			covered = sel_covers(p, w->sels.v[k], s->id);
		if (!covered)
			return false;
	}
	return true;
}

static bool ports_cover(const struct grant *w, const struct grant *n)
{
	for (uint32_t i = 0; i < n->n_protos; i++)
		for (uint32_t k = 0; k < n->protos[i].n_ports; k++) {
			const struct port_range *r = &n->protos[i].ports[k];
			int proto = n->protos[i].proto;
			bool usual = proto == 1 || proto == 6 || proto == 17 || proto == 58;
			bool covered = false;

			for (uint32_t a = 0; a < w->n_protos; a++)
				for (uint32_t b = 0; b < w->protos[a].n_ports; b++)
					covered |= (w->protos[a].proto == proto ||
						    (w->protos[a].proto < 0 && usual)) &&
						   w->protos[a].ports[b].first <= r->first &&
						   r->last <= w->protos[a].ports[b].last;
			if (!covered)
				return false;
		}
	return true;
}

static bool covers(const struct policy *p, const struct grant *w, const struct grant *n)
{
	if (w->n_via || n->n_via || n->n_caps || (n->self && !w->self) || !ports_cover(w, n) ||
	    !source_covers(p, p->classes[w->src], p->classes[n->src]))
		return false;
	for (uint32_t i = 0; i < n->n_dsts; i++) {
		bool covered = false;

		for (uint32_t k = 0; k < w->n_dsts && !covered; k++)
			covered = p->sels[w->dsts[k]]->kind == SEL_ANY ||
				  sel_covers(p, w->dsts[k], n->dsts[i]);
		if (!covered)
			return false;
	}
	return true;
}

static void lint_shadowed(struct linter *l)
{
	const struct policy *p = l->s->p;

	for (uint32_t i = 0; i < p->n_grants && p->n_grants <= SHADOW_GRANTS_MAX; i++)
		for (uint32_t k = 0; k < p->n_grants; k++) {
			const struct grant *n = &p->grants[i], *w = &p->grants[k];
			bool same = n->acl == w->acl && n->rule == w->rule;
			unsigned line, column;
			char text[256];

			if (same || !covers(p, w, n) || (k > i && covers(p, n, w)))
				continue;
			json_where(p->text, w->where.start, &line, &column);
			(void)snprintf(text, sizeof(text),
				       "is allowed by the rule at line %u already", line);
			finding(l, "shadowed", n->where,
				n->n_dsts == 1 ? p->sels[n->dsts[0]]->name : bytes_str("this"),
				text, false);
			break;
		}
}

/* ---- definitions ---- */

static bool named_anywhere(const struct policy *p, const struct named *n)
{
	const struct sel *s = policy_find_sel(p, n->name);

	if (s && s->uses)
		return true;
	for (uint32_t i = 0; i < p->n_names; i++) {
		const struct named *o = &p->names[i];

		if (n->kind == SEL_TAG && o->kind == SEL_TAG && o != n &&
		    has_id(&o->owner_tags, (uint32_t)(n - p->names)))
			return true;
		if (o->kind != SEL_IPSET)
			continue;
		json_each (it, o->value)
			if (n->name.n && it->text.n >= n->name.n &&
			    bytes_equal(bytes_from(it->text, it->text.n - n->name.n), n->name))
				return true;
	}
	return false;
}

static bool on_a_node(const struct policy_state *s, struct bytes tag)
{
	for (uint32_t i = 0; i < s->n_slots; i++)
		for (size_t t = 0; s->nodes[i] && t < s->nodes[i]->n.n_tags; t++)
			if (bytes_equal(s->nodes[i]->n.tags[t], tag))
				return true;
	return false;
}

static void lint_names(struct linter *l)
{
	const struct policy *p = l->s->p;

	for (uint32_t i = 0; i < p->n_names; i++) {
		const struct named *n = &p->names[i];

		if (n->synced || named_anywhere(p, n))
			continue;
		if (n->kind != SEL_TAG || !on_a_node(l->s, n->name))
			finding(l, "unreferenced", n->where, n->name, "is defined and never used",
				true);
	}
	for (uint32_t i = 0; i < p->n_postures; i++)
		if (!p->postures[i].uses)
			finding(l, "unreferenced", p->postures[i].where, p->postures[i].name,
				"is defined and never used", true);
}

static void lint_logins(struct linter *l)
{
	const struct policy *p = l->s->p;

	for (uint32_t i = 0; i < p->n_names; i++) {
		if (p->names[i].kind != SEL_GROUP || p->names[i].synced)
			continue;
		json_each (it, p->names[i].value) {
			uint32_t user;

			if (!policy_user_at(p, it->text, &user))
				finding(l, "unknown-login", (struct where){ it->start, it->end },
					it->text, "is nobody's login", true);
		}
	}
}

void policy_lint(struct policy_state *s, struct buf *out)
{
	struct linter l = { .s = s };

	json_out_init(&l.o, out);
	json_open_array(&l.o);
	lint_unused(&l);
	lint_shadowed(&l);
	lint_names(&l);
	lint_logins(&l);
	json_close_array(&l.o);
}
