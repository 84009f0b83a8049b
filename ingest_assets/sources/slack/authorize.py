"""Slack's login by browser, which installs the app; oauth.v2.access answers 200 and `ok: false` to what is wrong.

redirect    https only; an app that is switched to PKCE may be redirected to this machine, but then gets no bot
            token, so PKCE is not used
user_scope  beside the bot's scopes: `authed_user` holds a token of whoever pressed Allow
rotation    off: the bot token itself lasts, and the app's secret is not needed any more
            on: a refresh token, which works once; the user's token expires, too
"""

from ingest_assets.errors import CredentialRejected, SourceError, Transient, UnexpectedResponse
from ingest_assets.sources.authorizing import Authorize, Consent, Granted, authorize_address
from ingest_assets.sources.client.code import RUN_AGAIN
from ingest_assets.sources.json_values import Json, mapping_of, text_of
from ingest_assets.sources.slack.client import access
from ingest_assets.sources.slack.connect import SlackOptions, SlackSettings
from ingest_assets.sources.slack.scopes import SEARCH, needed, needed_of_user

SlackConsent = Consent[SlackSettings, SlackOptions]

_APP = "compare it with Basic Information of the app at https://api.slack.com/apps."
_USED = "the code was used already or is older than ten minutes. " + RUN_AGAIN
ERRORS = {
    "invalid_code": _USED,
    "code_already_used": _USED,
    "code_expired": _USED,
    "bad_redirect_uri": "the redirect URL is not one of the app's; register it under OAuth & Permissions.",
    "invalid_client_id": f"the client id is not an app's; {_APP}",
    "bad_client_secret": f"the client secret is not this app's; {_APP}",
    "no_scopes": "the app asks for no scopes; make it from `ingest-assets connect slack --manifest`.",
    "cannot_install_an_org_installed_app": "the app is installed for the whole organisation; use one of its own.",
}
"""Codes of oauth.v2.access about a login: what each means, and what to do."""


def address(consent: SlackConsent) -> str:
    url, of_user = consent.options.authorize_url, needed_of_user(consent.settings)
    if of_user:
        url += f"{'&' if '?' in url else '?'}user_scope={','.join(sorted(of_user))}"
    return authorize_address(url, consent, ",".join(sorted(needed(consent.settings))))


async def exchange(consent: SlackConsent, code: str) -> Granted:
    """Trade a code for a bot token, or with token rotation for a refresh token."""
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": consent.redirect_url}
    try:
        answer = await access(consent, (consent.client_id, consent.client_secret), form)
    except SourceError as error:
        if error.code not in ERRORS and (isinstance(error, Transient) or error.code.startswith("HTTP ")):
            raise
        told = ERRORS.get(error.code, f"see Slack's page on oauth.v2.access. {RUN_AGAIN}")
        raise CredentialRejected(f"Slack gave no token ({error.code}): {told}", code=error.code) from None
    return _granted(answer, search=consent.settings.search)


def _granted(answer: Json, *, search: bool) -> Granted:
    if answer.get("is_enterprise_install") is True:
        raise CredentialRejected(
            "The app was installed for a whole Enterprise organisation; choose the workspace itself on Slack's "
            "page."
        )
    if refresh_token := text_of(answer.get("refresh_token")):
        if search:
            raise CredentialRejected(
                "The app has token rotation, and a search token would last 12 hours; log in without --search."
            )
        return Granted(secrets={"refresh_token": refresh_token})
    if token := text_of(answer.get("access_token")):
        return Granted(secrets={"token": token} | (_search_token(answer) if search else {}), with_app=False)
    if "authed_user" in answer:
        raise CredentialRejected(
            "Slack gave no bot token, since the app has no bot scopes; make it from `ingest-assets connect slack "
            "--manifest`."
        )
    raise UnexpectedResponse("Slack's answer to oauth.v2.access holds no token.")


def _search_token(answer: Json) -> dict[str, str]:
    user = mapping_of(answer.get("authed_user"))
    token, scopes = text_of(user.get("access_token")), text_of(user.get("scope")) or ""
    if not token or SEARCH - set(scopes.split(",")):
        raise CredentialRejected(
            "Slack gave no user token with search:read; make the app from `ingest-assets connect slack --manifest "
            "--search`, or log in without --search."
        )
    return {"search_token": token}


AUTHORIZE = Authorize(address=address, exchange=exchange)
