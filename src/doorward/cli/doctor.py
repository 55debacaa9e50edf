"""`doorward doctor`: what is wrong, why it matters, how to mend it."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec

from doorward.cli.options import home_option, json_option
from doorward.cli.output import answer_json, colours, plain, run
from doorward.server.doctor.findings import Finding

_MARKS = {"ok": ("✓", "32"), "warning": ("!", "33"), "problem": ("✗", "31")}


class Examined(msgspec.Struct, frozen=True):
    """What `doctor --json` answers. `healthy`: no problem was found; there may be warnings."""

    healthy: bool
    findings: list[Finding]


@click.command("doctor")
@click.option("--config", type=click.Path(path_type=Path), help="Examine the server of this doorward.toml.")
@click.option("--env-file", type=click.Path(path_type=Path), help="Examine the relay of this env file.")
@click.option("--stage", default="prod", show_default=True, help="With --env-file.")
@home_option
@json_option
def doctor(config: Path | None, env_file: Path | None, stage: str, home: Path | None, as_json: bool) -> None:
    """Say what is wrong, and how to mend it.

    Examines a server (with --config or --env-file) or this machine, and changes nothing. Exit status 1 when something needs mending; warnings alone are 0.
    """
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

    findings = run(examine(), as_json=as_json)
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
