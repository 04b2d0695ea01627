/* A token and a key set, apart by a line feed: nothing verifies that was not signed. */
#include "wire/jws.h"

#include <stdlib.h>

#include "base/arena.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const uint8_t *end = n ? memchr(data, '\n', n) : NULL;
	size_t first = end ? (size_t)(end - data) : n;
	struct jwks *set = jwks_decode(bytes_from(bytes_of(data, n), first + 1), NULL);
	struct arena arena;
	struct jws token;

	arena_init(&arena, 1 << 22);
	if (jws_decode(&token, &arena, bytes_of(data, first), NULL) == 0) {
		if (token.alg == SIG_NONE || token.signed_part.n > first)
			abort();
		if (set)
			(void)jws_verify(&token, set);
	}
	if (set && jwks_count(set) > JWKS_KEYS_MAX)
		abort();
	jwks_destroy(set);
	arena_fini(&arena);
	return 0;
}
