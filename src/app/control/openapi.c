/* The OpenAPI 3 document, written from the tables of operations and the schemas below. */
#include "app/control/command_priv.h"
#include "app/control/rest.h"
#include "base/mem.h"
#include "base/text.h"

/*
 * Members as "name:kind", kind being s text, b truth, i number, t time, S list of texts, J
 * anything, or the name of another schema, with [] behind it for a list of those.
 */
static const struct {
	const char *name, *members;
} schemas[] = {
	{ "Device",
	  "id:s nodeId:s name:s hostname:s addresses:S user:s tags:S machineKey:s nodeKey:s "
	  "authorized:b isExternal:b isEphemeral:b keyExpiryDisabled:b created:t expires:t "
	  "lastSeen:t connectedToControl:b multipleConnections:b blocksIncomingConnections:b "
	  "sshEnabled:b os:s clientVersion:s updateAvailable:b tailnetLockError:s tailnetLockKey:s "
	  "distro:J advertisedRoutes:S enabledRoutes:S clientConnectivity:J" },
	{ "DeviceList", "devices:Device[]" },
	{ "Authorized", "authorized:b" },
	{ "Name", "name:s" },
	{ "Tags", "tags:S" },
	{ "KeyExpiry", "keyExpiryDisabled:b" },
	{ "RoutesWish", "routes:S" },
	{ "Routes", "advertisedRoutes:S enabledRoutes:S" },
	{ "Attribute", "value:J expiry:t comment:s" },
	{ "Attributes", "attributes:J expiries:J" },
	{ "Key", "id:s key:s keyType:s description:s created:t expires:t expirySeconds:i invalid:b "
		 "capabilities:J scopes:S tags:S userId:s" },
	{ "KeyList", "keys:Key[]" },
	{ "KeyWish", "keyType:s description:s expirySeconds:i capabilities:J scopes:S tags:S" },
	{ "OAuthToken", "access_token:s token_type:s expires_in:i scope:s" },
	{ "Policy", "" },
	{ "PolicyReport", "message:s data:J" },
	{ "PolicyPreview", "matches:J type:s previewFor:s" },
	{ "Nameservers", "dns:S magicDNS:b" },
	{ "DnsPreferences", "magicDNS:b" },
	{ "SearchPaths", "searchPaths:S" },
	{ "SplitDns", "" },
	{ "Settings",
	  "aclsExternallyManagedOn:b aclsExternalLink:s devicesApprovalOn:b devicesAutoUpdatesOn:b "
	  "devicesKeyDurationDays:i usersApprovalOn:b usersRoleAllowedToJoinExternalTailnets:s "
	  "networkFlowLoggingOn:b regionalRoutingOn:b postureIdentityCollectionOn:b "
	  "httpsEnabled:b" },
	{ "User",
	  "id:s displayName:s loginName:s profilePicUrl:s tailnetId:s created:t type:s role:s "
	  "status:s deviceCount:i lastSeen:t currentlyConnected:b" },
	{ "UserList", "users:User[]" },
	{ "RoleWish", "role:s" },
	{ "AuditLog", "version:s tailnetId:s tailnet:s logs:J" },
	{ "Tailnet", "id:s displayName:s orgId:s dnsName:s alreadyExists:b oauthClient:J" },
	{ "TailnetList", "tailnets:Tailnet[] cursor:s totalCount:i" },
	{ "TailnetWish", "displayName:s" },
	{ "Command", "argv:S input:s" },
	{ "Description", "" },
	{ "Error", "message:s status:i data:J" },
};

static void put_ref(struct json_out *o, struct bytes name)
{
	struct buf text;

	buf_init(&text, 256);
	(void)buf_printf(&text, "#/components/schemas/%.*s", BYTES_FMT(name));
	json_open_object(o);
	command_put(o, "$ref", buf_cstr(&text));
	json_close_object(o);
	buf_fini(&text);
}

static void put_type(struct json_out *o, const char *type, const char *format)
{
	json_open_object(o);
	command_put(o, "type", type);
	if (format)
		command_put(o, "format", format);
	json_close_object(o);
}

static void put_list(struct json_out *o, struct bytes of)
{
	json_open_object(o);
	command_put(o, "type", "array");
	json_key(o, "items");
	if (of.n)
		put_ref(o, of);
	else
		put_type(o, "string", NULL);
	json_close_object(o);
}

static void put_kind(struct json_out *o, struct bytes kind)
{
	if (bytes_equal_str(kind, "s"))
		put_type(o, "string", NULL);
	else if (bytes_equal_str(kind, "t")) /* "" when it never was: no date-time */
		put_type(o, "string", NULL);
	else if (bytes_equal_str(kind, "b"))
		put_type(o, "boolean", NULL);
	else if (bytes_equal_str(kind, "i"))
		put_type(o, "integer", "int64");
	else if (bytes_equal_str(kind, "S"))
		put_list(o, (struct bytes){ 0 });
	else if (kind.n > 2 && kind.p[kind.n - 1] == ']')
		put_list(o, bytes_of(kind.p, kind.n - 2));
	else
		json_put_raw(o, bytes_str("{}"));
}

static void put_schema(struct json_out *o, const char *members)
{
	struct bytes rest = bytes_str(members), member, name;

	json_open_object(o);
	command_put(o, "type", "object");
	json_key(o, "properties");
	json_open_object(o);
	while (text_split(&rest, ' ', &member))
		if (text_split(&member, ':', &name) && name.n) {
			json_key_bytes(o, name);
			put_kind(o, member);
		}
	json_close_object(o);
	json_close_object(o);
}

static void put_content(struct json_out *o, const char *description, const char *schema)
{
	json_open_object(o);
	if (description)
		command_put(o, "description", description);
	if (schema) {
		json_key(o, "content");
		json_open_object(o);
		json_key(o, "application/json");
		json_open_object(o);
		json_key(o, "schema");
		put_ref(o, bytes_str(schema));
		json_close_object(o);
		json_close_object(o);
	}
	json_close_object(o);
}

static void put_parameters(struct json_out *o, struct bytes path)
{
	struct bytes piece;

	json_key(o, "parameters");
	json_open_array(o);
	while (text_split(&path, '/', &piece)) {
		if (piece.n < 3 || piece.p[0] != '{')
			continue;
		json_open_object(o);
		json_key(o, "name");
		json_put_string(o, bytes_of(piece.p + 1, piece.n - 2));
		command_put(o, "in", "path");
		command_put_bool(o, "required", true);
		json_key(o, "schema");
		put_type(o, "string", NULL);
		json_close_object(o);
	}
	json_close_array(o);
}

static void put_security(struct json_out *o, const struct rest_op *op)
{
	char scope[48];

	json_key(o, "security");
	json_open_array(o);
	if (op->auth != REST_OPEN) {
		json_open_object(o);
		json_key(o, "oauth");
		json_open_array(o);
		if (op->auth == REST_SCOPED)
			json_put_cstr(o, scope_name(op->scope, op->write, scope));
		json_close_array(o);
		json_close_object(o);
		json_put_raw(o, bytes_str("{\"bearer\":[]}"));
		json_put_raw(o, bytes_str("{\"basic\":[]}"));
	}
	json_close_array(o);
}

static void put_operation(struct json_out *o, const struct rest_op *op)
{
	json_open_object(o);
	command_put(o, "operationId", op->id);
	command_put(o, "summary", op->says);
	put_parameters(o, bytes_str(op->path));
	if (op->takes) {
		json_key(o, "requestBody");
		put_content(o, NULL, op->takes);
	}
	json_key(o, "responses");
	json_open_object(o);
	json_key(o, "200");
	put_content(o, "done", op->yields);
	json_key(o, "default");
	put_content(o, "refused", "Error");
	json_close_object(o);
	put_security(o, op);
	json_close_object(o);
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* All methods of the path of the i-th operation, when that is the first with this path. */
static void put_path(struct json_out *o, size_t i)
{
	const struct rest_op *first = rest_op_at(i), *op;
	char method[16];

	for (size_t j = 0; j < i; j++)
		if (strcmp(rest_op_at(j)->path, first->path) == 0)
			return;
	json_key(o, first->path);
	json_open_object(o);
	for (size_t j = i; (op = rest_op_at(j)); j++) {
		size_t n = 0;

		if (strcmp(op->path, first->path) != 0)
			continue;
		for (; op->method[n] && n + 1 < sizeof(method); n++)
			method[n] = lower(op->method[n]);
		method[n] = 0;
		json_key(o, method);
		put_operation(o, op);
	}
	json_close_object(o);
}

static void put_schemes(struct json_out *o, const struct control *c)
{
	char scope[48];
	struct buf url;

	buf_init(&url, 1024);
	(void)buf_printf(&url, "%s/api/v2/oauth/token", c->conf.server_url);
	json_key(o, "securitySchemes");
	json_open_object(o);
	json_key(o, "bearer");
	json_put_raw(o, bytes_str("{\"type\":\"http\",\"scheme\":\"bearer\"}"));
	json_key(o, "basic");
	json_put_raw(o, bytes_str("{\"type\":\"http\",\"scheme\":\"basic\"}"));
	json_key(o, "oauth");
	json_open_object(o);
	command_put(o, "type", "oauth2");
	json_key(o, "flows");
	json_open_object(o);
	json_key(o, "clientCredentials");
	json_open_object(o);
	command_put(o, "tokenUrl", buf_cstr(&url));
	json_key(o, "scopes");
	json_open_object(o);
	for (int write = 0; write < 2; write++)
		for (int s = 1; s < SCOPES; s++) {
			(void)scope_name((enum scope)s, write, scope);
			if (scope[0] != 0 && scope[0] != ':' && (write || s != SCOPE_ALL))
				command_put(o, scope, write ? "read and write" : "read");
		}
	json_close_object(o);
	json_close_object(o);
	json_close_object(o);
	json_close_object(o);
	json_close_object(o);
	buf_fini(&url);
}

void rest_describe(const struct control *c, struct buf *out)
{
	struct json_out o;
	struct buf url;

	buf_init(&url, 1024);
	(void)buf_printf(&url, "%s/api/v2", c->conf.server_url);
	json_out_init(&o, out);
	json_open_object(&o);
	command_put(&o, "openapi", "3.1.0");
	json_key(&o, "info");
	json_open_object(&o);
	command_put(&o, "title", "weft-control");
	command_put(&o, "version", WEFT_VERSION);
	json_close_object(&o);
	json_key(&o, "servers");
	json_open_array(&o);
	json_open_object(&o);
	command_put(&o, "url", buf_cstr(&url));
	json_close_object(&o);
	json_close_array(&o);
	json_key(&o, "paths");
	json_open_object(&o);
	for (size_t i = 0; rest_op_at(i); i++)
		put_path(&o, i);
	json_close_object(&o);
	json_key(&o, "components");
	json_open_object(&o);
	put_schemes(&o, c);
	json_key(&o, "schemas");
	json_open_object(&o);
	for (size_t i = 0; i < array_len(schemas); i++) {
		json_key(&o, schemas[i].name);
		put_schema(&o, schemas[i].members);
	}
	json_close_object(&o);
	json_close_object(&o);
	json_close_object(&o);
	buf_fini(&url);
}
