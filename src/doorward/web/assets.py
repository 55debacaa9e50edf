"""Static files under names that change with their content, so that browsers may keep them for ever."""

import hashlib
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable

from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

_MEDIA_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


class StaticAssets:
    """The files of the `static/` folders of `packages`, and the ASGI application that serves them under `prefix`.

    They are read once: there are few of them, they are small, and a file that changes under a running server
    would otherwise be cached for ever under a name that promises something else. A later package may not take a
    name an earlier one has (`ValueError`).
    """

    def __init__(self, *packages: str, prefix: str = "/assets") -> None:
        self.prefix = prefix
        self._urls: dict[str, str] = {}
        self._files: dict[str, tuple[bytes, str]] = {}
        for package in packages:
            for name, content in _static_files(package):
                if name in self._urls:
                    raise ValueError(f"{package} and an earlier package both have a static file {name}")
                stem, _, suffix = name.rpartition(".")
                hashed = f"{stem}.{hashlib.sha256(content).hexdigest()[:16]}.{suffix}"
                self._urls[name] = f"{prefix}/{hashed}"
                self._files[hashed] = (content, _MEDIA_TYPES[suffix])

    def url(self, name: str) -> str:
        """The path of a static file; raises KeyError when no package has it."""
        return self._urls[name]

    def import_map(self) -> dict[str, dict[str, str]]:
        """What `import … from "doorward/<name>"` stands for, in the shape of the HTML standard's import map."""
        return {
            "imports": {
                f"doorward/{name}": url for name, url in sorted(self._urls.items()) if name.endswith(".js")
            }
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one file. Mounted at `prefix`, so the file's name is what is left of the path."""
        await self._answer(scope)(scope, receive, send)

    def _answer(self, scope: Scope) -> Response:
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("Method not allowed\n", 405, {"allow": "GET, HEAD"})
        found = self._files.get(scope["path"].removeprefix(f"{self.prefix}/"))
        if found is None:
            return PlainTextResponse("There is no such file.\n", 404, {"cache-control": "no-store"})
        content, media_type = found
        headers = {
            "cache-control": "public, max-age=31536000, immutable",
            "x-content-type-options": "nosniff",
            "cross-origin-resource-policy": "same-origin",
        }
        return Response(content, 200, headers, media_type)


def _static_files(package: str) -> Iterator[tuple[str, bytes]]:
    folder: Traversable = resources.files(package) / "static"
    if not folder.is_dir():
        return
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_file() and entry.name.rpartition(".")[2] in _MEDIA_TYPES:
            yield entry.name, entry.read_bytes()
