"""Who is signed in."""

import msgspec

from doorward.identity.accounts.store import Account, UserRecord
from doorward.identity.organizations.details import Membership
from doorward.identity.sessions.store import SessionRecord
from doorward.identity.templates.service import SessionTemplate


class SignedIn(msgspec.Struct, frozen=True):
    """A living session, the account it belongs to, what the person is in the organization it is active in, and what
    the instance adds to session tokens."""

    account: Account
    session: SessionRecord
    membership: Membership | None = None
    template: SessionTemplate | None = None

    @property
    def user_id(self) -> str:
        return self.account.user.id

    @property
    def user(self) -> UserRecord:
        return self.account.user

    @property
    def email_address(self) -> str:
        return self.account.primary_email.address
