"""Two machines; `doorward machines allow CALLER RECEIVER` lets the first speak to the second.
CLERK_MACHINE_SECRET_KEY=ak_… RECEIVER_SECRET_KEY=ak_… CLERK_API_URL=… python examples/machine_app.py"""

import os

from doorward.verify import Machine


def call_another(machine: Machine, receiver: Machine) -> str:
    made = machine.create_token(seconds_until_expiration=60, claims={"job": "nightly"})
    caller = receiver.verify_token(made.token)
    machine.revoke_token(made.id)
    return f"{caller.machine_id} for {caller.claims['job']}"


if __name__ == "__main__":
    print(call_another(Machine(), Machine(machine_secret_key=os.environ["RECEIVER_SECRET_KEY"])))
