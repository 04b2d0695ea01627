#include "engine/oidc/oidc_identity.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"

#include "kit/kit.h"

enum { NOW = 1800000000 };

static int check(const char *text, char why[256])
{
	struct oidc_token_rules rules = { "https://id.example", "weft", "n1", wall_from_s(NOW) };
	struct err err = { 0 };
	struct arena arena;
	int ret;

	arena_init(&arena, 1 << 20);
	ret = oidc_token_check(json_parse(&arena, bytes_str(text), 0, &err), &rules, &err);
	memcpy(why, err.text, sizeof(err.text));
	arena_fini(&arena);
	return ret;
}

#define GOOD_ISS "\"iss\":\"https://id.example\","
#define GOOD_AUD "\"aud\":\"weft\","
#define GOOD_TIME "\"exp\":1800000300,\"iat\":1800000000,"
#define GOOD_REST "\"nonce\":\"n1\",\"sub\":\"42\"}"

TEST(token_claims_are_all_checked)
{
	static const struct {
		const char *claims, *why;
	} bad[] = {
		{ "{" GOOD_AUD GOOD_TIME GOOD_REST, "not made by" },
		{ "{\"iss\":\"https://id.example/\"," GOOD_AUD GOOD_TIME GOOD_REST, "not made by" },
		{ "{\"iss\":[\"https://id.example\"]," GOOD_AUD GOOD_TIME GOOD_REST,
		  "not made by" },
		{ "{" GOOD_ISS GOOD_TIME GOOD_REST, "another application" },
		{ "{" GOOD_ISS "\"aud\":\"other\"," GOOD_TIME GOOD_REST, "another application" },
		{ "{" GOOD_ISS "\"aud\":[\"weft\",\"other\"]," GOOD_TIME GOOD_REST,
		  "another application" },
		{ "{" GOOD_ISS "\"aud\":[\"weft\"],\"azp\":\"other\"," GOOD_TIME GOOD_REST,
		  "another application" },
		{ "{" GOOD_ISS GOOD_AUD "\"iat\":1800000000," GOOD_REST, "no expiry" },
		{ "{" GOOD_ISS GOOD_AUD "\"exp\":\"1800000300\",\"iat\":1800000000," GOOD_REST,
		  "no expiry" },
		{ "{" GOOD_ISS GOOD_AUD "\"exp\":1799999940,\"iat\":1799999000," GOOD_REST,
		  "has expired" },
		{ "{" GOOD_ISS GOOD_AUD "\"nbf\":1800000061," GOOD_TIME GOOD_REST,
		  "not valid yet" },
		{ "{" GOOD_ISS GOOD_AUD "\"exp\":1800000300,\"iat\":1800000061," GOOD_REST,
		  "in the future" },
		{ "{" GOOD_ISS GOOD_AUD GOOD_TIME "\"sub\":\"42\"}", "another login" },
		{ "{" GOOD_ISS GOOD_AUD GOOD_TIME "\"nonce\":\"n2\",\"sub\":\"42\"}",
		  "another login" },
		{ "{" GOOD_ISS GOOD_AUD GOOD_TIME "\"nonce\":\"n1\"}", "who logged in" },
		{ "{" GOOD_ISS GOOD_AUD GOOD_TIME "\"nonce\":\"n1\",\"sub\":\"\"}",
		  "who logged in" },
		{ "[]", "no claims" },
	};
	char why[256];

	CHECK(check("{" GOOD_ISS GOOD_AUD GOOD_TIME GOOD_REST, why) == 0);
	CHECK(check("{" GOOD_ISS "\"aud\":[\"weft\"]," GOOD_TIME GOOD_REST, why) == 0);
	CHECK(check("{" GOOD_ISS "\"aud\":[\"x\",\"weft\"],\"azp\":\"weft\"," GOOD_TIME GOOD_REST,
		    why) == 0);
	CHECK(check("{" GOOD_ISS GOOD_AUD "\"exp\":1799999941,\"iat\":1799999000," GOOD_REST,
		    why) == 0); /* within the leeway */
	for (size_t i = 0; i < array_len(bad); i++) {
		CHECK(check(bad[i].claims, why) < 0);
		if (!CHECK(strstr(why, bad[i].why) != NULL))
			CHECK_STR(why, bad[i].why);
	}
}

static struct oidc_identity *identity(const char *text, const char *groups)
{
	struct oidc_identity *id = mem_alloc(sizeof(*id));
	struct arena arena;

	arena_init(&arena, 1 << 20);
	oidc_identity_read(id, json_parse(&arena, bytes_str(text), 0, NULL), groups);
	arena_fini(&arena);
	return id;
}

TEST(groups_come_from_any_claim)
{
	struct oidc_identity *id = identity(
	    "{\"realm_access\":{\"roles\":[\"a\",\"/b c\",\"a\",7]}}", "realm_access.roles");

	CHECK_INT(id->n_groups, 2);
	CHECK_STR(id->groups[0], "a");
	CHECK_STR(id->groups[1], "b c");
	oidc_identity_free(id);
	id = identity("{\"https://x.example/groups\":\"solo\"}", "https://x.example/groups");
	CHECK_INT(id->n_groups, 1);
	CHECK_STR(id->groups[0], "solo");
	oidc_identity_free(id);
	id = identity("{\"groups\":{\"a\":1}}", "groups.a.b");
	CHECK_INT(id->n_groups, 0);
	oidc_identity_free(id);
}

static bool admits(const char *claims, const char *domains, const char *users, const char *groups,
		   bool unverified)
{
	struct oidc_admission rules = { domains, users, groups, unverified };
	struct oidc_identity *id = identity(claims, "groups");
	struct err err;
	bool in = oidc_admit(&rules, id, &err) == 0;

	oidc_identity_free(id);
	return in;
}

TEST(who_may_come_in)
{
	const char *ana = "{\"sub\":\"42\",\"email\":\"Ana@Example.com\",\"email_verified\":true,"
			  "\"groups\":[\"eng team\"]}";
	const char *eve = "{\"sub\":\"43\",\"email\":\"ana@example.com\"}";

	CHECK(!admits(ana, "", "", "", false)); /* closed unless somebody said otherwise */
	CHECK(admits(ana, "example.com", "", "", false));
	CHECK(admits(ana, "other.org, example.com", "", "", false));
	CHECK(!admits(ana, "ample.com", "", "", false));
	CHECK(admits(ana, "", "ana@example.com", "", false));
	CHECK(admits(ana, "", "42", "", false));
	CHECK(admits(ana, "", "", "ops,eng team", false));
	CHECK(!admits(ana, "", "", "eng", false));
	CHECK(admits(ana, "*", "", "", false) && admits(ana, "", "", "*", false));
	/* An address that the provider did not verify opens nothing by itself. */
	CHECK(!admits(eve, "example.com", "ana@example.com", "", false));
	CHECK(admits(eve, "example.com", "", "", true));
	CHECK(!admits("{\"sub\":\"1\",\"email\":\"x@evil.org@example.com \"}", "example.com", "",
		      "", true));
}
