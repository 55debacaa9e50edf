"""Token checks against the cryptography they stand on, in the same run.

Each pair is measured in alternation, in many short rounds, so that other load hits both sides or neither;
a side's figure is its fastest tenth's slowest round, since the very fastest are the clock's mistakes on a
virtual machine. CPU time of this process, one core. A ratio of 0.8 to
`cryptography` means that 80 % of the time is the signature itself.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import jwt as pyjwt
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from doorward.jose import (
    Algorithm,
    PrivateKey,
    b64url_decode,
    create_dpop_proof,
    generate_key,
    sign_jwt,
    verify_dpop_proof,
    verify_jwt,
)

Measurement = dict[str, Any]

NOW = 1_800_000_000
ISSUER = "https://accounts.example.com"
# A session token as a browser gets it: Clerk's default claims, with an organization. About 900 bytes signed.
CLAIMS = {
    "azp": "https://app.example.com",
    "exp": NOW + 60,
    "fva": [12, -1],
    "iat": NOW,
    "iss": ISSUER,
    "nbf": NOW - 10,
    "o": {"id": "org_2abcDEFghiJKLmnoPQRstuVWXyz", "rol": "admin", "slg": "acme"},
    "sid": "sess_2abcDEFghiJKLmnoPQRstuVWXyz",
    "sts": "active",
    "sub": "user_2abcDEFghiJKLmnoPQRstuVWXyz",
    "v": 2,
}
URL = "https://relay.example.com/v1/environments/0965d8c5-7546-4ef4-86ab-cb24e4b49922/connect"


def measure(rounds: int = 300, calls: int = 25) -> list[Measurement]:
    """All measurements. `rounds` * `calls` is how often each side is called."""
    found = []
    goals: dict[Algorithm, float | None] = {"RS256": 0.75, "ES256": None, "EdDSA": None}
    for alg, goal in goals.items():
        ours, raw, other = _jwt_sides(alg)
        rates = _rates((ours, raw, other), rounds, calls)
        found.append(
            _measurement(
                f"{alg} verify with claims", rates[0], "cryptography, signature only", rates[1], goal
            )
        )
        found.append(_measurement(f"{alg} verify with claims", rates[0], "PyJWT", rates[2], None))
    ours, raw = _dpop_sides()
    rates = _rates((ours, raw), rounds, calls)
    found.append(
        _measurement("DPoP proof verify", rates[0], "cryptography, ES256 signature only", rates[1], 0.85)
    )
    return found


def _jwt_sides(alg: Algorithm) -> tuple[Callable[[], object], Callable[[], object], Callable[[], object]]:
    key = generate_key(alg, kid="ins_2abcDEFghiJKLmnoPQRstuVWXyz")
    token = sign_jwt(CLAIMS, key, typ="JWT")
    public = key.public
    pem_key = pyjwt.get_algorithm_by_name(alg).prepare_key(public.to_pem())
    # PyJWT reads the clock itself; its claim checks are left on as far as the fixed times allow.
    options: Any = {"verify_exp": False, "verify_iat": False, "verify_nbf": False, "require": ["exp", "sub"]}

    def ours() -> object:
        return verify_jwt(
            token, public, claims=dict, now=NOW, typ="JWT", issuer=ISSUER, required=("exp", "sub")
        )

    def others() -> object:
        return pyjwt.decode(token, pem_key, algorithms=[alg], issuer=ISSUER, options=options)

    return ours, _raw_verify(key, token), others


def _dpop_sides() -> tuple[Callable[[], object], Callable[[], object]]:
    key = generate_key("ES256")
    proof = create_dpop_proof(key, method="POST", url=URL, now=NOW, access_token="an.access.token")

    def ours() -> object:
        return verify_dpop_proof(
            proof,
            method="POST",
            url=URL,
            now=NOW,
            access_token="an.access.token",
            expected_thumbprint=key.thumbprint,
        )

    return ours, _raw_verify(key, proof)


def _raw_verify(key: PrivateKey, token: str) -> Callable[[], object]:
    """The signature check alone, on bytes made ready outside the measured call."""
    raw: Any = key.public._key
    text, _, encoded = token.rpartition(".")
    data, signature = text.encode(), b64url_decode(encoded)
    if key.alg == "RS256":
        scheme, digest = padding.PKCS1v15(), SHA256()
        return lambda: raw.verify(signature, data, scheme, digest)
    if key.alg == "ES256":
        ecdsa = ec.ECDSA(SHA256())
        der = encode_dss_signature(
            int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        )
        return lambda: raw.verify(der, data, ecdsa)
    return lambda: raw.verify(signature, data)


def _rates(sides: tuple[Callable[[], object], ...], rounds: int, calls: int) -> list[float]:
    """Calls per CPU second of each side, the sides taking turns."""
    spent: list[list[int]] = [[] for _ in sides]
    for _ in range(rounds):
        for place, side in enumerate(sides):
            started = time.process_time_ns()
            for _ in range(calls):
                side()
            spent[place].append(time.process_time_ns() - started)
    return [calls * 1e9 / statistics.quantiles(times, n=10)[0] for times in spent]


def _measurement(name: str, value: float, against: str, other: float, goal: float | None) -> Measurement:
    ratio = value / other
    return {
        "name": name,
        "value": round(value),
        "unit": "1/s",
        "against": against,
        "ratio": round(ratio, 3),
        "goal": None if goal is None else f">= {goal}x",
        "met": None if goal is None else ratio >= goal,
    }
