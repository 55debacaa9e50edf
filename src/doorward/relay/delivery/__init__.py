"""Getting what was decided to the devices: an outbox in the database, and the worker that empties it.

A delivery is queued in the transaction of the change it tells of. Workers of any number of nodes take due ones under a
lease that lapses, send them, and record what came of it; a delivery that was recorded is never sent again. Jobs are
signed by a secret that is not in the database: whoever can only write rows cannot make us send.

    jobs     what a job is, its signature, why one is refused (pure)
    store    rows of the outbox
    queue    adding to it
    worker   taking, sending, recording
    senders  which service reaches which platform

No routes. Neighbours: `activity` adds, `devices` keeps the tokens, `doorward.push` sends. Channel: "relay.deliveries".
"""
