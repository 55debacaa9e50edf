"""`doorward expose --install-service`: a systemd unit of this user that keeps the agent running."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

UNIT = "doorward-expose.service"

#: What the unit passes on: where the server is and how to reach it, never a secret.
_KEPT = (
    "DOORWARD_HOME",
    "DOORWARD_RELAY_URL",
    "DOORWARD_PUBLISHABLE_KEY",
    "DOORWARD_CLI_OAUTH_CLIENT_ID",
    "DOORWARD_CA_FILE",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
)


class ServiceNotInstalled(Exception):
    """The unit could not be put in place; the message says what to do."""

    code = "service_not_installed"


def unit_text(home: Path, environ: Mapping[str, str]) -> str:
    """The unit file. The agent takes its services from the data folder, so the unit names no port."""
    kept = {name: environ[name] for name in _KEPT if environ.get(name)} | {"DOORWARD_HOME": str(home)}
    command = " ".join(_quoted(part) for part in (sys.executable, "-m", "doorward", "expose"))
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


def install(home: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """Write the unit and start it now and at every login. Raises ServiceNotInstalled."""
    folder = Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"
    path = folder / UNIT
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(unit_text(home, environ), "utf-8")
    except OSError as error:
        raise ServiceNotInstalled(f"Cannot write {path} ({error.strerror}).") from error
    systemctl = shutil.which("systemctl")
    if systemctl is None:
        raise ServiceNotInstalled(
            f"The unit is written to {path}, but this machine has no systemd. Start it by your own service manager: "
            + shlex.join([sys.executable, "-m", "doorward", "expose"])
        )
    for arguments in (["daemon-reload"], ["enable", "--now", UNIT]):
        done = subprocess.run([systemctl, "--user", *arguments], capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            raise ServiceNotInstalled(
                f"The unit is written to {path}, but `systemctl --user {' '.join(arguments)}` failed: "
                f"{done.stderr.strip() or done.stdout.strip()}."
            )
    return path


def _quoted(text: str) -> str:
    """One word of a unit file: quotes, backslashes and specifiers kept literal (systemd.syntax(7))."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'
