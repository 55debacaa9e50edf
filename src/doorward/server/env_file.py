"""`doorward serve --env-file FILE`: the relay and its edge from the variables of T3's own relay, accounts elsewhere.

| variable | meaning |
|---|---|
| `RELAY_API_ZONE_NAME` | DNS zone of the relay's host, `relay.<zone>` |
| `RELAY_DOMAIN` | the relay's host, where it is another; blank is absent |
| `RELAY_TUNNEL_ZONE_NAME` | DNS zone of the machines' names |
| `CLERK_PUBLISHABLE_KEY` | whose accounts: Clerk's cloud, or any server that speaks as it does |
| `CLERK_JWT_AUDIENCE` | what a session's JWT must name, `t3-code-relay` if absent |
| `CLERK_SECRET_KEY` | shown to the Backend API when an opaque OAuth token is checked, and to nobody else |
| `CLERK_API_URL` | that Backend API, Clerk's own if absent |
| `CLERK_WEBHOOK_SIGNING_SECRET` | of Clerk's webhook endpoint that leads to `/v1/webhooks/accounts` here; absent: there is none |
| `T3CODE_CLERK_CLI_OAUTH_CLIENT_ID` | OAuth clients whose tokens count, comma-separated; absent: none |
| `APNS_TEAM_ID`, `APNS_KEY_ID`, `APNS_BUNDLE_ID` | to notify iOS devices; absent: they are not |
| `APNS_PRIVATE_KEY` | Apple's key, PEM; its line breaks may be written as `\\n`. Or `DOORWARD_APNS_KEY_FILE` |
| `APNS_ENVIRONMENT` | `production` if absent, or `sandbox` |

and, ours, with the meaning of doorward.toml's keys: `DOORWARD_DATA`, `DOORWARD_DATABASE_URL`, `DOORWARD_ROLES`,
`DOORWARD_EDGE_URL`, `DOORWARD_LISTEN_CONTROL`, `DOORWARD_LISTEN_EDGE`, `DOORWARD_TRUSTED_PROXIES`,
`DOORWARD_ADMIN_LISTEN`, `DOORWARD_CA_FILE`, `DOORWARD_TLS_CERTIFICATE`, `DOORWARD_TLS_KEY`, `DOORWARD_T3_RELAY`,
`DOORWARD_PUSH_CONTACT`, `DOORWARD_PUSH_PRIVATE_HOSTS`, `DOORWARD_APNS_KEY_FILE`, `DOORWARD_FCM_SERVICE_ACCOUNT_FILE`.

A variable of the process's environment counts before the file's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

import msgspec

from doorward.client.configuration import accounts_origin_of
from doorward.relay import ClerkCloud
from doorward.server import stages
from doorward.server.configuration import (
    AdminSection,
    ApnsEnvironment,
    ApnsSection,
    ConfigurationInvalid,
    DatabaseSection,
    EdgeSection,
    FcmSection,
    IdentitySection,
    ListenSection,
    PushSection,
    RelaySection,
    Role,
    ServeConfiguration,
    TlsSection,
    check_configuration,
    safe_url,
)
from doorward.server.dotenv import EnvFileUnusable, read_variables

NAMES = frozenset(
    (
        "RELAY_DOMAIN", "RELAY_API_ZONE_NAME", "RELAY_TUNNEL_ZONE_NAME",
        "CLERK_PUBLISHABLE_KEY", "CLERK_JWT_AUDIENCE", "CLERK_SECRET_KEY", "CLERK_API_URL",
        "CLERK_WEBHOOK_SIGNING_SECRET",
        "T3CODE_CLERK_CLI_OAUTH_CLIENT_ID",
        "DOORWARD_DATA", "DOORWARD_DATABASE_URL", "DOORWARD_ROLES", "DOORWARD_EDGE_URL", "DOORWARD_LISTEN_CONTROL",
        "DOORWARD_LISTEN_EDGE", "DOORWARD_TRUSTED_PROXIES", "DOORWARD_ADMIN_LISTEN", "DOORWARD_CA_FILE",
        "DOORWARD_TLS_CERTIFICATE", "DOORWARD_TLS_KEY", "DOORWARD_T3_RELAY",
        "APNS_TEAM_ID", "APNS_KEY_ID", "APNS_BUNDLE_ID", "APNS_PRIVATE_KEY", "APNS_ENVIRONMENT",
        "DOORWARD_PUSH_CONTACT", "DOORWARD_PUSH_PRIVATE_HOSTS", "DOORWARD_APNS_KEY_FILE",
        "DOORWARD_FCM_SERVICE_ACCOUNT_FILE",
    )
)  # fmt: skip
_REQUIRED = ("RELAY_API_ZONE_NAME", "RELAY_TUNNEL_ZONE_NAME", "CLERK_PUBLISHABLE_KEY", "CLERK_SECRET_KEY")
#: Which variable is at fault where the check of doorward.toml's keys finds one of them wrong.
_VARIABLES = {
    "identity.origin": "CLERK_PUBLISHABLE_KEY",
    "relay.origin": "RELAY_DOMAIN, or RELAY_API_ZONE_NAME,",
    "relay.zone": "RELAY_TUNNEL_ZONE_NAME",
    "edge.url": "DOORWARD_EDGE_URL",
    "roles": "DOORWARD_ROLES",
    "database.url": "DOORWARD_DATABASE_URL",
    "listen.control": "DOORWARD_LISTEN_CONTROL",
    "listen.edge": "DOORWARD_LISTEN_EDGE",
    "listen.trusted_proxies": "DOORWARD_TRUSTED_PROXIES",
    "admin.listen": "DOORWARD_ADMIN_LISTEN",
}
_KEYS = re.compile("|".join(rf"\b{re.escape(key)}\b" for key in _VARIABLES))
DEFAULT_DATA = "/var/lib/doorward"


class EnvFilePlan(msgspec.Struct, frozen=True, kw_only=True):
    """`production_url` is the database of the stage `prod`, beside which another stage stands."""

    configuration: ServeConfiguration
    clerk: ClerkCloud
    production_url: str


def load_env_file(
    path: Path, *, stage: str = stages.PRODUCTION, environ: Mapping[str, str] = os.environ
) -> EnvFilePlan:
    """What the file, and the environment before it, say about a node of this stage. Raises ConfigurationInvalid."""
    stages.check_stage(stage)
    variables = _variables(path, environ)
    missing = [name for name in _REQUIRED if name not in variables]
    if missing:
        raise ConfigurationInvalid(f"{path} does not set {', '.join(missing)}.{_misspelt(path, missing)}")
    host = stages.relay_host(
        stage, domain=variables.get("RELAY_DOMAIN", ""), api_zone=variables["RELAY_API_ZONE_NAME"]
    )
    zone = variables["RELAY_TUNNEL_ZONE_NAME"].strip(".").lower()
    data = Path(variables.get("DOORWARD_DATA", DEFAULT_DATA))
    production_url = variables.get("DOORWARD_DATABASE_URL", f"sqlite:///{data.absolute()}/doorward.sqlite")
    own_data = stages.stage_data(stage, data)
    url = (
        f"sqlite:///{own_data.absolute()}/doorward.sqlite"
        if production_url.startswith("sqlite:") and stage != stages.PRODUCTION
        else stages.stage_database_url(stage, production_url)
    )
    scheme = "http" if host.endswith(".localhost") else "https"
    listen = ListenSection(
        control=variables.get("DOORWARD_LISTEN_CONTROL", ListenSection().control),
        edge=variables.get("DOORWARD_LISTEN_EDGE", ListenSection().edge),
        trusted_proxies=_listed(variables.get("DOORWARD_TRUSTED_PROXIES", "")),
    )
    port = f":{listen.control.rpartition(':')[2]}" if scheme == "http" else ""
    configuration = ServeConfiguration(
        roles=_roles(path, variables.get("DOORWARD_ROLES", "relay,edge")),
        data=own_data,
        database=DatabaseSection(url=url),
        identity=IdentitySection(origin=_accounts(path, variables["CLERK_PUBLISHABLE_KEY"])),
        relay=RelaySection(
            origin=f"{scheme}://{host}{port}",
            zone=zone,
            stage=stage,
            jwt_audience=variables.get("CLERK_JWT_AUDIENCE", "t3-code-relay"),
            oauth_client_ids=_listed(variables.get("T3CODE_CLERK_CLI_OAUTH_CLIENT_ID", "")),
            t3_relay=_is_on(path, variables, "DOORWARD_T3_RELAY"),
        ),
        edge=EdgeSection(url=variables.get("DOORWARD_EDGE_URL", f"{scheme}://edge.{zone}")),
        listen=listen,
        admin=AdminSection(listen=variables["DOORWARD_ADMIN_LISTEN"])
        if "DOORWARD_ADMIN_LISTEN" in variables
        else None,
        tls=_tls(path, variables),
        push=_push(path, variables),
        ca_file=Path(variables["DOORWARD_CA_FILE"]) if "DOORWARD_CA_FILE" in variables else None,
    )
    try:
        check_configuration(configuration, path)
    except ConfigurationInvalid as error:
        fault = str(error).removeprefix(f"{path}: ")
        raise ConfigurationInvalid(f"{path}: {_in_variables(fault)}") from error
    return EnvFilePlan(
        configuration=configuration,
        clerk=ClerkCloud(
            secret_key=variables["CLERK_SECRET_KEY"],
            api_url=_api_url(path, variables.get("CLERK_API_URL", "")),
            webhook_secret=variables.get("CLERK_WEBHOOK_SIGNING_SECRET"),
        ),
        production_url=production_url,
    )


def _variables(path: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Ours, of both; blank means absent."""
    try:
        merged = {**read_variables(path), **{name: value for name, value in environ.items() if value.strip()}}
    except EnvFileUnusable as error:
        raise ConfigurationInvalid(str(error)) from error
    return {name: value.strip() for name, value in merged.items() if name in NAMES and value.strip()}


def _misspelt(path: Path, missing: Sequence[str]) -> str:
    """What the file sets in place of it, where that looks so."""
    from difflib import get_close_matches

    others = read_variables(path).keys() - NAMES
    alike = [one for name in missing for one in get_close_matches(name, others, 1, 0.9)]
    return f" It sets {', '.join(alike)}." if alike else ""


def _in_variables(fault: str) -> str:
    """A sentence about a doorward.toml, with the names of this file's variables in place of the keys."""
    return _KEYS.sub(lambda key: _VARIABLES[key[0]], fault)


def _accounts(path: Path, publishable_key: str) -> str:
    try:
        return accounts_origin_of(publishable_key)
    except ValueError as error:
        raise ConfigurationInvalid(f"{path}: CLERK_PUBLISHABLE_KEY: {error}.") from error


def _api_url(path: Path, text: str) -> str:
    url = (text or ClerkCloud(secret_key="").api_url).rstrip("/")
    if safe_url(url) is None:
        raise ConfigurationInvalid(
            f"{path}: CLERK_API_URL must begin with https://: the secret key is sent there."
        )
    return url.removesuffix("/v1")


def _roles(path: Path, text: str) -> tuple[Role, ...]:
    try:
        return msgspec.convert(_listed(text), tuple[Role, ...])
    except msgspec.ValidationError as error:
        raise ConfigurationInvalid(
            f"{path}: DOORWARD_ROLES lists some of {', '.join(get_args(Role))}, with commas between; it is {text!r}."
        ) from error


def _tls(path: Path, variables: Mapping[str, str]) -> TlsSection | None:
    files = [variables.get(name) for name in ("DOORWARD_TLS_CERTIFICATE", "DOORWARD_TLS_KEY")]
    if files == [None, None]:
        return None
    certificate, key = files
    if certificate is None or key is None:
        raise ConfigurationInvalid(f"{path}: DOORWARD_TLS_CERTIFICATE and DOORWARD_TLS_KEY go together.")
    return TlsSection(certificate=Path(certificate), key=Path(key))


def _is_on(path: Path, variables: Mapping[str, str], name: str) -> bool:
    text = variables.get(name, "false").lower()
    if text not in ("true", "false"):
        raise ConfigurationInvalid(f"{path}: {name} is true or false; it is {text!r}.")
    return text == "true"


def _push(path: Path, variables: Mapping[str, str]) -> PushSection:
    account = variables.get("DOORWARD_FCM_SERVICE_ACCOUNT_FILE")
    return PushSection(
        contact=variables.get("DOORWARD_PUSH_CONTACT"),
        private_hosts=_listed(variables.get("DOORWARD_PUSH_PRIVATE_HOSTS", "")),
        apns=_apns(path, variables),
        fcm=None if account is None else FcmSection(service_account_file=Path(account)),
    )


def _apns(path: Path, variables: Mapping[str, str]) -> ApnsSection | None:
    """All of it or nothing; `APNS_ENVIRONMENT` alone asks for nothing."""
    key, key_file = variables.get("APNS_PRIVATE_KEY"), variables.get("DOORWARD_APNS_KEY_FILE")
    names = ("APNS_TEAM_ID", "APNS_KEY_ID", "APNS_BUNDLE_ID")
    missing = [name for name in names if name not in variables]
    if key is None and key_file is None:
        if len(missing) == len(names):
            return None
        missing.append("APNS_PRIVATE_KEY (or DOORWARD_APNS_KEY_FILE)")
    if missing:
        raise ConfigurationInvalid(f"{path}: to notify iOS devices {', '.join(missing)} must be set as well.")
    if key is not None and key_file is not None:
        raise ConfigurationInvalid(f"{path}: set one of APNS_PRIVATE_KEY and DOORWARD_APNS_KEY_FILE.")
    try:
        environment = msgspec.convert(variables.get("APNS_ENVIRONMENT", "production"), ApnsEnvironment)
    except msgspec.ValidationError as error:
        raise ConfigurationInvalid(f"{path}: APNS_ENVIRONMENT is production or sandbox.") from error
    return ApnsSection(
        team_id=variables["APNS_TEAM_ID"],
        key_id=variables["APNS_KEY_ID"],
        bundle_id=variables["APNS_BUNDLE_ID"],
        private_key=None if key is None else key.replace("\\n", "\n"),
        key_file=None if key_file is None else Path(key_file),
        environment=environment,
    )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())
