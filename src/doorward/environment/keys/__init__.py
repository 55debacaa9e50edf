"""The secrets of this machine and who it is. Owns `<state>/secrets/`, `environment-id`, the link key, `server-runtime.json`.

Mounts nothing. `secrets.py` is the store of files, `names.py` their names, `environment_id.py` and `link_key.py`
what is made once and kept, `runtime_file.py` the note that says where the running server is.
"""

from doorward.environment.keys import names
from doorward.environment.keys.environment_id import load_environment_id
from doorward.environment.keys.link_key import Keys
from doorward.environment.keys.secrets import SecretExists, SecretStore, SecretStoreFailed

__all__ = ["Keys", "SecretExists", "SecretStore", "SecretStoreFailed", "load_environment_id", "names"]
