"""Connections of other programs than the panel to its database.

To MariaDB they go without TLS, for which PyMySQL would read the system's certificates each time.
"""

from typing import Any

import pymysql
from pymysql.cursors import Cursor
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import NullPool

from core.values.database_urls import normal_url


def mysql_connection(url: str) -> "pymysql.Connection[Cursor]":
    """To a MariaDB server, or to the database of it that ``url`` names."""
    parts = make_url(url)
    return pymysql.connect(
        host=parts.host or "127.0.0.1",
        port=parts.port or 3306,
        user=parts.username or "root",
        password=parts.password or "",
        database=parts.database or None,
        charset="utf8mb4",
        ssl_disabled=True,
    )


def strange_engine(url: str | URL, **options: Any) -> Engine:
    """To a database of any kind, each connection a new one."""
    normal = url if isinstance(url, URL) else normal_url(url)
    without = {"ssl_disabled": True} if normal.drivername.endswith("+pymysql") else {}
    return create_engine(normal, poolclass=NullPool, connect_args=without, **options)
