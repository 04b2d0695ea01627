/* app/weftd/localapi_profiles.c - profiles/: list, take, add, remove. Upstream: ipn/localapi,
 * ipn/prefs.go (LoginProfile). */
#include <stdio.h>
#include <string.h>

#include "app/weftd/localapi_priv.h"
#include "base/err.h"
#include "node/prefs.h"
#include "node/profiles.h"

static void put_text(struct json_out *o, const char *key, const char *v)
{
	json_key(o, key);
	json_put_cstr(o, v);
}

/* NULL or without a key: all members are empty. */
static void put_profile(struct json_out *o, const struct profile *p)
{
	bool have = p && profile_has_key(p);
	char key[32];

	(void)snprintf(key, sizeof(key), "profile-%s", have ? p->info.id : "");
	json_open_object(o);
	put_text(o, "ID", have ? p->info.id : "");
	json_key(o, "Name");
	if (have && p->prefs->v.profile_name.n)
		json_put_string(o, p->prefs->v.profile_name);
	else
		json_put_cstr(o, have ? p->info.login_name : "");
	json_key(o, "NetworkProfile");
	json_open_object(o);
	put_text(o, "MagicDNSName", have ? p->info.magic_suffix : "");
	put_text(o, "DomainName", have ? p->info.domain : "");
	put_text(o, "DisplayName", "");
	json_close_object(o);
	put_text(o, "Key", have ? key : "");
	json_key(o, "UserProfile");
	json_put_raw(o, bytes_str(have && *p->info.user ? p->info.user : "{}"));
	put_text(o, "NodeID", have ? p->info.stable_id : "");
	put_text(o, "LocalUserID", "");
	json_key(o, "ControlURL");
	json_put_string(o, have ? p->prefs->v.control_url : bytes_str(""));
	json_close_object(o);
}

static void reply_list(struct http_exchange *x, const struct profiles *all)
{
	struct json_out o;
	struct buf json;

	buf_init(&json, 4 << 20);
	json_out_init(&o, &json);
	json_open_array(&o);
	if (profile_has_key(all->current))
		put_profile(&o, all->current);
	for (size_t i = 0; i < all->other_count; i++)
		put_profile(&o, all->others[i]);
	json_close_array(&o);
	localapi_reply_json(x, 200, &json);
}

static void reply_one(struct http_exchange *x, const struct profile *p)
{
	struct json_out o;
	struct buf json;

	buf_init(&json, 1 << 20);
	json_out_init(&o, &json);
	put_profile(&o, p);
	localapi_reply_json(x, 200, &json);
}

static void reply_result(struct http_exchange *x, int ret, unsigned done, const struct err *err)
{
	if (ret == 0)
		http_reply(x, done, NULL, (struct bytes){ NULL, 0 });
	else
		http_reply_text(x, err->code == ERR_REFUSED ? 404 : 500, "%s\n", err->text);
}

static void handle_one(struct localapi *a, struct http_exchange *x, struct bytes method,
		       const char *id)
{
	const struct profiles *all = node_profiles(a->node);
	const struct profile *p = profiles_find(all, id);
	struct err err = { 0 };

	if (bytes_equal_str(method, "GET") && !strcmp(id, "current"))
		reply_one(x, all->current);
	else if (!p)
		http_reply_text(x, 404, "Profile not found\n");
	else if (bytes_equal_str(method, "GET"))
		reply_one(x, p);
	else if (bytes_equal_str(method, "POST"))
		reply_result(x, node_switch_profile(a->node, id, &err), 204, &err);
	else if (bytes_equal_str(method, "DELETE"))
		reply_result(x, node_remove_profile(a->node, id, &err), 204, &err);
	else
		http_reply_text(x, 405, "method not allowed\n");
}

void localapi_profiles(struct localapi *a, struct http_exchange *x, const struct http_request *req)
{
	struct bytes id = bytes_from(req->path, strlen("/localapi/v0/profiles/"));
	struct err err = { 0 };
	char text[16];

	if (id.n) {
		if (bytes_to_cstr(id, text, sizeof(text)))
			handle_one(a, x, req->method, text);
		else
			http_reply_text(x, 404, "Profile not found\n");
	} else if (bytes_equal_str(req->method, "GET")) {
		reply_list(x, node_profiles(a->node));
	} else if (bytes_equal_str(req->method, "PUT")) {
		reply_result(x, node_new_profile(a->node, &err), 201, &err);
	} else {
		http_reply_text(x, 405, "method not allowed\n");
	}
}
