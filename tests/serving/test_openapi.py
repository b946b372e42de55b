"""The OpenAPI document is valid, complete and true: schemathesis sends requests that it allows and forbids."""

import zlib

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from openapi_spec_validator import validate
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from schemathesis.specs.openapi.schemas import OpenApiSchema
from starlette.routing import Route

from corpus import corpus
from huebands.serving.openapi import describe_api
from in_process import build_in_process

PATHS = ["/colorize", "/bands", "/explore"]
USUAL = settings(
    deadline=None, derandomize=True, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)


def with_images(schema):
    """Put a real image in place of random bytes into most forms: random bytes are always refused."""

    @schema.hook
    def map_body(context, body):
        if not isinstance(body, dict) or not isinstance(body.get("image"), bytes):
            return body
        chosen, files = zlib.crc32(body["image"]), list(corpus().values())
        return body | {"image": files[chosen % len(files)]} if chosen % 4 else body

    return schema


@pytest.fixture(scope="module")
def app(tiny_package):
    return build_in_process(tiny_package)


@pytest.fixture(scope="module")
def inside(app):
    """The document of the application in this process."""
    return with_images(schemathesis.openapi.from_asgi("/openapi.json", app))


@pytest.fixture(scope="module")
def document(inside):
    return inside.raw_schema


@pytest.fixture(scope="module")
def outside(url):
    """The document of a service that BentoML serves."""
    return with_images(schemathesis.openapi.from_url(f"{url}/openapi.json"))


def check(schema: OpenApiSchema, path: str, examples: int) -> None:
    """Send requests that the document allows and forbids; an allowed form with random bytes may be refused."""
    for mode in GenerationMode:
        cases = schema[path]["POST"].as_strategy(generation_mode=mode)

        @settings(USUAL, max_examples=examples)
        @given(case=cases)
        def ask(case):
            excluded = [positive_data_acceptance]
            if isinstance(case.body, dict) and any(isinstance(value, list) for value in case.body.values()):
                excluded.append(negative_data_rejection)  # a list of one value is sent as the value
            case.call_and_validate(excluded_checks=excluded)

        ask()


@pytest.mark.parametrize("path", PATHS)
def test_answers_are_as_the_document_says(inside, path):
    check(inside, path, examples=20)


@pytest.mark.parametrize("path", ["/", "/model", "/certificate", "/metrics"])
def test_pages_and_numbers_are_as_the_document_says(inside, path):
    inside[path]["GET"].Case().call_and_validate()


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
def test_a_served_service_answers_as_the_document_says(outside, path):
    check(outside, path, examples=300)


def test_the_document_is_valid(document):
    validate(document)


def test_the_document_lists_every_route(app, document):
    routes = {route.path: route.methods - {"HEAD"} for route in app.routes if isinstance(route, Route)}
    assert {path: {method.upper() for method in item} for path, item in document["paths"].items()} == routes


def test_the_ranges_are_those_of_the_loaded_calibration(app, document):
    alpha = document["components"]["schemas"]["Form"]["properties"]["alpha"]
    assert alpha["minimum"] == app.state.models.current.colorizer.calibration.smallest_alpha
    assert document == describe_api(app.state.models.current.colorizer)
