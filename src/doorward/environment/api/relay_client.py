"""`cloud.installRelayClient`: an installation of cloudflared as a stream of its stages (connect-environment §3.3)."""

import asyncio
from collections.abc import AsyncGenerator

import msgspec

from doorward.environment.api.rpc import RpcFailed
from doorward.environment.relay_client import Available, InstallFailed, Progress, RelayClient
from doorward.environment.relay_client.installing import Reason, Stage


class StageReached(msgspec.Struct, frozen=True, tag="progress", tag_field="type"):
    stage: Stage


class Complete(msgspec.Struct, frozen=True, tag="complete", tag_field="type"):
    status: Available


class RelayClientInstallFailedError(msgspec.Struct, frozen=True, tag=True, tag_field="_tag"):
    reason: Reason
    message: str


async def install_relay_client(relay_client: RelayClient) -> AsyncGenerator[object, None]:
    """Each stage once, then the status. Leaving early stops the installation."""
    stages: asyncio.Queue[Stage | None] = asyncio.Queue()
    told: list[Stage] = []

    def report(progress: Progress) -> None:
        if progress.stage not in told:
            told.append(progress.stage)
            stages.put_nowait(progress.stage)

    installing = asyncio.create_task(relay_client.install(report), name="install the relay client")
    installing.add_done_callback(lambda _: stages.put_nowait(None))
    try:
        while (stage := await stages.get()) is not None:
            yield StageReached(stage)
        yield Complete(await installing)
    except InstallFailed as error:
        raise RpcFailed(RelayClientInstallFailedError(error.reason, str(error))) from error
    finally:
        installing.cancel()
        await asyncio.gather(installing, return_exceptions=True)
