/*
 * Ours is written beside the file and then both trade places in one step: at no moment is there no
 * file, what comes out is what was there in that moment, whoever wrote it, with owner, mode and
 * attributes, and it becomes the backup. The way back is the same step. Our text also carries the
 * old one, for when there is no backup.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "io/file.h"
#include "os/resolver/resolver_priv.h"

void resolver_paths_join(const struct resolver_paths *p, const char *path,
			 char out[RESOLVER_PATH_MAX])
{
	(void)snprintf(out, RESOLVER_PATH_MAX, "%s%s", p->root, path);
}

static void find_program(struct resolver_paths *p)
{
	static const char *const places[] = { "/sbin/resolvconf", "/usr/sbin/resolvconf",
					      "/bin/resolvconf", "/usr/bin/resolvconf" };

	for (unsigned i = 0; i < array_len(places); i++) {
		resolver_paths_join(p, places[i], p->program);
		if (access(p->program, X_OK) == 0)
			return;
	}
	p->program[0] = '\0';
}

int resolver_paths_init(struct resolver_paths *p, const struct resolver_conf *conf, struct err *err)
{
	const char *root = conf->root ? conf->root : "";
	const char *state = conf->state_dir ? conf->state_dir : "/run/weft";

	*p = (struct resolver_paths){ 0 };
	if (strlen(root) >= sizeof(p->root) || strlen(state) > 80)
		return err_set(err, ERR_USAGE, "the path of the resolver's files is too long");
	(void)snprintf(p->root, sizeof(p->root), "%s", root);
	resolver_paths_join(p, "/etc/resolv.conf", p->conf);
	resolver_paths_join(p, "/etc/resolv.pre-weft-backup.conf", p->backup);
	resolver_paths_join(p, "/etc/.resolv.weft-new.conf", p->fresh);
	(void)snprintf(p->cover, sizeof(p->cover), "%s%s/resolv.conf", root, state);
	(void)snprintf(p->state, sizeof(p->state), "%s%s/resolver.state", root, state);
	(void)snprintf(p->lock, sizeof(p->lock), "%s%s/resolver.lock", root, state);
	if (conf->resolvconf)
		(void)snprintf(p->program, sizeof(p->program), "%s", conf->resolvconf);
	else
		find_program(p);
	return 0;
}

/* ---- reading ---- */

enum { FILE_MAX = 4 * RESOLV_CONF_BYTES_MAX }; /* ours holds the old one and more */

static bool read_file(const char *path, struct buf *out)
{
	struct err ignored;

	return file_read(path, FILE_MAX, out, &ignored) == 0;
}

/* exists, whole and text. */
static void read_host(struct resolver_host *h, const char *path)
{
	h->whole = read_file(path, &h->text);
	h->exists = h->whole || file_exists(path);
	if (h->text.n > RESOLV_CONF_BYTES_MAX) {
		h->whole = false;
		buf_clear(&h->text);
	}
}

static void read_link(const char *path, char *out, size_t size)
{
	ssize_t n = readlink(path, out, size - 1);

	out[n > 0 ? n : 0] = '\0';
}

static bool is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

void resolver_host_read(struct resolver_host *h, const struct resolver_paths *p)
{
	*h = (struct resolver_host){ 0 };
	h->ours = read_file(p->conf, &h->now) && resolv_conf_is_ours(buf_bytes(&h->now));
	if (h->ours && is_there(p->backup)) {
		read_link(p->backup, h->link, sizeof(h->link));
		read_host(h, p->backup);
	} else if (h->ours) {
		buf_init(&h->text, FILE_MAX);
		h->exists = resolv_conf_original(buf_bytes(&h->now), &h->text);
		h->whole = true;
	} else {
		read_link(p->conf, h->link, sizeof(h->link));
		read_host(h, p->conf);
	}
}

void resolver_host_fini(struct resolver_host *h)
{
	buf_fini(&h->text);
	buf_fini(&h->now);
}

/* ---- what can be done ---- */

static bool is_mount_point(const char *path)
{
	struct statx st;

	return statx(AT_FDCWD, path, AT_NO_AUTOMOUNT, STATX_TYPE, &st) == 0 &&
	       (st.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) &&
	       (st.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

static bool is_immutable(const char *path)
{
	struct statx st;

	return statx(AT_FDCWD, path, AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW, STATX_TYPE, &st) == 0 &&
	       (st.stx_attributes & STATX_ATTR_IMMUTABLE);
}

static bool has_sys_admin(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { 0 };

	return syscall(SYS_capget, &head, data) == 0 &&
	       (data[CAP_SYS_ADMIN / 32].effective & (1U << (CAP_SYS_ADMIN % 32)));
}

/* Whether a mount of ours is seen by the programs of this host, not only by this service. */
static bool shares_mounts_with_init(void)
{
	char mine[64], init[64];

	read_link("/proc/self/ns/mnt", mine, sizeof(mine));
	read_link("/proc/1/ns/mnt", init, sizeof(init));
	return mine[0] && !strcmp(mine, init);
}

static void folder_of(const char *path, char out[RESOLVER_PATH_MAX])
{
	(void)snprintf(out, RESOLVER_PATH_MAX, "%.*s", (int)(strrchr(path, '/') - path), path);
}

static bool folder_of_is_writable(const char *path)
{
	char folder[RESOLVER_PATH_MAX];

	folder_of(path, folder);
	return access(folder, W_OK) == 0;
}

int resolver_make_folder_of(const char *path, struct err *err)
{
	char folder[RESOLVER_PATH_MAX];

	folder_of(path, folder);
	return file_mkdirs(folder, 0755, err);
}

/* Our own mount is not the host's. */
static bool is_covered(const struct resolver_paths *p)
{
	struct stat a, b;

	return is_mount_point(p->conf) && stat(p->conf, &a) == 0 && stat(p->cover, &b) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

void resolver_file_look(struct resolver_facts *f, const struct resolver_paths *p)
{
	bool covered = is_covered(p);

	f->mount_point = is_mount_point(p->conf) && !covered;
	f->immutable = is_immutable(p->conf) || is_immutable(p->backup);
	f->file_writable = !covered && access(p->conf, W_OK) == 0;
	/* Once mounted over, the question was answered: the file beneath cannot be looked at. */
	f->folder_writable = !covered && folder_of_is_writable(p->conf);
	f->can_mount = has_sys_admin() && (covered || shares_mounts_with_init());
}

/* ---- doing ---- */

static int write_in_place(const char *path, struct bytes text, struct err *err)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, "open %s", path);
	while (text.n) {
		ssize_t n = write(fd, text.p, text.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			(void)err_sys(err, "write %s", path);
			(void)close(fd);
			return -1;
		}
		text = bytes_from(text, (size_t)n);
	}
	(void)fsync(fd);
	(void)close(fd);
	return 0;
}

static bool is_ours(const char *path)
{
	struct buf text;
	bool ours = read_file(path, &text) && resolv_conf_is_ours(buf_bytes(&text));

	buf_fini(&text);
	return ours;
}

/* What a trade put beside the file: the backup, unless it is an older one of ours. */
static int keep_traded(const struct resolver_paths *p, struct err *err)
{
	if (!is_there(p->fresh))
		return 0;
	if (is_ours(p->fresh))
		return unlink(p->fresh) < 0 ? err_sys(err, "remove %s", p->fresh) : 0;
	if (rename(p->fresh, p->backup) < 0)
		return err_sys(err, "rename %s to %s", p->fresh, p->backup);
	return 0;
}

/* Where file systems cannot trade places. */
static int replace_plainly(const struct resolver_paths *p, const struct resolver_host *host,
			   struct err *err)
{
	if (!host->ours && is_there(p->conf)) {
		(void)unlink(p->backup);
		if (linkat(AT_FDCWD, p->conf, AT_FDCWD, p->backup, 0) < 0 && host->link[0] &&
		    symlink(host->link, p->backup) < 0)
			return err_sys(err, "make %s", p->backup);
		if (!is_there(p->backup) && !host->whole)
			return err_set(err, ERR_LIMIT, "%s is too long to be kept", p->conf);
	}
	return rename(p->fresh, p->conf) < 0 ? err_sys(err, "rename to %s", p->conf) : 0;
}

/* True when ours is in its place, at first try or because others came between. */
static int trade(const struct resolver_paths *p, struct err *err)
{
	for (int tries = 0; tries < 10; tries++) {
		if (renameat2(AT_FDCWD, p->fresh, AT_FDCWD, p->conf, RENAME_EXCHANGE) == 0)
			return 1;
		if (errno == ENOENT) {
			if (renameat2(AT_FDCWD, p->fresh, AT_FDCWD, p->conf, RENAME_NOREPLACE) ==
			    0) {
				(void)unlink(p->backup); /* of an earlier file */
				return 1;
			}
			if (errno == EEXIST)
				continue;
		}
		if (errno == EINVAL || errno == ENOSYS)
			return 0;
		break;
	}
	return err_sys(err, "replace %s", p->conf);
}

static bool same_text(const char *path, struct bytes text)
{
	struct buf got;
	bool same = read_file(path, &got) && bytes_equal(buf_bytes(&got), text);

	buf_fini(&got);
	return same;
}

static int replace(const struct resolver_paths *p, struct resolver_host *host, struct bytes text,
		   struct err *err)
{
	int traded;

	if (file_write(p->fresh, text, 0644, err) < 0)
		return -1;
	traded = trade(p, err);
	if (traded == 0)
		traded = replace_plainly(p, host, err);
	if (traded < 0) {
		(void)unlink(p->fresh);
		return -1;
	}
	host->overtaken = is_there(p->fresh) && !is_ours(p->fresh) && host->whole &&
			  !same_text(p->fresh, buf_bytes(&host->text));
	if (keep_traded(p, err) < 0)
		return -1;
	return file_sync_folder_of(p->conf, err);
}

static int mount_over(const struct resolver_paths *p, struct bytes text, struct err *err)
{
	if (is_covered(p))
		return write_in_place(p->cover, text, err);
	if (resolver_make_folder_of(p->cover, err) < 0)
		return -1;
	if (file_write(p->cover, text, 0644, err) < 0)
		return -1;
	if (mount(p->cover, p->conf, NULL, MS_BIND, NULL) < 0)
		return err_sys(err, "mount over %s", p->conf);
	return 0;
}

int resolver_file_set(const struct resolver_paths *p, enum resolver_manager manager,
		      struct resolver_host *host, struct bytes text, struct err *err)
{
	switch (manager) {
	case RESOLVER_FILE:
		return replace(p, host, text, err);
	case RESOLVER_IN_PLACE:
		if (!host->whole)
			return err_set(err, ERR_LIMIT, "%s is too long to be kept", p->conf);
		return write_in_place(p->conf, text, err);
	case RESOLVER_MOUNT:
		return mount_over(p, text, err);
	default:
		return err_set(err, ERR_INTERNAL, "manager %d is not a file", (int)manager);
	}
}

static int put_text_back(const struct resolver_paths *p, struct bytes ours, struct err *err)
{
	struct buf old;
	int ret;

	buf_init(&old, FILE_MAX);
	if (!resolv_conf_original(ours, &old))
		ret = unlink(p->conf) < 0 ? err_sys(err, "remove %s", p->conf) : 0;
	else if (is_mount_point(p->conf))
		ret = write_in_place(p->conf, buf_bytes(&old), err);
	else
		ret = file_write(p->conf, buf_bytes(&old), 0644, err);
	buf_fini(&old);
	return ret;
}

static int put_backup_back(const struct resolver_paths *p, struct err *err)
{
	if (renameat2(AT_FDCWD, p->backup, AT_FDCWD, p->conf, RENAME_EXCHANGE) < 0) {
		if (rename(p->backup, p->conf) < 0)
			return err_sys(err, "rename %s to %s", p->backup, p->conf);
	} else {
		/* Another program was faster: its file is the host's, the older one goes. */
		if (!is_ours(p->backup))
			(void)renameat2(AT_FDCWD, p->backup, AT_FDCWD, p->conf, RENAME_EXCHANGE);
		(void)unlink(p->backup);
	}
	return file_sync_folder_of(p->conf, err);
}

static int undo_ours(const struct resolver_paths *p, struct bytes now, struct err *err)
{
	if (is_covered(p)) {
		/* Asked first: a sandbox may end who tries. */
		if (!has_sys_admin())
			return err_set(err, ERR_REFUSED,
				       "%s is covered by a mount of ours, and this "
				       "process may not unmount",
				       p->conf);
		if (umount2(p->conf, MNT_DETACH) < 0)
			return err_sys(err, "unmount %s", p->conf);
		(void)unlink(p->cover);
		return 0;
	}
	if (is_there(p->backup))
		return put_backup_back(p, err);
	return put_text_back(p, now, err);
}

int resolver_file_undo(const struct resolver_paths *p, struct err *err)
{
	struct buf now;
	int ret = 0;

	if (keep_traded(p, err) < 0) /* of one that was killed between two steps */
		return -1;
	if (!read_file(p->conf, &now))
		return 0; /* gone: whoever removed it wanted that; the backup stays for people */
	if (resolv_conf_is_ours(buf_bytes(&now)))
		ret = undo_ours(p, buf_bytes(&now), err);
	else
		(void)unlink(p->backup); /* another program's is the host's file now */
	buf_fini(&now);
	return ret;
}
