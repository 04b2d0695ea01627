/* os/sandbox/sandbox_paths.h - the lists of a struct sandbox_conf, put together. Copies what it is
 * given. */
#pragma once

#include <stddef.h>

enum { SANDBOX_PATHS_MAX = 48 };

struct sandbox_paths { /* born zeroed; v ends with NULL */
	char *v[SANDBOX_PATHS_MAX + 1];
	size_t n;
};

/* NULL and "" are no paths. What is past the limit is left out, and so stays closed. */
void sandbox_paths_add(struct sandbox_paths *p, const char *path);
/*
 * The folders that hold a file, by the name that was given and by the one that links lead to: a
 * rule on the file itself would not hold for the next one of that name.
 */
void sandbox_paths_add_folder_of(struct sandbox_paths *p, const char *path);
/* What every program reads: names, resolvers, certificates, time zones, libraries. */
void sandbox_paths_add_system(struct sandbox_paths *p);
static inline const char *const *sandbox_paths_list(const struct sandbox_paths *p)
{
	return (const char *const *)p->v;
}
void sandbox_paths_fini(struct sandbox_paths *p);
