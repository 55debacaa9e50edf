"""doorward.toml: what is wrong is told with its key and the way out."""

import json

import pytest

from doorward.jose import generate_key
from doorward.server.configuration import ConfigurationInvalid, load_serve_configuration, split_address
from doorward.server.serve import plan_of, running_server
from doorward.webhook_signing import new_secret

GOOD = """
data = "{data}"
[identity]
origin = "https://accounts.example.com"
[relay]
origin = "https://relay.example.com"
zone = "machines.example.net"
[edge]
url = "https://edge.machines.example.net"
"""


@pytest.fixture
def load(tmp_path):
    def write_and_load(text):
        path = tmp_path / "doorward.toml"
        path.write_text(text.replace("{data}", str(tmp_path)))
        return load_serve_configuration(path)

    return write_and_load


def test_a_small_file_is_enough_and_production_starts_invite_only(load, tmp_path):
    configuration = load(GOOD)
    assert configuration.roles == ("identity", "relay", "edge")
    assert configuration.identity.sign_up == "invite-only"
    assert configuration.database_url == f"sqlite:///{tmp_path}/doorward.sqlite"
    assert configuration.jwks_url == "https://accounts.example.com/.well-known/jwks.json"
    assert plan_of(configuration).relay.endpoint_addresses == "any"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            'origin = "https://accounts.example.com"',
            'origin = "http://accounts.example.com"',
            "identity.origin must look like",
        ),
        (
            'origin = "https://accounts.example.com"',
            'origin = "https://accounts.example.com/x"',
            "identity.origin must look like",
        ),
        ('zone = "machines.example.net"', "", "relay.zone is missing"),
        ('zone = "machines.example.net"', 'zone = "example.com"', "Give machines a domain of their own"),
        ("[edge]", 'sing_up = "open"\n[edge]', "relay.sing_up is no setting"),
        ('data = "{data}"', 'data = "{data}"\nroles = []', "roles is empty"),
        ('data = "{data}"', 'data = "{data}"\nroles = ["identities"]', "roles"),
        ('data = "{data}"', "data = ", "is not TOML"),
        ('url = "https://edge.machines.example.net"', "", "edge.url is missing"),
        ("[edge]", 'provider = "cloudflare"\n[edge]', "roles names edge"),
        ("[edge]", "[relay.cloudflare]\naccount_id = 'a'\nzone_id = 'z'\n[edge]", "api_token_file"),
        (
            "[edge]",
            "[relay.cloudflare]\naccount_id = 'a'\nzone_id = 'z'\napi_token_file = '/t'\n[edge]",
            "go together",
        ),
        ("[edge]", "environment_timeout = 9\n[edge]", "below relay.request_deadline"),
        ("[edge]", "max_tunnels = -1\n[edge]", "max_tunnels"),
        (
            "[edge]",
            "[database]\nurl = 'mysql://doorward:secret@db'\n[edge]",
            "database.url: A database URL begins with sqlite:/// or postgresql://, not with 'mysql'.",
        ),
        ("[edge]", "[database]\nurl = 'sqlite:here.sqlite'\n[edge]", "sqlite:///absolute/path.sqlite"),
        ("[edge]", "[listen]\ncontrol = '8080'\n[edge]", "listen.control: '8080' is not an address"),
        ("[edge]", "[listen]\nedge = '[::]:99999'\n[edge]", "listen.edge: '[::]:99999' is not an address"),
        ("https://relay.example.com", "https://[relay", "relay.origin must look like"),
        ("https://relay.example.com", "https://relay.example.com:x", "relay.origin must look like"),
        ("https://relay.example.com", "https://:pw@relay.example.com", "relay.origin must look like"),
        ("https://relay.example.com", "https://the relay", "relay.origin must look like"),
        ("https://edge.machines.example.net", "edge.machines.example.net", "edge.url must look like"),
        ("[edge]", "[edge]\nalternates = ['x']", "edge.alternates must look like"),
        ("[edge]", "jwks_url = 'http://elsewhere/jwks'\n[edge]", "relay.jwks_url must begin with https://"),
        ("machines.example.net", "machines.example.net:x", "relay.zone must be a host name"),
        ('zone = "machines.example.net"', 'zone = ""', "relay.zone must be a host name"),
        ("[edge]", "[admin]\nlisten = '9090'\n[edge]", "admin.listen: '9090' is not an address"),
        ("[edge]", "[admin]\nlisten = '8.8.8.8:9090'\n[edge]", "admin.listen: What is told there"),
        ("[edge]", "[admin]\n[edge]", "admin.listen is missing"),
        (
            "[edge]",
            "[log]\nlevel = 'loud'\n[edge]",
            "log.level is 'loud'; it takes debug, error, info, warning.",
        ),
        ('data = "{data}"', "data = 1", "data: a path is text in quotes."),
        (
            'zone = "machines.example.net"',
            "zone = 1",
            "relay.zone has to be text in quotes; it is a whole number.",
        ),
        ('data = "{data}"', 'data = "{data}"\nroles = "edge"', "roles has to be a list"),
        (
            'data = "{data}"',
            'data = "{data}"\nroles = ["x"]',
            "roles[0] is 'x'; it takes edge, identity, relay.",
        ),
        ("[edge]", "[edge]\nnodes = 0", "edge.nodes has to be at least 1."),
        ("[edge]", "[edge]\ndrain_seconds = 9999", "edge.drain_seconds has to be at most 3600"),
        ("[edge]", "[edge.limits.accounts.ada]\nmachins = 1\n[edge]", "machins is no setting"),
        (
            "[edge]",
            "[relay.rate_limits]\nlinks = -1\n[edge]",
            "relay.rate_limits.links has to be at least 0.",
        ),
        ("[edge]", "[mail]\nhost = 'm'\nsender = 's'\nport = 0\n[edge]", "mail.port has to be at least 1."),
        ("[edge]", "origin = 'x'\n[edge]", "stands there twice (at line"),
        ("[edge]", "[relay]\n[edge]", "stands there twice (at line"),
    ],
)
def test_a_mistake_is_named(load, old, new, told):
    assert old in GOOD
    with pytest.raises(ConfigurationInvalid, match=r"doorward\.toml") as refused:
        load(GOOD.replace(old, new))
    assert told in str(refused.value)


def test_authorities_that_cannot_be_read_are_told_before_anybody_is_refused_for_them(load, tmp_path):
    (tmp_path / "empty.pem").write_text("")
    for name in ("absent.pem", "empty.pem"):
        configuration = load(f"ca_file = '{tmp_path / name}'\n{GOOD}")
        with pytest.raises(ConfigurationInvalid, match=f"ca_file: .*{name}"):
            plan_of(configuration)


@pytest.mark.anyio
async def test_a_data_folder_that_cannot_be_made_is_told(load, tmp_path):
    (tmp_path / "file").touch()
    configuration = load(GOOD.replace("{data}", f"{tmp_path}/file/data"))
    with pytest.raises(ConfigurationInvalid, match=r"Cannot make the data folder .*/file/data"):
        async with running_server(configuration):
            pass


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ConfigurationInvalid, match="Cannot read"):
        load_serve_configuration(tmp_path / "absent.toml")


def test_the_mark_that_some_editors_begin_a_file_with_is_passed_over(load, tmp_path):
    assert load("\ufeff" + GOOD).data == tmp_path


def test_a_file_that_a_key_names_is_told_with_the_key(load, tmp_path):
    configuration = load(f"{GOOD}[mail]\nhost = 'm'\nsender = 's'\npassword_file = '{tmp_path}/absent'\n")
    with pytest.raises(ConfigurationInvalid, match=r"mail\.password_file: Cannot read .*/absent"):
        plan_of(configuration)


def test_a_file_of_bytes_is_told(tmp_path):
    (tmp_path / "doorward.toml").write_bytes(b"\x7fELF\xd0\xff")
    with pytest.raises(ConfigurationInvalid, match=r"doorward\.toml is not UTF-8 text"):
        load_serve_configuration(tmp_path / "doorward.toml")


@pytest.mark.parametrize(
    ("text", "address"), [("127.0.0.1:80", ("127.0.0.1", 80)), ("[::1]:443", ("::1", 443))]
)
def test_addresses_are_host_and_port(text, address):
    assert split_address(text) == address


@pytest.mark.parametrize("text", ["8080", "host:", ":80", "host:70000", "host:x"])
def test_what_is_not_an_address_is_refused(text):
    with pytest.raises(ConfigurationInvalid):
        split_address(text)


def test_cloudflare_needs_no_edge_and_its_token_stays_out_of_the_file(load, tmp_path):
    (tmp_path / "token").write_text("cf-s3cret\n")
    configuration = load(
        GOOD[: GOOD.index("[edge]")].replace("data =", 'roles = ["identity", "relay"]\ndata =')
        + f"""provider = "cloudflare"
max_tunnels = 3
[relay.cloudflare]
account_id = "acc"
zone_id = "zone"
api_token_file = "{tmp_path}/token"
cleanup = "dry-run"
"""
    )
    plan = plan_of(configuration)
    assert plan.relay.cloudflare is not None
    assert (plan.relay.cloudflare.api_token, plan.relay.cloudflare.cleanup) == ("cf-s3cret", "dry-run")
    assert (plan.relay.endpoint_scheme, plan.relay.endpoint_port, plan.relay.max_tunnels) == (
        "https",
        None,
        3,
    )
    assert plan.relay.endpoint_addresses == "public"
    assert "cf-s3cret" not in repr(plan)
    (tmp_path / "token").unlink()
    with pytest.raises(ConfigurationInvalid, match="token"):
        plan_of(configuration)


PUSH = (
    GOOD
    + """
[push]
contact = "mailto:ops@example.com"
private_hosts = ["push.internal"]
[push.apns]
key_file = "{data}/apple.p8"
key_id = "KEY1234567"
team_id = "TEAM123456"
bundle_id = "com.example.app"
[push.fcm]
service_account_file = "{data}/firebase.json"
"""
)


def test_receivers_of_webhooks_inside_the_own_network_are_named(load):
    assert plan_of(load(GOOD)).identity.webhook_private_hosts == ()
    named = load(GOOD + '\n[webhooks]\nprivate_hosts = ["hooks.internal"]\n')
    assert plan_of(named).identity.webhook_private_hosts == ("hooks.internal",)


def test_the_secret_of_the_accounts_webhook_is_read_from_its_file(load, tmp_path):
    secret = new_secret()
    (tmp_path / "webhook").write_text(f"{secret}\n")
    named = GOOD.replace("[relay]", f'[relay]\naccounts_webhook_secret_file = "{tmp_path}/webhook"')
    plan = plan_of(load(named))
    assert plan.relay.accounts_webhook is not None
    assert plan.relay.accounts_webhook.secret == secret
    assert secret not in repr(plan)
    (tmp_path / "webhook").write_text("whsec_short")
    with pytest.raises(ConfigurationInvalid, match="accounts' webhook"):
        plan_of(load(named))
    (tmp_path / "webhook").unlink()
    with pytest.raises(ConfigurationInvalid, match="Cannot read"):
        plan_of(load(named))


def write_push_keys(folder):
    (folder / "apple.p8").write_text(generate_key("ES256").to_pem())
    account = {"project_id": "p", "client_email": "e", "private_key": generate_key("RS256").to_pem()}
    (folder / "firebase.json").write_text(json.dumps({**account, "type": "service_account"}))


def test_keys_of_apple_and_google_are_read_and_never_shown(load, tmp_path):
    write_push_keys(tmp_path)
    plan = plan_of(load(PUSH))
    assert plan.private_push_hosts == ("push.internal",)
    assert plan.relay.apns is not None
    assert plan.relay.apns.environment == "production"
    assert plan.relay.fcm is not None
    assert plan.relay.push_contact == "mailto:ops@example.com"
    assert "PRIVATE" not in repr(plan)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("apple.p8", None, r"Cannot read .*apple\.p8"),
        ("apple.p8", "no key", r"apple\.p8 is not the \.p8 key"),
        ("firebase.json", None, r"Cannot read .*firebase\.json"),
        ("firebase.json", "{}", r"firebase\.json is not the JSON key"),
        (
            "firebase.json",
            '{"project_id":"p","client_email":"e","private_key":"x"}',
            r"firebase\.json is not",
        ),
    ],
)
def test_a_key_that_is_none_is_told_before_anything_starts(load, tmp_path, name, content, told):
    write_push_keys(tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(ConfigurationInvalid, match=told):
        plan_of(load(PUSH))


def test_a_contact_that_push_services_would_refuse_is_told(load, tmp_path):
    write_push_keys(tmp_path)
    with pytest.raises(ConfigurationInvalid, match=r"push\.contact"):
        plan_of(load(PUSH.replace("mailto:ops", "ops")))
