"""What another user of the computer can read, open and ask: `python -m tests.security.another_user HOME PORT`, as root.

Becomes `nobody` and prints one JSON object: files it could read, sockets it could open, and the statuses of requests it
made to the machine's own page with every header that a program may claim.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401 - afterwards the interpreter's own files are out of reach
import http.client
import json
import os
import pwd
import socket
import sys
from pathlib import Path

REQUESTS = [
    ("GET", "/connections/events", {}),
    ("POST", "/connections/decisions", {"decision": "approve", "thumbprint": "x"}),
    ("POST", "/connections/mode", {"mode": "account"}),
    ("POST", "/connections/open", {"token": "AAAAAAAAAAAA"}),
    ("GET", "/api/auth/connect-clients", {}),
    ("GET", "/api/auth/clients", {}),
    ("GET", "/api/connect/link-state", {}),
    ("POST", "/api/auth/connect-security-mode", {"mode": "account"}),
    ("POST", "/api/auth/pairing-token", {}),
    ("POST", "/api/auth/browser-session", {"credential": "AAAAAAAAAAAA"}),
    ("POST", "/api/connect/unlink", {}),
]


def readable_files(home: Path) -> list[str]:
    """Below `home`, by name or by content; a folder that cannot be listed hides what is in it."""
    seen = []
    for folder, _, files in os.walk(home):
        for name in files:
            path = Path(folder) / name
            try:
                with path.open("rb"):
                    seen.append(str(path))
            except OSError:
                continue
    return seen


def open_sockets(home: Path) -> list[str]:
    seen = []
    for name in ("agent.sock", "api.sock"):
        with socket.socket(socket.AF_UNIX) as attempt:
            try:
                attempt.connect(str(home / "run" / name))
                seen.append(name)
            except OSError:
                continue
    return seen


def statuses(port: int) -> dict[str, int]:
    seen = {}
    authority = f"machine.localhost:{port}"
    for method, path, body in REQUESTS:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        headers = {
            "host": authority,
            "origin": f"http://{authority}",
            "sec-fetch-site": "same-origin",
            "content-type": "application/json",
            "cookie": "t3_session=x; __Host-doorward-machine=x",
            "doorward-page": "x",
        }
        connection.request(method, path, json.dumps(body), headers)
        seen[f"{method} {path}"] = connection.getresponse().status
        connection.close()
    return seen


def main(home: Path, port: int) -> None:
    nobody = pwd.getpwnam("nobody")
    os.setgroups([])
    os.setgid(nobody.pw_gid)
    os.setuid(nobody.pw_uid)
    # Only where the way to the folder is open does its own lock prove anything.
    assert os.access(home.parent, os.X_OK), home.parent
    found = {"files": readable_files(home), "sockets": open_sockets(home), "statuses": statuses(port)}
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
