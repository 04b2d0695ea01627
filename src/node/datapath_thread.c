/* What both directions share: batches, messages for control, starting and stopping. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "node/datapath_impl.h"

void datapath_thread_init(struct datapath_thread *t, struct datapath *dp, size_t ring_bytes)
{
	t->dp = dp;
	t->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ring_init(&t->to_control, ring_bytes);
}

void datapath_thread_fini(struct datapath_thread *t)
{
	if (t->wake >= 0)
		(void)close(t->wake);
	ring_fini(&t->to_control);
	aeadvec_destroy(t->aead);
}

static void ring_bell(int fd)
{
	uint64_t one = 1;

	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void silence(int fd)
{
	uint64_t n;

	while (read(fd, &n, sizeof(n)) < 0 && errno == EINTR)
		;
}

/*
 * Both sides exchange the flag: either the producer sees it set and rings, or the consumer's
 * exchange comes later, so that its look at the ring after it finds the record.
 */
void datapath_thread_wake(struct datapath_thread *t)
{
	if (atomic_exchange(&t->sleeping, false))
		ring_bell(t->wake);
}

static struct mono coarse_now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (struct mono){ (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec };
}

void datapath_batch_begin(struct datapath_thread *t)
{
	uint64_t e = atomic_load_explicit(&t->epoch, memory_order_relaxed);

	/* Sequentially consistent: what is loaded after it is what control published before it
	 * looked at the epoch. */
	atomic_store(&t->epoch, e + 1);
	t->now = coarse_now();
}

void datapath_batch_end(struct datapath_thread *t)
{
	uint64_t e = atomic_load_explicit(&t->epoch, memory_order_relaxed);

	atomic_store(&t->epoch, e + 1);
	if (!t->told)
		return;
	t->told = false;
	if (atomic_exchange(&t->dp->sleeping, false))
		ring_bell(t->dp->wake);
}

struct datapath_msg *datapath_tell(struct datapath_thread *t, enum datapath_msg_kind kind, size_t n,
				   uint8_t **data)
{
	uint8_t *p = ring_reserve(&t->to_control, sizeof(struct datapath_msg) + n);
	struct datapath_msg *msg = (struct datapath_msg *)p;

	if (!p) {
		datapath_add(t->counters, DATAPATH_DROP_CONTROL_FULL, 1);
		return NULL;
	}
	*msg = (struct datapath_msg){ .kind = (uint8_t)kind };
	if (data)
		*data = p + sizeof(*msg);
	return msg;
}

void datapath_told(struct datapath_thread *t)
{
	ring_commit(&t->to_control);
	datapath_add(t->counters, DATAPATH_TO_CONTROL, 1);
	t->told = true;
}

void datapath_tell_owner(struct datapath_thread *t, enum datapath_msg_kind kind, uint32_t owner)
{
	struct datapath_msg *msg = datapath_tell(t, kind, 0, NULL);

	if (!msg)
		return;
	msg->owner = owner;
	datapath_told(t);
}

void datapath_tell_broken(struct datapath_thread *t, const char *what, int error)
{
	struct datapath_msg *msg = datapath_tell(t, MSG_BROKEN, 0, NULL);

	t->broken = true;
	if (!msg)
		return;
	msg->what = what;
	msg->error = error;
	datapath_told(t);
}

/* Sleeps until an fd is readable or someone wakes us. */
static void nap(struct datapath_thread *t, struct pollfd *fds, nfds_t n, const struct ring *ring)
{
	(void)atomic_exchange(&t->sleeping, true);
	if (!(ring && !ring_is_empty(ring)) && !atomic_load(&t->dp->stop))
		(void)poll(fds, n, -1);
	atomic_store(&t->sleeping, false);
	if (fds[0].revents)
		silence(t->wake);
}

static void *run_egress(void *arg)
{
	struct egress *e = arg;
	struct datapath *dp = e->t.dp;

	while (!atomic_load(&dp->stop)) {
		struct pollfd fds[2] = { { e->t.wake, POLLIN, 0 },
					 { e->t.broken ? -1 : dp->tun.fd, POLLIN, 0 } };

		if (e->t.broken || !datapath_egress_turn(e))
			nap(&e->t, fds, array_len(fds), NULL);
	}
	return NULL;
}

static void *run_ingress(void *arg)
{
	struct ingress *in = arg;
	struct datapath *dp = in->t.dp;

	while (!atomic_load(&dp->stop)) {
		struct pollfd fds[3] = { { in->t.wake, POLLIN, 0 },
					 { dp->conf.udp4 ? dp->conf.udp4->fd : -1, POLLIN, 0 },
					 { dp->conf.udp6 ? dp->conf.udp6->fd : -1, POLLIN, 0 } };

		if (in->t.broken)
			fds[1].fd = fds[2].fd = -1;
		if (in->t.broken || !datapath_ingress_turn(in))
			nap(&in->t, fds, array_len(fds), in->t.broken ? NULL : &in->injected);
	}
	return NULL;
}

void datapath_start(struct datapath *dp)
{
	sigset_t all, before;

	if (dp->conf.threads == 0)
		return;
	atomic_store(&dp->stop, false);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	dp->out->t.running = pthread_create(&dp->out->t.id, NULL, run_egress, dp->out) == 0;
	dp->in->t.running = pthread_create(&dp->in->t.id, NULL, run_ingress, dp->in) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void datapath_stop(struct datapath *dp)
{
	struct datapath_thread *threads[2] = { &dp->out->t, &dp->in->t };

	atomic_store(&dp->stop, true);
	for (int i = 0; i < 2; i++) {
		if (!threads[i]->running)
			continue;
		ring_bell(threads[i]->wake);
		(void)pthread_join(threads[i]->id, NULL);
		threads[i]->running = false;
	}
}
