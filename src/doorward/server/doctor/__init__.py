"""`doorward doctor`: what is wrong with an installation, why it matters, and how to mend it.

    findings.py   what a check says
    network.py    names, certificates, clocks and answers, as anybody outside meets them
    server.py     a server, from its configuration
    machine.py    a machine, from its data folder
    token.py      a token, from its claims and from who reads it

A check looks and never changes anything. Each says one thing that is well, or what to do; one that another's failure
makes pointless is left out, so that the first problem of the list is the one to mend first.
"""
