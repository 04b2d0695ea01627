/* Devices: what they are, and everything that may be changed about one. */
#include <stdio.h>

#include "app/control/attributes.h"
#include "app/control/command_priv.h"
#include "app/control/rest.h"
#include "app/control/store.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/tailcfg_hostinfo.h"
#include "wire/url.h"

enum { KEY_DAYS = 180, HOST_ARENA = 1 << 20, FILTERS_MAX = 16 };

/* ---- a device as JSON ---- */

static void put_prefixes(struct json_out *o, const char *name, const struct prefix_set *set,
			 const struct prefix_set *within)
{
	char text[PREFIX_TEXT_MAX];

	json_key(o, name);
	json_open_array(o);
	for (size_t i = 0; i < set->n; i++)
		if (!within || prefix_set_has(within, set->v[i]))
			json_put_cstr(o, prefix_format(set->v[i], text));
	json_close_array(o);
}

static void put_bytes(struct json_out *o, const char *name, struct bytes text)
{
	json_key(o, name);
	json_put_string(o, text);
}

static void put_identity(struct json_out *o, const struct tn_node *n,
			 const struct tailcfg_hostinfo *h)
{
	bool tagged = model_node_is_tagged(n) || !n->user;
	char text[KEYTEXT_MAX], ip[IP_TEXT_MAX], name[NAME_SIZE + 256];

	(void)snprintf(text, sizeof(text), "%lld", (long long)n->id);
	command_put(o, "id", text);
	command_put(o, "nodeId", n->stable_id);
	(void)snprintf(name, sizeof(name), "%s.%.200s", n->name, n->tailnet->domain);
	command_put(o, "name", name);
	put_bytes(o, "hostname", h->hostname);
	json_key(o, "addresses");
	json_open_array(o);
	json_put_cstr(o, ip_format(n->v4, ip));
	json_put_cstr(o, ip_format(n->v6, ip));
	json_close_array(o);
	command_put(o, "user", tagged ? "tagged-devices" : n->user->login);
	if (n->tags.n)
		command_put_tags(o, "tags", &n->tags);
	command_put(o, "machineKey", keytext_format(&n->machine, KEY_MACHINE, text));
	command_put(o, "nodeKey", keytext_format(&n->key, KEY_NODE, text));
}

static void put_state(struct json_out *o, const struct tn_node *n, const struct tailcfg_hostinfo *h)
{
	command_put_bool(o, "authorized", n->authorized);
	command_put_bool(o, "isExternal", false);
	command_put_bool(o, "isEphemeral", n->ephemeral);
	command_put_bool(o, "keyExpiryDisabled", !n->expiry.ns);
	rest_put_time(o, "created", n->created);
	rest_put_time(o, "expires", n->expiry);
	if (!n->online)
		rest_put_time(o, "lastSeen", n->last_seen);
	command_put_bool(o, "connectedToControl", n->online);
	command_put_bool(o, "multipleConnections", n->streams_open > 1);
	command_put_bool(o, "blocksIncomingConnections", h->shields_up);
	command_put_bool(o, "sshEnabled", h->ssh_host_keys.n > 0);
	put_bytes(o, "os", h->os);
	put_bytes(o, "clientVersion", h->ipn_version);
	command_put_bool(o, "updateAvailable", false);
	command_put(o, "tailnetLockError", "");
	command_put(o, "tailnetLockKey", "");
	if (!h->distro.n)
		return;
	json_key(o, "distro");
	json_open_object(o);
	put_bytes(o, "name", h->distro);
	put_bytes(o, "version", h->distro_version);
	put_bytes(o, "codeName", h->distro_code_name);
	json_close_object(o);
}

static void put_connectivity(struct json_out *o, const struct tn_node *n)
{
	char text[ADDRPORT_TEXT_MAX];

	json_key(o, "clientConnectivity");
	json_open_object(o);
	json_key(o, "endpoints");
	json_open_array(o);
	for (size_t i = 0; i < n->n_endpoints; i++)
		json_put_cstr(o, addrport_format(n->endpoints[i], text));
	json_close_array(o);
	(void)snprintf(text, sizeof(text), "%lld", (long long)n->home_derp);
	command_put(o, "derp", text);
	json_close_object(o);
}

static void put_device(struct json_out *o, const struct tn_node *n, bool all)
{
	struct tailcfg_hostinfo host = { 0 };
	struct arena arena;

	arena_init(&arena, HOST_ARENA);
	if (n->hostinfo.n &&
	    schema_decode(&host, &tailcfg_hostinfo_schema, &arena, n->hostinfo, NULL) < 0)
		host = (struct tailcfg_hostinfo){ 0 };
	json_open_object(o);
	put_identity(o, n, &host);
	put_state(o, n, &host);
	if (all) {
		put_prefixes(o, "advertisedRoutes", &n->advertised, NULL);
		put_prefixes(o, "enabledRoutes", &n->approved, NULL);
		put_connectivity(o, n);
	}
	json_close_object(o);
	arena_fini(&arena);
}

static bool wants_all(const struct rest *r)
{
	char fields[16];

	return http_query_get(r->req, "fields", fields, sizeof(fields)) &&
	       strcmp(fields, "all") == 0;
}

/* Does the device's JSON have that value (or list element) under that name? */
static bool has_value(const struct json *device, struct bytes name, struct bytes value)
{
	json_each (it, device) {
		if (!bytes_equal(it->key, name))
			continue;
		if (it->kind == JSON_BOOL)
			return bytes_equal_str(value, it->truth ? "true" : "false");
		if (it->kind != JSON_ARRAY)
			return bytes_equal(it->text, value);
		json_each (e, it)
			if (bytes_equal(e->text, value))
				return true;
		return false;
	}
	return false;
}

/* Every `field=value` of the query must hold; unknown fields match nothing. */
static bool passes(const struct rest *r, const struct tn_node *n)
{
	struct bytes rest = r->req->query, pair, name;
	const struct json *device;
	struct arena arena;
	struct json_out o;
	struct buf text;
	bool good = true;

	if (!r->req->query.n)
		return true;
	arena_init(&arena, HOST_ARENA);
	buf_init(&text, HOST_ARENA);
	json_out_init(&o, &text);
	put_device(&o, n, true);
	device = json_parse(&arena, buf_bytes(&text), 0, NULL);
	while (good && text_split(&rest, '&', &pair)) {
		char value[256];
		struct writer w = writer_of(value, sizeof(value));

		if (!text_split(&pair, '=', &name) || bytes_equal_str(name, "fields"))
			continue;
		good = url_percent_decode(pair, true, &w) &&
		       has_value(device, name, bytes_of(value, w.n));
	}
	buf_fini(&text);
	arena_fini(&arena);
	return good;
}

static int devices_list(struct rest *r)
{
	json_open_object(&r->out);
	json_key(&r->out, "devices");
	json_open_array(&r->out);
	list_each (it, &r->tailnet->nodes) {
		const struct tn_node *n = list_entry(it, struct tn_node, link);

		if (passes(r, n))
			put_device(&r->out, n, wants_all(r));
	}
	json_close_array(&r->out);
	json_close_object(&r->out);
	return 0;
}

static int device_get(struct rest *r)
{
	struct tn_node *n;

	if (rest_node(r, &n) < 0)
		return -1;
	put_device(&r->out, n, wants_all(r));
	return 0;
}

/* ---- changes ---- */

static int device_changed(struct rest *r, struct tn_node *n, const char *action, const char *was,
			  const char *is)
{
	if (store_put_node(r->c->store, n, &r->err) < 0 ||
	    rest_done(r, action, n->name, was, is) < 0)
		return -1;
	core_node_changed(r->c, n);
	return rest_empty(r);
}

static int device_delete(struct rest *r)
{
	char name[NAME_SIZE];
	struct tn_node *n;

	if (rest_node(r, &n) < 0)
		return -1;
	memcpy(name, n->name, sizeof(name));
	if (core_delete_node(r->c, n, &r->err) < 0 ||
	    rest_done(r, "node.delete", name, NULL, NULL) < 0)
		return -1;
	return rest_empty(r);
}

static int set_expiry(struct rest *r, struct tn_node *n, struct wall at, const char *action)
{
	n->expiry = at;
	if (store_put_node(r->c->store, n, &r->err) < 0 ||
	    rest_done(r, action, n->name, NULL, NULL) < 0)
		return -1;
	model_touch(&r->c->model, n, PART_EXPIRY);
	core_node_touched(r->c, n);
	return rest_empty(r);
}

static int device_expire(struct rest *r)
{
	struct tn_node *n;

	if (rest_node(r, &n) < 0)
		return -1;
	if (model_node_is_tagged(n))
		return rest_refuse(r, 400, "tagged devices do not expire; delete it instead");
	return set_expiry(r, n, wall_now(), "node.expire");
}

static int device_key(struct rest *r)
{
	struct wall at = { 0 };
	struct tn_node *n;
	bool disabled;
	int64_t s;

	if (rest_node(r, &n) < 0 || rest_bool(r, "keyExpiryDisabled", &disabled) < 0)
		return -1;
	if (!disabled && model_node_is_tagged(n))
		return rest_refuse(r, 400, "tagged devices do not expire");
	if (disabled == !n->expiry.ns)
		return rest_empty(r);
	s = r->tailnet->key_expiry_s ? r->tailnet->key_expiry_s : KEY_DAYS * 86400;
	if (!disabled)
		at = wall_from_s(wall_s(wall_now()) + s);
	return set_expiry(r, n, at, disabled ? "node.expiry-off" : "node.expiry-on");
}

static int device_authorize(struct rest *r)
{
	struct tn_node *n;
	bool authorized;

	if (rest_node(r, &n) < 0 || rest_bool(r, "authorized", &authorized) < 0)
		return -1;
	if (n->authorized == authorized)
		return rest_empty(r);
	n->authorized = authorized;
	return device_changed(r, n, authorized ? "node.authorize" : "node.deauthorize", NULL, NULL);
}

/* The host's own name again. */
static void reset_name(struct tn_node *n, char out[NAME_SIZE])
{
	struct tailcfg_hostinfo host = { 0 };
	struct arena arena;

	arena_init(&arena, HOST_ARENA);
	if (n->hostinfo.n)
		(void)schema_decode(&host, &tailcfg_hostinfo_schema, &arena, n->hostinfo, NULL);
	model_free_name(n->tailnet, n, host.hostname, out);
	arena_fini(&arena);
}

static int device_name(struct rest *r)
{
	char was[NAME_SIZE], name[NAME_SIZE];
	struct tn_node *n, *other;
	struct bytes wish;

	if (rest_node(r, &n) < 0)
		return -1;
	if (!json_string(json_get(r->body, "name"), &wish))
		return rest_refuse(r, 400, "name is missing");
	for (size_t i = 0; i < wish.n; i++) /* the whole name is taken by its first label */
		if (wish.p[i] == '.')
			wish.n = i;
	if (!wish.n) {
		reset_name(n, name);
	} else {
		if (!names_is_label(wish) || !bytes_to_cstr(wish, name, sizeof(name)))
			return rest_refuse(r, 400, "a name is a DNS label in lower case");
		other = model_node(r->tailnet, wish);
		if (other && other != n)
			return rest_refuse(r, 400, "another device has that name");
	}
	memcpy(was, n->name, sizeof(was));
	model_rename(n, name);
	n->name_fixed = wish.n > 0;
	return device_changed(r, n, "node.rename", was, n->name);
}

static void tags_text(const struct text_set *set, struct buf *out)
{
	buf_init(out, 1 << 16);
	for (size_t i = 0; i < set->n; i++)
		(void)buf_printf(out, "%s%s", i ? " " : "", set->v[i]);
}

static int device_tags(struct rest *r)
{
	struct bytes tags[REST_LIST_MAX];
	struct buf was, is;
	struct tn_node *n;
	size_t count;
	int ret;

	if (rest_node(r, &n) < 0 || rest_tags(r, json_get(r->body, "tags"), tags, &count) < 0 ||
	    rest_may_tag(r, tags, count) < 0)
		return -1;
	if (!count && !n->user)
		return rest_refuse(r, 400, "a device without an owner needs a tag");
	tags_text(&n->tags, &was);
	if (text_set_assign(&n->tags, tags, count)) {
		list_remove(&n->user_link); /* tagged devices are nobody's */
		if (!count)
			list_append(&n->user->nodes, &n->user_link);
		else
			n->expiry = (struct wall){ 0 };
		model_touch(&r->c->model, n, PART_EXPIRY);
	}
	tags_text(&n->tags, &is);
	ret = device_changed(r, n, "node.tag", buf_cstr(&was), buf_cstr(&is));
	buf_fini(&was);
	buf_fini(&is);
	return ret;
}

/* ---- routes ---- */

static int put_routes(struct rest *r, const struct tn_node *n)
{
	json_open_object(&r->out);
	put_prefixes(&r->out, "advertisedRoutes", &n->advertised, NULL);
	put_prefixes(&r->out, "enabledRoutes", &n->approved, NULL);
	json_close_object(&r->out);
	return 0;
}

static int routes_get(struct rest *r)
{
	struct tn_node *n;

	return rest_node(r, &n) < 0 ? -1 : put_routes(r, n);
}

static int routes_set(struct rest *r)
{
	struct bytes texts[REST_LIST_MAX];
	struct prefix routes[REST_LIST_MAX];
	struct tn_node *n;
	size_t count;

	if (rest_node(r, &n) < 0 ||
	    rest_texts(r, json_get(r->body, "routes"), "routes", texts, &count) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (!prefix_parse(&routes[i], texts[i]) || !prefix_is_masked(routes[i]))
			return rest_refuse(r, 400, "%.*s is no prefix such as 10.1.0.0/16",
					   texts[i].n > 64 ? 64 : (int)texts[i].n,
					   (const char *)texts[i].p);
	(void)prefix_set_assign(&n->approved, routes, count);
	if (store_put_node(r->c->store, n, &r->err) < 0 ||
	    rest_done(r, "routes.set", n->name, NULL, NULL) < 0)
		return -1;
	core_node_changed(r->c, n);
	return put_routes(r, n);
}

/* ---- posture attributes ---- */

static int attributes_get(struct rest *r)
{
	struct tn_node *n;

	if (rest_node(r, &n) < 0)
		return -1;
	json_open_object(&r->out);
	attributes_put(n, &r->out);
	json_close_object(&r->out);
	return 0;
}

static int change_attributes(struct rest *r, struct tn_node *n, const struct json *changes)
{
	if (attributes_merge(n, changes, wall_now(), &r->err) < 0 ||
	    store_put_attributes(r->c->store, n, &r->err) < 0)
		return -1;
	core_node_changed(r->c, n);
	return 0;
}

/* One attribute as an object of one member; NULL: taken out. */
static const struct json *one_change(struct rest *r, bool drop)
{
	struct bytes key = rest_param(r, "key");
	struct json_out o;
	struct buf text;
	struct json *v;

	buf_init(&text, REST_BODY_MAX * 2);
	json_out_init(&o, &text);
	json_open_object(&o);
	json_key_bytes(&o, key);
	if (drop)
		json_put_null(&o);
	else
		json_put_value(&o, r->body);
	json_close_object(&o);
	v = json_parse(&r->arena, arena_bytes(&r->arena, buf_bytes(&text)), 0, NULL);
	buf_fini(&text);
	return v;
}

static int attribute_set(struct rest *r)
{
	struct tn_node *n;

	if (rest_node(r, &n) < 0)
		return -1;
	if (!json_is(r->body, JSON_OBJECT))
		return rest_refuse(r, 400, "the body is an object with value");
	if (change_attributes(r, n, one_change(r, false)) < 0 ||
	    rest_done(r, "node.attribute", n->name, NULL, NULL) < 0)
		return -1;
	json_open_object(&r->out);
	attributes_put(n, &r->out);
	json_close_object(&r->out);
	return 0;
}

static int attribute_delete(struct rest *r)
{
	struct tn_node *n;

	if (rest_node(r, &n) < 0 || change_attributes(r, n, one_change(r, true)) < 0 ||
	    rest_done(r, "node.attribute", n->name, NULL, NULL) < 0)
		return -1;
	return rest_empty(r);
}

// clang-format off
const struct rest_op rest_devices[] = {
	{ "GET", "/tailnet/{t}/devices", SCOPE_DEVICES_CORE, false, REST_NO_BODY, devices_list, "listTailnetDevices", "all devices; ?fields=all adds routes and connectivity, any other field=value filters", NULL, "DeviceList" },
	{ "GET", "/device/{id}", SCOPE_DEVICES_CORE, false, REST_NO_BODY, device_get, "getDevice", "one device", NULL, "Device" },
	{ "DELETE", "/device/{id}", SCOPE_DEVICES_CORE, true, REST_NO_BODY, device_delete, "deleteDevice", "remove it from the network" },
	{ "POST", "/device/{id}/expire", SCOPE_DEVICES_CORE, true, REST_NO_BODY, device_expire, "expireDeviceKey", "it must log in again" },
	{ "POST", "/device/{id}/authorized", SCOPE_DEVICES_CORE, true, REST_JSON, device_authorize, "authorizeDevice", "device approval", "Authorized" },
	{ "POST", "/device/{id}/name", SCOPE_DEVICES_CORE, true, REST_JSON, device_name, "setDeviceName", "fix its name; empty: follow the host", "Name" },
	{ "POST", "/device/{id}/tags", SCOPE_DEVICES_CORE, true, REST_JSON, device_tags, "setDeviceTags", "replace its tags", "Tags", NULL, SCOPE_DEVICES_TAGS },
	{ "POST", "/device/{id}/key", SCOPE_DEVICES_CORE, true, REST_JSON, device_key, "updateDeviceKey", "switch key expiry off or on", "KeyExpiry" },
	{ "GET", "/device/{id}/routes", SCOPE_DEVICES_ROUTES, false, REST_NO_BODY, routes_get, "listDeviceRoutes", "offered and enabled subnets", NULL, "Routes" },
	{ "POST", "/device/{id}/routes", SCOPE_DEVICES_ROUTES, true, REST_JSON, routes_set, "setDeviceRoutes", "replace the enabled subnets", "RoutesWish", "Routes" },
	{ "GET", "/device/{id}/attributes", SCOPE_DEVICES_POSTURE, false, REST_NO_BODY, attributes_get, "getDevicePostureAttributes", "custom posture attributes", NULL, "Attributes" },
	{ "POST", "/device/{id}/attributes/{key}", SCOPE_DEVICES_POSTURE, true, REST_JSON, attribute_set, "setCustomDevicePostureAttributes", "set one", "Attribute", "Attributes" },
	{ "DELETE", "/device/{id}/attributes/{key}", SCOPE_DEVICES_POSTURE, true, REST_NO_BODY, attribute_delete, "deleteCustomDevicePostureAttributes", "take one out" },
};
// clang-format on
const size_t rest_devices_n = array_len(rest_devices);
