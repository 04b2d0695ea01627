/*
 * app/control/token.h - credentials of programs and people for the API: tskey-api-c<id>-<secret>,
 * OAuth clients (tskey-client-...) and the hour-long tokens they mint. The secret is shown once;
 * what is kept is the SHA-256 of its 192 random bits.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "app/control/model.h"
#include "app/control/scope.h"
#include "base/bytes.h"
#include "base/list.h"
#include "base/wall.h"

struct err;
struct rng;

enum token_kind {
	TOKEN_API,    /* a person's, or a server's own when it has no user */
	TOKEN_CLIENT, /* an OAuth client: mints access tokens, opens nothing itself */
	TOKEN_ACCESS, /* minted by a client */
	TOKEN_KINDS
};

enum {
	TOKEN_TEXT_MAX = 96,
	TOKEN_SECRET_SIZE = 49,
	TOKEN_ACCESS_S = 3600,
	TOKEN_API_S_MAX = 90 * 86400,
	TOKENS_MAX = 100000,     /* of all kinds; minting stops there */
	TOKENS_OF_CLIENT = 1000, /* that one client may have at a time */
};

struct token {
	int64_t id;
	enum token_kind kind;
	struct tailnet *tailnet;
	struct tn_user *user; /* whose rights bound it; NULL: the scopes alone */
	int64_t parent;       /* the client of an access token, else 0 */
	uint8_t hash[32];
	struct scopes scopes;
	struct text_set tags;
	char *description;
	struct wall created, expiry; /* expiry 0: never */
	bool revoked;
	struct list link;
};

struct tokens {
	struct list all;
	size_t n;
};

void tokens_init(struct tokens *set);
void tokens_fini(struct tokens *set);

struct token *token_add(struct tokens *set, struct tailnet *t, enum token_kind kind, int64_t id);
void token_remove(struct tokens *set, struct token *k);
struct token *token_by_id(const struct tokens *set, const struct tailnet *t, int64_t id);
size_t token_children(const struct tokens *set, const struct token *client);
const char *token_kind_name(enum token_kind kind); /* api, client, access */
bool token_kind_parse(enum token_kind *kind, struct bytes name);

void token_secret(struct rng *rng, char secret[TOKEN_SECRET_SIZE], uint8_t hash[32]);
void token_format(const struct token *k, const char *secret, char out[TOKEN_TEXT_MAX]);
/*
 * The credential that text names and proves: not revoked, not expired, nor its parent. ERR_AUTH
 * with one and the same sentence for every reason.
 */
struct token *token_find(const struct tokens *set, struct bytes text, struct wall now,
			 struct err *err);
