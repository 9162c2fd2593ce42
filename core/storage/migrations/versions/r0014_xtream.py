"""The Xtream room's own tables: lines, streams, servers, members, the log of commands, and stops not delivered yet."""

from sqlalchemy import Connection

from core.storage.migrations import additive

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

PROMISED = {
    "_sbx_xt_servers": "id server_name server_ip http_broadcast_port https_broadcast_port status "
    "last_check_ago is_main can_delete",
    "_sbx_xt_server_control": "server_id dialect scheme host port secret tls_verify tls_ca connect_timeout "
    "read_timeout enabled last_ok_at last_error_class",
    "_sbx_xt_streams": "id type stream_display_name direct_source target_container",
    "_sbx_xt_streams_servers": "server_stream_id stream_id server_id pid monitor_pid to_analyze stream_status "
    "stream_started stream_info current_source bitrate",
    "_sbx_xt_series_episodes": "id season_num series_id stream_id sort",
    "_sbx_xt_bouquets": "id bouquet_name bouquet_channels bouquet_movies bouquet_radios bouquet_series",
    "_sbx_xt_lines": "id member_id username password exp_date enabled admin_enabled max_connections "
    "is_mag is_e2 is_isplock isp_desc created_at",
    "_sbx_xt_user_output": "id user_id access_output_id",
    "_sbx_xt_mag_devices": "mag_id user_id mac",
    "_sbx_xt_enigma2_devices": "device_id user_id mac",
    "_sbx_xt_lines_live": "activity_id user_id stream_id server_id pid container user_ip user_agent date_start",
    "_sbx_xt_groups": "group_id group_name is_banned is_admin is_reseller delete_users edit_isplock allowed_pages",
    "_sbx_xt_members": "user_id member_group_id owner_id status account_id",
    "_sbx_xt_command_log": "id at account_id username action sub target server_id outcome error_class "
    "duration_ms client_ip",
    "_sbx_xt_pending": "id server_id kind stream_id created_at attempts next_at expires_at",
}


def plan(connection: Connection) -> list[additive.Change]:
    return additive.missing(connection, PROMISED)


def upgrade() -> None:
    additive.run(plan)
