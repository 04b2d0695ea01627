/* io/http_assets.h - files that are part of the program: pages, scripts, styles, as bytes. */
#pragma once

#include <stddef.h>

#include "base/bytes.h"

struct http_exchange;
struct http_request;

struct http_asset {
	const char *path; /* "/app.js" */
	const char *type; /* "text/javascript; charset=utf-8" */
	struct bytes bytes;
	const char *etag; /* any text that changes with the bytes; no quotes */
};

const struct http_asset *http_asset_find(const struct http_asset *table, size_t n,
					 struct bytes path); /* NULL: there is none */
/*
 * The asset with its ETag, or 304 when the client has it; 404 for NULL. Security headers are added.
 * Browsers ask every time (no-cache), so a new program is seen at once.
 */
void http_reply_asset(struct http_exchange *x, const struct http_request *req,
		      const struct http_asset *asset);
