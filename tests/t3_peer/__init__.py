"""Unmodified T3 Code programs as peers, where `T3_PEER` names some. Nothing of theirs is kept in this repository."""
