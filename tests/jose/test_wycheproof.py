"""Project Wycheproof's JOSE vectors. Set WYCHEPROOF_VECTORS to the folder that holds its JSON files."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from doorward.jose import InvalidKey, JoseError, KeySet, PublicKey, SecretKey, b64url_decode, verify_jws

FOLDER = os.environ.get("WYCHEPROOF_VECTORS", "")
pytestmark = pytest.mark.skipif(not FOLDER, reason="WYCHEPROOF_VECTORS names no folder")

# We do not have these, so their valid vectors are refused: one algorithm less is one attack less.
UNSUPPORTED = {"RS384", "RS512", "PS256", "PS384", "PS512", "ES521", "HS384", "HS512"}

MISLABELLED = "the key's label names another algorithm than the header: an algorithm is the key's, so refused"
NO_PADDING = "marked invalid for padding, but the text has none and is that of a valid token"
LENIENT = "marked valid by lenient base64: refused, a token has one spelling"
ANSWERED_OTHERWISE = {
    346: MISLABELLED,
    347: MISLABELLED,
    350: MISLABELLED,
    351: MISLABELLED,
    367: NO_PADDING,
    370: NO_PADDING,
    372: LENIENT,
    373: LENIENT,
}


def vectors(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    if FOLDER:
        for group in json.loads((Path(FOLDER) / name).read_text())["testGroups"]:
            for test in group["tests"]:
                yield group, test


def import_key(jwk: dict[str, Any]) -> PublicKey | SecretKey:
    return SecretKey.from_jwk(jwk) if jwk["kty"] == "oct" else PublicKey.from_jwk(jwk)


def is_accepted(group: dict[str, Any], token: str | dict[str, Any]) -> bool:
    if isinstance(token, dict):  # the JSON serialisation, which is not a compact token
        token = json.dumps(token)
    jwk = group.get("public") or group["private"]
    try:
        keys = KeySet(import_key(one) for one in jwk["keys"]) if "keys" in jwk else import_key(jwk)
        verify_jws(token, keys)
    except JoseError:
        return False
    return True


def header_of(token: str) -> dict[str, Any]:
    return json.loads(b64url_decode(token.partition(".")[0]))


def test_every_signature_vector_is_answered_as_marked_but_the_eight() -> None:
    surprises, seen = {}, 0
    for group, test in vectors("json_web_signature_test.json"):
        label = (group.get("public") or group["private"]).get("alg")
        if label in UNSUPPORTED and test["result"] == "valid" and label == header_of(test["jws"])["alg"]:
            assert not is_accepted(group, test["jws"])
            continue
        seen += 1
        if is_accepted(group, test["jws"]) != (test["result"] == "valid"):
            surprises[int(test["tcId"])] = test["comment"]
    assert seen > 300
    assert surprises.keys() == ANSWERED_OTHERWISE.keys(), surprises


def test_every_key_vector_is_answered_as_marked() -> None:
    seen = 0
    for group, test in vectors("json_web_key_test.json"):
        keys = (group.get("public") or group["private"])["keys"]
        expected = test["result"] == "valid" and not any(key.get("alg") in UNSUPPORTED for key in keys)
        assert is_accepted(group, test["jws"]) == expected, (test["tcId"], test["comment"])
        seen += 1
    assert seen == 26


def test_every_crypto_vector_that_is_signed_is_answered_as_marked() -> None:
    seen = 0
    for group, test in vectors("json_web_crypto_test.json"):
        if "jws" in test:
            assert is_accepted(group, test["jws"]) == (test["result"] == "valid"), (
                test["tcId"],
                test["comment"],
            )
            seen += 1
    assert seen == 49


def test_the_roca_key_of_the_vectors_is_refused_when_it_is_imported() -> None:
    roca = [group for group, test in vectors("json_web_crypto_test.json") if "Roca" in test["comment"]]
    assert roca
    with pytest.raises(InvalidKey, match="CVE-2017-15361"):
        PublicKey.from_jwk(roca[0]["public"])
