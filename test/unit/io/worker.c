#include "io/worker.h"

#include "kit/kit.h"
#include "support.h"

enum { JOBS = 64 };

struct job_test {
	unsigned squared, done_count;
	unsigned *total;
};

static void square(void *arg)
{
	struct job_test *j = arg;

	j->squared *= j->squared;
}

static void collect(void *arg)
{
	struct job_test *j = arg;

	j->done_count++;
	(*j->total)++;
}

TEST(worker_jobs_come_back_once_with_their_results)
{
	struct loop *loop = test_loop();
	struct job_test jobs[JOBS];
	unsigned total = 0;

	for (unsigned i = 0; i < JOBS; i++) {
		jobs[i] = (struct job_test){ .squared = i, .total = &total };
		worker_run(loop, square, collect, &jobs[i]);
	}
	CHECK(turn_until(loop, &total, JOBS));
	for (unsigned i = 0; i < JOBS; i++) {
		CHECK_INT(jobs[i].squared, i * i);
		CHECK_INT(jobs[i].done_count, 1);
	}
	loop_destroy(loop);
}

TEST(worker_jobs_are_done_before_the_loop_is_gone)
{
	struct loop *loop = test_loop();
	unsigned total = 0;
	struct job_test job = { .squared = 3, .total = &total };

	worker_run(loop, square, collect, &job);
	loop_destroy(loop);
	CHECK_INT(total, 1);
	CHECK_INT(job.squared, 9);
}
