"""A small server of the Backend API's wire on loopback: what `verify` asks of it, and nothing else."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from doorward.jose import KeySet, PrivateKey

SECRET_KEY = "sk_test_backend"
MACHINE_KEY = "ak_machine_b"

Answer = tuple[int, Any]


def refusal(status: int, code: str, message: str) -> Answer:
    return status, {"errors": [{"code": code, "message": message, "long_message": message}]}


UNAUTHORIZED = refusal(401, "clerk_key_invalid", "The provided Clerk Secret Key is invalid.")
NOT_FOUND = refusal(404, "resource_not_found", "not found")


class BackendWire:
    """`m2m`, `api_keys`, `oauth`: what each text verifies as. `nonces`, `refreshes`: directives by nonce and by session.
    `asked` records (method, path, bearer, body)."""

    def __init__(self, *keys: PrivateKey) -> None:
        self.jwks = KeySet(key.public for key in keys).to_jwks()
        self.m2m: dict[str, dict[str, Any]] = {}
        self.api_keys: dict[str, dict[str, Any]] = {}
        self.oauth: dict[str, dict[str, Any]] = {}
        self.nonces: dict[str, list[str]] = {}
        self.refreshes: dict[str, list[str]] = {}
        self.asked: list[tuple[str, str, str, Any]] = []
        self.is_down = False
        self.url = ""

    def answer(self, method: str, target: str, bearer: str, body: Any) -> Answer:
        path = urlsplit(target).path
        query = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
        self.asked.append((method, path, bearer, body))
        if self.is_down:
            return refusal(503, "unavailable", "down")
        if bearer not in (SECRET_KEY, MACHINE_KEY):
            return UNAUTHORIZED
        match method, path.strip("/").split("/"):
            case "GET", ["v1", "jwks"]:
                return (200, self.jwks) if bearer == SECRET_KEY else UNAUTHORIZED
            case "GET", ["v1", "clients", "handshake_payload"]:
                listed = self.nonces.get(query["nonce"])
                return (200, {"directives": listed}) if listed is not None else NOT_FOUND
            case "POST", ["v1", "sessions", session, "refresh"]:
                cookies = self.refreshes.get(session)
                return (200, {"object": "cookies", "cookies": cookies}) if cookies is not None else NOT_FOUND
            case "POST", ["api_keys", "verify"]:
                return self._known(self.api_keys, body["secret"])
            case "POST", ["oauth_applications", "access_tokens", "verify"]:
                return self._known(self.oauth, body["access_token"])
            case _, ["m2m_tokens", *rest]:
                return self._m2m(method, rest, bearer, body, query)
        return NOT_FOUND

    def _m2m(self, method: str, rest: list[str], bearer: str, body: Any, query: dict[str, str]) -> Answer:
        match method, rest:
            case "POST", ["verify"]:
                return self._known(self.m2m, body["token"])
            case "POST", []:
                if bearer != MACHINE_KEY:
                    return refusal(401, "machine_secret_key_invalid", "The machine secret key is invalid.")
                if (body.get("seconds_until_expiration") or 1) <= 0:
                    return refusal(422, "form_param_value_invalid", "seconds_until_expiration is invalid")
                text = f"mt_made{len(self.m2m)}"
                made = m2m_token(f"mt_id{len(self.m2m)}", claims=body.get("claims"))
                self.m2m[text] = made
                return 201, made | {"token": text}
            case "POST", [token_id, "revoke"]:
                for text, token in list(self.m2m.items()):
                    if token["id"] == token_id:
                        del self.m2m[text]
                        return 200, token | {"revoked": True, "revocation_reason": body["revocation_reason"]}
            case "GET", []:
                if query["subject"] != "mch_a":
                    return refusal(403, "forbidden", "another machine's tokens")
                return 200, {"m2m_tokens": list(self.m2m.values()), "total_count": len(self.m2m)}
        return NOT_FOUND

    @staticmethod
    def _known(table: dict[str, dict[str, Any]], text: str) -> Answer:
        return (200, table[text]) if text in table else NOT_FOUND


def m2m_token(token_id: str, *, claims: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "object": "machine_to_machine_token",
        "id": token_id,
        "subject": "mch_a",
        "scopes": ["mch_b"],
        "claims": claims,
        "revoked": False,
        "revocation_reason": None,
        "expired": False,
        "expiration": None,
        "created_at": 1_800_000_000_000,
        "updated_at": 1_800_000_000_000,
    }


@contextmanager
def serving(wire: BackendWire) -> Iterator[BackendWire]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            bearer = (self.headers.get("authorization") or "").removeprefix("Bearer ")
            status, body = wire.answer(self.command, self.path, bearer, json.loads(raw) if raw else {})
            encoded = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

        do_GET = do_POST = handle_any  # noqa: N815 - http.server's names

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    wire.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield wire
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
