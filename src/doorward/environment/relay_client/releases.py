"""The release of cloudflared that is installed, pinned: another one needs another version of Doorward."""

import platform

import msgspec

VERSION = "2026.5.2"
DOWNLOADS = "https://github.com/cloudflare/cloudflared/releases/download"


class Asset(msgspec.Struct, frozen=True):
    """One platform's download. `is_archive`: a .tgz that holds the executable, else the executable itself."""

    name: str
    sha256: str
    is_archive: bool = False


class Release(msgspec.Struct, frozen=True, kw_only=True):
    version: str
    base_url: str
    assets: dict[str, Asset]

    def url(self, asset: Asset) -> str:
        return f"{self.base_url}/{self.version}/{asset.name}"


#: By platform and architecture as T3 Code names them, so that both programs share one managed copy's layout.
PINNED = Release(
    version=VERSION,
    base_url=DOWNLOADS,
    assets={
        "darwin-arm64": Asset(
            "cloudflared-darwin-arm64.tgz",
            "ba94054c9fd4297645093d59d51442e5e546d07bb0516120e694a13d5b216d38",
            is_archive=True,
        ),
        "darwin-x64": Asset(
            "cloudflared-darwin-amd64.tgz",
            "7240f709506bc2c1eb9da4d89cf2555499c60280ecb854b7d80e8f17d4b7903d",
            is_archive=True,
        ),
        "linux-arm64": Asset(
            "cloudflared-linux-arm64", "5a4e8ce2701105271412059f44b6a0bf1ae4542b4d98ff3180c0c019443a5815"
        ),
        "linux-x64": Asset(
            "cloudflared-linux-amd64", "5286698547f03df745adb2355f04c12dde52ef425491e81f433642d695521886"
        ),
    },
)

_ARCHITECTURES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


class Platform(msgspec.Struct, frozen=True):
    system: str
    architecture: str

    def __str__(self) -> str:
        return f"{self.system}-{self.architecture}"


def this_platform() -> Platform:
    machine = platform.machine().lower()
    return Platform(platform.system().lower(), _ARCHITECTURES.get(machine, machine))
