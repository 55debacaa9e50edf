"""A machine to talk to: the real environment on real databases, asked over its two doors, and a relay that signs."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from doorward.environment.access import MACHINE, Actor
from doorward.environment.app import create_environment
from doorward.environment.environment import SCHEMA, Environment
from doorward.environment.settings import EnvironmentSettings
from doorward.jose import PrivateKey, create_dpop_proof, generate_key, peek_claims, sign_jwt, verify_jwt
from doorward.outbound import Outbound
from doorward.t3_connect.messages import RelayConfigRequest
from doorward.t3_connect.scopes import ADMINISTRATIVE_SCOPES
from tests.conftest import ClockForTests, OpenTestDatabase

RELAY = "https://relay.example.test"
USER = "user_owner"
LOCAL = "http://127.0.0.1:3773"
PUBLIC = "https://box-0123456789abcdef.env.example.test"


class Relay:
    """The relay's side of the conversation: a mint key and what it signs with it."""

    def __init__(self, clock: ClockForTests) -> None:
        self.key = generate_key("EdDSA")
        self.clock = clock

    def configuration(self, **changes: Any) -> RelayConfigRequest:
        return RelayConfigRequest(
            **{
                "relay_url": RELAY,
                "relay_issuer": RELAY,
                "cloud_user_id": USER,
                "environment_credential": "t3env_secret",
                "cloud_mint_public_key": self.key.public.to_pem(),
                "endpoint_runtime": None,
                **changes,
            }
        )

    def request(self, environment_id: str, typ: str, *, key: PrivateKey | None = None, **claims: Any) -> str:
        now = self.clock() // 1000
        payload = {
            "iss": RELAY,
            "aud": f"t3-env:{environment_id}",
            "sub": USER,
            "jti": str(uuid.uuid4()),
            "iat": now,
            "exp": now + 120,
            "environmentId": environment_id,
            "nonce": str(uuid.uuid4()),
            **claims,
        }
        return sign_jwt(payload, key or self.key, typ=typ, include_kid=False)

    def health(self, environment_id: str, **claims: Any) -> str:
        return self.request(
            environment_id, "t3-cloud-health+jwt", **{"scope": ["environment:status"], **claims}
        )

    def mint(self, environment_id: str, thumbprint: str, **claims: Any) -> str:
        return self.request(
            environment_id,
            "t3-cloud-mint+jwt",
            **{
                "clientProofKeyThumbprint": thumbprint,
                "cnf": {"jkt": thumbprint},
                "scope": ["environment:connect"],
                **claims,
            },
        )


class Device:
    """A client with a key of its own, somewhere out there."""

    def __init__(self, clock: ClockForTests) -> None:
        self.key = generate_key("ES256")
        self.clock = clock
        self.thumbprint = self.key.thumbprint
        self.token = ""

    def proof(self, method: str, url: str, *, access_token: str | None = None, **changes: Any) -> str:
        return create_dpop_proof(
            self.key,
            method=method,
            url=url,
            now=changes.pop("now", self.clock() // 1000),
            access_token=access_token,
            **changes,
        )

    def headers(self, method: str, url: str) -> dict[str, str]:
        return {
            "authorization": f"DPoP {self.token}",
            "dpop": self.proof(method, url, access_token=self.token),
        }


class Machine:
    """One environment under test, with an owner's session on its own door."""

    def __init__(self, environment: Environment, relay: Relay, clock: ClockForTests) -> None:
        self.environment = environment
        self.relay = relay
        self.clock = clock
        self.id = environment.environment_id
        self.local = httpx.AsyncClient(
            transport=httpx.ASGITransport(environment.loopback_app, raise_app_exceptions=False),
            base_url=LOCAL,
        )
        self.public = httpx.AsyncClient(
            transport=httpx.ASGITransport(environment.tunnel_app, raise_app_exceptions=False),
            base_url=PUBLIC,
            headers={"x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.7"},
        )

    async def close(self) -> None:
        await self.local.aclose()
        await self.public.aclose()
        await self.environment.stop()
        await self.environment.outbound.close()

    async def link(self, **changes: Any) -> None:
        await self.environment.link.apply(MACHINE, self.relay.configuration(**changes))

    def device(self) -> Device:
        return Device(self.clock)

    async def bearer(self, *scopes: str) -> dict[str, str]:
        """Headers of a bearer session made by the machine; administrative unless scopes are named."""
        issued = await self.environment.sessions.issue(
            subject="test",
            scopes=scopes or ADMINISTRATIVE_SCOPES,
            label=None,
            lifetime_ms=3_600_000,
            actor=MACHINE,
        )
        return {"authorization": f"Bearer {issued.token}"}

    async def ask_mint(self, device: Device, **claims: Any) -> httpx.Response:
        proof = self.relay.mint(self.id, device.thumbprint, **claims)
        return await self.public.post("/api/t3-connect/mint-credential", json={"proof": proof})

    async def exchange(
        self,
        credential: str,
        device: Device | None = None,
        *,
        client: httpx.AsyncClient | None = None,
        proof: str | None = None,
        **fields: str,
    ) -> httpx.Response:
        asked = client or (self.public if device else self.local)
        headers = {"content-type": "application/x-www-form-urlencoded"}
        if device is not None:
            headers["dpop"] = proof or device.proof("POST", f"{str(asked.base_url).rstrip('/')}/oauth/token")
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": credential,
            "subject_token_type": "urn:t3:params:oauth:token-type:environment-bootstrap",
            "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
            **fields,
        }
        return await asked.post("/oauth/token", content=urlencode(form), headers=headers)

    async def admit(self, device: Device, *, role: str | None = None) -> None:
        """The whole way in: knock, approve, mint, exchange. Afterwards the device holds a token."""
        minted = (await self.ask_mint(device)).json()
        if "credential" not in minted:
            await self.environment.approvals.approve(MACHINE, device.thumbprint, role=role)  # type: ignore[arg-type]
            minted = (await self.ask_mint(device)).json()
        answer = await self.exchange(minted["credential"], device)
        assert answer.status_code == 200, answer.text
        device.token = answer.json()["access_token"]

    async def as_device(self, device: Device, method: str, path: str, **kwargs: Any) -> httpx.Response:
        headers = {**device.headers(method, f"{PUBLIC}{path}"), **kwargs.pop("headers", {})}
        return await self.public.request(method, path, headers=headers, **kwargs)

    def claims(self, proof: str, typ: str) -> dict[str, Any]:
        """The claims of an answer this machine signed, verified."""
        return verify_jwt(
            proof,
            self.environment.keys.link_key().public,
            claims=dict,
            now=self.clock() // 1000,
            typ=typ,
            issuer=f"t3-env:{self.id}",
            audience=RELAY,
        ).claims


@pytest.fixture
def engine() -> str:
    """An environment keeps its state in SQLite. Suites about stored state override this with `both_engines`."""
    return "sqlite"


MakeMachine = Callable[..., Awaitable[Machine]]

OUTSIDER = Actor(door="tunnel", name="somebody")


@pytest.fixture
async def make_machine(
    open_test_database: OpenTestDatabase, clock: ClockForTests, tmp_path: Path
) -> AsyncIterator[MakeMachine]:
    """`await make_machine(linked=True, mode="client-approval", **settings)`; on SQLite and on PostgreSQL."""
    made: list[Machine] = []

    async def make(
        *,
        linked: bool = True,
        mode: str | None = "client-approval",
        outbound: Outbound | None = None,
        **settings: Any,
    ) -> Machine:
        database = await open_test_database(SCHEMA)
        environment = await create_environment(
            EnvironmentSettings(
                **{"home": tmp_path / f"home{len(made)}", "label": "Box", "relay_url": RELAY, **settings}
            ),
            outbound=outbound or Outbound(),
            clock=clock,
            database=database,
        )
        if mode is not None:
            environment.modes.initialise(mode)  # type: ignore[arg-type]
        await environment.start()
        machine = Machine(environment, Relay(clock), clock)
        made.append(machine)
        if linked:
            await machine.link()
        return machine

    yield make
    for machine in made:
        await machine.close()


@pytest.fixture
async def machine(make_machine: MakeMachine) -> Machine:
    """A linked machine in client-approval mode."""
    return await make_machine()


__all__ = ["Device", "Machine", "MakeMachine", "Relay", "peek_claims"]
