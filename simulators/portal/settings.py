"""The switches of one simulated portal: its dialect, and how its operator configured it."""

from dataclasses import dataclass
from enum import StrEnum


class Dialect(StrEnum):
    """``panel`` is ``stock51`` with what the billing panel expects on top (contract chapter 90, sections 8 and 11)."""

    STOCK51 = "stock51"
    MINISTRA56 = "ministra56"
    PANEL = "panel"


@dataclass
class PortalSettings:
    """May be changed while the portal runs, except for the dialect.

    ``utf8_bytes`` is 4 or 3 (an emoji is then stored as ``????`` or, with ``sql_strict``, an SQL error); ``noise``
    prints PHP notices into the answers; ``list_delay_per_account`` and ``stb_delay_per_account`` are milliseconds for
    each account that ``accounts/`` or ``stb/`` lists (measured: 1.6 to 14, and 0.04); ``has_stb``: whether there is
    ``stb/`` at all; ``most_macs``: in one path, more are 403; ``reseller_info`` counts for ``ministra56`` only;
    ``tariff_lengths``: whether tariffs tell theirs, None as the dialect does.
    """

    dialect: Dialect | str = Dialect.STOCK51
    user: str | None = None
    password: str = ""
    theme_key: str = "theme-key"
    api_enabled: bool = True
    internal_billing: bool = True
    sql_strict: bool = False
    utf8_bytes: int = 4
    noise: bool = False
    list_delay_per_account: float = 0.0
    stb_delay_per_account: float = 0.0
    has_stb: bool = True
    most_macs: int = 399
    reseller_info: bool = True
    tariff_lengths: bool | None = None

    def __post_init__(self) -> None:
        self.dialect = Dialect(self.dialect)
        if self.utf8_bytes not in (3, 4):
            raise ValueError("utf8_bytes is 3 or 4")

    @property
    def is_panel(self) -> bool:
        return self.dialect == Dialect.PANEL

    @property
    def is_ministra(self) -> bool:
        return self.dialect == Dialect.MINISTRA56

    @property
    def realm(self) -> str:
        return "Ministra API" if self.is_ministra else "Stalker API"
