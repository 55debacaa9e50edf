"""Faults of the world and what they cost: real processes, one fault at a time, a bound on recovery and on loss.

    make test ARGS="tests/faults"     some minutes: short stalls, bodies of 256 MB, a minute of WebSockets
    make soak                         hours: the lengths of `scale.py` in full

Every test writes what it measured to the `ledger`; the end of the run shows it as one table.
"""
