#include "app/control/token.h"

#include <stdio.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "crypto/secret.h"

static const char *const kinds[TOKEN_KINDS] = { "api", "client", "access" };
/* Clients of others look for these prefixes; an access token looks like any API token. */
static const char *const prefixes[TOKEN_KINDS] = { "tskey-api-c", "tskey-client-c", "tskey-api-c" };

void tokens_init(struct tokens *set)
{
	list_init(&set->all);
	set->n = 0;
}

void tokens_fini(struct tokens *set)
{
	list_each_safe (it, &set->all)
		token_remove(set, list_entry(it, struct token, link));
}

struct token *token_add(struct tokens *set, struct tailnet *t, enum token_kind kind, int64_t id)
{
	struct token *k = mem_alloc(sizeof(*k));

	k->id = id;
	k->kind = kind;
	k->tailnet = t;
	list_append(&set->all, &k->link);
	set->n++;
	return k;
}

void token_remove(struct tokens *set, struct token *k)
{
	list_remove(&k->link);
	set->n--;
	text_set_fini(&k->tags);
	mem_free(k->description);
	mem_free(k);
}

struct token *token_by_id(const struct tokens *set, const struct tailnet *t, int64_t id)
{
	list_each (it, (struct list *)&set->all) {
		struct token *k = list_entry(it, struct token, link);

		if (k->id == id && (!t || k->tailnet == t))
			return k;
	}
	return NULL;
}

size_t token_children(const struct tokens *set, const struct token *client)
{
	size_t n = 0;

	list_each (it, (struct list *)&set->all)
		n += list_entry(it, struct token, link)->parent == client->id;
	return n;
}

const char *token_kind_name(enum token_kind kind)
{
	return kinds[kind];
}

bool token_kind_parse(enum token_kind *kind, struct bytes name)
{
	for (int i = 0; i < TOKEN_KINDS; i++)
		if (bytes_equal_str(name, kinds[i])) {
			*kind = (enum token_kind)i;
			return true;
		}
	return false;
}

void token_secret(struct rng *rng, char secret[TOKEN_SECRET_SIZE], uint8_t hash[32])
{
	uint8_t raw[(TOKEN_SECRET_SIZE - 1) / 2];

	rng->fill(rng, raw, sizeof(raw));
	text_hex(bytes_of(raw, sizeof(raw)), secret);
	secret_wipe(raw, sizeof(raw));
	hash_sha256(hash, bytes_str(secret));
}

void token_format(const struct token *k, const char *secret, char out[TOKEN_TEXT_MAX])
{
	(void)snprintf(out, TOKEN_TEXT_MAX, "%s%lld-%s", prefixes[k->kind], (long long)k->id,
		       secret);
}

static bool split(struct bytes text, int64_t *id, struct bytes *secret)
{
	struct bytes number;
	uint64_t n;

	if (bytes_has_prefix(text, prefixes[TOKEN_API]))
		*secret = bytes_from(text, strlen(prefixes[TOKEN_API]));
	else if (bytes_has_prefix(text, prefixes[TOKEN_CLIENT]))
		*secret = bytes_from(text, strlen(prefixes[TOKEN_CLIENT]));
	else
		return false;
	if (!text_split(secret, '-', &number) || !text_u64(number, INT64_MAX, &n))
		return false;
	*id = (int64_t)n;
	return true;
}

static bool is_live(const struct tokens *set, const struct token *k, struct wall now)
{
	const struct token *parent;

	if (k->revoked || (k->expiry.ns && k->expiry.ns <= now.ns))
		return false;
	if (!k->parent)
		return true;
	parent = token_by_id(set, k->tailnet, k->parent);
	return parent && !parent->revoked;
}

struct token *token_find(const struct tokens *set, struct bytes text, struct wall now,
			 struct err *err)
{
	struct bytes secret;
	struct token *k = NULL;
	uint8_t hash[32];
	int64_t id;

	if (split(text, &id, &secret))
		k = token_by_id(set, NULL, id);
	if (k) {
		hash_sha256(hash, secret);
		if (bytes_has_prefix(text, prefixes[k->kind]) &&
		    secret_equal(k->hash, hash, sizeof(hash)) && is_live(set, k, now))
			return k;
	}
	(void)err_set(err, ERR_AUTH, "API token invalid");
	return NULL;
}
