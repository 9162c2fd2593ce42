"""The portal's tariff plans as records. Source: contract chapter 90 §6 and chapter 20 §1.9."""

from dataclasses import dataclass

from core.portal.wire.values import records_with, text_of, whole_number


@dataclass(frozen=True, slots=True)
class Tariff:
    """A tariff plan. ``id`` is the portal's row id, ``external_id`` what accounts refer to; both texts.

    ``days``: 0 is unlimited; None when the portal sets no length (or is too old to know one). ``tells_external_id``:
    whether it named one at all, be it an empty one.
    """

    id: str
    external_id: str
    name: str
    days: int | None
    description: str = ""
    tells_external_id: bool = True


def tariffs_of(results: object) -> list[Tariff]:
    """The tariffs of an answer's ``results``: a list, one object, or nothing. Raises PortalInvalidAnswer."""
    if results is None:
        return []
    return [
        Tariff(
            id=text_of(record.get("id")),
            external_id=text_of(record.get("external_id")),
            name=text_of(record.get("name")),
            days=_days(record.get("days_to_expires")),
            description=text_of(record.get("description")),
            tells_external_id="external_id" in record,
        )
        for record in records_with(results, "id", "external_id")
        if isinstance(record, dict)
    ]


def _days(value: object) -> int | None:
    return 0 if text_of(value) == "0" else whole_number(value)
