"""The manifest of a Slack app, as "From a manifest" at api.slack.com/apps takes it."""

from ingest_assets.sources.json_values import Json
from ingest_assets.sources.slack.connect import SlackSettings
from ingest_assets.sources.slack.scopes import needed, needed_of_user

NAME = "Conversation archive"  # at most 35 characters


def manifest(settings: SlackSettings, *, redirect_url: str, rotation: bool) -> Json:
    """Return the manifest of an app that may do what the settings need and nothing else."""
    scopes = {"bot": sorted(needed(settings))}
    if of_user := needed_of_user(settings):
        scopes["user"] = sorted(of_user)
    return {
        "display_information": {
            "name": NAME,
            "description": "Reads the channels that it is in.",
        },
        "features": {"bot_user": {"display_name": NAME, "always_online": False}},
        "oauth_config": {"redirect_urls": [redirect_url], "scopes": scopes},
        "settings": {
            "org_deploy_enabled": False,
            "socket_mode_enabled": False,
            "token_rotation_enabled": rotation,
        },
    }
