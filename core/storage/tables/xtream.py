"""Our own tables of the Xtream room: lines, streams, servers and who acts on them, where no Xtream database is bound.

Columns bear the names of the newer Xtream panels, so that one mapping serves both (:mod:`core.xtream.families`).
Source: contract chapter 95 §9.
"""

from sqlalchemy import Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.storage.tables.base import ONE, ZERO, Base, Flag, Small, _counted, _table


class XtreamServer(Base):
    """A streaming server; ``status`` and ``last_check_ago`` (Unix seconds) are what the latest look at it found."""

    __tablename__ = "_sbx_xt_servers"
    __table_args__ = _table()

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    server_name: Mapped[str] = mapped_column(String(255))
    server_ip: Mapped[str] = mapped_column(String(255))
    http_broadcast_port: Mapped[int]
    https_broadcast_port: Mapped[int]
    status: Mapped[int] = mapped_column(Small, server_default=ZERO)
    last_check_ago: Mapped[int] = mapped_column(server_default=ZERO)
    is_main: Mapped[int] = mapped_column(Flag, server_default=ZERO)
    can_delete: Mapped[int] = mapped_column(Flag, server_default=ONE)


class XtreamServerControl(Base):
    """How a streaming server is called; what is NULL comes from the server's own row. ``secret`` is encrypted."""

    __tablename__ = "_sbx_xt_server_control"
    __table_args__ = _table()

    server_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    dialect: Mapped[str | None] = mapped_column(String(16))
    scheme: Mapped[str | None] = mapped_column(String(8))
    host: Mapped[str | None] = mapped_column(String(255))
    port: Mapped[int | None]
    secret: Mapped[str | None] = mapped_column(Text)
    tls_verify: Mapped[int] = mapped_column(Flag, server_default=ONE)
    tls_ca: Mapped[str | None] = mapped_column(String(255))
    connect_timeout: Mapped[int | None]
    read_timeout: Mapped[int | None]
    enabled: Mapped[int] = mapped_column(Flag, server_default=ONE)
    last_ok_at: Mapped[int | None]
    last_error_class: Mapped[str | None] = mapped_column(String(32))


class XtreamStream(Base):
    """What is streamed; ``type``: 1 live, 2 movie, 3 created channel, 4 radio, 5 episode."""

    __tablename__ = "_sbx_xt_streams"
    __table_args__ = _table()

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    type: Mapped[int] = mapped_column(Small)
    stream_display_name: Mapped[str] = mapped_column(String(255))
    direct_source: Mapped[int] = mapped_column(Flag, server_default=ZERO)
    target_container: Mapped[str | None] = mapped_column(String(32))


class XtreamAssignment(Base):
    """A stream on a server, and what is known of its running there."""

    __tablename__ = "_sbx_xt_streams_servers"
    __table_args__ = _counted(UniqueConstraint("stream_id", "server_id"), Index(None, "server_id", "pid"))

    server_stream_id: Mapped[int] = mapped_column(primary_key=True)
    stream_id: Mapped[int]
    server_id: Mapped[int]
    pid: Mapped[int | None]
    monitor_pid: Mapped[int | None]
    to_analyze: Mapped[int] = mapped_column(Flag, server_default=ZERO)
    stream_status: Mapped[int] = mapped_column(Small, server_default=ZERO)
    stream_started: Mapped[int | None]
    stream_info: Mapped[str | None] = mapped_column(Text)
    current_source: Mapped[str | None] = mapped_column(Text)
    bitrate: Mapped[int | None]


class XtreamEpisode(Base):
    """An episode's place in its series."""

    __tablename__ = "_sbx_xt_series_episodes"
    __table_args__ = _table(Index(None, "stream_id"))

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    season_num: Mapped[int]
    series_id: Mapped[int]
    stream_id: Mapped[int]
    sort: Mapped[int]


class XtreamBouquet(Base):
    """A bundle that lines subscribe to; its columns are JSON lists of ids."""

    __tablename__ = "_sbx_xt_bouquets"
    __table_args__ = _table()

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    bouquet_name: Mapped[str] = mapped_column(String(255))
    bouquet_channels: Mapped[str] = mapped_column(Text)
    bouquet_movies: Mapped[str] = mapped_column(Text)
    bouquet_radios: Mapped[str] = mapped_column(Text)
    bouquet_series: Mapped[str] = mapped_column(Text)


class XtreamLine(Base):
    """A subscriber's line; ``member_id``: the panel's user whose line it is. Times are Unix seconds."""

    __tablename__ = "_sbx_xt_lines"
    __table_args__ = _table(Index(None, "member_id"))

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    member_id: Mapped[int | None]
    username: Mapped[str] = mapped_column(String(255))
    password: Mapped[str] = mapped_column(String(255))
    exp_date: Mapped[int | None]
    enabled: Mapped[int] = mapped_column(Flag, server_default=ONE)
    admin_enabled: Mapped[int] = mapped_column(Flag, server_default=ONE)
    max_connections: Mapped[int] = mapped_column(server_default=ONE)
    is_mag: Mapped[int] = mapped_column(Flag, server_default=ZERO)
    is_e2: Mapped[int] = mapped_column(Flag, server_default=ZERO)
    is_isplock: Mapped[int] = mapped_column(Flag, server_default=ZERO)
    isp_desc: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[int | None]


class XtreamOutput(Base):
    """A kind of output that a line may use."""

    __tablename__ = "_sbx_xt_user_output"
    __table_args__ = _counted(Index(None, "user_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    access_output_id: Mapped[int]


class XtreamMag(Base):
    """A MAG box of a line."""

    __tablename__ = "_sbx_xt_mag_devices"
    __table_args__ = _counted(Index(None, "user_id"))

    mag_id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    mac: Mapped[str] = mapped_column(String(50))


class XtreamEnigma(Base):
    """An Enigma2 receiver of a line."""

    __tablename__ = "_sbx_xt_enigma2_devices"
    __table_args__ = _counted(Index(None, "user_id"))

    device_id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    mac: Mapped[str] = mapped_column(String(50))


class XtreamConnection(Base):
    """An open connection of line ``user_id``; ``pid`` NULL for HLS. Times are Unix seconds."""

    __tablename__ = "_sbx_xt_lines_live"
    __table_args__ = _counted(Index(None, "user_id"), Index(None, "pid"), Index(None, "server_id", "pid"))

    activity_id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    stream_id: Mapped[int | None]
    server_id: Mapped[int]
    pid: Mapped[int | None]
    container: Mapped[str] = mapped_column(String(50))
    user_ip: Mapped[str | None] = mapped_column(String(45))
    user_agent: Mapped[str | None] = mapped_column(String(255))
    date_start: Mapped[int | None]


class XtreamGroup(Base):
    """A group of members; ``allowed_pages``: JSON list of names, NULL or empty for everything."""

    __tablename__ = "_sbx_xt_groups"
    __table_args__ = _table()

    group_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    group_name: Mapped[str] = mapped_column(String(255))
    is_banned: Mapped[int] = mapped_column(Flag, server_default=ZERO)
    is_admin: Mapped[int] = mapped_column(Flag, server_default=ZERO)
    is_reseller: Mapped[int] = mapped_column(Flag, server_default=ZERO)
    delete_users: Mapped[int] = mapped_column(Flag, server_default=ZERO)
    edit_isplock: Mapped[int] = mapped_column(Flag, server_default=ZERO)
    allowed_pages: Mapped[str | None] = mapped_column(Text)


class XtreamMember(Base):
    """The link of a panel's user: to a group of ours, or with ``account_id`` to an account of a bound database.

    ``owner_id``: the user whose sub-reseller this is; ``status`` 0: switched off.
    """

    __tablename__ = "_sbx_xt_members"
    __table_args__ = _table(Index(None, "owner_id"))

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    member_group_id: Mapped[int | None]
    owner_id: Mapped[int | None]
    status: Mapped[int] = mapped_column(Flag, server_default=text("1"))
    account_id: Mapped[int | None]


class XtreamCommand(Base):
    """Every command that was asked for and was allowed, with its outcome; ``at``: Unix seconds."""

    __tablename__ = "_sbx_xt_command_log"
    __table_args__ = _counted(Index(None, "at"))

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[int]
    account_id: Mapped[int | None]
    username: Mapped[str] = mapped_column(String(255))
    action: Mapped[str] = mapped_column(String(32))
    sub: Mapped[str | None] = mapped_column(String(32))
    target: Mapped[str | None] = mapped_column(String(100))
    server_id: Mapped[int | None]
    outcome: Mapped[str] = mapped_column(String(255))
    error_class: Mapped[str | None] = mapped_column(String(32))
    duration_ms: Mapped[int]
    client_ip: Mapped[str | None] = mapped_column(String(45))


class XtreamPending(Base):
    """A stop that could not be delivered yet; explained in :mod:`core.xtream.pending`. Times are Unix seconds."""

    __tablename__ = "_sbx_xt_pending"
    __table_args__ = _counted(UniqueConstraint("server_id", "kind", "stream_id"), Index(None, "next_at"))

    id: Mapped[int] = mapped_column(primary_key=True)
    server_id: Mapped[int]
    kind: Mapped[str] = mapped_column(String(16))
    stream_id: Mapped[int]
    created_at: Mapped[int]
    attempts: Mapped[int] = mapped_column(server_default=ZERO)
    next_at: Mapped[int]
    expires_at: Mapped[int]
