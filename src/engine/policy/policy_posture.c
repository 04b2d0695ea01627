/* Postures: "attr OP value" assertions, parsed once, evaluated against a node's attributes. */
#include "engine/policy/policy_parse.h"

#include <stdlib.h>

#include "base/text.h"

static void skip_blanks(struct bytes *b)
{
	while (b->n && (b->p[0] == ' ' || b->p[0] == '\t'))
		*b = bytes_from(*b, 1);
}

static struct bytes word(struct bytes *b)
{
	size_t n = 0;
	struct bytes w;

	skip_blanks(b);
	while (n < b->n && b->p[n] != ' ' && b->p[n] != '\t' && b->p[n] != '=' && b->p[n] != '!' &&
	       b->p[n] != '<' && b->p[n] != '>' && b->p[n] != '[')
		n++;
	w = bytes_of(b->p, n);
	*b = bytes_from(*b, n);
	return w;
}

static bool take(struct bytes *b, const char *text)
{
	skip_blanks(b);
	if (!bytes_has_prefix(*b, text))
		return false;
	*b = bytes_from(*b, strlen(text));
	return true;
}

static bool operator_of(struct bytes *b, enum posture_op *op)
{
	static const struct {
		const char *text, *second;
		enum posture_op op;
	} ops[] = { { "==", NULL, OP_EQ },      { "!=", NULL, OP_NE },
		    { "<=", NULL, OP_LE },      { ">=", NULL, OP_GE },
		    { "<", NULL, OP_LT },       { ">", NULL, OP_GT },
		    { "NOT", "IN", OP_NOT_IN }, { "NOT", "SET", OP_NOT_SET },
		    { "IS", "SET", OP_IS_SET }, { "IN", NULL, OP_IN } };

	for (size_t i = 0; i < array_len(ops); i++) {
		struct bytes at = *b;

		if (!take(&at, ops[i].text) || (ops[i].second && !take(&at, ops[i].second)))
			continue;
		*op = ops[i].op;
		*b = at;
		return true;
	}
	return false;
}

/* 'text', true, false or a number. */
static bool value_of(struct bytes *b, struct posture_value *v)
{
	struct bytes w;
	char text[64], *end;

	skip_blanks(b);
	if (take(b, "'")) {
		const uint8_t *close = b->n ? memchr(b->p, '\'', b->n) : NULL;

		if (!close)
			return false;
		*v = (struct posture_value){ .kind = POLICY_ATTR_STRING };
		v->text = bytes_of(b->p, (size_t)(close - b->p));
		*b = bytes_from(*b, v->text.n + 1);
		return true;
	}
	w = *b;
	for (w.n = 0; w.n < b->n && b->p[w.n] != ',' && b->p[w.n] != ']' && b->p[w.n] != ' ';)
		w.n++;
	*b = bytes_from(*b, w.n);
	*v = (struct posture_value){ .kind = POLICY_ATTR_BOOL, .text = w };
	v->truth = bytes_equal_str(w, "true");
	if (v->truth || bytes_equal_str(w, "false"))
		return true;
	v->kind = POLICY_ATTR_NUMBER;
	if (!w.n || !bytes_to_cstr(w, text, sizeof(text)))
		return false;
	v->number = strtod(text, &end);
	return *end == '\0' && ((text[0] >= '0' && text[0] <= '9') || text[0] == '-');
}

static bool values_of(struct policy *p, struct bytes *b, struct assertion *a)
{
	size_t most = 1;

	for (size_t i = 0; i < b->n; i++)
		most += b->p[i] == ',';
	a->values = policy_alloc(p, most, sizeof(*a->values));
	if (a->op != OP_IN && a->op != OP_NOT_IN) {
		a->n_values = 1;
		return value_of(b, &a->values[0]);
	}
	if (!take(b, "["))
		return false;
	while (!take(b, "]")) {
		if (a->n_values && !take(b, ","))
			return false;
		if (a->n_values >= most || !value_of(b, &a->values[a->n_values++]))
			return false;
	}
	return a->n_values > 0;
}

static bool parse_assertion(struct policy *p, struct bytes text, struct assertion *a,
			    const char **why)
{
	a->attr = word(&text);
	*why = "starts with an attribute such as node:os, ip:country or custom:name";
	if (!a->attr.n || !memchr(a->attr.p, ':', a->attr.n))
		return false;
	*why = "needs one of == != < <= > >= IN, NOT IN, IS SET, NOT SET behind the attribute";
	if (!operator_of(&text, &a->op))
		return false;
	a->version = bytes_equal_str(a->attr, "node:osVersion") ||
		     bytes_equal_str(a->attr, "node:tsVersion");
	*why = "needs a value: 'text', a number, true, false, or a list in [ ] for IN";
	if (a->op != OP_IS_SET && a->op != OP_NOT_SET && !values_of(p, &text, a))
		return false;
	*why = "only numbers and versions can be compared by size";
	if (a->op >= OP_LT && a->op <= OP_GE && !a->version &&
	    a->values[0].kind != POLICY_ATTR_NUMBER)
		return false;
	skip_blanks(&text);
	*why = "has something behind its end";
	return text.n == 0;
}

static struct posture *find(const struct policy *p, struct bytes name)
{
	for (uint32_t i = 0; i < p->n_postures; i++)
		if (bytes_equal(p->postures[i].name, name))
			return &p->postures[i];
	return NULL;
}

static bool add_posture(struct compiler *c, const struct json *v)
{
	struct posture *out = &c->p->postures[c->p->n_postures];
	const char *why;

	if (!bytes_has_prefix(v->key, "posture:") || v->key.n == 8)
		return policy_complain_key(c, v, NULL,
					   "posture must start with 'posture:', got: %s",
					   policy_quote(c, v->key));
	if (v->kind != JSON_ARRAY)
		return policy_complain(c, v, NULL, "%s must be an array of assertions",
				       policy_quote(c, v->key));
	*out = (struct posture){ .name = v->key, .where = { v->key_start, v->end } };
	out->all = policy_alloc(c->p, v->count, sizeof(*out->all));
	json_each (it, v) {
		if (it->kind != JSON_STRING)
			return policy_complain(c, it, NULL,
					       "a posture assertion is a string, not %s",
					       json_kind_name(it->kind));
		if (!parse_assertion(c->p, it->text, &out->all[out->n++], &why))
			return policy_complain(c, it, NULL, "posture assertion %s %s",
					       policy_quote(c, it->text), why);
	}
	c->p->n_postures++;
	return true;
}

static bool names_to_ids(struct compiler *c, const struct json *list, struct ids *out)
{
	json_each (it, list) {
		struct posture *p = find(c->p, it->text);

		if (!p)
			return policy_complain(c, it, NULL, "posture not defined in policy: %s",
					       policy_quote(c, it->text));
		p->uses++;
		ids_add(out, (uint32_t)(p - c->p->postures));
	}
	return true;
}

static bool check_attr_config(struct compiler *c)
{
	static const char *const keys[] = { "type", "allowSetByNode", "broadcastToPeers" };
	const struct json *config;

	if (!policy_member(c, c->p->root, "attrConfig", JSON_OBJECT, &config))
		return false;
	json_each (it, config) {
		const struct json *type;
		bool flag;

		if (it->kind != JSON_OBJECT)
			return policy_complain(c, it, NULL, "attrConfig[%s] must be an object",
					       policy_quote(c, it->key));
		if (!policy_check_keys(c, it, keys, array_len(keys), 0) ||
		    !policy_member(c, it, "type", JSON_STRING, &type) ||
		    !policy_flag(c, it, "allowSetByNode", &flag) ||
		    !policy_flag(c, it, "broadcastToPeers", &flag))
			return false;
		if (type && !bytes_equal_str(type->text, "string") &&
		    !bytes_equal_str(type->text, "number") && !bytes_equal_str(type->text, "bool"))
			return policy_complain(c, type, "string, number or bool",
					       "unknown attribute type %s",
					       policy_quote(c, type->text));
	}
	return true;
}

bool policy_compile_postures(struct compiler *c)
{
	const struct json *postures, *defaults;

	if (!policy_member(c, c->p->root, "postures", JSON_OBJECT, &postures) ||
	    !policy_strings(c, c->p->root, "defaultSrcPosture", &defaults) || !check_attr_config(c))
		return false;
	c->p->postures =
	    policy_alloc(c->p, postures ? postures->count : 0, sizeof(*c->p->postures));
	json_each (it, postures)
		if (!add_posture(c, it))
			return false;
	return names_to_ids(c, defaults, &c->p->default_postures);
}

bool policy_posture_list(struct compiler *c, const struct json *rule, struct ids *out)
{
	const struct json *list;

	if (!policy_strings(c, rule, "srcPosture", &list))
		return false;
	if (list)
		return names_to_ids(c, list, out);
	for (uint32_t i = 0; i < c->p->default_postures.n; i++)
		ids_add(out, c->p->default_postures.v[i]);
	return true;
}

/*
 * Versions run as alternating numbers and words; numbers by size, words by bytes, and what is
 * missing comes first ("1.40" < "1.40.1", "1.40-dev" > "1.40").
 */
static int version_compare(struct bytes a, struct bytes b)
{
	while (a.n && b.n) {
		bool da = a.p[0] >= '0' && a.p[0] <= '9', db = b.p[0] >= '0' && b.p[0] <= '9';
		uint64_t x = 0, y = 0;

		if (!da || !db) {
			if (a.p[0] != b.p[0])
				return a.p[0] < b.p[0] ? -1 : 1;
			a = bytes_from(a, 1);
			b = bytes_from(b, 1);
			continue;
		}
		for (; a.n && a.p[0] >= '0' && a.p[0] <= '9'; a = bytes_from(a, 1))
			x = x > UINT64_MAX / 16 ? x : x * 10 + (a.p[0] - '0');
		for (; b.n && b.p[0] >= '0' && b.p[0] <= '9'; b = bytes_from(b, 1))
			y = y > UINT64_MAX / 16 ? y : y * 10 + (b.p[0] - '0');
		if (x != y)
			return x < y ? -1 : 1;
	}
	return a.n ? 1 : b.n ? -1 : 0;
}

/* False when the two are of kinds that do not compare. */
static bool compare(const struct assertion *a, const struct policy_posture_attr *have,
		    const struct posture_value *want, int *out)
{
	if (have->kind != want->kind)
		return false;
	if (have->kind == POLICY_ATTR_BOOL)
		*out = (int)have->truth - (int)want->truth;
	else if (have->kind == POLICY_ATTR_NUMBER)
		*out = have->number < want->number ? -1 : have->number > want->number;
	else if (a->version)
		*out = version_compare(have->text, want->text);
	else
		*out = bytes_equal(have->text, want->text) ? 0 : 1;
	return true;
}

static bool assertion_holds(const struct assertion *a, const struct policy_node *n)
{
	const struct policy_posture_attr *have = NULL;
	bool found = false;
	int d = 0;

	for (size_t i = 0; i < n->n_attrs; i++)
		if (bytes_equal(n->attrs[i].name, a->attr))
			have = &n->attrs[i];
	if (a->op == OP_IS_SET || a->op == OP_NOT_SET)
		return (have != NULL) == (a->op == OP_IS_SET);
	if (!have)
		return false;
	if (a->op == OP_IN || a->op == OP_NOT_IN) {
		for (uint32_t i = 0; i < a->n_values; i++)
			found |= compare(a, have, &a->values[i], &d) && d == 0;
		return found == (a->op == OP_IN);
	}
	if (!compare(a, have, &a->values[0], &d))
		return a->op == OP_NE;
	switch (a->op) {
	case OP_EQ:
		return d == 0;
	case OP_NE:
		return d != 0;
	case OP_LT:
		return d < 0;
	case OP_LE:
		return d <= 0;
	case OP_GT:
		return d > 0;
	default:
		return d >= 0;
	}
}

bool posture_holds(const struct posture *p, const struct policy_node *n)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (!assertion_holds(&p->all[i], n))
			return false;
	return true;
}
