#include "app/control/scope.h"

#include <stdio.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"

#define BIT(s) (1u << (s))

// clang-format off
static const char *const names[SCOPES] = {
	[SCOPE_NONE] = "",
	[SCOPE_ALL] = "all",
	[SCOPE_DEVICES_CORE] = "devices:core",
	[SCOPE_DEVICES_TAGS] = "",
	[SCOPE_DEVICES_ROUTES] = "devices:routes",
	[SCOPE_DEVICES_POSTURE] = "devices:posture_attributes",
	[SCOPE_AUTH_KEYS] = "auth_keys",
	[SCOPE_OAUTH_KEYS] = "oauth_keys",
	[SCOPE_API_TOKENS] = "api_access_tokens",
	[SCOPE_POLICY_FILE] = "policy_file",
	[SCOPE_DNS] = "dns",
	[SCOPE_USERS] = "users",
	[SCOPE_FEATURE_SETTINGS] = "feature_settings",
	[SCOPE_NETWORKING_SETTINGS] = "networking_settings",
	[SCOPE_LOGS_CONFIGURATION] = "logs:configuration",
	[SCOPE_TAILNETS] = "tailnets",
};

/* Spellings of earlier years, still in people's scripts. */
static const struct {
	const char *name;
	uint32_t scopes;
} legacy[] = {
	{ "acl", BIT(SCOPE_POLICY_FILE) },
	{ "devices", BIT(SCOPE_DEVICES_CORE) | BIT(SCOPE_DEVICES_POSTURE) | BIT(SCOPE_AUTH_KEYS) },
	{ "routes", BIT(SCOPE_DEVICES_ROUTES) },
	{ "logs", BIT(SCOPE_LOGS_CONFIGURATION) },
};

/* w: read and write, r: read, -: nothing. In the order of enum tn_role. */
static const char *const rights[SCOPES] = {
	/*                                member owner admin network-admin it-admin auditor */
	[SCOPE_NONE]                = "------",
	[SCOPE_ALL]                 = "-w----",
	[SCOPE_DEVICES_CORE]        = "-wwrwr",
	[SCOPE_DEVICES_TAGS]        = "-wwwrr",
	[SCOPE_DEVICES_ROUTES]      = "-wwwrr",
	[SCOPE_DEVICES_POSTURE]     = "-wwrwr",
	[SCOPE_AUTH_KEYS]           = "-wwwwr",
	[SCOPE_OAUTH_KEYS]          = "-wwwwr",
	[SCOPE_API_TOKENS]          = "-wwwwr",
	[SCOPE_POLICY_FILE]         = "-wwwrr",
	[SCOPE_DNS]                 = "-wwwrr",
	[SCOPE_USERS]               = "-wwrwr",
	[SCOPE_FEATURE_SETTINGS]    = "-wwrwr",
	[SCOPE_NETWORKING_SETTINGS] = "-wwwrr",
	[SCOPE_LOGS_CONFIGURATION]  = "-rrrrr",
	[SCOPE_TAILNETS]            = "-w----",
};
// clang-format on

_Static_assert(ROLE_MEMBER == 0 && ROLE_AUDITOR == 5, "the columns above");

const char *scope_name(enum scope s, bool write, char out[48])
{
	(void)snprintf(out, 48, "%s%s", names[s], write || s == SCOPE_ALL ? "" : ":read");
	return out;
}

static uint32_t find(struct bytes name)
{
	if (!name.n)
		return 0;
	for (int i = 1; i < SCOPES; i++)
		if (bytes_equal_str(name, names[i]))
			return BIT(i);
	for (size_t i = 0; i < array_len(legacy); i++)
		if (bytes_equal_str(name, legacy[i].name))
			return legacy[i].scopes;
	return 0;
}

static bool take(struct scopes *s, struct bytes word)
{
	static const char read[] = ":read";
	size_t n = sizeof(read) - 1;
	bool only_read = word.n > n && bytes_equal_str(bytes_from(word, word.n - n), read);
	uint32_t bits = find(only_read ? bytes_of(word.p, word.n - n) : word);

	if (bits & BIT(SCOPE_LOGS_CONFIGURATION))
		only_read = true;
	if (bits & BIT(SCOPE_DEVICES_CORE))
		bits |= BIT(SCOPE_DEVICES_TAGS);
	s->read |= bits;
	s->write |= only_read ? 0 : bits;
	return bits != 0;
}

int scopes_parse(struct scopes *out, struct bytes text, struct err *err)
{
	struct bytes list, word;
	struct scopes s = { 0 };

	while (text_split(&text, ',', &list))
		while (text_split(&list, ' ', &word))
			if (word.n && !take(&s, word))
				return err_set(err, ERR_USAGE, "there is no scope %.*s",
					       word.n > 64 ? 64 : (int)word.n,
					       (const char *)word.p);
	*out = s;
	return 0;
}

void scopes_format(const struct scopes *s, struct buf *out)
{
	char name[48];

	for (int i = 1; i < SCOPES; i++) {
		if (!names[i][0] || !(s->read & BIT(i)))
			continue;
		if (out->n)
			(void)buf_append_u8(out, ' ');
		(void)buf_append_str(out, scope_name((enum scope)i, s->write & BIT(i), name));
	}
}

struct scopes scopes_of_role(enum tn_role role)
{
	struct scopes s = { 0 };

	for (int i = 1; i < SCOPES; i++) {
		s.read |= rights[i][role] != '-' ? BIT(i) : 0;
		s.write |= rights[i][role] == 'w' ? BIT(i) : 0;
	}
	return s;
}

static struct scopes expanded(struct scopes s)
{
	if (s.write & BIT(SCOPE_ALL))
		s.read = s.write = ~BIT(SCOPE_NONE);
	s.read |= s.write;
	return s;
}

bool scopes_allow(const struct scopes *s, enum scope scope, bool write)
{
	struct scopes e = expanded(*s);

	return scope != SCOPE_NONE && ((write ? e.write : e.read) & BIT(scope));
}

struct scopes scopes_both(struct scopes a, struct scopes b)
{
	a = expanded(a);
	b = expanded(b);
	return (struct scopes){ a.read & b.read, a.write & b.write };
}

bool scopes_are_within(const struct scopes *inner, const struct scopes *outer)
{
	struct scopes i = *inner, o = expanded(*outer);

	return !((i.read | i.write) & ~o.read) && !(i.write & ~o.write);
}
