from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest
from factories import make_routes

from anthropic_bedrock_proxy.admin.call import Nothing
from anthropic_bedrock_proxy.admin.table import OPERATIONS
from anthropic_bedrock_proxy.http.application import HTTPRoute
from anthropic_bedrock_proxy.http.cors import EXPOSED
from anthropic_bedrock_proxy.http.openapi.admin import EXAMPLES
from anthropic_bedrock_proxy.http.openapi.answers import error_kinds
from anthropic_bedrock_proxy.http.openapi.document import ADMIN, make_document
from anthropic_bedrock_proxy.http.openapi.operations import TABLE

HTTP = (Path(__file__).parents[3] / "docs/reference/http.md").read_text()
ROUTES = make_routes(build_admin=lambda: None)
DOCUMENT = make_document(ROUTES, key_header="x-api-key", known_as={})
DESCRIBED = {
    (path, method.upper()): operation
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
}


def served():
    """Every path and method there is, those of the admin API by their operations."""
    for route in ROUTES:
        path = route.template.replace(":path}", "}")
        if path == ADMIN:
            yield from ((operation.path, operation.method) for operation in OPERATIONS)
        elif path != "*":
            yield from ((path, method) for method in route.methods)


def test_every_route_and_method_is_described_and_the_reverse():
    assert sorted(served()) == sorted(DESCRIBED)


def test_nothing_is_described_that_is_not_served():
    assert set(TABLE) <= set(served())


def test_a_route_without_a_description_is_refused():
    route = HTTPRoute("/v1/new", {"GET": ROUTES[0].methods["POST"]})
    with pytest.raises(KeyError, match="/v1/new"):
        make_document([route], key_header="x-api-key", known_as={})


def test_a_path_that_a_setting_has_moved_keeps_its_description():
    route = HTTPRoute("/pages/api", next(r for r in ROUTES if r.template == "/docs").methods)
    moved = make_document([route], key_header="x-key", known_as={"/pages/api": "/docs"})
    assert moved["paths"]["/pages/api"]["get"] == DESCRIBED["/docs", "GET"]
    assert moved["components"]["securitySchemes"]["apiKey"]["name"] == "x-key"


def test_operation_ids_are_each_there_once():
    ids = [operation["operationId"] for operation in DESCRIBED.values()]
    assert len(ids) == len(set(ids))


def test_every_operation_has_a_summary_and_a_tag_that_is_explained():
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    for operation in DESCRIBED.values():
        assert operation["summary"].endswith("."), operation
        assert set(operation["tags"]) <= tags


def test_every_reference_leads_to_a_component_and_every_component_is_used():
    text = json.dumps(DOCUMENT)
    used = set(re.findall(r'"\$ref": "#/components/(\w+/[\w-]+)"', text))
    kinds = ("schemas", "headers", "responses")
    made = {f"{kind}/{name}" for kind in kinds for name in DOCUMENT["components"][kind]}
    assert used <= made
    assert made - used == {"responses/Error405"}  # of the methods that are not listed


def test_the_headers_are_those_of_answers():
    assert set(DOCUMENT["components"]["headers"]) == set(EXPOSED)


def test_the_errors_are_those_of_the_reference_page_and_the_reverse():
    table = HTTP.partition("## Errors")[2].partition("\n### ")[0]
    rows = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", table, re.MULTILINE)
    assert sorted((int(status), kind) for status, kind in rows) == error_kinds()


def test_variables_of_paths_are_parameters_and_the_reverse():
    for (path, _), operation in DESCRIBED.items():
        names = [each["name"] for each in operation["parameters"] if each["in"] == "path"]
        assert names == re.findall(r"\{(\w+)\}", path)


def test_what_needs_no_key_says_so():
    rows = re.findall(r"^\| `(/[^`]*)`[^|]*\| [A-Z, ]+ \| (\w+) \|", HTTP, re.MULTILINE)
    keyed = {path: word != "no" for path, word in rows}
    for (path, _), operation in DESCRIBED.items():
        needed = bool(operation["security"]) and {} not in operation["security"]
        assert needed == keyed.get(path, True), path
        assert ("401" in operation["responses"]) == bool(operation["security"])


def test_operations_of_the_admin_api_name_their_scope():
    for operation in OPERATIONS:
        described = DESCRIBED[operation.path, operation.method]
        assert described["security"] == [
            {"apiKey": [operation.scope]},
            {"bearer": [operation.scope]},
        ]


def test_every_body_has_an_example_that_its_type_takes():
    bodies = {each.name: each.body for each in OPERATIONS if each.body is not Nothing}
    assert set(EXAMPLES) == set(bodies)
    for name, example in EXAMPLES.items():
        msgspec.json.decode(msgspec.json.encode(example), type=bodies[name])
    for operation in DESCRIBED.values():
        for content in operation.get("requestBody", {}).get("content", {}).values():
            assert "example" in content, operation["operationId"]


def test_a_body_may_be_missing_where_the_operation_does_without():
    for operation in OPERATIONS:
        if operation.body is not Nothing:
            described = DESCRIBED[operation.path, operation.method]["requestBody"]
            does_without = operation.name == "keys.rotate"
            assert described["required"] is not does_without, operation.name


def test_no_pattern_has_words_that_json_schema_lacks():
    patterns = re.findall(r'"pattern": "((?:[^"\\]|\\.)*)"', json.dumps(DOCUMENT))
    assert len(patterns) > 5
    assert not [pattern for pattern in patterns if "\\Z" in pattern or "\\A" in pattern]


def test_a_stream_of_events_is_among_the_answers_of_messages():
    content = DESCRIBED["/v1/messages", "POST"]["responses"]["200"]["content"]
    assert set(content) == {"application/json", "text/event-stream"}


def test_requests_of_the_messages_api_stay_open():
    for name in ("MessageRequest", "CountRequest", "ContentBlock", "InputMessage"):
        assert DOCUMENT["components"]["schemas"][name]["additionalProperties"] is True
