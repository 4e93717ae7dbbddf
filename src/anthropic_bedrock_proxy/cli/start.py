"""The steps of `serve`: read the settings, bind, say hello, serve.

The order matters: the socket is bound as soon as the settings are known, everything heavy is
imported afterwards. click, which parses the command line of every other command, is not imported
here (`plain.py`): it is a tenth of the time to the first answer.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import Settings, SettingsError, load_settings
from ..http.server.descriptors import raise_limit
from ..process import signals, standard
from ..process.listening import BindError, Bound, listen

if TYPE_CHECKING:
    from ..aws.resolver.resolver import Resolver
    from ..store.base.store import Store
    from ..telemetry.output import LogOutput
    from .first_key import FirstKey

_NO_CREDENTIALS = """\
No AWS credentials were found, so there is nothing to send requests to. Give the proxy one of:
  - AWS_BEARER_TOKEN_BEDROCK=…                       an Amazon Bedrock API key
  - AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…      (and AWS_SESSION_TOKEN for temporary keys)
  - AWS_PROFILE=name                                 a profile of ~/.aws/config
  - a role of the machine, container or pod it runs on
in the environment or in a file named .env, together with AWS_REGION.
To try the proxy without AWS: anthropic-bedrock-proxy serve --demo"""
_NO_AWS_IN_DEMOS = (
    "A demonstration does not reach AWS: set DYNAMODB_ENDPOINT_URL, or another STORE_URL."
)


class StartError(Exception):
    """The proxy cannot start; the message says why, and how to mend it."""


def start(
    *,
    host: str | None = None,
    port: str | None = None,
    workers: str | None = None,
    demo: bool = False,
    demo_without_aws: bool = False,
    config_file: Path | None = None,
) -> int:
    """Serves until told to stop; returns the exit status. Raises `StartError`."""
    if os.getpid() == 1:
        from ..process.first import stand_before  # noqa: PLC0415  # for containers only

        stand_before()
    raise_limit()
    given = {"HOST": host, "PORT": port, "WORKERS": workers}
    overrides = {name: value for name, value in given.items() if value is not None}
    try:
        settings = load_settings(config_file, overrides)
        options = settings.server
        mode = None if options.unix_socket_mode is None else int(options.unix_socket_mode, 8)
        bound = listen(options.host, options.port, options.workers, unix_mode=mode)
    except (SettingsError, BindError) as error:
        raise StartError(str(error)) from error
    try:
        return _serve(settings, bound, demo, demo_without_aws, config_file, overrides)
    finally:
        bound.file.remove()


def _serve(
    settings: Settings,
    bound: Bound,
    demo: bool,
    demo_without_aws: bool,
    config_file: Path | None,
    overrides: dict[str, str],
) -> int:
    from ..app import bedrock  # noqa: PLC0415
    from ..app import build as app  # noqa: PLC0415  # after the bind
    from ..app.metrics import make_board  # noqa: PLC0415
    from ..app.models import missing_targets  # noqa: PLC0415
    from ..app.sandbox import make_own_executor  # noqa: PLC0415
    from ..app.start_note import FirstWorker  # noqa: PLC0415
    from ..app.store import make_files, make_store  # noqa: PLC0415
    from ..process import serve as server  # noqa: PLC0415  # after the bind
    from ..process.tls import tls_context  # noqa: PLC0415
    from ..store.base.errors import StoreError  # noqa: PLC0415
    from .banner import PUBLISHED_KEY, banner, is_near  # noqa: PLC0415
    from .demo import demo_settings, own_data  # noqa: PLC0415

    if settings.auth.master_api_key == PUBLISHED_KEY and not is_near(bound.host):
        raise StartError(
            f"MASTER_API_KEY is {PUBLISHED_KEY}, which anybody can read in the predecessor's "
            f"sample, and {bound.host} can be reached by others. Set a key of your own."
        )
    credentials = bedrock.describe_credentials(settings)
    if credentials is None and demo_without_aws:
        demo = True
    if not demo:
        _check_credentials(settings, credentials)
    else:
        url = own_data(settings).get("STORE_URL", settings.store.url)
        if url == "dynamodb://" and settings.aws.dynamodb_endpoint_url is None:
            raise StartError(_NO_AWS_IN_DEMOS)
        settings = demo_settings(settings, config_file, overrides, bound)
    output = _logging(settings)
    resolver = bedrock.make_resolver(settings)
    try:
        store = make_store(settings, resolver)
    except StoreError as error:
        raise StartError(f"the store cannot be used: {error}") from error
    make_files(settings, store)
    _check_folder(settings)
    found = _look_for_keys(settings, store, resolver)
    signals.hold()
    try:
        tls = tls_context(settings.server)
    except (OSError, ValueError) as error:
        raise StartError(f"TLS_CERT_FILE and TLS_KEY_FILE cannot be used: {error}") from error
    text = banner(
        settings,
        bound.host,
        bound.port,
        "the built-in simulator (demo)" if demo else bedrock.bedrock_url(settings),
        None if demo else credentials,
        first_key=found.secret,
        keyless=found.keyless,
        notes=(*missing_targets(settings), *([] if demo else _doubts(settings))),
        width=standard.width(),
    )
    standard.say(text)
    inherited = app.Inherited(
        store=store,
        resolver=resolver,
        own_executor=make_own_executor(settings),
        board=make_board(settings),
        output=output,
        stored_providers=not demo,
        first=FirstWorker(),
    )
    try:
        return server.run(settings, bound, lambda: app.build(settings, inherited), tls)
    finally:
        if inherited.own_executor is not None:
            inherited.own_executor.release()
        output.flush()


def _look_for_keys(settings: Settings, store: Store, resolver: Resolver) -> FirstKey:
    """Looks at the store for the first time. Raises `StartError` where waiting mends nothing."""
    from ..store.base.errors import NotPreparedError, StoreError  # noqa: PLC0415  # as above
    from .first_key import FirstKey, first_key  # noqa: PLC0415

    try:
        # To a person only: what a container prints is kept, and read by many.
        return first_key(settings, store, resolver, person=sys.stdout.isatty())
    except NotPreparedError as error:
        raise StartError(f"the store cannot be used: {error}.") from error
    except StoreError as error:
        # An outage of the store must not become one of the proxy: it serves when the store comes.
        standard.say(f"The store does not answer yet: {error}", descriptor=2)
        return FirstKey()


def _doubts(settings: Settings) -> list[str]:
    """Lists what looks mistyped; not the region where an address of one's own is called."""
    from ..config.regions import doubt_about  # noqa: PLC0415  # after the bind

    if settings.aws.bedrock_endpoint_url is not None:
        return []
    doubt = doubt_about(settings.aws.region)
    return [doubt] if doubt else []


def _check_folder(settings: Settings) -> None:
    """Raises `StartError` where the file of the store can never be made."""
    path = settings.store.sqlite_path
    if path is not None and not path.parent.is_dir():
        raise StartError(
            f"STORE_URL: {path} cannot be made, as its folder {path.parent} is not there and "
            "cannot be made either. Make it or mount it, or name another file."
        )


def _check_credentials(settings: Settings, credentials: str | None) -> None:
    """Raises `StartError` where no credentials can be had, whatever AWS answers."""
    from ..app.bedrock import check_profile_of  # noqa: PLC0415  # as above
    from ..config.aws_files import ProfileError  # noqa: PLC0415

    if credentials is None:
        raise StartError(_NO_CREDENTIALS)
    try:
        check_profile_of(settings)
    except ProfileError as error:
        raise StartError(f"AWS credentials cannot be had: {error}.") from error


def _logging(settings: Settings) -> LogOutput:
    """Checks the settings, and begins to log as they say. Raises `StartError`."""
    from ..app import build as app  # noqa: PLC0415  # as above
    from ..app.logs import log_format, make_output  # noqa: PLC0415
    from ..telemetry import logs  # noqa: PLC0415

    try:
        app.check(settings)
        output = make_output(settings)
    except SettingsError as error:
        raise StartError(str(error)) from error
    logs.configure(settings.server.log_level, log_format(settings), output)
    return output
