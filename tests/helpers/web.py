"""A web server on loopback with the manners and the faults of real ones, from the standard library alone."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclass
class Web:
    """What a server does.

    ``faults`` has a path's end → ``hang``, ``cut``, ``drop``, a status, ``bytes-FAULT`` (HEAD works), ``flaky`` (fails
    once), ``to URL`` (a redirect), or ``busy STATUS RETRY-AFTER TIMES`` (so often, then it answers). ``disturb`` gives
    such a fault, or "", for every request. With ``upstream`` (host:port) the answers are those of another server.
    ``tells`` is what it says of a file's version: ``etag``, ``weak`` (an ETag that is another one each time), ``time``.

    ``asked`` are (method, path, range or "") of the requests so far.
    """

    folder: Path
    ranges: bool = True
    head: bool = True
    length: bool = True
    faults: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    url: str = ""
    disturb: Callable[[str], str] | None = None
    upstream: str = ""
    tells: tuple[str, ...] = ()


@contextlib.contextmanager
def serving(folder: Path, **manners: object) -> Iterator[Web]:
    """A server of a folder's files while the block runs."""
    web = Web(folder, **manners)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(with_body=False)

        def do_GET(self) -> None:
            self.answer(with_body=True)

        def answer(self, with_body: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            part = self.headers.get("Range", "")
            web.asked.append((self.command, path, part))
            fault = next((f for end, f in web.faults.items() if path.endswith(end)), "")
            if not fault and web.disturb is not None:
                fault = web.disturb(path)
            if fault.startswith("bytes-"):
                fault = fault.removeprefix("bytes-") if with_body else ""
            file = web.folder / path.lstrip("/")
            if fault == "flaky":
                fault = "500"
                web.faults = {end: f for end, f in web.faults.items() if not path.endswith(end)}
            if fault.startswith("to "):
                return self.refuse(302, Location=fault.removeprefix("to "))
            if fault.startswith("busy "):
                _, status, seconds, times = fault.split(" ", 3)
                left = f"busy {status} {seconds} {int(times) - 1}" if int(times) > 1 else ""
                web.faults.update({end: left for end in web.faults if path.endswith(end)})
                return self.refuse(int(status), **{"Retry-After": seconds.replace("_", " ")})
            if fault == "drop":
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return None
            if fault == "hang":
                time.sleep(3)
            if not web.head and not with_body:
                return self.refuse(405)
            if fault.isdigit():
                return self.refuse(int(fault))
            if web.upstream:
                return self.forward(with_body, fault == "cut")
            if not file.is_file():
                return self.refuse(404)
            data, status, ranged = file.read_bytes(), 200, None
            if part and web.ranges:
                first, last = part.removeprefix("bytes=").split("-")
                if int(first) >= len(data):
                    return self.refuse(416)
                ranged = f"bytes {first}-{min(int(last), len(data) - 1)}/{len(data)}"
                data, status = data[int(first) : int(last) + 1], 206
            self.send_response(status)
            if "etag" in web.tells or "weak" in web.tells:
                tag = hashlib.sha256(file.read_bytes()).hexdigest()[:20]
                self.send_header("ETag", f'"{tag}"' if "etag" in web.tells else f'W/"{time.time_ns()}"')
            if "time" in web.tells:
                self.send_header("Last-Modified", formatdate(file.stat().st_mtime, usegmt=True))
            if ranged:
                self.send_header("Content-Range", ranged)
            if web.length:
                self.send_header("Content-Length", str(len(data)))
            else:
                self.send_header("Connection", "close")
                self.close_connection = True
            self.end_headers()
            if with_body:
                self.wfile.write(data[: len(data) // 2] if fault == "cut" else data)
            if fault == "cut":
                self.close_connection = True
            return None

        def forward(self, with_body: bool, cut: bool) -> None:
            there = http.client.HTTPConnection(web.upstream, timeout=60)
            there.request(self.command, self.path, headers=dict(self.headers))
            answer = there.getresponse()
            data = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "connection", "content-length", "date", "server"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)) if with_body else answer.getheader("Content-Length", "0"))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2] if cut else data)
            self.close_connection = self.close_connection or cut
            there.close()

        def refuse(self, status: int, **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:  # a client that has gone is what is being tried
            pass

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    web.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
