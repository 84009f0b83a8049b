"""The causes of incidents: what each means, who has to act, and how."""

from collections.abc import Mapping
from dataclasses import dataclass

from ingest_assets.features.report import BUDGET_SPENT, MODEL_DOWN, MODEL_REFUSED, QUOTA_SPENT
from ingest_assets.sources import BY_NAME

CRITICAL, WARNING = "critical", "warning"
OPERATOR, DEVELOPER, VENDOR = "the operator", "a developer", "the vendor"
CUSTOMER = "the customer's administrator"
MODEL = "model"
"""The subject of what the language model does."""
MANY = 10
"""So many workspaces that fail in passing are the vendor's; fewer, where they are more than half."""


@dataclass(frozen=True, kw_only=True)
class Cause:
    """What may be the matter; texts are formats of `vendor`, `source` and `workspace`."""

    title: str
    who: str
    severity: str = WARNING
    passing: bool = True
    """It may mend itself: it opens once it is as old as INGEST_ALERT_MINUTES."""
    each: bool = False
    """Every workspace needs an action of its own, so that further ones are told, too."""
    explains_stale: bool = False
    """It holds up all of its subject: who is late is not told as stale before it is over for the minimum age."""
    what: str
    command: str
    forward: str = ""


CAUSES: Mapping[str, Cause] = {
    "vendor_down": Cause(
        title="{vendor} does not answer",
        who=VENDOR,
        severity=CRITICAL,
        explains_stale=True,
        what="Requests fail in passing, and no workspace was read completely since. One workspace tries each "
        "minute; all others follow once it succeeds, and nothing is lost.",
        command="ingest-assets status",
        forward="{vendor} does not answer at the moment. What is said meanwhile is read as soon as it does.",
    ),
    "login_refused": Cause(
        title="{vendor} refuses the login",
        who=CUSTOMER,
        passing=False,
        each=True,
        what="Nothing is read of these workspaces until they log in again. It goes on where it stopped.",
        command="ingest-assets connect {source} --workspace {workspace}",
        forward="{vendor} refuses the access that you granted us. Please grant it again; reading goes on where it "
        "stopped, and nothing is lost.",
    ),
    "part_lost": Cause(
        title="Parts of {vendor} cannot be read",
        who=CUSTOMER,
        each=True,
        what="Channels, calls or mail threads are refused or no longer listed, while the rest is read.",
        command="ingest-assets acknowledge {source} --workspace {workspace}",
        forward="Some of what we read for you at {vendor} is closed to us. Please let us in again, or tell us "
        "that this is intended.",
    ),
    "quota_spent": Cause(
        title="The day's requests to {vendor} are spent",
        who=OPERATOR,
        what="Reading goes on by itself when the quota allows it: raise it with the vendor, or the limit in the "
        "settings (GONG_CALLS_PER_DAY, OPENAI_DAY_TOKENS, OPENAI_DAY_DOLLARS).",
        command="ingest-assets status",
        forward="The requests that {vendor} grants a day are used up. Reading goes on by itself.",
    ),
    "deletions_held": Cause(
        title="{vendor} no longer shows many rows",
        who=OPERATOR,
        passing=False,
        each=True,
        what="They are too many to be marked as deleted by themselves (INGEST_DELETED_SHARE): look at them, and "
        "accept or refuse. What is new is stored meanwhile.",
        command="ingest-assets deletions review --workspace {workspace} --source {source}",
        forward="{vendor} no longer shows us much of what it did. Was it deleted, or is something closed to "
        "us? We keep it until you tell us.",
    ),
    "unexpected_answer": Cause(
        title="Answers of {vendor} are not understood",
        who=DEVELOPER,
        what="They contradict the vendor's documents, or a bug of ours stopped the sync. The reason names "
        "the place.",
        command="ingest-assets status",
        forward="We have trouble with reading {vendor} and are working on it. Nothing is lost.",
    ),
    "rejected_share": Cause(
        title="Too many items of {vendor} cannot be parsed",
        who=DEVELOPER,
        what="They are kept in ingest.rejected_records, each with its reason; their share is over "
        "INGEST_REJECTED_SHARE.",
        command="ingest-assets status",
        forward="{vendor} sends items in a form that we do not know yet. They are kept and read once we do.",
    ),
    "dead_worker": Cause(
        title="Workers died, and no run took over",
        who=OPERATOR,
        severity=CRITICAL,
        what="Leases on {vendor} accounts ended without a sign of their workers, and no run took the accounts "
        "over: look at the machines that run the workers, and at the run queue in Dagster's web UI.",
        command="ingest-assets sync {source} --workspace {workspace}",
    ),
    "stale": Cause(
        title="{vendor} was not read in time",
        who=OPERATOR,
        what="No complete sync within INGEST_FRESHNESS_MINUTES, for no other cause that is told. Look whether the "
        "schedule {source}_sync is switched on and its runs end.",
        command="ingest-assets sync {source} --workspace {workspace}",
        forward="What was said at {vendor} arrives late at the moment. Nothing is lost.",
    ),
    "model_refused": Cause(
        title="The language model refuses our requests",
        who=OPERATOR,
        severity=CRITICAL,
        passing=False,
        what="Key, address, model or account are wrong: look at OPENAI_API_KEY, OPENAI_BASE_URL and OPENAI_MODEL. "
        "Everything is stored, and conversations are read later.",
        command="ingest-assets extract SOURCE --workspace {workspace}",
    ),
    "model_down": Cause(
        title="The language model does not answer",
        who=VENDOR,
        what="It cannot be reached, asks for long pauses or fails. Conversations are stored, and read once "
        "it answers.",
        command="ingest-assets status",
    ),
    "database": Cause(
        title="Monitoring was interrupted",
        who=OPERATOR,
        severity=CRITICAL,
        passing=False,
        explains_stale=True,
        what="PostgreSQL, Dagster's daemon or its code server did not work for a while; nothing was read and "
        "nothing could be told. This is told afterwards; their logs say which it was.",
        command="ingest-assets status",
        forward="Our service was interrupted. What was said meanwhile is being read now, and nothing is lost.",
    ),
}

KINDS: Mapping[str, str] = {
    "quota_spent": "quota_spent",
    "rejected_share": "rejected_share",
    "unexpected_response": "unexpected_answer",
    "deletions_held": "deletions_held",
    "answer_too_large": "unexpected_answer",
    "part_unreadable": "unexpected_answer",
    "source_error": "unexpected_answer",
}
"""`accounts.error_kind` -> cause. A transient one is the vendor's, or shows once the workspace is stale."""
OUTCOMES: Mapping[str, str] = {
    MODEL_REFUSED: "model_refused",
    QUOTA_SPENT: "model_refused",
    BUDGET_SPENT: "quota_spent",
    MODEL_DOWN: "model_down",
}
"""`model_requests.outcome` of a run that had to stop -> cause."""


def vendor(subject: str) -> str:
    """Return what a subject is called in a sentence."""
    if subject in BY_NAME:
        return BY_NAME[subject].title
    return "the language model" if subject == MODEL else "everything"
