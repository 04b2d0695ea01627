/* Selectors: what kind a string is, whether it may stand there, and one struct sel for each. */
#include "engine/policy/policy_parse.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

#define BIT(kind) (1u << (kind))

static const char *const autogroups[] = {
	"autogroup:member",        "autogroup:members",  "autogroup:tagged",
	"autogroup:self",          "autogroup:internet", "autogroup:danger-all",
	"autogroup:shared",        "autogroup:owner",    "autogroup:admin",
	"autogroup:network-admin", "autogroup:it-admin", "autogroup:billing-admin",
	"autogroup:auditor",       "autogroup:nonroot",
};

static const struct {
	const char *name;
	enum sel_kind kind;
	enum policy_role role;
} autogroup_kinds[] = {
	{ "member", SEL_MEMBER, POLICY_MEMBER },
	{ "members", SEL_MEMBER, POLICY_MEMBER },
	{ "tagged", SEL_TAGGED, POLICY_MEMBER },
	{ "self", SEL_SELF, POLICY_MEMBER },
	{ "internet", SEL_INTERNET, POLICY_MEMBER },
	{ "danger-all", SEL_DANGER_ALL, POLICY_MEMBER },
	{ "shared", SEL_ROLE, POLICY_SHARED },
	{ "owner", SEL_ROLE, POLICY_OWNER },
	{ "admin", SEL_ROLE, POLICY_ADMIN },
	{ "network-admin", SEL_ROLE, POLICY_NETWORK_ADMIN },
	{ "it-admin", SEL_ROLE, POLICY_IT_ADMIN },
	{ "billing-admin", SEL_ROLE, POLICY_BILLING_ADMIN },
	{ "auditor", SEL_ROLE, POLICY_AUDITOR },
};

enum {
	IDENTITIES = BIT(SEL_MEMBER) | BIT(SEL_ROLE) | BIT(SEL_USER) | BIT(SEL_GROUP) |
		     BIT(SEL_DOMAIN) | BIT(SEL_TAG),
	LITERALS = BIT(SEL_ADDRESS) | BIT(SEL_HOST) | BIT(SEL_IPSET),
	SOURCES = IDENTITIES | LITERALS | BIT(SEL_ANY) | BIT(SEL_TAGGED) | BIT(SEL_DANGER_ALL),
	TARGETS = IDENTITIES | LITERALS | BIT(SEL_ANY) | BIT(SEL_TAGGED) | BIT(SEL_SELF) |
		  BIT(SEL_INTERNET) | BIT(SEL_SERVICE),
};

static const unsigned allowed[] = {
	[CTX_ACL_SRC] = SOURCES,
	[CTX_GRANT_SRC] = SOURCES,
	[CTX_ACL_DST] = TARGETS,
	[CTX_GRANT_DST] = TARGETS,
	[CTX_ATTR] = IDENTITIES | LITERALS | BIT(SEL_ANY) | BIT(SEL_TAGGED),
	[CTX_SSH_SRC] = IDENTITIES | BIT(SEL_TAGGED),
	[CTX_SSH_DST] =
	    BIT(SEL_TAG) | BIT(SEL_USER) | BIT(SEL_SELF) | BIT(SEL_MEMBER) | BIT(SEL_TAGGED),
	[CTX_OWNER] = IDENTITIES | BIT(SEL_TAGGED),
	[CTX_APPROVER] = IDENTITIES | BIT(SEL_TAGGED),
	[CTX_TEST] = SOURCES | TARGETS,
};

/* What a string turned out to be. */
struct found {
	enum sel_kind kind;
	enum policy_role role;
	struct bytes name; /* canonical */
	struct prefix prefix;
	const struct named *named;
	uint32_t user;
};

static bool quiet_or(struct compiler *c, const struct json *at, enum sel_ctx ctx,
		     const char *suggestion, const char *message)
{
	if (ctx == CTX_TEST)
		return false;
	return policy_complain(c, at, suggestion, "%s", message);
}

static const char *text_of(struct compiler *c, const char *before, struct bytes text,
			   const char *after)
{
	const char *s =
	    arena_printf(&c->report->arena, "%s%s%s", before, policy_quote(c, text), after);

	return s ? s : before;
}

static bool undefined_tag(struct compiler *c, const struct json *at, struct bytes tag,
			  enum sel_ctx ctx)
{
	const char *q = policy_quote(c, tag), *s;

	if (ctx == CTX_TEST)
		return false;
	s = policy_suggest(c, tag, "tag:");
	if (!*s)
		s = "define it under tagOwners";
	if (ctx == CTX_ACL_SRC || ctx == CTX_GRANT_SRC)
		return policy_complain(c, at, s, "src=tag not found: %s", q);
	if (ctx == CTX_ACL_DST)
		return policy_complain(c, at, s, "dst=%s: tag not found: %s", q, q);
	return policy_complain(c, at, s, "tag not found: %s", q);
}

static bool find_autogroup(struct compiler *c, const struct json *at, struct bytes text,
			   enum sel_ctx ctx, struct found *f)
{
	struct bytes name = bytes_from(text, 10);

	for (size_t i = 0; i < array_len(autogroup_kinds); i++)
		if (bytes_equal_str(name, autogroup_kinds[i].name)) {
			f->kind = autogroup_kinds[i].kind;
			f->role = autogroup_kinds[i].role;
			if (f->kind == SEL_MEMBER && ctx != CTX_TEST)
				*(name.n == 6 ? &c->member_at : &c->members_at) = at;
			if (f->kind == SEL_MEMBER)
				f->name = bytes_str("autogroup:member");
			return true;
		}
	if (bytes_equal_str(name, "nonroot"))
		return quiet_or(c, at, ctx, NULL,
				"autogroup:nonroot can only be used in the users of SSH rules");
	return quiet_or(c, at, ctx, policy_suggest_in(c, text, autogroups, array_len(autogroups)),
			text_of(c, "invalid autogroup: got ", text,
				", must be one of [autogroup:member autogroup:tagged "
				"autogroup:self autogroup:internet autogroup:danger-all "
				"autogroup:shared autogroup:owner autogroup:admin "
				"autogroup:network-admin autogroup:it-admin "
				"autogroup:billing-admin autogroup:auditor]"));
}

static bool find_domain(struct compiler *c, const struct json *at, struct bytes text,
			enum sel_ctx ctx, struct found *f)
{
	struct bytes domain = bytes_from(text, 7);

	f->kind = SEL_DOMAIN;
	if (policy_domain_known(c->p, domain))
		return true;
	if (ctx == CTX_TEST)
		return false;
	return policy_complain(c, at, NULL,
			       "%s%.*s is not associated with this Tailnet and cannot be used in "
			       "user:*@<domain> expressions",
			       ctx == CTX_SSH_SRC ? "[ssh] " : "", BYTES_FMT(domain));
}

static bool find_defined(struct compiler *c, const struct json *at, struct bytes text,
			 enum sel_ctx ctx, struct found *f)
{
	static const struct {
		const char *prefix, *what;
		enum sel_kind kind;
	} kinds[] = { { "group:", "group not defined in policy: ", SEL_GROUP },
		      { "ipset:", "ipset not defined in policy: ", SEL_IPSET },
		      { "", "host not defined in policy: ", SEL_HOST } };
	size_t i = 0;

	while (!bytes_has_prefix(text, kinds[i].prefix))
		i++;
	f->kind = kinds[i].kind;
	f->named = policy_name(c->p, text);
	if (f->named && f->named->kind == f->kind)
		return true;
	if (ctx == CTX_TEST)
		return false;
	if (f->kind == SEL_HOST && ctx == CTX_SSH_DST)
		return policy_complain(c, at, NULL, "invalid dst %s", policy_quote(c, text));
	if (f->kind == SEL_HOST && ctx == CTX_ATTR)
		return policy_complain(c, at, policy_suggest(c, text, ""), "%s: invalid address",
				       policy_quote(c, text));
	return quiet_or(c, at, ctx, policy_suggest(c, text, kinds[i].prefix),
			text_of(c, kinds[i].what, text, ""));
}

static bool find_service(struct compiler *c, const struct json *at, struct bytes text,
			 enum sel_ctx ctx, struct found *f)
{
	f->kind = SEL_SERVICE;
	for (size_t i = 4; i < text.n; i++) {
		uint8_t b = text.p[i];

		if (!((b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || (b >= '0' && b <= '9') ||
		      (b == '-' && i > 4 && i + 1 < text.n)))
			return quiet_or(c, at, ctx, NULL,
					text_of(c, "invalid service name: ", text, ""));
	}
	return (text.n > 4 && text.n <= 67) ||
	       quiet_or(c, at, ctx, NULL, text_of(c, "invalid service name: ", text, ""));
}

/* In the order of the language: address, *, user:*@, group, @, tag, autogroup, ..., host. */
static bool classify(struct compiler *c, const struct json *at, struct bytes text, enum sel_ctx ctx,
		     struct found *f)
{
	*f = (struct found){ .name = text, .user = NO_USER };
	if (policy_address(text, &f->prefix)) {
		f->kind = SEL_ADDRESS;
		return true;
	}
	if (bytes_equal_str(text, "*")) {
		f->kind = SEL_ANY;
		return true;
	}
	if (bytes_has_prefix(text, "user:*@"))
		return find_domain(c, at, text, ctx, f);
	if (bytes_has_prefix(text, "group:"))
		return find_defined(c, at, text, ctx, f);
	if (text.n && memchr(text.p, '@', text.n)) {
		f->kind = SEL_USER;
		if (policy_find_user(c->p, text, &f->user) >= 0)
			return true;
		return quiet_or(c, at, ctx, NULL,
				text_of(c, "multiple users found: token ", text, ""));
	}
	if (bytes_has_prefix(text, "tag:")) {
		f->kind = SEL_TAG;
		f->named = policy_name(c->p, text);
		return f->named || undefined_tag(c, at, text, ctx);
	}
	if (bytes_has_prefix(text, "autogroup:"))
		return find_autogroup(c, at, text, ctx, f);
	if (bytes_has_prefix(text, "svc:"))
		return find_service(c, at, text, ctx, f);
	if (bytes_has_prefix(text, "ipset:") || (text.n && !memchr(text.p, ':', text.n)))
		return find_defined(c, at, text, ctx, f);
	if (ctx == CTX_OWNER)
		return policy_complain(c, at, NULL, "invalid owner format: %s",
				       policy_quote(c, text));
	if (ctx == CTX_APPROVER)
		return policy_complain(c, at, NULL, "invalid auto approver format: %s",
				       policy_quote(c, text));
	if (ctx == CTX_ATTR)
		return policy_complain(c, at, NULL, "%s: invalid address", policy_quote(c, text));
	return quiet_or(c, at, ctx, NULL, text_of(c, "invalid alias format: ", text, ""));
}

static const char *ssh_dst_refusal(struct compiler *c, const struct found *f)
{
	if (f->kind == SEL_ANY)
		return "wildcard (*) is not supported as SSH destination; use 'autogroup:member' "
		       "for user-owned devices, 'autogroup:tagged' for tagged devices, or "
		       "specific tags/users";
	if (f->kind == SEL_ROLE || f->kind == SEL_INTERNET || f->kind == SEL_DANGER_ALL)
		return text_of(c, "autogroup not supported for SSH destinations: ", f->name,
			       ", can be [autogroup:member autogroup:tagged autogroup:self]");
	return text_of(c, "invalid dst ", f->name, "");
}

static const char *refusal(struct compiler *c, const struct found *f, enum sel_ctx ctx)
{
	switch (ctx) {
	case CTX_ACL_SRC:
	case CTX_GRANT_SRC:
		if (f->kind == SEL_SELF)
			return "\"autogroup:self\" not valid on the src side of a rule";
		if (f->kind == SEL_INTERNET)
			return "autogroup:internet can only be used in ACL destinations";
		return text_of(c, "not valid on the src side of a rule: ", f->name, "");
	case CTX_ACL_DST:
	case CTX_GRANT_DST:
		if (f->kind == SEL_DANGER_ALL)
			return "cannot use autogroup:danger-all as a dst";
		return text_of(c, "autogroup not supported for ACL destinations: ", f->name,
			       ", can be [autogroup:internet autogroup:member autogroup:tagged "
			       "autogroup:self]");
	case CTX_ATTR:
		return text_of(c, "nodeAttrs target does not support this autogroup: ", f->name,
			       ", can be [autogroup:member autogroup:tagged autogroup:owner "
			       "autogroup:admin]");
	case CTX_SSH_SRC:
		if (f->kind == SEL_SELF || f->kind == SEL_INTERNET || f->kind == SEL_DANGER_ALL)
			return text_of(c, "autogroup not supported for SSH sources: ", f->name,
				       ", can be [autogroup:member autogroup:tagged]");
		return text_of(c, "alias not supported for SSH source: ", f->name,
			       "; use users, groups, tags, autogroup:member or autogroup:tagged");
	case CTX_SSH_DST:
		return ssh_dst_refusal(c, f);
	case CTX_OWNER:
		return text_of(c, "invalid owner format: ", f->name, "");
	default:
		return text_of(c, "invalid auto approver format: ", f->name, "");
	}
}

static struct bytes sel_key(const void *item)
{
	return ((const struct sel *)item)->name;
}

/* Adds the selector to every user whose nodes it takes in. */
static void join_users(struct policy *p, struct sel *s, const struct named *group)
{
	if (s->kind == SEL_USER && s->user != NO_USER)
		ids_add(&p->users[s->user].sels, s->id);
	if (s->kind == SEL_GROUP && group)
		for (uint32_t i = 0; i < group->users.n; i++)
			ids_add(&p->users[group->users.v[i]].sels, s->id);
	if (s->kind != SEL_MEMBER && s->kind != SEL_ROLE && s->kind != SEL_DOMAIN)
		return;
	for (uint32_t i = 0; i < p->n_users; i++) {
		const struct user *u = &p->users[i];
		bool shared = u->role == POLICY_SHARED, in;

		if (s->kind == SEL_MEMBER)
			in = !shared;
		else if (s->kind == SEL_DOMAIN)
			in = !shared && bytes_equal(u->domain, s->group);
		else
			in = u->role == s->role ||
			     (s->role == POLICY_ADMIN && u->role == POLICY_OWNER);
		if (in)
			ids_add(&p->users[i].sels, s->id);
	}
}

static void set_ranges(struct policy *p, struct sel *s, const struct ipset *set)
{
	struct ip_range v4 = { ip_v4(0, 0, 0, 0), ip_v4(255, 255, 255, 255) };
	struct ip_range v6 = { { .family = 6 }, { .family = 6 } };
	struct ipset view = *set;

	memset(v6.last.b, 0xff, sizeof(v6.last.b));
	s->range = policy_alloc(p, set->n, sizeof(*s->range));
	s->n_ranges = (uint32_t)set->n;
	if (set->n)
		memcpy(s->range, set->r, set->n * sizeof(*set->r));
	s->is_internet = ipset_covers(&view, v4) || ipset_covers(&view, v6) ||
			 ipset_covers_set(&view, &p->internet);
	for (size_t i = 0; i < set->n && !s->is_public; i++)
		s->is_public = ipset_covers(&p->internet, set->r[i]);
}

static void fill_literal(struct policy *p, struct sel *s, const struct found *f)
{
	struct ipset one;

	ipset_init(&one);
	if (s->kind == SEL_ADDRESS)
		ipset_add(&one, prefix_range(f->prefix));
	else if (s->kind == SEL_INTERNET)
		ipset_add_set(&one, &p->internet);
	else if (s->kind == SEL_SERVICE) {
		for (size_t i = 0; i < p->dir.n_services; i++) {
			const struct policy_service *v = &p->dir.services[i];

			if (!bytes_equal(v->name, f->name))
				continue;
			if (v->v4.family)
				ipset_add(&one, prefix_range(prefix_of(v->v4)));
			if (v->v6.family)
				ipset_add(&one, prefix_range(prefix_of(v->v6)));
		}
	}
	set_ranges(p, s, f->named && s->kind != SEL_ADDRESS ? &f->named->set : &one);
	ipset_fini(&one);
}

static struct sel *intern(struct policy *p, const struct found *f)
{
	char text[PREFIX_TEXT_MAX];
	struct bytes key = f->name;
	struct sel *s;

	if (!p->sel_names.key_of)
		map_init(&p->sel_names, sel_key, NULL);
	if (f->kind == SEL_ADDRESS)
		key = bytes_str(prefix_format(f->prefix, text));
	else if (f->kind == SEL_USER && f->user != NO_USER)
		key = p->users[f->user].login;
	s = map_get(&p->sel_names, key);
	if (s)
		return s;
	s = policy_alloc(p, 1, sizeof(*s));
	*s = (struct sel){ .kind = f->kind, .role = f->role, .user = f->user, .id = p->n_sels };
	s->name = arena_bytes(&p->arena, key);
	s->group = s->kind == SEL_DOMAIN ? bytes_from(s->name, 7) : s->name;
	mem_reserve(p->sels, p->n_sels, p->cap_sels);
	p->sels[p->n_sels++] = s;
	(void)map_put(&p->sel_names, s);
	if (sel_is_literal(s))
		fill_literal(p, s, f);
	s->is_internet |= s->kind == SEL_ANY || s->kind == SEL_INTERNET;
	join_users(p, s, f->named);
	return s;
}

bool policy_select(struct compiler *c, const struct json *at, struct bytes text, enum sel_ctx ctx,
		   uint32_t *out)
{
	struct found f;
	struct sel *s;

	if (!classify(c, at, text, ctx, &f))
		return false;
	if (!(allowed[ctx] >> f.kind & 1))
		return quiet_or(c, at, ctx, NULL, refusal(c, &f, ctx));
	if (f.kind == SEL_ROLE && f.role == POLICY_SHARED &&
	    (ctx == CTX_ACL_DST || ctx == CTX_GRANT_DST))
		return quiet_or(c, at, ctx, NULL, refusal(c, &f, ctx));
	if (f.kind == SEL_USER && f.user == NO_USER && ctx == CTX_ATTR)
		return policy_complain(c, at, NULL,
				       "compiling nodeAttrs: nodeAttrs target %s: user not found: "
				       "token %s",
				       policy_quote(c, text), policy_quote(c, text));
	if (f.kind == SEL_USER && f.user == NO_USER && ctx != CTX_TEST)
		policy_warn(c, at, NULL, "no user %s: this takes in nobody for now",
			    policy_quote(c, text));
	s = intern(c->p, &f);
	if (ctx != CTX_TEST)
		s->uses++;
	*out = s->id;
	return true;
}

bool policy_select_list(struct compiler *c, const struct json *list, enum sel_ctx ctx,
			struct ids *out)
{
	json_each (it, list) {
		uint32_t id = NO_SEL;

		if (it->kind != JSON_STRING)
			return policy_complain(c, it, NULL, "type not supported: %s, only strings",
					       json_kind_name(it->kind));
		if (!policy_select(c, it, text_trim(it->text), ctx, &id))
			return false;
		ids_add(out, id);
	}
	return true;
}

uint32_t policy_sel_of_kind(struct policy *p, enum sel_kind kind)
{
	static const char *const names[SEL_KINDS] = { [SEL_ANY] = "*",
						      [SEL_MEMBER] = "autogroup:member",
						      [SEL_TAGGED] = "autogroup:tagged",
						      [SEL_INTERNET] = "autogroup:internet" };
	struct found f = { .kind = kind, .user = NO_USER, .name = bytes_str(names[kind]) };

	return intern(p, &f)->id;
}

struct sel *policy_find_sel(const struct policy *p, struct bytes key)
{
	return map_get(&p->sel_names, key);
}
