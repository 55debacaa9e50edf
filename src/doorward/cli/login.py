"""`doorward connect login`: three ways to sign in from a terminal, none of which needs a port to be forwarded.

In a browser on this machine; with `--paste` in a browser anywhere, whose last page shows a code to paste here; with
`--device` by typing the code shown here on a page anywhere.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorward.cli.availability import where_configured
from doorward.cli.options import home_option, json_option
from doorward.cli.output import event_json, run

if TYPE_CHECKING:
    from doorward.cli.session import Session
    from doorward.client.authorization import Grant
    from doorward.client.sign_in import DeviceAuthorization


@click.command("login")
@click.option("--device", is_flag=True, help="Show a code to type on another device; needs no browser here.")
@click.option("--paste", is_flag=True, help="Paste a code that a browser on any device shows at the end.")
@home_option
@json_option
def login(device: bool, paste: bool, home: Path | None, as_json: bool) -> None:
    """Sign in to your account."""
    if device and paste:
        raise click.UsageError("Choose one of --device and --paste.")
    run(where_configured(_login(home, device, paste, as_json)), as_json=as_json)
    if as_json:
        event_json({"authenticated": True})
    else:
        print("Signed in to T3 Connect.")


async def _login(home: Path | None, by_device: bool, by_paste: bool, as_json: bool) -> None:
    from doorward.cli.session import signed_in
    from doorward.environment.relay_client import RelayClientNeed

    async with signed_in(home) as session:
        if await session.is_signed_in():
            return
        session.store(await authorize(session, as_json=as_json, by_device=by_device, by_paste=by_paste))
        # Linking has to know, and asks no relay itself.
        await RelayClientNeed(session.home, session.outbound).learn(session.configuration.relay_url)


async def authorize(
    session: Session, *, as_json: bool, by_device: bool = False, by_paste: bool = False
) -> Grant:
    """Ask the person, one way or another. Raises SignInFailed, Unavailable."""
    from doorward.cli.terminal import Input
    from doorward.client.sign_in import authorize_by_paste, authorize_device, authorize_on_loopback

    public = session.configuration
    if by_paste:
        return await authorize_by_paste(
            session.outbound,
            accounts_origin=public.accounts_origin,
            client_id=public.cli_client_id,
            show_url=lambda url: _show_paste_url(url, as_json),
            ask=Input().line,
            say_wrong=lambda text: print(text, file=sys.stderr, flush=True),
        )
    if by_device or not _has_browser():
        return await authorize_device(
            session.outbound,
            accounts_origin=public.accounts_origin,
            client_id=public.cli_client_id,
            show=lambda asked: _show_device(asked, as_json),
        )
    return await authorize_on_loopback(
        session.outbound,
        accounts_origin=public.accounts_origin,
        client_id=public.cli_client_id,
        show_url=lambda url: _show_url(url, as_json),
    )


def _show_url(url: str, as_json: bool) -> None:
    if as_json:
        event_json({"authorizationUrl": url})
    else:
        print(f"Open this URL to authorize T3 Connect:\n{url}", flush=True)
    import webbrowser

    webbrowser.open(url)


def _show_paste_url(url: str, as_json: bool) -> None:
    if as_json:
        event_json({"authorizationUrl": url, "paste": True})
        return
    print(f"Open this URL on any device to authorize T3 Connect:\n{url}\n")
    print("Sign in there. The last page shows a code: copy it, paste it here and press Enter.")
    print("Take no code from anybody else: it would sign this terminal in to their account.")
    print("Code: ", end="", flush=True)


def _show_device(asked: DeviceAuthorization, as_json: bool) -> None:
    if as_json:
        event_json(
            {
                "verificationUri": asked.verification_uri,
                "userCode": asked.user_code,
                "expiresIn": asked.expires_in,
            }
        )
        return
    print(f"On any device, open {asked.verification_uri} and enter this code:\n\n    {asked.user_code}\n")
    print(f"Waiting for you there. The code is good for {asked.expires_in // 60} minutes.", flush=True)


def _has_browser() -> bool:
    """Whether a browser started here can come back to 127.0.0.1 of this machine."""
    if os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_TTY"):
        return False
    return sys.platform in ("darwin", "win32") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.environ.get("BROWSER")
    )
