"""`doorward.verify` against what a back end would use instead, all in one run.

Python's sides take turns in this process (`bench.jose`); the JavaScript ones run in a node process each, started in
turn with ours, and count CPU time of theirs. What a framework's integration costs is in `bench.middleware`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

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


def measure() -> list[dict[str, Any]]:
    found, rates = _verifying()
    found += _remembered()
    found += _javascript(rates)
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
