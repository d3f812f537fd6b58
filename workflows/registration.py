"""Registers the search attributes of `models.search` with the Temporal server."""

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client

from models import search


async def register_search_attributes(client: Client) -> list[str]:
    """Add the attributes the namespace does not have yet and return their names. Needs the operator's permission."""
    known = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    missing = {key.name for key in search.ALL} - known.custom_attributes.keys()
    if missing:
        await add_search_attributes(client, missing)
    return sorted(missing)


async def add_search_attributes(client: Client, names: set[str]) -> None:
    """Add these attributes; fails if the namespace already has one of them with another type."""
    types = {key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in search.ALL if key.name in names}
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(namespace=client.namespace, search_attributes=types)
    )
