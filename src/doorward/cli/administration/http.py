"""The Backend API over HTTP, with a secret key."""

from __future__ import annotations

import os
from pathlib import Path

from doorward.cli.text_files import TextUnreadable, read_text
from doorward.outbound import Outbound
from doorward.t3_connect import InsecureOrigin, secure_origin

KEY_VARIABLE = "CLERK_SECRET_KEY"
#: A page of users with all their metadata.
MAX_ANSWER_BYTES = 64 * 1024 * 1024
#: A batch of an import on a busy server.
TIMEOUT_SECONDS = 120.0


class AdministrationFailed(Exception):
    """The command cannot be run as it was written; the message says what to change."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class HttpTransport:
    """`origin` is the accounts server's. The key goes nowhere else: no redirect is followed."""

    def __init__(self, outbound: Outbound, origin: str, secret_key: str) -> None:
        self._outbound = outbound
        self._origin = origin
        self._secret_key = secret_key

    async def send(
        self, method: str, target: str, *, body: bytes | None, key: str | None
    ) -> tuple[int, bytes]:
        headers = {"authorization": f"Bearer {key or self._secret_key}"}
        if body is not None:
            headers["content-type"] = "application/json"
        answer = await self._outbound.request(
            method,
            f"{self._origin}{target}",
            headers=headers,
            body=body,
            timeout=TIMEOUT_SECONDS,
            max_bytes=MAX_ANSWER_BYTES,
        )
        return answer.status, answer.body


def accounts_origin(url: str) -> str:
    """Raises AdministrationFailed: a secret key is sent to https, or to this machine, and nowhere else."""
    try:
        return secure_origin(url.rstrip("/").removesuffix("/api").removesuffix("/"))
    except InsecureOrigin as error:
        raise AdministrationFailed(
            f"--url is the accounts server's origin, https://host; it is {url!r}.", code="url_invalid"
        ) from error


def secret_key(file: Path | None) -> str:
    """Never an option's value: command lines are read by every user of a machine. Raises AdministrationFailed."""
    if file is None:
        found = os.environ.get(KEY_VARIABLE, "").strip()
        source = KEY_VARIABLE
    else:
        try:
            found = read_text(file).strip()
        except TextUnreadable as error:
            raise AdministrationFailed(str(error), code="file_unreadable") from error
        source = str(file)
    if not found or not found.isascii() or not found.isprintable() or " " in found:
        raise AdministrationFailed(
            f"No secret key in {source}. Set {KEY_VARIABLE} to one, or name a file with --secret-key-file.",
            code="key_missing",
        )
    return found
