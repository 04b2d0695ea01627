/* io/http_assets.c - see http_assets.h. */
#include "io/http_assets.h"

#include <stdio.h>

#include "base/text.h"
#include "io/httpd.h"

const struct http_asset *http_asset_find(const struct http_asset *table, size_t n,
					 struct bytes path)
{
	for (size_t i = 0; i < n; i++)
		if (bytes_equal_str(path, table[i].path))
			return &table[i];
	return NULL;
}

/* If-None-Match: "*", or a list of quoted tags; weak ones count (RFC 9110 section 13.1.2). */
static bool client_has(struct bytes list, const char *quoted)
{
	struct bytes tag;

	while (text_split(&list, ',', &tag)) {
		tag = text_trim(tag);
		if (bytes_has_prefix(tag, "W/"))
			tag = bytes_from(tag, 2);
		if (bytes_equal_str(tag, quoted) || bytes_equal_str(tag, "*"))
			return true;
	}
	return false;
}

void http_reply_asset(struct http_exchange *x, const struct http_request *req,
		      const struct http_asset *asset)
{
	char quoted[80];

	if (!asset) {
		http_reply_text(x, 404, "no such file");
		return;
	}
	snprintf(quoted, sizeof(quoted), "\"%.70s\"", asset->etag);
	http_add_header(x, "etag", quoted);
	http_add_header(x, "cache-control", "no-cache");
	http_add_security_headers(x, NULL);
	if (client_has(http_header_get(req, "if-none-match"), quoted))
		http_reply(x, 304, NULL, bytes_of(NULL, 0));
	else
		http_reply(x, 200, asset->type, asset->bytes);
}
