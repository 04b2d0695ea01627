#include "node/datapath_path.h"

#include "base/map.h"
#include "base/mem.h"

void datapath_peers_fini(struct datapath_peers *t)
{
	for (size_t i = 0; i < array_len(t->chunks); i++)
		mem_free(atomic_load(&t->chunks[i]));
}

struct datapath_peer *datapath_peer_of(const struct datapath_peers *t, uint32_t owner)
{
	struct datapath_peer *chunk;

	if (owner >= WG_OWNER_MAX)
		return NULL;
	chunk = atomic_load_explicit(&t->chunks[owner / DATAPATH_CHUNK], memory_order_acquire);
	return chunk ? &chunk[owner % DATAPATH_CHUNK] : NULL;
}

struct datapath_peer *datapath_peer_make(struct datapath_peers *t, uint32_t owner)
{
	struct datapath_peer *p = datapath_peer_of(t, owner);

	if (p || owner >= WG_OWNER_MAX)
		return p;
	p = mem_alloc(DATAPATH_CHUNK * sizeof(*p));
	atomic_store_explicit(&t->chunks[owner / DATAPATH_CHUNK], p, memory_order_release);
	return &p[owner % DATAPATH_CHUNK];
}

/*
 * Every word is loaded with acquire and stored with release: whoever sees a new word also sees the
 * odd number stored before it, so the second look at the number tells. No fences, which the thread
 * sanitizer cannot follow.
 */
struct datapath_path datapath_peer_path(const struct datapath_peer *p)
{
	struct datapath_path path = { 0 };
	uint64_t w[DATAPATH_PATH_WORDS];
	uint32_t seq;

	do {
		seq = atomic_load_explicit(&p->seq, memory_order_acquire);
		for (int i = 0; i < DATAPATH_PATH_WORDS; i++)
			w[i] = atomic_load_explicit(&p->words[i], memory_order_acquire);
	} while (seq & 1 || atomic_load_explicit(&p->seq, memory_order_relaxed) != seq);
	path.addr.ip.family = (uint8_t)w[0];
	path.addr.port = (uint16_t)(w[0] >> 8);
	path.vni = (uint32_t)(w[0] >> 32);
	memcpy(path.addr.ip.b, &w[1], 8);
	memcpy(path.addr.ip.b + 8, &w[2], 8);
	path.relay = (uint32_t)w[3];
	path.trusted_until.ns = (int64_t)w[4];
	return path;
}

void datapath_peer_set_path(struct datapath_peer *p, const struct datapath_path *path)
{
	struct datapath_path old = datapath_peer_path(p);
	uint64_t w[DATAPATH_PATH_WORDS] = { 0 };
	uint32_t seq;

	w[0] = path->addr.ip.family | (uint64_t)path->addr.port << 8 | (uint64_t)path->vni << 32;
	memcpy(&w[1], path->addr.ip.b, 8);
	memcpy(&w[2], path->addr.ip.b + 8, 8);
	w[3] = path->relay;
	w[4] = (uint64_t)path->trusted_until.ns;
	do
		seq = atomic_load_explicit(&p->seq, memory_order_relaxed) & ~UINT32_C(1);
	while (!atomic_compare_exchange_weak_explicit(&p->seq, &seq, seq + 1, memory_order_acquire,
						      memory_order_relaxed));
	for (int i = 0; i < DATAPATH_PATH_WORDS; i++)
		atomic_store_explicit(&p->words[i], w[i], memory_order_release);
	atomic_store_explicit(&p->seq, seq + 2, memory_order_release);
	if (!addrport_equal(old.addr, path->addr))
		atomic_store_explicit(&p->no_gso, false, memory_order_relaxed);
}

uint64_t datapath_source_hash(const struct datapath_source *s)
{
	static const uint64_t seed[2] = { 1, 2 }; /* only those who hold a session get here */
	uint8_t b[27];
	struct writer w = writer_of(b, sizeof(b));

	write_u8(&w, s->addr.ip.family);
	write_copy(&w, s->addr.ip.b, 16);
	write_be16(&w, s->addr.port);
	write_be32(&w, s->vni);
	write_be32(&w, s->relay);
	return map_hash(seed, bytes_of(b, sizeof(b))) | 1;
}
