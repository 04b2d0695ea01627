/*
 * os/sandbox/sandbox_files.c - Landlock, by its three system calls: glibc has no wrappers, and the
 * header of the build machine knows fewer rights than the kernel that runs us.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "os/sandbox/sandbox_impl.h"

enum { FILE_ONLY_UP_TO = 3 }; /* the first three rights are about files, the rest about folders */

/* By version of the interface; the kernel refuses rights it does not know. */
#define RIGHT_REFER (1ULL << 13)     /* 2 */
#define RIGHT_TRUNCATE (1ULL << 14)  /* 3 */
#define RIGHT_IOCTL_DEV (1ULL << 15) /* 5 */

#define READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE                                                                                      \
	(READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE |                   \
	 LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |                             \
	 LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_SOCK | RIGHT_REFER |                \
	 RIGHT_TRUNCATE | RIGHT_IOCTL_DEV)

/* Scopes (version 6): no abstract sockets and no signals to processes outside. */
struct ruleset {
	uint64_t handled_fs, handled_net, scoped;
};

static uint64_t rights_of(long version)
{
	uint64_t all = (1ULL << 13) - 1; /* 1 */

	if (version >= 2)
		all |= RIGHT_REFER;
	if (version >= 3)
		all |= RIGHT_TRUNCATE;
	if (version >= 5)
		all |= RIGHT_IOCTL_DEV;
	return all;
}

static int allow(int ruleset, const char *path, uint64_t rights, struct err *err)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = rights };
	struct stat st;
	int fd = open(path, O_PATH | O_CLOEXEC), ret;

	/* What is not there or not ours to see cannot be opened later either. */
	if (fd < 0)
		return 0;
	if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.allowed_access &=
		    ((1ULL << FILE_ONLY_UP_TO) - 1) | RIGHT_TRUNCATE | RIGHT_IOCTL_DEV;
	rule.parent_fd = fd;
	ret = (int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	(void)close(fd);
	return ret < 0 ? err_sys(err, "allow %s", path) : 0;
}

static int allow_all(int ruleset, const char *const *paths, uint64_t rights, struct err *err)
{
	for (; paths && *paths; paths++)
		if (allow(ruleset, *paths, rights, err) < 0)
			return -1;
	return 0;
}

int sandbox_files_on(const struct sandbox_conf *conf, struct err *err)
{
	/* Leak detection reads maps and threads of its own process. */
	static const char *const for_tests[] = { "/proc", NULL };
	long version =
	    syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct ruleset attr = { 0 };
	size_t size = sizeof(attr.handled_fs);
	int fd, ret = -1;

	if (version <= 0)
		return 0;
	attr.handled_fs = rights_of(version);
	if (version >= 6) {
		attr.scoped = 3;
		size = sizeof(attr);
	}
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	if (fd < 0)
		return err_sys(err, "make a Landlock ruleset");
	if (allow_all(fd, conf->read, READ & attr.handled_fs, err) < 0 ||
	    allow_all(fd, conf->write, WRITE & attr.handled_fs, err) < 0 ||
	    (SANDBOX_SANITIZED && allow_all(fd, for_tests, READ, err) < 0))
		goto out;
	if (syscall(SYS_landlock_restrict_self, fd, 0) < 0) {
		err_sys(err, "put Landlock on");
		goto out;
	}
	ret = (int)version;
out:
	(void)close(fd);
	return ret;
}
