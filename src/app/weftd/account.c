/* app/weftd/account.c - see account.h. */
#include "app/weftd/account.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "io/file.h"

enum {
	/* Where service managers take users for one service from, so no person is there. */
	UID_FIRST = 61184,
	UID_LAST = 65519,
	PROBES = 64,
	DEPTH_MAX = 3,
};

/* ---- who ---- */

static bool is_free(uid_t id)
{
	return !getpwuid(id) && !getgrgid(id);
}

static int choose_number(struct account *a, const char *statedir, struct err *err)
{
	uint8_t digest[32];
	struct stat st;
	uid_t at;

	if (stat(statedir, &st) == 0 && st.st_uid >= UID_FIRST && st.st_uid <= UID_LAST &&
	    is_free(st.st_uid)) {
		*a = (struct account){ st.st_uid, st.st_uid };
		return 0;
	}
	hash_sha256(digest, bytes_str(statedir));
	at = (uid_t)digest[0] << 8 | digest[1];
	for (uid_t i = 0; i < PROBES; i++) {
		uid_t id = UID_FIRST + (at + i) % (UID_LAST - UID_FIRST + 1);

		if (is_free(id)) {
			*a = (struct account){ id, id };
			return 0;
		}
	}
	return err_set(
	    err, ERR_SYSTEM,
	    "no user is free for this daemon: add a system user 'weft', or name one with "
	    "--user");
}

int account_choose(struct account *a, const char *wanted, const char *statedir, struct err *err)
{
	const struct passwd *user = getpwnam(wanted ? wanted : "weft");

	if (!user && wanted)
		return err_set(err, ERR_USAGE, "there is no user '%.40s'", wanted);
	if (!user)
		return choose_number(a, statedir, err);
	if (user->pw_uid == 0)
		return err_set(err, ERR_USAGE,
			       "user '%.40s' is root, who must not parse what strangers send; "
			       "--no-sandbox is for debugging",
			       user->pw_name);
	*a = (struct account){ user->pw_uid, user->pw_gid };
	return 0;
}

/* ---- what is its own ---- */

static int own_tree(const struct account *a, int dir, unsigned depth, struct err *err);

/*
 * Files with one name and folders; never through a link. What is looked at is what is changed: a
 * descriptor, not a name.
 */
static int own_entry(const struct account *a, int dir, const char *name, unsigned depth,
		     struct err *err)
{
	int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), ret = 0;
	struct stat st;

	if (fd < 0)
		return err_sys(err, "look at %.60s", name);
	if (fstat(fd, &st) < 0)
		ret = err_sys(err, "look at %.60s", name);
	else if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
		ret =
		    own_tree(a, openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
			     depth + 1, err);
	else if (S_ISREG(st.st_mode) && st.st_nlink == 1 &&
		 fchownat(fd, "", a->uid, a->gid, AT_EMPTY_PATH) < 0)
		ret = err_sys(err, "give %.60s to user %u", name, a->uid);
	(void)close(fd);
	return ret;
}

/* Takes dir. The folder itself comes last: a take-over that was cut short begins again. */
static int own_tree(const struct account *a, int dir, unsigned depth, struct err *err)
{
	DIR *d = dir < 0 ? NULL : fdopendir(dir);
	const struct dirent *e;
	int ret = 0;

	if (!d) {
		err_sys(err, "read the folder");
		if (dir >= 0)
			(void)close(dir);
		return -1;
	}
	while (ret == 0 && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			ret = own_entry(a, dir, e->d_name, depth, err);
	if (ret == 0 && (fchmod(dir, 0700) < 0 || fchown(dir, a->uid, a->gid) < 0))
		ret = err_sys(err, "give the folder to user %u", a->uid);
	(void)closedir(d);
	return ret;
}

static bool is_empty(const char *dir)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	bool empty = d != NULL;

	while (d && empty && (e = readdir(d)))
		empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
	if (d)
		(void)closedir(d);
	return empty;
}

/* A state is there, or nothing: a typing error must not give /etc to somebody. */
static bool is_state(const char *dir)
{
	char path[512];
	int n = snprintf(path, sizeof(path), "%s/weftd.state", dir);

	return (n > 0 && (size_t)n < sizeof(path) && file_exists(path)) || is_empty(dir);
}

int account_take_folder(const struct account *a, const char *dir, struct err *err)
{
	struct stat st;

	if (file_mkdirs_above(dir, 0755, err) < 0 || file_mkdirs(dir, 0700, err) < 0)
		return -1;
	if (stat(dir, &st) < 0)
		return err_sys(err, "look at %.100s", dir);
	if (st.st_uid == a->uid && (st.st_mode & 077) == 0)
		return 0;
	if (!is_state(dir))
		return err_set(err, ERR_REFUSED,
			       "%.100s holds other things than a state of this daemon; name an "
			       "empty folder with --statedir",
			       dir);
	if (own_tree(a, open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), 0, err) < 0)
		return err_wrap(err, "%.100s", dir);
	return 0;
}
