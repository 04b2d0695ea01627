/* Commands about nodes and the routes they offer. */
#include <stdio.h>

#include "app/control/command_priv.h"
#include "app/control/register.h"
#include "app/control/store.h"
#include "base/mem.h"
#include "base/text.h"

enum { TAGS_MAX = 64, ROUTES_MAX = 512 };

static void put_routes(struct json_out *o, const char *name, const struct prefix_set *set)
{
	char text[PREFIX_TEXT_MAX];

	json_key(o, name);
	json_open_array(o);
	for (size_t i = 0; i < set->n; i++)
		json_put_cstr(o, prefix_format(set->v[i], text));
	json_close_array(o);
}

static void put_node(struct json_out *o, const struct tn_node *n)
{
	char ip[IP_TEXT_MAX], key[KEYTEXT_MAX];

	json_open_object(o);
	command_put_i64(o, "id", n->id);
	command_put(o, "name", n->name);
	command_put(o, "user", model_node_is_tagged(n) || !n->user ? "" : n->user->login);
	command_put_tags(o, "tags", &n->tags);
	command_put(o, "ipv4", ip_format(n->v4, ip));
	command_put(o, "ipv6", ip_format(n->v6, ip));
	command_put_bool(o, "online", n->online);
	command_put_bool(o, "authorized", n->authorized);
	command_put_bool(o, "ephemeral", n->ephemeral);
	command_put_i64(o, "cap", n->cap);
	command_put_i64(o, "relay", n->home_derp);
	command_put_time(o, "last_seen", n->last_seen);
	command_put_time(o, "expires", n->expiry);
	command_put_time(o, "created", n->created);
	command_put(o, "node_key", keytext_format(&n->key, KEY_NODE, key));
	json_close_object(o);
}

static int nodes_list(struct command *cmd)
{
	json_open_array(cmd->out);
	list_each (it, &cmd->tailnet->nodes)
		put_node(cmd->out, list_entry(it, struct tn_node, link));
	json_close_array(cmd->out);
	return 0;
}

static int nodes_show(struct command *cmd)
{
	struct tn_node *n;

	if (command_node(cmd, command_word(cmd, 0), &n) < 0)
		return -1;
	put_node(cmd->out, n);
	return 0;
}

static int nodes_logins(struct command *cmd)
{
	char key[KEYTEXT_SHORT_MAX];

	json_open_array(cmd->out);
	list_each (it, &cmd->c->logins.all) {
		const struct login *l = list_entry(it, struct login, link);

		json_open_object(cmd->out);
		command_put(cmd->out, "id", l->token);
		command_put(cmd->out, "hostname", l->hostname);
		command_put(cmd->out, "os", l->os);
		command_put(cmd->out, "machine", keytext_short(&l->machine, KEY_MACHINE, key));
		json_close_object(cmd->out);
	}
	json_close_array(cmd->out);
	return 0;
}

/* The URL or the id in it. */
static struct login *find_login(struct command *cmd)
{
	struct bytes which = command_word(cmd, 0), piece;

	while (text_split(&which, '/', &piece))
		if (!which.n)
			break;
	return login_find(&cmd->c->logins, piece, loop_now(cmd->c->loop));
}

static int nodes_approve(struct command *cmd)
{
	struct login *l = find_login(cmd);
	struct tn_user *u;
	struct key key;

	if (!l)
		return err_set(cmd->err, ERR_USAGE,
			       "no login of that id waits; `nodes logins` lists them");
	if (command_user(cmd, command_option(cmd, "user"), &u) < 0)
		return -1;
	key = l->node_key;
	if (register_complete(cmd->c, l, cmd->tailnet, u, cmd->actor, cmd->err) < 0)
		return -1;
	put_node(cmd->out, model_node_by_key(&cmd->c->model, &key));
	return 0;
}

static int nodes_deny(struct command *cmd)
{
	struct login *l = find_login(cmd);

	if (!l)
		return err_set(cmd->err, ERR_USAGE,
			       "no login of that id waits; `nodes logins` lists them");
	register_deny(cmd->c, l, "login denied by an administrator");
	json_open_object(cmd->out);
	json_close_object(cmd->out);
	return 0;
}

/* Stores, logs, tells the peers, prints. */
static int node_changed(struct command *cmd, struct tn_node *n, const char *action,
			const char *detail)
{
	if (store_put_node(cmd->c->store, n, cmd->err) < 0 ||
	    command_done(cmd, action, n->name, detail) < 0)
		return -1;
	core_node_changed(cmd->c, n);
	put_node(cmd->out, n);
	return 0;
}

static int nodes_authorize(struct command *cmd)
{
	struct tn_node *n;

	if (command_node(cmd, command_word(cmd, 0), &n) < 0)
		return -1;
	n->authorized = true;
	return node_changed(cmd, n, "node.authorize", "");
}

static int nodes_rename(struct command *cmd)
{
	struct bytes name = command_word(cmd, 1);
	struct tn_node *n, *other;
	char text[NAME_SIZE];

	if (command_node(cmd, command_word(cmd, 0), &n) < 0)
		return -1;
	if (!names_is_label(name) || !bytes_to_cstr(name, text, sizeof(text)))
		return err_set(cmd->err, ERR_USAGE, "a name is a DNS label in lower case");
	other = model_node(cmd->tailnet, name);
	if (other && other != n)
		return err_set(cmd->err, ERR_USAGE, "another node has that name");
	model_rename(n, text);
	n->name_fixed = true;
	return node_changed(cmd, n, "node.rename", text);
}

static int set_expiry(struct command *cmd, struct tn_node *n, struct wall at, const char *action)
{
	n->expiry = at;
	if (store_put_node(cmd->c->store, n, cmd->err) < 0 ||
	    command_done(cmd, action, n->name, "") < 0)
		return -1;
	model_touch(&cmd->c->model, n, PART_EXPIRY);
	core_node_touched(cmd->c, n);
	put_node(cmd->out, n);
	return 0;
}

static int nodes_expire(struct command *cmd)
{
	struct tn_node *n;

	if (command_node(cmd, command_word(cmd, 0), &n) < 0)
		return -1;
	if (model_node_is_tagged(n))
		return err_set(cmd->err, ERR_USAGE,
			       "tagged nodes do not expire; delete it instead");
	return set_expiry(cmd, n, wall_now(), "node.expire");
}

static int nodes_extend(struct command *cmd)
{
	struct bytes by = command_option(cmd, "expiry");
	struct wall at = { 0 };
	struct tn_node *n;
	int64_t s;

	if (command_node(cmd, command_word(cmd, 0), &n) < 0)
		return -1;
	if (by.n) {
		if (command_duration(cmd, by, &s) < 0)
			return -1;
		at = wall_from_s(wall_s(wall_now()) + s);
	}
	return set_expiry(cmd, n, at, "node.extend");
}

static int nodes_delete(struct command *cmd)
{
	char name[NAME_SIZE];
	struct tn_node *n;

	if (command_node(cmd, command_word(cmd, 0), &n) < 0)
		return -1;
	(void)snprintf(name, sizeof(name), "%s", n->name);
	put_node(cmd->out, n);
	if (core_delete_node(cmd->c, n, cmd->err) < 0)
		return -1;
	return command_done(cmd, "node.delete", name, "");
}

static int nodes_tag(struct command *cmd)
{
	struct bytes tags[TAGS_MAX];
	struct tn_node *n;
	size_t count;

	if (command_node(cmd, command_word(cmd, 0), &n) < 0)
		return -1;
	count = command_list(command_word(cmd, 1), tags, TAGS_MAX);
	for (size_t i = 0; i < count; i++)
		if (!bytes_has_prefix(tags[i], "tag:") || !names_is_label(bytes_from(tags[i], 4)))
			return err_set(cmd->err, ERR_USAGE, "%.*s is no tag such as tag:server",
				       BYTES_FMT(tags[i]));
	if (!count)
		return err_set(cmd->err, ERR_USAGE, "give tags such as tag:server,tag:web");
	(void)text_set_assign(&n->tags, tags, count);
	list_remove(&n->user_link); /* tagged nodes are no user's */
	n->expiry = (struct wall){ 0 };
	model_touch(&cmd->c->model, n, PART_EXPIRY);
	return node_changed(cmd, n, "node.tag", n->tags.v[0]);
}

/* ---- routes ---- */

static void put_node_routes(struct json_out *o, const struct tn_node *n)
{
	json_open_object(o);
	command_put_i64(o, "id", n->id);
	command_put(o, "node", n->name);
	command_put_bool(o, "online", n->online);
	put_routes(o, "advertised", &n->advertised);
	put_routes(o, "approved", &n->approved);
	json_close_object(o);
}

static int routes_list(struct command *cmd)
{
	json_open_array(cmd->out);
	list_each (it, &cmd->tailnet->nodes) {
		const struct tn_node *n = list_entry(it, struct tn_node, link);

		if (n->advertised.n || n->approved.n)
			put_node_routes(cmd->out, n);
	}
	json_close_array(cmd->out);
	return 0;
}

static int parse_routes(struct command *cmd, struct prefix *out, size_t *n)
{
	struct bytes list[ROUTES_MAX];
	size_t count = command_list(command_word(cmd, 1), list, ROUTES_MAX);

	*n = 0;
	for (size_t i = 0; i < count; i++) {
		if (bytes_equal_str(list[i], "exit")) {
			(void)prefix_parse(&out[(*n)++], bytes_str("0.0.0.0/0"));
			(void)prefix_parse(&out[(*n)++], bytes_str("::/0"));
		} else if (!prefix_parse(&out[(*n)++], list[i]) || !prefix_is_masked(out[*n - 1])) {
			return err_set(cmd->err, ERR_USAGE, "%.*s is no prefix such as 10.1.0.0/16",
				       BYTES_FMT(list[i]));
		}
	}
	return 0;
}

static int routes_done(struct command *cmd, struct tn_node *n, const char *action)
{
	if (store_put_node(cmd->c->store, n, cmd->err) < 0 ||
	    command_done(cmd, action, n->name, "") < 0)
		return -1;
	core_node_changed(cmd->c, n);
	put_node_routes(cmd->out, n);
	return 0;
}

static int routes_approve(struct command *cmd)
{
	struct prefix all[3 * ROUTES_MAX];
	struct tn_node *n;
	size_t count;

	if (command_node(cmd, command_word(cmd, 0), &n) < 0 || parse_routes(cmd, all, &count) < 0)
		return -1;
	for (size_t i = 0; i < n->approved.n && count < array_len(all); i++)
		all[count++] = n->approved.v[i];
	(void)prefix_set_assign(&n->approved, all, count);
	return routes_done(cmd, n, "routes.approve");
}

static int routes_revoke(struct command *cmd)
{
	struct prefix gone[2 * ROUTES_MAX], kept[2 * ROUTES_MAX];
	struct tn_node *n;
	size_t count, left = 0;

	if (command_node(cmd, command_word(cmd, 0), &n) < 0 || parse_routes(cmd, gone, &count) < 0)
		return -1;
	for (size_t i = 0; i < n->approved.n; i++) {
		bool out = false;

		for (size_t j = 0; j < count; j++)
			out = out || prefix_equal(gone[j], n->approved.v[i]);
		if (!out && left < array_len(kept))
			kept[left++] = n->approved.v[i];
	}
	(void)prefix_set_assign(&n->approved, kept, left);
	return routes_done(cmd, n, "routes.revoke");
}

// clang-format off
const struct verb command_nodes[] = {
	{ "nodes", "list", "", "all nodes", 0, false, nodes_list, SCOPE_DEVICES_CORE, false },
	{ "nodes", "show", "NODE", "one node; NODE is a name, id or address", 1, false, nodes_show, SCOPE_DEVICES_CORE, false },
	{ "nodes", "logins", "", "logins that wait for a person", 0, false, nodes_logins, SCOPE_NONE, false },
	{ "nodes", "approve", "LOGIN-ID --user LOGIN", "finish such a login", 1, false, nodes_approve, SCOPE_NONE, false },
	{ "nodes", "deny", "LOGIN-ID", "refuse it", 1, false, nodes_deny, SCOPE_NONE, false },
	{ "nodes", "authorize", "NODE", "device approval", 1, false, nodes_authorize, SCOPE_DEVICES_CORE, true },
	{ "nodes", "rename", "NODE NAME", "fix a name; host name changes no longer matter", 2, false, nodes_rename, SCOPE_DEVICES_CORE, true },
	{ "nodes", "expire", "NODE", "must log in again", 1, false, nodes_expire, SCOPE_DEVICES_CORE, true },
	{ "nodes", "extend", "NODE [--expiry 180d]", "a later expiry, or none", 1, false, nodes_extend, SCOPE_DEVICES_CORE, true },
	{ "nodes", "tag", "NODE TAGS", "make it a tagged node", 2, false, nodes_tag, SCOPE_ALL, true },
	{ "nodes", "delete", "NODE", "remove it from the network", 1, false, nodes_delete, SCOPE_DEVICES_CORE, true },
	{ "routes", "list", "", "offered and approved subnets", 0, false, routes_list, SCOPE_DEVICES_ROUTES, false },
	{ "routes", "approve", "NODE PREFIX,...|exit", "let it serve them", 2, false, routes_approve, SCOPE_DEVICES_ROUTES, true },
	{ "routes", "revoke", "NODE PREFIX,...|exit", "take that back", 2, false, routes_revoke, SCOPE_DEVICES_ROUTES, true },
};
// clang-format on
const size_t command_nodes_n = array_len(command_nodes);
