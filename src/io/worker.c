#include "io/worker.h"

#include "base/mem.h"
#include "io/loop_uv.h"

struct job {
	uv_work_t req;
	struct loop *loop;
	void (*work)(void *arg);
	void (*done)(void *arg);
	void *arg;
};

static void in_pool(uv_work_t *req)
{
	struct job *job = container_of(req, struct job, req);

	job->work(job->arg);
}

static void in_loop(uv_work_t *req, int status)
{
	struct job job = *container_of(req, struct job, req);

	(void)status; /* nobody cancels */
	mem_free(container_of(req, struct job, req));
	loop_wake(job.loop);
	job.done(job.arg);
}

void worker_run(struct loop *loop, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
	struct job *job = mem_alloc(sizeof(*job));

	*job = (struct job){ .loop = loop, .work = work, .done = done, .arg = arg };
	/* Fails for a missing work function only, which would be our bug. */
	(void)uv_queue_work(loop_uv(loop), &job->req, in_pool, in_loop);
}
