"""Builds companies from a seed: people, calls, and what was said in them."""

import random
from collections.abc import Sequence

from ingest_simulator.gong.world import Call, Company, written
from ingest_simulator.wire import Json

FIRST_NAMES = ("Jon", "Mara", "Ife", "Tom", "Yuki", "Lea", "Omar", "Ines", "Piet", "Sana")
LAST_NAMES = ("Snow", "Keller", "Adeyemi", "Novak", "Tanaka", "Roth", "Haddad", "Silva")
CUSTOMERS = ("Northwind", "Umbra Health", "Kestrel Bank", "Bluefin", "Tern Logistics", "Halden Freight")
PURPOSES = ("discovery", "demo", "pricing", "renewal", "quarterly review", "support escalation")
REMARKS = (
    "We would sign this quarter if single sign-on worked with our provider.",
    "The price is about twenty percent above what we had planned for.",
    "Our finance director wants to see the numbers before the end of the month.",
    "Could you send us the security questionnaire by Friday?",
    "Honestly, the export is what my team complains about every week.",
    "We are also looking at two of your competitors, to be fair.",
    "I think the next step is a pilot with the Hamburg office.",
    "No wait, I think we should check that out first.",
    "Support has been quick, but the dashboard is still slow on Mondays.",
    "We have budget for eighty seats and may need a hundred and twenty.",
)
TOPICS = (None, "Pricing", None, "Objections", "Next Steps")
STRANGER = "9999999999999999999"  # a speaker who matches no party
TURN = 4  # sentences that one speaker says before the next one does


def digits(rng: random.Random, length: int = 19) -> str:
    """Return an id as Gong makes them: digits, more than a signed 64-bit integer may hold."""
    return str(rng.randrange(7 * 10 ** (length - 1), 10**length))


def add_people(company: Company, users: int, workspaces: int) -> None:
    rng = company.rng
    for place in range(users):
        first, last = FIRST_NAMES[place % len(FIRST_NAMES)], LAST_NAMES[place % len(LAST_NAMES)]
        company.users.append(
            {
                "id": digits(rng, 15),
                "emailAddress": f"{first}.{last}{place}@vendor.example".lower(),
                "created": "2024-02-17T02:30:00-08:00",
                "active": place != users - 1 or users < 5,
                "emailAliases": [],
                "trustedEmailAddress": None,
                "firstName": first,
                "lastName": last,
                "title": "Account Executive",
                "phoneNumber": None,
                "settings": {"webConferencesRecorded": True},
                "managerId": None,
                "spokenLanguages": [{"language": "en-US", "primary": True}],
            }
        )
    company.workspaces += [
        {"id": digits(rng, 18), "name": f"{company.name} {place + 1}", "description": None}
        for place in range(workspaces)
    ]


def add_calls(company: Company, number: int, sentences: int, *, end: float, span: float, private: int) -> None:
    """Add calls, oldest first, evenly spread; the oldest ones are the private ones."""
    step = span / max(1, number)
    for place in range(number):
        moment = end - span + place * step + company.rng.random() * step
        add_call(company, moment, sentences=sentences, private=place < private)


def add_call(
    company: Company,
    moment: float,
    *,
    sentences: int,
    private: bool = False,
    call_id: str | None = None,
    title: str | None = None,
    duration: int = 600,
) -> Call:
    rng = company.rng
    customer = rng.choice(CUSTOMERS)
    host = rng.choice(company.users) if company.users else None
    parties = _parties(rng, host, customer)
    facts = {
        "id": call_id or digits(rng),
        "url": f"https://{company.region}.app.gong.io/call",
        "title": title or f"{customer} <> {company.name}: {rng.choice(PURPOSES)}",
        "scheduled": written(moment),
        "started": written(moment),
        "duration": duration,
        "primaryUserId": None if host is None else host["id"],
        # the vendor adds values without notice
        "direction": "Hologram" if rng.random() < 1 / 40 else rng.choice(("Inbound", "Outbound", "Conference")),
        "system": "Zoom",
        "scope": "External",
        "media": "Video",
        "language": "eng",
        "workspaceId": company.workspaces[0]["id"] if company.workspaces else None,
        "sdrDisposition": None,
        "clientUniqueId": None,
        "customData": None,
        "purpose": None,
        "meetingUrl": "https://zoom.example/j/1",
        "isPrivate": private,
        "calendarEventId": None,
        "sentiment2027": "new fields come without notice",
    }
    speakers = [party["speakerId"] for party in parties if "speakerId" in party]
    call = Call(facts, moment, _parts(parties, speakers, duration), spoken(rng, speakers, sentences))
    company.calls[call.id] = call
    return call


def _parties(rng: random.Random, host: Json | None, customer: str) -> list[Json]:
    first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    domain = customer.lower().replace(" ", "")
    guest = {
        "id": digits(rng, 18),
        "emailAddress": f"{first}@{domain}.example".lower(),
        "name": f"{first} {last}",
        "title": None,
        "userId": None,
        "speakerId": digits(rng),
        "context": [],
        "affiliation": "External",
        "phoneNumber": None,
        "methods": ["Invitee", "Attendee"],
    }
    silent = {"id": digits(rng, 18), "emailAddress": None, "name": "Dial-in guest", "affiliation": "Unknown"}
    if host is None:
        return [guest, silent]
    own = {
        "id": digits(rng, 18),
        "emailAddress": host["emailAddress"],
        "name": f"{host['firstName']} {host['lastName']}",
        "title": host["title"],
        "userId": host["id"],
        "speakerId": digits(rng),
        "context": [],
        "affiliation": "Internal",
        "phoneNumber": None,
        "methods": ["Invitee", "Attendee"],
    }
    return [own, guest, silent]


def _parts(parties: list[Json], speakers: Sequence[str], duration: int) -> Json:
    return {
        "context": [],
        "parties": parties,
        "content": {
            "structure": [{"name": "Intro", "duration": duration // 10}],
            "topics": [{"name": "Pricing", "duration": duration // 5}],
            "trackers": [],
            "brief": "They talked about the contract and what is missing for it.",
            "keyPoints": [{"text": "A pilot is the next step."}],
            "callOutcome": None,
        },
        "interaction": {
            "speakers": [{"id": speaker, "userId": None, "talkTime": duration / 2} for speaker in speakers],
            "interactionStats": [{"name": "Talk Ratio", "value": 0.51}],
            "questions": {"companyCount": 4, "nonCompanyCount": 7},
        },
        "collaboration": {"publicComments": []},
    }


def spoken(
    rng: random.Random, speakers: Sequence[str], sentences: int, lines: Sequence[str] | None = None
) -> list[Json]:
    """Monologues of some sentences in all; times are milliseconds."""
    texts = list(lines) if lines is not None else [rng.choice(REMARKS) for _ in range(sentences)]
    turns: list[Json] = []
    clock = 0
    for start in range(0, len(texts), TURN):
        speaker = STRANGER if len(turns) % 9 == 8 else speakers[len(turns) % len(speakers)]
        said = []
        for text in texts[start : start + TURN]:
            length = 40 * len(text)
            said.append({"start": clock, "end": clock + length, "text": text})
            clock += length + 200
        turns.append({"speakerId": speaker, "topic": TOPICS[len(turns) % len(TOPICS)], "sentences": said})
    return turns
