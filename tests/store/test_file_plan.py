"""One file plan for the ports and for every store: a module of each port's name."""

from __future__ import annotations

import inspect
from importlib import import_module

import pytest

from anthropic_bedrock_proxy.store.base.store import Store

PACKAGE = "anthropic_bedrock_proxy.store"
STORES = {"memory": "Memory", "sqlite": "SQLite", "dynamodb": "DynamoDB"}  # folder -> prefix
PORTS = {
    name: getattr(import_module(f"{PACKAGE}.base.store"), member.fget.__annotations__["return"])
    for name, member in vars(Store).items()
    if isinstance(member, property)
}


def methods(kind) -> dict[str, inspect.Signature]:
    """Returns the public methods of a class with their parameters."""
    return {
        name: inspect.signature(member)
        for name, member in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }


def test_the_store_has_the_ports_of_the_plan():
    plan = {"keys", "owners", "audit", "usage", "ledger", "catalog", "kept_secrets"}
    assert set(PORTS) == plan


@pytest.mark.parametrize("port", PORTS)
def test_each_port_stands_in_the_module_of_its_name(port):
    assert PORTS[port].__module__ == f"{PACKAGE}.base.{port}"


@pytest.mark.parametrize("folder", STORES)
@pytest.mark.parametrize("port", PORTS)
def test_each_store_keeps_each_port_in_a_module_of_its_name(folder, port):
    module = import_module(f"{PACKAGE}.{folder}.{port}")
    kind = getattr(module, f"{STORES[folder]}{port.title().replace('_', '')}")
    assert kind.__module__ == module.__name__
    assert methods(PORTS[port]).items() <= methods(kind).items()


@pytest.mark.parametrize("folder", STORES)
def test_each_store_joins_its_ports_in_one_module(folder):
    module = import_module(f"{PACKAGE}.{folder}.store")
    assert hasattr(module, f"{STORES[folder]}Store")
