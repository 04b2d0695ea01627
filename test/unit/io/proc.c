#include "io/proc.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "kit/kit.h"
#include "support.h"

struct run {
	struct loop *loop;
	struct proc *proc;
	unsigned exits;
	struct proc_result r;
	struct buf out, err;
};

static void on_exit_of(void *arg, const struct proc_result *r)
{
	struct run *run = arg;

	run->exits++;
	run->r = *r;
	run->proc = NULL;
	buf_append(&run->out, r->out);
	buf_append(&run->err, r->err);
}

static void run_init(struct run *run, struct proc_conf conf)
{
	struct err err = { 0 };

	*run = (struct run){ .loop = test_loop() };
	buf_init(&run->out, 8 << 20);
	buf_init(&run->err, 8 << 20);
	conf.on_exit = on_exit_of;
	conf.arg = run;
	run->proc = proc_start(run->loop, &conf, &err);
	CHECK(run->proc != NULL);
	CHECK_STR(err.text, "");
}

static void run_fini(struct run *run)
{
	proc_destroy(run->proc);
	buf_fini(&run->out);
	buf_fini(&run->err);
	loop_destroy(run->loop);
}

static void run_to_end(struct run *run, struct proc_conf conf)
{
	run_init(run, conf);
	CHECK(turn_until(run->loop, &run->exits, 1));
}

#define SHELL(script)                                                                              \
	(const char *const[])                                                                      \
	{                                                                                          \
		"/bin/sh", "-c", script, NULL                                                      \
	}

TEST(proc_output_error_and_status)
{
	struct run run;

	run_to_end(&run, (struct proc_conf){ .argv = SHELL("echo out; echo err >&2; exit 3") });
	CHECK_INT(run.r.status, 3);
	CHECK_INT(run.r.signal, 0);
	CHECK(!run.r.timed_out && !run.r.truncated);
	CHECK_STR(buf_cstr(&run.out), "out\n");
	CHECK_STR(buf_cstr(&run.err), "err\n");
	run_fini(&run);
}

TEST(proc_arguments_are_not_seen_by_a_shell)
{
	struct run run;

	run_to_end(&run, (struct proc_conf){
			     .argv = (const char *const[]){ "echo", "$HOME; `id`", "*", NULL } });
	CHECK_STR(buf_cstr(&run.out), "$HOME; `id` *\n");
	run_fini(&run);
}

TEST(proc_reads_its_input_from_memory)
{
	enum { SIZE = 1 << 20 };
	struct run run;
	uint8_t *data = mem_alloc(SIZE);

	fill_pattern(data, SIZE, 0);
	run_to_end(&run, (struct proc_conf){ .argv = (const char *const[]){ "cat", NULL },
					     .input = bytes_of(data, SIZE),
					     .output_max = SIZE });
	CHECK(!run.r.truncated);
	CHECK_INT(run.out.n, SIZE);
	CHECK(bytes_equal(buf_bytes(&run.out), bytes_of(data, SIZE)));
	run_fini(&run);

	/* A child that does not read its input ends all the same; one without gets an empty one. */
	run_to_end(&run,
		   (struct proc_conf){ .argv = SHELL("exit 0"), .input = bytes_of(data, SIZE) });
	run_fini(&run);
	run_to_end(&run, (struct proc_conf){ .argv = (const char *const[]){ "cat", NULL } });
	CHECK_INT(run.out.n, 0);
	CHECK_INT(run.r.status, 0);
	run_fini(&run);
	mem_free(data);
}

TEST(proc_output_past_the_limit_is_dropped)
{
	struct run run;

	run_to_end(&run, (struct proc_conf){ .argv = SHELL("head -c 300000 /dev/zero | tr '\\0' x"),
					     .output_max = 1000 });
	CHECK_INT(run.r.status, 0);
	CHECK(run.r.truncated);
	CHECK_INT(run.out.n, 1000);
	run_fini(&run);
}

TEST(proc_environment_is_what_was_named)
{
	struct run run;

	(void)setenv("WEFT_TEST_SECRET", "leaked", 1);
	(void)setenv("WEFT_TEST_KEPT", "kept", 1);
	run_to_end(&run,
		   (struct proc_conf){
		       .argv = (const char *const[]){ "/usr/bin/env", NULL },
		       .env_keep = (const char *const[]){ "WEFT_TEST_KEPT", "WEFT_TEST_NONE",
							  "WEFT_TEST_SECRET", NULL },
		       .env_set = (const char *const[]){ "WEFT_TEST_SECRET=replaced", NULL } });
	CHECK_STR(buf_cstr(&run.out), "WEFT_TEST_KEPT=kept\nWEFT_TEST_SECRET=replaced\n");
	run_fini(&run);
	run_to_end(&run, (struct proc_conf){ .argv = SHELL("echo \"$WEFT_TEST_SECRET.\"") });
	CHECK_STR(buf_cstr(&run.out), ".\n");
	run_fini(&run);
}

TEST(proc_inherits_no_descriptor)
{
	struct run run;

	run_to_end(&run,
		   (struct proc_conf){ .argv = SHELL("ls /proc/self/fd | wc -l"), .folder = "/" });
	CHECK_STR(buf_cstr(&run.out), "4\n"); /* 0, 1, 2 and the folder that ls reads */
	run_fini(&run);
}

TEST(proc_timeout_kills_the_whole_group)
{
	struct run run;
	struct mono start = mono_now();

	run_to_end(&run, (struct proc_conf){ .argv = SHELL("echo begun; sleep 100; echo no"),
					     .timeout_ms = 30 });
	CHECK(run.r.timed_out);
	CHECK_INT(run.r.signal, SIGKILL);
	CHECK_INT(run.r.status, -1);
	CHECK(mono_since_ms(mono_now(), start) < 4000);
	run_fini(&run);
}

TEST(proc_destroy_kills_without_a_word)
{
	struct run run;

	run_init(&run, (struct proc_conf){ .argv = SHELL("sleep 100") });
	loop_turn(run.loop, false);
	proc_destroy(run.proc);
	run.proc = NULL;
	loop_turn(run.loop, false);
	CHECK_INT(run.exits, 0);
	run_fini(&run);
}

TEST(proc_signal_reaches_it)
{
	struct run run;

	run_init(&run, (struct proc_conf){ .argv = SHELL("exec sleep 100") });
	proc_signal(run.proc, SIGTERM);
	CHECK(turn_until(run.loop, &run.exits, 1));
	CHECK_INT(run.r.signal, SIGTERM);
	run_fini(&run);
}

TEST(proc_that_cannot_run_says_so)
{
	struct loop *loop = test_loop();
	struct err err;
	struct proc_conf conf = { .argv = (const char *const[]){ "/nonexistent/program", NULL } };

	CHECK(proc_start(loop, &conf, &err) == NULL);
	CHECK_STR(err.text, "run /nonexistent/program: No such file or directory");
	CHECK_INT(err.sys, ENOENT);
	loop_destroy(loop);
}
