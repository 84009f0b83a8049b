"""What seeded people are called and what they say: teams talking about their customers."""

import random
from collections.abc import Sequence

FIRST_NAMES = (
    *("Ada", "Bo", "Cleo", "Dana", "Eli", "Fay", "Gus", "Hana", "Ivo", "June"),
    *("Kai", "Lena", "Mo", "Nia", "Otto", "Pia", "Quin", "Rosa", "Sam", "Tess"),
)
LAST_NAMES = ("Abbott", "Berg", "Castro", "Diaz", "Eriksen", "Fofana", "Greer", "Hart", "Ito", "Jansen")
CUSTOMERS = ("Northwind", "Umbra Health", "Kestrel Bank", "Bluefin", "Pallas &amp; Sons", "Tern Logistics")
FEATURES = (
    *("SSO with SCIM", "CSV export", "an audit log", "dark mode", "bulk edit", "a Jira sync"),
    *("webhooks", "saved filters", "offline mode", "role-based access", "a public API", "usage reports"),
)
REMARKS = (
    "{customer} asked again whether we plan {feature}. They would sign for two years if we had it.",
    "Call with {customer} went well, but without {feature} they stay on the small plan.",
    "{who} can you tell {customer} when {feature} ships?",
    '{customer}: "the dashboard takes 20s to load since Monday". Anyone else seeing response times &gt; 10s?',
    "Support has had three tickets about {feature} this week, see <https://support.example.com|the queue>",
    "{customer} is churning at the end of the quarter. Main reason: no {feature}.",
    "Renewal for {customer} is signed :tada:",
    "moving the {feature} discussion to {channel}, please answer there",
    "{customer} loves the new search, but {feature} keeps coming up in every call",
    "Why is {feature} not on the roadmap? {customer} and two others need it &lt; 3 months from now",
    "{who} thanks, I will pass that on to {customer}",
    "demo for {customer} tomorrow 10:00, notes at <https://docs.example.com/demo>",
)


def sentence(rng: random.Random, people: Sequence[str], *, channel: tuple[str, str] | None = None) -> str:
    """One seeded remark, with the escapes and the markup that Slack puts into `text`."""
    return rng.choice(REMARKS).format(
        customer=rng.choice(CUSTOMERS),
        feature=rng.choice(FEATURES),
        who=f"<@{rng.choice(people)}>",
        channel="another channel" if channel is None else f"<#{channel[0]}|{channel[1]}>",
    )
