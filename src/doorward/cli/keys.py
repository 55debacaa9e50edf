"""`doorward keys list|export|rotate|retire|secret`: the keys of a server."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click
import msgspec

from doorward.cli.administration.secret_keys import secret_keys
from doorward.cli.options import json_option
from doorward.cli.output import answer_json, fail, run
from doorward.cli.places import place_of, place_options

if TYPE_CHECKING:
    from doorward.server.keys import KeyRing, Keys

T = TypeVar("T")


class Rotated(msgspec.Struct, frozen=True, rename="camel"):
    """`count`: links to make again, values sealed anew, or keys forgotten."""

    kind: str
    kid: str | None = None
    count: int | None = None


@click.group("keys")
def keys() -> None:
    """What a server signs and seals with; secret keys."""


keys.add_command(secret_keys)


@keys.command("list")
@place_options
@json_option
def list_keys(as_json: bool, **options: Any) -> None:
    """Which keys there are, and what each is in use for."""
    found = _with_keys(lambda ring: ring.list(), as_json, options)
    if as_json:
        answer_json(found)
    else:
        print(_text(found))


@keys.command("export")
@click.option("--pem", "form", flag_value="pem", default=True, help="PEM on one line (this is the default).")
@click.option("--pem-lines", "form", flag_value="pem-lines", help="PEM as files have it, over several lines.")
@click.option("--jwk", "form", flag_value="jwk", help="One JWK, on one line.")
@place_options
@json_option
def export(form: str, as_json: bool, **options: Any) -> None:
    """Print the public half of the key that signs now.

    For systems that fetch no key set: Triplit, or CLERK_JWT_KEY. After `keys rotate signing` they need the new one.
    """
    found = _with_keys(lambda ring: ring.public_key(), as_json, options)
    if as_json:
        answer_json(found)
    elif form == "jwk":
        print(msgspec.json.encode(found.jwk).decode())
    else:
        print(found.pem.rstrip("\n") if form == "pem-lines" else found.pem_line)


@keys.command("rotate")
@click.argument("kind", type=click.Choice(["signing", "mint", "encryption"]))
@click.option("--force", is_flag=True, help="signing: now, though verifiers may not know the next key yet.")
@click.option("--yes", is_flag=True, help="mint: every machine will have to be linked again.")
@place_options
@json_option
def rotate(
    kind: Literal["signing", "mint", "encryption"], force: bool, yes: bool, as_json: bool, **options: Any
) -> None:
    """Replace a key.

    \b
    signing     every token of the accounts server; verifiers follow by themselves
    mint        the relay's requests to machines; each must be linked again
    encryption  what seals the keys in the database; `keys retire` ends it
    """
    match kind:
        case "signing":
            kid = _with_keys(lambda ring: ring.rotate_signing(force=force), as_json, options)
            _say(
                Rotated(kind, kid=kid),
                f"Key {kid} signs from now on. The one before stays published until no token of it lives.",
                as_json,
            )
        case "mint":
            if not yes:
                fail(
                    "Every machine pinned the relay's key when it was linked and refuses a new one until it is linked "
                    "again. If that is meant, add --yes.",
                    code="confirmation_needed",
                    as_json=as_json,
                )
            count = _with_keys(lambda ring: ring.rotate_mint(), as_json, options)
            _say(
                Rotated(kind, count=count),
                f"Restart every relay now. Then link the machines again ({count}): restart each one's agent, or run "
                "`doorward connect link` there.",
                as_json,
            )
        case "encryption":
            count = _with_keys(lambda ring: ring.rotate_encryption(), as_json, options)
            _say(
                Rotated(kind, count=count),
                f"{count} values are sealed with a new key. Copy the key file to the other nodes and into your safe, "
                "restart every node, then run `doorward keys retire encryption`.",
                as_json,
            )


@keys.command("retire")
@click.argument("kind", type=click.Choice(["encryption"]))
@place_options
@json_option
def retire(kind: str, as_json: bool, **options: Any) -> None:
    """Forget old key-encryption keys.

    What they still seal is sealed anew first. Every node must have been restarted since the rotation.
    """
    count = _with_keys(lambda ring: ring.retire_encryption(), as_json, options)
    _say(
        Rotated(kind, count=count),
        f"{count} old {'key is' if count == 1 else 'keys are'} forgotten. Backups from before need their own copy of the key file.",
        as_json,
    )


def _with_keys(work: Callable[[KeyRing], Awaitable[T]], as_json: bool, options: dict[str, Any]) -> T:
    place = place_of(**options, as_json=as_json)
    if place.server_database is None or place.key_file is None:
        fail(f"There is no server in {place.root}.", code="no_server", as_json=as_json)
    url, key_file = place.server_database, place.key_file

    async def opened() -> T:
        from doorward.server.keys import open_keys

        async with open_keys(url, key_file) as ring:
            try:
                return await work(ring)
            except ValueError as error:
                fail(str(error), code="too_early", as_json=as_json)

    return run(opened(), as_json=as_json)


def _say(answer: Rotated, text: str, as_json: bool) -> None:
    if as_json:
        answer_json(answer)
    else:
        print(text)


def _text(found: Keys) -> str:
    lines = ["Signing keys (identity)"]
    lines += [
        f"  {key.kid}  {key.state}  made {_day(key.created_at)}"
        + (f", published until {_day(key.publish_until)}" if key.publish_until else "")
        for key in found.signing
    ]
    lines += ["Mint key (relay)"]
    lines += [f"  made {_day(found.mint_created_at)}" if found.mint_created_at else "  none yet"]
    lines += ["Key-encryption keys"]
    lines += [
        f"  {key.id}  {'current' if key.is_current else 'retired'}, seals {key.values} values"
        for key in found.encryption
    ]
    return "\n".join(lines)


def _day(milliseconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(milliseconds / 1000))
