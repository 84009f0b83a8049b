"""Builds meetings from a seed: who met, what was said, what is to be done."""

from collections.abc import Sequence

from ingest_simulator.fathom.world import Meeting, Org, User, written
from ingest_simulator.wire import Json

GUESTS = ("Alice Johnson", "Marco Bianchi", "Priya Nair", "Kofi Mensah", "Eva Lind", "Diego Cruz")
COMPANIES = ("acme", "globex", "initrode", "umbra", "hooli")
SUBJECTS = ("Quarterly review", "Onboarding", "Pricing call", "Roadmap session", "Incident follow-up")
LINES = (
    "Let's revisit the budget allocations.",
    "The rollout in the second region slipped by two weeks.",
    "If the audit log is not there in spring we cannot renew.",
    "I will send the revised proposal tomorrow morning.",
    "Who owns the migration on your side?",
    "Our users keep asking for keyboard shortcuts.",
    "That price only works for us with yearly billing.",
    "The reporting is the part everybody likes.",
)
TASKS = ("Email revised proposal", "Share the security review", "Book the follow-up", "Check seat numbers")
HOUR = 3600.0


def add_meeting(
    org: Org,
    created: float,
    recorded_by: User,
    *,
    segments: int,
    visible_to: Sequence[str],
    action_items: int = 2,
    recording: int | None = None,
    title: str | None = None,
    lines: Sequence[str] | None = None,
) -> Meeting:
    rng = org.rng
    guest, company = rng.choice(GUESTS), rng.choice(COMPANIES)
    mail = f"{guest.split()[0].lower()}@{company}.example"
    recording_id = recording or 100_000_000 + rng.randrange(10**9)
    began = created - 1.2 * HOUR
    dice = rng.random()
    item: Json = {
        "title": title or f"{company.title()}: {rng.choice(SUBJECTS)}",
        "meeting_title": None if dice < 0.2 else "In the calendar",
        "meeting_type": None,
        "recording_id": recording_id,
        "url": f"https://fathom.example/calls/{recording_id}",
        "share_url": f"https://fathom.example/share/{recording_id}",
        "created_at": written(created),
        # the documents promise it, ad-hoc meetings have none
        "scheduled_start_time": None if dice < 0.15 else written(began),
        "scheduled_end_time": None if dice < 0.15 else written(began + HOUR),
        "recording_start_time": written(began + 60),
        "recording_end_time": written(began + HOUR),
        "calendar_invitees_domains_type": "galaxy_wide" if dice > 0.97 else "one_or_more_external",
        "shared_with": "single_team",
        "transcript_language": "en",
        "calendar_invitees": [
            {
                "name": guest,
                "email": mail,
                "email_domain": mail.partition("@")[2],
                "is_external": True,
                "matched_speaker_display_name": guest,
            }
        ],
        "recorded_by": {
            "name": recorded_by.name,
            "email": recorded_by.email,
            "email_domain": recorded_by.email.partition("@")[2],
            "team": "Sales",
        },
    }
    spoken = list(lines) if lines is not None else [rng.choice(LINES) for _ in range(segments)]
    meeting = Meeting(
        item,
        created,
        transcript(spoken, guest, mail, recorded_by),
        {"template_name": "general", "markdown_formatted": f"## Summary\n{title or 'We'} reviewed the plan."},
        [
            {
                "description": rng.choice(TASKS),
                "user_generated": False,
                "completed": False,
                "recording_timestamp": "00:10:45",
                "recording_playback_url": f"https://fathom.example/calls/{recording_id}#t=645",
                "assignee": {"name": recorded_by.name, "email": recorded_by.email, "team": "Sales"},
            }
            for _ in range(action_items)
        ],
        set(visible_to),
    )
    org.meetings[recording_id] = meeting
    return meeting


def transcript(lines: Sequence[str], guest: str, mail: str, host: User) -> list[Json]:
    """Utterances; times are of their starts, in whole seconds."""
    items: list[Json] = []
    for place, line in enumerate(lines):
        name, address = (guest, mail) if place % 2 else (host.name, host.email)
        seconds = place * 9
        items.append(
            {
                # some speakers are only a name
                "speaker": {
                    "display_name": name,
                    "matched_calendar_invitee_email": address if place % 5 else None,
                },
                "text": line,
                "timestamp": f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}",
            }
        )
    return items
