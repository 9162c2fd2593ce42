"""The numbers of a page of a long list, under every name that clients read them by."""

from typing import Protocol


class Page(Protocol):
    @property
    def page(self) -> int: ...

    @property
    def per_page(self) -> int: ...

    @property
    def total(self) -> int: ...

    @property
    def pages(self) -> int: ...


def pagination(page: Page) -> dict[str, int]:
    return {
        "current_page": page.page,
        "per_page": page.per_page,
        "total_records": page.total,
        "total_pages": page.pages,
        "page": page.page,
        "total": page.total,
    }
