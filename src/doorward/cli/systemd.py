"""`doorward expose --install-service`: a systemd unit of this user that keeps the agent running."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from doorward.client.configuration import VARIABLES

UNIT = "doorward-expose.service"

#: What the unit passes on: where the server is and how to reach it. A proxy's URL may hold a password, so the file is
#: this user's alone.
_KEPT = (
    *VARIABLES,
    "DOORWARD_ADMIN_LISTEN",
    "T3CODE_CLOUDFLARED_PATH",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
)

_COMMAND = (sys.executable, "-m", "doorward", "expose")


class ServiceNotInstalled(Exception):
    """The unit could not be put in place; the message says what to do."""

    code = "service_not_installed"


def unit_text(home: Path, environ: Mapping[str, str], options: Sequence[str] = ()) -> str:
    """The unit file. The agent takes its services from the data folder, so the unit names no service's port; what else
    `expose` was told (`options`) it is told again at every start."""
    kept = {name: environ[name] for name in _KEPT if environ.get(name)} | {"DOORWARD_HOME": str(home)}
    command = " ".join(_quoted(part) for part in (*_COMMAND, *options))
    lines = [f"Environment={_quoted(f'{name}={value}')}" for name, value in sorted(kept.items())]
    return "\n".join(
        [
            "[Unit]",
            "Description=Doorward: exposes services of this machine to approved devices",
            "Wants=network-online.target",
            "After=network-online.target",
            "",
            "[Service]",
            *lines,
            f"ExecStart={command}",
            "Restart=always",
            "RestartSec=5",
            "NoNewPrivileges=true",
            "",
            "[Install]",
            "WantedBy=default.target",
            "",
        ]
    )


def install(home: Path, environ: Mapping[str, str] = os.environ, options: Sequence[str] = ()) -> Path:
    """Write the unit and start it now and at every login. Raises ServiceNotInstalled."""
    folder = Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"
    path = folder / UNIT
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.touch(0o600)
        path.chmod(0o600)
        path.write_text(unit_text(home, environ, options), "utf-8")
    except OSError as error:
        raise ServiceNotInstalled(f"Cannot write {path} ({error.strerror}).") from error
    systemctl = shutil.which("systemctl")
    if systemctl is None:
        raise ServiceNotInstalled(
            f"The unit is written to {path}, but this machine has no systemd. Start it by your own service manager: "
            + shlex.join([*_COMMAND, *options])
        )
    for arguments in (["daemon-reload"], ["enable", "--now", UNIT]):
        done = subprocess.run([systemctl, "--user", *arguments], capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            raise ServiceNotInstalled(
                f"The unit is written to {path}, but `systemctl --user {' '.join(arguments)}` failed: "
                f"{(done.stderr.strip() or done.stdout.strip()).removesuffix('.')}. Log in as this user without su or sudo and"
                " run it again; a machine nobody logs in to runs deploy/doorward-expose.service as a system service."
            )
    return path


def _quoted(text: str) -> str:
    """One word of a unit file: quotes, backslashes and specifiers kept literal (systemd.syntax(7))."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'
