/*
 * app/control/schema_sql.h - the tables, one step for each version, for both databases: a step is
 * one text with three words that differ (ID, INT, BLOB). A step that was released never changes;
 * what changes is a further step. Every row carries its tailnet.
 */
#pragma once

enum { SCHEMA_VERSION = 2 };

// clang-format off
/* The version is a row of meta, so this one table is there before any version. */
#define SCHEMA_META(ID, INT, BLOB) \
	"CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value " BLOB " NOT NULL);"

#define SCHEMA_1(ID, INT, BLOB) \
	"CREATE TABLE tailnet ( id " ID ", name TEXT NOT NULL UNIQUE, domain TEXT" \
	" NOT NULL, dns TEXT, device_approval " INT " NOT NULL DEFAULT 0," \
	" key_expiry_s " INT " NOT NULL DEFAULT 0, ip_cursor " INT " NOT NULL DEFAULT" \
	" 0);" \
	"CREATE TABLE member ( id " ID ", tailnet " INT " NOT NULL REFERENCES" \
	" tailnet(id), login TEXT NOT NULL, name TEXT NOT NULL, password TEXT," \
	" role TEXT NOT NULL, created " INT " NOT NULL, UNIQUE (tailnet, login)," \
	" UNIQUE (tailnet, id));" \
	"CREATE TABLE node ( id " ID ", tailnet " INT " NOT NULL REFERENCES" \
	" tailnet(id), member " INT ", stable_id TEXT NOT NULL UNIQUE, machine" \
	" " BLOB " NOT NULL, node_key " BLOB " NOT NULL UNIQUE, disco " BLOB " NOT" \
	" NULL, ipv4 TEXT NOT NULL, name TEXT NOT NULL, name_fixed " INT " NOT" \
	" NULL, ephemeral " INT " NOT NULL, authorized " INT " NOT NULL, tags TEXT" \
	" NOT NULL, advertised TEXT NOT NULL, approved TEXT NOT NULL, endpoints" \
	" TEXT NOT NULL, cap " INT " NOT NULL, home_derp " INT " NOT NULL, hostinfo" \
	" TEXT NOT NULL, created " INT " NOT NULL, expiry " INT " NOT NULL, last_seen" \
	" " INT " NOT NULL, UNIQUE (tailnet, name), UNIQUE (tailnet, ipv4), FOREIGN" \
	" KEY (tailnet, member) REFERENCES member(tailnet, id));" \
	"CREATE TABLE auth_key ( id " ID ", tailnet " INT " NOT NULL REFERENCES" \
	" tailnet(id), member " INT ", hash " BLOB " NOT NULL, reusable " INT " NOT" \
	" NULL, ephemeral " INT " NOT NULL, preauthorized " INT " NOT NULL, used" \
	" " INT " NOT NULL, revoked " INT " NOT NULL, tags TEXT NOT NULL, created" \
	" " INT " NOT NULL, expiry " INT " NOT NULL, description TEXT NOT NULL," \
	" FOREIGN KEY (tailnet, member) REFERENCES member(tailnet, id));" \
	"CREATE TABLE policy ( id " ID ", tailnet " INT " NOT NULL REFERENCES" \
	" tailnet(id), text TEXT NOT NULL, author TEXT NOT NULL, at " INT " NOT" \
	" NULL);" \
	"CREATE TABLE api_token ( id " ID ", tailnet " INT " NOT NULL REFERENCES" \
	" tailnet(id), member " INT ", hash " BLOB " NOT NULL, scopes TEXT NOT NULL," \
	" created " INT " NOT NULL, expiry " INT " NOT NULL, FOREIGN KEY (tailnet," \
	" member) REFERENCES member(tailnet, id));" \
	"CREATE TABLE audit ( id " ID ", tailnet " INT " NOT NULL, at " INT " NOT NULL," \
	" actor TEXT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL, detail" \
	" TEXT NOT NULL);" \
	"CREATE TABLE change ( seq " ID ", tailnet " INT " NOT NULL, kind TEXT NOT" \
	" NULL, object " INT " NOT NULL);" \
	"CREATE INDEX node_by_tailnet ON node (tailnet);" \
	"CREATE INDEX audit_by_tailnet ON audit (tailnet, id);"

#define SCHEMA_2(ID, INT, BLOB) \
	"DROP TABLE IF EXISTS api_token;" \
	"CREATE TABLE credential ( id " ID ", tailnet " INT " NOT NULL REFERENCES" \
	" tailnet(id), kind TEXT NOT NULL, member " INT ", parent " INT " NOT NULL," \
	" hash " BLOB " NOT NULL, scopes TEXT NOT NULL, tags TEXT NOT NULL," \
	" description TEXT NOT NULL, created " INT " NOT NULL, expiry " INT " NOT" \
	" NULL, revoked " INT " NOT NULL, FOREIGN KEY (tailnet, member) REFERENCES" \
	" member(tailnet, id));" \
	"CREATE TABLE identity ( tailnet " INT " NOT NULL, member " INT " NOT NULL," \
	" issuer TEXT NOT NULL, subject TEXT NOT NULL, email TEXT NOT NULL," \
	" verified " INT " NOT NULL, picture TEXT NOT NULL, groups TEXT NOT NULL," \
	" seen " INT " NOT NULL, PRIMARY KEY (tailnet, member), UNIQUE (tailnet," \
	" issuer, subject), FOREIGN KEY (tailnet, member) REFERENCES" \
	" member(tailnet, id) ON DELETE CASCADE);" \
	"CREATE TABLE idp_group ( tailnet " INT " NOT NULL REFERENCES tailnet(id)," \
	" name TEXT NOT NULL, PRIMARY KEY (tailnet, name));" \
	"CREATE TABLE attribute ( tailnet " INT " NOT NULL, node " INT " NOT NULL" \
	" REFERENCES node(id) ON DELETE CASCADE, value TEXT NOT NULL, PRIMARY KEY" \
	" (tailnet, node));"

// clang-format on
