"""A resolver that knows every name below `.test` as one address, and nothing else (RFC 1035, A records)."""

import socket
import struct
import sys


def answer(query: bytes, address: str) -> bytes:
    """One question, one answer; other types and names get an empty answer or NXDOMAIN."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]])
        at += query[at] + 1
    question = query[12 : at + 5]
    kind = struct.unpack(">H", query[at + 1 : at + 3])[0]
    is_known = labels[-1:] == [b"test"]
    records = b""
    if is_known and kind == 1:
        records = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(address)
    flags = 0x8180 if is_known else 0x8183
    return query[:2] + struct.pack(">HHHHH", flags, 1, 1 if records else 0, 0, 0) + question + records


def main() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 53))
        print("ready", flush=True)
        while True:
            query, peer = sock.recvfrom(512)
            sock.sendto(answer(query, sys.argv[1]), peer)


if __name__ == "__main__":
    main()
