"""Rows of `identity_images`, and which bytes are an image."""

from __future__ import annotations

from doorward.store import Tx

MAX_IMAGE_BYTES = 10 * 1024 * 1024
_MAGIC = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"), (b"GIF8", "image/gif"))


def media_type_of(content: bytes) -> str | None:
    """By the content alone: a name or a header that lies must not make us serve HTML or SVG from our own origin."""
    for magic, media_type in _MAGIC:
        if content.startswith(magic):
            return media_type
    return "image/webp" if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else None


def insert(tx: Tx, image_id: str, media_type: str, content: bytes, now: int) -> None:
    tx.execute(
        "INSERT INTO identity_images (id, media_type, content, created_at) VALUES (?, ?, ?, ?)",
        (image_id, media_type, content, now),
    )


def find(tx: Tx, image_id: str) -> tuple[str, bytes] | None:
    """Media type and bytes."""
    row = tx.fetch_one("SELECT media_type, content FROM identity_images WHERE id = ?", (image_id,))
    return None if row is None else (str(row[0]), bytes(row[1]))


def delete(tx: Tx, image_id: str) -> None:
    tx.execute("DELETE FROM identity_images WHERE id = ?", (image_id,))
