/* The provider's description of itself (OpenID Connect Discovery 1.0) and its keys. */
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/oidc/oidc_state.h"
#include "wire/url.h"

enum {
	DESCRIPTION_S = 3600,
	KEYS_S = 3600,
	KEYS_PAUSE_S = 30, /* tokens with invented key names must not make us hammer the provider */
	ARENA_MAX = 4 << 20,
};

void provider_fini(struct provider *p)
{
	mem_free(p->authorization);
	mem_free(p->token);
	mem_free(p->keys);
	mem_free(p->userinfo);
	jwks_destroy(p->jwks);
	*p = (struct provider){ 0 };
}

bool provider_is_known(const struct provider *p, struct mono now)
{
	return p->authorization && !mono_reached(now, p->good_until);
}

/* An endpoint is a URL that is no less protected than the issuer itself. */
static int endpoint(const struct oidc *o, const struct json *doc, const char *name, bool needed,
		    char **out, struct err *err)
{
	struct bytes text = { 0 }, issuer = bytes_str(o->issuer);
	struct url url;

	if (!json_get(doc, name) && !needed)
		return 0;
	if (!json_string(json_get(doc, name), &text) || !url_parse(&url, text))
		return err_set(err, ERR_MALFORMED, "its %s is no URL", name);
	if (bytes_has_prefix(issuer, "https://") && !bytes_has_prefix(text, "https://"))
		return err_set(err, ERR_MALFORMED, "its %s is not protected by TLS", name);
	*out = bytes_strdup(text);
	return 0;
}

static bool lists(const struct json *list, const char *word)
{
	struct bytes text;

	json_each (it, list)
		if (json_string(it, &text) && bytes_equal_str(text, word))
			return true;
	return false;
}

static int read_description(const struct oidc *o, const struct json *doc, struct provider *p,
			    struct err *err)
{
	const struct json *auth = json_get(doc, "token_endpoint_auth_methods_supported"),
			  *pkce = json_get(doc, "code_challenge_methods_supported");
	struct bytes issuer = { 0 };

	if (!json_string(json_get(doc, "issuer"), &issuer) || !bytes_equal_str(issuer, o->issuer))
		return err_set(err, ERR_AUTH, "it calls itself %.*s, not %s",
			       issuer.n < 128 ? (int)issuer.n : 0, (const char *)issuer.p,
			       o->issuer);
	if (endpoint(o, doc, "authorization_endpoint", true, &p->authorization, err) < 0 ||
	    endpoint(o, doc, "token_endpoint", true, &p->token, err) < 0 ||
	    endpoint(o, doc, "jwks_uri", true, &p->keys, err) < 0 ||
	    endpoint(o, doc, "userinfo_endpoint", false, &p->userinfo, err) < 0)
		return -1;
	if (json_is(pkce, JSON_ARRAY) && pkce->count && !lists(pkce, "S256"))
		return err_set(err, ERR_MALFORMED, "it does not know PKCE with S256");
	p->secret_in_body = json_is(auth, JSON_ARRAY) && !lists(auth, "client_secret_basic") &&
			    lists(auth, "client_secret_post");
	(void)json_bool(json_get(doc, "authorization_response_iss_parameter_supported"),
			&p->names_itself);
	return 0;
}

int provider_read(struct oidc *o, struct oidc_now now, struct bytes body, struct err *err)
{
	struct provider next = { .good_until = mono_add_s(now.mono, DESCRIPTION_S) };
	const struct json *doc;
	struct arena arena;
	int ret = -1;

	arena_init(&arena, ARENA_MAX);
	doc = json_parse(&arena, body, 0, err);
	if (doc)
		ret = read_description(o, doc, &next, err);
	arena_fini(&arena);
	if (ret < 0) {
		provider_fini(&next);
		return -1;
	}
	next.jwks = o->provider.jwks; /* keys have a life of their own */
	next.keys_good_until = o->provider.keys_good_until;
	next.keys_since = o->provider.keys_since;
	o->provider.jwks = NULL;
	provider_fini(&o->provider);
	o->provider = next;
	return 0;
}

int provider_read_keys(struct oidc *o, struct oidc_now now, struct bytes body, struct err *err)
{
	struct jwks *set = jwks_decode(body, err);

	if (!set)
		return -1;
	jwks_destroy(o->provider.jwks);
	o->provider.jwks = set;
	o->provider.keys_since = now.mono;
	o->provider.keys_good_until = mono_add_s(now.mono, KEYS_S);
	return 0;
}

bool provider_may_refresh_keys(const struct provider *p, struct mono now)
{
	return !p->jwks || mono_reached(now, p->keys_good_until) ||
	       mono_since_ms(now, p->keys_since) >= KEYS_PAUSE_S * 1000;
}
