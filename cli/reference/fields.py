"""The fields of each record, from the models that the schemas are made from."""

from collections.abc import Iterator, Mapping
from typing import Any

from cli.reference.table import code, table
from models import records, schemas
from models.records import Record

Schema = Mapping[str, Any]

_PLAIN = {"string": "text", "integer": "integer", "boolean": "true or false", "null": "null"}
_COMMON: tuple[tuple[type[Record], str], ...] = (
    (records.Common, "Fields of every delivery"),
    (records.Fetched, "Fields of everything behind a link"),
)


def fields() -> str:
    """Return a table of fields per record model, those that many have in common first."""
    parts = [
        _part(title, model, without=records.Common if model is records.Fetched else None) for model, title in _COMMON
    ]
    for model, names in _by_model().items():
        base = records.Fetched if issubclass(model, records.Fetched) else records.Common
        common = issubclass(model, records.Common)
        title = ", ".join(map(code, names))
        parts.append(_part(title, model, without=base if common else None))
    return "\n".join(parts)


def _by_model() -> dict[type[Record], list[str]]:
    found: dict[type[Record], list[str]] = {}
    for topic, model in schemas.MODELS.items():
        found.setdefault(model, []).append(topic)
    return found


def _part(title: str, model: type[Record], *, without: type[Record] | None) -> str:
    schema = model.model_json_schema(by_alias=True, mode="serialization")
    known = set(without.model_json_schema(by_alias=True)["properties"]) if without else set[str]()
    rows = [row for row in _rows(schema, schema, "") if row[0].strip("`").split(".")[0].split("[")[0] not in known]
    beside = ""
    if without is records.Fetched:
        beside = "Beside those of every delivery and of everything behind a link:\n\n"
    elif without is records.Common and model is not records.Fetched:
        beside = "Beside those of every delivery:\n\n"
    text = table(("field", "type", "says"), rows) if rows else "Nothing more.\n"
    return f"### {title}\n\n{_says(model)}\n\n{beside}{text}"


def _says(model: type[Record]) -> str:
    return " ".join((model.__doc__ or "").split())


def _rows(schema: Schema, root: Schema, prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, of in schema["properties"].items():
        kind, within = _type(of, root)
        yield code(prefix + name), kind, " ".join(of.get("description", "").split())
        if within is not None:
            yield from _rows(within, root, f"{prefix}{name}{'[]' if kind.startswith('list') else ''}.")


def _type(of: Schema, root: Schema) -> tuple[str, Schema | None]:
    """Return a type in words, and the schema of the object it is or lists, if it has fields."""
    if "anyOf" in of:
        kinds = [_type(each, root) for each in of["anyOf"]]
        within = next((schema for _, schema in kinds if schema is not None), None)
        return " or ".join(kind for kind, _ in kinds), within
    if "$ref" in of:
        return "object", root["$defs"][of["$ref"].rsplit("/", 1)[1]]
    if "enum" in of or "const" in of:
        return ", ".join(map(code, of.get("enum", [of.get("const")]))), None
    if of.get("type") == "array":
        kind, within = _type(of["items"], root) if of.get("items") else ("anything", None)
        return f"list of {kind}", within
    if of.get("type") == "object":
        values = of.get("additionalProperties")
        kind = f"object: name to {_type(values, root)[0]}" if isinstance(values, dict) and values else "object"
        return kind, None
    return _PLAIN.get(of.get("type", ""), "anything"), None
