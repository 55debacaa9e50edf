"""`doorward doctor`: what is wrong, why it matters, how to mend it; `doorward doctor token` says so of a token."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import click
import msgspec

from doorward.cli.options import home_option, json_option
from doorward.cli.output import answer_json, colours, fail, plain, run
from doorward.cli.places import place_of, place_options
from doorward.cli.text_files import TextUnreadable, read_text
from doorward.server.doctor.findings import Finding

_MARKS = {"ok": ("✓", "32"), "warning": ("!", "33"), "problem": ("✗", "31")}


class Examined(msgspec.Struct, frozen=True):
    """What `doctor --json` answers. `healthy`: no problem was found; there may be warnings."""

    healthy: bool
    findings: list[Finding]


@click.group("doctor", invoke_without_command=True)
@click.option("--config", type=click.Path(path_type=Path), help="Examine the server of this doorward.toml.")
@click.option("--env-file", type=click.Path(path_type=Path), help="Examine the relay of this env file.")
@click.option("--stage", default="prod", show_default=True, help="With --env-file.")
@home_option
@json_option
@click.pass_context
def doctor(
    context: click.Context,
    config: Path | None,
    env_file: Path | None,
    stage: str,
    home: Path | None,
    as_json: bool,
) -> None:
    """Say what is wrong, and how to mend it.

    Examines a server (with --config or --env-file) or this machine, and changes nothing. Exit status 1 when something needs mending; warnings alone are 0.
    """
    if context.invoked_subcommand is not None:
        return
    if sum(one is not None for one in (config, env_file, home)) > 1:
        raise click.UsageError("Name one of --config, --env-file and --home.")

    async def examine() -> list[Finding]:
        from doorward.client.configuration import default_home
        from doorward.server.doctor.machine import examine_machine
        from doorward.server.doctor.server import examine_server

        found = []
        examining = (
            examine_machine(home or default_home())
            if config is None and env_file is None
            else examine_server(config, env_file, stage)
        )
        async for finding in examining:
            found.append(finding)
            if not as_json:
                print(_text(finding), flush=True)
        return found

    _conclude(run(examine(), as_json=as_json), as_json)


@doctor.command("token")
@click.argument("token")
@click.option(
    "--hasura",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="AUTHCONFIG",
    help="The engine's auth-config.hml.",
)
@click.option(
    "--triplit",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="KEYFILE",
    help="A file with what EXTERNAL_JWT_SECRET holds.",
)
@click.option("--template", help="The JWT template it should be of; names a server's installation, too.")
@place_options
@json_option
def token_command(
    token: str, hasura: Path | None, triplit: Path | None, template: str | None, as_json: bool, **options: Any
) -> None:
    """Say why a token is refused. By Clerk's SDKs, Hasura and Triplit, claim by claim.

    TOKEN is the token, or - to read it from standard input, where no list of processes shows it. With --config, --env-file
    or --home, and with --template, its signature is checked with the keys of that server. The token itself is never printed.
    """
    text = (sys.stdin.read() if token == "-" else token).strip()  # noqa: S105
    auth_config = None if hasura is None else _text_of(hasura, "--hasura")
    # An editor's last line break is not in the variable.
    key_text = None if triplit is None else _text_of(triplit, "--triplit").removesuffix("\n")
    wants_server = template is not None or any(
        options[name] for name in ("config", "env_file", "home", "database")
    )
    place = place_of(**options, as_json=as_json) if wants_server else None

    async def examine() -> list[Finding]:
        from doorward.server.doctor.token import examine_token

        return await examine_token(
            text,
            now=int(time.time()),
            database=None if place is None else place.server_database,
            template=template,
            hasura=auth_config,
            triplit=key_text,
        )

    if place is not None and place.server_database is None:
        fail(f"There is no server in {place.root}.", code="no_server", as_json=as_json)
    findings = run(examine(), as_json=as_json)
    if not as_json:
        for finding in findings:
            print(_text(finding))
    _conclude(findings, as_json)


def _text_of(file: Path, option: str) -> str:
    try:
        return read_text(file)
    except TextUnreadable as error:
        raise click.BadParameter(str(error), param_hint=option) from error


def _conclude(findings: list[Finding], as_json: bool) -> NoReturn:
    problems = sum(finding.level == "problem" for finding in findings)
    if as_json:
        answer_json(Examined(problems == 0, findings))
    else:
        print(f"\n{_summary(problems, sum(finding.level == 'warning' for finding in findings))}")
    raise SystemExit(1 if problems else 0)


def _text(finding: Finding) -> str:
    mark, colour = _MARKS[finding.level]
    shown = f"\x1b[{colour}m{mark}\x1b[0m" if colours(sys.stdout) else mark
    lines = [f"{shown} {plain(finding.what)}"]
    if finding.why:
        lines.append(f"    Why it matters: {finding.why}")
    if finding.mend:
        lines.append(f"    What to do:     {finding.mend}")
    return "\n".join(lines)


def _summary(problems: int, warnings: int) -> str:
    if not problems and not warnings:
        return "All is well."
    told = [
        f"{count} {word}{'' if count == 1 else 's'}"
        for count, word in ((problems, "problem"), (warnings, "warning"))
        if count
    ]
    return f"{' and '.join(told)}. Mend the first one first; the others may follow from it."
