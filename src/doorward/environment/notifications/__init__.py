"""Telling the owner's browsers that a device asks to be let in, by Web Push. The machine does it itself: it alone
knows of requests, and the relay learns nothing of them.

A subscription is good as long as what it was made with may decide: the session of the owner's page on this machine, or
the approval of an administrator device. A request is told of once, when it begins to wait.

    rules    what is said, how often at most
    store    subscriptions, and notices of requests (written in the transaction of the request)
    service  subscribe, unsubscribe, and the work beside: `watch`

Routes: `pages/notifications.py`. Channel: "environment.knocks".
"""

from doorward.environment.notifications.service import Notifications

__all__ = ["Notifications"]
