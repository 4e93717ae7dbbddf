"""A collector of traces: an OTLP receiver over HTTP and gRPC, with the official protobufs."""

from __future__ import annotations

import gzip
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as rpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status


class ReceivedSpan:
    """One span, with its attributes as plain values."""

    def __init__(self, span: Span, resource: dict[str, Any]) -> None:
        self.name = span.name
        self.kind = Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_")
        self.trace_id, self.id = span.trace_id.hex(), span.span_id.hex()
        self.parent = span.parent_span_id.hex()
        self.failed = span.status.code == Status.STATUS_CODE_ERROR
        self.message = span.status.message
        self.began, self.ended = span.start_time_unix_nano, span.end_time_unix_nano
        self.attributes = _plain(span.attributes)
        self.links = [(link.trace_id.hex(), link.span_id.hex()) for link in span.links]
        self.resource = resource


class Collector:
    """Records what it is sent. `url` is for OTLP over HTTP, `grpc_url` for gRPC."""

    def __init__(self) -> None:
        self.spans: list[ReceivedSpan] = []
        self.bodies: list[bytes] = []  # as they came, for those who look for what must not be there
        self.headers: list[dict[str, str]] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self._grpc = grpc.server(ThreadPoolExecutor(2))
        rpc.add_TraceServiceServicer_to_server(_Servicer(self), self._grpc)
        grpc_port = self._grpc.add_insecure_port("127.0.0.1:0")
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self.grpc_url = f"http://127.0.0.1:{grpc_port}"

    def take(self, body: bytes, headers: dict[str, str]) -> None:
        """Records one request of an exporter."""
        request = service.ExportTraceServiceRequest.FromString(body)
        self.bodies.append(body)
        self.headers.append(headers)
        for of_resource in request.resource_spans:
            resource = _plain(of_resource.resource.attributes)
            for scope in of_resource.scope_spans:
                self.spans += [ReceivedSpan(span, resource) for span in scope.spans]

    def named(self, beginning: str) -> list[ReceivedSpan]:
        """The spans whose names begin so, in the order of their beginning."""
        found = [span for span in self.spans if span.name.startswith(beginning)]
        return sorted(found, key=lambda span: span.began)

    def clear(self) -> None:
        """Forgets what came."""
        self.spans, self.bodies, self.headers = [], [], []

    def __enter__(self) -> Self:
        self._thread.start()
        self._grpc.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
        self._grpc.stop(0).wait()


class _Servicer(rpc.TraceServiceServicer):
    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def Export(self, request, context):  # noqa: N802  # the name in the protocol
        headers = {pair.key: pair.value for pair in context.invocation_metadata()}
        self._collector.take(request.SerializeToString(), headers)
        return service.ExportTraceServiceResponse()


def _handler(collector: Collector) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # as the base class has it
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            known = self.path == "/v1/traces"
            if known:
                headers = {name.lower(): value for name, value in self.headers.items()}
                collector.take(body, headers)
            self.send_response(200 if known else 404)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    return Handler


def _plain(attributes: Any) -> dict[str, Any]:
    found = {}
    for pair in attributes:
        kind = pair.value.WhichOneof("value")
        value = getattr(pair.value, kind)
        found[pair.key] = (
            [one.string_value for one in value.values] if kind == "array_value" else value
        )
    return found
