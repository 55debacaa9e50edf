"""The names of secrets, as the T3 Connect environment writes them (connect-environment §1.2)."""

SERVER_SIGNING_KEY = "server-signing-key"
LINK_KEY_PAIR = "cloud-link-ed25519-key-pair"
LEGACY_LINK_PRIVATE_KEY = "cloud-link-ed25519-private-key"
LEGACY_LINK_PUBLIC_KEY = "cloud-link-ed25519-public-key"
MINT_PUBLIC_KEY = "cloud-mint-ed25519-public-key"
ENDPOINT_RUNTIME = "cloud-endpoint-runtime-config"
LINKED_USER = "cloud-linked-user-id"
RELAY_URL = "cloud-relay-url"
RELAY_ISSUER = "cloud-relay-issuer"
ENVIRONMENT_CREDENTIAL = "cloud-relay-environment-credential"
PUBLISH_ACTIVITY = "cloud-publish-agent-activity"
DESIRED_LINK = "cloud-cli-desired-link"
CLI_TOKEN = "cloud-cli-oauth-token"  # noqa: S105 - a name, not a token
SECURITY_MODE = "connect-security-mode"
#: Ours: present once a mode was stored, so that a mode that vanished is not mistaken for one never set.
SECURITY_MODE_STORED = "connect-security-mode-stored"

#: Ours: JSON of the endpoint the relay gave this environment, so that it knows its own public host.
MANAGED_ENDPOINT = "cloud-managed-endpoint"

#: Ours: the P-256 key that browsers subscribe to notifications with.
VAPID_KEY = "web-push-vapid-key"

#: What unlinking removes, in this order; the intent to be linked is cleared besides.
LINK_SECRETS = (
    LINKED_USER,
    RELAY_URL,
    RELAY_ISSUER,
    ENVIRONMENT_CREDENTIAL,
    MINT_PUBLIC_KEY,
    ENDPOINT_RUNTIME,
    PUBLISH_ACTIVITY,
    MANAGED_ENDPOINT,
)
