/* node/prefs.c - see prefs.h. Upstream: ipn/prefs.go. */
#include "node/prefs.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

#define AT(f) offsetof(struct prefs_values, f)

// clang-format off

static const struct field prefs_fields[] = {
	{ "ControlURL", FIELD_TEXT, AT(control_url), .flags = FIELD_ALWAYS },
	{ "RouteAll", FIELD_BOOL, AT(route_all), .flags = FIELD_ALWAYS },
	{ "ExitNodeID", FIELD_TEXT, AT(exit_node_id), .flags = FIELD_ALWAYS },
	{ "ExitNodeIP", FIELD_IP, AT(exit_node_ip), .flags = FIELD_ALWAYS },
	{ "AutoExitNode", FIELD_TEXT, AT(auto_exit_node) },
	{ "InternalExitNodePrior", FIELD_TEXT, AT(internal_exit_node_prior), .flags = FIELD_ALWAYS },
	{ "ExitNodeAllowLANAccess", FIELD_BOOL, AT(exit_node_allow_lan), .flags = FIELD_ALWAYS },
	{ "CorpDNS", FIELD_BOOL, AT(corp_dns), .flags = FIELD_ALWAYS },
	{ "RunSSH", FIELD_BOOL, AT(run_ssh), .flags = FIELD_ALWAYS },
	{ "RunWebClient", FIELD_BOOL, AT(run_web_client), .flags = FIELD_ALWAYS },
	{ "WantRunning", FIELD_BOOL, AT(want_running), .flags = FIELD_ALWAYS },
	{ "LoggedOut", FIELD_BOOL, AT(logged_out), .flags = FIELD_ALWAYS },
	{ "ShieldsUp", FIELD_BOOL, AT(shields_up), .flags = FIELD_ALWAYS },
	{ "AdvertiseTags", FIELD_TEXTS, AT(advertise_tags), .flags = FIELD_ALWAYS },
	{ "Hostname", FIELD_TEXT, AT(hostname), .flags = FIELD_ALWAYS },
	{ "NotepadURLs", FIELD_BOOL, AT(notepad_urls), .flags = FIELD_ALWAYS },
	{ "ForceDaemon", FIELD_BOOL, AT(force_daemon) },
	{ "AdvertiseRoutes", FIELD_PREFIXES, AT(advertise_routes), .flags = FIELD_ALWAYS },
	{ "AdvertiseServices", FIELD_TEXTS, AT(advertise_services), .flags = FIELD_ALWAYS },
	{ "Sync", FIELD_OPT_BOOL, AT(sync), .flags = FIELD_ALWAYS },
	{ "NoSNAT", FIELD_BOOL, AT(no_snat), .flags = FIELD_ALWAYS },
	{ "NoStatefulFiltering", FIELD_OPT_BOOL, AT(no_stateful_filtering) },
	{ "NetfilterMode", FIELD_I64, AT(netfilter_mode), .flags = FIELD_ALWAYS },
	{ "OperatorUser", FIELD_TEXT, AT(operator_user) },
	{ "ProfileName", FIELD_TEXT, AT(profile_name) },
	{ "AutoUpdate", FIELD_JSON, AT(auto_update), .flags = FIELD_ALWAYS },
	{ "AppConnector", FIELD_JSON, AT(app_connector), .flags = FIELD_ALWAYS },
	{ "PostureChecking", FIELD_BOOL, AT(posture_checking), .flags = FIELD_ALWAYS },
	{ "NetfilterKind", FIELD_TEXT, AT(netfilter_kind), .flags = FIELD_ALWAYS },
	{ "RemoteConfig", FIELD_BOOL, AT(remote_config), .flags = FIELD_ALWAYS },
	{ "DriveShares", FIELD_JSON, AT(drive_shares), .flags = FIELD_ALWAYS },
	{ "RelayServerPort", FIELD_JSON, AT(relay_server_port) },
	{ "RelayServerStaticEndpoints", FIELD_JSON, AT(relay_server_endpoints) },
};

// clang-format on

const struct schema prefs_schema = {
	.noun = "Prefs",
	.size = sizeof(struct prefs_values),
	.fields = prefs_fields,
	.n = array_len(prefs_fields),
};

struct prefs *prefs_with(const struct prefs *p, const struct prefs_values *v)
{
	struct prefs *made;
	struct json_out o;
	struct buf buf;
	struct err err;

	(void)p;
	buf_init(&buf, PREFS_TEXT_MAX);
	json_out_init(&o, &buf);
	schema_encode(&o, &prefs_schema, v);
	made = prefs_decode(buf_bytes(&buf), &err);
	buf_fini(&buf);
	return made;
}

struct prefs *prefs_create(void)
{
	struct prefs_values v = {
		.corp_dns = true,
		.no_stateful_filtering = OPT_TRUE,
		.netfilter_mode = 2,
		.auto_update = bytes_str("{\"Check\":true,\"Apply\":null}"),
		.app_connector = bytes_str("{\"Advertise\":false}"),
	};

	return prefs_with(NULL, &v);
}

struct prefs *prefs_decode(struct bytes json, struct err *err)
{
	struct prefs *p;
	struct json_out o;
	struct buf buf;

	if (json.n > PREFS_TEXT_MAX) {
		err_set(err, ERR_LIMIT, "the preferences are too large");
		return NULL;
	}
	p = mem_alloc(sizeof(*p));
	arena_init(&p->arena, json.n * 24 + (64 << 10));
	json = arena_bytes(&p->arena, json);
	if (schema_decode(&p->v, &prefs_schema, &p->arena, json, err) < 0) {
		prefs_destroy(p);
		return NULL;
	}
	buf_init(&buf, 2 * PREFS_TEXT_MAX);
	json_out_init(&o, &buf);
	schema_encode(&o, &prefs_schema, &p->v);
	p->text = arena_bytes(&p->arena, buf_bytes(&buf));
	buf_fini(&buf);
	return p;
}

void prefs_destroy(struct prefs *p)
{
	if (!p)
		return;
	arena_fini(&p->arena);
	mem_free(p);
}

/* A mask is true, or (AutoUpdateSet) an object with something true in it. */
static bool mask_is_set(const struct json *v)
{
	bool set = false;

	if (json_bool(v, &set))
		return set;
	if (json_is(v, JSON_OBJECT))
		json_each (member, v)
			set = set || mask_is_set(member);
	return set;
}

static bool member_is_set(const struct json *patch, const char *name)
{
	char mask[80];

	(void)snprintf(mask, sizeof(mask), "%sSet", name);
	return mask_is_set(json_get_nocase(patch, mask));
}

/* An inner object is edited member by member by its own mask: AutoUpdate, AppConnector. */
static void put_merged(struct json_out *o, const struct json *old, const struct json *patch,
		       const struct json *mask)
{
	if (!json_is(old, JSON_OBJECT) || !json_is(patch, JSON_OBJECT) ||
	    !json_is(mask, JSON_OBJECT)) {
		json_put_value(o, patch);
		return;
	}
	json_open_object(o);
	json_each (member, old) {
		char name[64];
		bool known = bytes_to_cstr(member->key, name, sizeof(name));
		const struct json *new = known ? json_get_nocase(patch, name) : NULL;

		json_key_bytes(o, member->key);
		json_put_value(o, new &&member_is_set(mask, name) ? new : member);
	}
	json_close_object(o);
}

static void put_edited(struct json_out *o, const struct json *old, const struct json *patch)
{
	json_open_object(o);
	for (size_t i = 0; i < array_len(prefs_fields); i++) {
		const char *name = prefs_fields[i].name;
		const struct json *was = json_get_nocase(old, name);
		const struct json *want = json_get_nocase(patch, name);
		char mask[80];

		(void)snprintf(mask, sizeof(mask), "%sSet", name);
		if (member_is_set(patch, name)) {
			if (!want)
				continue; /* set to nothing: the zero value */
			json_key(o, name);
			put_merged(o, was, want, json_get_nocase(patch, mask));
		} else if (was) {
			json_key(o, name);
			json_put_value(o, was);
		}
	}
	json_close_object(o);
}

struct prefs *prefs_edit(const struct prefs *p, struct bytes masked, struct err *err)
{
	struct json *old, *patch;
	struct prefs *edited = NULL;
	struct arena arena;
	struct json_out o;
	struct buf buf;

	arena_init(&arena, 32 << 20);
	buf_init(&buf, PREFS_TEXT_MAX);
	old = json_parse(&arena, p->text, 0, err);
	patch = old ? json_parse(&arena, masked, 0, err) : NULL;
	if (patch && !json_is(patch, JSON_OBJECT)) {
		err_set(err, ERR_MALFORMED, "the edit must be a JSON object");
	} else if (patch && member_is_set(patch, "InternalExitNodePrior")) {
		err_set(err, ERR_USAGE, "can't set Internal fields");
	} else if (patch) {
		json_out_init(&o, &buf);
		put_edited(&o, old, patch);
		edited = prefs_decode(buf_bytes(&buf), err);
	}
	buf_fini(&buf);
	arena_fini(&arena);
	if (edited && prefs_check(edited, err) < 0) {
		prefs_destroy(edited);
		return NULL;
	}
	return edited;
}

static bool is_tag(struct bytes t)
{
	if (!bytes_has_prefix(t, "tag:") || t.n < 5)
		return false;
	for (size_t i = 4; i < t.n; i++) {
		char c = (char)t.p[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		if (!letter && (i == 4 || (c != '-' && (c < '0' || c > '9'))))
			return false;
	}
	return true;
}

static int check_routes(const struct prefs_values *v, struct err *err)
{
	bool exit4 = false, exit6 = false;

	for (size_t i = 0; i < v->advertise_routes.n; i++) {
		struct prefix p = v->advertise_routes.v[i];
		char got[PREFIX_TEXT_MAX], want[PREFIX_TEXT_MAX];

		if (!prefix_is_masked(p))
			return err_set(
			    err, ERR_USAGE, "route %s has non-address bits set; expected %s",
			    prefix_format(p, got), prefix_format(prefix_masked(p), want));
		exit4 = exit4 || (p.len == 0 && p.addr.family == 4);
		exit6 = exit6 || (p.len == 0 && p.addr.family == 6);
	}
	if (exit4 != exit6)
		return err_set(err, ERR_USAGE, "an exit node advertises 0.0.0.0/0 and ::/0, both");
	if (exit4 && (v->exit_node_id.n || ip_is_valid(v->exit_node_ip)))
		return err_set(
		    err, ERR_USAGE,
		    "Cannot advertise an exit node and use an exit node at the same time.");
	return 0;
}

int prefs_check(const struct prefs *p, struct err *err)
{
	const struct prefs_values *v = &p->v;

	if (v->control_url.n && !bytes_has_prefix(v->control_url, "http://") &&
	    !bytes_has_prefix(v->control_url, "https://"))
		return err_set(err, ERR_USAGE,
			       "the login server must be an http:// or https:// URL");
	for (size_t i = 0; i < v->advertise_tags.n; i++)
		if (!is_tag(v->advertise_tags.v[i]))
			return err_set(err, ERR_USAGE, "'%.*s' is no tag: say tag:name",
				       BYTES_FMT(v->advertise_tags.v[i]));
	if (v->hostname.n > 255)
		return err_set(err, ERR_USAGE, "the host name is too long");
	if (v->run_ssh)
		return err_set(err, ERR_REFUSED, "this daemon has no SSH server");
	if (v->run_web_client)
		return err_set(err, ERR_REFUSED, "this daemon has no web client");
	return check_routes(v, err);
}

void prefs_write(struct json_out *o, const struct prefs *p, struct bytes config)
{
	struct bytes open = p->text;
	struct buf buf;

	buf_init(&buf, 4 * PREFS_TEXT_MAX);
	if (config.n && open.n) {
		open.n--; /* the closing brace */
		buf_append(&buf, open);
		buf_append_str(&buf, ",\"Config\":");
		buf_append(&buf, config);
		buf_append_str(&buf, "}");
	} else {
		buf_append(&buf, p->text);
	}
	json_put_raw(o, buf_bytes(&buf));
	buf_fini(&buf);
}
