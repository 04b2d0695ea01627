/*
 * Dead weight in a policy: what nobody can use, what another rule says already, what nothing names,
 * and what is said twice; each with the edit that takes it away.
 */
#include "engine/policy/policy_lint.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/policy/policy_explain.h"
#include "engine/policy/policy_say.h"

enum { FINDINGS_MAX = 1000 };

static uint32_t skip_to(struct bytes text, uint32_t at, const char *mark)
{
	const uint8_t *found = memmem(text.p + at, text.n - at, mark, strlen(mark));

	return found ? (uint32_t)(found - text.p) + (uint32_t)strlen(mark) : (uint32_t)text.n;
}

/* Behind blanks and comments. */
static uint32_t skip_blanks(struct bytes text, uint32_t at)
{
	while (at < text.n) {
		if (strchr(" \t\r\n", text.p[at]) && text.p[at])
			at++;
		else if (bytes_has_prefix(bytes_from(text, at), "//"))
			at = skip_to(text, at, "\n");
		else if (bytes_has_prefix(bytes_from(text, at), "/*"))
			at = skip_to(text, at + 2, "*/");
		else
			break;
	}
	return at;
}

/* A removed member takes the comma behind it along; one that stays in front is legal. */
static struct lint_edit edit_of(const struct policy *p, struct where at, enum lint_fix fix,
				const char *text)
{
	struct lint_edit e = { at.start, at.end, text ? text : "", fix != LINT_REMOVE };
	uint32_t end = skip_blanks(p->text, at.end);

	if (fix == LINT_REPLACE_SAFE)
		return e;
	if (end < p->text.n && p->text.p[end] == ',')
		e.end = end + 1;
	return e;
}

static void put_fix(struct linter *l, const struct lint_edit *e)
{
	json_key(&l->o, "fix");
	json_open_object(&l->o);
	json_key(&l->o, "start");
	json_put_u64(&l->o, e->start);
	json_key(&l->o, "end");
	json_put_u64(&l->o, e->end);
	json_key(&l->o, "text");
	json_put_cstr(&l->o, e->text);
	json_key(&l->o, "safe");
	json_put_bool(&l->o, e->safe);
	json_close_object(&l->o);
}

void lint_finding(struct linter *l, const char *kind, struct where at, struct bytes who,
		  const char *what, enum lint_fix fix, const char *text)
{
	const struct policy *p = l->s->p;
	unsigned line, column;
	char said[512];

	if (l->found++ >= FINDINGS_MAX)
		return;
	json_where(p->text, at.start, &line, &column);
	(void)snprintf(said, sizeof(said), "%.*s%s%s", (int)(who.n < 200 ? who.n : 200),
		       (const char *)who.p, who.n ? " " : "", what);
	json_open_object(&l->o);
	json_key(&l->o, "kind");
	json_put_cstr(&l->o, kind);
	json_key(&l->o, "line");
	json_put_u64(&l->o, line);
	json_key(&l->o, "column");
	json_put_u64(&l->o, column);
	json_key(&l->o, "message");
	json_put_cstr(&l->o, said);
	json_key(&l->o, "excerpt");
	json_put_string(&l->o, policy_excerpt(p, at));
	if (fix != LINT_NO_FIX) {
		mem_reserve(l->edits, l->n_edits, l->cap_edits);
		l->edits[l->n_edits] = edit_of(p, at, fix, text);
		put_fix(l, &l->edits[l->n_edits++]);
	}
	json_close_object(&l->o);
}

bool lint_has_id(const struct ids *l, uint32_t id)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (l->v[i] == id)
			return true;
	return false;
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
		    lint_has_id(&o->owner_tags, (uint32_t)(n - p->names)))
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
		/* a tag no rule names may still be asked for by nodes to come */
		if (n->kind != SEL_TAG || !on_a_node(l->s, n->name))
			lint_finding(l, "unreferenced", n->where, n->name,
				     "is defined and never used",
				     n->kind == SEL_TAG ? LINT_REMOVE : LINT_REMOVE_SAFE, NULL);
	}
	for (uint32_t i = 0; i < p->n_postures; i++)
		if (!p->postures[i].uses)
			lint_finding(l, "unreferenced", p->postures[i].where, p->postures[i].name,
				     "is defined and never used", LINT_REMOVE_SAFE, NULL);
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
				lint_finding(l, "unknown-login",
					     (struct where){ it->start, it->end }, it->text,
					     "is nobody's login", LINT_REMOVE, NULL);
		}
	}
}

static void look(struct linter *l, struct buf *out)
{
	json_out_init(&l->o, out);
	json_open_array(&l->o);
	lint_rules(l);
	lint_names(l);
	lint_logins(l);
	lint_text(l);
	json_close_array(&l->o);
}

void policy_lint(struct policy_state *s, struct buf *out)
{
	struct linter l = { .s = s };

	look(&l, out);
	mem_free(l.edits);
}

static int by_start(const void *a, const void *b)
{
	const struct lint_edit *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->end > y->end ? -1 : x->end < y->end; /* the wider one first */
}

void policy_lint_fix(struct policy_state *s, struct buf *out)
{
	struct linter l = { .s = s };
	struct bytes text = s->p->text;
	struct buf said;
	uint32_t at = 0;

	buf_init(&said, out->max);
	look(&l, &said);
	buf_fini(&said);
	if (l.n_edits)
		qsort(l.edits, l.n_edits, sizeof(*l.edits), by_start);
	for (size_t i = 0; i < l.n_edits; i++) {
		const struct lint_edit *e = &l.edits[i];

		if (!e->safe || e->start < at) /* inside one that is gone already */
			continue;
		(void)buf_append(out, bytes_of(text.p + at, e->start - at));
		(void)buf_append_str(out, e->text);
		at = e->end;
	}
	(void)buf_append(out, bytes_from(text, at));
	mem_free(l.edits);
}
