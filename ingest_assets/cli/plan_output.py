"""What `ingest-assets plan` prints, as lines or as JSON."""

from dataclasses import dataclass

from ingest_assets.features.planning import NO_PRICE, Reading
from ingest_assets.features.settings import ModelSettings
from ingest_assets.sources import BY_NAME
from ingest_assets.sources.planning import Amount
from ingest_assets.sync.planning import Plan
from ingest_assets.terminal import echo

MEGABYTE = 1_000_000
HOUR = 60  # minutes
Entry = dict[str, object]


@dataclass(frozen=True)
class Account:
    """An account's plan, or why there is none."""

    workspace: str
    source: str
    name: str
    plan: Plan | None = None
    reading: Reading | None = None
    reason: str | None = None


def entry_of(account: Account, settings: ModelSettings) -> Entry:
    """Return an account's plan as JSON."""
    entry: Entry = {"workspace": account.workspace, "source": account.source, "account": account.name}
    if account.plan is None:
        return entry | {"reason": account.reason}
    estimate, read = account.plan.estimate, account.reading
    return entry | {
        "from": account.plan.since.isoformat(timespec="seconds"),
        "items": _numbers(estimate.items),
        "api_calls": _numbers(account.plan.calls),
        "api_calls_again": round(sum(estimate.each_sync.values())),
        "by_method": {method: round(one.likely) for method, one in sorted(estimate.calls.items())},
        "minutes": round(estimate.minutes, 1),
        "syncs": account.plan.syncs,
        "megabytes": round(estimate.items.likely * estimate.item_bytes / MEGABYTE, 1),
        "notes": list(estimate.notes),
        "plan_api_calls": account.plan.cost,
        "features": None if read is None else tokens_of(read, settings),
    }


def tokens_of(read: Reading, settings: ModelSettings) -> Entry:
    """Return as JSON what the language model is asked."""
    money = read.dollars(settings)
    return {
        "transcripts": round(read.conversations),
        "requests": round(read.requests),
        "input_tokens": read.usage.input,
        "output_tokens": read.usage.output,
        "dollars": None if money is None else round(float(money), 2),
        "days": read.days(settings),
        "sampled": read.sampled,
    }


def print_account(account: Account, settings: ModelSettings) -> None:
    """Print an account's plan."""
    who, plan = f"{account.workspace} {account.name}", account.plan
    if plan is None:
        echo(f"{who}: not planned: {account.reason}")
        return
    estimate = plan.estimate
    methods = ", ".join(f"{method} {one.likely:.0f}" for method, one in sorted(estimate.calls.items()))
    megabytes = estimate.items.likely * estimate.item_bytes / MEGABYTE
    syncs = f", in {plan.syncs} syncs" if plan.syncs > 1 else ""
    echo(f"{who}, from {plan.since:%Y-%m-%d %H:%M} UTC:")
    echo(f"  {_words(estimate.items)} {BY_NAME[account.source].noun}s, about {megabytes:.1f} MB")
    echo(f"  {_words(plan.calls)} API calls ({methods})")
    if again := round(sum(estimate.each_sync.values())):
        echo(f"  {again} of them again with each further sync, as after an interruption")
    echo(f"  {_duration(estimate.minutes)} under the vendor's limits{syncs}")
    if account.reading is not None:
        echo(f"  {tokens_line(account.reading, settings)}")
    for note in estimate.notes:
        echo(f"  {note}")
    echo(f"  This plan took {plan.cost} API calls.")


def tokens_line(read: Reading, settings: ModelSettings) -> str:
    """Return as a line what the language model is asked."""
    money, days = read.dollars(settings), read.days(settings)
    return (
        f"{read.conversations:.0f} transcripts for the language model: {read.requests:.0f} requests, "
        f"{read.usage.input} tokens in, about {read.usage.output} out; "
        + (NO_PRICE if money is None else f"{money:.2f} US dollars")
        + (f"; the day's budget makes it {days} days" if days > 1 else "")
    )


def _numbers(amount: Amount) -> Entry:
    return {"likely": round(amount.likely), "least": round(amount.least), "most": round(amount.most)}


def _words(amount: Amount) -> str:
    likely, least, most = _numbers(amount).values()
    return f"{likely}" if least == most else f"about {likely} ({least} to {most})"


def _duration(minutes: float) -> str:
    if minutes < 1:
        return "A minute at most"
    return f"About {minutes:.0f} minutes" if minutes < 2 * HOUR else f"About {minutes / HOUR:.1f} hours"
