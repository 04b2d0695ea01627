/* A URL that is taken has parts inside it; a path that is taken holds nothing that climbs. */
#include "wire/url.h"

#include <stdlib.h>

static void require(bool ok)
{
	if (!ok)
		abort();
}

static bool has(struct bytes b, const char *part)
{
	return b.n && memmem(b.p, b.n, part, strlen(part)) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes in = bytes_of(data, n), authority, path, query;
	struct url url;
	uint8_t *out = malloc(n + 1);
	struct writer w = writer_of(out, n);
	char value[16];

	require(out != NULL);
	if (url_parse(&url, in)) {
		require(url.port && url.host.n && url.target.n && url.target.p[0] == '/');
		require(url_authority_is_valid(url.authority));
	}
	if (url_target_split(in, &authority, &path, &query))
		require(path.n > 0);
	if (url_path_decode(in, &w)) {
		struct bytes p = bytes_of(out, w.n);

		require(p.p[0] == '/' && !has(p, "//") && !has(p, "/../") && !has(p, "/./"));
		require(!memchr(p.p, 0, p.n));
	}
	(void)url_query_get(in, "a", value, sizeof(value));
	free(out);
	return 0;
}
