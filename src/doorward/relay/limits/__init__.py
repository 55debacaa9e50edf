"""How often one account may ask: fixed one-minute windows, counted in the database so that all nodes count together.

No routes; used by the handlers that sign, store or send something. Pruned with the replay table.
"""
