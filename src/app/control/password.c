#include "app/control/password.h"

#include <sodium.h>

_Static_assert(PASSWORD_HASH_MAX >= crypto_pwhash_STRBYTES, "a hash fits");

bool password_hash(char out[PASSWORD_HASH_MAX], struct bytes password)
{
	return sodium_init() >= 0 &&
	       crypto_pwhash_str_alg(
		   out, (const char *)password.p, password.n, crypto_pwhash_OPSLIMIT_INTERACTIVE,
		   crypto_pwhash_MEMLIMIT_INTERACTIVE, crypto_pwhash_ALG_ARGON2ID13) == 0;
}

bool password_verify(const char *hash, struct bytes password)
{
	char spent[PASSWORD_HASH_MAX];

	if (sodium_init() < 0)
		return false;
	if (!hash) {
		(void)password_hash(spent, password);
		return false;
	}
	return crypto_pwhash_str_verify(hash, (const char *)password.p, password.n) == 0;
}
