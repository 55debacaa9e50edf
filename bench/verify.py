"""`doorward.verify` against what a back end would use instead, all in one run.

Python's sides take turns in this process (`bench.jose`); the JavaScript ones run in a node process each, started in
turn with ours, and count CPU time of theirs. A framework's cost is CPU time of a server with the middleware, against the
same server without.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt as pyjwt

from bench.jose import CLAIMS, _rates, _raw_verify
from bench.rows import row
from bench.server import _import_cpu_ms
from doorward.jose import Algorithm, PrivateKey, generate_key, sign_jwt
from doorward.verify import Authenticator

IMPORT_CPU_MS, IMPORT_MIB = 120.0, 25.0
GOALS: dict[Algorithm, float] = {"RS256": 0.75, "ES256": 0.90, "EdDSA": 0.90}
NODE_PROJECT = Path(__file__).parents[1] / "tests" / "sdk_clients"
NODE_SECONDS = 2.0
PYJWT_GOAL = 3.0
ROUNDS, CALLS = 200, 25
SERVER_ROUNDS, REQUESTS = 3, 60


def measure() -> list[dict[str, Any]]:
    found, rates = _verifying()
    found += _remembered()
    found += _javascript(rates)
    found += _frameworks()
    found += _importing()
    return found


def _verifying() -> tuple[list[dict[str, Any]], dict[str, float]]:
    """A session token with every check, at a real clock, per CPU second."""
    found, rates = [], {}
    for alg, goal in GOALS.items():
        key = generate_key(alg, kid="ins_1")
        token = _session(key)
        auth = Authenticator(jwt_key=key.public, environment={})
        pem = pyjwt.get_algorithm_by_name(alg).prepare_key(key.public.to_pem())

        def ours(auth: Authenticator = auth, token: str = token) -> object:
            return auth.verify_token(token)

        def others(token: str = token, pem: Any = pem, alg: str = alg) -> object:
            return pyjwt.decode(token, pem, algorithms=[alg], leeway=5, options={"require": ["exp", "sub"]})

        own, raw, other = _rates((ours, _raw_verify(key, token), others), ROUNDS, CALLS)
        name, value = f"{alg} session token", round(own)
        found.append(
            row(name, value, "1/s", against="cryptography, signature only", ratio=own / raw, at_least=goal)
        )
        at_least = PYJWT_GOAL if alg == "RS256" else None
        found.append(row(name, value, "1/s", against="PyJWT", ratio=own / other, at_least=at_least))
        rates[alg] = own
    return found, rates


def _session(key: PrivateKey) -> str:
    now = int(time.time())
    return sign_jwt(CLAIMS | {"iat": now, "nbf": now - 10, "exp": now + 3600}, key, typ="JWT")


def _remembered() -> list[dict[str, Any]]:
    key = generate_key("RS256", kid="ins_1")
    token = _session(key)
    plain = Authenticator(jwt_key=key.public, environment={})
    keeping = Authenticator(jwt_key=key.public, environment={}, verified_tokens=1000)
    once, again = _rates(
        (lambda: plain.verify_token(token), lambda: keeping.verify_token(token)), ROUNDS, CALLS
    )
    return [
        row(
            "RS256 token seen again",
            round(again),
            "1/s",
            against="seen first",
            ratio=again / once,
            at_least=10.0,
        )
    ]


_NODE = """
import { readFileSync } from 'node:fs';
const { jwk, pem, token, seconds, which } = JSON.parse(readFileSync(0, 'utf8'));
const now = Math.floor(Date.now() / 1000);
let verify;
if (which === 'jose') {
  const { importJWK, jwtVerify } = await import('jose');
  const key = await importJWK(jwk, 'RS256');
  verify = () => jwtVerify(token, key, { algorithms: ['RS256'] });
} else {
  const { verifyToken } = await import('@clerk/backend');
  verify = () => verifyToken(token, { jwtKey: pem });
}
for (let n = 0; n < 2000; n++) await verify();
let best = 0;
const end = Date.now() + seconds * 1000;
while (Date.now() < end) {
  const before = process.cpuUsage();
  for (let n = 0; n < 500; n++) await verify();
  const { user, system } = process.cpuUsage(before);
  best = Math.max(best, 500 * 1e6 / (user + system));
}
console.log(best);
"""


def _javascript(rates: dict[str, float]) -> list[dict[str, Any]]:
    """Nothing where node or the packages are missing."""
    if not (NODE_PROJECT / "node_modules" / "@clerk" / "backend").exists():
        return []
    key = generate_key("RS256", kid="ins_1")
    token = _session(key)
    found = []
    for which, goal in (("@clerk/backend", 3.0), ("jose", 1.3)):
        given = {
            "jwk": key.public.to_jwk(),
            "pem": key.public.to_pem(),
            "token": token,
            "seconds": NODE_SECONDS,
            "which": which,
        }
        done = subprocess.run(
            ["node", "--input-type=module", "-e", _NODE],
            cwd=NODE_PROJECT,
            input=json.dumps(given),
            capture_output=True,
            text=True,
            check=True,
        )
        own = rates["RS256"]
        found.append(
            row(
                "RS256 session token",
                round(own),
                "1/s",
                against=f"npm {which}",
                ratio=own / float(done.stdout),
                at_least=goal,
            )
        )
    return found


_SERVE = """
import sys
from doorward.verify import Authenticator
from tests.verify.frameworks import applications
make, serve = applications.FRAMEWORKS[sys.argv[1]]
auth = Authenticator(jwt_key=sys.stdin.readline(), environment={}, verified_tokens=100) if sys.argv[2] == "with" else None
with serve(make(auth) if auth else applications.BARE[sys.argv[1]]()) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


def _frameworks() -> list[dict[str, Any]]:
    """CPU time of a server for a request that carries a session token, with the middleware and without.

    The token was seen before, as on a page that makes many requests; signatures are measured above.
    """
    key = generate_key("RS256", kid="ins_1")
    headers = {"authorization": f"Bearer {_session(key)}"}
    pem = "".join(key.public.to_pem().split("\n")[1:-2])
    found = []
    for name in ("starlette", "fastapi", "litestar", "aiohttp", "flask"):
        with _server(name, "with", pem) as own, _server(name, "without", pem) as bare:
            spent = {own: [], bare: []}
            for _ in range(SERVER_ROUNDS):
                for server in (own, bare):
                    spent[server].append(server.cpu_of_requests(REQUESTS, headers))
        mine, other = min(spent[own]), min(spent[bare])
        found.append(
            row(
                f"middleware of {name}, of a request's CPU",
                round(100 * (mine - other) / other, 1),
                "%",
                at_most=15.0,
            )
        )
    return found


class _Server:
    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self._process = process
        self._address = urlsplit(url)

    def cpu_of_requests(self, count: int, headers: dict[str, str]) -> float:
        """CPU seconds of the server for `count` requests, one after another."""
        before = self._cpu()
        connection = HTTPConnection(self._address.hostname or "", self._address.port, timeout=30)
        for _ in range(count):
            connection.request("GET", "/", headers=headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
        connection.close()
        return self._cpu() - before

    def _cpu(self) -> float:
        tasks = Path(f"/proc/{self._process.pid}/task").glob(
            "*/schedstat"
        )  # nanoseconds, where stat has hundredths
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


@contextlib.contextmanager
def _server(name: str, kind: str, pem: str) -> Iterator[_Server]:
    command = [sys.executable, "-c", _SERVE, name, kind]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(pem + "\n")
        process.stdin.flush()
        yield _Server(process, process.stdout.readline().strip())
        process.stdin.close()


_MEMORY = "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmRSS')))"


def _importing() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        cpu = _import_cpu_ms("import doorward.verify", Path(folder))
    memory = (_resident(f"import doorward.verify; {_MEMORY}") - _resident(_MEMORY)) / 1024
    return [
        row("import of doorward.verify, CPU", round(cpu, 1), "ms", at_most=IMPORT_CPU_MS),
        row("import of doorward.verify, memory", round(memory, 1), "MiB", at_most=IMPORT_MIB),
    ]


def _resident(script: str) -> int:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return int(done.stdout)
