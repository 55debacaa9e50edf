"""Links: which account may reach which environment, and with which environment key.

Routes: challenge, link and unlink under `/v1/client/`, and the list at `/v1/environments`. A link is made from
a proof the environment signed over a challenge the relay signed for the account; all of its rows (link,
endpoint allocation, credential, audit) are one transaction. Neighbours: `tokens` (the challenge), `replay` (both
nonces), `endpoints` (the public name), `credentials`, `services` (released with the link).
"""
