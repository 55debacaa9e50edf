"""The Ed25519 key this machine signs with towards the relay, and the HMAC key of its own sessions.

The link key is made once and survives an unlink: the relay verifies with the public half it was given at
link time. Older T3 data folders hold the halves in two files; they are joined when both exist.
"""

from functools import cached_property

import msgspec

from doorward.environment.keys import names
from doorward.environment.keys.secrets import SecretStore, SecretStoreFailed
from doorward.jose import JoseError, PrivateKey, PublicKey, generate_key


class _KeyPair(msgspec.Struct, rename="camel"):
    """The secret `cloud-link-ed25519-key-pair`: PKCS#8 and SPKI PEM."""

    private_key: str
    public_key: str


class Keys:
    """The keys of one environment, loaded at first use. Raises SecretStoreFailed."""

    def __init__(self, secrets: SecretStore) -> None:
        self._secrets = secrets

    @cached_property
    def session_key(self) -> bytes:
        """32 bytes; deleting the secret ends every session."""
        key = self._secrets.get_or_create_random(names.SERVER_SIGNING_KEY, 32)
        if len(key) != 32:
            raise SecretStoreFailed(f"The secret {names.SERVER_SIGNING_KEY} is not 32 bytes long.")
        return key

    def link_key(self) -> PrivateKey:
        """The Ed25519 key pair, made at the first call ever."""
        return self._link_key

    def public_pem(self) -> str:
        """SPKI PEM without surrounding whitespace, as the payloads carry it."""
        return self.link_key().public.to_pem().strip()

    @cached_property
    def _link_key(self) -> PrivateKey:
        stored = self._secrets.get(names.LINK_KEY_PAIR)
        if stored is None:
            stored = self._secrets.get_or_create(names.LINK_KEY_PAIR, self._first_pair())
        try:
            pair = msgspec.json.decode(stored, type=_KeyPair)
            key = PrivateKey.from_pem(pair.private_key.strip(), alg="EdDSA")
            public = PublicKey.from_pem(pair.public_key.strip(), alg="EdDSA")
        except (msgspec.MsgspecError, JoseError, ValueError) as error:
            raise SecretStoreFailed(
                f"The secret {names.LINK_KEY_PAIR} is not an Ed25519 key pair."
            ) from error
        if public.thumbprint != key.public.thumbprint:
            raise SecretStoreFailed(
                f"The two halves of the secret {names.LINK_KEY_PAIR} do not belong together."
            )
        return key

    def _first_pair(self) -> bytes:
        private = self._secrets.get_text(names.LEGACY_LINK_PRIVATE_KEY)
        public = self._secrets.get_text(names.LEGACY_LINK_PUBLIC_KEY)
        if private is None or public is None:
            key = generate_key("EdDSA")
            private, public = key.to_pem(), key.public.to_pem()
        return msgspec.json.encode(_KeyPair(private_key=private, public_key=public))
