"""The relay client: `cloudflared`, for a machine whose relay hands out Cloudflare's tunnels instead of ours.

    releases.py      the pinned release: where it is, and its SHA-256 for each platform
    finding.py       which executable is used: override, then our managed copy, then the one on PATH
    installing.py    download, check, try, and only then put in place
    need.py          whether this machine's relay gives tunnels that take it
    page_installation.py  an installation that a page asked for
    leftover.py      which process runs, so that one left behind by a killed agent is ended
    process.py       one running cloudflared: its token, its output, its restarts

Nothing is installed unasked. Wire: connect-environment §5.7-5.9.
"""

from doorward.environment.relay_client.finding import (
    Available,
    Missing,
    RelayClient,
    RelayClientStatus,
    Unsupported,
)
from doorward.environment.relay_client.installing import InstallFailed, Progress
from doorward.environment.relay_client.need import RelayClientNeed
from doorward.environment.relay_client.page_installation import PageInstallation
from doorward.environment.relay_client.process import CannotRun, RelayClientProcess

__all__ = [
    "Available",
    "CannotRun",
    "InstallFailed",
    "Missing",
    "PageInstallation",
    "Progress",
    "RelayClient",
    "RelayClientNeed",
    "RelayClientProcess",
    "RelayClientStatus",
    "Unsupported",
]
