/*
 * engine/policy/policy_parse.h - what the compiling files share: complaints with a place, decoding
 * of objects by tables of key names, and each section's entry point.
 */
#pragma once

#include "engine/policy/policy_model.h"

struct compiler {
	struct policy *p;
	struct policy_report *report;
	const struct json *member_at, *members_at; /* the two spellings of one autogroup */
};

/* Where a selector stands decides what it may be and how a mistake is worded. */
enum sel_ctx {
	CTX_ACL_SRC,
	CTX_ACL_DST,
	CTX_GRANT_SRC,
	CTX_GRANT_DST,
	CTX_ATTR,
	CTX_SSH_SRC,
	CTX_SSH_DST,
	CTX_OWNER,
	CTX_APPROVER,
	CTX_TEST, /* complains to nobody */
};

/* ---- complaints (policy_parse.c); all return false ---- */
bool policy_complain(struct compiler *c, const struct json *at, const char *suggestion,
		     const char *fmt, ...) __attribute__((format(printf, 4, 5)));
bool policy_complain_key(struct compiler *c, const struct json *at, const char *suggestion,
			 const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void policy_warn(struct compiler *c, const struct json *at, const char *suggestion, const char *fmt,
		 ...) __attribute__((format(printf, 4, 5)));
/* As Go's %q prints it; in the report's arena, shortened when it is endless. */
const char *policy_quote(struct compiler *c, struct bytes text);
/* "did you mean X?" for the nearest of the defined names that start with prefix, or "". */
const char *policy_suggest(struct compiler *c, struct bytes got, const char *prefix);
const char *policy_suggest_in(struct compiler *c, struct bytes got, const char *const *words,
			      size_t n);

/* ---- decoding ---- */
bool policy_no_duplicates(struct compiler *c, const struct json *root);
/* Every key is one of names (in any case) and stands once; keys with ignored first byte pass. */
bool policy_check_keys(struct compiler *c, const struct json *object, const char *const *names,
		       size_t n, char ignore);
/* Absent and null are the same: NULL. Otherwise of that kind, or a complaint and false. */
bool policy_member(struct compiler *c, const struct json *object, const char *key,
		   enum json_kind kind, const struct json **out);
bool policy_strings(struct compiler *c, const struct json *object, const char *key,
		    const struct json **out); /* an array of strings */
bool policy_flag(struct compiler *c, const struct json *object, const char *key, bool *out);
struct bytes policy_json_text(struct policy *p, const struct json *v); /* compact, in the arena */
static inline struct where where_of(const struct json *v)
{
	return (struct where){ v->start, v->end };
}
void *policy_alloc(struct policy *p, size_t n, size_t size);

/* ---- names (policy_names.c) ---- */
void policy_add_users(struct compiler *c, const struct policy_directory *dir);
bool policy_add_groups(struct compiler *c, const struct policy_directory *dir);
bool policy_add_hosts(struct compiler *c);
bool policy_add_tags(struct compiler *c);
bool policy_own_tags(struct compiler *c);
bool policy_add_ipsets(struct compiler *c);
/* -1: ambiguous; 0: nobody; 1: *user is the place. */
int policy_find_user(const struct policy *p, struct bytes token, uint32_t *user);
bool policy_domain_known(const struct policy *p, struct bytes domain);

/* ---- selectors and classes (policy_select.c, policy_class.c) ---- */
bool policy_select(struct compiler *c, const struct json *at, struct bytes text, enum sel_ctx ctx,
		   uint32_t *out);
uint32_t policy_sel_of_kind(struct policy *p, enum sel_kind kind);
bool policy_select_list(struct compiler *c, const struct json *list, enum sel_ctx ctx,
			struct ids *out);
uint32_t policy_class(struct policy *p, const struct ids *sels, const struct ids *postures);
bool policy_index_spans(struct policy *p); /* false: more prefixes than SPANS_MAX */

/* ---- ports (policy_ports.c) ---- */
bool policy_proto(struct bytes text, bool allow_star, int *proto, const char **why,
		  char whybuf[160]);
bool policy_ports(struct policy *p, struct bytes text, struct port_range **out, uint32_t *n,
		  char why[160]);
bool policy_split_port(struct bytes text, struct bytes *host, struct bytes *ports, char why[160]);
bool policy_proto_has_ports(int proto);

/* ---- sections ---- */
bool policy_compile_postures(struct compiler *c);
bool policy_posture_list(struct compiler *c, const struct json *rule, struct ids *out);
bool policy_compile_grants(struct compiler *c);
bool policy_compile_acls(struct compiler *c);
bool policy_compile_ssh(struct compiler *c);
bool policy_compile_attrs(struct compiler *c);
bool policy_compile_approvers(struct compiler *c);
bool policy_compile_tests(struct compiler *c);
void policy_append_ports(struct policy *p, struct proto_group *g, const struct port_range *ports,
			 uint32_t n);
struct grant *policy_add_grant(struct policy *p);
void policy_grant_done(struct policy *p, struct grant *g);
/* autogroup:self among the destinations: are these sources fit for it? */
bool policy_self_sources_ok(const struct policy *p, const struct ids *src, bool any_ok);
