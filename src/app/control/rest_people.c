/* Users and their roles, networks, the audit log, and the description of all this. */
#include <stdio.h>

#include "app/control/command_priv.h"
#include "app/control/person.h"
#include "app/control/rest.h"
#include "app/control/store.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/secret.h"

enum { DAY_S = 86400, NAME_SHOWN_MAX = 65 };

/* ---- users ---- */

static void put_user(struct json_out *o, const struct tn_user *u)
{
	struct wall seen = u->identity ? u->identity->seen : (struct wall){ 0 };
	bool online = false;
	char id[32];
	int64_t n = 0;

	list_each (it, (struct list *)&u->nodes) {
		const struct tn_node *node = list_entry(it, struct tn_node, user_link);

		n++;
		online = online || node->online;
		if (node->last_seen.ns > seen.ns)
			seen = node->last_seen;
	}
	(void)snprintf(id, sizeof(id), "%lld", (long long)u->id);
	json_open_object(o);
	command_put(o, "id", id);
	command_put(o, "displayName", u->name);
	command_put(o, "loginName", u->login);
	command_put(o, "profilePicUrl", u->identity ? u->identity->picture : "");
	rest_put_tailnet_id(o, "tailnetId", u->tailnet);
	rest_put_time_if(o, "created", u->created);
	command_put(o, "type", "member");
	command_put(o, "role", model_role_name(u->role));
	command_put(o, "status", online ? "active" : "idle");
	command_put_i64(o, "deviceCount", n);
	rest_put_time_if(o, "lastSeen", seen);
	command_put_bool(o, "currentlyConnected", online);
	json_close_object(o);
}

static int users_list(struct rest *r)
{
	char role[32] = "", type[32] = "";

	(void)http_query_get(r->req, "role", role, sizeof(role));
	(void)http_query_get(r->req, "type", type, sizeof(type));
	json_open_object(&r->out);
	json_key(&r->out, "users");
	json_open_array(&r->out);
	list_each (it, &r->tailnet->users) {
		const struct tn_user *u = list_entry(it, struct tn_user, link);

		if ((role[0] && strcmp(role, model_role_name(u->role)) != 0) ||
		    (type[0] && strcmp(type, "member") != 0))
			continue;
		put_user(&r->out, u);
	}
	json_close_array(&r->out);
	json_close_object(&r->out);
	return 0;
}

static int user_get(struct rest *r)
{
	struct tn_user *u;

	if (rest_user(r, &u) < 0)
		return -1;
	put_user(&r->out, u);
	return 0;
}

/* Nobody hands out, or takes away, rights that they do not have themselves. */
static int check_role(struct rest *r, enum tn_role role)
{
	struct scopes rights = scopes_of_role(role);

	return scopes_are_within(&rights, &r->may)
		   ? 0
		   : rest_refuse(r, 403, "the role %s has rights that this credential lacks",
				 model_role_name(role));
}

static int user_role(struct rest *r)
{
	struct bytes text = { 0 };
	enum tn_role role, was;
	struct tn_user *u;

	if (rest_user(r, &u) < 0)
		return -1;
	if (!json_string(json_get(r->body, "role"), &text) || !model_role_parse(&role, text))
		return rest_refuse(r, 400,
				   "role takes owner, admin, network-admin, it-admin, "
				   "auditor or member");
	if (check_role(r, u->role) < 0 || check_role(r, role) < 0)
		return -1;
	was = u->role;
	u->role = role;
	if (store_put_user(r->c->store, u, &r->err) < 0 ||
	    rest_done(r, "user.role", u->login, model_role_name(was), model_role_name(role)) < 0) {
		u->role = was;
		return -1;
	}
	core_users_changed(r->c, r->tailnet);
	return rest_empty(r);
}

static int user_delete(struct rest *r)
{
	char login[160];
	struct tn_user *u;

	if (rest_user(r, &u) < 0 || check_role(r, u->role) < 0)
		return -1;
	if (u->role == ROLE_OWNER)
		return rest_refuse(r, 403, "the owner cannot be deleted");
	if (u == r->token->user)
		return rest_refuse(r, 400, "nobody deletes themselves");
	(void)snprintf(login, sizeof(login), "%s", u->login);
	if (person_delete(r->c, u, &r->err) < 0 ||
	    rest_done(r, "user.delete", login, NULL, NULL) < 0)
		return -1;
	return rest_empty(r);
}

/* ---- networks ---- */

static bool is_first(const struct rest *r)
{
	return r->tailnet == list_entry(r->c->model.tailnets.next, struct tailnet, link);
}

static void put_tailnet(struct json_out *o, const struct tailnet *t)
{
	rest_put_tailnet_id(o, "id", t);
	command_put(o, "displayName", t->name);
	command_put(o, "orgId", "1");
	command_put(o, "dnsName", t->domain);
}

static int tailnets_list(struct rest *r)
{
	uint64_t n = 0;

	if (!is_first(r))
		return rest_refuse(r, 404, "tailnet not found");
	json_open_object(&r->out);
	json_key(&r->out, "tailnets");
	json_open_array(&r->out);
	list_each (it, &r->c->model.tailnets) {
		json_open_object(&r->out);
		put_tailnet(&r->out, list_entry(it, struct tailnet, link));
		json_close_object(&r->out);
		n++;
	}
	json_close_array(&r->out);
	command_put(&r->out, "cursor", "");
	json_key(&r->out, "totalCount");
	json_put_u64(&r->out, n);
	json_close_object(&r->out);
	return 0;
}

static struct tailnet *make_tailnet(struct rest *r, const char *name, const char *domain)
{
	struct tailnet *t = model_add_tailnet(&r->c->model, 0, name, domain);

	if (store_put_tailnet(r->c->store, t, &r->err) == 0 &&
	    access_load(t, (struct bytes){ 0 }, NULL, &r->err) == 0 &&
	    rest_done(r, "tailnet.create", name, NULL, domain) == 0)
		return t;
	access_free(t);
	model_drop_tailnet(t);
	return NULL;
}

/* The client that may do everything in the new network; its secret is said once. */
static int put_first_client(struct rest *r, struct tailnet *t)
{
	struct token *k = token_add(&r->c->tokens, t, TOKEN_CLIENT, 0);
	char secret[TOKEN_SECRET_SIZE], text[TOKEN_TEXT_MAX], id[32];

	k->created = wall_now();
	k->description = mem_strdup("made with the tailnet");
	token_secret(&r->c->rng, secret, k->hash);
	if (scopes_parse(&k->scopes, bytes_str("all"), &r->err) < 0 ||
	    store_put_token(r->c->store, k, &r->err) < 0 || core_commit_now(r->c, &r->err) < 0) {
		token_remove(&r->c->tokens, k);
		return -1;
	}
	token_format(k, secret, text);
	(void)snprintf(id, sizeof(id), "c%lld", (long long)k->id);
	json_key(&r->out, "oauthClient");
	json_open_object(&r->out);
	command_put(&r->out, "id", id);
	command_put(&r->out, "secret", text);
	json_close_object(&r->out);
	secret_wipe(secret, sizeof(secret));
	secret_wipe(text, sizeof(text));
	return 0;
}

static int tailnet_create(struct rest *r)
{
	char name[NAME_SIZE], domain[320];
	struct bytes shown = { 0 };
	struct tailnet *t;
	bool exists;
	int ret = 0;

	if (!is_first(r))
		return rest_refuse(r, 404, "tailnet not found");
	if (!json_string(json_get(r->body, "displayName"), &shown) || !shown.n ||
	    shown.n > NAME_SHOWN_MAX)
		return rest_refuse(r, 400, "displayName takes 1 to %d characters", NAME_SHOWN_MAX);
	names_sanitise(shown, name);
	t = model_tailnet(&r->c->model, bytes_str(name));
	exists = t != NULL;
	(void)snprintf(domain, sizeof(domain), "%s.%s", name, r->c->conf.base_domain);
	if (!t)
		t = make_tailnet(r, name, domain);
	if (!t)
		return -1;
	json_open_object(&r->out);
	put_tailnet(&r->out, t);
	command_put_bool(&r->out, "alreadyExists", exists);
	if (!exists)
		ret = put_first_client(r, t);
	json_close_object(&r->out);
	return ret;
}

/* ---- the audit log ---- */

static int logs_get(struct rest *r)
{
	char start[64], end[64];
	struct wall from, to;
	int ret;

	if (!http_query_get(r->req, "start", start, sizeof(start)) ||
	    !http_query_get(r->req, "end", end, sizeof(end)) ||
	    !wall_parse(&from, bytes_str(start)) || !wall_parse(&to, bytes_str(end)))
		return rest_refuse(r, 400, "start and end take times such as 2027-01-02T03:04:05Z");
	json_open_object(&r->out);
	command_put(&r->out, "version", "1.1");
	rest_put_tailnet_id(&r->out, "tailnetId", r->tailnet);
	rest_put_tailnet_id(&r->out, "tailnet", r->tailnet);
	json_key(&r->out, "logs");
	ret = store_list_audit_between(r->c->store, r->tailnet, wall_s(from), wall_s(to), &r->out,
				       &r->err);
	json_close_object(&r->out);
	return ret;
}

static int describe(struct rest *r)
{
	rest_describe(r->c, &r->text);
	return 0;
}

/* ---- the command line from afar ---- */

static int run_command(struct rest *r)
{
	struct command cmd = { .c = r->c,
			       .tailnet = r->tailnet,
			       .actor = r->actor,
			       .limits = &r->may,
			       .out = &r->out,
			       .err = &r->err };

	(void)json_string(json_get(r->body, "input"), &cmd.input);
	if (command_take_argv(&cmd, json_get(r->body, "argv")) == 0 && command_run(&cmd) == 0)
		return 0;
	r->status = r->err.code == ERR_AUTH ? 403 : 0;
	return -1;
}

// clang-format off
const struct rest_op rest_people[] = {
	{ "GET", "/tailnet/{t}/users", SCOPE_USERS, false, REST_NO_BODY, users_list, "listUsers", "users; ?role= and ?type= filter", NULL, "UserList" },
	{ "GET", "/users/{id}", SCOPE_USERS, false, REST_NO_BODY, user_get, "getUser", "one user", NULL, "User" },
	{ "POST", "/users/{id}/role", SCOPE_USERS, true, REST_JSON, user_role, "updateUserRole", "give another role", "RoleWish" },
	{ "POST", "/users/{id}/delete", SCOPE_USERS, true, REST_NO_BODY, user_delete, "deleteUser", "remove a user, their devices and their credentials" },
	{ "GET", "/tailnet/{t}/logging/configuration", SCOPE_LOGS_CONFIGURATION, false, REST_NO_BODY, logs_get, "listConfigurationAuditLogs", "changes between ?start= and ?end=", NULL, "AuditLog" },
	{ "GET", "/organizations/{org}/tailnets", SCOPE_TAILNETS, false, REST_NO_BODY, tailnets_list, "listOrganizationTailnets", "the networks of this server", NULL, "TailnetList" },
	{ "POST", "/organizations/{org}/tailnets", SCOPE_TAILNETS, true, REST_JSON, tailnet_create, "createOrganizationTailnet", "add a network; repeating it is safe", "TailnetWish", "Tailnet" },
	{ "POST", "/weft/command", SCOPE_NONE, true, REST_JSON, run_command, "runCommand", "what weft-control --url sends: argv and input; every command has its scope", "Command", NULL, .auth = REST_ANY },
	{ "GET", "/openapi.json", SCOPE_NONE, false, REST_NO_BODY, describe, "getOpenapi", "this description", NULL, "Description", .auth = REST_OPEN },
};
// clang-format on
const size_t rest_people_n = array_len(rest_people);
