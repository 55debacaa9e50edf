"""What an account is told of its links: a notice for each one that is new, or that no longer looks as it did.

A stolen token can link a foreign machine under a familiar name, and whoever opens it types their secrets into it. So
the transaction that makes a link also writes down that its owner has to be told. The relay knows no addresses and sends
no mail: `server` takes the notices (`LinkNotices.take`) to the identity server beside it, and each is kept until that
one says it is done. A relay without one drops them after a week; the list of machines shows the same facts for ever.

`rules` says what is worth telling, `store` keeps the rows, `service` hands them out. Neighbour: `links`, which writes.
"""
