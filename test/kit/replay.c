/* Feeds a fuzz target every file of the folders and files named; then every truncation of each. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { TRUNCATE_MAX = 4096 };

/* In a block of its exact size, so that ASan sees one byte too far. */
static void feed(struct bytes input)
{
	uint8_t *copy = malloc(input.n ? input.n : 1);

	if (input.n)
		memcpy(copy, input.p, input.n);
	(void)LLVMFuzzerTestOneInput(copy, input.n);
	free(copy);
}

static bool replay_file(const char *path)
{
	struct buf content;
	FILE *f = fopen(path, "rb");
	uint8_t *room;

	if (!f) {
		perror(path);
		return false;
	}
	buf_init(&content, 1 << 26);
	while ((room = buf_reserve(&content, 65536))) {
		size_t n = fread(room, 1, 65536, f);

		content.n += n;
		if (!n)
			break;
	}
	(void)fclose(f);
	feed(buf_bytes(&content));
	for (size_t n = 0; n < content.n && n < TRUNCATE_MAX; n++)
		feed(bytes_of(content.p, n));
	buf_fini(&content);
	return true;
}

static unsigned replay(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	unsigned n = 0;

	if (!dir)
		return replay_file(path);
	while ((e = readdir(dir))) {
		struct buf name;

		if (e->d_name[0] == '.')
			continue;
		buf_init(&name, 4096);
		(void)buf_printf(&name, "%s/%s", path, e->d_name);
		n += replay_file(buf_cstr(&name));
		buf_fini(&name);
	}
	(void)closedir(dir);
	return n;
}

int main(int argc, char **argv)
{
	unsigned n = 0;

	for (int i = 1; i < argc; i++)
		n += replay(argv[i]);
	(void)printf("%u inputs replayed\n", n);
	return n == 0; /* an empty corpus tests nothing */
}
