"""What commands that speak to servers share: the home folder, the stored sign-in, and a client of the relay."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from doorward.cli.log import log_to
from doorward.client.authorization import Grant
from doorward.client.configuration import PublicConfiguration, default_home, has_machine, load_configuration
from doorward.client.environment_tokens import forget_sessions
from doorward.client.errors import ConfigurationMissing, SignInRequired, Unavailable
from doorward.client.relay import AccountToken, RelayClient
from doorward.environment.keys import SecretStore
from doorward.environment.link.cli_token import CliToken, CliTokenRefused, CliTokens, CliTokenUnavailable
from doorward.environment.local import LocalMachine, open_machine
from doorward.outbound import Outbound
from doorward.store import Clock, system_clock

#: The relay lets devices connect with access tokens of the last quarter of an hour.
RECENT_MS = 10 * 60_000


@dataclass(frozen=True, kw_only=True)
class Session:
    """One run of a command. `account()` is a fresh access token; it and `relay` raise SignInRequired when nobody is signed in here."""

    home: Path
    configuration: PublicConfiguration
    outbound: Outbound
    tokens: CliTokens
    relay: RelayClient
    account: AccountToken
    clock: Clock

    async def is_signed_in(self) -> bool:
        """Whether a stored sign-in still works; one the accounts server refuses for good counts as none.

        Raises Unavailable when that cannot be told now.
        """
        try:
            return await self.tokens.existing() is not None
        except CliTokenRefused:
            return False
        except CliTokenUnavailable as error:
            raise Unavailable(f"{error} The accounts server does not answer; try again later.") from error

    def store(self, grant: Grant) -> None:
        """Keep what the accounts server gave, for this and every later command; sessions of whoever was signed in before end."""
        forget_sessions(self.home)
        self.tokens.store(
            CliToken(
                access_token=grant.access_token,
                refresh_token=grant.refresh_token or "",
                expires_at_epoch_ms=self.clock() + grant.expires_in * 1000,
            )
        )

    @property
    def ca_file(self) -> Path | None:
        return Path(self.configuration.ca_file) if self.configuration.ca_file else None


@contextlib.asynccontextmanager
async def signed_in(home: Path | None, *, logs_to_file: bool = True) -> AsyncIterator[Session]:
    """Open a session for the block; the agent, which has a journal, logs elsewhere. Raises ConfigurationMissing."""
    folder = home or default_home()
    configuration = load_configuration(folder)
    if logs_to_file:
        log_to(folder)
    outbound = Outbound(ca_file=Path(configuration.ca_file) if configuration.ca_file else None)
    tokens = CliTokens(
        SecretStore(folder / "userdata" / "secrets"),
        system_clock,
        outbound,
        accounts_origin=configuration.accounts_origin,
        client_id=configuration.cli_client_id,
    )

    async def account_token(max_age_ms: int | None = None) -> str:
        try:
            token = await tokens.existing(max_age_ms=max_age_ms)
        except CliTokenRefused as error:
            raise SignInRequired(f"{error} Run `doorward connect login` again.") from error
        except CliTokenUnavailable as error:
            raise Unavailable(f"{error} The accounts server does not answer; try again later.") from error
        if token is None:
            raise SignInRequired("Nobody is signed in here. Run `doorward connect login` first.")
        return token

    try:
        yield Session(
            home=folder,
            configuration=configuration,
            outbound=outbound,
            tokens=tokens,
            relay=RelayClient(
                outbound,
                relay_url=configuration.relay_url,
                client_id=configuration.cli_client_id,
                account_token=account_token,
                recent_account_token=partial(account_token, RECENT_MS),
                clock=system_clock,
            ),
            account=account_token,
            clock=system_clock,
        )
    finally:
        await outbound.close()


@contextlib.asynccontextmanager
async def machine_of(home: Path, configuration: PublicConfiguration | None) -> AsyncIterator[LocalMachine]:
    """The machine of a home folder. Deciding about devices needs no server, so `configuration` may be None."""
    async with open_machine(
        home,
        relay_url=configuration.relay_url if configuration else None,
        accounts_origin=configuration.accounts_origin if configuration else None,
        label=socket.gethostname(),
        ca_file=Path(configuration.ca_file) if configuration and configuration.ca_file else None,
    ) as machine:
        yield machine


@contextlib.asynccontextmanager
async def own_machine(home: Path | None) -> AsyncIterator[LocalMachine]:
    """The machine of a home folder.

    Who has a machine here may look at it and decide about devices even where no server is known any more. Raises
    ConfigurationMissing where there is neither.
    """
    folder = home or default_home()
    configuration: PublicConfiguration | None = None
    try:
        configuration = load_configuration(folder)
    except ConfigurationMissing:
        if not has_machine(folder):
            raise
    log_to(folder)
    async with machine_of(folder, configuration) as machine:
        yield machine
