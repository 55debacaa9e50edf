"""The link between this machine and an account at a relay.

`rules.py` who may ask for a link proof and from where (pure), `proof.py` the signed claims (pure), `cli_token.py`
the stored OAuth token, `supervisor.py` the connector, `service.py` apply, show and undo the link,
`reconcile.py` bring the link about at start and keep trying. Routes C1-C5 are in `api/`.
"""

from doorward.environment.link.errors import LinkRefused
from doorward.environment.link.supervisor import ConnectorRefused, Supervisor

__all__ = ["ConnectorRefused", "LinkRefused", "Supervisor"]
