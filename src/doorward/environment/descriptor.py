"""What this environment says of itself, signed and unsigned (connect-environment §2.2, §2.3)."""

import platform

from doorward import __version__
from doorward.t3_connect.messages import Descriptor, Platform, ServerAuthDescriptor
from doorward.t3_connect.messages.shared import Architecture, OperatingSystem

COOKIE_NAME = "t3_session"

_SYSTEMS: dict[str, OperatingSystem] = {"Linux": "linux", "Darwin": "darwin", "Windows": "windows"}
_ARCHITECTURES: dict[str, Architecture] = {
    "x86_64": "x64",
    "amd64": "x64",
    "arm64": "arm64",
    "aarch64": "arm64",
}
_LOOPBACK_BINDS = frozenset({"127.0.0.1", "::1", "localhost"})


def describe_environment(environment_id: str, label: str) -> Descriptor:
    return Descriptor(
        environment_id=environment_id,
        label=label,
        platform=Platform(
            os=_SYSTEMS.get(platform.system(), "unknown"),
            arch=_ARCHITECTURES.get(platform.machine().lower(), "other"),
        ),
        server_version=__version__,
        capabilities={"repositoryIdentity": False},
    )


def describe_auth(bind_host: str) -> ServerAuthDescriptor:
    """How clients get in, by what the server listens on."""
    return ServerAuthDescriptor(
        policy="loopback-browser" if bind_host in _LOOPBACK_BINDS else "remote-reachable",
        bootstrap_methods=("one-time-token",),
        session_methods=("browser-session-cookie", "bearer-access-token", "dpop-access-token"),
        session_cookie_name=COOKIE_NAME,
    )
