/*
 * node/privops_msg.h - requests and replies between the engine and its helper, as datagrams over a
 * SOCK_SEQPACKET pair. A descriptor travels beside them (SCM_RIGHTS).
 *
 *   request   off len                      reply   off  len
 *               0   4  operation                     0    4  0, or -1 and why:
 *               4   4  length of the body            4    4  enum err_code
 *               8   *  the struct, as it is          8    4  errno
 *                                                   12  256  text, ends with a zero
 *                                                  268    *  the answer, when all went well
 *
 * Both ends are one program on one machine: host byte order, the compiler's layout.
 */
#pragma once

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "node/privops_table.h"

enum {
	PRIVOPS_HEAD_LEN = 8,
	PRIVOPS_REQUEST_MAX = PRIVOPS_HEAD_LEN + PRIVOPS_BODY_MAX,
	PRIVOPS_REPLY_LEN = 12 + 256,
	PRIVOPS_REPLY_MAX = PRIVOPS_REPLY_LEN + PRIVOPS_ANSWER_MAX,
};

struct privops_request {
	uint32_t op;
	const struct privops_row *row;
	bool is_valid; /* the form is right and the fields are, too: may be run */
	alignas(max_align_t) uint8_t body[PRIVOPS_BODY_MAX];
};

/* The length; out has room for PRIVOPS_REQUEST_MAX. body has the size the table says. */
size_t privops_request_encode(uint8_t *out, uint32_t op, const void *body);
/*
 * -1, ERR_MALFORMED: not a message that our own engine ever sends. A wrong value in a field of a
 * message of the right form is !is_valid: it may have come from the network.
 */
int privops_request_decode(struct privops_request *r, struct bytes msg, bool has_fd,
			   struct err *err);

/* The length. answer is left out after a failure. */
size_t privops_reply_encode(uint8_t out[PRIVOPS_REPLY_MAX], int ret, const struct err *err,
			    struct bytes answer);
/*
 * What the operation returned, with its error; also -1 when msg is no reply, or not one with an
 * answer of that length.
 */
int privops_reply_decode(struct bytes msg, void *answer, size_t n, struct err *err);

/* fd -1: none. Blocking. */
int privops_send(int sock, struct bytes msg, int fd, struct err *err);
/*
 * One message and at most one descriptor (-1: none; else the caller's). *n 0: the other side is
 * gone. More of either than there may be is ERR_MALFORMED.
 */
int privops_receive(int sock, uint8_t *msg, size_t size, size_t *n, int *fd, struct err *err);
