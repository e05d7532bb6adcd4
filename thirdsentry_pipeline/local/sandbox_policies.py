"""IAM policies as far as the sandbox evaluates them.

Trust policies: principals, actions and string conditions. Permission and session policies:
actions alone; a statement's resources and conditions are not looked at.
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from thirdsentry_pipeline.local.sandbox_request import Caller

_STRING_TESTS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda value, wanted: value == wanted,
    "StringEqualsIgnoreCase": lambda value, wanted: value.lower() == wanted.lower(),
    "StringLike": lambda value, wanted: fnmatchcase(value, _glob(wanted)),
    "ArnEquals": lambda value, wanted: fnmatchcase(value, _glob(wanted)),
    "ArnLike": lambda value, wanted: fnmatchcase(value, _glob(wanted)),
}


def statements(document: str) -> list[dict[str, Any]]:
    """The statements of a policy document; none when it is not a policy."""
    try:
        parsed = json.loads(document)
    except ValueError:
        return []
    if not isinstance(parsed, dict):
        return []
    return [entry for entry in _as_list(parsed.get("Statement")) if isinstance(entry, dict)]


def trust_policy_allows(
    document: str, caller: Caller, action: str, context: Mapping[str, str]
) -> bool:
    """Whether the trust policy lets the caller do the action, with the request's context keys."""
    applying = [
        entry
        for entry in statements(document)
        if _names_action(entry, action)
        and _names_principal(entry, caller)
        and _conditions_hold(entry, context)
    ]
    effects = {entry.get("Effect") for entry in applying}
    return "Allow" in effects and "Deny" not in effects


def permits(documents: Iterable[str], action: str) -> bool:
    """Whether the policies together allow the action: an allow and no deny."""
    effects = {
        entry.get("Effect")
        for document in documents
        for entry in statements(document)
        if _names_action(entry, action) and _applies_everywhere(entry)
    }
    return "Allow" in effects and "Deny" not in effects


def _applies_everywhere(entry: dict[str, Any]) -> bool:
    """A deny of some resources, or under a condition, does not deny the whole action."""
    if entry.get("Effect") != "Deny":
        return True
    return "*" in _as_list(entry.get("Resource", "*")) and not entry.get("Condition")


def _names_action(entry: dict[str, Any], action: str) -> bool:
    def named(patterns: Any) -> bool:
        return any(
            fnmatchcase(action.lower(), _glob(str(pattern).lower()))
            for pattern in _as_list(patterns)
        )

    return not named(entry["NotAction"]) if "NotAction" in entry else named(entry.get("Action"))


def _names_principal(entry: dict[str, Any], caller: Caller) -> bool:
    principal = entry.get("Principal")
    if principal == "*":
        return True
    wanted = _as_list(principal.get("AWS")) if isinstance(principal, dict) else []
    return any(name in {"*", *caller_names(caller)} for name in wanted)


def caller_names(caller: Caller) -> set[str]:
    """What a trust policy may call this caller: itself, its role, its whole account."""
    partition = caller.arn.split(":")[1] if caller.arn else "aws"
    names = {
        caller.arn,
        caller.account_id,
        f"arn:{partition}:iam::{caller.account_id}:root",
    }
    if caller.session:
        names.add(caller.session.role_arn)
    return names


def _conditions_hold(entry: dict[str, Any], context: Mapping[str, str]) -> bool:
    conditions = entry.get("Condition") or {}
    return all(
        _condition_holds(operator, context.get(key), [str(v) for v in _as_list(wanted)])
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


def _condition_holds(operator: str, value: str | None, wanted: list[str]) -> bool:
    if operator == "Null":
        return (value is None) == (wanted[0].lower() == "true")
    base = operator.rsplit(":", 1)[-1]
    if base.endswith("IfExists"):
        base = base.removesuffix("IfExists")
        if value is None:
            return True
    negated = "Not" in base
    test = _STRING_TESTS.get(base.replace("Not", ""))
    if test is None:
        return False  # an operator we don't know never opens a role
    if value is None:
        return negated
    return any(test(value, one) for one in wanted) != negated


def _glob(pattern: str) -> str:
    """IAM knows ``*`` and ``?`` alone; a bracket is a plain character to it."""
    return pattern.replace("[", "[[]")


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
