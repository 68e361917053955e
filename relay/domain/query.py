"""Queries: the parameters of a URL, checked by a model like the fields of a body."""

from collections.abc import Iterable
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from relay.domain.draft import field_errors
from relay.domain.errors import FieldError, InvalidRequestError

Model = TypeVar("Model", bound=BaseModel)


def parsed(model: type[Model], parameters: Iterable[tuple[str, str]]) -> Model:
    """Return what the parameters ask for. Raises InvalidRequestError naming every wrong one, or given twice."""
    given: dict[str, str] = {}
    twice = [name for name, value in parameters if given.setdefault(name, value) is not value]
    if twice:
        raise InvalidRequestError(*(FieldError(f"/{name}", "it is given twice") for name in dict.fromkeys(twice)))
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise InvalidRequestError(*field_errors(error)) from error
