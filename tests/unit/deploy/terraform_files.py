"""The Terraform of a folder as plain data: what it declares, and every expression in it."""

import json
import re
from pathlib import Path

import hcl2

ECS = Path(__file__).parents[3] / "deploy" / "ecs"
SCHEMA = json.loads(Path(__file__).with_name("aws_provider_5_100.json").read_text())
NESTED = {"dynamic", "lifecycle"}
META = {"for_each", "count", "depends_on", "provider", "lifecycle"}


def plain(value):
    """The parser's data without the quotes that it keeps around names and strings."""
    if isinstance(value, dict):
        # The parser's own notes, comments among them, are no part of what is declared.
        return {plain(key): plain(one) for key, one in value.items() if not key.startswith("__")}
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"':
        return value[1:-1]
    return value


def load():
    """All files of the folder as one document: block type to a list of blocks."""
    found = {}
    for path in sorted(ECS.glob("*.tf")):
        for kind, blocks in plain(hcl2.loads(path.read_text())).items():
            found.setdefault(kind, []).extend(blocks)
    return found


def declared(document, kind):
    """(type, name) to body of every resource, data source or ephemeral resource."""
    return {
        (type_, name): body
        for block in document.get(kind, [])
        for type_, named in block.items()
        for name, body in named.items()
    }


def names(document, kind):
    """The names of every variable or output."""
    return {name for block in document[kind] for name in block}


def texts(value):
    """Every string in the document, expressions included."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from texts(key)
            yield from texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)
    elif isinstance(value, str):
        yield value


def references(document, pattern):
    """What the pattern's group matches anywhere in the expressions."""
    return {found for text in texts(document) for found in re.findall(pattern, text)}


def statements(document):
    """(policy, statement) of every statement of every policy document."""
    for (type_, name), body in declared(document, "data").items():
        if type_ == "aws_iam_policy_document":
            for one in body["statement"]:
                yield name, one


def unknown_arguments(body, schema, where):
    """Arguments that the provider does not know, and required ones that are missing."""
    given = {name for name in body if name not in META and name not in NESTED}
    for dynamic in body.get("dynamic", []):
        given |= set(dynamic)
    for name in sorted(given - set(schema)):
        yield f"{where}: {name} is no argument"
    for name in sorted(given & set(schema)):
        if schema[name] == "computed":
            yield f"{where}: {name} can't be set"
        if isinstance(schema[name], dict):
            for inner in body.get(name, []):
                yield from unknown_arguments(inner, schema[name], f"{where}.{name}")
    for name, kind in schema.items():
        if kind == "required" and name not in given:
            yield f"{where}: {name} is missing"
