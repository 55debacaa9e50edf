"""Push notifications: one message to one device, through the service that can wake it.

Owns the wires of Web Push (RFC 8030, 8188, 8291, 8292), APNs and FCM behind one interface, `Sender`. Stores nothing
and retries nothing: who is told what, when and how often is the caller's business (`relay.delivery`,
`environment.notifications`). Mounts no routes; dials through `outbound` only.

    messages.py    Alert, LiveActivity, Outcome, Sender
    web_push.py    a browser's subscription, the VAPID key, the sender
    encryption.py  what only the subscribed browser can read
    apns.py        Apple, over HTTP/2
    fcm.py         Google's Firebase Cloud Messaging, HTTP v1
"""

from doorward.push.messages import Alert, LiveActivity, Message, Outcome, Sender
from doorward.push.web_push import Subscription, SubscriptionInvalid, VapidKey, WebPushSender, contact_at

__all__ = [
    "Alert",
    "LiveActivity",
    "Message",
    "Outcome",
    "Sender",
    "Subscription",
    "SubscriptionInvalid",
    "VapidKey",
    "WebPushSender",
    "contact_at",
]
