"""Empty Xtream Codes databases of both families, with the columns that contract chapter 95 §9 names."""

from functools import cache

from sqlalchemy import Column, Integer, MetaData, String, Table, Text

NEW, OLD = "xc_new", "xc_old"
_LINE_FLAGS = ("enabled", "admin_enabled", "is_mag", "is_e2", "is_isplock")


@cache
def xtream_tables(family: str) -> MetaData:
    """The tables of that family. Nobody else's columns: what ours needs beyond them is a fault of ours."""
    is_new = family == NEW
    tables = MetaData()

    def table(name: str, *columns: Column[int] | Column[str]) -> None:
        Table(name, tables, *columns, mysql_engine="InnoDB", mysql_charset="utf8mb4")

    def number(name: str, default: int | None = 0) -> Column[int]:
        return Column(name, Integer, nullable=default is None, server_default=None if default is None else str(default))

    def key(name: str) -> Column[int]:
        return Column(name, Integer, primary_key=True, autoincrement=True)

    def text(name: str, *, nullable: bool = True) -> Column[str]:
        return Column(name, Text, nullable=nullable)

    table(
        "servers" if is_new else "streaming_servers",
        key("id"),
        Column("server_name", String(255)),
        Column("server_ip", String(255)),
        number("http_broadcast_port"),
        number("https_broadcast_port"),
        number("status", 1),
        number("last_check_ago"),
        number("can_delete", 1),
        *([number("is_main")] if is_new else []),
    )
    table("streams", key("id"), number("type"), text("stream_display_name"), number("direct_source"))
    table(
        "streams_servers" if is_new else "streams_sys",
        key("server_stream_id"),
        number("stream_id"),
        number("server_id"),
        number("pid", None),
        number("monitor_pid", None),
        number("to_analyze"),
        number("stream_status"),
        number("stream_started", None),
        text("stream_info", nullable=False),
        text("progress_info", nullable=False),
        number("bitrate", None),
    )
    table("series_episodes", key("id"), number("season_num"), number("series_id"), number("stream_id"), number("sort"))
    lists = ["bouquet_channels", "bouquet_series", *(["bouquet_movies", "bouquet_radios"] if is_new else [])]
    table("bouquets", key("id"), text("bouquet_name"), *map(text, lists))
    table(
        "lines" if is_new else "users",
        key("id"),
        number("member_id", None),
        Column("username", String(255)),
        Column("password", String(255)),
        number("exp_date", None),
        *(number(name, int(name in ("enabled", "admin_enabled"))) for name in _LINE_FLAGS),
        text("isp_desc"),
    )
    table(
        "lines_live" if is_new else "user_activity_now",
        key("activity_id"),
        number("user_id"),
        number("stream_id", None),
        number("server_id"),
        number("pid", None),
        Column("container", String(50)),
        Column("user_ip", String(45)),
        number("date_start"),
        *([text("uuid")] if is_new else []),
    )
    table("user_output", key("id"), number("user_id"), number("access_output_id"))
    table("mag_devices", key("mag_id"), number("user_id"), Column("mac", String(50)))
    table("enigma2_devices", key("device_id"), number("user_id"), Column("mac", String(50)))
    table(
        "reg_users",
        key("id"),
        Column("username", String(50)),
        Column("password", String(255)),
        number("member_group_id"),
        number("status", 1),
        number("owner_id"),
    )
    flags = ("is_banned", "is_admin", "is_reseller", "delete_users", "edit_isplock")
    table("member_groups", key("group_id"), text("group_name"), *map(number, flags), text("allowed_pages"))
    settings = (
        "live_streaming_pass",
        "api_pass",
        "save_closed_connection",
        "ip_logout",
        "enable_cache",
        "redis_handler",
    )
    table("settings", key("id"), *(Column(name, String(255)) for name in settings))
    table("admin_settings", Column("type", String(128), primary_key=True), text("value"))
    table(
        "signals",
        key("signal_id"),
        number("pid", None),
        number("server_id", None),
        number("rtmp"),
        number("time"),
        *([text("custom_data"), number("cache")] if is_new else []),
    )
    table(
        "user_activity",
        key("activity_id"),
        number("user_id"),
        number("stream_id", None),
        number("server_id"),
        Column("container", String(50)),
        Column("user_ip", String(45)),
        number("date_start"),
        number("date_end", None),
    )
    table(
        "reg_userlog",
        key("id"),
        number("owner"),
        Column("username", String(255)),
        Column("password", String(255)),
        number("date"),
        Column("type", String(255)),
    )
    return tables
