/* io/file.h - whole files: read with a limit, written so that a crash leaves the old or the new
 * one. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/bytes.h"

struct err;

/*
 * out is initialised here and empty after an error; it holds secrets when the file does. ERR_LIMIT
 * when the file is longer than max; sys is ENOENT when there is none.
 */
int file_read(const char *path, size_t max, struct buf *out, struct err *err);
/*
 * Temporary file in the same folder, fsync, rename, fsync of the folder. Replaces a symbolic link
 * itself, not what it points at. The mode is exact: no umask.
 */
int file_write(const char *path, struct bytes content, mode_t mode, struct err *err);
/* Makes the names in the folder of path last: what file_write() does at its end. */
int file_sync_folder_of(const char *path, struct err *err);
bool file_exists(const char *path);
/* Like mkdir -p; mode for the folders that are made. */
int file_mkdirs(const char *path, mode_t mode, struct err *err);
int file_mkdirs_above(const char *path, mode_t mode, struct err *err); /* all but the last name */
/*
 * Exclusive lock for the life of the process: -1 with ERR_REFUSED when another process has it. The
 * file stays; it holds the number of the process that took it last. Returns the fd, which closes
 * on exec.
 */
int file_lock(const char *path, struct err *err);
