#!/usr/bin/env python3
"""A small OpenID provider for end-to-end tests: everybody who comes is logged in as the configured person.

usage: identity_provider.py ADDRESS:PORT CERT KEY FOLDER

FOLDER/person.json is read at every login: the claims of the ID token. Members that start with an
underscore bend the provider: "_alg" (header of the token), "_kid", "_sleep" (seconds before the token
answer), "_deny" (an error instead of a code). Signs with ES256 by the openssl program.
"""
import base64
import hashlib
import http.server
import json
import os
import pathlib
import secrets
import ssl
import subprocess
import sys
import time
import urllib.parse

ADDRESS, CERT, KEY, FOLDER = sys.argv[1], sys.argv[2], sys.argv[3], pathlib.Path(sys.argv[4])
HOST, PORT = ADDRESS.rsplit(":", 1)
ISSUER = f"https://{ADDRESS}"
SIGNING_KEY = FOLDER / "signing.pem"
codes = {}


def b64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def openssl(*args, data=None):
    return subprocess.run(["openssl", *args], input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          check=True).stdout


def public_jwk():
    point = openssl("pkey", "-in", str(SIGNING_KEY), "-pubout", "-outform", "DER")[-64:]
    return {"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "one",
            "x": b64(point[:32]), "y": b64(point[32:])}


def integers_of(der):
    """The two integers of a DER sequence, 32 bytes each."""
    out, at = b"", 2
    for _ in range(2):
        length = der[at + 1]
        out += der[at + 2:at + 2 + length].lstrip(b"\0").rjust(32, b"\0")
        at += 2 + length
    return out


def token(claims, person):
    header = {"alg": person.get("_alg", "ES256"), "kid": person.get("_kid", "one"), "typ": "JWT"}
    text = b64(json.dumps(header).encode()) + "." + b64(json.dumps(claims).encode())
    der = openssl("dgst", "-sha256", "-sign", str(SIGNING_KEY), data=text.encode())
    return text + "." + b64(integers_of(der))


class Provider(http.server.BaseHTTPRequestHandler):
    def answer(self, status, value, location=None):
        body = json.dumps(value).encode()
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, fmt, *args):
        sys.stderr.write(fmt % args + "\n")

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if url.path == "/.well-known/openid-configuration":
            self.answer(200, {"issuer": ISSUER, "authorization_endpoint": ISSUER + "/auth",
                              "token_endpoint": ISSUER + "/token", "jwks_uri": ISSUER + "/keys",
                              "code_challenge_methods_supported": ["S256"]})
        elif url.path == "/keys":
            self.answer(200, {"keys": [public_jwk()]})
        elif url.path == "/auth":
            person = json.loads((FOLDER / "person.json").read_text())
            back = {"state": query["state"]}
            if "_deny" in person:
                back["error"] = person["_deny"]
            else:
                back["code"] = secrets.token_hex(16)
                codes[back["code"]] = query
            self.answer(302, {}, query["redirect_uri"] + "?" + urllib.parse.urlencode(back))
        else:
            self.answer(404, {})

    def do_POST(self):
        form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        asked = codes.pop(form.get("code"), None)
        basic = base64.b64decode(self.headers.get("Authorization", "Basic ").split()[1:] and
                                 self.headers["Authorization"].split()[1] or "").decode()
        challenge = b64(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if not asked or asked["code_challenge"] != challenge or basic != "weft:s3cret":
            self.answer(400, {"error": "invalid_grant"})
            return
        person = json.loads((FOLDER / "person.json").read_text())
        time.sleep(person.get("_sleep", 0))
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": "weft", "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        claims.update({k: v for k, v in person.items() if not k.startswith("_")})
        self.answer(200, {"access_token": "at", "token_type": "Bearer", "id_token": token(claims, person)})


if not SIGNING_KEY.exists():
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(SIGNING_KEY))
server = http.server.ThreadingHTTPServer((HOST, int(PORT)), Provider)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERT, KEY)
server.socket = context.wrap_socket(server.socket, server_side=True)
print("ready", flush=True)
server.serve_forever()
