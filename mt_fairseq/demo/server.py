"""HTTP for the page, by Python's own server: no further package, and nothing from the network.

A browser lets any web site send requests to this machine. So only requests that name this server as
their host are answered (no site can pass itself off as it by its own DNS), and those that come from
another site's page are refused.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import socket
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any
from urllib.parse import unquote, urlsplit

from mt_fairseq.demo.application import MOST_BYTES, Application
from mt_fairseq.errors import UserError

logger = logging.getLogger(__name__)

MOST_TEXT = 100_000  # bytes of a question
MOST_DIGITS = 20  # of a length
PAGE = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Refusal(Exception):
    """A request that is not answered."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address or name."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server_version = "mt_fairseq"
    sys_version = ""
    timeout = 60  # seconds without a byte

    server: Server

    @property
    def application(self) -> Application:
        return self.server.application

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def _answer(self, method: Any) -> None:
        try:
            self._check_sender()
            content, kind = method(urlsplit(self.path).path)
            self._send(HTTPStatus.OK, content, kind)
        except Refusal as refusal:
            self._send_error(refusal.status, str(refusal))
        except UserError as error:
            self._send_error(HTTPStatus.BAD_REQUEST, str(error))
        except (ConnectionError, TimeoutError):
            self.close_connection = True  # the browser has gone
        except Exception:
            logger.exception("%s failed", self.path)
            message = "this failed; the terminal of the page's server says why"
            self._send_error(HTTPStatus.INTERNAL_SERVER_ERROR, message)

    def _check_sender(self) -> None:
        host = self.headers.get("Host", "")
        name = urlsplit(f"//{host}").hostname or ""
        if self.server.local and not is_loopback(name):
            raise Refusal(HTTPStatus.FORBIDDEN, f"this page is not {host!r}")
        origin = self.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != host:
            raise Refusal(HTTPStatus.FORBIDDEN, "asked by another site's page")

    def _get(self, path: str) -> tuple[bytes, str]:
        if path in PAGE:
            name, kind = PAGE[path]
            return (files("mt_fairseq.demo") / "page" / name).read_bytes(), kind
        parts = path.strip("/").split("/")
        match parts:
            case ["state"]:
                return _json(self.application.describe())
            case ["pictures", key]:
                return self.application.pictures.get(key).preview, "image/png"
            case ["figures", key, name]:
                return self.application.figure(key, name), "image/png"
        raise Refusal(HTTPStatus.NOT_FOUND, f"there is no {path}")

    def _post(self, path: str) -> tuple[bytes, str]:
        if path == "/pictures":
            name = unquote(self.headers.get("X-File-Name", "")) or "the picture"
            return _json(self.application.upload(name, self._body(MOST_BYTES)))
        if path == "/ask":
            wanted = self._question()
            return _json(self.application.ask(*wanted))
        raise Refusal(HTTPStatus.NOT_FOUND, f"there is no {path}")

    def _question(self) -> tuple[str, str, str]:
        try:
            content = json.loads(self._body(MOST_TEXT))
            skill, picture, text = (content[key] for key in ("skill", "picture", "text"))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, "not a question of the page") from error
        if not (isinstance(skill, str) and isinstance(picture, str) and isinstance(text, str)):
            raise Refusal(HTTPStatus.BAD_REQUEST, "skill, picture and text must be strings")
        return skill, picture, text

    def _body(self, most: int) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit() and len(length) < MOST_DIGITS):
            raise Refusal(HTTPStatus.LENGTH_REQUIRED, "the length is missing or not a number")
        if int(length) > most:
            self.close_connection = True
            raise Refusal(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"{int(length) / 1e6:.1f} MB are too many; the limit is {most / 1e6:.1f} MB",
            )
        return self.rfile.read(int(length))

    def _send_error(self, status: HTTPStatus, message: str) -> None:
        content, kind = _json({"error": message})
        self._send(status, content, kind)

    def _send(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        logger.debug(format, *args)


def _json(content: Any) -> tuple[bytes, str]:
    return json.dumps(content, ensure_ascii=False).encode(), "application/json"


class Server(ThreadingHTTPServer):
    """Listens at once, so that a port that is taken shows before a model is loaded.

    Args:
        host: the address to listen on.
        port: 0 takes any free one.

    Raises:
        UserError: an address that can't be had.
    """

    daemon_threads = True
    application: Application

    def __init__(self, host: str, port: int) -> None:
        self.local = is_loopback(host)
        if ":" in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise UserError(
                f"--host {host} --port {port}: can't listen there ({reason})"
            ) from error

    @property
    def url(self) -> str:
        """Where the page is."""
        host, port = str(self.server_address[0]), self.server_address[1]
        return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"

    def serve(self, application: Application) -> None:
        """Answer requests until ``shutdown``."""
        self.application = application
        self.serve_forever()
