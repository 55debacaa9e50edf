"""Where pictures are: people's, organizations', applications'."""

from __future__ import annotations


class Images:
    """`origin` is ours: every picture is served from it, and an address changes with the bytes behind it."""

    def __init__(self, origin: str) -> None:
        self._base = f"{origin}/v1/images"

    def url(self, image_id: str | None) -> str:
        """The picture's own address, or that of the one everybody has."""
        return f"{self._base}/{image_id or 'avatar.svg'}"
