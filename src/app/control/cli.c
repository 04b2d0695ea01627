#include "app/control/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/control/command.h"
#include "app/control/config.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/secret.h"
#include "io/file.h"
#include "io/httpc.h"
#include "io/loop.h"
#include "io/stream.h"
#include "io/tcp.h"

enum { INPUT_MAX = 16 << 20, OUTPUT_MAX = 64 << 20, COLUMNS_MAX = 24, WIDTH_MAX = 44 };

struct answer {
	struct loop *loop;
	unsigned status;
	struct buf body;
	struct err err;
	bool done;
};

static void on_head(void *arg, unsigned status, const struct http_header *headers, size_t n)
{
	(void)headers;
	(void)n;
	((struct answer *)arg)->status = status;
}

static void on_body(void *arg, struct bytes data)
{
	(void)buf_append(&((struct answer *)arg)->body, data);
}

static void on_done(void *arg, const struct err *err)
{
	struct answer *a = arg;

	a->err = *err;
	a->done = true;
	loop_stop(a->loop);
}

static void on_close(void *arg, const struct err *why)
{
	struct answer *a = arg;

	if (a->done)
		return;
	a->err = *why;
	a->done = true;
	loop_stop(a->loop);
}

static int read_input(int fd, struct buf *out)
{
	for (;;) {
		uint8_t *at = buf_reserve(out, 65536);
		ssize_t n = at ? read(fd, at, 65536) : -1;

		if (n < 0)
			return -1;
		if (n == 0)
			return 0;
		out->n += (size_t)n;
	}
}

static void put_argv(struct json_out *o, int argc, char **argv)
{
	json_key(o, "argv");
	json_open_array(o);
	for (int i = 0; i < argc; i++)
		json_put_cstr(o, argv[i]);
	json_close_array(o);
}

/* ---- printing ---- */

static void cell_text(const struct json *v, struct buf *out)
{
	buf_clear(out);
	if (json_is(v, JSON_STRING) || json_is(v, JSON_NUMBER)) {
		(void)buf_append(out, v->text);
	} else if (json_is(v, JSON_BOOL)) {
		(void)buf_append_str(out, v->truth ? "yes" : "no");
	} else if (json_is(v, JSON_ARRAY)) {
		json_each (it, v) {
			if (out->n)
				(void)buf_append_u8(out, ',');
			(void)buf_append(out, it->text);
		}
	}
}

static void print_row(const struct json *row, const struct json *head, const int *width)
{
	struct buf text;
	int column = 0;

	buf_init(&text, INPUT_MAX);
	json_each (it, head) {
		char name[64];

		if (column == COLUMNS_MAX || !bytes_to_cstr(it->key, name, sizeof(name)))
			break;
		if (row)
			cell_text(json_get(row, name), &text);
		else
			(void)(buf_clear(&text), buf_append(&text, it->key));
		printf("%-*s%s", it->next ? width[column] : 0, buf_cstr(&text),
		       it->next ? "  " : "\n");
		column++;
	}
	buf_fini(&text);
}

static void widths(const struct json *rows, int *width)
{
	struct buf text;

	buf_init(&text, INPUT_MAX);
	json_each (row, rows) {
		int column = 0;

		json_each (it, row) {
			if (column == COLUMNS_MAX)
				break;
			cell_text(it, &text);
			if ((int)it->key.n > width[column])
				width[column] = (int)it->key.n;
			if ((int)text.n > width[column])
				width[column] = text.n > WIDTH_MAX ? WIDTH_MAX : (int)text.n;
			column++;
		}
	}
	buf_fini(&text);
}

/* More than a line can show: an object, or a list of lists or objects. */
static bool is_nested(const struct json *v)
{
	return v->kind == JSON_OBJECT ||
	       (v->kind == JSON_ARRAY && v->first && v->first->kind >= JSON_ARRAY);
}

/* Below a heading, indented: "key: value" for members, "- value" for elements. Does not recurse. */
static void print_outline(const struct json *root, struct buf *text)
{
	const struct json *v = root->first;

	for (int depth = 1; v;) {
		bool element = v->parent->kind == JSON_ARRAY;

		buf_clear(text);
		if (!is_nested(v))
			cell_text(v, text);
		printf("%*s%s%.*s%s%s\n", 2 * depth, "", element ? "- " : "", BYTES_FMT(v->key),
		       element ? "" : ": ", buf_cstr(text));
		if (is_nested(v) && v->first) {
			v = v->first;
			depth++;
			continue;
		}
		for (; v != root && !v->next; depth--)
			v = v->parent;
		if (v == root)
			return;
		v = v->next;
	}
}

static void print_record(const struct json *v)
{
	struct buf text;

	buf_init(&text, OUTPUT_MAX);
	json_each (it, v) {
		cell_text(it, &text);
		if (is_nested(it)) {
			printf("%.*s:\n", BYTES_FMT(it->key));
			print_outline(it, &text);
		} else if (v->count == 1) {
			printf("%s\n", buf_cstr(&text));
		} else {
			printf("%-16.*s %s\n", BYTES_FMT(it->key), buf_cstr(&text));
		}
	}
	buf_fini(&text);
}

static void print_table(struct bytes body)
{
	struct arena arena;
	struct json *v;
	int width[COLUMNS_MAX] = { 0 };

	arena_init(&arena, OUTPUT_MAX);
	v = json_parse(&arena, body, 0, NULL);
	if (json_is(v, JSON_ARRAY)) {
		widths(v, width);
		if (v->first)
			print_row(NULL, v->first, width);
		json_each (row, v)
			print_row(row, v->first, width);
	} else if (v) {
		print_record(v);
	}
	arena_fini(&arena);
}

static void print_no_answer(const struct err *err, const char *socket_path)
{
	if (err->sys == EACCES || err->sys == EPERM)
		(void)fprintf(stderr,
			      "weft-control: only root and the server's own user may do this: %s\n",
			      err->text);
	else
		(void)fprintf(
		    stderr,
		    "weft-control: the server does not answer on %s: %s; is `weft-control "
		    "serve` running, with the same configuration?\n",
		    socket_path, err->text);
}

struct remote { /* a server elsewhere, and the credential for it */
	const char *url, *token_file, *ca_file;
	char token[256];
};

/* The API says why in JSON. */
static void print_refusal(const struct answer *a)
{
	struct bytes text = buf_bytes(&a->body);
	const struct json *v;
	struct arena arena;

	arena_init(&arena, OUTPUT_MAX);
	v = json_parse(&arena, text, 0, NULL);
	(void)json_string(json_get(v, "message"), &text);
	(void)fprintf(stderr, "weft-control: %.*s\n", BYTES_FMT(text));
	arena_fini(&arena);
}

static int print_answer(struct answer *a, bool as_json, const char *socket_path,
			const struct remote *remote)
{
	if (a->err.code != ERR_NONE && remote->url) {
		(void)fprintf(stderr, "weft-control: the server at %s does not answer: %s\n",
			      remote->url, a->err.text);
		return 1;
	}
	if (a->err.code != ERR_NONE) {
		print_no_answer(&a->err, socket_path);
		return 1;
	}
	if (a->status != 200) {
		print_refusal(a);
		return 1;
	}
	if (as_json)
		printf("%s\n", buf_cstr(&a->body));
	else
		print_table(buf_bytes(&a->body));
	return 0;
}

/* ---- one call ---- */

static void call(struct loop *loop, const struct config *conf, struct bytes body, struct answer *a)
{
	struct httpc *client =
	    httpc_create(unix_connect(loop, conf->admin_socket), false, on_close, a);
	struct http_call_conf c = {
		.method = "POST",
		.path = "/command",
		.authority = "weft-control",
		.body = body,
		.body_max = OUTPUT_MAX,
		.on_head = on_head,
		.on_body = on_body,
		.on_done = on_done,
		.arg = a,
	};

	(void)httpc_call(client, &c);
	if (!a->done)
		loop_run(loop);
	httpc_destroy(client);
}

static void on_fetched(void *arg, unsigned status, struct bytes body, const struct err *err)
{
	struct answer *a = arg;

	a->status = status;
	(void)buf_append(&a->body, body);
	on_done(a, err);
}

static void call_remote(struct loop *loop, const struct remote *remote, struct bytes body,
			struct answer *a)
{
	char url[512], auth[sizeof(remote->token) + 8];
	size_t n = strlen(remote->url);
	struct http_header headers[] = { { bytes_str("authorization"), { 0 } },
					 { bytes_str("content-type"),
					   bytes_str("application/json") } };
	struct http_fetch_conf conf = { .method = "POST",
					.url = url,
					.headers = headers,
					.header_count = 2,
					.body = body,
					.body_max = OUTPUT_MAX,
					.ca_file = remote->ca_file,
					.on_done = on_fetched,
					.arg = a };

	(void)snprintf(auth, sizeof(auth), "Bearer %s", remote->token);
	headers[0].value = bytes_str(auth);
	(void)snprintf(url, sizeof(url), "%.*s/api/v2/weft/command",
		       (int)(n && remote->url[n - 1] == '/' ? n - 1 : n), remote->url);
	if (http_fetch(loop, &conf, &a->err) && !a->done)
		loop_run(loop);
	secret_wipe(auth, sizeof(auth));
}

/* From the file named, else from the environment: never from the command line. */
static int read_token(struct remote *remote)
{
	const char *given = getenv("WEFT_CONTROL_TOKEN");
	struct bytes text = bytes_str(given ? given : "");
	struct buf file;
	struct err err;
	int ret = 0;

	buf_init(&file, sizeof(remote->token));
	if (remote->token_file &&
	    file_read(remote->token_file, sizeof(remote->token), &file, &err) < 0) {
		(void)fprintf(stderr, "weft-control: %s\n", err.text);
		ret = -1;
	} else if (remote->token_file) {
		text = buf_bytes(&file);
	}
	text = text_trim(text);
	if (ret == 0 && (!text.n || !bytes_to_cstr(text, remote->token, sizeof(remote->token)))) {
		(void)fprintf(stderr,
			      "weft-control: --url needs a credential: --token-file FILE, or "
			      "WEFT_CONTROL_TOKEN in the environment\n");
		ret = -1;
	}
	if (file.p)
		secret_wipe(file.p, file.n);
	buf_fini(&file);
	return ret;
}

/* Takes --url, --token-file and --ca-file out of argv. */
static bool take_remote(int *argc, char **argv, struct remote *out)
{
	const struct {
		const char *name;
		const char **value;
	} options[] = { { "--url", &out->url },
			{ "--token-file", &out->token_file },
			{ "--ca-file", &out->ca_file } };
	int kept = 0;

	out->url = getenv("WEFT_CONTROL_URL");
	for (int i = 0; i < *argc; i++) {
		bool taken = false;

		for (size_t k = 0; k < array_len(options) && !taken; k++) {
			taken = strcmp(argv[i], options[k].name) == 0;
			if (taken && i + 1 == *argc)
				return false;
			if (taken)
				*options[k].value = argv[++i];
		}
		if (!taken)
			argv[kept++] = argv[i];
	}
	*argc = kept;
	return true;
}

static bool take_format(int *argc, char **argv, bool *as_json)
{
	int kept = 0;

	for (int i = 0; i < *argc; i++) {
		if (strcmp(argv[i], "-o") == 0) {
			if (++i == *argc)
				return false;
			if (strcmp(argv[i], "json") != 0 && strcmp(argv[i], "table") != 0)
				return false;
			*as_json = strcmp(argv[i], "json") == 0;
		} else {
			argv[kept++] = argv[i];
		}
	}
	*argc = kept;
	return true;
}

/* Of one noun when the first word is one. */
void cli_usage(const char *first)
{
	struct bytes noun = bytes_str(first ? first : "");
	struct buf b;

	buf_init(&b, 1 << 16);
	(void)buf_append_str(
	    &b,
	    "usage: weft-control [--config FILE] COMMAND [-o table|json] [--tailnet NAME]\n"
	    "       weft-control --url URL [--token-file FILE] [--ca-file FILE] COMMAND ...\n\n");
	if (!command_is_noun(noun)) {
		noun = (struct bytes){ 0 };
		(void)buf_append_str(
		    &b, "  serve                                                  run the server\n"
			"  config   check|show                                    read the "
			"configuration\n"
			"  database import FILE                                   fill the "
			"configured, empty database\n");
	}
	command_usage(&b, noun);
	printf("%s", buf_cstr(&b));
	buf_fini(&b);
}

/* Standard input, or the file that the third word names; -1 with a complaint. */
static int read_what_is_given(int *argc, char **argv, struct buf *out)
{
	const char *path = NULL;
	int fd = STDIN_FILENO, ret;

	if (*argc > 2 && argv[2][0] != '-' &&
	    command_takes_file(bytes_str(argv[0]), bytes_str(argv[1]))) {
		path = argv[2];
		memmove(argv + 2, argv + 3, (size_t)(*argc - 3) * sizeof(*argv));
		--*argc;
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	ret = fd < 0 ? -1 : read_input(fd, out);
	if (ret < 0)
		(void)fprintf(stderr, "weft-control: %s could not be read: %s\n",
			      path ? path : "standard input",
			      out->bad ? "it is too long" : strerror(errno));
	if (fd > STDIN_FILENO)
		(void)close(fd);
	return ret;
}

int cli_run(struct loop *loop, const struct config *conf, int argc, char **argv)
{
	struct answer a = { .loop = loop };
	struct remote remote = { 0 };
	bool as_json = false;
	struct json_out o;
	struct buf body, input;
	int ret = 1;

	if (!take_format(&argc, argv, &as_json)) {
		(void)fprintf(stderr, "weft-control: -o takes table or json\n");
		return 2;
	}
	if (!take_remote(&argc, argv, &remote) || argc < 1) {
		(void)fprintf(stderr,
			      "weft-control: --url, --token-file and --ca-file take a value, "
			      "and a command follows\n");
		return 2;
	}
	if (command_check_argv(argc, argv, &a.err) < 0) {
		(void)fprintf(stderr, "weft-control: %s\n", a.err.text);
		return 2;
	}
	if (remote.url && read_token(&remote) < 0)
		return 2;
	buf_init(&body, 2 * INPUT_MAX);
	buf_init(&input, INPUT_MAX);
	buf_init(&a.body, OUTPUT_MAX);
	if (argc >= 2 && command_reads_input(bytes_str(argv[0]), bytes_str(argv[1])) &&
	    read_what_is_given(&argc, argv, &input) < 0)
		goto out;
	json_out_init(&o, &body);
	json_open_object(&o);
	put_argv(&o, argc, argv);
	json_key(&o, "input");
	json_put_string(&o, buf_bytes(&input));
	json_close_object(&o);
	if (remote.url)
		call_remote(loop, &remote, buf_bytes(&body), &a);
	else
		call(loop, conf, buf_bytes(&body), &a);
	ret = print_answer(&a, as_json, conf->admin_socket, &remote);
out:
	secret_wipe(&remote, sizeof(remote));
	buf_fini(&a.body);
	buf_fini(&input);
	buf_fini(&body);
	return ret;
}
