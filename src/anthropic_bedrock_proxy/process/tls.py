"""The certificate that clients see."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ssl import SSLContext, SSLObject, SSLSocket

    from ..config.sections.server import ServerSettings

_log = logging.getLogger("anthropic_bedrock_proxy")


def tls_context(options: ServerSettings) -> SSLContext | None:
    """Makes the TLS context for clients; None unless a certificate is given. Raises `OSError`."""
    if options.tls_certificate is None:
        return None
    import ssl  # noqa: PLC0415  # costs memory, and most let a balancer end TLS

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    # Without a password OpenSSL would ask for that of an encrypted key on the terminal.
    context.load_cert_chain(options.tls_certificate, options.tls_key, password=lambda: "")
    context.set_alpn_protocols(["http/1.1"])
    return context


def tls_context_of_now(options: ServerSettings, at_start: SSLContext | None) -> SSLContext | None:
    """Makes the context of a worker, which may begin long after the server has.

    A certificate that cannot be used any more changes nothing, as with SIGHUP: it gets the one
    from `at_start`. Else one worker that dies would end all others.
    """
    try:
        return tls_context(options)
    except (OSError, ValueError) as error:
        _log.error("a worker starts with the certificate as it was at the start: %s", error)
        return at_start


def renew(context: SSLContext, options: ServerSettings) -> None:
    """Reads the files once more for whoever begins TLS from now on. Raises `OSError`.

    They go into a context of their own: one may hold a certificate for each kind of key, so an old
    one of another kind would stay beside the new. OpenSSL asks the callback for every handshake,
    also where the client names no server.
    """
    renewed = tls_context(options)

    def replace(connection: SSLSocket | SSLObject, _name: str, _context: SSLContext) -> None:
        if renewed is not None:
            connection.context = renewed

    context.sni_callback = replace
