"""One call of a resource, as routing hands it over."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from simulators.php import PhpValue


@dataclass
class ResourceCall:
    """``identifiers`` None is "no identifier", which is not the same as one that is empty.

    ``delay`` is set by the resource: seconds that its work takes.
    """

    resource: str
    action: str
    identifiers: list[str] | None
    fields: Mapping[str, PhpValue]
    delay: float = 0.0


Action: TypeAlias = Callable[[ResourceCall], object]


class Resource(Protocol):
    """``actions`` by name: get, create, update, delete, as far as supported."""

    @property
    def actions(self) -> Mapping[str, Action]: ...
