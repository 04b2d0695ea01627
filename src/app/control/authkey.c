#include "app/control/authkey.h"

#include <stdio.h>

#include "app/control/model.h"
#include "base/err.h"
#include "base/rand.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "crypto/secret.h"

static const char prefix[] = "tskey-auth-k";

void authkey_secret(struct rng *rng, char secret[49], uint8_t hash[32])
{
	uint8_t raw[24];

	rng->fill(rng, raw, sizeof(raw));
	text_hex(bytes_of(raw, sizeof(raw)), secret);
	secret_wipe(raw, sizeof(raw));
	hash_sha256(hash, bytes_str(secret));
}

void authkey_format(int64_t id, const char *secret, char out[AUTHKEY_TEXT_MAX])
{
	(void)snprintf(out, AUTHKEY_TEXT_MAX, "%s%lld-%s", prefix, (long long)id, secret);
}

static bool split(struct bytes text, int64_t *id, struct bytes *secret)
{
	struct bytes number;
	uint64_t n;

	if (!bytes_has_prefix(text, prefix))
		return false;
	*secret = bytes_from(text, sizeof(prefix) - 1);
	if (!text_split(secret, '-', &number) || !text_u64(number, INT64_MAX, &n))
		return false;
	*id = (int64_t)n;
	return true;
}

struct auth_key *authkey_find(const struct model *m, struct bytes text, struct err *err)
{
	struct bytes secret;
	uint8_t hash[32];
	int64_t id;

	if (!split(text, &id, &secret)) {
		(void)err_set(err, ERR_REFUSED, "invalid auth key: it is none of this server");
		return NULL;
	}
	hash_sha256(hash, secret);
	list_each (it, (struct list *)&m->tailnets) {
		struct auth_key *k = model_key(list_entry(it, struct tailnet, link), id);

		if (k && secret_equal(k->hash, hash, sizeof(hash)))
			return k;
	}
	(void)err_set(err, ERR_REFUSED, "invalid auth key: unknown or deleted");
	return NULL;
}

int authkey_check(const struct auth_key *k, struct wall now, struct err *err)
{
	if (k->revoked)
		return err_set(err, ERR_REFUSED, "invalid auth key: it was revoked");
	if (k->expiry.ns && k->expiry.ns <= now.ns)
		return err_set(err, ERR_REFUSED, "invalid auth key: it has expired");
	if (k->used && !k->reusable)
		return err_set(err, ERR_REFUSED, "invalid auth key: it was used before");
	return 0;
}
