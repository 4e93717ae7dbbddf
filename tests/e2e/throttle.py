"""DynamoDB with one table that is throttled, as AWS does it: everything else goes through."""

from __future__ import annotations

import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_WRITES = ("BatchWriteItem", "PutItem", "UpdateItem", "DeleteItem")
_THROTTLED = json.dumps(
    {
        "__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
        "message": "The level of configured provisioned throughput for the table was exceeded.",
    }
).encode()


class Throttle:
    """`url` leads to the server at `target`; while `throttled`, writes to `table` are refused."""

    def __init__(self, target: str, table: str) -> None:
        parts = urlsplit(target)
        self.throttled = False
        self.refused = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                operation = self.headers["x-amz-target"].rpartition(".")[2]
                if outer.throttled and operation in _WRITES and f'"{table}"'.encode() in body:
                    outer.refused += 1
                    self.answer(400, _THROTTLED)
                    return
                connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
                try:
                    connection.request("POST", self.path, body, dict(self.headers.items()))
                    response = connection.getresponse()
                    self.answer(response.status, response.read())
                finally:
                    connection.close()

            def answer(self, status, body):
                self.send_response(status)
                self.send_header("content-type", "application/x-amz-json-1.0")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
