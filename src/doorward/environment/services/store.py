"""SQL of `environment_services`."""

from doorward.environment.services.published import PublishedService
from doorward.store import Row, Tx

_COLUMNS = "name, host, port, host_header, public_url, refusal"


def _service(row: Row) -> PublishedService:
    return PublishedService(
        name=row[0], host=row[1], port=row[2], host_header=row[3], public_url=row[4], refusal=row[5]
    )


def list_all(tx: Tx) -> list[PublishedService]:
    rows = tx.fetch_all(f"SELECT {_COLUMNS} FROM environment_services ORDER BY name")  # noqa: S608
    return [_service(row) for row in rows]


def save(tx: Tx, service: PublishedService, now: int) -> None:
    tx.execute(
        f"INSERT INTO environment_services ({_COLUMNS}, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
        " ON CONFLICT (name) DO UPDATE SET host = excluded.host, port = excluded.port,"
        " host_header = excluded.host_header, public_url = excluded.public_url,"
        " refusal = excluded.refusal, updated_at = excluded.updated_at",
        (
            service.name,
            service.host,
            service.port,
            service.host_header,
            service.public_url,
            service.refusal,
            now,
        ),
    )


def delete(tx: Tx, name: str) -> bool:
    return tx.execute("DELETE FROM environment_services WHERE name = ?", (name,)) == 1
