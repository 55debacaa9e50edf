"""What the accounts server tells by webhook. Mounted only where the relay has the endpoint's secret."""

from typing import Any

import msgspec

from doorward.relay.http.responses import SCHEMA_MISMATCH, Response
from doorward.relay.http.routing import Body, Call, Route, anyone
from doorward.relay.users.news import AccountEvent, AccountNews, NotFromAccounts
from doorward.t3_connect.errors import AuthInvalid, RelayError

PATH = "/v1/webhooks/accounts"


class AccountsApi:
    def __init__(self, news: AccountNews) -> None:
        self._news = news

    def routes(self) -> list[Route[Any, Any]]:
        # The signature is over the body's very bytes, and so is judged by the handler and not by a guard.
        body = Body("application/json", AccountEvent, lambda raw: raw)
        return [
            Route(
                "POST",
                PATH,
                self.hear,
                anyone,
                "Hear that an account was banned or deleted",
                body=body,
                status=204,
                refusals=(AuthInvalid,),
            )
        ]

    async def hear(self, call: Call[None, bytes]) -> Response:
        arrival = call.arrival
        try:
            await self._news.hear(arrival.headers.get, call.body, origin=arrival.origin)
        except NotFromAccounts as error:
            raise RelayError(AuthInvalid(reason="not_authorized")) from error
        except msgspec.DecodeError:
            return SCHEMA_MISMATCH
        return Response(204)
