"""Signatures: a function's annotations, made into checks of what comes in and what goes out.

Parameters are snake_case in Python and camelCase on the wire; unknown arguments are refused, and messages name an argument as the
caller wrote it. `SignatureProblem` says what is wrong with a declaration.
"""

from __future__ import annotations

import inspect
import sys
import typing
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from typing import Annotated, Any, NotRequired

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import ErrorDetails
from typing_extensions import TypedDict

from hub.errors import ArgumentValidation, FunctionError
from hub.functions.limits import Limits
from hub.functions.names import to_camel
from hub.functions.objects import STRICT, foreign_models, from_wire, nested_types
from hub.functions.pagination import PageOptions
from hub.functions.tables import WIRE_FORM
from hub.functions.wire import checked_args, to_wire
from hub.values import Value

_ONLY_BY_WIRE_NAME = ConfigDict(**{**STRICT, "validate_by_name": False})


class SignatureProblem(Exception):
    """Mistakes in a function's declaration, each in a few words."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Parameter:
    python: str
    wire: str
    annotation: Any
    is_required: bool


class Signature:
    """Of one function: `parameters` without `ctx`; `page_options` are the wire names of those that are page options."""

    def __init__(self, name: str, parameters: tuple[Parameter, ...], returns: Any) -> None:
        self.parameters = parameters
        self._name = name
        self._args: TypeAdapter[dict[str, Any]] = TypeAdapter(_object_of(parameters))
        self._result: TypeAdapter[dict[str, Any]] = TypeAdapter(_result_of(returns))
        self.page_options = frozenset(
            parameter.wire for parameter in parameters if PageOptions in nested_types(parameter.annotation)
        )

    def bind(self, args: Mapping[str, Value], limits: Limits) -> dict[str, Any]:
        """Keyword arguments for the Python function. Raises ArgumentValidation, LimitExceeded."""
        try:
            return dict(self._args.validate_python(checked_args(args, limits, self._name)))
        except ValidationError as error:
            mistakes = error.errors(include_url=False, include_context=False)
            raise ArgumentValidation(
                f"ArgumentValidationError: {'; '.join(self._mistake(mistake) for mistake in mistakes[:5])}"
            ) from None

    def result(self, value: object, limits: Limits) -> Value:
        """The wire form of what the function returned. Raises FunctionError, LimitExceeded."""
        try:
            checked = self._result.validate_python({"result": value})
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            place = "".join(f"[{part!r}]" if isinstance(part, int) else f".{part}" for part in first["loc"][1:])
            raise FunctionError(
                f"{self._name} returned what its annotation does not allow: result{place}: {first['msg']}"
            ) from None
        try:
            dumped = self._result.dump_python(checked, by_alias=True, exclude_none=True, warnings="error", context=WIRE_FORM)
        except Exception as error:
            raise FunctionError(f"{self._name} returned what has no form on the wire: {error}") from error
        return to_wire(dumped.get("result"), limits, f"the result of {self._name}")

    def _mistake(self, mistake: ErrorDetails) -> str:
        path = ".".join(str(part) for part in mistake["loc"])
        if mistake["type"] == "extra_forbidden" and len(mistake["loc"]) == 1:
            known = ", ".join(parameter.wire for parameter in self.parameters) or "no arguments"
            return f"unknown argument `{path}`; {self._name} takes {known}"
        if mistake["type"] == "missing":
            return f"`{path}` is missing"
        return f"`{path}`: {mistake['msg']}, not {_json_type(mistake['input'])}"


def read_signature(function: Callable[..., Any], name: str, context_type: type) -> Signature:
    """Raises SignatureProblem with everything that is wrong."""
    problems: list[str] = []
    hints = _hints(function)
    declared = list(inspect.signature(function).parameters.values())
    context = declared.pop(0) if declared else None
    if context is None or hints.get(context.name) is not context_type:
        problems.append(f"its first parameter must be `ctx: {context_type.__name__}`")
    parameters = tuple(_parameter(parameter, hints, problems) for parameter in declared)
    counted = Counter(parameter.wire for parameter in parameters)
    problems.extend(f"{count} parameters are {wire!r} on the wire" for wire, count in counted.items() if count > 1)
    if "return" not in hints:
        problems.append("it has no return annotation")
    problems.extend(_unusable(hints.get("return"), "the result"))
    if problems:
        raise SignatureProblem(problems)
    try:
        return Signature(name, parameters, hints["return"])
    except (PydanticUserError, TypeError, RuntimeError) as error:
        raise SignatureProblem([f"an annotation cannot be used: {str(error).splitlines()[0]}"]) from error


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Annotations, evaluated; a module's function named `list` does not hide the type from them."""
    module = vars(sys.modules[function.__module__]) if function.__module__ in sys.modules else function.__globals__
    shadowing = {name for name, value in module.items() if name in _BUILTIN_TYPES and inspect.isfunction(value)}
    visible = {name: value for name, value in module.items() if name not in shadowing}
    try:
        hints = typing.get_type_hints(function, globalns=visible, include_extras=True)
    except Exception as error:
        raise SignatureProblem([f"an annotation cannot be read: {error}"]) from error
    return {name: type(None) if hint is None else hint for name, hint in hints.items()}


_BUILTIN_TYPES = frozenset({"list", "dict", "set", "tuple", "type", "int", "str", "float", "bytes", "bool", "object", "frozenset"})


def _parameter(parameter: inspect.Parameter, hints: Mapping[str, Any], problems: list[str]) -> Parameter:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
        problems.append(f"`{parameter.name}` must be an ordinary parameter: arguments are passed by name")
    annotation = hints.get(parameter.name)
    if parameter.name not in hints:
        problems.append(f"`{parameter.name}` has no annotation")
    problems.extend(_unusable(annotation, f"`{parameter.name}`"))
    for cls in nested_types(annotation):
        if hasattr(cls, "__hub_table__"):
            problems.append(f"`{parameter.name}` cannot be a row of {cls.__name__}: take an Id, or fields")
        elif is_dataclass(cls):
            problems.append(f"`{parameter.name}` cannot be the dataclass {cls.__name__}: derive it from hub.Model instead")
    return Parameter(parameter.name, to_camel(parameter.name), annotation, parameter.default is parameter.empty)


def _unusable(annotation: Any, what: str) -> list[str]:
    return [f"{what}: derive {name} from hub.Model, so that it has wire names" for name in foreign_models(annotation)]


def _object_of(parameters: tuple[Parameter, ...]) -> Any:
    """A typed dict, not a model: a parameter may then have any name."""
    named: Any = Annotated  # made at run time: nothing for the checker
    fields: dict[str, Any] = {}
    for parameter in parameters:
        accepted = named[from_wire(parameter.annotation), Field(alias=parameter.wire)]
        fields[parameter.python] = accepted if parameter.is_required else NotRequired[accepted]
    return _typed_dict("Arguments", fields, _ONLY_BY_WIRE_NAME)


def _result_of(returns: Any) -> Any:
    """The annotation inside an object, so that the wire's rules hold for whatever it is."""
    return _typed_dict("Result", {"result": returns}, STRICT)


def _typed_dict(name: str, fields: dict[str, Any], config: ConfigDict) -> Any:
    make: Any = TypedDict  # a name by which the checker does not take it for a declaration
    made = make(name, fields)
    made.__pydantic_config__ = config
    return made


def _json_type(value: object) -> str:
    names = {
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "an array",
        dict: "an object",
        bytes: "bytes",
    }
    return "null" if value is None else names.get(type(value), type(value).__name__)
