"""Gives AWS credentials over HTTP: STS, a container's agent, instance metadata, SSO's portal."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

from fakeserver import TLS


class FakeAWS:
    """Gives keys KEY1, KEY2 … that live for `lifetime` seconds.

    `mode` is ok, refuse, garbage or hang.
    `requests` has (method, path, form or headers) of each.
    """

    def __init__(self, *, tls=False):
        self.mode = "ok"
        self.lifetime = 3.0
        self.given = 0
        self.requests = []
        self.released = threading.Event()  # ends what hangs
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                fake._answer(self)

            do_PUT = do_POST = do_GET  # noqa: N815  # names of http.server

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(TLS / "server.pem", TLS / "server.key")
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"http{'s' * tls}://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def keys(self):
        self.given += 1
        return f"KEY{self.given}", datetime.now(UTC) + timedelta(seconds=self.lifetime)

    def _answer(self, handler):
        length = int(handler.headers.get("content-length", 0))
        form = {k: v[0] for k, v in parse_qs(handler.rfile.read(length).decode()).items()}
        self.requests.append((handler.command, handler.path, {**dict(handler.headers), **form}))
        with contextlib.suppress(OSError):
            if self.mode == "hang":
                self.released.wait(60)
            status, body = self._body(handler.path, form)
            handler.send_response(status)
            handler.send_header("content-length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

    def _body(self, path, form):
        if self.mode == "garbage":
            return 200, b"\xff{<garbage"
        if "Action" in form:
            return self._sts(form)
        if self.mode == "refuse":
            return 403, b'{"message": "AccessDenied", "__type": "UnauthorizedException"}'
        if path == "/latest/api/token":
            return 200, b"imds-token"
        if path == "/latest/meta-data/iam/security-credentials/":
            return 200, b"role"
        key, ends = self.keys()
        if path.startswith("/federation/credentials"):
            document = {
                "roleCredentials": {
                    "accessKeyId": key,
                    "secretAccessKey": "s",
                    "sessionToken": "t",
                    "expiration": int(ends.timestamp() * 1000),
                }
            }
        else:
            document = {
                "Code": "Success",
                "AccessKeyId": key,
                "SecretAccessKey": "s",
                "Token": "t",
                "Expiration": ends.isoformat().replace("+00:00", "Z"),
            }
        return 200, json.dumps(document).encode()

    def _sts(self, form):
        action = form["Action"]
        if self.mode == "refuse":
            return 403, (
                b"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: "
                b"arn:aws:iam::123456789012:user/x is not authorized to perform: sts:AssumeRole"
                b"</Message></Error></ErrorResponse>"
            )
        key, ends = self.keys()
        return 200, (
            f"<{action}Response><{action}Result><Credentials><AccessKeyId>{key}</AccessKeyId>"
            "<SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
            f"<Expiration>{ends.isoformat()}</Expiration></Credentials><AssumedRoleUser>"
            "<Arn>arn:aws:sts::123456789012:assumed-role/r/s</Arn><AssumedRoleId>A:s</AssumedRoleId>"
            f"</AssumedRoleUser></{action}Result></{action}Response>"
        ).encode()
