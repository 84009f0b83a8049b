"""Slack's error codes and what each means for us (method pages of 2026, common errors)."""

from ingest_assets.errors import (
    CredentialRejected,
    CursorExpired,
    PartUnreadable,
    SourceError,
    TokenRefused,
    Transient,
    UnexpectedResponse,
)

_CODES: dict[type[SourceError], str] = {
    CredentialRejected: """
        not_authed account_inactive token_revoked no_permission org_login_required
        enterprise_is_restricted access_denied accesslimited ekm_access_denied team_access_not_granted
        not_allowed_token_type missing_scope deprecated_endpoint method_deprecated two_factor_setup_required
        invalid_refresh_token invalid_client_id bad_client_secret
    """,
    TokenRefused: "invalid_auth token_expired",
    PartUnreadable: """
        channel_not_found not_in_channel is_archived channel_is_limited_access
        method_not_supported_for_channel_type thread_not_found too_many_members
        user_not_found user_not_visible users_not_found too_many_users list_record_comment_fetch_failed
    """,
    Transient: """
        ratelimited rate_limited internal_error fatal_error service_unavailable request_timeout
        team_added_to_org
    """,
    CursorExpired: "invalid_cursor",
    UnexpectedResponse: """
        invalid_arg_name invalid_arguments invalid_array_arg invalid_limit invalid_types invalid_ts_oldest
        invalid_ts_latest invalid_charset invalid_form_data invalid_post_type missing_post_type missing_argument
        limit_required unknown_method
    """,
}

MEANING: dict[str, type[SourceError]] = {code: kind for kind, codes in _CODES.items() for code in codes.split()}

RECONNECT = "Connect the account again with `ingest-assets connect slack`."
ACTION: dict[type[SourceError], str] = {
    CredentialRejected: RECONNECT,
    TokenRefused: RECONNECT,
    UnexpectedResponse: "Please report this: the request was ours.",
}
