"""The Files API over a real executor: forms in, files out, and what goes wrong."""

from __future__ import annotations

import asyncio

import pytest
from executors import running_executor
from factories import make_application, make_authentication
from http_client import Client

from anthropic_bedrock_proxy.gateway.admission.authenticator import KeyOptions
from anthropic_bedrock_proxy.http.server.bounds import ConnectionBounds
from anthropic_bedrock_proxy.sandbox.base import (
    CellAddress,
    FileRecord,
    PythonCell,
    SandboxUnavailableError,
)
from anthropic_bedrock_proxy.sandbox.executor.spool import SpoolBounds
from anthropic_bedrock_proxy.sandbox.kept_files import KeptFiles
from anthropic_bedrock_proxy.store.base.callers import KeyRecord
from anthropic_bedrock_proxy.store.memory.store import MemoryStore
from anthropic_bedrock_proxy.store.secrets import hash_secret, hint_of, mint_secret

MASTER = "sk-master"
TYPE = "multipart/form-data; boundary=xyz"
LIMIT = 100_000


class Side:
    """The proxy's side: the application in front of an executor."""

    def __init__(self, files, executor=None):
        self.store = MemoryStore()
        self.executor = executor
        authentication = make_authentication(self.store, KeyOptions(master_api_key=MASTER))
        self.app = make_application(authentication, files=files, max_file_bytes=LIMIT)

    async def add_key(self):
        secret = mint_secret()
        fields = {"name": "n", "secret_hint": hint_of(secret), "created_at": 0, "updated_at": 0}
        await self.store.keys.create(KeyRecord(id="key_other", **fields), hash_secret(secret))
        return secret

    async def ask(self, method, path, body=b"", *, key=MASTER, bounds=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        headers |= {} if key is None else {"x-api-key": key}
        client = Client(self.app, method, path, headers=headers, body=body, bounds=bounds)
        return await client.send()

    async def upload(self, content=b"abc", filename="a.csv", *, key=MASTER, lines="", more=""):
        named = "" if filename is None else f'; filename="{filename}"'
        body = f'--xyz\r\ncontent-disposition: form-data; name="file"{named}\r\n{lines}\r\n'
        body = body.encode() + content + f"\r\n{more}--xyz--\r\n".encode()
        return await self.ask("POST", "/v1/files?beta=true", body, key=key, content_type=TYPE)


def proxying(tell, **options):
    async def main():
        async with running_executor(**options) as executor:
            client = executor.client()
            await tell(Side(lambda: client, executor))

    asyncio.run(main())


def field(name, value):
    return f'--xyz\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'


async def made_by_code(side, script="leave page.html <b>"):
    client = side.executor.client()
    at = CellAddress(client.new_container(), "master", "one")
    reply = await client.run(at, PythonCell(script), create=True)
    return reply.outcome.files[0].id


def test_a_file_is_uploaded_listed_described_and_deleted():
    async def tell(side):
        answer = await side.upload(lines="content-type: text/csv\r\n")
        assert answer.status == 200
        file = answer.json
        assert file | {"id": 0, "created_at": 0, "expires_at": 0} == {
            "id": 0,
            "type": "file",
            "filename": "a.csv",
            "mime_type": "text/csv",
            "size_bytes": 3,
            "created_at": 0,
            "expires_at": 0,
            "downloadable": False,
        }
        path = f"/v1/files/{file['id']}"
        beta = {"anthropic_beta": "files-api-2025-04-14"}
        assert (await side.ask("GET", path, **beta)).json == file
        assert (await side.ask("HEAD", path)).status == 200
        assert (await side.ask("GET", "/v1/files?limit=5", **beta)).json["data"] == [file]
        deleted = await side.ask("DELETE", path)
        assert deleted.json == {"id": file["id"], "type": "file_deleted"}
        for method in ("GET", "DELETE"):
            answer = await side.ask(method, path)
            assert answer.status == 404
            assert answer.json["error"]["type"] == "not_found_error"
        assert (await side.ask("GET", "/v1/files")).json["data"] == []

    proxying(tell)


def test_what_a_client_uploaded_is_not_downloadable():
    async def tell(side):
        file = (await side.upload()).json
        answer = await side.ask("GET", f"/v1/files/{file['id']}/content")
        assert answer.status == 400
        assert "is not downloadable" in answer.json["error"]["message"]

    proxying(tell)


def test_what_code_has_made_is_downloaded_and_shown_as_no_page_of_ours():
    async def tell(side):
        name = await made_by_code(side)
        answer = await side.ask("GET", f"/v1/files/{name}/content")
        assert (answer.status, answer.body) == (200, b"<b>")
        assert answer.headers["content-type"] == "text/html"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-disposition"] == (
            "attachment; filename=\"page.html\"; filename*=UTF-8''page.html"
        )

    proxying(tell)


def test_a_key_sees_its_own_files_alone():
    async def tell(side):
        other = await side.add_key()
        mine = (await side.upload()).json["id"]
        made = await made_by_code(side)
        theirs = (await side.upload(key=other)).json["id"]
        listed = await side.ask("GET", "/v1/files", key=other)
        assert [each["id"] for each in listed.json["data"]] == [theirs]
        for name in (mine, made):
            for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
                answer = await side.ask(method, f"/v1/files/{name}{path}", key=other)
                assert (answer.status, answer.json["error"]["type"]) == (404, "not_found_error")
        assert (await side.ask("GET", f"/v1/files/{mine}")).status == 200

    proxying(tell)


@pytest.mark.parametrize(
    "path",
    ["", "/file_1", "/file_1/content", "/file_" + "0" * 28, "/..%2fstate", "/%00", "/x%0d%0a"],
)
def test_nothing_is_told_without_a_key(path):
    async def tell(side):
        answer = await side.ask("GET", f"/v1/files{path}", key=None)
        assert (answer.status, answer.json["error"]["type"]) == (401, "authentication_error")

    proxying(tell)


@pytest.mark.parametrize(
    "name", ["file_1", "file_" + "0" * 28, "..%2fstate", "%00", "x%0d%0ay:%20z"]
)
def test_what_is_no_id_is_not_found(name):
    async def tell(side):
        for path in ("", "/content"):
            assert (await side.ask("GET", f"/v1/files/{name}{path}")).status == 404

    proxying(tell)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        ("C:\\\\tmp\\\\a.txt", "a.txt"),
        ("Zoë ü.txt", "Zoë ü.txt"),
        ("", "unnamed.csv"),
        ("folder/", "unnamed.csv"),
        (None, "unnamed.csv"),
        ("%2e%2e%2fx", "%2e%2e%2fx"),
        ("x" * 255, "x" * 255),
    ],
)
def test_the_last_component_of_a_name_is_kept(given, kept):
    async def tell(side):
        answer = await side.upload(filename=given, lines="content-type: text/csv\r\n")
        assert answer.json["filename"] == kept

    proxying(tell)


@pytest.mark.parametrize(
    "name",
    [
        ".",
        "..",
        "a/..",
        "a\0b",
        "a\tb",
        "\u202etxt.exe",
        "x" * 256,
        "ü" * 150,
        "a\x7fb",
        "a\u2028b",
    ],
)
def test_a_name_that_no_file_should_have_is_refused(name):
    async def tell(side):
        answer = await side.upload(filename=name)
        assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")
        assert (await side.ask("GET", "/v1/files")).json["data"] == []

    proxying(tell)


def test_a_name_with_a_line_end_begins_no_header():
    async def tell(side):
        answer = await side.upload(filename='a.txt"\r\nx-evil: 1\r\ny: "')
        assert answer.status == 200
        assert answer.json["filename"] == "a.txt"
        assert "x-evil" not in answer.headers

    proxying(tell)


def test_the_time_of_a_file_can_be_shortened():
    async def tell(side):
        more = field("expires_in_seconds", 3600)
        file = (await side.upload(more=more)).json
        assert file["expires_at"][:13] != file["created_at"][:13]
        assert file["expires_at"][13:] == file["created_at"][13:]  # an hour later
        for wrong in ("3599", "7776001", "-1", "x", "", "9" * 65):
            answer = await side.upload(more=field("expires_in_seconds", wrong))
            assert answer.status in {400, 413}
            assert answer.json["error"]["message"].startswith("expires_in_seconds: ")

    proxying(tell, spool=SpoolBounds(seconds=7200.0))


def test_a_form_without_a_file_is_refused():
    async def tell(side):
        body = (field("other", "x") + "--xyz--\r\n").encode()
        answer = await side.ask("POST", "/v1/files", body, content_type=TYPE)
        assert answer.status == 400
        assert answer.json["error"]["message"] == "file: Field required"
        answer = await side.ask("POST", "/v1/files", b"{}", content_type="application/json")
        assert answer.json["error"]["message"].startswith("content-type: expected multipart")

    proxying(tell)


def test_a_file_over_the_limit_is_refused_and_one_of_the_limit_is_not():
    async def tell(side):
        assert (await side.upload(b"x" * LIMIT)).status == 200
        answer = await side.upload(b"x" * (LIMIT + 1))
        assert (answer.status, answer.json["error"]["type"]) == (413, "request_too_large")

    proxying(tell)


def test_a_gibibyte_that_is_announced_is_refused_before_it_comes():
    async def tell(side):
        headers = {"content_type": TYPE, "content_length": str(1 << 30)}
        answer = await side.ask("POST", "/v1/files", [b"--xyz\r\n", None], **headers)
        assert answer.status == 413

    proxying(tell)


def test_a_gibibyte_that_is_not_announced_is_cut_off():
    async def tell(side):
        parts = [b"x" * 65536] * 64 + [None]  # it would go on
        answer = await side.ask("POST", "/v1/files", parts, content_type=TYPE)
        assert answer.status == 413

    proxying(tell)


def test_a_body_that_is_shorter_than_it_says_keeps_nobody_waiting_for_ever():
    async def tell(side):
        client = Client(
            side.app,
            "POST",
            "/v1/files",
            headers={"x-api-key": MASTER, "content-type": TYPE, "content-length": "5000"},
            body=[b"--xyz\r\n", None],
            bounds=ConnectionBounds(body_seconds=5.0),
        )
        sending = asyncio.ensure_future(client.send())
        while client.connection is None or not client.connection.protocol.serving:
            await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)
        client.connection.pass_time(6.0)
        answer = await sending
        assert answer.status == 400
        assert answer.json["error"]["details"]["error_code"] == "request_body_timeout"

    proxying(tell)


def test_an_executor_that_is_full_says_what_to_do():
    async def tell(side):
        for _ in range(2):
            assert (await side.upload()).status == 200
        answer = await side.upload()
        assert (answer.status, answer.json["error"]["type"]) == (403, "permission_error")
        assert "delete files" in answer.json["error"]["message"]

    proxying(tell, spool=SpoolBounds(owner_files=2))


def test_an_executor_that_takes_less_than_the_proxy_says_so():
    async def tell(side):
        answer = await side.upload()
        assert answer.status == 413
        assert "2 bytes" in answer.json["error"]["message"]

    proxying(tell, spool=SpoolBounds(file_bytes=2))


def test_without_code_execution_there_are_no_files_and_it_is_said_why():
    async def main():
        side = Side(None)
        for method, path in (("GET", ""), ("GET", "/file_1"), ("DELETE", "/file_1"), ("POST", "")):
            answer = await side.ask(method, f"/v1/files{path}")
            assert answer.status == 404
            assert "ENABLE_STANDALONE_CODE_EXECUTION" in answer.json["error"]["message"]

    asyncio.run(main())


class Scripted(KeptFiles):
    """Files of an executor that cannot be had, or tells odd things."""

    def __init__(self, record=None):
        self.record = record

    async def file(self, owner, name):
        if self.record is None:
            raise SandboxUnavailableError("Start sandboxd.")
        return self.record

    async def file_content(self, owner, name):
        return b"x"

    async def list_files(self, owner):
        raise SandboxUnavailableError("Start sandboxd.")


def test_an_executor_that_is_away_is_a_503_with_the_mend():
    async def main():
        side = Side(Scripted)
        for path in ("", "/file_1", "/file_1/content"):
            answer = await side.ask("GET", f"/v1/files{path}")
            assert answer.status == 503
            assert "Start sandboxd." in answer.json["error"]["message"]

    asyncio.run(main())


def test_no_name_and_no_type_of_a_file_can_break_the_headers_of_its_download():
    async def main():
        record = FileRecord(
            id="file_1",
            filename='ü"\\\r\nx-evil: 1',
            mime_type="text/html\r\nx-evil: 1",
            size_bytes=1,
            created_at=0,
            downloadable=True,
        )
        answer = await Side(lambda: Scripted(record)).ask("GET", "/v1/files/file_1/content")
        assert answer.body == b"x"
        assert "x-evil" not in answer.headers
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"] == (
            'attachment; filename="_____x-evil: 1"; '
            "filename*=UTF-8''%C3%BC%22%5C%0D%0Ax-evil%3A%201"
        )

    asyncio.run(main())


def test_a_query_of_a_thousand_parameters_is_refused():
    async def tell(side):
        answer = await side.ask("GET", "/v1/files?" + "&".join(["ids=x"] * 1000))
        assert answer.status == 400

    proxying(tell)
