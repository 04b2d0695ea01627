/* Credentials: auth keys (k7), API tokens and OAuth clients (c7), and the token endpoint. */
#include <stdio.h>

#include "app/control/authkey.h"
#include "app/control/command_priv.h"
#include "app/control/rest.h"
#include "app/control/store.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/secret.h"
#include "wire/url.h"

enum { AUTH_KEY_S = 90 * 86400, DESCRIPTION_MAX = 50 };

/* ---- as JSON ---- */

static void put_capabilities(struct json_out *o, const struct auth_key *k)
{
	json_key(o, "capabilities");
	json_open_object(o);
	json_key(o, "devices");
	json_open_object(o);
	json_key(o, "create");
	json_open_object(o);
	command_put_bool(o, "reusable", k->reusable);
	command_put_bool(o, "ephemeral", k->ephemeral);
	command_put_bool(o, "preauthorized", k->preauthorized);
	command_put_tags(o, "tags", &k->tags);
	json_close_object(o);
	json_close_object(o);
	json_close_object(o);
}

static void put_common(struct json_out *o, char letter, int64_t id, const char *secret,
		       const char *type, const char *description)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%c%lld", letter, (long long)id);
	command_put(o, "id", text);
	if (secret)
		command_put(o, "key", secret);
	command_put(o, "keyType", type);
	command_put(o, "description", description ? description : "");
}

static void put_user_id(struct json_out *o, const struct tn_user *u)
{
	char text[32];

	if (!u)
		return;
	(void)snprintf(text, sizeof(text), "%lld", (long long)u->id);
	command_put(o, "userId", text);
}

static void put_auth_key(struct json_out *o, const struct auth_key *k, const char *secret)
{
	bool used = k->used && !k->reusable;

	json_open_object(o);
	put_common(o, 'k', k->id, secret, "auth", k->description);
	rest_put_time_if(o, "created", k->created);
	rest_put_time_if(o, "expires", k->expiry);
	command_put_i64(o, "expirySeconds",
			k->expiry.ns ? wall_s(k->expiry) - wall_s(k->created) : 0);
	command_put_bool(o, "invalid",
			 k->revoked || used || (k->expiry.ns && k->expiry.ns <= wall_now().ns));
	put_capabilities(o, k);
	put_user_id(o, k->user);
	json_close_object(o);
}

static void put_scopes(struct json_out *o, const struct scopes *scopes)
{
	struct bytes rest, word;
	struct buf text;

	buf_init(&text, 4096);
	scopes_format(scopes, &text);
	rest = buf_bytes(&text);
	json_key(o, "scopes");
	json_open_array(o);
	while (text_split(&rest, ' ', &word))
		if (word.n)
			json_put_string(o, word);
	json_close_array(o);
	buf_fini(&text);
}

static void put_token(struct json_out *o, const struct token *k, const char *secret)
{
	json_open_object(o);
	put_common(o, 'c', k->id, secret, token_kind_name(k->kind), k->description);
	rest_put_time_if(o, "created", k->created);
	rest_put_time_if(o, "expires", k->expiry);
	command_put_bool(o, "invalid",
			 k->revoked || (k->expiry.ns && k->expiry.ns <= wall_now().ns));
	put_scopes(o, &k->scopes);
	command_put_tags(o, "tags", &k->tags);
	put_user_id(o, k->user);
	json_close_object(o);
}

/* ---- reading ---- */

static enum scope scope_of(const struct token *k)
{
	return k->kind == TOKEN_CLIENT ? SCOPE_OAUTH_KEYS : SCOPE_API_TOKENS;
}

static int keys_list(struct rest *r)
{
	struct json_out *o = &r->out;

	json_open_object(o);
	json_key(o, "keys");
	json_open_array(o);
	if (scopes_allow(&r->may, SCOPE_AUTH_KEYS, false))
		list_each (it, &r->tailnet->keys)
			put_auth_key(o, list_entry(it, struct auth_key, link), NULL);
	list_each (it, &r->c->tokens.all) {
		const struct token *k = list_entry(it, struct token, link);

		if (k->tailnet == r->tailnet && k->kind != TOKEN_ACCESS &&
		    scopes_allow(&r->may, scope_of(k), false))
			put_token(o, k, NULL);
	}
	json_close_array(o);
	json_close_object(o);
	return 0;
}

/* One of the two is found, or 404. Its scope decides, and what one does not see is not there. */
static int find_key(struct rest *r, bool write, struct auth_key **auth, struct token **token)
{
	struct bytes id = rest_param(r, "id");
	uint64_t n;

	*auth = NULL;
	*token = NULL;
	if (!id.n || !text_u64(bytes_from(id, 1), INT64_MAX, &n))
		return rest_refuse(r, 404, "key not found");
	if (id.p[0] == 'k' && scopes_allow(&r->may, SCOPE_AUTH_KEYS, write))
		*auth = model_key(r->tailnet, (int64_t)n);
	if (id.p[0] == 'c')
		*token = token_by_id(&r->c->tokens, r->tailnet, (int64_t)n);
	if (*token && !scopes_allow(&r->may, scope_of(*token), write) &&
	    (write || (*token)->id != r->token->id)) /* anyone may read the key they hold */
		*token = NULL;
	return *auth || *token ? 0 : rest_refuse(r, 404, "key not found");
}

static int key_get(struct rest *r)
{
	struct auth_key *auth;
	struct token *token;

	if (find_key(r, false, &auth, &token) < 0)
		return -1;
	if (auth)
		put_auth_key(&r->out, auth, NULL);
	else if (token)
		put_token(&r->out, token, NULL);
	return 0;
}

static int key_delete(struct rest *r)
{
	struct auth_key *auth;
	struct token *token;
	char name[32];

	if (find_key(r, true, &auth, &token) < 0)
		return -1;
	(void)snprintf(name, sizeof(name), "%.*s", (int)rest_param(r, "id").n,
		       (const char *)rest_param(r, "id").p);
	if (auth) {
		auth->revoked = true;
		if (store_put_key(r->c->store, auth, &r->err) < 0)
			return -1;
	} else if (token) {
		token->revoked = true;
		if (store_put_token(r->c->store, token, &r->err) < 0)
			return -1;
	}
	return rest_done(r, "key.revoke", name, NULL, NULL) < 0 ? -1 : rest_empty(r);
}

/* ---- making ---- */

static int read_description(struct rest *r, char **out)
{
	struct bytes text = { 0 };

	(void)json_string(json_get(r->body, "description"), &text);
	if (text.n > DESCRIPTION_MAX)
		return rest_refuse(r, 400, "description takes at most %d characters",
				   DESCRIPTION_MAX);
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < ' ' || text.p[i] > '~')
			return rest_refuse(r, 400, "description takes plain characters");
	mem_free(*out);
	*out = bytes_strdup(text);
	return 0;
}

static int fill_auth_key(struct rest *r, struct auth_key *k)
{
	const struct json *create =
	    json_get(json_get(json_get(r->body, "capabilities"), "devices"), "create");
	struct bytes tags[REST_LIST_MAX];
	int64_t s = AUTH_KEY_S;
	size_t n;

	if (json_get(r->body, "expirySeconds") &&
	    (!json_i64(json_get(r->body, "expirySeconds"), &s) || s < 0 || s > AUTH_KEY_S))
		return rest_refuse(r, 400, "expirySeconds takes a number up to %d", AUTH_KEY_S);
	if (rest_tags(r, json_get(create, "tags"), tags, &n) < 0 ||
	    (n && rest_may_tag(r, tags, n) < 0) || read_description(r, &k->description) < 0)
		return -1;
	k->user = r->token->user;
	if (!n && !k->user)
		return rest_refuse(r, 400, "a key that no person makes needs tags");
	(void)text_set_assign(&k->tags, tags, n);
	(void)json_bool(json_get(create, "reusable"), &k->reusable);
	(void)json_bool(json_get(create, "ephemeral"), &k->ephemeral);
	(void)json_bool(json_get(create, "preauthorized"), &k->preauthorized);
	k->created = wall_now();
	k->expiry = wall_from_s(wall_s(k->created) + (s ? s : AUTH_KEY_S));
	return 0;
}

static int make_auth_key(struct rest *r)
{
	struct auth_key *k;
	char secret[49], text[AUTHKEY_TEXT_MAX], name[32];
	int ret = -1;

	if (!scopes_allow(&r->may, SCOPE_AUTH_KEYS, true))
		return rest_refuse(r, 403, "this needs the scope auth_keys");
	k = model_add_key(r->tailnet, 0);
	authkey_secret(&r->c->rng, secret, k->hash);
	if (fill_auth_key(r, k) == 0 && store_put_key(r->c->store, k, &r->err) == 0) {
		authkey_format(k->id, secret, text);
		(void)snprintf(name, sizeof(name), "k%lld", (long long)k->id);
		ret = rest_done(r, "key.create", name, NULL, "auth");
	}
	if (ret == 0)
		put_auth_key(&r->out, k, text);
	else
		model_remove_key(k);
	secret_wipe(secret, sizeof(secret));
	secret_wipe(text, sizeof(text));
	return ret;
}

/* Nobody gives more than they have. */
static int fill_client(struct rest *r, struct token *k)
{
	struct bytes words[REST_LIST_MAX], tags[REST_LIST_MAX];
	struct scopes scopes = { 0 };
	size_t n, n_tags;

	if (rest_texts(r, json_get(r->body, "scopes"), "scopes", words, &n) < 0 ||
	    rest_tags(r, json_get(r->body, "tags"), tags, &n_tags) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct scopes one;

		if (scopes_parse(&one, words[i], &r->err) < 0)
			return -1;
		scopes.read |= one.read;
		scopes.write |= one.write;
	}
	if (!n)
		return rest_refuse(r, 400, "scopes is missing");
	if (!scopes_are_within(&scopes, &r->may))
		return rest_refuse(r, 403, "a client cannot have scopes that its maker lacks");
	if (!n_tags && !scopes_allow(&scopes, SCOPE_ALL, true) &&
	    (scopes_allow(&scopes, SCOPE_DEVICES_CORE, true) ||
	     scopes_allow(&scopes, SCOPE_AUTH_KEYS, true)))
		return rest_refuse(r, 400, "the scopes devices:core and auth_keys need tags");
	if ((n_tags && rest_may_tag(r, tags, n_tags) < 0) ||
	    read_description(r, &k->description) < 0)
		return -1;
	k->scopes = scopes;
	(void)text_set_assign(&k->tags, tags, n_tags);
	return 0;
}

static int make_client(struct rest *r)
{
	struct token *k;
	char secret[TOKEN_SECRET_SIZE], text[TOKEN_TEXT_MAX], name[32];
	int ret = -1;

	if (!scopes_allow(&r->may, SCOPE_OAUTH_KEYS, true))
		return rest_refuse(r, 403, "this needs the scope oauth_keys");
	if (r->c->tokens.n >= TOKENS_MAX)
		return rest_refuse(r, 429, "there are too many credentials");
	k = token_add(&r->c->tokens, r->tailnet, TOKEN_CLIENT, 0);
	k->created = wall_now();
	token_secret(&r->c->rng, secret, k->hash);
	if (fill_client(r, k) == 0 && store_put_token(r->c->store, k, &r->err) == 0) {
		token_format(k, secret, text);
		(void)snprintf(name, sizeof(name), "c%lld", (long long)k->id);
		ret = rest_done(r, "key.create", name, NULL, "client");
	}
	if (ret == 0)
		put_token(&r->out, k, text);
	else
		token_remove(&r->c->tokens, k);
	secret_wipe(secret, sizeof(secret));
	secret_wipe(text, sizeof(text));
	return ret;
}

static int key_create(struct rest *r)
{
	struct bytes type = bytes_str("auth");

	(void)json_string(json_get(r->body, "keyType"), &type);
	if (!type.n || bytes_equal_str(type, "auth"))
		return make_auth_key(r);
	if (bytes_equal_str(type, "client"))
		return make_client(r);
	return rest_refuse(r, 400, "keyType takes auth or client; federated is not supported");
}

static int key_put(struct rest *r)
{
	struct auth_key *auth;
	struct token *token;
	char name[32];

	if (find_key(r, true, &auth, &token) < 0)
		return -1;
	if (!token || token->kind != TOKEN_CLIENT)
		return rest_refuse(r, 400, "only OAuth clients can be changed");
	if (fill_client(r, token) < 0 || store_put_token(r->c->store, token, &r->err) < 0)
		return -1;
	(void)snprintf(name, sizeof(name), "c%lld", (long long)token->id);
	if (rest_done(r, "key.update", name, NULL, NULL) < 0)
		return -1;
	put_token(&r->out, token, NULL);
	return 0;
}

/* ---- the token endpoint (RFC 6749 4.4) ---- */

/* The errors of the OAuth standard, not those of the rest of the API. */
static int oauth_refuse(struct rest *r, unsigned status, const char *code, const char *why)
{
	json_open_object(&r->out);
	command_put(&r->out, "error", code);
	command_put(&r->out, "error_description", why);
	command_put(&r->out, "message", why);
	json_close_object(&r->out);
	r->status = status;
	return 0;
}

/* By the secret alone: some callers send a made-up client id. Basic or form. */
static struct token *client_of(struct rest *r)
{
	struct bytes value = text_trim(http_header_get(r->req, "authorization")), kind;
	char secret[256] = "";
	struct token *k;
	struct err err;
	struct buf pair;

	buf_init(&pair, 1024);
	if (text_split(&value, ' ', &kind) && bytes_equal_nocase(kind, bytes_str("basic")) &&
	    text_unbase64(BASE64_STD, text_trim(value), &pair)) {
		struct bytes rest = buf_bytes(&pair), id;
		struct writer w = writer_of(secret, sizeof(secret) - 1);

		if (text_split(&rest, ':', &id) && url_percent_decode(rest, true, &w))
			secret[w.n] = 0;
	}
	if (!secret[0])
		(void)url_query_get(r->req->body, "client_secret", secret, sizeof(secret));
	k = token_find(&r->c->tokens, bytes_str(secret), wall_now(), &err);
	secret_wipe(secret, sizeof(secret));
	if (pair.p)
		secret_wipe(pair.p, pair.n);
	buf_fini(&pair);
	return k && k->kind == TOKEN_CLIENT ? k : NULL;
}

static int narrow(struct rest *r, const struct token *client, struct token *k)
{
	char text[4096];
	struct bytes rest, tags[REST_LIST_MAX];
	size_t n = 0;

	if (url_query_get(r->req->body, "scope", text, sizeof(text)) && text[0]) {
		if (scopes_parse(&k->scopes, bytes_str(text), &r->err) < 0 ||
		    !scopes_are_within(&k->scopes, &client->scopes))
			return -1;
	} else {
		k->scopes = client->scopes;
	}
	if (url_query_get(r->req->body, "tags", text, sizeof(text)) && text[0]) {
		rest = bytes_str(text);
		while (n < REST_LIST_MAX && text_split(&rest, ' ', &tags[n]))
			n += tags[n].n > 0;
		for (size_t i = 0; i < n; i++)
			if (!text_set_has(&client->tags, tags[i]))
				return -1;
	} else {
		for (; n < client->tags.n && n < REST_LIST_MAX; n++)
			tags[n] = bytes_str(client->tags.v[n]);
	}
	(void)text_set_assign(&k->tags, tags, n);
	return 0;
}

static void put_minted(struct rest *r, const struct token *k, const char *text)
{
	struct buf scopes;

	buf_init(&scopes, 4096);
	scopes_format(&k->scopes, &scopes);
	json_open_object(&r->out);
	command_put(&r->out, "access_token", text);
	command_put(&r->out, "token_type", "Bearer");
	command_put_i64(&r->out, "expires_in", TOKEN_ACCESS_S);
	command_put(&r->out, "scope", buf_cstr(&scopes));
	json_close_object(&r->out);
	buf_fini(&scopes);
}

static int oauth_token(struct rest *r)
{
	char grant[64] = "", secret[TOKEN_SECRET_SIZE], text[TOKEN_TEXT_MAX];
	struct token *client = client_of(r), *k;

	(void)url_query_get(r->req->body, "grant_type", grant, sizeof(grant));
	if (!client) {
		if (!rate_allow(&r->c->refused_rate, origin_of(&r->c->conf.proxies, r->req).ip,
				loop_now(r->c->loop)))
			return oauth_refuse(r, 429, "invalid_client", "too many wrong secrets");
		http_add_header(r->x, "www-authenticate", "Basic");
		return oauth_refuse(r, 401, "invalid_client", "API token invalid");
	}
	if (strcmp(grant, "client_credentials") != 0)
		return oauth_refuse(r, 400, "unsupported_grant_type",
				    "grant_type takes client_credentials");
	if (r->c->tokens.n >= TOKENS_MAX ||
	    token_children(&r->c->tokens, client) >= TOKENS_OF_CLIENT)
		return oauth_refuse(r, 429, "temporarily_unavailable",
				    "too many tokens are live; each ends after an hour");
	k = token_add(&r->c->tokens, client->tailnet, TOKEN_ACCESS, 0);
	k->parent = client->id;
	k->created = wall_now();
	k->expiry = wall_from_s(wall_s(k->created) + TOKEN_ACCESS_S);
	token_secret(&r->c->rng, secret, k->hash);
	if (narrow(r, client, k) < 0) {
		token_remove(&r->c->tokens, k);
		return oauth_refuse(r, 400, "invalid_scope",
				    "the client does not have that scope or tag");
	}
	if (store_put_token(r->c->store, k, &r->err) < 0 || core_commit_now(r->c, &r->err) < 0) {
		token_remove(&r->c->tokens, k);
		return -1;
	}
	token_format(k, secret, text);
	put_minted(r, k, text);
	secret_wipe(secret, sizeof(secret));
	secret_wipe(text, sizeof(text));
	return 0;
}

// clang-format off
const struct rest_op rest_keys[] = {
	{ "GET", "/tailnet/{t}/keys", SCOPE_NONE, false, REST_NO_BODY, keys_list, "listTailnetKeys", "credentials that the caller may see, without secrets", NULL, "KeyList", .auth = REST_ANY },
	{ "POST", "/tailnet/{t}/keys", SCOPE_NONE, true, REST_JSON, key_create, "createTailnetKey", "make an auth key (auth_keys) or an OAuth client (oauth_keys); the secret is shown once", "KeyWish", "Key", .auth = REST_ANY },
	{ "GET", "/tailnet/{t}/keys/{id}", SCOPE_NONE, false, REST_NO_BODY, key_get, "getTailnetKey", "one credential", NULL, "Key", .auth = REST_ANY },
	{ "PUT", "/tailnet/{t}/keys/{id}", SCOPE_OAUTH_KEYS, true, REST_JSON, key_put, "updateTailnetKey", "replace scopes, tags and description of an OAuth client", "KeyWish", "Key" },
	{ "DELETE", "/tailnet/{t}/keys/{id}", SCOPE_NONE, true, REST_NO_BODY, key_delete, "deleteTailnetKey", "revoke a credential", NULL, NULL, .auth = REST_ANY },
	{ "POST", "/oauth/token", SCOPE_NONE, false, REST_RAW, oauth_token, "oauthToken", "an hour-long token for an OAuth client (client_credentials)", NULL, "OAuthToken", .auth = REST_OPEN },
};
// clang-format on
const size_t rest_keys_n = array_len(rest_keys);
