"""Which link is news to its owner. Pure."""

from typing import Literal

from doorward.relay.links.store import LinkRow

#: Stored and told: a machine that was not linked, one that took another name, one that came back with another key.
Kind = Literal["linked", "renamed", "rekeyed"]


def kind_of(former: LinkRow | None, link: LinkRow) -> Kind | None:
    """None for a link that stood already and looks the same: an agent links anew at every start.

    A name can be the look-alike of another machine's, so a new name is told like a new machine; so is a new key,
    because the key is what the machine is.
    """
    if former is None:
        return "linked"
    if former.environment_public_key != link.environment_public_key:
        return "rekeyed"
    return "renamed" if former.label != link.label else None
