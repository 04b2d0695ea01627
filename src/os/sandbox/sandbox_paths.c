#include "os/sandbox/sandbox_paths.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const char *const system_files[] = {
	"/etc",
	"/usr/share",
	"/usr/lib",
	"/usr/lib64",
	"/usr/local/share",
	"/lib",
	"/lib64",
	"/run/systemd/resolve",
	"/run/resolvconf",
	"/run/NetworkManager",
	"/sys/devices/system/cpu",
	"/proc/sys/net",
	"/dev/null",
	"/dev/urandom",
};

void sandbox_paths_add(struct sandbox_paths *p, const char *path)
{
	if (path && *path && p->n < SANDBOX_PATHS_MAX)
		p->v[p->n++] = mem_strdup(path);
}

static void add_folder(struct sandbox_paths *p, const char *path)
{
	char *copy = mem_strdup(path), *slash = strrchr(copy, '/');

	if (slash == copy)
		slash++; /* "/name" is in "/" */
	if (slash)
		*slash = '\0';
	sandbox_paths_add(p, slash ? copy : ".");
	mem_free(copy);
}

void sandbox_paths_add_folder_of(struct sandbox_paths *p, const char *path)
{
	char real[PATH_MAX];

	if (!path || !*path)
		return;
	add_folder(p, path);
	if (realpath(path, real) && strcmp(real, path) != 0)
		add_folder(p, real);
}

void sandbox_paths_add_system(struct sandbox_paths *p)
{
	for (size_t i = 0; i < array_len(system_files); i++)
		sandbox_paths_add(p, system_files[i]);
	/* Where OpenSSL was told to look for authorities. */
	sandbox_paths_add(p, getenv("SSL_CERT_FILE"));
	sandbox_paths_add(p, getenv("SSL_CERT_DIR"));
}

void sandbox_paths_fini(struct sandbox_paths *p)
{
	while (p->n)
		mem_free(p->v[--p->n]);
}
