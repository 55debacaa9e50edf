"""What the agents of linked environments do, thread by thread, and what of it each device shows.

An environment publishes the state of one thread with its credential and a proof used once. One transaction keeps the
state, decides what every device of every linked account is to show, and queues it: nothing is shown that is not
kept, and nothing kept is forgotten to be shown. A finished thread stays half an hour, for whoever looks then.

    proof         whether a publication is the environment's own
    rules         aggregates, and what a device is sent (pure)
    store         rows of threads
    publication   publish, replay to a device, snapshot

Routes: `api/activity.py`, and `GET /v1/mobile/agent-activity` in `api/mobile.py`. Neighbours: `devices`, `delivery`.
"""
