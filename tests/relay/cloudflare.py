"""Cloudflare's REST API for tunnels and DNS records, as their documentation describes its wire: paths, envelope, codes.

One account, one zone, one token; state in memory. Only what the relay sends is understood: everything else is their
answer for a route that does not exist. Tests make calls fail or wait by `on`.
"""

import base64
import json
import re
import uuid
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

Answer = tuple[int, Any]
Before = Callable[[], Awaitable[Answer | None]]

_TUNNELS = r"/client/v4/accounts/acc-1/cfd_tunnel"
_RECORDS = r"/client/v4/zones/zone-1/dns_records"


def refusal(status: int, code: int, message: str) -> Answer:
    return status, {
        "success": False,
        "errors": [{"code": code, "message": message}],
        "messages": [],
        "result": None,
    }


def success(result: Any) -> Answer:
    return 200, {"success": True, "errors": [], "messages": [], "result": result}


NO_TUNNEL = refusal(404, 1003, "Tunnel not found")
NO_RECORD = refusal(404, 81044, "Record does not exist.")


class FakeCloudflare:
    def __init__(self, clock: Callable[[], int]) -> None:
        self.token = "cf-token"
        self.tunnels: dict[str, dict[str, Any]] = {}
        self.deleted_tunnels: dict[str, dict[str, Any]] = {}
        self.ingress: dict[str, list[dict[str, str]]] = {}
        self.records: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []
        self._clock = clock
        self._before: list[tuple[str, Before]] = []

    def on(self, call: str, before: Before) -> None:
        """Run `before` once, at the next call named `call`; the answer it gives is sent instead of ours."""
        self._before.append((call, before))

    def fail(self, call: str, answer: Answer, *, times: int = 1) -> None:
        async def before() -> Answer:
            return answer

        for _ in range(times):
            self.on(call, before)

    def connect(self, tunnel_id: str) -> None:
        """As if `cloudflared` had opened the tunnel."""
        self.tunnels[tunnel_id]["status"] = "healthy"
        self.tunnels[tunnel_id]["connections"] = [{"id": str(uuid.uuid4())}]

    def disconnect(self, tunnel_id: str, *, at: str) -> None:
        self.tunnels[tunnel_id].update(status="down", connections=[], conns_inactive_at=at)

    def add_tunnel(self, name: str, **more: Any) -> dict[str, Any]:
        tunnel = {
            "id": str(uuid.uuid4()),
            "account_tag": "acc-1",
            "name": name,
            "status": "inactive",
            "created_at": _iso(self._clock()),
            "deleted_at": None,
            "conns_active_at": None,
            "conns_inactive_at": None,
            "connections": [],
            "tun_type": "cfd_tunnel",
            "remote_config": True,
            **more,
        }
        self.tunnels[tunnel["id"]] = tunnel
        return tunnel

    def add_record(self, name: str, content: str) -> dict[str, Any]:
        record = {"id": uuid.uuid4().hex, "type": "CNAME", "name": name, "content": content, "ttl": 1}
        self.records[record["id"]] = record
        return record

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = dict(scope["headers"])
        query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
        status, answer = await self._answer(
            scope["method"], scope["path"], query, json.loads(body) if body else None, headers
        )
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(b"content-type", b"application/json")],
            }
        )
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    async def _answer(
        self, method: str, path: str, query: dict[str, str], body: Any, headers: dict[bytes, bytes]
    ) -> Answer:
        if headers.get(b"authorization") != f"Bearer {self.token}".encode():
            return refusal(403, 10000, "Authentication error")
        for route_method, pattern, handler in _ROUTES:
            match = re.fullmatch(pattern, path)
            if match and route_method == method:
                name = handler.__name__
                self.calls.append(name)
                for waiting in list(self._before):
                    if waiting[0] == name:
                        self._before.remove(waiting)
                        instead = await waiting[1]()
                        if instead is not None:
                            return instead
                        break
                answer: Answer = handler(self, *match.groups(), query=query, body=body)
                return answer
        return refusal(400, 7003, f"Could not route to {path}")

    def list_tunnels(self, *, query: dict[str, str], body: Any) -> Answer:
        found = [
            tunnel
            for tunnel in [*self.tunnels.values(), *self.deleted_tunnels.values()]
            if tunnel["name"] == query.get("name", tunnel["name"])
            and tunnel["name"].startswith(query.get("include_prefix", ""))
            and (query.get("is_deleted") != "false" or tunnel["deleted_at"] is None)
        ]
        size, page = int(query.get("per_page", 20)), int(query.get("page", 1))
        return success(found[(page - 1) * size : page * size])

    def create_tunnel(self, *, query: dict[str, str], body: Any) -> Answer:
        if body.get("config_src") not in ("local", "cloudflare"):
            return refusal(400, 1001, "Bad request")
        if any(tunnel["name"] == body["name"] for tunnel in self.tunnels.values()):
            return refusal(409, 1013, "You already have a tunnel with this name")
        return success(self.add_tunnel(body["name"]))

    def get_tunnel(self, tunnel_id: str, *, query: dict[str, str], body: Any) -> Answer:
        tunnel = self.tunnels.get(tunnel_id) or self.deleted_tunnels.get(tunnel_id)
        return NO_TUNNEL if tunnel is None else success(tunnel)

    def delete_tunnel(self, tunnel_id: str, *, query: dict[str, str], body: Any) -> Answer:
        tunnel = self.tunnels.get(tunnel_id)
        if tunnel is None:
            return NO_TUNNEL
        if tunnel["connections"]:
            return refusal(400, 1022, "Cannot delete tunnel because it has active connections")
        self.deleted_tunnels[tunnel_id] = self.tunnels.pop(tunnel_id)
        tunnel["deleted_at"] = _iso(self._clock())
        return success(tunnel)

    def clean_connections(self, tunnel_id: str, *, query: dict[str, str], body: Any) -> Answer:
        if tunnel_id not in self.tunnels:
            return NO_TUNNEL
        self.tunnels[tunnel_id]["connections"] = []
        return success({})

    def put_configuration(self, tunnel_id: str, *, query: dict[str, str], body: Any) -> Answer:
        if tunnel_id not in self.tunnels:
            return NO_TUNNEL
        ingress = body["config"]["ingress"]
        if not ingress or "hostname" in ingress[-1]:
            return refusal(400, 1056, "Bad Configuration: The last ingress rule must match all URLs")
        self.ingress[tunnel_id] = ingress
        return success({"tunnel_id": tunnel_id, "version": 1, "config": body["config"]})

    def get_token(self, tunnel_id: str, *, query: dict[str, str], body: Any) -> Answer:
        if tunnel_id not in self.tunnels:
            return NO_TUNNEL
        token = {"a": "acc-1", "t": tunnel_id, "s": base64.b64encode(b"s" * 32).decode()}
        return success(base64.b64encode(json.dumps(token).encode()).decode())

    def list_records(self, *, query: dict[str, str], body: Any) -> Answer:
        wanted = query.get("search", "")
        return success(
            [
                record
                for record in self.records.values()
                if wanted in record["name"] and record["type"] == query.get("type", record["type"])
            ]
        )

    def create_record(self, *, query: dict[str, str], body: Any) -> Answer:
        if any(record["name"] == body["name"] for record in self.records.values()):
            return refusal(400, 81053, "An A, AAAA, or CNAME record with that host already exists.")
        record = self.add_record(body["name"], body["content"])
        record.update(body)
        return success(record)

    def update_record(self, record_id: str, *, query: dict[str, str], body: Any) -> Answer:
        if record_id not in self.records:
            return NO_RECORD
        self.records[record_id].update(body)
        return success(self.records[record_id])

    def delete_record(self, record_id: str, *, query: dict[str, str], body: Any) -> Answer:
        if self.records.pop(record_id, None) is None:
            return NO_RECORD
        return 200, {"result": {"id": record_id}}


_ROUTES: list[tuple[str, str, Any]] = [
    ("GET", _TUNNELS, FakeCloudflare.list_tunnels),
    ("POST", _TUNNELS, FakeCloudflare.create_tunnel),
    ("GET", _TUNNELS + r"/([^/]+)", FakeCloudflare.get_tunnel),
    ("DELETE", _TUNNELS + r"/([^/]+)", FakeCloudflare.delete_tunnel),
    ("DELETE", _TUNNELS + r"/([^/]+)/connections", FakeCloudflare.clean_connections),
    ("PUT", _TUNNELS + r"/([^/]+)/configurations", FakeCloudflare.put_configuration),
    ("GET", _TUNNELS + r"/([^/]+)/token", FakeCloudflare.get_token),
    ("GET", _RECORDS, FakeCloudflare.list_records),
    ("POST", _RECORDS, FakeCloudflare.create_record),
    ("PUT", _RECORDS + r"/([^/]+)", FakeCloudflare.update_record),
    ("DELETE", _RECORDS + r"/([^/]+)", FakeCloudflare.delete_record),
]


def _iso(ms: int) -> str:
    # Cloudflare writes microseconds.
    from doorward.t3_connect import iso

    return iso(ms).replace("Z", "395Z")
