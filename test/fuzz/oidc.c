/* What a provider answers, piece by piece: description, token, keys, UserInfo, apart by NUL bytes.
 */
#include "engine/oidc/oidc.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/rand.h"
#include "base/text.h"

static struct bytes piece(struct bytes *rest)
{
	struct bytes out = { 0 };

	(void)text_split(rest, 0, &out);
	return out;
}

static void settle(struct oidc *o, struct oidc_now now, struct bytes *rest, struct oidc_event *last)
{
	struct oidc_fetch f;
	struct oidc_event e;

	while (oidc_next_fetch(o, &f)) {
		if (!f.url || !f.method)
			abort();
		oidc_answer(o, now, f.id, 200, piece(rest), NULL);
	}
	while (oidc_next_event(o, &e)) {
		oidc_event_fini(last);
		*last = e;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct rng rng = rng_seeded(1);
	struct oidc_conf conf = { .issuer = "https://id.example",
				  .client_id = "weft",
				  .client_secret = "s",
				  .redirect_uri = "https://net.example/oidc/callback",
				  .scopes = "openid",
				  .groups_claim = "a.groups",
				  .rng = &rng };
	struct oidc_now now = { { 1000000000 }, wall_from_s(1800000000) };
	struct bytes rest = bytes_of(data, n);
	struct oidc_event last = { 0 };
	struct oidc *o = oidc_create(&conf);
	struct err err;

	(void)oidc_begin(o, now, 1, "login", &err);
	settle(o, now, &rest, &last);
	if (last.kind == OIDC_REDIRECT && last.url) {
		struct oidc_return back = { .state = bytes_str(last.state),
					    .cookie = bytes_str(last.cookie),
					    .code = bytes_str("c") };

		if (oidc_returned(o, now, 2, &back, &err) < 0)
			abort();
		settle(o, now, &rest, &last);
		if (last.kind == OIDC_IDENTITY)
			abort(); /* nothing here was signed by a key that the fuzzer has */
	}
	oidc_event_fini(&last);
	oidc_destroy(o);
	return 0;
}
