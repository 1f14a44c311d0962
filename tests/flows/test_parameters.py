"""A name among a flow's parameters becomes a folder: none that leads out of it is accepted."""

import json
from functools import cache

import pytest
from prefect.exceptions import ParameterTypeError
from prefect.utilities.schema_tools.validation import ValidationError, validate

from strop.flows.assess import assess
from strop.flows.improve import improve
from strop.flows.nightly import nightly
from strop.flows.promote import approve
from strop.flows.round import manual_round

OUTSIDE = ["../x", "..", "/etc/x", "a/b", "a\\b", "a\0b", "", "x" * 65]


def named(name):
    """Every flow, with the name wherever it takes one."""
    guard = {"name": name, "dataset": "held"}
    places = [
        {"name": name},
        {"decision": {"champion": name}},
        {"decision": {"guard_sets": [guard]}},
        {"first_stage": {"more_encoders": {name: {}}}},
    ]
    yield from ((improve, {"config": place}) for place in places)
    yield from ((flow, {"config": places[0]}) for flow in (nightly, assess))
    yield manual_round, {"config": places[0], "number": 1}
    yield manual_round, {"config": {}, "number": 1, "branch": name}
    yield approve, {"run": name}


@cache
def schema_of(flow):
    return flow.to_deployment("any")._parameter_openapi_schema.model_dump_for_openapi()


def refusals(flow, parameters):
    """Who refuses the parameters: the server, by the deployment's schema; the flow."""
    found = set()
    try:
        validate(parameters, schema_of(flow), raise_on_error=True)
    except ValidationError:
        found.add("server")
    try:
        flow.validate_parameters({"store": "store", **parameters})
    except ParameterTypeError:
        found.add("flow")
    return found


def fields(schema):
    """Every field of the form that is no section of fields, by its path."""
    for title, part in [("flow", schema), *schema["definitions"].items()]:
        for name, field in part.get("properties", {}).items():
            if "$ref" not in json.dumps(field) and "const" not in field:
                yield f"{title}.{name}", field


def test_every_field_of_the_form_is_described():
    for flow in (nightly, improve, manual_round, assess, approve):
        schema = {"definitions": {}, **schema_of(flow)}
        found = dict(fields(schema))
        assert "flow.store" in found
        assert not [name for name, field in found.items() if not field.get("description")]


@pytest.mark.parametrize("name", OUTSIDE)
def test_server_and_flow_refuse_names_that_lead_out_of_a_folder(name):
    for flow, parameters in named(name):
        assert refusals(flow, parameters) == {"server", "flow"}, (flow.name, parameters)


def test_server_and_flow_accept_plain_names():
    for flow, parameters in named("my-corpus.hot"):
        assert refusals(flow, parameters) == set(), (flow.name, parameters)
