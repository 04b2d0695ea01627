/*
 * os/sandbox/sandbox.h - a process takes from itself what it does not need: capabilities, files,
 * system calls. There is no way back. Called early, while there is one thread; later ones inherit.
 *
 * What this kernel cannot do is reported, not an error; what it can do and refuses is an error, and
 * the caller ends.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

struct sandbox_conf {
	/* Files and folders with what is below them; end with NULL. What is not there is skipped.
	 */
	const char *const *read;
	const char *const *write; /* also to make, replace and remove files below */
	/* A privileged helper: any file, any call but those that no daemon ever makes. */
	bool helper;
};

struct sandbox_report {
	bool calls;             /* seccomp is on */
	int files;              /* version of Landlock that is on; 0: none */
	bool relaxed_for_tests; /* a sanitizer build: it needs more calls than the product */
	char missing[160];      /* what the kernel lacks, as one sentence; "" */
};

/* No new privileges, Landlock, seccomp. */
int sandbox_enter(const struct sandbox_conf *conf, struct sandbox_report *report, struct err *err);

/* Bit n: capability n (linux/capability.h). All others go, from every set of this thread. */
int sandbox_keep_capabilities(uint64_t keep, struct err *err);
/* Only what can be had again, here or in a program that is executed: needs CAP_SETPCAP to matter.
 */
int sandbox_bound_capabilities(uint64_t keep, struct err *err);
bool sandbox_has_capability(unsigned capability); /* now, effective */

/* What one process may use up; 0: as it is. */
struct sandbox_limits {
	uint64_t open_files;
	uint64_t memory_bytes; /* of address space; not set in sanitizer builds */
	uint64_t file_bytes;   /* of one file */
};
int sandbox_limit(const struct sandbox_limits *limits, struct err *err);

/* For good: no supplementary groups, all three ids of both kinds. */
int sandbox_become(uid_t uid, gid_t gid, struct err *err);
