"""What `doorward up` prints: where everything is, ready to paste."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import msgspec

from doorward.client.configuration import PublicConfiguration, publishable_key_of

# T3 Code refuses a relay without https; our own commands read the same variables and take it for localhost.
_T3_CAVEAT = ", which insists on https (start with --tls for it)"


# Browsers and our own programs know that these names are this machine; an SDK asks the system, which often does not.
_SDK_CAVEAT = ", where the system resolves accounts.localhost (else start with --tls)"


class Banner(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The same facts for people and, with `--json`, for programs. `administrator` is None once an account exists."""

    accounts: str
    administrator: str | None
    service: str
    connections: str
    inbox: str
    console: str
    relay: str
    data: str
    clerk: dict[str, str]
    t3: dict[str, str]

    def text(self) -> str:
        """The banner as people read it."""
        first = (
            f"  Create the first account   {self.administrator}\n"
            "                             (once; the account owns this machine and administers the server)\n"
            if self.administrator
            else f"  Sign in                    {self.accounts}/sign-in\n"
        )
        return (
            "\nDoorward is up.\n\n"
            f"{first}"
            f"  The demo service           {self.service}\n"
            f"  This machine's page        {self.connections}\n"
            "                             (once, within half an hour; approve devices there)\n"
            f"  E-mails, while developing  {self.inbox}\n"
            f"  Administration             {self.console}\n"
            f"  Data                       {self.data}\n\n"
            f"For Clerk's SDKs{_SDK_CAVEAT if self.accounts.startswith('http:') else ''}:\n"
            f"{_exports(self.clerk)}\n"
            f"For T3 Code{_T3_CAVEAT if self.relay.startswith('http:') else ''}:\n"
            f"{_exports(self.t3)}\n"
            "Ctrl-C stops it. Everything is kept for the next start."
        )


def variables_for(
    public: PublicConfiguration, *, secret_key: str, ca_file: Path | None
) -> tuple[dict[str, str], dict[str, str]]:
    """The environment variables of Clerk's SDKs and of T3 Code for this server.

    `CLERK_FAPI_URL` is always among them: without it the SDKs' built-in proxy sends the secret key to Clerk's own host.
    Without `CLERK_TELEMETRY_DISABLED` they report development instances there.
    """
    key = publishable_key_of(public.accounts_origin, development=True)
    node = {"NODE_EXTRA_CA_CERTS": str(ca_file)} if ca_file else {}
    trust = {**node, "SSL_CERT_FILE": str(ca_file)} if ca_file else {}
    clerk = {
        "CLERK_PUBLISHABLE_KEY": key,
        "CLERK_SECRET_KEY": secret_key,
        "CLERK_FAPI_URL": public.accounts_origin,
        "CLERK_API_URL": f"{public.accounts_origin}/api",
        "CLERK_JWKS_URL": f"{public.accounts_origin}/.well-known/jwks.json",
        "CLERK_TELEMETRY_DISABLED": "1",
        **trust,
    }
    t3 = {
        "T3CODE_RELAY_URL": public.relay_url,
        "T3CODE_CLERK_PUBLISHABLE_KEY": key,
        "T3CODE_CLERK_CLI_OAUTH_CLIENT_ID": public.cli_client_id,
        "T3CODE_CLERK_JWT_TEMPLATE": "t3-relay",
        "T3CODE_CLOUDFLARED_PATH": str(Path(sys.executable).with_name("doorward-connector")),
        # Not SSL_CERT_FILE: it would replace the trust of every program that T3 Code starts, git among them.
        **node,
    }
    return clerk, t3


def secret_key_of(folder: Path) -> str:
    """The instance's secret key for Clerk's SDKs, made once and kept in a file only this user reads."""
    path = folder / "clerk-secret-key"
    try:
        return path.read_text("ascii").strip()
    except FileNotFoundError:
        path.touch(0o600)
        path.write_text(f"sk_test_{secrets.token_hex(24)}\n", "ascii")
        return path.read_text("ascii").strip()


def _exports(variables: dict[str, str]) -> str:
    return "".join(f"  export {name}={value}\n" for name, value in variables.items())
