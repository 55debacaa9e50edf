"""Schemathesis, which knows our OpenAPI document alone, asks a running server: does it keep to what it says of itself?

DOORWARD_SCHEMATHESIS=600 lets it look for other requests than CI's for ten minutes.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.identity_backend_api.conftest import Backend
from tests.identity_backend_api.inventory import Inventory, make_inventory
from tests.web.browser import served

SECONDS = int(os.environ.get("DOORWARD_SCHEMATHESIS", "0"))

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240 + SECONDS)]

#: Requests per operation and kind of data; a longer run has time instead.
EXAMPLES = 3
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
)
#: Operations that end what they are about: asked about things of which nothing else is asked.
ENDING = re.compile(r"/(revoke|ban|rotate|rotate_secret|change_domain)$")
#: Members of bodies and queries that name something.
NAMED = {
    "user_id": "/users",
    "user_ids": "/users",
    "created_by": "/users",
    "inviter_user_id": "/users",
    "requesting_user_id": "/users",
    "primary_email_address_id": "/email_addresses",
    "client_id": "/clients",
    "organization_id": "/organizations",
    "subject": "/users",
    "to_machine_id": "/machines",
    "scoped_machines": "/machines",
    "creator_role_id": "/organization_roles",
    "permissions": "/organization_permissions",
}
SAID = {"role": "org:member", "enabled": True}


@pytest.fixture
def engine() -> str:
    """What is asked here is the wire's business, not the database's."""
    return "sqlite"


async def test_a_running_server_answers_as_its_own_document_says(backend: Backend, tmp_path: Path) -> None:
    lasting = await make_inventory(backend.http, tag="lasting")
    ending = await make_inventory(backend.http, tag="ending")
    described = (await backend.http.get("/api/openapi.json")).json()
    name_what_exists(described, lasting, ending)
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(described))
    bounds = (
        ["--max-time", str(SECONDS), "--generation-database=none", "--phases=coverage,fuzzing,stateful"]
        if SECONDS
        else ["--max-examples", str(EXAMPLES), "--generation-deterministic", "--phases=fuzzing"]
    )
    async with served(backend.world.identity.app) as port:
        program = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("schemathesis"),
            "run",
            document,
            f"--url=http://127.0.0.1:{port}/api",
            f"--header=Authorization: {backend.http.headers['authorization']}",
            f"--checks={','.join(CHECKS)}",
            "--no-shrink",
            "--continue-on-failure",
            "--no-color",
            # A busy machine is no fault of the server.
            "--suppress-health-check=all",
            "--request-timeout=60",
            *bounds,
            cwd=tmp_path,
            env={**os.environ, "NO_PROXY": "127.0.0.1"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await program.communicate()
    assert program.returncode == 0, output.decode()[-20_000:]


def name_what_exists(described: dict[str, Any], lasting: Inventory, ending: Inventory) -> None:
    """Narrow the document's identifiers to what exists; wrong data are made all the same, by breaking this."""
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            plain = path.removeprefix("/v1")
            is_ending = method == "delete" or ENDING.search(plain)
            held = ending if is_ending else lasting
            inside = held.parameters(plain)
            for parameter in operation["parameters"]:
                if parameter["in"] == "path":
                    parameter["schema"] = {"type": "string", "enum": [inside[parameter["name"]]]}
                else:
                    narrow(parameter["name"], parameter["schema"], held)
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if body is not None:
                schema = described["components"]["schemas"].get(
                    body["schema"].get("$ref", "").rpartition("/")[2]
                )
                for name, member in (schema or {}).get("properties", {}).items():
                    narrow(name, member, held)


def narrow(name: str, schema: dict[str, Any], held: Inventory) -> None:
    if name in NAMED:
        values: list[object] = [held.ids[NAMED[name]]]
    elif name in SAID:
        values = [SAID[name]]
    else:
        return
    for each in (schema, *schema.get("anyOf", [])):
        if each.get("type") == "array":
            each["items"] = {"enum": values}
        elif each.get("type") in ("string", "boolean"):
            each["enum"] = values
