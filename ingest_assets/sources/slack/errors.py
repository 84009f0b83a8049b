"""Slack's error codes: what each means, whom it concerns, and what to do (method pages of 2026, common errors).

The kind comes from the code, the level from the method. What a channel, a thread or a profile answers concerns it
alone, also where the code speaks of the login: then the login is asked (`auth.test`).
"""

from ingest_assets.errors import (
    CredentialRejected,
    CursorExpired,
    PartUnreadable,
    SourceError,
    TokenRefused,
    Transient,
    UnexpectedResponse,
)
from ingest_assets.sources.client.method import Level

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
KINDS: dict[str, type[SourceError]] = {code: kind for kind, codes in _CODES.items() for code in codes.split()}

UNSEEN = frozenset({"user_not_found", "user_not_visible", "users_not_found"})
"""Profiles that Slack keeps from this app, of people in other companies for one: nothing to act on."""

_RECONNECT = "Connect the account with a login that works: `ingest-assets connect slack`."
_REPORT = "Please report this: the request was ours."
_WAIT = "The rest of the account goes on; this is asked again by itself."
_ACTIONS: dict[tuple[type[SourceError], Level], str] = {
    (CredentialRejected, Level.ACCOUNT): _RECONNECT,
    (TokenRefused, Level.ACCOUNT): _RECONNECT,
    (UnexpectedResponse, Level.ACCOUNT): _REPORT,
    (CredentialRejected, Level.PART): _WAIT,
    (TokenRefused, Level.PART): _WAIT,
    (UnexpectedResponse, Level.PART): _WAIT,
    (PartUnreadable, Level.PART): _WAIT,
    (Transient, Level.PART): _WAIT,
}
_OF_CODES = {
    "not_in_channel": "Invite the bot to the channel.",
    "channel_not_found": "Invite the bot to the channel, if it still exists.",
    "external_channel_migrating": "Slack is moving the channel; it is asked again by itself.",
}
_SCOPE = "Add the scope {} under OAuth & Permissions and reinstall the app."


def meaning(code: str, level: Level, *, method: str, needed: str | None = None) -> SourceError:
    """Return the error that a code of a method means; one that nobody knows is for a developer.

    `needed`: the scope that Slack names beside `missing_scope`.
    """
    kind = KINDS.get(code, UnexpectedResponse)
    sentences = [f"Slack refused {method}: {code}.", _OF_CODES.get(code) or _ACTIONS.get((kind, level), "")]
    if code == "missing_scope":
        sentences.insert(1, _SCOPE.format(needed or "that Slack's page on the method names"))
    return kind(" ".join(filter(None, sentences)), code=code)
