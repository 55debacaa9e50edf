"""What commands that speak to servers share: the home folder, the stored sign-in, and a client of the relay."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from doorward.client.configuration import PublicConfiguration, default_home, load_configuration
from doorward.client.errors import SignInRequired
from doorward.client.relay import RelayClient
from doorward.environment.keys import SecretStore
from doorward.environment.link.cli_token import CliTokenRefused, CliTokens
from doorward.outbound import Outbound
from doorward.store import Clock, system_clock


@dataclass(frozen=True, kw_only=True)
class Session:
    """One run of a command. `relay` raises SignInRequired when nobody is signed in here."""

    home: Path
    configuration: PublicConfiguration
    outbound: Outbound
    tokens: CliTokens
    relay: RelayClient
    clock: Clock

    @property
    def ca_file(self) -> Path | None:
        return Path(self.configuration.ca_file) if self.configuration.ca_file else None


@contextlib.asynccontextmanager
async def signed_in(home: Path | None) -> AsyncIterator[Session]:
    """Open a session for the block. Raises ConfigurationMissing."""
    folder = home or default_home()
    configuration = load_configuration(folder)
    outbound = Outbound(ca_file=Path(configuration.ca_file) if configuration.ca_file else None)
    tokens = CliTokens(
        SecretStore(folder / "userdata" / "secrets"),
        system_clock,
        outbound,
        accounts_origin=configuration.accounts_origin,
        client_id=configuration.cli_client_id,
    )

    async def account_token() -> str:
        try:
            token = await tokens.existing()
        except CliTokenRefused as error:
            raise SignInRequired(f"{error} Run `doorward connect login` again.") from error
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
                clock=system_clock,
            ),
            clock=system_clock,
        )
    finally:
        await outbound.close()
