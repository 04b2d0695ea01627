/* io/file.h - whole files: read with a limit, written so that a crash leaves the old or the new
 * one. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/bytes.h"

struct err;

int file_read(const char *path, size_t max, struct buf *out,
	      struct err *err); /* out is initialised here */
/* Temporary file in the same folder, fsync, rename, fsync of the folder. */
int file_write(const char *path, struct bytes content, mode_t mode, struct err *err);
bool file_exists(const char *path);
int file_mkdirs(const char *path, mode_t mode, struct err *err);
/* Exclusive lock for the life of the process: -1 with ERR_REFUSED when another process has it. */
int file_lock(const char *path, struct err *err); /* returns the fd */
