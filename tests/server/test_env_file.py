"""`doorward serve --env-file`: T3's relay variables, stages beside production, and what is never told."""

import base64
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from doorward.jose import generate_key
from doorward.outbound import Outbound
from doorward.server.configuration import ConfigurationInvalid
from doorward.server.env_file import load_env_file
from doorward.server.serve import plan_of
from doorward.server.stages import ProductionMissing, prepare_stage, relay_host, stage_schema
from doorward.store import open_database
from doorward.webhook_signing import new_secret
from tests import databases
from tests.e2e.processes import Program, command
from tests.ports import free_ports

SECRET = "sk_live_not-for-anybody-elses-eyes"
KEY = "pk_live_" + base64.b64encode(b"clerk.example.org$").decode()
GOOD = f"""
RELAY_API_ZONE_NAME=example.com
RELAY_TUNNEL_ZONE_NAME=machines.example.net
RELAY_DOMAIN=
CLERK_PUBLISHABLE_KEY={KEY}
CLERK_JWT_AUDIENCE=our-relay
CLERK_SECRET_KEY={SECRET}
T3CODE_CLERK_CLI_OAUTH_CLIENT_ID=cli_1, cli_2
"""

APPLE = "APNS_TEAM_ID=TEAM123456\nAPNS_KEY_ID=KEY1234567\nAPNS_BUNDLE_ID=com.example.app\n"


@pytest.fixture
def env_file(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "relay.env"
        path.write_text(text)
        return path

    return write


def test_the_variables_of_the_original_make_a_relay(env_file: Callable[[str], Path]) -> None:
    plan = load_env_file(env_file(GOOD), environ={})
    node = plan_of(plan.configuration, plan.clerk)
    assert node.roles == ("relay", "edge")
    assert node.relay.issuer == "https://relay.example.com"
    assert node.relay.zone == "machines.example.net"
    assert node.relay.stage == "prod"
    assert node.relay.jwt_audience == "our-relay"
    assert node.relay.accounts_issuer == "https://clerk.example.org"
    assert node.relay.jwks_url == "https://clerk.example.org/.well-known/jwks.json"
    assert node.relay.oauth_client_ids == ("cli_1", "cli_2")
    assert node.relay.clerk == plan.clerk
    assert plan.clerk.api_url == "https://api.clerk.com"
    assert plan.clerk.secret_key == SECRET
    assert node.database_url == "sqlite:////var/lib/doorward/doorward.sqlite"


def test_the_environment_counts_before_the_file(env_file: Callable[[str], Path]) -> None:
    environ = {"RELAY_DOMAIN": "connect.example.com", "CLERK_JWT_AUDIENCE": " ", "PATH": "/bin"}
    plan = load_env_file(env_file(GOOD), environ=environ)
    assert plan.configuration.relay.origin == "https://connect.example.com"
    assert plan.configuration.relay.jwt_audience == "our-relay"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("CLERK_SECRET_KEY=", "does not set CLERK_SECRET_KEY"),
        ("CLERK_SECRET_KEY=\nCLERK_SECRT_KEY=x", "does not set CLERK_SECRET_KEY. It sets CLERK_SECRT_KEY."),
        ("RELAY_API_ZONE_NAME=\nRELAY_TUNNEL_ZONE_NAME=", "RELAY_API_ZONE_NAME, RELAY_TUNNEL_ZONE_NAME"),
        ("CLERK_PUBLISHABLE_KEY=pk_live", "CLERK_PUBLISHABLE_KEY"),
        ("CLERK_API_URL=http://api.example.com", "CLERK_API_URL"),
        ("CLERK_API_URL=http://evillocalhost", "CLERK_API_URL"),
        ("RELAY_TUNNEL_ZONE_NAME=example.com", "Give machines a domain of their own"),
        ("CLERK_API_URL=https://[x", "CLERK_API_URL"),
        ("RELAY_TUNNEL_ZONE_NAME=https://x", "RELAY_TUNNEL_ZONE_NAME must be a host name"),
        ("RELAY_API_ZONE_NAME=the zone", "RELAY_API_ZONE_NAME, must look like"),
        ("DOORWARD_EDGE_URL=x", "DOORWARD_EDGE_URL must look like"),
        ("DOORWARD_LISTEN_EDGE=x", "DOORWARD_LISTEN_EDGE: 'x' is not an address"),
        ("DOORWARD_ADMIN_LISTEN=x", "DOORWARD_ADMIN_LISTEN: 'x' is not an address"),
        (f"DOORWARD_DATABASE_URL=mysql://d:{SECRET}@db", "DOORWARD_DATABASE_URL: A database URL begins with"),
        ("DOORWARD_ROLES=,", "DOORWARD_ROLES is empty"),
        ("DOORWARD_ROLES=relay,helper", "DOORWARD_ROLES lists some of identity, relay, edge"),
        ("DOORWARD_TLS_KEY=/tmp/key.pem", "go together"),
        ("DOORWARD_T3_RELAY=yes", "DOORWARD_T3_RELAY is true or false"),
        ("APNS_TEAM_ID=T", "APNS_KEY_ID, APNS_BUNDLE_ID, APNS_PRIVATE_KEY (or DOORWARD_APNS_KEY_FILE)"),
        (f"APNS_PRIVATE_KEY={SECRET}", "APNS_TEAM_ID, APNS_KEY_ID, APNS_BUNDLE_ID must be set"),
        (APPLE + f"APNS_PRIVATE_KEY={SECRET}\nDOORWARD_APNS_KEY_FILE=/k.p8", "one of APNS_PRIVATE_KEY"),
        (APPLE + f"APNS_PRIVATE_KEY={SECRET}\nAPNS_ENVIRONMENT=dev", "production or sandbox"),
        ("RELAY_DOMAIN=" + "a" * 64 + ".example.com", "63 characters"),
    ],
)
def test_a_mistake_is_named_and_the_secret_is_not(
    env_file: Callable[[str], Path], change: str, told: str
) -> None:
    with pytest.raises(ConfigurationInvalid, match=r"\w") as refused:
        load_env_file(env_file(GOOD + change + "\n"), environ={})
    assert told in str(refused.value)
    assert SECRET not in str(refused.value)


def test_a_path_that_reads_like_a_key_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "roles" / "relay.zone"
    path.parent.mkdir()
    path.write_text(f"{GOOD}DOORWARD_EDGE_URL=x\n")
    with pytest.raises(ConfigurationInvalid) as refused:
        load_env_file(path, environ={})
    assert str(refused.value).startswith(f"{path}: DOORWARD_EDGE_URL must look like")


def test_the_mark_that_some_editors_begin_a_file_with_is_passed_over(
    env_file: Callable[[str], Path],
) -> None:
    assert load_env_file(env_file("\ufeff" + GOOD.lstrip()), environ={}).configuration.relay.zone


def test_the_secret_key_is_in_no_representation(env_file: Callable[[str], Path]) -> None:
    plan = load_env_file(env_file(GOOD), environ={"DOORWARD_DATABASE_URL": "postgresql://d:hunter22@db/d"})
    assert SECRET not in repr(plan)
    assert "hunter22" not in repr(plan.configuration)
    assert SECRET not in repr(plan_of(plan.configuration, plan.clerk).relay)


# T3 Code's own connector, and notifications.


def test_nothing_is_notified_and_no_foreign_connector_let_in_unless_told_so(
    env_file: Callable[[str], Path],
) -> None:
    plan = load_env_file(env_file(GOOD + "APNS_ENVIRONMENT=sandbox\nAPNS_TEAM_ID=\n"), environ={})
    relay = plan_of(plan.configuration, plan.clerk).relay
    assert (relay.t3_relay, relay.apns, relay.fcm, relay.push_contact) == (False, None, None, None)


def test_a_foreign_connector_and_the_senders_of_notifications_are_variables(
    env_file: Callable[[str], Path], tmp_path: Path
) -> None:
    account = {"project_id": "p", "client_email": "e", "private_key": generate_key("RS256").to_pem()}
    (tmp_path / "firebase.json").write_text(json.dumps(account))
    pem = generate_key("ES256").to_pem().strip()
    text = f"""{GOOD}{APPLE}
APNS_PRIVATE_KEY="{pem.replace(chr(10), chr(92) + "n")}"
APNS_ENVIRONMENT=sandbox
DOORWARD_T3_RELAY=true
DOORWARD_PUSH_CONTACT=mailto:ops@example.com
DOORWARD_PUSH_PRIVATE_HOSTS=push.internal, push.other
DOORWARD_FCM_SERVICE_ACCOUNT_FILE={tmp_path}/firebase.json
"""
    plan = load_env_file(env_file(text), environ={})
    node = plan_of(plan.configuration, plan.clerk)
    assert node.relay.t3_relay
    apns = node.relay.apns
    assert apns is not None
    assert (apns.private_key, apns.key_id, apns.team_id) == (pem, "KEY1234567", "TEAM123456")
    assert (apns.bundle_id, apns.environment) == ("com.example.app", "sandbox")
    assert node.relay.fcm is not None
    assert node.relay.fcm.project_id == "p"
    assert node.relay.push_contact == "mailto:ops@example.com"
    assert node.private_push_hosts == ("push.internal", "push.other")
    assert "PRIVATE" not in repr(plan) + repr(node)


def test_apples_key_may_be_a_file_and_what_is_no_key_is_told_without_it(
    env_file: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "apple.p8").write_text(generate_key("ES256").to_pem())
    plan = load_env_file(env_file(f"{GOOD}{APPLE}DOORWARD_APNS_KEY_FILE={tmp_path}/apple.p8\n"), environ={})
    apns = plan_of(plan.configuration, plan.clerk).relay.apns
    assert apns is not None
    assert apns.environment == "production"

    wrong = load_env_file(env_file(f"{GOOD}{APPLE}APNS_PRIVATE_KEY={SECRET}\n"), environ={})
    with pytest.raises(ConfigurationInvalid, match=r"is not the \.p8 key") as refused:
        plan_of(wrong.configuration, wrong.clerk)
    assert SECRET not in str(refused.value)


def test_a_webhook_of_the_accounts_is_heard_where_its_secret_is_known(
    env_file: Callable[[str], Path],
) -> None:
    secret = new_secret()
    plan = load_env_file(env_file(f"{GOOD}CLERK_WEBHOOK_SIGNING_SECRET={secret}\n"), environ={})
    node = plan_of(plan.configuration, plan.clerk)
    assert node.relay.accounts_webhook is not None
    assert node.relay.accounts_webhook.secret == secret
    assert secret not in repr(plan) + repr(node)

    wrong = load_env_file(env_file(f"{GOOD}CLERK_WEBHOOK_SIGNING_SECRET={SECRET}\n"), environ={})
    with pytest.raises(ConfigurationInvalid, match="accounts' webhook") as refused:
        plan_of(wrong.configuration, wrong.clerk)
    assert SECRET not in str(refused.value)
    absent = load_env_file(env_file(GOOD), environ={})
    assert plan_of(absent.configuration, absent.clerk).relay.accounts_webhook is None


# Stages.


def test_a_stage_has_data_and_names_of_its_own(env_file: Callable[[str], Path]) -> None:
    plan = load_env_file(env_file(GOOD), stage="dev_ada", environ={})
    assert plan.configuration.relay.origin == "https://relay-dev-ada.example.com"
    assert plan.configuration.relay.stage == "dev_ada"
    assert plan.configuration.data == Path("/var/lib/doorward/stages/dev_ada")
    assert plan.configuration.database_url == "sqlite:////var/lib/doorward/stages/dev_ada/doorward.sqlite"
    assert plan.production_url == "sqlite:////var/lib/doorward/doorward.sqlite"


@pytest.mark.conformance("connect-relay", 117)
def test_a_stage_never_takes_the_named_host_of_production_and_fits_into_a_label() -> None:
    assert relay_host("prod", domain="Connect.example.com.", api_zone="x.com") == "connect.example.com"
    assert (
        relay_host("dev_ada", domain="connect.example.com", api_zone="x.com") == "connect-dev-ada.example.com"
    )
    assert relay_host("dev", domain="", api_zone=".Example.com") == "relay-dev.example.com"
    assert relay_host("a" * 57, domain="", api_zone="x.com") == f"relay-{'a' * 57}.x.com"
    with pytest.raises(ConfigurationInvalid, match=f"The stage '{'a' * 58}' makes 'relay-{'a' * 58}'"):
        relay_host("a" * 58, domain="", api_zone="x.com")


def test_two_stages_share_no_schema() -> None:
    assert stage_schema("a-b") != stage_schema("a_b")


@pytest.mark.parametrize("stage", ["", "Dev", "a/b", "-dev", "x" * 41, "dev'; DROP"])
def test_a_stage_is_a_plain_word(env_file: Callable[[str], Path], stage: str) -> None:
    with pytest.raises(ConfigurationInvalid, match="A stage is named"):
        load_env_file(env_file(GOOD), stage=stage, environ={})


def test_a_blank_stage_is_not_production(env_file: Callable[[str], Path], tmp_path: Path) -> None:
    """A script's `--stage "$STAGE"` must not start the real thing when the variable is not set."""
    done = command("serve", "--env-file", str(env_file(GOOD)), "--stage", "", home=tmp_path, environ={})
    assert done.returncode == 2
    assert "A stage is named" in done.stderr


def test_beside_nothing_no_stage_starts(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/doorward.sqlite"
    with pytest.raises(ProductionMissing):
        prepare_stage("dev", production_url=url)
    with closing(sqlite3.connect(tmp_path / "doorward.sqlite")) as made:
        made.execute("CREATE TABLE something_else (x)")
    with pytest.raises(ProductionMissing):
        prepare_stage("dev", production_url=url)
    prepare_stage("prod", production_url=url)


@pytest.mark.anyio
@pytest.mark.postgresql
async def test_in_postgresql_a_stage_is_a_schema_that_hears_and_sees_nothing_of_production(
    env_file: Callable[[str], Path],
) -> None:
    from doorward.relay import SCHEMA

    with databases.new_postgresql([SCHEMA]) as url:
        plan = load_env_file(env_file(GOOD), stage="dev", environ={"DOORWARD_DATABASE_URL": url})
        with pytest.raises(ProductionMissing):
            prepare_stage("dev", production_url=plan.production_url)
        production = await open_database(url, schemas=[SCHEMA])
        insert = "INSERT INTO relay_signing_keys (name, sealed_private_key, created_at) VALUES (?, ?, ?)"
        await production.write(lambda tx: tx.execute(insert, ("cloud-mint", "sealed", 1)))
        prepare_stage("dev", production_url=plan.production_url)
        stage = await open_database(plan.configuration.database_url, schemas=[SCHEMA])
        count = "SELECT count(*) FROM relay_signing_keys"
        assert await stage.read(lambda tx: tx.fetch_one(count)) == (0,)
        async with (
            stage.subscribe("news") as heard_by_stage,
            production.subscribe("news") as heard_by_production,
        ):
            await production.write(lambda tx: tx.notify("news", "of production"))
            assert await anext(heard_by_production) == "of production"
            await stage.write(lambda tx: tx.notify("news", "of the stage"))
            assert await anext(heard_by_stage) == "of the stage"
            await production.write(lambda tx: tx.notify("news", "more of production"))
            assert await anext(heard_by_production) == "more of production"
        await stage.close()
        await production.close()


# The program.


def local_file(folder: Path) -> tuple[Path, str]:
    control, edge = free_ports(2)
    accounts = base64.b64encode(b"accounts.localhost:1$").decode()
    path = folder / "relay.env"
    path.write_text(
        f"""RELAY_API_ZONE_NAME=localhost
RELAY_TUNNEL_ZONE_NAME=machines.localhost:{edge}
CLERK_PUBLISHABLE_KEY=pk_test_{accounts}
CLERK_SECRET_KEY={SECRET}
DOORWARD_DATA={folder}/data
DOORWARD_LISTEN_CONTROL=127.0.0.1:{control}
DOORWARD_LISTEN_EDGE=127.0.0.1:{edge}
"""
    )
    return path, f"http://relay.localhost:{control}"


@pytest.mark.anyio
async def test_a_relay_starts_from_it_and_says_where_it_is_only_when_asked(tmp_path: Path) -> None:
    path, origin = local_file(tmp_path)
    client_file = tmp_path / "t3" / ".env"
    client_file.parent.mkdir()
    client_file.write_text("# mine\nT3CODE_RELAY_URL=https://old.example.com\nOTHER=kept\n")

    refused = command("serve", "--env-file", str(path), "--stage", "dev", home=tmp_path)
    assert refused.returncode == 1
    assert "production" in refused.stderr
    assert not (tmp_path / "data").exists()
    assert "old.example.com" in client_file.read_text()

    arguments = ["serve", "--env-file", str(path), "--write-relay-url", str(client_file)]
    program = Program(arguments, home=tmp_path)
    try:
        program.wait_for("Doorward serves relay, edge")
        outbound = Outbound()
        assert (await outbound.request("GET", f"{origin}/health")).status == 200
        await outbound.close()
        assert program.stop() == 0
    finally:
        if program.process.poll() is None:
            program.kill()
    assert client_file.read_text() == f"# mine\nT3CODE_RELAY_URL={origin}\nOTHER=kept\n"
    assert SECRET not in program.output

    stage = Program(["serve", "--env-file", str(path), "--stage", "dev"], home=tmp_path)
    try:
        stage.wait_for("Stage dev: http://relay-dev.localhost")
        stage.wait_for("Doorward serves")
        assert stage.stop() == 0
    finally:
        if stage.process.poll() is None:
            stage.kill()
    assert (tmp_path / "data" / "stages" / "dev" / "doorward.sqlite").exists()


def test_one_source_of_configuration_is_named(tmp_path: Path) -> None:
    neither = command("serve", home=tmp_path)
    assert (neither.returncode, "one of --config and --env-file" in neither.stderr) == (2, True)
    both = command("serve", "--config", "a", "--stage", "dev", home=tmp_path)
    assert (both.returncode, "--stage goes with --env-file" in both.stderr) == (2, True)
