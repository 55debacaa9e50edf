"""`doorward up --tls` as anybody starts it, and the variables that it tells Clerk's SDKs to be given."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import httpx

from tests.e2e.processes import Program, command
from tests.ports import free_ports, three_free_ports


class Server:
    """`variables` are the banner's; `api` is the Backend API's address without version, as JavaScript wants it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        port, (environment_port,) = three_free_ports(), free_ports(1)
        arguments = [
            "up",
            "--tls",
            "--json",
            "--port",
            str(port),
            "--environment-port",
            str(environment_port),
        ]
        self.program = Program(arguments, home=home)
        banner = self.program.wait_for_json()
        clerk = banner["clerk"]
        assert isinstance(clerk, dict)
        self.variables: dict[str, str] = clerk
        self.accounts = str(banner["accounts"])
        self.api = self.variables["CLERK_API_URL"]
        self.secret_key = self.variables["CLERK_SECRET_KEY"]
        self.publishable_key = self.variables["CLERK_PUBLISHABLE_KEY"]
        self.ca_file = self.variables["SSL_CERT_FILE"]

    def environ(self, **more: str) -> dict[str, str]:
        """The environment of a program that uses an SDK: this instance's variables and no other's."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CLERK_")}
        return {**kept, **self.variables, **more}

    def public_key(self) -> str:
        """What `doorward keys export --pem` prints, on one line."""
        done = command("keys", "export", "--pem", home=self.home)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def rotate(self) -> None:
        """Replace the key that signs, now."""
        done = command("keys", "rotate", "signing", "--force", home=self.home)
        assert done.returncode == 0, done.stderr

    def http(self, **headers: str) -> httpx.Client:
        """Requests without any SDK."""
        return httpx.Client(base_url=self.accounts, verify=self.trust(), timeout=60, headers=headers)

    def trust(self) -> ssl.SSLContext:
        """Of the authority that signs for loopback."""
        return ssl.create_default_context(cafile=self.ca_file)

    def backend(self) -> httpx.Client:
        """Requests with the instance's key."""
        client = self.http(authorization=f"Bearer {self.secret_key}")
        client.base_url = httpx.URL(f"{self.api}/v1")
        return client

    def end(self) -> None:
        self.program.kill()
