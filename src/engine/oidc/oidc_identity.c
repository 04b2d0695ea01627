#include "engine/oidc/oidc_identity.h"

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"

/* ---- the ID token ---- */

static bool is_text(const struct json *v, const char *name, const char *wanted)
{
	struct bytes text;

	return json_string(json_get(v, name), &text) && bytes_equal_str(text, wanted);
}

/* aud is one text or a list; a list of several needs azp to say whom the token was made for. */
static bool is_for(const struct json *claims, const char *client)
{
	const struct json *aud = json_get(claims, "aud"), *azp = json_get(claims, "azp");
	struct bytes text;
	bool found = false;

	if (azp && !is_text(claims, "azp", client))
		return false;
	if (json_string(aud, &text))
		return bytes_equal_str(text, client);
	if (!json_is(aud, JSON_ARRAY))
		return false;
	json_each (it, aud)
		found = found || (json_string(it, &text) && bytes_equal_str(text, client));
	return found && (aud->count == 1 || azp);
}

/* A NumericDate; fractions are cut off. */
static bool time_of(const struct json *claims, const char *name, int64_t *out)
{
	double real;

	if (json_i64(json_get(claims, name), out))
		return true;
	if (!json_real(json_get(claims, name), &real) || !(real > -1e15 && real < 1e15))
		return false;
	*out = (int64_t)real;
	return true;
}

static int check_times(const struct json *claims, int64_t now, struct err *err)
{
	int64_t at;

	if (!time_of(claims, "exp", &at))
		return err_set(err, ERR_AUTH, "the provider's token has no expiry");
	if (at <= now - OIDC_LEEWAY_S)
		return err_set(err, ERR_AUTH, "the provider's token has expired");
	if (json_get(claims, "nbf") && (!time_of(claims, "nbf", &at) || at > now + OIDC_LEEWAY_S))
		return err_set(err, ERR_AUTH, "the provider's token is not valid yet");
	if (!time_of(claims, "iat", &at) || at > now + OIDC_LEEWAY_S)
		return err_set(err, ERR_AUTH,
			       "the provider's token was made in the future; compare the clocks");
	return 0;
}

int oidc_token_check(const struct json *claims, const struct oidc_token_rules *rules,
		     struct err *err)
{
	struct bytes sub;

	if (!json_is(claims, JSON_OBJECT))
		return err_set(err, ERR_AUTH, "the provider's token holds no claims");
	if (!is_text(claims, "iss", rules->issuer))
		return err_set(err, ERR_AUTH, "the token was not made by %s", rules->issuer);
	if (!is_for(claims, rules->client_id))
		return err_set(err, ERR_AUTH, "the token was made for another application");
	if (check_times(claims, wall_s(rules->now), err) < 0)
		return -1;
	if (!is_text(claims, "nonce", rules->nonce))
		return err_set(err, ERR_AUTH, "the token belongs to another login");
	if (!json_string(json_get(claims, "sub"), &sub) || !sub.n || sub.n >= OIDC_TEXT_MAX)
		return err_set(err, ERR_AUTH, "the token does not say who logged in");
	return 0;
}

/* ---- what it says about the person ---- */

static void free_groups(struct oidc_identity *id)
{
	for (size_t i = 0; i < id->n_groups; i++)
		mem_free(id->groups[i]);
	mem_free(id->groups);
	id->groups = NULL;
	id->n_groups = 0;
}

void oidc_identity_free(struct oidc_identity *id)
{
	if (!id)
		return;
	free_groups(id);
	mem_free(id);
}

static bool is_printable(struct bytes text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < ' ' || text.p[i] == 0x7f)
			return false;
	return text.n > 0 && text_is_utf8(text);
}

/* Texts that do not fit, or could break a line, count as not said. */
static void take(const struct json *claims, const char *name, char *out, size_t size)
{
	struct bytes text;
	char copy[2 * OIDC_TEXT_MAX];

	if (json_string(json_get(claims, name), &text) && is_printable(text) &&
	    bytes_to_cstr(text, copy, size))
		memcpy(out, copy, text.n + 1);
}

/*
 * The claim of that name; where there is none, the text up to the first dot is the name of an
 * object and the rest a path inside it. Names that hold dots (URLs) are therefore found as well.
 */
static const struct json *claim_at(const struct json *v, const char *path)
{
	while (v) {
		const char *dot = strchr(path, '.');
		char name[OIDC_TEXT_MAX];

		if (json_get(v, path) || !dot)
			return json_get(v, path);
		if (!bytes_to_cstr(bytes_of(path, (size_t)(dot - path)), name, sizeof(name)))
			return NULL;
		v = json_get(v, name);
		path = dot + 1;
	}
	return NULL;
}

static void add_group(struct oidc_identity *id, const struct json *v)
{
	struct bytes text;

	if (!json_string(v, &text))
		return;
	if (bytes_has_prefix(text, "/")) /* some providers write groups as paths */
		text = bytes_from(text, 1);
	if (!is_printable(text) || text.n >= OIDC_TEXT_MAX || id->n_groups == OIDC_GROUPS_MAX)
		return;
	for (size_t i = 0; i < id->n_groups; i++)
		if (bytes_equal_str(text, id->groups[i]))
			return;
	id->groups[id->n_groups++] = bytes_strdup(text);
}

void oidc_identity_read(struct oidc_identity *id, const struct json *claims,
			const char *groups_claim)
{
	const struct json *groups = claim_at(claims, groups_claim);
	const struct json *verified = json_get(claims, "email_verified");
	struct bytes text;

	if (!id->subject[0]) { /* who it is was said by the signed token alone */
		take(claims, "iss", id->issuer, sizeof(id->issuer));
		take(claims, "sub", id->subject, sizeof(id->subject));
	}
	take(claims, "name", id->name, sizeof(id->name));
	take(claims, "preferred_username", id->username, sizeof(id->username));
	take(claims, "picture", id->picture, sizeof(id->picture));
	if (json_get(claims, "email")) { /* who names an address says whether it was verified */
		id->email[0] = 0;
		id->email_verified = false;
		take(claims, "email", id->email, sizeof(id->email));
		if (!json_bool(verified, &id->email_verified) && json_string(verified, &text))
			id->email_verified = bytes_equal_str(text, "true");
	}
	if (!groups)
		return;
	free_groups(id);
	id->groups = mem_alloc((OIDC_GROUPS_MAX + 1) * sizeof(*id->groups));
	if (json_is(groups, JSON_ARRAY))
		json_each (it, groups)
			add_group(id, it);
	else
		add_group(id, groups);
}

/* ---- who may come in ---- */

/* Is text one of the words? Group names may hold spaces, so commas alone part their list. */
static bool is_listed(const char *list, struct bytes text, bool spaces)
{
	struct bytes rest = bytes_str(list ? list : ""), word, piece;

	while (text_split(&rest, ',', &word)) {
		word = text_trim(word);
		if (word.n && bytes_equal_nocase(word, text))
			return true;
		while (spaces && text_split(&word, ' ', &piece))
			if (piece.n && bytes_equal_nocase(piece, text))
				return true;
	}
	return false;
}

static bool in_group(const char *list, const struct oidc_identity *id)
{
	for (size_t i = 0; i < id->n_groups; i++)
		if (is_listed(list, bytes_str(id->groups[i]), false))
			return true;
	return false;
}

int oidc_admit(const struct oidc_admission *rules, const struct oidc_identity *id, struct err *err)
{
	struct bytes star = bytes_str("*"), email = bytes_str(id->email);
	const char *at = strrchr(id->email, '@');
	bool trusted = id->email[0] && (id->email_verified || rules->unverified_email);

	if (is_listed(rules->users, star, true) || is_listed(rules->domains, star, true) ||
	    is_listed(rules->groups, star, false))
		return 0;
	if (is_listed(rules->users, bytes_str(id->subject), true) || in_group(rules->groups, id))
		return 0;
	if (trusted && is_listed(rules->users, email, true))
		return 0;
	if (trusted && at && is_listed(rules->domains, bytes_str(at + 1), true))
		return 0;
	if (id->email[0] && !trusted)
		return err_set(err, ERR_REFUSED,
			       "the provider has not verified your address %.100s", id->email);
	return err_set(err, ERR_REFUSED, "%.100s is not among those who may use this network",
		       id->email[0] ? id->email : id->subject);
}
