#include "app/control/main.h"

#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/control/cli.h"
#include "app/control/command.h"
#include "app/control/config.h"
#include "app/control/control.h"
#include "app/control/store.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/opt.h"
#include "crypto/secret.h"
#include "io/file.h"
#include "io/loop.h"
#include "io/postgres.h"
#include "os/sandbox/sandbox.h"
#include "os/sandbox/sandbox_paths.h"
#include "os/sdnotify.h"

static const char default_config[] = "/etc/weft/control.yaml";

static int complain(const struct err *err)
{
	(void)fprintf(stderr, "weft-control: %s\n", err->text);
	return 1;
}

static int misused(const char *sentence)
{
	(void)fprintf(stderr, "weft-control: %s\n", sentence);
	return 2;
}

static int read_config(struct config *conf, const char *path, char *const *environment,
		       struct err *err)
{
	config_defaults(conf);
	if (!path && file_exists(default_config))
		path = default_config;
	if (path && config_read(conf, path, err) < 0)
		return -1;
	if (config_environment(conf, environment, err) < 0)
		return -1;
	return config_finish(conf, err);
}

struct serving {
	struct loop *loop;
	struct control *control;
};

static void on_stop(void *arg, int signo)
{
	struct serving *s = arg;

	(void)signo;
	loop_stop(s->loop);
}

static void on_hup(void *arg, int signo)
{
	(void)signo;
	control_reload(((struct serving *)arg)->control);
}

static enum log_level level_of(const char *name)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };

	for (int i = 0; i < 4; i++)
		if (strcmp(name, names[i]) == 0)
			return (enum log_level)i;
	return LOG_INFO;
}

/* A connection per node: the usual soft limit of 1024 is for programs that call select(2). */
static void raise_open_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit); /* without it the listener pauses and says why */
}

static void add_file(void *paths, const char *path)
{
	sandbox_paths_add(paths, path);
}

/*
 * Before the first thread and the first byte from outside. The ports below 1024 are still to be
 * bound; the right to that goes in run().
 */
static int fence(const struct config *conf, const struct log *log, struct err *err)
{
	struct sandbox_paths read = { 0 }, write = { 0 };
	struct sandbox_conf sandbox = { sandbox_paths_list(&read), sandbox_paths_list(&write),
					false };
	struct sandbox_report report = { 0 };
	int ret = -1;

	sandbox_paths_add_system(&read);
	sandbox_paths_add_folder_of(&read, conf->tls_cert);
	sandbox_paths_add_folder_of(&read, conf->tls_key);
	sandbox_paths_add_folder_of(&read, conf->derp_map);
	sandbox_paths_add_folder_of(&read, conf->oidc_ca_file);
	sandbox_paths_add_folder_of(&read, conf->oidc_client_secret_file);
	postgres_each_file(conf->database, add_file, &read);
	sandbox_paths_add(&write, conf->state_dir);
	sandbox_paths_add_folder_of(&write, conf->admin_socket);
	if (file_mkdirs(conf->state_dir, 0700, err) == 0 &&
	    sandbox_keep_capabilities(1ULL << CAP_NET_BIND_SERVICE, err) == 0)
		ret = sandbox_enter(&sandbox, &report, err);
	sandbox_paths_fini(&read);
	sandbox_paths_fini(&write);
	if (ret == 0 && report.missing[0])
		log_warn(log, "%s", report.missing);
	return ret;
}

struct watchdog {
	struct loop *loop;
	struct io_timer timer;
	int64_t ms;
};

static void on_watchdog(struct io_timer *t)
{
	struct watchdog *w = container_of(t, struct watchdog, timer);

	(void)sdnotify(SDNOTIFY_WATCHDOG);
	io_timer_in_ms(w->loop, t, w->ms);
}

/* Everything is open. */
static int run(struct loop *loop, struct err *err)
{
	struct watchdog watchdog = { .loop = loop, .ms = sdnotify_watchdog_ms() };

	if (sandbox_keep_capabilities(0, err) < 0)
		return -1;
	io_timer_init(&watchdog.timer, on_watchdog);
	if (watchdog.ms)
		io_timer_in_ms(loop, &watchdog.timer, watchdog.ms);
	(void)sdnotify(SDNOTIFY_READY);
	loop_run(loop);
	(void)sdnotify(SDNOTIFY_STOPPING);
	io_timer_stop(&watchdog.timer);
	return 0;
}

static int serve(struct loop *loop, const struct config *conf)
{
	struct serving s = { .loop = loop };
	struct log_sink sink;
	struct log log;
	struct err err;
	int ret = 1;

	log_sink_init(&sink, STDERR_FILENO);
	sink.level = level_of(conf->log_level);
	log = log_of(&sink, "control", NULL);
	if (secret_harden_process(&err) < 0)
		return complain(&err);
	raise_open_files();
	if (fence(conf, &log, &err) < 0)
		return complain(&err);
	s.control = control_create(loop, conf, &sink, &err);
	if (!s.control)
		return complain(&err);
	if (loop_on_signal(loop, SIGTERM, on_stop, &s, &err) < 0 ||
	    loop_on_signal(loop, SIGINT, on_stop, &s, &err) < 0 ||
	    loop_on_signal(loop, SIGHUP, on_hup, &s, &err) < 0 ||
	    control_start(s.control, &err) < 0 || run(loop, &err) < 0)
		(void)complain(&err);
	else
		ret = 0;
	control_destroy(s.control);
	return ret;
}

/* Away from the server: it must not run on that database meanwhile. */
static int database_command(const struct config *conf, int argc, char **argv)
{
	char where[sizeof(conf->database)];
	struct err err;
	int ret;

	if (argc != 3 || strcmp(argv[1], "import") != 0) {
		(void)fprintf(stderr, "weft-control: say `database import FILE`\n");
		return 2;
	}
	if (file_mkdirs(conf->state_dir, 0700, &err) < 0)
		return complain(&err);
	config_database(conf, where);
	ret = store_import(where, argv[2], &err);
	secret_wipe(where, sizeof(where));
	if (ret < 0)
		return complain(&err);
	printf("everything in %s is in the configured database now\n", argv[2]);
	return 0;
}

static bool is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (is_help(argv[i]) && argv[i][0] == '-')
			return true;
	return argc && is_help(argv[0]);
}

/* Options that may stand before a command. */
static bool is_ahead(const char *word)
{
	static const char *const names[] = { "-o", "--tailnet", "--url", "--token-file",
					     "--ca-file" };

	for (size_t i = 0; i < array_len(names); i++)
		if (bytes_equal(bytes_of(word, strcspn(word, "=")), bytes_str(names[i])))
			return true;
	return false;
}

/* Before the table is asked: options in front, and the two commands that are not in it. */
static int check_own(int argc, char **argv, struct err *err)
{
	if (argv[0][0] == '-' && !is_ahead(argv[0]))
		return err_set(err, ERR_USAGE,
			       "there is no option %s before a command; `weft-control --help` "
			       "says what goes where",
			       argv[0]);
	if (strcmp(argv[0], "serve") == 0 && argc > 1)
		return err_set(err, ERR_USAGE,
			       "'%s' is one word too many: serve takes its settings from --config "
			       "FILE, before it",
			       argv[1]);
	if (strcmp(argv[0], "config") == 0 &&
	    (argc != 2 || (strcmp(argv[1], "check") != 0 && strcmp(argv[1], "show") != 0)))
		return err_set(err, ERR_USAGE, "say `config check` or `config show`");
	return 0;
}

static int config_command(const struct config *conf, char **argv)
{
	struct buf text;

	if (strcmp(argv[1], "check") == 0) {
		printf("the configuration is valid\n");
		return 0;
	}
	buf_init(&text, 1 << 16);
	config_print(conf, &text);
	printf("%s", buf_cstr(&text));
	buf_fini(&text);
	return 0;
}

/* --version, --man and --completion, from the same table as the commands themselves. */
static bool about(int argc, char **argv, int *status)
{
	enum { COMMANDS_MAX = 80 };
	static const char *const words[] = { "--version", "--man", "--completion" };
	struct opt_command commands[COMMANDS_MAX] = {
		{ .name = "serve", .help = "run the server" },
		{ .name = "config", .args = "check|show", .help = "read the configuration" },
		{ .name = "database",
		  .args = "import FILE",
		  .help = "fill the configured, empty database from a backup" },
	};
	struct opt_program program = {
		.name = "weft-control",
		.help = "the coordination server of a Weft network",
		.description =
		    "Commands but serve, config and database talk to the running server by its "
		    "local socket, or with "
		    "--url URL to one elsewhere: the credential comes from --token-file "
		    "or the variable "
		    "WEFT_CONTROL_TOKEN.",
		.commands = commands,
		.example = "  weft-control serve\n  weft-control users create alice@example.com\n"
			   "  weft-control keys create --user alice@example.com\n",
	};
	struct arena arena;
	bool asked = false;

	for (size_t i = 0; argc > 1 && i < array_len(words); i++)
		asked |= strcmp(argv[1], words[i]) == 0;
	if (!asked)
		return false;
	arena_init(&arena, 1 << 16);
	program.command_count = 3 + command_table(&arena, commands + 3, COMMANDS_MAX - 3);
	(void)opt_common(&program, WEFT_VERSION, argc, argv, status);
	arena_fini(&arena);
	return true;
}

/* Commands for a server elsewhere need no configuration of a server here. */
static bool is_for_afar(int argc, char **argv)
{
	if (strcmp(argv[0], "serve") == 0 || strcmp(argv[0], "config") == 0)
		return false;
	for (int i = 0; i < argc; i++)
		if (strcmp(argv[i], "--url") == 0)
			return true;
	return getenv("WEFT_CONTROL_URL") != NULL;
}

int control_main(int argc, char **argv, char *const *environment)
{
	const char *path = NULL;
	struct config conf;
	struct loop *loop;
	struct err err;
	int ret;

	if (about(argc, argv, &ret))
		return ret;
	argc--;
	argv++;
	if (argc && strncmp(argv[0], "--config=", 9) == 0) {
		path = argv[0] + 9;
		argc--;
		argv++;
	} else if (argc && strcmp(argv[0], "--config") == 0) {
		path = argc > 1 ? argv[1] : NULL;
		argc -= path ? 2 : 1;
		argv += path ? 2 : 1;
		if (!path)
			return misused("--config needs a value: FILE");
	}
	if (wants_help(argc, argv)) {
		cli_usage(is_help(argv[0]) ? argv[1] : argv[0]);
		return 0;
	}
	if (!argc)
		return misused("say what to do; `weft-control --help` lists it all");
	if (check_own(argc, argv, &err) < 0)
		return misused(err.text);
	if (is_for_afar(argc, argv))
		config_defaults(&conf);
	else if (read_config(&conf, path, environment, &err) < 0)
		return complain(&err);
	if (strcmp(argv[0], "config") == 0)
		return config_command(&conf, argv);
	if (strcmp(argv[0], "database") == 0)
		return database_command(&conf, argc, argv);
	(void)signal(SIGPIPE, SIG_IGN);
	loop = loop_create(&err);
	if (!loop)
		return complain(&err);
	ret = strcmp(argv[0], "serve") == 0 ? serve(loop, &conf) : cli_run(loop, &conf, argc, argv);
	loop_destroy(loop);
	return ret;
}
