"""Files in and out of real sandboxes, with the official Python SDK's Files API."""

from __future__ import annotations

import io
import zipfile

import anthropic
import pytest
from sandboxes import RunningSandboxd, Talk, bash, code, plays, sandbox_tool, text, walls
from servers import start_proxy

MEGABYTE = 1024 * 1024
DISK = "16m"


@pytest.fixture(scope="module", params=["sandlock", "docker"])
def executor(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("executor")
    with RunningSandboxd(folder, request.param, SANDBOX_DISK_LIMIT=DISK) as server:
        yield server
        assert server.stop() == 0, server.logged()


@pytest.fixture(scope="module")
def filing(executor, simulator, tmp_path_factory):
    """A proxy with sandboxes."""
    with start_proxy(tmp_path_factory.mktemp("proxy"), simulator, **executor.settings) as server:
        yield server
        assert server.stop() == 0, server.logged()


@pytest.fixture
def client(filing):
    with anthropic.Anthropic(base_url=filing.url, api_key=filing.key, max_retries=0) as sdk:
        yield sdk


def talk(proxy, *files):
    made = Talk(proxy.url, proxy.key, [sandbox_tool()])
    uploads = [{"type": "container_upload", "file_id": file.id} for file in files]
    made.messages = [{"role": "user", "content": [{"type": "text", "text": "Go."}, *uploads]}]
    return made


def result(message):
    (block,) = [each for each in message.content if each.type.endswith("_tool_result")]
    return block.content


def test_code_reads_what_was_uploaded_and_what_it_makes_is_downloaded(filing, sim, client):
    file = client.beta.files.upload(file=("sales.csv", b"a,b\n1,2\n", "text/csv"))
    assert (file.filename, file.mime_type, file.size_bytes) == ("sales.csv", "text/csv", 8)
    assert file.downloadable is False
    assert file.expires_at > file.created_at
    with pytest.raises(anthropic.BadRequestError, match="not downloadable"):
        client.beta.files.download(file.id)
    source = "import os\nread = open('sales.csv').read()\n"
    source += "open(os.environ['OUTPUT_DIR'] + '/sum.txt', 'w').write(read.upper())\nprint(read)"
    plays(sim, [code(source)], [text("Done.")])
    message = talk(filing, file).ask()
    assert result(message).stdout == "a,b\n1,2\n\n"
    (output,) = result(message).content
    made = client.beta.files.retrieve_metadata(output.file_id)
    assert (made.filename, made.mime_type, made.downloadable) == ("sum.txt", "text/plain", True)
    assert client.beta.files.download(made.id).read() == b"A,B\n1,2\n"
    shown = sim.requests()[0]["body"]["messages"][0]["content"][1]["text"]
    assert shown == 'The file "sales.csv" (8 bytes) lies in the working folder.'
    assert {each.id for each in client.beta.files.list(limit=1)} == {file.id, made.id}
    for each in (file, made):
        assert client.beta.files.delete(each.id).type == "file_deleted"
    assert list(client.beta.files.list()) == []


def test_a_file_of_the_largest_size_goes_in_and_out(filing, sim, client):
    content = bytes(range(256)) * (10 * MEGABYTE // 256 // 2)
    file = client.beta.files.upload(file=("large.bin", content, "application/octet-stream"))
    plays(sim, [bash("mv large.bin $OUTPUT_DIR/")], [text("Done.")])
    (output,) = result(talk(filing, file).ask()).content
    assert client.beta.files.download(output.file_id).read() == content
    for name in (file.id, output.file_id):
        client.beta.files.delete(name)


def test_a_file_comes_into_a_container_that_is_there_already(filing, sim, client):
    plays(sim, [bash("ls *.txt")], [text("None.")], [bash("cat late.txt")], [text("Done.")])
    conversation = talk(filing)
    assert result(conversation.ask()).stdout == ""
    file = client.beta.files.upload(file=("late.txt", b"late"))
    conversation.say([{"type": "container_upload", "file_id": file.id}])
    before = conversation.container
    assert result(conversation.ask()).stdout.strip() == "late"
    assert conversation.container == before
    client.beta.files.delete(file.id)


def test_a_file_of_another_key_is_not_found(filing, sim, client):
    file = client.beta.files.upload(file=("mine.txt", b"secret"))
    _, key = filing.create_key("other")
    stranger = Talk(filing.url, key, [sandbox_tool()])
    stranger.messages = talk(filing, file).messages
    with pytest.raises(anthropic.BadRequestError) as refused:
        stranger.ask()
    assert f"messages.0.content.1.file_id: File not found: {file.id}" in str(refused.value)
    assert sim.requests() == []
    with anthropic.Anthropic(base_url=filing.url, api_key=key, max_retries=0) as other:
        assert list(other.beta.files.list()) == []
        for take in (other.beta.files.retrieve_metadata, other.beta.files.delete):
            with pytest.raises(anthropic.NotFoundError):
                take(file.id)
    client.beta.files.delete(file.id)


def test_tokens_of_a_request_with_a_file_are_counted(filing, sim, client):
    file = client.beta.files.upload(file=("a.txt", b"x"))
    count = client.messages.count_tokens(
        model="claude-haiku-4-5", tools=[sandbox_tool()], messages=talk(filing, file).messages
    )
    assert count.input_tokens > 10
    client.beta.files.delete(file.id)


def test_an_archive_that_grows_fills_its_own_disk_and_no_other(filing, sim, client):
    """A bomb is a file like any other, until code unpacks it: then the walls hold."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("bomb", bytes(256 * MEGABYTE))
    file = client.beta.files.upload(file=("bomb.zip", packed.getvalue(), "application/zip"))
    unpack = "import zipfile\nzipfile.ZipFile('bomb.zip').extractall()\nprint('unpacked')"
    neighbour = talk(filing)
    plays(sim, [code("kept = 42\nopen('kept', 'wb').write(bytes(1000000))")], [text("Done.")])
    neighbour.ask()
    plays(sim, [code(unpack)], [text("Done.")])
    content = result(talk(filing, file).ask())
    assert content.return_code == 1
    assert "No space left on device" in content.stderr
    plays(sim, [code("open('more', 'wb').write(bytes(1000000))\nprint(kept)")], [text("Done.")])
    neighbour.say("Go on.")
    assert result(neighbour.ask()).stdout == "42\n"
    client.beta.files.delete(file.id)


def test_links_are_not_taken_out(filing, executor, sim, client):
    """Not even to a file of the sandbox: so no trick with one reaches a file of the host."""
    secret = executor.folder / "secret.txt"
    secret.write_text("of the host")
    links = f"cd $OUTPUT_DIR && ln -s {secret} one && ln -s {secret.parent} two && "
    links += "ln -s /proc/1/environ three && ln -s ../../../../etc/shadow four && "
    links += "echo x > plain && ln -s plain five && echo made"
    pipe = "; python3 -c 'import os; os.mkfifo(\"six\")'"  # not all walls let it be made
    plays(sim, [bash(links + pipe)], [text("Done.")])
    content = result(talk(filing).ask())
    assert content.stdout == "made\n"
    made = [client.beta.files.retrieve_metadata(each.file_id) for each in content.content]
    assert [each.filename for each in made] == ["plain"]
    client.beta.files.delete(made[0].id)


def test_all_workers_of_a_proxy_with_an_executor_of_its_own_have_the_same_files(start):
    own = start(WORKERS="2", **walls("sandlock"))
    names = set()
    for number in range(8):
        with anthropic.Anthropic(base_url=own.url, api_key=own.key, max_retries=0) as sdk:
            names.add(sdk.beta.files.upload(file=(f"{number}.txt", b"x")).id)
            assert {each.id for each in sdk.beta.files.list(limit=3)} == names
    assert own.stop() == 0, own.logged()
