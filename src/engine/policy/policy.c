/* Compiling: the sections in the order in which they need each other, and the life of the result.
 */
#include "engine/policy/policy.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/hujson.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "engine/policy/policy_parse.h"

static const char *const top_keys[] = {
	"groups",
	"hosts",
	"ipsets",
	"tagOwners",
	"acls",
	"grants",
	"ssh",
	"nodeAttrs",
	"autoApprovers",
	"postures",
	"defaultSrcPosture",
	"attrConfig",
	"tests",
	"sshTests",
	"randomizeClientPort",
	"derpMap",
	"disableIPv4",
	"OneCGNATRoute",
};

static bool read_text(struct compiler *c)
{
	struct policy *p = c->p;
	struct err err = { 0 };
	unsigned line = 1, column = 1;
	const char *at;

	if (p->text.n > POLICY_TEXT_MAX) {
		struct where w = { POLICY_TEXT_MAX, POLICY_TEXT_MAX + 1 };
		const char *s = arena_printf(&c->report->arena,
					     "the policy has %zu bytes; at most %d are accepted",
					     p->text.n, POLICY_TEXT_MAX);

		policy_issue_add(c->report, POLICY_ERROR, p->text, w, NULL, NULL, s ? s : "");
		return false;
	}
	p->root = json_parse(&p->arena, p->text, JSON_HUJSON, &err);
	if (p->root)
		return true;
	policy_issue_add(c->report, POLICY_ERROR, p->text, (struct where){ 0, 0 }, NULL, NULL,
			 arena_printf(&c->report->arena, "hujson: %s", err.text));
	at = strstr(err.text, "line ");
	if (at && c->report->n) {
		struct policy_issue *i = &c->report->issues[c->report->n - 1];
		char *end;

		line = (unsigned)strtoul(at + 5, &end, 10);
		if (strncmp(end, ", column ", 9) == 0)
			column = (unsigned)strtoul(end + 9, NULL, 10);
		i->line = line;
		i->column = column;
	}
	return false;
}

/* Neither acls nor grants: everything is open, exactly as "* to *:*" says it. */
static void open_all(struct policy *p)
{
	struct ids any = { 0 };
	struct grant *g;

	p->allow_all = true;
	ids_add(&any, policy_sel_of_kind(p, SEL_ANY));
	g = policy_add_grant(p);
	g->acl = true;
	g->src = policy_class(p, &any, NULL);
	g->dsts = policy_alloc(p, 1, sizeof(*g->dsts));
	g->dsts[0] = any.v[0];
	g->n_dsts = 1;
	g->protos = policy_alloc(p, 1, sizeof(*g->protos));
	g->protos[0] = (struct proto_group){ .proto = -1 };
	policy_append_ports(p, &g->protos[0], &(struct port_range){ 0, UINT16_MAX }, 1);
	g->n_protos = 1;
	policy_grant_done(p, g);
	mem_free(any.v);
}

static bool present(const struct json *root, const char *key)
{
	const struct json *v = json_get_nocase(root, key);

	return v && v->kind != JSON_NULL;
}

/* The old spelling is fine, and so is the new one, but not in one file. */
static bool one_member_spelling(struct compiler *c)
{
	return !c->member_at || !c->members_at ||
	       policy_complain(c, c->members_at, "write autogroup:member everywhere",
			       "autogroup:member and autogroup:members can not both be used");
}

static bool compile_sections(struct compiler *c, const struct policy_directory *dir)
{
	struct policy *p = c->p;

	if (p->root && p->root->kind != JSON_OBJECT)
		return policy_complain(c, p->root, NULL, "a policy is an object, not %s",
				       json_kind_name(p->root->kind));
	if (p->root && (!policy_no_duplicates(c, p->root) ||
			!policy_check_keys(c, p->root, top_keys, array_len(top_keys), 0)))
		return false;
	policy_add_users(c, dir);
	if (!policy_add_groups(c, dir) || !policy_add_hosts(c) || !policy_add_tags(c) ||
	    !policy_add_ipsets(c))
		return false;
	(void)policy_sel_of_kind(p, SEL_ANY);
	(void)policy_sel_of_kind(p, SEL_MEMBER);
	(void)policy_sel_of_kind(p, SEL_TAGGED);
	(void)policy_sel_of_kind(p, SEL_INTERNET);
	if (!policy_own_tags(c) || !policy_compile_postures(c) || !policy_compile_grants(c) ||
	    !policy_compile_acls(c))
		return false;
	if (!present(p->root, "acls") && !present(p->root, "grants"))
		open_all(p);
	return policy_compile_approvers(c) && policy_compile_ssh(c) && policy_compile_attrs(c) &&
	       policy_compile_tests(c) && one_member_spelling(c);
}

static struct bytes *copy_list(struct policy *p, const struct bytes *from, size_t n)
{
	struct bytes *out = policy_alloc(p, n, sizeof(*out));

	for (size_t i = 0; i < n; i++)
		out[i] = arena_bytes(&p->arena, from[i]);
	return out;
}

static void copy_directory(struct policy *p, const struct policy_directory *dir)
{
	struct policy_service *s = policy_alloc(p, dir->n_services, sizeof(*s));

	p->dir = (struct policy_directory){ .auto_update = dir->auto_update, .https = dir->https };
	p->dir.display_name = arena_bytes(&p->arena, dir->display_name);
	p->dir.domains = copy_list(p, dir->domains, dir->n_domains);
	p->dir.n_domains = dir->n_domains;
	for (size_t i = 0; i < dir->n_services; i++) {
		s[i] = dir->services[i];
		s[i].name = arena_bytes(&p->arena, dir->services[i].name);
		s[i].tags = copy_list(p, dir->services[i].tags, dir->services[i].n_tags);
	}
	p->dir.services = s;
	p->dir.n_services = dir->n_services;
}

static void collect_publics(struct policy *p)
{
	for (uint32_t i = 0; i < p->n_sels; i++)
		if (p->sels[i]->is_public && p->sels[i]->n_dst_uses)
			ids_add(&p->publics, i);
}

struct policy *policy_compile(struct bytes text, const struct policy_directory *dir,
			      struct policy_report *report)
{
	static const struct policy_directory nobody;
	struct policy *p = mem_alloc(sizeof(*p));
	struct compiler c = { .p = p, .report = report };
	size_t errors = report->errors;

	p->refs = 1;
	arena_init(&p->arena, (size_t)1 << 31);
	dir = dir ? dir : &nobody;
	p->text = text;
	if (text.n <= POLICY_TEXT_MAX)
		p->text = arena_bytes(&p->arena, text);
	policy_constants(p);
	copy_directory(p, dir);
	if ((text.n && !read_text(&c)) || !compile_sections(&c, dir) ||
	    (!policy_index_spans(p) &&
	     !policy_complain(&c, p->root, NULL, "the policy names more than %d prefixes",
			      SPANS_MAX)) ||
	    report->errors > errors) {
		policy_unref(p);
		return NULL;
	}
	collect_publics(p);
	return p;
}

struct policy *policy_ref(struct policy *p)
{
	p->refs++;
	return p;
}

static void free_sel(struct sel *s)
{
	mem_free(s->dst_uses);
	mem_free(s->classes.v);
	mem_free(s->attrs.v);
	mem_free(s->via.v);
	mem_free(s->ssh_dsts.v);
}

static void free_class(struct cls *k)
{
	mem_free(k->sels.v);
	mem_free(k->postures.v);
	mem_free(k->grants.v);
	mem_free(k->via_grants.v);
	mem_free(k->self_grants.v);
	mem_free(k->companions.v);
	mem_free(k->ssh.v);
	ipset_fini(&k->lits);
}

static void free_name(struct named *n)
{
	mem_free(n->users.v);
	mem_free(n->owner_sels.v);
	mem_free(n->owner_tags.v);
	ipset_fini(&n->set);
}

void policy_unref(struct policy *p)
{
	if (!p || --p->refs > 0)
		return;
	for (uint32_t i = 0; i < p->n_sels; i++)
		free_sel(p->sels[i]);
	for (uint32_t i = 0; i < p->n_classes; i++)
		free_class(p->classes[i]);
	for (uint32_t i = 0; i < p->n_names; i++)
		free_name(&p->names[i]);
	for (uint32_t i = 0; i < p->n_users; i++)
		mem_free(p->users[i].sels.v);
	map_fini(&p->user_logins);
	map_fini(&p->by_name);
	map_fini(&p->sel_names);
	map_fini(&p->class_keys);
	mem_free(p->sels);
	mem_free(p->classes);
	mem_free(p->grants);
	mem_free(p->grants_self.v);
	mem_free(p->grants_via.v);
	mem_free(p->default_postures.v);
	mem_free(p->spans);
	mem_free(p->publics.v);
	mem_free(p->danger.v);
	ipset_fini(&p->internet);
	ipset_fini(&p->tailnet);
	ipset_fini(&p->wild);
	arena_fini(&p->arena);
	mem_free(p);
}

struct bytes policy_text(const struct policy *p)
{
	return p->text;
}

void policy_etag(struct bytes text, char out[65])
{
	uint8_t sum[32];
	struct buf b;

	buf_init(&b, 4 * (size_t)POLICY_TEXT_MAX);
	if (text.n > POLICY_TEXT_MAX || hujson_format(text, &b, NULL) < 0)
		hash_sha256(sum, text);
	else
		hash_sha256(sum, buf_bytes(&b));
	text_hex(bytes_of(sum, sizeof(sum)), out);
	buf_fini(&b);
}
