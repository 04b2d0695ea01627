/* People of an identity provider as users, and what credentials and configurations may say. */
#include "app/control/person.h"

#include <stdio.h>

#include "unit/app/control/control_bench.h"
#include "app/control/scope.h"
#include "base/err.h"
#include "base/mem.h"
#include "engine/oidc/oidc_identity.h"
#include "kit/kit.h"

static struct tailnet *first(struct bench *b)
{
	return list_entry(b->c->model.tailnets.next, struct tailnet, link);
}

static struct tn_user *login(struct bench *b, const char *subject, const char *email,
			     const char *group, struct err *err)
{
	char *groups[] = { (char *)group };
	struct oidc_identity id = { .email_verified = true,
				    .groups = groups,
				    .n_groups = group ? 1 : 0 };

	(void)snprintf(id.issuer, sizeof(id.issuer), "https://id.example");
	(void)snprintf(id.subject, sizeof(id.subject), "%s", subject);
	(void)snprintf(id.email, sizeof(id.email), "%s", email);
	(void)snprintf(id.name, sizeof(id.name), "Ana");
	return person_login(b->c, first(b), &id, err);
}

TEST(person_is_issuer_and_subject)
{
	struct tn_user *u, *again;
	struct bench b;
	struct err err;
	int64_t id;

	bench_start(&b);
	u = login(&b, "42", "ana@example.com", NULL, &err);
	CHECK(u && strcmp(u->login, "ana@example.com") == 0 && u->role == ROLE_MEMBER);
	id = u->id;
	again = login(&b, "42", "ana.new@example.com", NULL, &err); /* the address follows */
	CHECK(again == u);
	CHECK_STR(u->login, "ana.new@example.com");
	/* Somebody else with her old address is somebody else; with her present one, nobody. */
	again = login(&b, "66", "ana@example.com", NULL, &err);
	CHECK(again && again != u);
	CHECK(!login(&b, "67", "ana.new@example.com", NULL, &err));
	CHECK(strstr(err.text, "exists already") != NULL);
	bench_restart(&b);
	u = model_user_by_identity(first(&b), "https://id.example", "42");
	CHECK(u && u->id == id && strcmp(u->identity->email, "ana.new@example.com") == 0);
	bench_stop(&b);
}

TEST(person_never_takes_over_a_local_user)
{
	struct bench b;
	struct err err;

	bench_start(&b);
	(void)snprintf(b.c->conf.oidc_issuer, sizeof(b.c->conf.oidc_issuer), "https://id.example");
	(void)bench_command(&b, "users create boss@example.com --role owner", NULL);
	CHECK(!login(&b, "66", "boss@example.com", NULL, &err));
	(void)bench_command(&b, "users link boss@example.com 1", NULL);
	CHECK(!login(&b, "66", "boss@example.com", NULL, &err));
	CHECK(login(&b, "1", "boss@example.com", NULL, &err) != NULL);
	CHECK_INT(login(&b, "1", "boss@example.com", NULL, &err)->role, ROLE_OWNER);
	bench_stop(&b);
}

TEST(person_loses_what_a_group_gave)
{
	static const char policy[] =
	    "{\"grants\":[{\"src\":[\"group:eng\"],\"dst\":[\"*\"],\"ip\":[\"*\"]}]}";
	struct bench b;
	struct err err;
	const char *said;

	bench_start(&b);
	CHECK(strstr(bench_command(&b, "policy set", policy), "in force") == NULL);
	(void)bench_command(&b, "groups add eng", NULL); /* before anybody of it came */
	CHECK(strstr(bench_command(&b, "policy set", policy), "in force") != NULL);
	CHECK(login(&b, "42", "ana@example.com", "eng", &err) != NULL);
	said = bench_command(&b, "policy preview ana@example.com", NULL);
	CHECK(strstr(said, "lineNumber") != NULL);
	bench_restart(&b);
	said = bench_command(&b, "policy preview ana@example.com", NULL);
	CHECK(strstr(said, "lineNumber") != NULL);
	/* The last member leaves: the policy goes on to compile, and she is out. */
	CHECK(login(&b, "42", "ana@example.com", NULL, &err) != NULL);
	said = bench_command(&b, "policy preview ana@example.com", NULL);
	CHECK(strstr(said, "lineNumber") == NULL);
	CHECK(strstr(bench_command(&b, "groups delete eng", NULL), "still speaks") != NULL);
	bench_restart(&b);
	CHECK(strstr(bench_command(&b, "policy get", NULL), "group:eng") != NULL);
	bench_stop(&b);
}

TEST(person_enters_other_networks_by_link_only)
{
	struct oidc_identity id = { .issuer = "https://id.example",
				    .subject = "42",
				    .email = "ana@example.com",
				    .email_verified = true };
	struct tailnet *other;
	struct bench b;
	struct err err;

	bench_start(&b);
	(void)bench_command(&b, "tailnets create other --domain other.internal", NULL);
	other = model_tailnet(&b.c->model, bytes_str("other"));
	CHECK(!person_login(b.c, other, &id, &err));
	CHECK(strstr(err.text, "no user of the network other") != NULL);
	bench_stop(&b);
}

/* ---- scopes ---- */

static bool allows(const char *text, enum scope scope, bool write)
{
	struct scopes s;

	return scopes_parse(&s, bytes_str(text), NULL) == 0 && scopes_allow(&s, scope, write);
}

TEST(scopes_say_exactly_what_they_say)
{
	struct scopes some, all;
	struct buf text;
	struct err err;

	CHECK(allows("dns", SCOPE_DNS, true) && allows("dns", SCOPE_DNS, false));
	CHECK(allows("dns:read", SCOPE_DNS, false) && !allows("dns:read", SCOPE_DNS, true));
	CHECK(!allows("dns", SCOPE_USERS, false) && !allows("", SCOPE_DNS, false));
	CHECK(allows("all", SCOPE_TAILNETS, true) && !allows("all", SCOPE_NONE, false));
	CHECK(allows("all:read", SCOPE_DNS, false) == false); /* there is no such scope */
	CHECK(allows("acl", SCOPE_POLICY_FILE, true) && allows("devices", SCOPE_AUTH_KEYS, true));
	CHECK(allows("logs:configuration:read", SCOPE_LOGS_CONFIGURATION, false));
	CHECK(!allows("logs:configuration", SCOPE_LOGS_CONFIGURATION, true));
	CHECK(scopes_parse(&some, bytes_str("dns,nonsense"), &err) < 0);
	CHECK(strstr(err.text, "nonsense") != NULL);
	CHECK(scopes_parse(&some, bytes_str("dns users:read"), &err) == 0);
	CHECK(scopes_parse(&all, bytes_str("all"), &err) == 0);
	CHECK(scopes_are_within(&some, &all) && !scopes_are_within(&all, &some));
	buf_init(&text, 256);
	scopes_format(&some, &text);
	CHECK_STR(buf_cstr(&text), "dns users:read");
	buf_fini(&text);
}

TEST(roles_are_rows_of_rights)
{
	struct scopes member = scopes_of_role(ROLE_MEMBER), auditor = scopes_of_role(ROLE_AUDITOR),
		      owner = scopes_of_role(ROLE_OWNER), admin = scopes_of_role(ROLE_ADMIN);

	for (int s = 0; s < SCOPES; s++) {
		CHECK(!scopes_allow(&member, (enum scope)s, false));
		CHECK(!scopes_allow(&auditor, (enum scope)s, true));
		CHECK(s == SCOPE_NONE || scopes_allow(&owner, (enum scope)s, true));
	}
	CHECK(!scopes_allow(&admin, SCOPE_ALL, true) && !scopes_are_within(&owner, &admin));
	CHECK(scopes_are_within(&admin, &owner) && scopes_are_within(&auditor, &admin));
}

/* ---- configuration ---- */

static int finish(const char *issuer, const char *client, const char *domains, char why[256])
{
	struct config conf;
	struct err err = { 0 };
	int ret;

	config_defaults(&conf);
	(void)snprintf(conf.oidc_issuer, sizeof(conf.oidc_issuer), "%s", issuer);
	(void)snprintf(conf.oidc_client_id, sizeof(conf.oidc_client_id), "%s", client);
	(void)snprintf(conf.oidc_allowed_domains, sizeof(conf.oidc_allowed_domains), "%s", domains);
	ret = config_finish(&conf, &err);
	memcpy(why, err.text, sizeof(err.text));
	return ret;
}

TEST(config_of_a_provider_must_be_whole)
{
	char why[256];

	CHECK(finish("", "", "", why) == 0);
	CHECK(finish("https://id.example", "weft", "example.com", why) == 0);
	CHECK(finish("http://127.0.0.1:5556/dex", "weft", "*", why) == 0);
	CHECK(finish("http://id.example", "weft", "*", why) < 0 && strstr(why, "https://"));
	CHECK(finish("nonsense", "weft", "*", why) < 0 && strstr(why, "oidc_issuer"));
	CHECK(finish("https://id.example", "", "*", why) < 0 && strstr(why, "oidc_client_id"));
	CHECK(finish("https://id.example", "weft", "", why) < 0 && strstr(why, "who may log in"));
}
