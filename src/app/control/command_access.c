/* Commands about API credentials and the groups of the identity provider. */
#include <stdio.h>

#include "app/control/command_priv.h"
#include "app/control/person.h"
#include "app/control/store.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/secret.h"

enum { TAGS_MAX = 64, GROUP_MAX = 200, API_DAYS = 90 };

/* ---- credentials ---- */

static void put_token(struct json_out *o, const struct token *k, const char *text)
{
	struct buf scopes;

	buf_init(&scopes, 4096);
	scopes_format(&k->scopes, &scopes);
	json_open_object(o);
	command_put_i64(o, "id", k->id);
	if (text)
		command_put(o, "key", text);
	command_put(o, "user", k->user ? k->user->login : "");
	command_put(o, "scopes", buf_cstr(&scopes));
	command_put_tags(o, "tags", &k->tags);
	command_put_bool(o, "revoked", k->revoked);
	command_put_time(o, "expires", k->expiry);
	command_put_time(o, "created", k->created);
	command_put(o, "description", k->description ? k->description : "");
	json_close_object(o);
	buf_fini(&scopes);
}

static int list(struct command *cmd, enum token_kind kind)
{
	json_open_array(cmd->out);
	list_each (it, &cmd->c->tokens.all) {
		const struct token *k = list_entry(it, struct token, link);

		if (k->kind == kind && k->tailnet == cmd->tailnet)
			put_token(cmd->out, k, NULL);
	}
	json_close_array(cmd->out);
	return 0;
}

static int keys_list(struct command *cmd)
{
	return list(cmd, TOKEN_API);
}

static int clients_list(struct command *cmd)
{
	return list(cmd, TOKEN_CLIENT);
}

static int take_tags(struct command *cmd, struct token *k)
{
	struct bytes tags[TAGS_MAX];
	size_t n = command_list(command_option(cmd, "tags"), tags, TAGS_MAX);

	for (size_t i = 0; i < n; i++)
		if (!bytes_has_prefix(tags[i], "tag:") || !names_is_label(bytes_from(tags[i], 4)))
			return err_set(cmd->err, ERR_USAGE, "%.*s is no tag such as tag:server",
				       BYTES_FMT(tags[i]));
	(void)text_set_assign(&k->tags, tags, n);
	return 0;
}

static int fill(struct command *cmd, struct token *k)
{
	struct bytes scopes = command_option(cmd, "scopes"), user = command_option(cmd, "user"),
		     expiry = command_option(cmd, "expiry");
	int64_t s = API_DAYS * 86400;

	if (user.n && command_user(cmd, user, &k->user) < 0)
		return -1;
	if (!scopes.n && !k->user)
		return err_set(cmd->err, ERR_USAGE,
			       "say what it may do: --scopes devices:core:read,dns, or all%s",
			       k->kind == TOKEN_API ? "; or --user LOGIN for the user's rights"
						    : "");
	if (scopes_parse(&k->scopes, scopes.n ? scopes : bytes_str("all"), cmd->err) < 0 ||
	    take_tags(cmd, k) < 0)
		return -1;
	if (cmd->limits && !scopes_are_within(&k->scopes, cmd->limits) && !k->user)
		return err_set(cmd->err, ERR_USAGE,
			       "a credential cannot have scopes that its "
			       "maker lacks");
	if (cmd->limits && k->user)
		return err_set(cmd->err, ERR_USAGE,
			       "credentials of people are made on the server itself");
	if (expiry.n && command_duration(cmd, expiry, &s) < 0)
		return -1;
	if (k->kind == TOKEN_API && (s <= 0 || s > TOKEN_API_S_MAX))
		return err_set(cmd->err, ERR_USAGE, "an API key lives 1 to %d days",
			       TOKEN_API_S_MAX / 86400);
	k->created = wall_now();
	if (k->kind == TOKEN_API)
		k->expiry = wall_from_s(wall_s(k->created) + s);
	k->description = bytes_strdup(command_option(cmd, "description"));
	return 0;
}

static int create(struct command *cmd, enum token_kind kind)
{
	char secret[TOKEN_SECRET_SIZE], text[TOKEN_TEXT_MAX], name[32];
	struct token *k = token_add(&cmd->c->tokens, cmd->tailnet, kind, 0);
	int ret = -1;

	token_secret(&cmd->c->rng, secret, k->hash);
	if (fill(cmd, k) == 0 && store_put_token(cmd->c->store, k, cmd->err) == 0) {
		token_format(k, secret, text);
		(void)snprintf(name, sizeof(name), "c%lld", (long long)k->id);
		ret = command_done(cmd, "key.create", name, token_kind_name(kind));
	}
	if (ret == 0)
		put_token(cmd->out, k, text);
	else
		token_remove(&cmd->c->tokens, k);
	secret_wipe(secret, sizeof(secret));
	secret_wipe(text, sizeof(text));
	return ret;
}

static int keys_create(struct command *cmd)
{
	return create(cmd, TOKEN_API);
}

static int clients_create(struct command *cmd)
{
	return create(cmd, TOKEN_CLIENT);
}

/* The number, or the "c7" that the API shows. */
static int revoke(struct command *cmd, enum token_kind kind)
{
	struct bytes which = command_word(cmd, 0);
	struct token *k = NULL;
	char name[32];
	uint64_t id;

	if (bytes_has_prefix(which, "c"))
		which = bytes_from(which, 1);
	if (text_u64(which, INT64_MAX, &id))
		k = token_by_id(&cmd->c->tokens, cmd->tailnet, (int64_t)id);
	if (!k || k->kind != kind)
		return err_set(cmd->err, ERR_USAGE, "there is none of that id; `list` shows them");
	k->revoked = true;
	(void)snprintf(name, sizeof(name), "c%lld", (long long)k->id);
	if (store_put_token(cmd->c->store, k, cmd->err) < 0 ||
	    command_done(cmd, "key.revoke", name, token_kind_name(kind)) < 0)
		return -1;
	put_token(cmd->out, k, NULL);
	return 0;
}

static int keys_revoke(struct command *cmd)
{
	return revoke(cmd, TOKEN_API);
}

static int clients_revoke(struct command *cmd)
{
	return revoke(cmd, TOKEN_CLIENT);
}

/* ---- people and groups of the provider ---- */

static int users_link(struct command *cmd)
{
	char subject[256];
	struct tn_user *u;

	if (command_user(cmd, command_word(cmd, 0), &u) < 0)
		return -1;
	if (!cmd->c->conf.oidc_issuer[0])
		return err_set(cmd->err, ERR_USAGE, "no identity provider is configured");
	if (!bytes_to_cstr(command_word(cmd, 1), subject, sizeof(subject)) || !subject[0])
		return err_set(cmd->err, ERR_USAGE, "a subject has 1 to 255 characters");
	if (person_link(cmd->c, u, cmd->c->conf.oidc_issuer, subject, cmd->err) < 0 ||
	    command_done(cmd, "user.link", u->login, subject) < 0)
		return -1;
	json_open_object(cmd->out);
	command_put(cmd->out, "login", u->login);
	command_put(cmd->out, "subject", subject);
	json_close_object(cmd->out);
	return 0;
}

static void put_group(struct json_out *o, const struct tailnet *t, const char *name)
{
	json_open_object(o);
	command_put(o, "group", name);
	json_key(o, "members");
	json_open_array(o);
	list_each (it, (struct list *)&t->users) {
		const struct tn_user *u = list_entry(it, struct tn_user, link);

		if (u->identity && text_set_has(&u->identity->groups, bytes_str(name)))
			json_put_cstr(o, u->login);
	}
	json_close_array(o);
	json_close_object(o);
}

static int groups_list(struct command *cmd)
{
	json_open_array(cmd->out);
	for (size_t i = 0; i < cmd->tailnet->groups.n; i++)
		put_group(cmd->out, cmd->tailnet, cmd->tailnet->groups.v[i]);
	json_close_array(cmd->out);
	return 0;
}

static int group_name(struct command *cmd, char out[GROUP_MAX])
{
	struct bytes name = command_word(cmd, 0);

	if (bytes_has_prefix(name, "group:"))
		name = bytes_from(name, 6);
	if (!name.n || !bytes_to_cstr(name, out, GROUP_MAX) || !text_is_utf8(name))
		return err_set(cmd->err, ERR_USAGE, "a group's name has 1 to %d characters",
			       GROUP_MAX - 1);
	return 0;
}

static int groups_add(struct command *cmd)
{
	char name[GROUP_MAX];

	if (group_name(cmd, name) < 0 ||
	    store_put_group(cmd->c->store, cmd->tailnet, name, cmd->err) < 0 ||
	    command_done(cmd, "group.add", name, "") < 0)
		return -1;
	(void)text_set_add(&cmd->tailnet->groups, bytes_str(name));
	core_users_changed(cmd->c, cmd->tailnet);
	put_group(cmd->out, cmd->tailnet, name);
	return 0;
}

static int groups_delete(struct command *cmd)
{
	struct text_set *all = &cmd->tailnet->groups;
	char name[GROUP_MAX];

	if (group_name(cmd, name) < 0)
		return -1;
	if (!text_set_has(all, bytes_str(name)))
		return err_set(cmd->err, ERR_USAGE, "there is no group %s", name);
	text_set_drop(all, bytes_str(name));
	if (access_check(cmd->tailnet, access_text(cmd->tailnet), cmd->err) < 0) {
		(void)text_set_add(all, bytes_str(name));
		return err_wrap(cmd->err, "the policy still speaks of it");
	}
	if (store_delete_group(cmd->c->store, cmd->tailnet, name, cmd->err) < 0 ||
	    command_done(cmd, "group.delete", name, "") < 0)
		return -1;
	core_users_changed(cmd->c, cmd->tailnet);
	put_group(cmd->out, cmd->tailnet, name);
	return 0;
}

// clang-format off
const struct verb command_access[] = {
	{ "api-keys", "list", "", "credentials for the API, without their secrets", 0, false, keys_list, SCOPE_API_TOKENS, false },
	{ "api-keys", "create", "--user LOGIN | --scopes S,... [...]", "make one: --expiry 30d --tags T,... --description D", 0, false, keys_create, SCOPE_API_TOKENS, true },
	{ "api-keys", "revoke", "ID", "it opens nothing from now on", 1, false, keys_revoke, SCOPE_API_TOKENS, true },
	{ "oauth-clients", "list", "", "programs that mint their own tokens", 0, false, clients_list, SCOPE_OAUTH_KEYS, false },
	{ "oauth-clients", "create", "--scopes S,... [--tags T,...] [--description D]", "make one", 0, false, clients_create, SCOPE_OAUTH_KEYS, true },
	{ "oauth-clients", "revoke", "ID", "with every token it minted", 1, false, clients_revoke, SCOPE_OAUTH_KEYS, true },
	{ "users", "link", "LOGIN SUBJECT", "this user is that person at the identity provider", 2, false, users_link, SCOPE_NONE, false },
	{ "groups", "list", "", "groups of the identity provider and who is in them", 0, false, groups_list, SCOPE_USERS, false },
	{ "groups", "add", "NAME", "let policies speak of one before anybody of it came", 1, false, groups_add, SCOPE_USERS, true },
	{ "groups", "delete", "NAME", "forget one", 1, false, groups_delete, SCOPE_USERS, true },
};
// clang-format on
const size_t command_access_n = array_len(command_access);
