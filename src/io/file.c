#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/secret.h"

enum { READ_STEP = 16 << 10 };

/* ---- reading ---- */

static int read_all(int fd, const char *path, size_t max, struct buf *out, struct err *err)
{
	struct stat st;

	/* In one piece where the size is known: growing would leave copies of secrets behind. */
	if (fstat(fd, &st) == 0 && st.st_size > 0 && (uint64_t)st.st_size <= max)
		(void)buf_reserve(out, (size_t)st.st_size + 1);
	for (;;) {
		size_t room = out->cap - out->n;
		uint8_t *p;
		ssize_t n;

		if (!room)
			room = READ_STEP;
		if (room > out->max - out->n)
			room = out->max - out->n;
		p = buf_reserve(out, room);
		n = read(fd, p, room);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "read %s", path);
		out->n += (size_t)n;
		if (out->n > max)
			return err_set(err, ERR_LIMIT, "read %s: longer than %zu bytes", path, max);
		if (!n)
			return 0;
	}
}

int file_read(const char *path, size_t max, struct buf *out, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret;

	buf_init(out, max + 1); /* one more shows that there is more */
	if (fd < 0)
		return err_sys(err, "open %s", path);
	ret = read_all(fd, path, max, out, err);
	(void)close(fd);
	if (ret < 0) {
		if (out->p)
			secret_wipe(out->p, out->cap);
		buf_fini(out);
	}
	return ret;
}

/* ---- writing ---- */

int file_sync_folder_of(const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? mem_strdup(path) : mem_strdup(".");
	int fd, ret = 0;

	if (slash)
		folder[slash == path ? 1 : slash - path] = '\0';
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* EINVAL: a file system that has nothing to sync. */
	if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL))
		ret = err_sys(err, "sync folder %s", folder);
	if (fd >= 0)
		(void)close(fd);
	mem_free(folder);
	return ret;
}

static int write_all(int fd, struct bytes content)
{
	while (content.n) {
		ssize_t n = write(fd, content.p, content.n);

		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0)
			content = bytes_from(content, (size_t)n);
	}
	return 0;
}

static int fill_temporary(int fd, struct bytes content, mode_t mode)
{
	return fchmod(fd, mode) < 0 || write_all(fd, content) < 0 || fsync(fd) < 0 ? -1 : 0;
}

int file_write(const char *path, struct bytes content, mode_t mode, struct err *err)
{
	struct buf name;
	char *temporary;
	int fd, ret = -1;

	buf_init(&name, 8192);
	if (!buf_printf(&name, "%s.XXXXXX", path)) {
		buf_fini(&name);
		return err_set(err, ERR_USAGE, "write %.100s: the path is too long", path);
	}
	(void)buf_cstr(&name);
	temporary = (char *)name.p;
	fd = mkostemp(temporary, O_CLOEXEC); /* 0600 until the mode is set */
	if (fd < 0) {
		err_sys(err, "write %s", path);
		goto out;
	}
	if (fill_temporary(fd, content, mode) < 0) {
		err_sys(err, "write %s", path);
		(void)close(fd);
		goto unlink;
	}
	if (close(fd) < 0 || rename(temporary, path) < 0) {
		err_sys(err, "write %s", path);
		goto unlink;
	}
	ret = file_sync_folder_of(path, err);
	goto out;
unlink:
	(void)unlink(temporary);
out:
	buf_fini(&name);
	return ret;
}

/* ---- the rest ---- */

bool file_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static int make_one(const char *path, mode_t mode)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		return 0;
	if (errno != EEXIST)
		return -1;
	if (stat(path, &st) < 0)
		return -1;
	errno = ENOTDIR;
	return S_ISDIR(st.st_mode) ? 0 : -1;
}

int file_mkdirs_above(const char *path, mode_t mode, struct err *err)
{
	char *copy = mem_strdup(path);
	int ret = 0;

	for (char *at = copy; ret == 0 && *at; at++) {
		if (*at != '/' || at == copy)
			continue;
		*at = '\0';
		if (make_one(copy, mode) < 0)
			ret = err_sys(err, "make folder %s", copy);
		*at = '/';
	}
	mem_free(copy);
	return ret;
}

int file_mkdirs(const char *path, mode_t mode, struct err *err)
{
	if (file_mkdirs_above(path, mode, err) < 0)
		return -1;
	return make_one(path, mode) < 0 ? err_sys(err, "make folder %s", path) : 0;
}

static int say_who_has_it(int fd, const char *path, struct err *err)
{
	char pid[16] = { 0 };
	ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);
	uint64_t number;

	if (n > 0 && text_u64(text_trim(bytes_of(pid, (size_t)n)), UINT32_MAX, &number))
		return err_set(err, ERR_REFUSED, "%s is in use by process %u", path,
			       (unsigned)number);
	return err_set(err, ERR_REFUSED, "%s is in use by another process", path);
}

int file_lock(const char *path, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int error;

	if (fd < 0)
		return err_sys(err, "open lock %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		if (ftruncate(fd, 0) == 0)
			(void)dprintf(fd, "%d\n", (int)getpid()); /* a courtesy, not the lock */
		return fd;
	}
	error = errno;
	if (error == EWOULDBLOCK) {
		say_who_has_it(fd, path, err);
	} else {
		err_sys(err, "lock %s", path);
	}
	(void)close(fd);
	return -1;
}
