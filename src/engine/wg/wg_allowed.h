/*
 * engine/wg/wg_allowed.h - cryptokey routing: longest prefix to the peer that owns it.
 *
 * Host addresses (/32, /128) live in open-addressed hash tables, shorter prefixes in multibit tries
 * of 8 bits per step that are asked only after the hash missed. A snapshot never changes: publish
 * it whole, and unref the old one after every reader passed a quiescent point. It answers both
 * questions: where a packet goes (destination), and whether a peer may send from there (source).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "engine/wg/wg_session.h"

struct wg_allowed; /* immutable */

struct wg_allowed_entry {
	struct prefix prefix; /* host bits are ignored */
	uint32_t owner;
};

/* When a prefix is listed twice the later entry counts. Holds one reference. */
struct wg_allowed *wg_allowed_create(const struct wg_allowed_entry *entries, size_t n);
struct wg_allowed *wg_allowed_ref(struct wg_allowed *a);
void wg_allowed_unref(struct wg_allowed *a); /* NULL is a no-op */

/* WG_OWNER_NONE when nothing covers the address. */
uint32_t wg_allowed_lookup(const struct wg_allowed *a, const struct ip *ip);
uint32_t wg_allowed_lookup4(const struct wg_allowed *a, uint32_t host_order);
uint32_t wg_allowed_lookup6(const struct wg_allowed *a, const uint8_t addr[16]);
/* A peer may send from the addresses that lead back to it. */
static inline bool wg_allowed_source(const struct wg_allowed *a, const struct ip *source,
				     uint32_t owner)
{
	return owner != WG_OWNER_NONE && wg_allowed_lookup(a, source) == owner;
}
size_t wg_allowed_bytes(const struct wg_allowed *a); /* memory held */

/* The set that snapshots are taken from, for callers that get changes instead of whole maps. */
struct wg_allowed_set;
struct wg_allowed_set *wg_allowed_set_create(void);
void wg_allowed_set_destroy(struct wg_allowed_set *s); /* NULL is a no-op */
void wg_allowed_set_put(struct wg_allowed_set *s, struct prefix prefix, uint32_t owner);
bool wg_allowed_set_remove(struct wg_allowed_set *s, struct prefix prefix);
size_t wg_allowed_set_remove_owner(struct wg_allowed_set *s, uint32_t owner);
struct wg_allowed *wg_allowed_set_snapshot(const struct wg_allowed_set *s);
