/*
 * io/proc.h - child processes without a shell: arguments as a list, an environment that is named,
 * input from memory, output kept up to a limit, a time limit for all of it.
 *
 * A child leads its own process group, so that a timeout and proc_destroy() end its children, too.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

struct err;
struct loop;
struct proc;

struct proc_result {
	int status; /* exit code; -1 when a signal ended it */
	int signal; /* that signal, or 0 */
	bool timed_out;
	bool truncated; /* output went past its limit; the front was kept */
	struct bytes out, err;
};

struct proc_conf {
	const char *const *argv;     /* ends with NULL; a name without slash is looked up in PATH */
	const char *const *env_keep; /* names passed on; NULL: PATH HOME LANG LC_ALL TZ TMPDIR */
	const char *const *env_set;  /* "NAME=value", or NULL; these win */
	const char *folder;          /* working directory; NULL: ours */
	struct bytes input;          /* copied; an empty one is an empty file, not our stdin */
	size_t output_max;           /* each of out and err; 0: 1 MiB */
	unsigned timeout_ms;         /* then SIGKILL; 0: none */
	/* Borrowed for the call; the proc is gone after it. */
	void (*on_exit)(void *arg, const struct proc_result *r);
	void *arg;
};

/* NULL also when the program cannot be executed; err names it. */
struct proc *proc_start(struct loop *loop, const struct proc_conf *conf, struct err *err);
void proc_signal(struct proc *p, int signo); /* to the group */
void proc_destroy(struct proc *p);           /* kills; no on_exit; NULL is a no-op */
