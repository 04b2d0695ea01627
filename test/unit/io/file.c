#include "io/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "kit/kit.h"

struct folder {
	char path[64], file[96];
};

static void folder_init(struct folder *f)
{
	(void)snprintf(f->path, sizeof(f->path), "/tmp/weft-unit-XXXXXX");
	CHECK(mkdtemp(f->path) != NULL);
	(void)snprintf(f->file, sizeof(f->file), "%s/file", f->path);
}

static unsigned count_entries(const struct folder *f)
{
	DIR *dir = opendir(f->path);
	unsigned n = 0;

	for (struct dirent *e; dir && (e = readdir(dir));)
		n += e->d_name[0] != '.';
	if (dir)
		(void)closedir(dir);
	return n;
}

static void remove_all(const struct folder *f)
{
	DIR *dir = opendir(f->path);

	for (struct dirent *e; dir && (e = readdir(dir));)
		(void)unlinkat(dirfd(dir), e->d_name, 0);
	if (dir)
		(void)closedir(dir);
}

static void folder_fini(struct folder *f)
{
	(void)unlink(f->file);
	CHECK(rmdir(f->path) == 0);
}

TEST(file_write_then_read)
{
	struct folder f;
	struct buf got;
	struct err err = { 0 };
	struct stat st;
	mode_t mask = umask(077);

	folder_init(&f);
	CHECK(!file_exists(f.file));
	CHECK(file_write(f.file, bytes_str("one"), 0640, &err) == 0);
	CHECK(file_write(f.file, bytes_str("two, longer"), 0644, &err) == 0);
	CHECK_STR(err.text, "");
	CHECK(file_exists(f.file));
	CHECK(stat(f.file, &st) == 0 && (st.st_mode & 07777) == 0644);
	CHECK_INT(count_entries(&f), 1); /* no temporary file is left */
	CHECK(file_read(f.file, 11, &got, &err) == 0);
	CHECK_STR(buf_cstr(&got), "two, longer");
	buf_fini(&got);
	CHECK(file_read(f.file, 10, &got, &err) == -1);
	CHECK_INT(err.code, ERR_LIMIT);
	CHECK_INT(got.n, 0);
	(void)umask(mask);
	folder_fini(&f);
}

TEST(file_read_of_an_empty_and_of_no_file)
{
	struct folder f;
	struct buf got;
	struct err err = { 0 };

	folder_init(&f);
	CHECK(file_read(f.file, 10, &got, &err) == -1);
	CHECK_INT(err.sys, ENOENT);
	CHECK(file_write(f.file, (struct bytes){ 0 }, 0600, &err) == 0);
	CHECK(file_read(f.file, 0, &got, &err) == 0);
	CHECK_INT(got.n, 0);
	buf_fini(&got);
	CHECK(file_read("/proc/self/status", 1 << 16, &got, &err) == 0); /* claims to be empty */
	CHECK(got.n > 100);
	buf_fini(&got);
	folder_fini(&f);
}

TEST(file_write_that_fails_leaves_the_old_content)
{
	struct folder f;
	struct buf got;
	struct err err = { 0 };
	char into[128];

	folder_init(&f);
	CHECK(file_write(f.file, bytes_str("old"), 0600, &err) == 0);
	(void)snprintf(into, sizeof(into), "%s/nothing/here", f.path);
	CHECK(file_write(into, bytes_str("new"), 0600, &err) == -1);
	CHECK_INT(err.sys, ENOENT);
	/* A folder cannot be replaced by a file: fails in the rename, after all was written. */
	CHECK(file_write(f.path, bytes_str("new"), 0600, &err) == -1);
	CHECK_INT(count_entries(&f), 1);
	CHECK(file_read(f.file, 10, &got, &err) == 0);
	CHECK_STR(buf_cstr(&got), "old");
	buf_fini(&got);
	folder_fini(&f);
}

/* A writer that is killed again and again: the reader sees one of the two contents, whole. */
TEST(file_write_is_all_or_nothing_when_killed)
{
	enum { SIZE = 200000 };
	struct folder f;
	struct err err = { 0 };
	uint8_t *content = malloc(SIZE);
	struct buf got;

	folder_init(&f);
	memset(content, 'a', SIZE);
	CHECK(file_write(f.file, bytes_of(content, SIZE), 0600, &err) == 0);
	for (int i = 0; i < 10; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			for (uint8_t c = 'b';; c = c == 'z' ? 'a' : (uint8_t)(c + 1)) {
				memset(content, c, SIZE);
				(void)file_write(f.file, bytes_of(content, SIZE), 0600, NULL);
			}
		}
		(void)usleep(3000);
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		CHECK(file_read(f.file, SIZE, &got, &err) == 0);
		CHECK_INT(got.n, SIZE);
		CHECK(got.n == SIZE && memcmp(got.p, got.p + 1, SIZE - 1) == 0);
		buf_fini(&got);
	}
	free(content);
	remove_all(&f); /* the killed writers' temporary files, too */
	folder_fini(&f);
}

TEST(file_mkdirs_makes_all_of_them)
{
	struct folder f;
	struct err err = { 0 };
	char deep[128];

	folder_init(&f);
	(void)snprintf(deep, sizeof(deep), "%s/a/b", f.path);
	CHECK(file_mkdirs(deep, 0700, &err) == 0);
	CHECK(file_mkdirs(deep, 0700, &err) == 0);
	CHECK(rmdir(deep) == 0);
	CHECK(file_write(deep, bytes_str("x"), 0600, &err) == 0);
	CHECK(file_mkdirs(deep, 0700, &err) == -1);
	CHECK_INT(err.sys, ENOTDIR);
	(void)unlink(deep);
	*strrchr(deep, '/') = '\0';
	CHECK(rmdir(deep) == 0);
	folder_fini(&f);
}

TEST(file_lock_is_held_by_one)
{
	struct folder f;
	struct err err = { 0 };
	char want[160];
	int fd, again;

	folder_init(&f);
	fd = file_lock(f.file, &err);
	CHECK(fd >= 0);
	again = file_lock(f.file, &err);
	CHECK_INT(again, -1);
	CHECK_INT(err.code, ERR_REFUSED);
	(void)snprintf(want, sizeof(want), "%s is in use by process %d", f.file, (int)getpid());
	CHECK_STR(err.text, want);
	(void)close(fd);
	fd = file_lock(f.file, &err);
	CHECK(fd >= 0);
	(void)close(fd);
	folder_fini(&f);
}
