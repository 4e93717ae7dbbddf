"""Which source wins, what names mean, and what happens with names that nobody knows."""

from __future__ import annotations

import pytest

from anthropic_bedrock_proxy.config import NoEffect, Settings, SettingsError, load_settings


@pytest.fixture
def files(tmp_path):
    """Writes a `.env` and a TOML file and loads them with an environment."""

    def load(*, overrides=None, environ=None, env=None, toml=None):
        env_file, toml_file = tmp_path / ".env", tmp_path / "proxy.toml"
        if env is not None:
            env_file.write_text(env)
        if toml is not None:
            toml_file.write_text(toml)
        return load_settings(
            toml_file if toml is not None else None,
            overrides,
            environ=environ or {},
            env_file=env_file,
        )

    return load


def problems(load, **sources):
    with pytest.raises(SettingsError) as caught:
        load(**sources)
    assert all(problem in str(caught.value) for problem in caught.value.problems)
    return list(caught.value.problems)


def test_without_any_source_all_is_default(files):
    settings = files()
    assert settings.server == Settings().server
    assert set(settings.sources.values()) == {"default"}
    assert settings.warnings == ()
    assert settings.no_effect == ()


@pytest.mark.parametrize(
    ("given", "port", "source"),
    [
        (("overrides", "environ", "env", "toml"), 1, "command line"),
        (("environ", "env", "toml"), 2, "environment"),
        (("env", "toml"), 3, ".env"),
        (("toml",), 4, "proxy.toml"),
        ((), 8000, "default"),
    ],
)
def test_precedence(files, given, port, source):
    sources = {
        "overrides": {"PORT": "1"},
        "environ": {"PORT": "2"},
        "env": "PORT=3\n",
        "toml": "port = 4\n",
    }
    settings = files(**{name: sources[name] for name in given})
    assert (settings.server.port, settings.sources["PORT"]) == (port, source)


def test_names_are_case_insensitive(files):
    settings = files(environ={"Port": "9000"}, env="aws_region=eu-west-1\n", toml="Workers = 3\n")
    assert settings.server.port == 9000
    assert settings.aws.region == "eu-west-1"
    assert settings.server.workers == 3


def test_a_section_of_an_earlier_version_is_read_where_its_settings_are_now(files):
    settings = files(toml="[features]\nenable_metrics = false\nweb_search_max_results = 9\n")
    assert settings.telemetry.enable_metrics is False
    assert settings.web.web_search_max_results == 9
    with pytest.raises(SettingsError, match=r"features\.nothing"):
        files(toml="[features]\nnothing = 1\n")


def test_of_two_spellings_upper_case_counts(files):
    environ = {"HTTPS_PROXY": "http://upper:1", "https_proxy": "http://lower:1"}
    assert files(environ=environ).aws.https_proxy == "http://upper:1"
    assert files(environ={"https_proxy": "http://lower:1"}).aws.https_proxy == "http://lower:1"


def test_alias_counts_only_where_the_name_itself_is_nowhere(files):
    alias = {"AWS_DEFAULT_REGION": "eu-west-1"}
    assert files(environ=alias).aws.region == "eu-west-1"
    assert files(environ=alias, env="AWS_REGION=us-west-2\n").aws.region == "us-west-2"


def test_empty_text_unsets_the_optional_value_of_a_weaker_source(files):
    settings = files(environ={"AWS_PROFILE": " "}, env="AWS_PROFILE=dev\n")
    assert settings.aws.profile is None
    assert settings.sources["AWS_PROFILE"] == "environment"


def test_env_file_interpolates_quotes_and_comments(files):
    env = "export HOST='localhost' # mine\nNAME=a\nAWS_PROFILE=${NAME}-b\nMASTER_API_KEY\n"
    settings = files(env=env)
    assert settings.server.host == "localhost"
    assert settings.aws.profile == "a-b"
    assert settings.auth.master_api_key is None


def test_env_file_may_begin_with_a_byte_order_mark(files):
    assert files(env="\ufeffPORT=9000\n").server.port == 9000


def test_env_file_that_is_a_directory_is_none(tmp_path):
    assert load_settings(environ={}, env_file=tmp_path).server.port == 8000


def test_env_file_that_is_no_text_is_a_problem(tmp_path):
    path = tmp_path / ".env"
    path.write_bytes(b"PORT=\xff\n")
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(environ={}, env_file=path)


def test_unknown_name_in_env_file_is_a_warning(files):
    settings = files(env="PROT=1\nCOMPOSE_PROJECT_NAME=x\nAWS_REGIN=y\n")
    typo, foreign, aws = settings.warnings
    assert typo == "PROT (from .env) is not a setting of this proxy; did you mean PORT?"
    assert foreign == "COMPOSE_PROJECT_NAME (from .env) is not a setting of this proxy"
    assert aws.endswith("did you mean AWS_REGION?")


def test_what_aws_s_own_code_reads_is_kept_for_it_and_not_shown(files):
    settings = files(env="AWS_ROLE_ARN=y\nAWS_CONTAINER_AUTHORIZATION_TOKEN=hush\nAWS_DATA_PATH=\n")
    assert settings.warnings == ()
    assert settings.sdk_environ == {
        "AWS_ROLE_ARN": "y",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "hush",
    }
    assert "hush" not in repr(settings)


def test_aws_s_names_of_endpoints(files):
    aws = files(environ={"AWS_ENDPOINT_URL": "http://all"}).aws
    assert aws.bedrock_endpoint_url == aws.dynamodb_endpoint_url == "http://all"
    assert aws.bedrock_control_endpoint_url == "http://all"
    own = files(
        environ={
            "AWS_ENDPOINT_URL": "http://all",
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "http://runtime",
            "AWS_ENDPOINT_URL_DYNAMODB": "http://tables",
            "DYNAMODB_ENDPOINT_URL": "http://ours",
        }
    ).aws
    assert own.bedrock_endpoint_url == "http://runtime"
    assert own.dynamodb_endpoint_url == "http://ours"


def test_unknown_name_in_the_environment_is_nobodys_business(files):
    assert files(environ={"PROT": "1"}).warnings == ()


def test_unknown_override_is_a_problem(files):
    assert "did you mean PORT?" in problems(files, overrides={"PROT": "1"})[0]


TOML = """
aws_region = "eu-north-1"
[server]
port = 9000
access_log = false
shutdown_delay_seconds = 5
[store]
url = "memory://"
[models]
default_model_mapping = { fast = "anthropic.claude-haiku" }
beta_headers_blocklist = ["a", "b"]
[beta_header_mapping]
x = ["y", "z"]
"""


def test_toml_in_both_shapes(files):
    settings = files(toml=TOML)
    assert settings.aws.region == "eu-north-1"
    assert (settings.server.port, settings.server.access_log) == (9000, False)
    assert settings.server.shutdown_delay_seconds == 5
    assert settings.store.url == "memory://"
    assert settings.models.default_model_mapping == {"fast": "anthropic.claude-haiku"}
    assert settings.models.beta_headers_blocklist == ("a", "b")
    assert settings.models.beta_header_mapping == {"x": ("y", "z")}
    assert settings.sources["STORE_URL"] == "proxy.toml"


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("prot = 1", "prot (from proxy.toml) is not a setting; did you mean port?"),
        ("[sever]\nport = 1", "sever (from proxy.toml) is not a setting; did you mean server?"),
        ("[server]\nprot = 1", "server.prot (from proxy.toml) is not a setting; did you mean port"),
        ("[server]\nPORT = 1", "did you mean port?"),
        ("zzzzzzzz = 1", "zzzzzzzz (from proxy.toml) is not a setting"),
        ("server = 1", "server (from proxy.toml) is a section; write [server]"),
        ("port = 1\n[server]\nport = 2", "sets PORT, which is set there already"),
        ("port = \n", "proxy.toml cannot be read: Invalid value (at line 1"),
        ("port = 1.5", "PORT = 1.5 (from proxy.toml); allowed: a whole number from 0 to 65535"),
        ("port = true", "PORT = True (from proxy.toml)"),
        ("host = 1", "HOST = 1 (from proxy.toml)"),
        ("access_log = 1", "ACCESS_LOG = 1 (from proxy.toml)"),
        ("ping_interval = 1979-05-27", "PING_INTERVAL = datetime.date(1979, 5, 27)"),
    ],
)
def test_toml_mistakes(files, toml, problem):
    (only,) = problems(files, toml=toml)
    assert problem in only


def test_missing_toml_file_is_a_problem(tmp_path):
    with pytest.raises(SettingsError, match=r"absent\.toml cannot be read: No such file"):
        load_settings(tmp_path / "absent.toml", environ={}, env_file=None)


def test_all_problems_at_once_each_with_name_value_source_and_what_is_allowed(files):
    found = problems(
        files, environ={"PORT": "x"}, env="LOG_LEVEL=loud\n", toml="workers = 0\nwat = 1"
    )
    assert found == [
        "wat (from proxy.toml) is not a setting",
        "PORT = 'x' (from environment); allowed: a whole number from 0 to 65535",
        "WORKERS = 0 (from proxy.toml); allowed: a whole number from 1 to 256",
        "LOG_LEVEL = 'loud' (from .env); allowed: one of DEBUG, INFO, WARNING, ERROR, CRITICAL",
    ]


def test_long_values_are_cut_in_errors(files):
    (only,) = problems(files, environ={"PORT": "9" * 10_000})
    assert len(only) < 200


@pytest.mark.parametrize(
    ("environ", "missing"),
    [
        ({"AWS_ACCESS_KEY_ID": "AKIA"}, "AWS_SECRET_ACCESS_KEY is missing"),
        ({"AWS_SECRET_ACCESS_KEY": "s"}, "AWS_ACCESS_KEY_ID is missing"),
        ({"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": ""}, "AWS_SECRET_ACCESS_KEY is miss"),
    ],
)
def test_half_an_access_key_is_a_problem(files, environ, missing):
    (only,) = problems(files, environ=environ)
    assert missing in only


def test_a_malformed_secret_is_not_also_missing(files):
    (only,) = problems(files, environ={"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "a\nb"})
    assert "control characters" in only


def test_session_token_from_elsewhere_is_a_warning(files):
    environ = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "S"}
    (warning,) = files(environ=environ, env="AWS_SESSION_TOKEN=T\n").warnings
    assert "belong together" in warning
    assert files(environ=environ | {"AWS_SESSION_TOKEN": "T"}).warnings == ()


def test_given_settings_without_effect_are_listed(files):
    settings = files(environ={"PORT": "1"}, env="DEBUG=1\n")
    assert settings.no_effect == (
        NoEffect("DEBUG", ".env", "accepted and ignored: replaced by LOG_LEVEL=DEBUG"),
    )


@pytest.mark.parametrize(
    ("environ", "journal"),
    [
        ({}, "data/journal"),
        ({"STORE_URL": "sqlite:////var/lib/p.db"}, "/var/lib/journal"),
        ({"STORE_URL": "sqlite:///p.db"}, "journal"),
        ({"STORE_URL": "dynamodb://"}, "data/journal"),
        ({"STORE_URL": "memory://", "JOURNAL_DIR": "/j"}, "/j"),
    ],
)
def test_journal_is_beside_the_sqlite_file(files, environ, journal):
    assert str(files(environ=environ).store.journal_path) == journal


def test_settings_are_frozen():
    with pytest.raises(AttributeError, match="immutable"):
        Settings().server.port = 1
