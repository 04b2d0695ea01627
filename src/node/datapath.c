#include "node/datapath.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "node/datapath_impl.h"

enum {
	RING_MIN = 32 << 10,
	RING_MAX = 256 << 10,
	SLOT = 64 << 10,
	BUDGET_MIN = 768 << 10,
	BUDGET_MAX = 4 << 20,
	/* Below this the vector library's 3.5 MB are too much. */
	BUDGET_FOR_VECTORS = 2 << 20,
	MACHINE_SHARE = 64, /* of its memory */
	SINGLE_THREAD_MB = 96,
	MTU_DEFAULT = 1280,
	PLAIN_SPARE = 128, /* headers of ours, and some */
};

static uint64_t machine_bytes(void)
{
	struct sysinfo info;

	return sysinfo(&info) < 0 ? 0 : (uint64_t)info.totalram * info.mem_unit;
}

unsigned datapath_threads_wanted(void)
{
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2 || machine_bytes() >> 20 < SINGLE_THREAD_MB)
		return 0;
	return 2;
}

static size_t budget(size_t asked)
{
	uint64_t n = asked ? asked : machine_bytes() / MACHINE_SHARE;

	if (!asked && n > BUDGET_MAX)
		n = BUDGET_MAX;
	return n < BUDGET_MIN ? BUDGET_MIN : (size_t)n;
}

static size_t ring_bytes(size_t total)
{
	size_t n = RING_MIN;

	while (n * 2 <= RING_MAX && n * 2 <= total / 16)
		n *= 2;
	return n;
}

static unsigned slots_for(size_t total, bool gro)
{
	size_t n = total / 2 / SLOT;

	if (!gro)
		return UDP_PLAIN_VECTOR;
	return n > UDP_VECTOR ? UDP_VECTOR : n < 2 ? 2 : (unsigned)n;
}

static bool uses_gro(const struct datapath *dp)
{
	return (dp->conf.udp4 && dp->conf.udp4->gro) || (dp->conf.udp6 && dp->conf.udp6->gro);
}

/* --- the bell: how data threads reach the caller's loop --- */

static void watch(struct datapath *dp, int fd, bool on)
{
	struct epoll_event ev = { .events = EPOLLIN };

	if (fd >= 0)
		(void)epoll_ctl(dp->epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, fd, &ev);
}

static void watch_all(struct datapath *dp, bool on)
{
	if (dp->conf.threads)
		return;
	watch(dp, dp->tun.fd, on);
	watch(dp, dp->conf.udp4 ? dp->conf.udp4->fd : -1, on);
	watch(dp, dp->conf.udp6 ? dp->conf.udp6->fd : -1, on);
}

void datapath_unwatch(struct datapath *dp)
{
	watch_all(dp, false);
}

void datapath_hear(struct datapath *dp)
{
	uint64_t n;

	atomic_store(&dp->sleeping, false);
	while (read(dp->wake, &n, sizeof(n)) < 0 && errno == EINTR)
		;
}

void datapath_again(struct datapath *dp)
{
	uint64_t one = 1;

	while (write(dp->wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

int datapath_fd(const struct datapath *dp)
{
	return dp->epoll;
}

/* --- life --- */

static void ready_group(struct datapath *dp)
{
	bool merge = dp->coalesce && !atomic_load(&dp->coalesce_off);

	offload_group_init(&dp->in->group, merge && dp->tun.tso, merge && dp->tun.uso);
	dp->in->refused = 0;
}

static int make_vector(struct datapath *dp, struct err *err)
{
	struct ingress *in = dp->in;
	/* Jumbo datagrams need the large slots even when nothing merges them. */
	bool gro = uses_gro(dp) || dp->conf.mtu > UDP_PLAIN_SLOT - PLAIN_SPARE;

	udp_vector_destroy(in->vector);
	in->slots = slots_for(dp->buffer_bytes, gro);
	in->vector = udp_vector_create(gro, in->slots);
	if (!in->vector)
		return err_sys(err, "receive buffers");
	return 0;
}

static int make_ciphers(struct datapath *dp, struct err *err)
{
	const char *name = dp->conf.crypto;

	if (!name && dp->buffer_bytes < BUDGET_FOR_VECTORS)
		name = "openssl";
	dp->out->t.aead = aeadvec_create(name, err);
	dp->in->t.aead = dp->out->t.aead ? aeadvec_create(name, err) : NULL;
	return dp->in->t.aead ? 0 : err_wrap(err, "packet encryption");
}

static void make_threads(struct datapath *dp)
{
	size_t ring = ring_bytes(dp->buffer_bytes);

	dp->out = aligned_alloc(128, (sizeof(*dp->out) + 127) & ~(size_t)127);
	dp->in = aligned_alloc(128, (sizeof(*dp->in) + 127) & ~(size_t)127);
	if (!dp->out || !dp->in)
		abort();
	memset(dp->out, 0, sizeof(*dp->out));
	memset(dp->in, 0, sizeof(*dp->in));
	datapath_thread_init(&dp->out->t, dp, ring);
	datapath_thread_init(&dp->in->t, dp, ring);
	ring_init(&dp->in->injected, ring);
	/* Behind the slab: room for one packet on its way to control. */
	dp->out->slab = mem_alloc(DATAPATH_SLAB + TUN_FRAME_MAX);
	dp->out->frame = mem_alloc(TUN_FRAME_MAX);
}

struct datapath *datapath_create(const struct datapath_conf *conf, struct err *err)
{
	struct datapath *dp = aligned_alloc(128, (sizeof(*dp) + 127) & ~(size_t)127);

	if (!dp)
		abort();
	memset(dp, 0, sizeof(*dp));
	dp->conf = *conf;
	dp->conf.tun = NULL;
	dp->tun = conf->tun ? *conf->tun : (struct tun){ .fd = -1 };
	if (!dp->conf.mtu)
		dp->conf.mtu = MTU_DEFAULT;
	if (dp->conf.threads)
		dp->conf.threads = 2;
	dp->coalesce = !conf->no_coalesce;
	atomic_store(&dp->never_equal_tail, conf->never_equal_tail);
	list_init(&dp->quiets);
	dp->buffer_bytes = budget(conf->memory_bytes);
	dp->epoll = epoll_create1(EPOLL_CLOEXEC);
	dp->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	make_threads(dp);
	if (dp->epoll < 0 || dp->wake < 0 || dp->out->t.wake < 0 || dp->in->t.wake < 0) {
		err_sys(err, "event descriptors");
		datapath_destroy(dp);
		return NULL;
	}
	if (make_vector(dp, err) < 0 || make_ciphers(dp, err) < 0) {
		datapath_destroy(dp);
		return NULL;
	}
	ready_group(dp);
	watch(dp, dp->wake, true);
	watch_all(dp, true);
	datapath_start(dp);
	datapath_again(dp); /* the caller's peers may have timers already */
	return dp;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}

void datapath_destroy(struct datapath *dp)
{
	if (!dp)
		return;
	datapath_stop(dp);
	datapath_run_quiet(dp, true);
	close_fd(dp->epoll);
	close_fd(dp->wake);
	udp_vector_destroy(dp->in->vector);
	ring_fini(&dp->in->injected);
	mem_free(dp->out->slab);
	mem_free(dp->out->frame);
	datapath_thread_fini(&dp->out->t);
	datapath_thread_fini(&dp->in->t);
	mem_free(dp->out);
	mem_free(dp->in);
	datapath_peers_fini(&dp->peers);
	wg_allowed_unref(atomic_load(&dp->allowed));
	mem_free(dp);
}

/* --- peers and paths --- */

static void unref_allowed(void *arg)
{
	wg_allowed_unref(arg);
}

void datapath_set_allowed(struct datapath *dp, struct wg_allowed *allowed)
{
	struct wg_allowed *old;

	wg_set_allowed(dp->conf.wg, allowed);
	old = atomic_exchange(&dp->allowed, allowed ? wg_allowed_ref(allowed) : NULL);
	if (old)
		datapath_when_quiet(dp, unref_allowed, old);
}

void datapath_set_path(struct datapath *dp, uint32_t owner, const struct datapath_path *path)
{
	struct datapath_peer *p = datapath_peer_make(&dp->peers, owner);

	if (p)
		datapath_peer_set_path(p, path);
}

struct datapath_path datapath_path_of(const struct datapath *dp, uint32_t owner)
{
	const struct datapath_peer *p = datapath_peer_of(&dp->peers, owner);

	return p ? datapath_peer_path(p) : (struct datapath_path){ 0 };
}

void datapath_watch_send(struct datapath *dp, uint32_t owner)
{
	struct datapath_peer *p = datapath_peer_make(&dp->peers, owner);

	if (p)
		atomic_store(&p->watched, true);
}

void datapath_forget(struct datapath *dp, uint32_t owner)
{
	struct datapath_peer *p = datapath_peer_of(&dp->peers, owner);

	if (!p)
		return;
	datapath_peer_set_path(p, &(struct datapath_path){ 0 });
	atomic_store(&p->source, 0);
	atomic_store(&p->watched, false);
}

/* --- packets of the control thread --- */

bool datapath_inject(struct datapath *dp, struct bytes datagram, const struct datapath_source *from)
{
	struct datapath_msg msg = { .kind = MSG_INJECT, .from = *from };
	uint8_t *p = ring_reserve(&dp->in->injected, sizeof(msg) + datagram.n);

	if (!p) {
		datapath_add(dp->counters, DATAPATH_DROP_CONTROL_FULL, 1);
		return false;
	}
	memcpy(p, &msg, sizeof(msg));
	memcpy(p + sizeof(msg), datagram.p, datagram.n);
	ring_commit(&dp->in->injected);
	if (dp->conf.threads)
		datapath_thread_wake(&dp->in->t);
	else
		datapath_again(dp);
	return true;
}

bool datapath_write_tun(struct datapath *dp, struct bytes packet)
{
	uint8_t zero[TUN_HDR_LEN] = { 0 };
	struct iovec iov[2] = { { zero, sizeof(zero) }, { (void *)packet.p, packet.n } };
	unsigned skip = dp->tun.vnet ? 0 : 1;

	if (dp->tun.fd < 0)
		return false;
	datapath_add(dp->counters, DATAPATH_TUN_WRITES, 1);
	if (tun_write(&dp->tun, iov + skip, 2 - (int)skip) < 0) {
		datapath_add(dp->counters, DATAPATH_DROP_TUN_WRITE, 1);
		return false;
	}
	datapath_add(dp->counters, DATAPATH_TUN_PACKETS_IN, 1);
	return true;
}

bool datapath_send_datagram(struct datapath *dp, const struct addrport *to, struct bytes datagram)
{
	struct udp *udp = datapath_udp_for(dp, to);
	bool sent = udp && udp_send(udp, to, datagram.p, datagram.n) == UDP_SENT;

	datapath_add(dp->counters, sent ? DATAPATH_UDP_DATAGRAMS_OUT : DATAPATH_DROP_SEND_ERROR, 1);
	return sent;
}

/* --- changes --- */

static void pause_threads(struct datapath *dp)
{
	datapath_stop(dp);
	watch_all(dp, false);
}

static void resume_threads(struct datapath *dp)
{
	dp->broken = dp->out->t.broken = dp->in->t.broken = false;
	ready_group(dp);
	watch_all(dp, true);
	datapath_start(dp);
	datapath_again(dp);
}

void datapath_set_sockets(struct datapath *dp, struct udp *udp4, struct udp *udp6)
{
	struct err err;

	pause_threads(dp);
	dp->conf.udp4 = udp4;
	dp->conf.udp6 = udp6;
	memset(dp->in->overflows, 0, sizeof(dp->in->overflows));
	if (make_vector(dp, &err) < 0)
		abort(); /* no address space for a megabyte */
	resume_threads(dp);
}

void datapath_set_tun(struct datapath *dp, const struct tun *tun)
{
	pause_threads(dp);
	dp->tun = tun ? *tun : (struct tun){ .fd = -1 };
	resume_threads(dp);
}

void datapath_set_mtu(struct datapath *dp, unsigned mtu)
{
	struct err err;

	pause_threads(dp);
	dp->conf.mtu = mtu;
	wg_set_mtu(dp->conf.wg, mtu);
	if (make_vector(dp, &err) < 0)
		abort(); /* no address space for a megabyte */
	resume_threads(dp);
}

void datapath_set_never_equal_tail(struct datapath *dp, bool on)
{
	atomic_store(&dp->never_equal_tail, on);
}

/* --- what happened --- */

uint64_t datapath_count(const struct datapath *dp, enum datapath_counter c)
{
	return atomic_load_explicit(&dp->out->t.counters[c], memory_order_relaxed) +
	       atomic_load_explicit(&dp->in->t.counters[c], memory_order_relaxed) +
	       atomic_load_explicit(&dp->counters[c], memory_order_relaxed);
}

const char *datapath_counter_name(enum datapath_counter c)
{
	static const char *const names[] = {
#define NAME(name, sentence) #name,
		DATAPATH_COUNTERS(NAME)
#undef NAME
	};

	return names[c];
}

const char *datapath_counter_sentence(enum datapath_counter c)
{
	static const char *const sentences[] = {
#define SENTENCE(name, sentence) sentence,
		DATAPATH_COUNTERS(SENTENCE)
#undef SENTENCE
	};

	return sentences[c];
}

struct datapath_features datapath_features(const struct datapath *dp)
{
	const struct udp *u4 = dp->conf.udp4, *u6 = dp->conf.udp6;

	return (struct datapath_features){
		.crypto = aeadvec_name(dp->out->t.aead),
		.tun_vnet = dp->tun.fd >= 0 && dp->tun.vnet,
		.tun_tso = dp->tun.tso,
		.tun_uso = dp->tun.uso,
		.coalesce = dp->coalesce && !atomic_load(&dp->coalesce_off),
		.udp4_gso = u4 && atomic_load(&u4->gso),
		.udp4_gro = u4 && u4->gro,
		.udp6_gso = u6 && atomic_load(&u6->gso),
		.udp6_gro = u6 && u6->gro,
		.threads = dp->conf.threads,
		.buffer_bytes = dp->buffer_bytes,
	};
}
