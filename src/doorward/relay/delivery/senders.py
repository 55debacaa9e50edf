"""Which service reaches which platform, and a job in the words of that service."""

from collections.abc import Mapping

import msgspec

from doorward.jose import PrivateKey
from doorward.outbound import Outbound
from doorward.push import LiveActivity, Message, Sender, VapidKey, WebPushSender, contact_at
from doorward.push.apns import ApnsSender, ApnsTarget
from doorward.push.fcm import FcmSender
from doorward.relay.delivery.jobs import JobPayload, live_event_of
from doorward.relay.devices.store import Platform
from doorward.relay.settings import RelaySettings

Senders = Mapping[Platform, Sender]


def build_senders(settings: RelaySettings, outbound: Outbound, vapid: VapidKey) -> Senders:
    """Browsers always; Apple and Google where the operator has keys. Raises JoseError for a key that is none."""
    contact = settings.push_contact or contact_at(settings.issuer)
    senders: dict[Platform, Sender] = {"web": WebPushSender(outbound, vapid, contact=contact)}
    if settings.apns is not None:
        apns = settings.apns
        senders["ios"] = ApnsSender(
            outbound,
            key=PrivateKey.from_pem(apns.private_key, alg="ES256"),
            key_id=apns.key_id,
            team_id=apns.team_id,
            bundle_id=apns.bundle_id,
            environment=apns.environment,
        )
    if settings.fcm is not None:
        senders["android"] = FcmSender(outbound, settings.fcm)
    return senders


def address_of(payload: JobPayload) -> str:
    """The target as the platform's sender takes it."""
    target = payload.target
    if target.platform != "ios":
        return target.token
    return ApnsTarget(
        token=target.token, bundle_id=target.bundle_id, environment=target.aps_environment
    ).to_text()


def message_of(payload: JobPayload) -> Message:
    event, aggregate = live_event_of(payload.kind), payload.aggregate
    if event is None:
        assert payload.notification is not None, "the job was verified"
        return payload.notification
    return LiveActivity(
        event=event,
        content=None if aggregate is None else msgspec.json.encode(aggregate).decode(),
        title="" if aggregate is None else aggregate.title,
        body="" if aggregate is None else aggregate.subtitle,
    )
