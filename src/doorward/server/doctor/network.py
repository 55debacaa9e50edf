"""Names, certificates, clocks and answers, as anybody outside meets them."""

from __future__ import annotations

import asyncio
import datetime
import secrets
import socket
import ssl
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

from doorward.outbound import Outbound, OutboundError, Response, dial_address, is_localhost, tls_context
from doorward.server.doctor.findings import Finding, ok, problem, warning

CONNECT_SECONDS = 10.0
#: Proofs and signed requests are good for a minute or a few; T3's clients allow no more.
CLOCK_WARNING_SECONDS = 5
CLOCK_PROBLEM_SECONDS = 30
CERTIFICATE_DAYS = 14


async def check_name(check: str, host: str, *, mend: str) -> Finding:
    """Whether a name resolves."""
    if is_localhost(host):
        return ok(check, f"{host} is this machine.")
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        return problem(
            check, f"{host} does not resolve ({_reason(error)}).", why="Nobody finds it.", mend=mend
        )
    return ok(check, f"{host} resolves to {found[0][4][0]}.")


async def check_certificate(check: str, origin: str, *, ca_file: Path | None) -> Finding:
    """Whether the certificate shown for an https origin is trusted, names it, and lasts."""
    url = urlsplit(origin)
    host, port = url.hostname or "", url.port or 443
    renew = "Renew it, and see that the front (Caddy, certbot) does so by itself."
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(
                *dial_address(host, port), ssl=tls_context(ca_file), server_hostname=host
            )
    except ssl.SSLCertVerificationError as error:
        return problem(
            check,
            f"The certificate of {host} is not accepted: {error.verify_message}.",
            why="Browsers and machines refuse to connect.",
            mend=f"Get a certificate that names {host}, from an authority people trust. {renew}",
        )
    except (OSError, TimeoutError) as error:
        return problem(
            check,
            f"{host}:{port} does not answer over TLS ({_reason(error)}).",
            why="Nobody can reach it.",
            mend="Start the server or its front, and open the port in the firewall.",
        )
    certificate = writer.get_extra_info("peercert") or {}
    writer.transport.abort()
    ends = datetime.datetime.fromtimestamp(
        ssl.cert_time_to_seconds(certificate.get("notAfter", "Jan  1 00:00:00 1970 GMT")), datetime.UTC
    )
    days = (ends - datetime.datetime.now(datetime.UTC)).days
    if days < CERTIFICATE_DAYS:
        return warning(
            check,
            f"The certificate of {host} ends in {days} days.",
            why="Then nobody can connect any more.",
            mend=renew,
        )
    return ok(check, f"The certificate of {host} is good for {days} days.")


async def ask(outbound: Outbound, url: str, *, accept: str = "application/json") -> Response | str:
    """The answer to a GET, or why there is none."""
    try:
        return await outbound.request("GET", url, headers={"accept": accept}, timeout=CONNECT_SECONDS)
    except OutboundError as error:
        return str(error)


def check_clock(check: str, other: str, response: Response) -> Finding | None:
    """This machine's clock against the `Date` of an answer that just came; None where it tells none."""
    try:
        theirs = parsedate_to_datetime(response.headers.get("date", ""))
    except ValueError:
        return None
    apart = abs((datetime.datetime.now(datetime.UTC) - theirs).total_seconds())
    mend = "Turn on time synchronisation on both (timedatectl set-ntp true)."
    if apart > CLOCK_PROBLEM_SECONDS:
        return problem(
            check,
            f"This clock and that of {other} are {apart:.0f} seconds apart.",
            why="Proofs and signed requests are refused as too old or from the future.",
            mend=mend,
        )
    if apart > CLOCK_WARNING_SECONDS:
        return warning(
            check,
            f"This clock and that of {other} are {apart:.0f} seconds apart.",
            why="A little more, and proofs are refused.",
            mend=mend,
        )
    return ok(check, f"This clock agrees with that of {other}.")


def some_name_in(zone: str) -> str:
    """A name of the zone that no machine has: only a wildcard record resolves it."""
    return f"doctor-{secrets.token_hex(4)}.{zone}"


def _reason(error: Exception) -> str:
    return (
        "no answer in time"
        if isinstance(error, TimeoutError)
        else getattr(error, "strerror", "") or str(error)
    )
