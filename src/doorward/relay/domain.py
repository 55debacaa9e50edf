"""The relay's own host name, where an operator gives a zone and a stage instead of a name. Pure."""

from doorward.relay.endpoints.rules import MAX_LABEL, normalize_zone, slug

PRODUCTION = "prod"


class StageTooLong(ValueError):
    """The stage's name does not fit into a DNS label."""


def relay_domain(*, stage: str, api_zone: str) -> str:
    """`relay.<zone>` in production, `relay-<stage>.<zone>` elsewhere. Raises `StageTooLong`."""
    label = "relay" if stage == PRODUCTION else f"relay-{slug(stage)}"
    if len(label) > MAX_LABEL:
        raise StageTooLong(
            f"The stage {stage!r} makes the label {label!r}, which has {len(label)} characters;"
            f" DNS allows {MAX_LABEL}. Choose a shorter stage."
        )
    return f"{label}.{normalize_zone(api_zone)}"
