#include "app/control/names.h"

#include <stdio.h>

static bool is_alnum(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static struct bytes strip_suffix(struct bytes host)
{
	static const char *const suffixes[] = { ".local", ".localdomain", ".lan" };

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		size_t n = strlen(suffixes[i]);

		if (host.n > n &&
		    bytes_equal_nocase(bytes_from(host, host.n - n), bytes_str(suffixes[i])))
			return bytes_of(host.p, host.n - n);
	}
	return host;
}

void names_sanitise(struct bytes host, char out[NAME_SIZE])
{
	size_t n = 0;

	host = strip_suffix(host);
	for (size_t i = 0; i < host.n && n < NAME_MAX_LEN; i++) {
		uint8_t c = lower(host.p[i]);
		bool dash = c == '-' || c == ' ' || c == '.' || c == '@' || c == '_';

		if (is_alnum(c))
			out[n++] = (char)c;
		else if (dash && n)
			out[n++] = '-';
	}
	while (n && !is_alnum((uint8_t)out[n - 1]))
		n--;
	out[n] = 0;
	if (!n)
		memcpy(out, "node", sizeof("node"));
}

void names_with_suffix(const char *base, unsigned n, char out[NAME_SIZE])
{
	char suffix[16] = "";
	size_t len = strlen(base), room;

	if (n)
		(void)snprintf(suffix, sizeof(suffix), "-%u", n);
	room = NAME_MAX_LEN - strlen(suffix);
	if (len > room)
		len = room;
	while (n && len && base[len - 1] == '-')
		len--;
	(void)snprintf(out, NAME_SIZE, "%.*s%s", (int)len, base, suffix);
}

bool names_is_label(struct bytes name)
{
	if (!name.n || name.n > NAME_MAX_LEN || !is_alnum(name.p[0]) ||
	    !is_alnum(name.p[name.n - 1]))
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (!is_alnum(name.p[i]) && name.p[i] != '-')
			return false;
	return true;
}
