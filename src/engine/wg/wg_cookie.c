#include "engine/wg/wg_cookie.h"

#include "base/rand.h"
#include "crypto/aead.h"
#include "crypto/hash.h"

enum { COOKIE_LIFE_S = 120 };

static void labelled(uint8_t out[32], const char *label, const struct key *k)
{
	struct bytes parts[] = { bytes_str(label), bytes_of(k->b, 32) };

	hash_blake2s(out, parts, 2);
}

static struct bytes before_mac1(struct bytes msg)
{
	return bytes_of(msg.p, msg.n - 2 * (size_t)WG_MAC_LEN);
}

static struct bytes before_mac2(struct bytes msg)
{
	return bytes_of(msg.p, msg.n - WG_MAC_LEN);
}

static const uint8_t *mac1_of(struct bytes msg)
{
	return msg.p + msg.n - 2 * (size_t)WG_MAC_LEN;
}

void wg_cookie_judge_init(struct wg_cookie_judge *j, const struct key *ours)
{
	*j = (struct wg_cookie_judge){ 0 };
	labelled(j->mac1_key, "mac1----", ours);
	labelled(j->reply_key.b, "cookie--", ours);
}

bool wg_cookie_mac1_ok(const struct wg_cookie_judge *j, struct bytes msg)
{
	uint8_t mac[WG_MAC_LEN];

	hash_blake2s_mac(mac, bytes_of(j->mac1_key, 32), before_mac1(msg));
	return secret_equal(mac, mac1_of(msg), WG_MAC_LEN);
}

/* What a cookie is bound to: address, port and path. The bytes are ours to choose. */
static void cookie_for(const struct wg_cookie_judge *j, const struct wg_source *from,
		       uint8_t cookie[16])
{
	uint8_t where[32];
	struct writer w = writer_of(where, sizeof(where));

	write_u8(&w, from->addr.ip.family);
	write_copy(&w, from->addr.ip.b, sizeof(from->addr.ip.b));
	write_be16(&w, from->addr.port);
	write_be64(&w, from->via);
	hash_blake2s_mac(cookie, bytes_of(j->random.b, 32), bytes_of(where, writer_done(&w)));
}

static bool has_random(const struct wg_cookie_judge *j, struct mono now)
{
	return !mono_is_zero(j->random_until) && !mono_reached(now, j->random_until);
}

bool wg_cookie_mac2_ok(const struct wg_cookie_judge *j, struct mono now,
		       const struct wg_source *from, struct bytes msg)
{
	uint8_t cookie[16], mac[WG_MAC_LEN];

	if (!has_random(j, now))
		return false;
	cookie_for(j, from, cookie);
	hash_blake2s_mac(mac, bytes_of(cookie, sizeof(cookie)), before_mac2(msg));
	secret_wipe(cookie, sizeof(cookie));
	return secret_equal(mac, msg.p + msg.n - WG_MAC_LEN, WG_MAC_LEN);
}

void wg_cookie_issue(struct wg_cookie_judge *j, struct mono now, struct rng *rng,
		     const struct wg_source *from, struct bytes msg, uint32_t receiver,
		     uint8_t out[WG_COOKIE_REPLY_LEN])
{
	struct wg_cookie_reply m = { .receiver = receiver };
	uint8_t cookie[16];

	if (!has_random(j, now)) {
		secret32_random(&j->random, rng);
		j->random_until = mono_add_s(now, COOKIE_LIFE_S);
	}
	rng->fill(rng, m.nonce, sizeof(m.nonce));
	cookie_for(j, from, cookie);
	aead_xseal(m.sealed_cookie, &j->reply_key, m.nonce, bytes_of(cookie, sizeof(cookie)),
		   bytes_of(mac1_of(msg), WG_MAC_LEN));
	wg_cookie_reply_encode(&m, out);
	secret_wipe(cookie, sizeof(cookie));
}

void wg_cookie_jar_init(struct wg_cookie_jar *jar, const struct key *theirs)
{
	*jar = (struct wg_cookie_jar){ 0 };
	labelled(jar->mac1_key, "mac1----", theirs);
	labelled(jar->reply_key.b, "cookie--", theirs);
}

void wg_cookie_stamp(struct wg_cookie_jar *jar, struct mono now, uint8_t *msg, size_t n)
{
	struct bytes m = bytes_of(msg, n);

	hash_blake2s_mac(jar->last_mac1, bytes_of(jar->mac1_key, 32), before_mac1(m));
	memcpy(msg + n - 2 * (size_t)WG_MAC_LEN, jar->last_mac1, WG_MAC_LEN);
	jar->waiting = true;
	if (mono_is_zero(jar->cookie_until) || mono_reached(now, jar->cookie_until)) {
		memset(msg + n - WG_MAC_LEN, 0, WG_MAC_LEN);
		return;
	}
	hash_blake2s_mac(msg + n - WG_MAC_LEN, bytes_of(jar->cookie, sizeof(jar->cookie)),
			 before_mac2(m));
	jar->cookie_used = true;
}

bool wg_cookie_take(struct wg_cookie_jar *jar, struct mono now, const struct wg_cookie_reply *m)
{
	uint8_t cookie[16];

	if (!jar->waiting || !aead_xopen(cookie, &jar->reply_key, m->nonce,
					 bytes_of(m->sealed_cookie, sizeof(m->sealed_cookie)),
					 bytes_of(jar->last_mac1, sizeof(jar->last_mac1))))
		return false;
	memcpy(jar->cookie, cookie, sizeof(cookie));
	secret_wipe(cookie, sizeof(cookie));
	jar->cookie_until = mono_add_s(now, COOKIE_LIFE_S);
	jar->cookie_used = false;
	jar->waiting = false; /* one cookie per message: a replayed reply changes nothing */
	return true;
}

void wg_cookie_forget(struct wg_cookie_jar *jar)
{
	secret_wipe(jar->cookie, sizeof(jar->cookie));
	jar->cookie_until = (struct mono){ 0 };
	jar->cookie_used = false;
}
