"""The gateway's description of itself (OpenAPI 3.1), made from the table of its paths and the shapes of its bodies."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

import winbridge
from winbridge.core import wire
from winbridge.core.transport.connection import BYTES, JSON, TIMEOUT_HEADER
from winbridge.core.transport.problem import MEDIA_TYPE, Kind
from winbridge.gateway.problems import ANSWERS
from winbridge.gateway.routes import OPERATIONS, Body, Operation
from winbridge.gateway.watch import REQUEST_ID, REQUEST_ID_PATTERN

SCHEMAS = "#/components/schemas/{name}"

PARAMETERS: dict[str, dict[str, Any]] = {
    "id": {"schema": {"type": "string", "minLength": 1}, "description": "The session, as the gateway named it."},
    "number": {
        "schema": {"type": "integer", "minimum": 1, "maximum": (1 << 32) - 1},
        "description": "The channel, as the gateway numbered it.",
    },
}

MEDIA_TYPES = {"text": "text/plain", "html": "text/html", "json": JSON, "frame": BYTES, "frames": BYTES}

LINKED: dict[str, dict[str, tuple[str, ...]]] = {
    "open_session": {"close_session": ("id",), "open_channel": ("id",)},
    "open_channel": dict.fromkeys(("close_channel", "move_arena", "exchange", "batch"), ("id", "number")),
}
"""What can be asked for next, and the parameters that are known by then."""

SOURCES = {"open_session": {"id": "$response.body#/id"}, "open_channel": {"id": "$request.path.id"}}


def description() -> dict[str, Any]:
    """The whole description."""
    structs = {
        body for operation in OPERATIONS for body in (operation.takes, operation.answers[1]) if isinstance(body, type)
    }
    kinds = sorted(structs, key=lambda kind: kind.__name__)
    _, components = msgspec.json.schema_components(kinds, ref_template=SCHEMAS)
    schemas: dict[str, Any] = dict(components)
    schemas["Problem"] = _problem()
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "winbridge gateway", "version": winbridge.__version__, "description": _frames()},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "reader": {"type": "http", "scheme": "basic", "description": "Any user; the password is the token."},
            },
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": _parameters(operation),
        "responses": _responses(operation),
        "security": _security(operation),
    }
    if operation.takes is not None:
        found["requestBody"] = {"required": True, "content": _content(operation.takes)}
    return found


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    schemes = {"all": [], "token": ["token"], "reader": ["token", "reader"]}[operation.access]
    return [{scheme: []} for scheme in schemes]


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    found = [
        {"name": name, "in": "path", "required": True, **told}
        for name, told in PARAMETERS.items()
        if f"{{{name}}}" in operation.path
    ]
    told = f"It comes back, and stands in the log; what does not fit {REQUEST_ID_PATTERN} is replaced."
    found.append({"name": REQUEST_ID, "in": "header", "schema": {"type": "string"}, "description": told})
    if operation.timed:
        schema = {"type": "number", "exclusiveMinimum": 0}
        found.append({"name": TIMEOUT_HEADER, "in": "header", "schema": schema, "description": "Seconds for the call."})
    return found


def _responses(operation: Operation) -> dict[str, Any]:
    status, body = operation.answers
    success: dict[str, Any] = {"description": "As asked."}
    if body is not None:
        success["content"] = _content(body)
    if operation.name in LINKED:
        success["links"] = _links(operation.name)
    refusals = () if operation.access == "all" else (Kind.TOKEN, Kind.FORBIDDEN_HOST)
    by_status = {500: ["A mistake in the gateway"]}
    for kind in (*operation.problems, *refusals):
        code, title = ANSWERS[kind]
        by_status.setdefault(code, []).append(f"{title} (`{kind.value}`)")
    problems = {str(code): _refusal(titles) for code, titles in sorted(by_status.items())}
    answers: dict[str, dict[str, Any]] = {str(status): success, **problems}
    for answer in answers.values():
        answer["headers"] = {REQUEST_ID: {"required": True, "schema": {"type": "string"}}}
    return answers


def _refusal(titles: list[str]) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": {"$ref": SCHEMAS.format(name="Problem")}}}
    return {"description": "; ".join(titles), "content": content}


def _links(name: str) -> dict[str, Any]:
    known = {**SOURCES[name], "number": "$response.body#/channel"}
    return {
        target: {"operationId": target, "parameters": {parameter: known[parameter] for parameter in parameters}}
        for target, parameters in LINKED[name].items()
    }


def _content(body: Body) -> dict[str, Any]:
    if isinstance(body, type) and issubclass(body, Struct):
        return {JSON: {"schema": {"$ref": SCHEMAS.format(name=body.__name__)}}}
    assert isinstance(body, str)
    return {MEDIA_TYPES[body]: {"schema": {"type": "object"} if body == "json" else {"type": "string"}}}


def _problem() -> dict[str, Any]:
    """The members of an error's body (RFC 9457)."""
    return {
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"enum": [*(kind.value for kind in Kind), "about:blank"]},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "exit_code": {"type": ["integer", "null"]},
            "stderr_tail": {"type": "string"},
        },
    }


def _frames() -> str:
    """What the frames of calls look like."""

    def fields(pairs: tuple[tuple[str, str], ...]) -> str:
        return ", ".join(f"{name} `{code}`" for name, code in pairs)

    return (
        "Windows sessions over HTTP. Calls travel as frames, little-endian, fields named by codes of Python's `struct`."
        f" A frame is a head ({fields(wire.FRAME_FIELDS)}), a message, and bytes of the channel's arena. The message of"
        f" a request is a head ({fields(wire.REQUEST_FIELDS)}) and its words; that of an answer"
        f" is a record ({fields(wire.RESPONSE_FIELDS)}). This is version {wire.VERSION} of the wire."
    )
