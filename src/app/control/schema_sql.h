/*
 * app/control/schema_sql.h - the tables. Standard SQL but for the autoincrementing keys, so that
 * another engine needs this one file again. Every row carries its tailnet.
 */
#pragma once

enum { SCHEMA_VERSION = 2 };

#define SCHEMA_SQL                                                                                 \
	"CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BLOB NOT NULL);"            \
	"CREATE TABLE IF NOT EXISTS tailnet ("                                                     \
	" id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, domain TEXT NOT NULL,"  \
	" dns TEXT, device_approval INTEGER NOT NULL DEFAULT 0,"                                   \
	" key_expiry_s INTEGER NOT NULL DEFAULT 0, ip_cursor INTEGER NOT NULL DEFAULT 0);"         \
	"CREATE TABLE IF NOT EXISTS member ("                                                      \
	" id INTEGER PRIMARY KEY AUTOINCREMENT, tailnet INTEGER NOT NULL REFERENCES tailnet(id),"  \
	" login TEXT NOT NULL, name TEXT NOT NULL, password TEXT, role TEXT NOT NULL,"             \
	" created INTEGER NOT NULL, UNIQUE (tailnet, login), UNIQUE (tailnet, id));"               \
	"CREATE TABLE IF NOT EXISTS node ("                                                        \
	" id INTEGER PRIMARY KEY AUTOINCREMENT, tailnet INTEGER NOT NULL REFERENCES tailnet(id),"  \
	" member INTEGER, stable_id TEXT NOT NULL UNIQUE, machine BLOB NOT NULL,"                  \
	" node_key BLOB NOT NULL UNIQUE, disco BLOB NOT NULL, ipv4 TEXT NOT NULL,"                 \
	" name TEXT NOT NULL, name_fixed INTEGER NOT NULL, ephemeral INTEGER NOT NULL,"            \
	" authorized INTEGER NOT NULL, tags TEXT NOT NULL, advertised TEXT NOT NULL,"              \
	" approved TEXT NOT NULL, endpoints TEXT NOT NULL, cap INTEGER NOT NULL,"                  \
	" home_derp INTEGER NOT NULL, hostinfo TEXT NOT NULL, created INTEGER NOT NULL,"           \
	" expiry INTEGER NOT NULL, last_seen INTEGER NOT NULL,"                                    \
	" UNIQUE (tailnet, name), UNIQUE (tailnet, ipv4),"                                         \
	" FOREIGN KEY (tailnet, member) REFERENCES member(tailnet, id));"                          \
	"CREATE TABLE IF NOT EXISTS auth_key ("                                                    \
	" id INTEGER PRIMARY KEY AUTOINCREMENT, tailnet INTEGER NOT NULL REFERENCES tailnet(id),"  \
	" member INTEGER, hash BLOB NOT NULL, reusable INTEGER NOT NULL,"                          \
	" ephemeral INTEGER NOT NULL, preauthorized INTEGER NOT NULL, used INTEGER NOT NULL,"      \
	" revoked INTEGER NOT NULL, tags TEXT NOT NULL, created INTEGER NOT NULL,"                 \
	" expiry INTEGER NOT NULL, description TEXT NOT NULL,"                                     \
	" FOREIGN KEY (tailnet, member) REFERENCES member(tailnet, id));"                          \
	"CREATE TABLE IF NOT EXISTS policy ("                                                      \
	" id INTEGER PRIMARY KEY AUTOINCREMENT, tailnet INTEGER NOT NULL REFERENCES tailnet(id),"  \
	" text TEXT NOT NULL, author TEXT NOT NULL, at INTEGER NOT NULL);"                         \
	"DROP TABLE IF EXISTS api_token;" /* of schema 1, which never filled it */                 \
	"CREATE TABLE IF NOT EXISTS credential ("                                                  \
	" id INTEGER PRIMARY KEY AUTOINCREMENT, tailnet INTEGER NOT NULL REFERENCES tailnet(id),"  \
	" kind TEXT NOT NULL, member INTEGER, parent INTEGER NOT NULL, hash BLOB NOT NULL,"        \
	" scopes TEXT NOT NULL, tags TEXT NOT NULL, description TEXT NOT NULL,"                    \
	" created INTEGER NOT NULL, expiry INTEGER NOT NULL, revoked INTEGER NOT NULL,"            \
	" FOREIGN KEY (tailnet, member) REFERENCES member(tailnet, id));"                          \
	"CREATE TABLE IF NOT EXISTS identity ("                                                    \
	" tailnet INTEGER NOT NULL, member INTEGER NOT NULL, issuer TEXT NOT NULL,"                \
	" subject TEXT NOT NULL, email TEXT NOT NULL, verified INTEGER NOT NULL,"                  \
	" picture TEXT NOT NULL, groups TEXT NOT NULL, seen INTEGER NOT NULL,"                     \
	" PRIMARY KEY (tailnet, member), UNIQUE (tailnet, issuer, subject),"                       \
	" FOREIGN KEY (tailnet, member) REFERENCES member(tailnet, id) ON DELETE CASCADE);"        \
	"CREATE TABLE IF NOT EXISTS idp_group ("                                                   \
	" tailnet INTEGER NOT NULL REFERENCES tailnet(id), name TEXT NOT NULL,"                    \
	" PRIMARY KEY (tailnet, name));"                                                           \
	"CREATE TABLE IF NOT EXISTS attribute ("                                                   \
	" tailnet INTEGER NOT NULL, node INTEGER NOT NULL REFERENCES node(id) ON DELETE CASCADE,"  \
	" value TEXT NOT NULL, PRIMARY KEY (tailnet, node));"                                      \
	"CREATE TABLE IF NOT EXISTS audit ("                                                       \
	" id INTEGER PRIMARY KEY AUTOINCREMENT, tailnet INTEGER NOT NULL, at INTEGER NOT NULL,"    \
	" actor TEXT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL, detail TEXT NOT NULL);" \
	"CREATE TABLE IF NOT EXISTS change ("                                                      \
	" seq INTEGER PRIMARY KEY AUTOINCREMENT, tailnet INTEGER NOT NULL, kind TEXT NOT NULL,"    \
	" object INTEGER NOT NULL);"                                                               \
	"CREATE INDEX IF NOT EXISTS node_by_tailnet ON node (tailnet);"                            \
	"CREATE INDEX IF NOT EXISTS audit_by_tailnet ON audit (tailnet, id);"
