"""Rows of `identity_images`, and which bytes are an image."""

from __future__ import annotations

import hashlib

import msgspec

from doorward.identity.errors import IMAGE_INVALID, Refused
from doorward.store import Tx

MAX_IMAGE_BYTES = 10 * 1024 * 1024
_MAGIC = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"), (b"GIF8", "image/gif"))


class Image(msgspec.Struct, frozen=True):
    id: str
    media_type: str
    content: bytes

    def __repr__(self) -> str:
        return f"Image({self.id}, {self.media_type}, {len(self.content)} bytes)"


def media_type_of(content: bytes) -> str | None:
    """By the content alone: a name or a header that lies must not make us serve HTML or SVG from our own origin."""
    for magic, media_type in _MAGIC:
        if content.startswith(magic):
            return media_type
    return "image/webp" if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else None


def image_id_of(owner_id: str, content: bytes) -> str:
    """It changes with the bytes, so that what is cached under it for ever is never wrong; no two owners share a row."""
    return f"img_{hashlib.sha256(owner_id.encode() + content).hexdigest()[:40]}"


def checked(owner_id: str, content: bytes) -> Image:
    """Raises Refused (400) for what is no image."""
    media_type = media_type_of(content)
    if media_type is None:
        raise Refused(IMAGE_INVALID)
    return Image(image_id_of(owner_id, content), media_type, content)


def replace(tx: Tx, before: str | None, after: Image | None, now: int) -> str | None:
    """The id of what stands in the place of `before` from now on."""
    if after is not None and after.id == before:
        return before
    if before is not None:
        delete(tx, before)
    if after is None:
        return None
    insert(tx, after, now)
    return after.id


def insert(tx: Tx, image: Image, now: int) -> None:
    tx.execute(
        "INSERT INTO identity_images (id, media_type, content, created_at) VALUES (?, ?, ?, ?)",
        (image.id, image.media_type, image.content, now),
    )


def find(tx: Tx, image_id: str) -> tuple[str, bytes] | None:
    """Media type and bytes."""
    row = tx.fetch_one("SELECT media_type, content FROM identity_images WHERE id = ?", (image_id,))
    return None if row is None else (str(row[0]), bytes(row[1]))


def delete(tx: Tx, image_id: str) -> None:
    tx.execute("DELETE FROM identity_images WHERE id = ?", (image_id,))
