#include "app/tunnel/conf.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"

enum { MTU_MIN = 576, MTU_MAX = 65535 - 32 };

struct parser {
	struct tunnel_conf *conf;
	const char *name;
	unsigned line;
	struct tunnel_peer_conf *peer; /* NULL: in [Interface] */
	bool in_section, has_key;
	struct err *err;
};

static int fail(struct parser *p, const char *key, const char *accepted)
{
	return err_set(p->err, ERR_USAGE, "%s:%u: %s: %s", p->name, p->line, key, accepted);
}

bool tunnel_key_base64(struct bytes text, uint8_t out[32])
{
	struct buf b;
	bool ok;

	buf_init(&b, 48);
	ok = text.n == TEXT_BASE64_LEN(32) && text_unbase64(BASE64_STD, text, &b) && b.n == 32;
	if (ok)
		memcpy(out, b.p, 32);
	if (b.p)
		secret_wipe(b.p, b.n);
	buf_fini(&b);
	return ok;
}

/* Decimal, or hexadecimal with 0x. */
static bool number(struct bytes text, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (!bytes_has_prefix(text, "0x"))
		return text_u64(text, max, out);
	if (text.n < 3 || text.n > 10)
		return false;
	for (size_t i = 2; i < text.n; i++) {
		uint8_t c = text.p[i] | 0x20;

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
		v = v * 16 + (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	*out = v;
	return v <= max;
}

/* An address alone is one host. */
static bool prefix_or_host(struct bytes text, struct prefix *out)
{
	struct ip ip;

	if (prefix_parse(out, text))
		return true;
	if (!ip_parse(&ip, text))
		return false;
	*out = prefix_of(ip);
	return true;
}

/* --- [Interface] --- */

static int set_private_key(struct parser *p, struct bytes v)
{
	p->has_key = true;
	if (!tunnel_key_base64(v, p->conf->private_key.b))
		return fail(p, "PrivateKey",
			    "must be 44 characters of base64, as `wg genkey` prints");
	return 0;
}

static int set_listen_port(struct parser *p, struct bytes v)
{
	uint64_t n;

	if (!text_u64(v, UINT16_MAX, &n))
		return fail(p, "ListenPort", "must be a number from 0 to 65535");
	p->conf->listen_port = (uint16_t)n;
	return 0;
}

static int set_fwmark(struct parser *p, struct bytes v)
{
	uint64_t n = 0;

	if (!bytes_equal_nocase(v, bytes_str("off")) && !number(v, UINT32_MAX, &n))
		return fail(p, "FwMark", "must be 'off', a number or 0x with up to 8 hex digits");
	p->conf->fwmark = (uint32_t)n;
	return 0;
}

static int set_address(struct parser *p, struct bytes v)
{
	struct bytes piece;

	while (text_split(&v, ',', &piece)) {
		struct prefix prefix;

		if (!prefix_or_host(text_trim(piece), &prefix))
			return fail(p, "Address", "must be addresses like 10.0.0.1/24, fd00::1/64");
		if (p->conf->address_count == TUNNEL_ADDRESSES_MAX)
			return fail(p, "Address", "there may be at most 64");
		p->conf->addresses[p->conf->address_count++] = prefix;
	}
	return 0;
}

static int set_mtu(struct parser *p, struct bytes v)
{
	uint64_t n;

	if (!text_u64(v, MTU_MAX, &n) || n < MTU_MIN)
		return fail(p, "MTU", "must be a number from 576 to 65503");
	p->conf->mtu = (unsigned)n;
	return 0;
}

static int set_table(struct parser *p, struct bytes v)
{
	uint64_t n;

	if (bytes_equal_nocase(v, bytes_str("auto")))
		p->conf->table = TUNNEL_TABLE_AUTO;
	else if (bytes_equal_nocase(v, bytes_str("off")))
		p->conf->table = TUNNEL_TABLE_OFF;
	else if (text_u64(v, UINT32_MAX, &n) && n > 0)
		p->conf->table = (int64_t)n;
	else
		return fail(p, "Table", "must be 'auto', 'off' or the number of a routing table");
	return 0;
}

/* --- [Peer] --- */

static int set_public_key(struct parser *p, struct bytes v)
{
	if (!tunnel_key_base64(v, p->peer->public_key.b) || key_is_zero(&p->peer->public_key))
		return fail(p, "PublicKey",
			    "must be 44 characters of base64, as `wg pubkey` prints");
	return 0;
}

static int set_psk(struct parser *p, struct bytes v)
{
	if (!tunnel_key_base64(v, p->peer->psk.b))
		return fail(p, "PresharedKey",
			    "must be 44 characters of base64, as `wg genpsk` prints");
	return 0;
}

static int set_allowed(struct parser *p, struct bytes v)
{
	struct tunnel_peer_conf *peer = p->peer;
	struct bytes piece;

	while (text_split(&v, ',', &piece)) {
		struct prefix prefix;

		piece = text_trim(piece);
		if (piece.n == 0)
			continue; /* wg writes "AllowedIPs = " for none */
		if (!prefix_or_host(piece, &prefix))
			return fail(p, "AllowedIPs", "must be prefixes like 10.0.0.0/24, ::/0");
		mem_reserve(peer->allowed, peer->allowed_count, peer->allowed_cap);
		peer->allowed[peer->allowed_count++] = prefix_masked(prefix);
		p->conf->default4 |= prefix.len == 0 && prefix.addr.family == 4;
		p->conf->default6 |= prefix.len == 0 && prefix.addr.family == 6;
	}
	return 0;
}

static int set_endpoint(struct parser *p, struct bytes v)
{
	struct addrport addr;
	struct bytes host = v, port = { 0 };
	uint64_t n;

	for (size_t i = v.n; i > 0; i--)
		if (v.p[i - 1] == ':') {
			host.n = i - 1;
			port = bytes_from(v, i);
			break;
		}
	if (!addrport_parse(&addr, v) &&
	    (host.n == 0 || host.p[0] == '[' || memchr(host.p, ':', host.n) ||
	     !text_u64(port, UINT16_MAX, &n) || n == 0))
		return fail(p, "Endpoint",
			    "must be host:port, 192.0.2.1:51820 or [2001:db8::1]:51820");
	if (!bytes_to_cstr(v, p->peer->endpoint, sizeof(p->peer->endpoint)))
		return fail(p, "Endpoint", "the host name is too long");
	return 0;
}

static int set_keepalive(struct parser *p, struct bytes v)
{
	uint64_t n = 0;

	if (!bytes_equal_nocase(v, bytes_str("off")) && !text_u64(v, UINT16_MAX, &n))
		return fail(p, "PersistentKeepalive", "must be 'off' or seconds from 0 to 65535");
	p->peer->keepalive_s = (uint16_t)n;
	return 0;
}

/* --- lines --- */

static int refuse_command(struct parser *p, const char *key)
{
	return fail(p, key,
		    "commands are not run from here; do it in the unit that starts weftd tunnel");
}

struct line {
	bool peer; /* belongs to [Peer] */
	const char *key;
	int (*set)(struct parser *p, struct bytes value); /* NULL: refused */
	const char *refusal;                              /* NULL: because it runs commands */
};

static const struct line lines[] = {
	{ false, "PrivateKey", set_private_key, NULL },
	{ false, "ListenPort", set_listen_port, NULL },
	{ false, "FwMark", set_fwmark, NULL },
	{ false, "Address", set_address, NULL },
	{ false, "MTU", set_mtu, NULL },
	{ false, "Table", set_table, NULL },
	{ false, "PreUp", NULL, NULL },
	{ false, "PostUp", NULL, NULL },
	{ false, "PreDown", NULL, NULL },
	{ false, "PostDown", NULL, NULL },
	{ false, "DNS", NULL, "the resolver is not changed from here; configure it by resolvectl" },
	{ false, "SaveConfig", NULL, "the file is never written; use `wg showconf` for that" },
	{ true, "PublicKey", set_public_key, NULL },
	{ true, "PresharedKey", set_psk, NULL },
	{ true, "AllowedIPs", set_allowed, NULL },
	{ true, "Endpoint", set_endpoint, NULL },
	{ true, "PersistentKeepalive", set_keepalive, NULL },
};

static int unknown_key(struct parser *p, struct bytes key, const struct line *elsewhere)
{
	const char *best = NULL;
	size_t distance = 4;

	if (elsewhere)
		return fail(p, elsewhere->key,
			    elsewhere->peer ? "belongs into [Peer]" : "belongs into [Interface]");
	for (size_t i = 0; i < array_len(lines); i++) {
		size_t d = text_distance(key, bytes_str(lines[i].key));

		if (lines[i].peer == (p->peer != NULL) && d < distance) {
			distance = d;
			best = lines[i].key;
		}
	}
	if (key.n > 40)
		key.n = 40;
	if (best)
		return err_set(p->err, ERR_USAGE, "%s:%u: '%.*s' is no key; did you mean %s?",
			       p->name, p->line, BYTES_FMT(key), best);
	return err_set(p->err, ERR_USAGE, "%s:%u: '%.*s' is no key of [%s]", p->name, p->line,
		       BYTES_FMT(key), p->peer ? "Peer" : "Interface");
}

static int key_value(struct parser *p, struct bytes key, struct bytes value)
{
	const struct line *elsewhere = NULL;

	for (size_t i = 0; i < array_len(lines); i++) {
		if (!bytes_equal_nocase(key, bytes_str(lines[i].key)))
			continue;
		if (lines[i].peer != (p->peer != NULL)) {
			elsewhere = &lines[i];
			continue;
		}
		if (lines[i].set)
			return lines[i].set(p, value);
		return lines[i].refusal ? fail(p, lines[i].key, lines[i].refusal)
					: refuse_command(p, lines[i].key);
	}
	return unknown_key(p, key, elsewhere);
}

static int finish_peer(struct parser *p)
{
	if (p->peer && key_is_zero(&p->peer->public_key)) {
		p->line = p->peer->line;
		return fail(p, "[Peer]", "has no PublicKey");
	}
	return 0;
}

static int section(struct parser *p, struct bytes line)
{
	if (finish_peer(p) < 0)
		return -1;
	p->in_section = true;
	if (bytes_equal_nocase(line, bytes_str("[Interface]"))) {
		p->peer = NULL;
		return 0;
	}
	if (!bytes_equal_nocase(line, bytes_str("[Peer]")))
		return fail(p, "section", "must be [Interface] or [Peer]");
	mem_reserve(p->conf->peers, p->conf->peer_count, p->conf->peer_cap);
	p->peer = &p->conf->peers[p->conf->peer_count++];
	*p->peer = (struct tunnel_peer_conf){ .line = p->line };
	return 0;
}

static int take_line(struct parser *p, struct bytes line)
{
	const uint8_t *hash = line.n ? memchr(line.p, '#', line.n) : NULL;
	struct bytes key;

	if (hash)
		line.n = (size_t)(hash - line.p);
	line = text_trim(line);
	if (line.n == 0)
		return 0;
	if (line.p[0] == '[')
		return section(p, line);
	if (!memchr(line.p, '=', line.n))
		return fail(p, "line", "must be a [section], 'Key = value' or a # comment");
	if (!p->in_section)
		return fail(p, "line", "there must be a [section] above it");
	(void)text_split(&line, '=', &key);
	return key_value(p, text_trim(key), text_trim(line));
}

int tunnel_conf_parse(struct tunnel_conf *conf, const char *name, struct bytes text,
		      struct err *err)
{
	struct parser p = { .conf = conf, .name = name, .err = err };
	struct bytes line;

	*conf = (struct tunnel_conf){ .table = TUNNEL_TABLE_AUTO };
	while (text_split(&text, '\n', &line)) {
		p.line++;
		if (take_line(&p, line) < 0)
			return -1;
	}
	if (finish_peer(&p) < 0)
		return -1;
	if (!p.has_key)
		return err_set(err, ERR_USAGE, "%s: [Interface] needs a PrivateKey", name);
	return 0;
}

void tunnel_conf_forget_peers(struct tunnel_conf *conf)
{
	for (size_t i = 0; i < conf->peer_count; i++) {
		secret32_wipe(&conf->peers[i].psk);
		mem_free(conf->peers[i].allowed);
	}
	mem_free(conf->peers);
	conf->peers = NULL;
	conf->peer_count = conf->peer_cap = 0;
}

void tunnel_conf_fini(struct tunnel_conf *conf)
{
	tunnel_conf_forget_peers(conf);
	secret_wipe(conf, sizeof(*conf));
}
