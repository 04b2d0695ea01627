#include "os/resolver/resolv_conf.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"

static const char marker[] =
    "# Written by weft while it runs; what was here is put back when it stops.";
static const char was[] = "#was ";
static const char was_missing[] = "#was-missing";

/* ---- reading ---- */

static bool contains(struct bytes text, const char *word)
{
	return text.p && memmem(text.p, text.n, word, strlen(word));
}

static enum resolv_conf_writer writer_in(struct bytes comment)
{
	/* Not "resolvconf": systemd-resolved and others mention resolv.conf(5) and friends. */
	if (contains(comment, "systemd-resolved"))
		return RESOLV_CONF_RESOLVED;
	if (contains(comment, "NetworkManager"))
		return RESOLV_CONF_NETWORKMANAGER;
	if (contains(comment, "resolvconf"))
		return RESOLV_CONF_RESOLVCONF;
	return RESOLV_CONF_UNKNOWN;
}

static bool is_stub(struct ip ip)
{
	return ip_equal(ip, ip_v4(127, 0, 0, 53)) || ip_equal(ip, ip_v4(127, 0, 0, 54));
}

static void add_server(struct resolver_upstreams *up, struct ip ip)
{
	for (unsigned i = 0; i < up->count; i++)
		if (ip_equal(up->servers[i], ip))
			return;
	if (up->count < RESOLVER_UPSTREAMS_MAX)
		up->servers[up->count++] = ip;
}

static bool is_domain_char(uint8_t c)
{
	return c > ' ' && c < 0x7f && c != '#' && c != ';';
}

static void add_search(struct resolver_upstreams *up, struct bytes name)
{
	if (name.n && name.p[name.n - 1] == '.')
		name.n--;
	if (!name.n || name.n >= RESOLVER_DOMAIN_MAX ||
	    up->search_count >= RESOLVER_UPSTREAM_SEARCH_MAX)
		return;
	for (size_t i = 0; i < name.n; i++)
		if (!is_domain_char(name.p[i]))
			return;
	for (unsigned i = 0; i < up->search_count; i++)
		if (bytes_equal_nocase(name, bytes_str(up->search[i])))
			return;
	(void)bytes_to_cstr(name, up->search[up->search_count++], RESOLVER_DOMAIN_MAX);
}

static void take_options(struct resolv_conf *c, struct bytes rest)
{
	size_t n = strlen(c->options);
	struct bytes word;

	while (text_word(&rest, &word) && n + word.n + 2 < sizeof(c->options)) {
		if (!text_is_utf8(word) || memchr(word.p, 0, word.n))
			continue;
		n += (size_t)snprintf(c->options + n, sizeof(c->options) - n, "%s%.*s",
				      n ? " " : "", BYTES_FMT(word));
	}
}

static void take_line(struct resolv_conf *c, struct bytes line)
{
	struct bytes key, word;
	struct ip ip;

	if (!text_word(&line, &key))
		return;
	if (bytes_equal_str(key, "nameserver")) {
		if (text_word(&line, &word) && ip_parse(&ip, word))
			add_server(&c->up, ip);
	} else if (bytes_equal_str(key, "search") || bytes_equal_str(key, "domain")) {
		c->up.search_count = 0;
		while (text_word(&line, &word) && word.p[0] != '#' && word.p[0] != ';')
			add_search(&c->up, word);
	} else if (bytes_equal_str(key, "options")) {
		take_options(c, line);
	}
}

void resolv_conf_parse(struct resolv_conf *c, struct bytes text)
{
	bool top = true;
	struct bytes line;

	*c = (struct resolv_conf){ 0 };
	if (text.n > RESOLV_CONF_BYTES_MAX)
		text.n = RESOLV_CONF_BYTES_MAX;
	if (resolv_conf_is_ours(text))
		c->writer = RESOLV_CONF_OURS;
	while (text_split(&text, '\n', &line)) {
		line = text_trim(line);
		if (line.n && (line.p[0] == '#' || line.p[0] == ';')) {
			if (top && c->writer == RESOLV_CONF_UNKNOWN)
				c->writer = writer_in(line);
			continue;
		}
		top = top && !line.n;
		take_line(c, line);
	}
	c->only_stub = c->up.count > 0;
	for (unsigned i = 0; i < c->up.count; i++)
		if (!is_stub(c->up.servers[i]))
			c->only_stub = false;
}

void resolver_upstreams_merge(struct resolver_upstreams *to, const struct resolver_upstreams *from)
{
	for (unsigned i = 0; i < from->count; i++)
		add_server(to, from->servers[i]);
	for (unsigned i = 0; i < from->search_count; i++)
		add_search(to, bytes_str(from->search[i]));
}

static bool is_ours(const struct resolver_want *ours, struct ip ip)
{
	for (unsigned i = 0; i < ours->server_count; i++)
		if (ip_equal(ours->servers[i], ip))
			return true;
	/* The service addresses, whatever is wanted just now: asking ourselves is a loop. */
	return ip_equal(ip, ip_v4(100, 100, 100, 100)) ||
	       ip_equal(ip, ip_v6_of((const uint8_t[16]){ 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, 0, 0,
							  0, 0, 0, 0, 0, 0, 0, 0x53 }));
}

void resolver_upstreams_drop(struct resolver_upstreams *up, const struct resolver_want *ours)
{
	struct resolver_upstreams left = { 0 };

	for (unsigned i = 0; i < up->count; i++)
		if (!is_ours(ours, up->servers[i]) && !is_stub(up->servers[i]))
			add_server(&left, up->servers[i]);
	for (unsigned i = 0; i < up->search_count; i++) {
		bool mine = false;

		for (unsigned k = 0; k < ours->search_count; k++)
			mine |= !strcasecmp(up->search[i], ours->search[k]);
		if (!mine)
			add_search(&left, bytes_str(up->search[i]));
	}
	*up = left;
}

/* ---- ours ---- */

bool resolv_conf_is_ours(struct bytes text)
{
	return bytes_has_prefix(text, marker);
}

void resolv_conf_render_plain(struct buf *out, const struct resolver_want *want)
{
	char text[IP_TEXT_MAX];

	for (unsigned i = 0; i < want->server_count; i++)
		buf_printf(out, "nameserver %s\n", ip_format(want->servers[i], text));
	for (unsigned i = 0; i < want->search_count; i++)
		buf_printf(out, "%s%s", i ? " " : "search ", want->search[i]);
	if (want->search_count)
		buf_append_str(out, "\n");
}

void resolv_conf_render(struct buf *out, const struct resolver_want *want, struct bytes host)
{
	struct resolv_conf theirs;
	struct resolver_want mixed = *want;
	struct bytes rest = host, line;

	resolv_conf_parse(&theirs, host);
	resolver_upstreams_drop(&theirs.up, want);
	for (unsigned i = 0; !want->override_all && i < theirs.up.search_count; i++)
		if (mixed.search_count < RESOLVER_DOMAINS_MAX)
			(void)snprintf(mixed.search[mixed.search_count++], RESOLVER_DOMAIN_MAX,
				       "%s", theirs.up.search[i]);
	buf_printf(out, "%s\n# `weft dns status` says more.\n", marker);
	if (!host.p)
		buf_printf(out, "%s\n", was_missing);
	while (text_split(&rest, '\n', &line) && (line.n || rest.n)) {
		buf_append_str(out, was);
		buf_append(out, line);
		buf_append_str(out, "\n");
	}
	resolv_conf_render_plain(out, &mixed);
	if (theirs.options[0])
		buf_printf(out, "options %s\n", theirs.options);
}

bool resolv_conf_original(struct bytes ours, struct buf *out)
{
	struct bytes line;

	while (text_split(&ours, '\n', &line)) {
		if (bytes_equal_str(line, was_missing))
			return false;
		if (!bytes_has_prefix(line, was))
			continue;
		buf_append(out, bytes_from(line, sizeof(was) - 1));
		buf_append_str(out, "\n");
	}
	return true;
}
