/*
 * engine/oidc/oidc_identity.h - what a provider says about a person, and who may come in.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/wall.h"

struct err;
struct json;

enum { OIDC_GROUPS_MAX = 1024, OIDC_TEXT_MAX = 256, OIDC_LEEWAY_S = 60 };

/* Issuer and subject together are the person; everything else may change at any login. */
struct oidc_identity {
	char issuer[OIDC_TEXT_MAX], subject[OIDC_TEXT_MAX];
	char email[OIDC_TEXT_MAX]; /* "" when none was said */
	bool email_verified;
	char name[OIDC_TEXT_MAX], username[OIDC_TEXT_MAX], picture[2 * OIDC_TEXT_MAX];
	char **groups;
	size_t n_groups;
};

void oidc_identity_free(struct oidc_identity *id);

struct oidc_token_rules {
	const char *issuer, *client_id, *nonce;
	struct wall now;
};

/* The claims of an ID token whose signature was verified: iss, aud, azp, exp, nbf, iat, nonce, sub.
 */
int oidc_token_check(const struct json *claims, const struct oidc_token_rules *rules,
		     struct err *err);

/* Takes over what claims say; a second call (UserInfo) adds to and overrides the first. */
void oidc_identity_read(struct oidc_identity *id, const struct json *claims,
			const char *groups_claim);

/* Who may come in. Lists of words between commas or spaces; "*" in any of them: everybody. */
struct oidc_admission {
	const char *domains, *users, *groups;
	bool unverified_email; /* take an e-mail address that the provider did not verify */
};
/* One list that names the person is enough; with all lists empty nobody comes in. */
int oidc_admit(const struct oidc_admission *rules, const struct oidc_identity *id, struct err *err);
