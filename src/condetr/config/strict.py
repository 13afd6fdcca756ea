"""The base of all groups of settings: frozen, without unknown keys, and without NaN or infinite numbers."""

from typing import TYPE_CHECKING, Any, NoReturn

from pydantic import BaseModel, ConfigDict, ValidationError

from ..errors import ConfigError
from .errors import describe, invalid, refuse_unmeant

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass as _Metaclass
else:
    _Metaclass = type(BaseModel)

IN_PLACE = "settings cannot be changed in place. Make a new config: condetr.config.override(config, {'train.lr': 1e-4})"


class _OneLineErrors(_Metaclass):
    """Raises ConfigError where a group is made of wrong values. A group inside another one is validated by pydantic
    alone, so that the error names the whole path of its setting."""

    if not TYPE_CHECKING:  # type checkers know the arguments of a group from its fields

        def __call__(cls, *arguments: Any, **values: Any) -> Any:
            try:
                group = super().__call__(*arguments, **values)
            except ValidationError as error:
                raise invalid(error, cls, values, None) from None
            refuse_unmeant(values, group)
            return group


class Strict(BaseModel, metaclass=_OneLineErrors):
    """A group of settings. Wrong values raise ConfigError, which is a ValueError."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    if not TYPE_CHECKING:  # type checkers report both

        def __setattr__(self, name: str, value: Any) -> NoReturn:
            raise ConfigError(IN_PLACE, setting=name, value=describe(value))

        def __delattr__(self, name: str) -> NoReturn:
            raise ConfigError(IN_PLACE, setting=name)
