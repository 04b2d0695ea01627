#include "wire/sshrule.h"

#include <stdio.h>

#include "base/json.h"

/* What a session is told when recording was demanded and is not possible. */
static void encode_recorder_failure(struct json_out *o, const char *base_url)
{
	char url[512];

	(void)snprintf(url, sizeof(url), "%s/machine/ssh/recording-failure", base_url);
	json_key(o, "onRecordingFailure");
	json_open_object(o);
	json_key(o, "RejectSessionWithMessage");
	json_put_cstr(o, "session not started: it must be recorded and no recorder answered");
	json_key(o, "TerminateSessionWithMessage");
	json_put_cstr(o, "session ended: it must be recorded and the recorder went away");
	json_key(o, "NotifyURL");
	json_put_cstr(o, url);
	json_close_object(o);
}

static void encode_action(struct json_out *o, const struct ssh_rule *r, const char *base_url)
{
	char text[512];

	json_open_object(o);
	if (r->check) {
		(void)snprintf(text, sizeof(text), "%s%s", base_url, SSH_CHECK_PATH);
		json_key(o, "holdAndDelegate");
		json_put_cstr(o, text);
	} else {
		json_key(o, "accept");
		json_put_bool(o, true);
		json_key(o, "allowAgentForwarding");
		json_put_bool(o, true);
		json_key(o, "allowLocalPortForwarding");
		json_put_bool(o, true);
		json_key(o, "allowRemotePortForwarding");
		json_put_bool(o, true);
	}
	if (r->n_recorders) {
		json_key(o, "recorders");
		json_open_array(o);
		for (size_t i = 0; i < r->n_recorders; i++)
			json_put_cstr(o, addrport_format(r->recorders[i], text));
		json_close_array(o);
	}
	if (r->enforce_recorder)
		encode_recorder_failure(o, base_url);
	json_close_object(o);
}

static void encode_rule(struct json_out *o, const struct ssh_rule *r, const char *base_url)
{
	char text[IP_TEXT_MAX];

	json_open_object(o);
	json_key(o, "principals");
	json_open_array(o);
	for (size_t i = 0; i < r->n_principals; i++) {
		json_open_object(o);
		json_key(o, "nodeIP");
		json_put_cstr(o, ip_format(r->principals[i], text));
		json_close_object(o);
	}
	json_close_array(o);
	json_key(o, "sshUsers");
	json_open_object(o);
	for (size_t i = 0; i < r->n_users; i++) {
		json_key_bytes(o, r->users[i].login);
		json_put_string(o, r->users[i].local);
	}
	json_close_object(o);
	json_key(o, "action");
	encode_action(o, r, base_url);
	if (r->n_accept_env) {
		json_key(o, "acceptEnv");
		json_open_array(o);
		for (size_t i = 0; i < r->n_accept_env; i++)
			json_put_string(o, r->accept_env[i]);
		json_close_array(o);
	}
	json_close_object(o);
}

void ssh_rules_encode(struct json_out *o, const struct ssh_rule *rules, size_t n,
		      const char *base_url)
{
	json_open_array(o);
	for (size_t i = 0; i < n; i++)
		encode_rule(o, &rules[i], base_url);
	json_close_array(o);
}
