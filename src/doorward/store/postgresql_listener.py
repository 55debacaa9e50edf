"""Connections to PostgreSQL, and the one that LISTENs.

Every notification of a schema travels on one PostgreSQL channel as "<channel>\\n<payload>", so that one LISTEN,
active before the first subscription, serves all of them.
"""

import random
import selectors
import socket
import threading
from typing import Any

import psycopg

from doorward.store.errors import DatabaseUnreachable
from doorward.store.notifications import Hub

# One channel a schema: two stages in one database must not hear each other. PostgreSQL cuts names at 63 bytes.
NOTIFY_CHANNEL_SQL = "substr(CASE current_schema() WHEN 'public' THEN 'doorward' ELSE 'doorward_' || current_schema() END, 1, 63)"
CONNECT_SECONDS = 10
# Between attempts to listen again, with full jitter (seconds).
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
# A quiet connection is asked for a sign of life this often (seconds): a lost peer would stay silent for ever.
PROBE_SECONDS = 30.0


def unreachable(error: Exception) -> DatabaseUnreachable:
    # libpq repeats a URL that it cannot read, and with it the password.
    reason = " ".join(str(error).split()).partition(' in URI: "')[0]
    return DatabaseUnreachable(
        f"Cannot reach PostgreSQL ({reason}). Check that it runs and that the database URL is right."
    )


def connect(url: str) -> "psycopg.Connection[Any]":
    """A connection in autocommit (transactions are begun by hand). Raises DatabaseUnreachable."""
    try:
        return psycopg.connect(
            url,
            autocommit=True,
            connect_timeout=CONNECT_SECONDS,
            application_name="doorward",
            client_encoding="utf-8",
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
        )
    except psycopg.Error as error:
        raise unreachable(error) from error


class Listener:
    """Listens from construction to `stop`; reconnects by itself and then tells everybody to reload."""

    def __init__(self, url: str, hub: Hub) -> None:
        """Raises DatabaseUnreachable when the first connection fails."""
        self._url = url
        self._hub = hub
        self._wake_receiver, self._wake_sender = socket.socketpair()
        self._stopping = threading.Event()
        try:
            connection = self._listen()
        except BaseException:
            self._close_wake()
            raise
        self._thread = threading.Thread(
            target=self._serve, args=(connection,), name="doorward-postgresql-listener", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._wake_sender.send(b"\0")
        self._thread.join()
        self._close_wake()

    def _close_wake(self) -> None:
        self._wake_receiver.close()
        self._wake_sender.close()

    def _listen(self) -> "psycopg.Connection[Any]":
        connection = connect(self._url)
        try:
            row = connection.execute(f"SELECT quote_ident({NOTIFY_CHANNEL_SQL})".encode()).fetchone()
            assert row is not None
            connection.execute(f"LISTEN {row[0]}".encode())
        except psycopg.Error as error:
            connection.close()
            raise unreachable(error) from error
        return connection

    def _serve(self, connection: "psycopg.Connection[Any]") -> None:
        while True:
            try:
                self._deliver(connection)
            except psycopg.Error:
                connection.close()
            if self._stopping.is_set():
                connection.close()
                return
            again = self._reconnect()
            if again is None:
                return
            connection = again
            # What was sent while nobody listened is gone: subscribers read their state anew.
            self._hub.reload_all()

    def _deliver(self, connection: "psycopg.Connection[Any]") -> None:
        """Publish what arrives until asked to stop; raises psycopg.Error when the connection breaks."""
        with selectors.DefaultSelector() as selector:
            selector.register(connection.fileno(), selectors.EVENT_READ)
            selector.register(self._wake_receiver, selectors.EVENT_READ)
            while not self._stopping.is_set():
                for notification in connection.notifies(timeout=0):
                    channel, _, payload = notification.payload.partition("\n")
                    self._hub.publish(channel, payload)
                if not selector.select(PROBE_SECONDS):
                    connection.execute("SELECT 1")

    def _reconnect(self) -> "psycopg.Connection[Any] | None":
        pause = FIRST_PAUSE
        while not self._stopping.wait(random.uniform(0, pause)):  # noqa: S311 - spreads reconnects, guards nothing
            try:
                return self._listen()
            except DatabaseUnreachable:
                pause = min(pause * 2, LONGEST_PAUSE)
        return None
