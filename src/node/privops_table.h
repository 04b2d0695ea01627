/*
 * node/privops_table.h - every privileged operation as a message: number, size, what must hold, how
 * it is done. Both ends of the socket read this table.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/privops.h"

struct err;

/* The numbers mean something between two processes of one program only: no compatibility. */
enum privops_op {
	PRIVOPS_NONE, /* so that a message of zeroes is not an operation */
	PRIVOPS_OPEN_TUN,
	PRIVOPS_OPEN_UDP,
	PRIVOPS_MARK_SOCKET,
	PRIVOPS_RULES,
	PRIVOPS_RESTORE,
	PRIVOPS_DNS_WATCH,
#define X(name, NAME, type) PRIVOPS_OP_##NAME,
	PRIVOPS_STRUCT_OPS(X) PRIVOPS_ANSWER_OPS(X)
#undef X
	    PRIVOPS_OPS
};

enum { PRIVOPS_BODY_MAX = 32 << 10, PRIVOPS_ANSWER_MAX = 4 << 10 };

struct privops_rules { /* the argument of rules(), as a message */
	bool on;
};

struct privops_call {
	const void *body;
	int fd;       /* what came with the request, or -1; stays the caller's */
	int *out;     /* what goes back with the reply: see gives_fd */
	void *answer; /* zeroed; see answer */
};

struct privops_row {
	const char *name; /* NULL: there is no such operation */
	size_t size;      /* of the body, exactly */
	size_t answer;    /* length of the struct that comes back when all went well */
	bool takes_fd, gives_fd;
	/* Reads every field before anything else does; also that a bool is 0 or 1. NULL: no body.
	 */
	bool (*is_valid)(const void *body);
	int (*run)(struct privops *p, const struct privops_call *c, struct err *err);
};

const struct privops_row *privops_row(uint32_t op); /* NULL: unknown */
