#include "app/tunnel/uapi.h"

#include <errno.h>
#include <stdio.h>

#include "app/tunnel/device.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/text.h"
#include "base/wall.h"

size_t uapi_request_length(struct bytes input)
{
	const uint8_t *at = input.n ? memmem(input.p, input.n, "\n\n", 2) : NULL;

	return at ? (size_t)(at - input.p) + 2 : 0;
}

/* --- get --- */

static void put_key(struct buf *out, const char *name, const uint8_t key[32])
{
	char hex[TEXT_HEX_LEN(32) + 1];

	text_hex(bytes_of(key, 32), hex);
	(void)buf_printf(out, "%s=%s\n", name, hex);
	secret_wipe(hex, sizeof(hex));
}

/* The machine counts monotonic time; people want to know the hour. */
static void put_handshake(struct buf *out, struct mono when)
{
	int64_t ns = 0;

	if (!mono_is_zero(when))
		ns = wall_now().ns - (mono_now().ns - when.ns);
	(void)buf_printf(out, "last_handshake_time_sec=%lld\nlast_handshake_time_nsec=%lld\n",
			 (long long)(ns / 1000000000), (long long)(ns % 1000000000));
}

static void put_peer(struct device *d, const struct device_peer *p, struct buf *out)
{
	struct wg_peer_status status = { 0 };
	char text[ADDRPORT_TEXT_MAX];

	put_key(out, "public_key", p->public_key.b);
	put_key(out, "preshared_key", p->psk.b);
	(void)buf_append_str(out, "protocol_version=1\n");
	if (ip_is_valid(p->endpoint.ip))
		(void)buf_printf(out, "endpoint=%s\n", addrport_format(p->endpoint, text));
	(void)wg_peer_status(d->wg, mono_now(), p->id, &status);
	put_handshake(out, status.last_handshake);
	(void)buf_printf(out, "tx_bytes=%llu\nrx_bytes=%llu\npersistent_keepalive_interval=%u\n",
			 (unsigned long long)status.tx_bytes, (unsigned long long)status.rx_bytes,
			 p->keepalive_s);
	list_each (it, (struct list *)&p->allowed)
		(void)buf_printf(
		    out, "allowed_ip=%s\n",
		    prefix_format(list_entry(it, struct device_allowed, link)->prefix, text));
}

static void get(struct device *d, struct buf *out)
{
	if (!secret_is_zero(&d->private_key, sizeof(d->private_key)))
		put_key(out, "private_key", d->private_key.b);
	(void)buf_printf(out, "listen_port=%u\n", d->listen_port);
	if (d->fwmark)
		(void)buf_printf(out, "fwmark=%u\n", d->fwmark);
	list_each (it, &d->peers)
		put_peer(d, list_entry(it, struct device_peer, link), out);
}

/* --- set --- */

struct setter {
	struct device *d;
	struct device_peer *peer; /* whose lines these are */
	bool in_peer, skip;       /* after public_key; of a peer that is not to be made */
	bool created;
};

static bool is_true(struct bytes v)
{
	return bytes_equal_str(v, "true");
}

static int set_private_key(struct setter *s, struct bytes v)
{
	struct secret32 key;
	int ret = -EINVAL;

	if (text_unhex(v, key.b, sizeof(key.b)))
		ret = device_set_private_key(s->d, &key, NULL) < 0 ? -EIO : 0;
	secret32_wipe(&key);
	return ret;
}

static int set_listen_port(struct setter *s, struct bytes v)
{
	struct err err = { 0 };
	uint64_t n;

	if (!text_u64(v, UINT16_MAX, &n))
		return -EINVAL;
	if (device_set_port(s->d, (uint16_t)n, &err) == 0)
		return 0;
	return err.sys ? -err.sys : -EIO;
}

static int set_fwmark(struct setter *s, struct bytes v)
{
	struct err err = { 0 };
	uint64_t n = 0;

	if (v.n && !text_u64(v, UINT32_MAX, &n))
		return -EINVAL;
	if (device_set_fwmark(s->d, (uint32_t)n, &err) == 0)
		return 0;
	return err.sys ? -err.sys : -EIO;
}

static int set_replace_peers(struct setter *s, struct bytes v)
{
	if (!is_true(v))
		return -EINVAL;
	device_remove_peers(s->d);
	return 0;
}

static int set_public_key(struct setter *s, struct bytes v)
{
	struct key key;

	if (!text_unhex(v, key.b, sizeof(key.b)))
		return -EINVAL;
	s->in_peer = true;
	/* Our own key is skipped without an error, as elsewhere. */
	s->skip = key_equal(&key, &s->d->public_key);
	s->peer = device_peer_find(s->d, &key);
	s->created = !s->peer && !s->skip;
	if (s->created)
		s->peer = device_peer_add(s->d, &key, NULL);
	return s->peer || s->skip ? 0 : -EINVAL;
}

static int set_remove(struct setter *s, struct bytes v)
{
	if (!is_true(v))
		return -EINVAL;
	device_peer_remove(s->d, s->peer);
	s->peer = NULL;
	s->skip = true;
	return 0;
}

static int set_update_only(struct setter *s, struct bytes v)
{
	if (!is_true(v))
		return -EINVAL;
	if (!s->created)
		return 0;
	device_peer_remove(s->d, s->peer);
	s->peer = NULL;
	s->skip = true;
	return 0;
}

static int set_psk(struct setter *s, struct bytes v)
{
	struct secret32 key;
	int ret = -EINVAL;

	if (text_unhex(v, key.b, sizeof(key.b)))
		ret = device_peer_set_psk(s->d, s->peer, &key, NULL) < 0 ? -EIO : 0;
	secret32_wipe(&key);
	return ret;
}

static int set_endpoint(struct setter *s, struct bytes v)
{
	struct addrport addr;

	if (!addrport_parse(&addr, v) || addr.port == 0)
		return -EINVAL;
	device_peer_set_endpoint(s->d, s->peer, &addr);
	return 0;
}

static int set_keepalive(struct setter *s, struct bytes v)
{
	uint64_t n;

	if (!text_u64(v, UINT16_MAX, &n))
		return -EINVAL;
	device_peer_set_keepalive(s->d, s->peer, (uint16_t)n);
	return 0;
}

static int set_replace_allowed(struct setter *s, struct bytes v)
{
	if (!is_true(v))
		return -EINVAL;
	device_peer_disallow_all(s->d, s->peer);
	return 0;
}

/* "-prefix" takes one away: newer tools. */
static int set_allowed(struct setter *s, struct bytes v)
{
	bool remove = v.n && v.p[0] == '-';
	struct prefix prefix;

	if (!prefix_parse(&prefix, bytes_from(v, remove)))
		return -EINVAL;
	if (remove)
		device_peer_disallow(s->d, s->peer, prefix);
	else
		device_peer_allow(s->d, s->peer, prefix);
	return 0;
}

static int set_version(struct setter *s, struct bytes v)
{
	(void)s;
	return bytes_equal_str(v, "1") ? 0 : -EPROTONOSUPPORT;
}

static const struct {
	const char *key;
	bool peer;
	int (*set)(struct setter *s, struct bytes value); /* 0 or -errno */
} setters[] = {
	{ "private_key", false, set_private_key },
	{ "listen_port", false, set_listen_port },
	{ "fwmark", false, set_fwmark },
	{ "replace_peers", false, set_replace_peers },
	{ "remove", true, set_remove },
	{ "update_only", true, set_update_only },
	{ "preshared_key", true, set_psk },
	{ "endpoint", true, set_endpoint },
	{ "persistent_keepalive_interval", true, set_keepalive },
	{ "replace_allowed_ips", true, set_replace_allowed },
	{ "allowed_ip", true, set_allowed },
	{ "protocol_version", true, set_version },
};

static int set_line(struct setter *s, struct bytes line)
{
	struct bytes key;

	if (!memchr(line.p, '=', line.n))
		return -EPROTO;
	(void)text_split(&line, '=', &key);
	if (bytes_equal_str(key, "public_key"))
		return set_public_key(s, line);
	for (size_t i = 0; i < array_len(setters); i++) {
		if (!bytes_equal_str(key, setters[i].key) || setters[i].peer != s->in_peer)
			continue;
		return s->in_peer && s->skip ? 0 : setters[i].set(s, line);
	}
	return -EINVAL;
}

static int set(struct device *d, struct bytes lines)
{
	struct setter s = { .d = d };
	struct bytes line;
	int ret = 0;

	while (ret == 0 && text_split(&lines, '\n', &line) && line.n)
		ret = set_line(&s, line);
	device_commit(d);
	return ret;
}

bool uapi_answer(struct device *d, struct bytes request, struct buf *out)
{
	struct bytes verb;
	int ret = 0;

	if (!text_split(&request, '\n', &verb))
		return false;
	if (bytes_equal_str(verb, "get=1"))
		get(d, out);
	else if (bytes_equal_str(verb, "set=1"))
		ret = set(d, request);
	else
		return false;
	return buf_printf(out, "errno=%d\n\n", -ret) && !out->bad;
}
