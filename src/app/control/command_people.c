/* Commands about users, auth keys, tailnets, and the audit log. */
#include <stdio.h>

#include "app/control/authkey.h"
#include "app/control/command_priv.h"
#include "app/control/password.h"
#include "app/control/person.h"
#include "app/control/store.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/secret.h"

enum { TAGS_MAX = 64, LOGIN_MAX = 127 };

/* ---- users ---- */

static void put_user(struct json_out *o, const struct tn_user *u)
{
	size_t nodes = 0;

	list_each (it, (struct list *)&u->nodes)
		nodes++;
	json_open_object(o);
	command_put_i64(o, "id", u->id);
	command_put(o, "login", u->login);
	command_put(o, "name", u->name);
	command_put(o, "role", model_role_name(u->role));
	command_put_bool(o, "password", u->password_hash != NULL);
	command_put_i64(o, "nodes", (int64_t)nodes);
	command_put_time(o, "created", u->created);
	json_close_object(o);
}

static int users_list(struct command *cmd)
{
	json_open_array(cmd->out);
	list_each (it, &cmd->tailnet->users)
		put_user(cmd->out, list_entry(it, struct tn_user, link));
	json_close_array(cmd->out);
	return 0;
}

static int parse_role(struct command *cmd, struct bytes text, enum tn_role *role)
{
	if (!text.n || model_role_parse(role, text))
		return 0;
	return err_set(cmd->err, ERR_USAGE,
		       "a role is one of member, owner, admin, network-admin, it-admin, auditor");
}

static bool is_login(struct bytes text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] <= ' ' || text.p[i] == '"' || text.p[i] == '\\' || text.p[i] == 0x7f)
			return false;
	return text.n > 0 && text.n <= LOGIN_MAX && text_is_utf8(text);
}

static int users_create(struct command *cmd)
{
	struct bytes login = command_word(cmd, 0), name = command_option(cmd, "name");
	enum tn_role role = ROLE_MEMBER;
	char text[LOGIN_MAX + 1];
	struct tn_user *u;

	if (!is_login(login) || !bytes_to_cstr(login, text, sizeof(text)))
		return err_set(cmd->err, ERR_USAGE,
			       "a login is up to %d characters without spaces or quotes",
			       LOGIN_MAX);
	if (model_user(cmd->tailnet, login))
		return err_set(cmd->err, ERR_USAGE, "user %s exists", text);
	if (parse_role(cmd, command_option(cmd, "role"), &role) < 0)
		return -1;
	if (cmd->limits && role != ROLE_MEMBER)
		return err_set(cmd->err, ERR_AUTH,
			       "roles are given on the server itself or by the API");
	u = model_add_user(&cmd->c->model, cmd->tailnet, 0, text);
	u->role = role;
	u->created = wall_now();
	if (name.n) {
		mem_free(u->name);
		u->name = bytes_strdup(name);
	}
	if (store_put_user(cmd->c->store, u, cmd->err) < 0 ||
	    command_done(cmd, "user.create", u->login, model_role_name(role)) < 0) {
		model_remove_user(u);
		return -1;
	}
	core_users_changed(cmd->c, cmd->tailnet);
	put_user(cmd->out, u);
	return 0;
}

static int users_delete(struct command *cmd)
{
	char login[LOGIN_MAX + 1];
	struct tn_user *u;

	if (command_user(cmd, command_word(cmd, 0), &u) < 0)
		return -1;
	list_each (it, &cmd->tailnet->nodes)
		if (list_entry(it, struct tn_node, link)->user == u)
			return err_set(cmd->err, ERR_USAGE, "%s still has nodes; delete them first",
				       u->login);
	list_each (it, &cmd->tailnet->keys)
		if (list_entry(it, struct auth_key, link)->user == u)
			return err_set(cmd->err, ERR_USAGE,
				       "%s still has auth keys; delete them first", u->login);
	put_user(cmd->out, u);
	(void)snprintf(login, sizeof(login), "%s", u->login);
	if (person_delete(cmd->c, u, cmd->err) < 0)
		return -1;
	return command_done(cmd, "user.delete", login, "");
}

static int users_role(struct command *cmd)
{
	struct tn_user *u;
	enum tn_role role = ROLE_MEMBER;

	if (command_user(cmd, command_word(cmd, 0), &u) < 0 ||
	    parse_role(cmd, command_word(cmd, 1), &role) < 0)
		return -1;
	u->role = role;
	if (store_put_user(cmd->c->store, u, cmd->err) < 0 ||
	    command_done(cmd, "user.role", u->login, model_role_name(role)) < 0)
		return -1;
	core_users_changed(cmd->c, cmd->tailnet);
	put_user(cmd->out, u);
	return 0;
}

static int users_password(struct command *cmd)
{
	struct bytes password = text_trim(cmd->input);
	char hash[PASSWORD_HASH_MAX];
	struct tn_user *u;

	if (command_user(cmd, command_word(cmd, 0), &u) < 0)
		return -1;
	if (password.n < PASSWORD_MIN || password.n > PASSWORD_MAX)
		return err_set(cmd->err, ERR_USAGE,
			       "a password has %d to %d bytes; it is read from standard input",
			       PASSWORD_MIN, PASSWORD_MAX);
	if (!password_hash(hash, password))
		return err_set(cmd->err, ERR_SYSTEM, "not enough memory to hash the password");
	mem_free(u->password_hash);
	u->password_hash = mem_strdup(hash);
	if (store_put_user(cmd->c->store, u, cmd->err) < 0 ||
	    command_done(cmd, "user.password", u->login, "") < 0)
		return -1;
	put_user(cmd->out, u);
	return 0;
}

/* ---- auth keys ---- */

static void put_key(struct json_out *o, const struct auth_key *k, const char *text)
{
	json_open_object(o);
	command_put_i64(o, "id", k->id);
	if (text)
		command_put(o, "key", text);
	command_put(o, "user", k->user ? k->user->login : "");
	command_put_tags(o, "tags", &k->tags);
	command_put_bool(o, "reusable", k->reusable);
	command_put_bool(o, "ephemeral", k->ephemeral);
	command_put_bool(o, "preauthorized", k->preauthorized);
	command_put_bool(o, "used", k->used);
	command_put_bool(o, "revoked", k->revoked);
	command_put_time(o, "expires", k->expiry);
	command_put_time(o, "created", k->created);
	json_close_object(o);
}

static int keys_list(struct command *cmd)
{
	json_open_array(cmd->out);
	list_each (it, &cmd->tailnet->keys)
		put_key(cmd->out, list_entry(it, struct auth_key, link), NULL);
	json_close_array(cmd->out);
	return 0;
}

static int parse_tags(struct command *cmd, struct bytes text, struct text_set *tags)
{
	struct bytes list[TAGS_MAX];
	size_t n = command_list(text, list, TAGS_MAX);

	for (size_t i = 0; i < n; i++)
		if (!bytes_has_prefix(list[i], "tag:") || !names_is_label(bytes_from(list[i], 4)))
			return err_set(cmd->err, ERR_USAGE, "%.*s is no tag such as tag:server",
				       BYTES_FMT(list[i]));
	(void)text_set_assign(tags, list, n);
	return 0;
}

static int fill_key(struct command *cmd, struct auth_key *k)
{
	struct bytes user = command_option(cmd, "user"), expiry = command_option(cmd, "expiry");
	int64_t s = 90 * 86400;

	if (user.n && command_user(cmd, user, &k->user) < 0)
		return -1;
	if (expiry.n && command_duration(cmd, expiry, &s) < 0)
		return -1;
	if (parse_tags(cmd, command_option(cmd, "tags"), &k->tags) < 0)
		return -1;
	if (!k->user && !k->tags.n)
		return err_set(cmd->err, ERR_USAGE,
			       "a key needs --user LOGIN or --tags tag:a,tag:b");
	k->reusable = command_has(cmd, "reusable");
	k->ephemeral = command_has(cmd, "ephemeral");
	k->preauthorized = command_has(cmd, "preauthorized");
	k->created = wall_now();
	k->expiry = s ? wall_from_s(wall_s(k->created) + s) : (struct wall){ 0 };
	k->description = bytes_strdup(command_option(cmd, "description"));
	return 0;
}

static int keys_create(struct command *cmd)
{
	struct auth_key *k = model_add_key(cmd->tailnet, 0);
	char secret[49], text[AUTHKEY_TEXT_MAX];
	int ret = -1;

	authkey_secret(&cmd->c->rng, secret, k->hash);
	if (fill_key(cmd, k) < 0 || store_put_key(cmd->c->store, k, cmd->err) < 0)
		goto out;
	authkey_format(k->id, secret, text);
	if (command_done(cmd, "key.create", k->user ? k->user->login : "tags", "") < 0)
		goto out;
	put_key(cmd->out, k, text);
	ret = 0;
out:
	if (ret < 0)
		model_remove_key(k);
	secret_wipe(secret, sizeof(secret));
	secret_wipe(text, sizeof(text));
	return ret;
}

/* NULL with a sentence. */
static struct auth_key *find_key(struct command *cmd)
{
	struct auth_key *k = NULL;
	uint64_t id;

	if (text_u64(command_word(cmd, 0), INT64_MAX, &id))
		k = model_key(cmd->tailnet, (int64_t)id);
	if (!k)
		(void)err_set(cmd->err, ERR_USAGE, "there is no such key; `keys list` shows ids");
	return k;
}

static int keys_revoke(struct command *cmd)
{
	struct auth_key *k = find_key(cmd);

	if (!k)
		return -1;
	k->revoked = true;
	if (store_put_key(cmd->c->store, k, cmd->err) < 0 ||
	    command_done(cmd, "key.revoke", k->user ? k->user->login : "tags", "") < 0)
		return -1;
	put_key(cmd->out, k, NULL);
	return 0;
}

static int keys_delete(struct command *cmd)
{
	struct auth_key *k = find_key(cmd);

	if (!k)
		return -1;
	if (store_delete_key(cmd->c->store, k, cmd->err) < 0 ||
	    command_done(cmd, "key.delete", k->user ? k->user->login : "tags", "") < 0)
		return -1;
	put_key(cmd->out, k, NULL);
	model_remove_key(k);
	return 0;
}

/* ---- tailnets, audit, backup ---- */

static void put_tailnet(struct json_out *o, const struct tailnet *t)
{
	json_open_object(o);
	command_put_i64(o, "id", t->id);
	command_put(o, "name", t->name);
	command_put(o, "domain", t->domain);
	command_put_i64(o, "nodes", (int64_t)t->n_nodes);
	command_put_bool(o, "device_approval", t->device_approval);
	command_put_i64(o, "key_expiry_s", t->key_expiry_s);
	json_close_object(o);
}

static int tailnets_list(struct command *cmd)
{
	json_open_array(cmd->out);
	list_each (it, &cmd->c->model.tailnets)
		put_tailnet(cmd->out, list_entry(it, struct tailnet, link));
	json_close_array(cmd->out);
	return 0;
}

static int tailnets_create(struct command *cmd)
{
	struct bytes domain = command_option(cmd, "domain");
	char name[NAME_SIZE], suffix[200];
	struct tailnet *t;

	if (!names_is_label(command_word(cmd, 0)) ||
	    !bytes_to_cstr(command_word(cmd, 0), name, sizeof(name)))
		return err_set(cmd->err, ERR_USAGE,
			       "a tailnet's name is a DNS label in lower case");
	if (!domain.n || !bytes_to_cstr(domain, suffix, sizeof(suffix)))
		return err_set(cmd->err, ERR_USAGE, "give its DNS suffix: --domain NAME");
	list_each (it, &cmd->c->model.tailnets) {
		t = list_entry(it, struct tailnet, link);
		if (bytes_equal_str(bytes_str(name), t->name) ||
		    bytes_equal_nocase(bytes_str(suffix), bytes_str(t->domain)))
			return err_set(cmd->err, ERR_USAGE, "that name or domain is in use");
	}
	t = model_add_tailnet(&cmd->c->model, 0, name, suffix);
	if (store_put_tailnet(cmd->c->store, t, cmd->err) < 0 ||
	    access_load(t, (struct bytes){ 0 }, NULL, cmd->err) < 0 ||
	    command_done(cmd, "tailnet.create", name, suffix) < 0)
		return -1;
	put_tailnet(cmd->out, t);
	return 0;
}

static int tailnets_set(struct command *cmd)
{
	struct bytes approval = command_option(cmd, "device-approval"),
		     expiry = command_option(cmd, "key-expiry");
	struct tailnet *t = cmd->tailnet;

	if (approval.n)
		t->device_approval = bytes_equal_str(approval, "on");
	if (expiry.n && command_duration(cmd, expiry, &t->key_expiry_s) < 0)
		return -1;
	if (store_put_tailnet(cmd->c->store, t, cmd->err) < 0 ||
	    command_done(cmd, "tailnet.set", t->name, "") < 0)
		return -1;
	put_tailnet(cmd->out, t);
	return 0;
}

static int audit_list(struct command *cmd)
{
	return store_list_audit(cmd->c->store, cmd->tailnet, cmd->out, cmd->err);
}

static int backup_create(struct command *cmd)
{
	char path[512];

	if (!bytes_to_cstr(command_word(cmd, 0), path, sizeof(path)) || path[0] != '/')
		return err_set(cmd->err, ERR_USAGE, "give an absolute path on the server");
	if (store_backup(cmd->c->store, path, cmd->err) < 0)
		return err_wrap(cmd->err, "back up below state_dir, where the server may write");
	json_open_object(cmd->out);
	command_put(cmd->out, "written", path);
	json_close_object(cmd->out);
	return 0;
}

// clang-format off
const struct verb command_people[] = {
	{ "users", "list", "", "who may log in", 0, false, users_list, SCOPE_USERS, false },
	{ "users", "create", "LOGIN [--name N] [--role R]", "add a user", 1, false, users_create, SCOPE_USERS, true },
	{ "users", "delete", "LOGIN", "remove a user without nodes and keys", 1, false, users_delete, SCOPE_NONE, false },
	{ "users", "role", "LOGIN ROLE", "change a role", 2, false, users_role, SCOPE_NONE, false },
	{ "users", "password", "LOGIN < FILE", "set the password for the login page", 1, true, users_password, SCOPE_NONE, false },
	{ "keys", "list", "", "auth keys, without their secrets", 0, false, keys_list, SCOPE_AUTH_KEYS, false },
	{ "keys", "create", "--user LOGIN | --tags T,...", "make one: --reusable --ephemeral --preauthorized --expiry 24h --description TEXT", 0, false, keys_create, SCOPE_ALL, true },
	{ "keys", "revoke", "ID", "no new nodes by this key", 1, false, keys_revoke, SCOPE_AUTH_KEYS, true },
	{ "keys", "delete", "ID", "forget a key", 1, false, keys_delete, SCOPE_AUTH_KEYS, true },
	{ "tailnets", "list", "", "the networks of this server", 0, false, tailnets_list, SCOPE_NONE, false },
	{ "tailnets", "create", "NAME --domain SUFFIX", "add a network", 1, false, tailnets_create, SCOPE_NONE, false },
	{ "tailnets", "set", "[--device-approval on|off] [--key-expiry 180d]", "change one", 0, false, tailnets_set, SCOPE_FEATURE_SETTINGS, true },
	{ "audit", "list", "", "the last changes", 0, false, audit_list, SCOPE_LOGS_CONFIGURATION, false },
	{ "backup", "create", "PATH", "copy the database while it runs", 1, false, backup_create, SCOPE_NONE, false },
};
// clang-format on
const size_t command_people_n = array_len(command_people);
