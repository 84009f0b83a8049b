"""What INGEST_REDACT names is replaced before it is stored, whatever writes it, and nothing else is."""

from __future__ import annotations

from time import process_time
from typing import Any

import pytest
from sqlalchemy import text

from ingest_assets.settings import PATTERNS
from ingest_assets.sources.redaction import KINDS, Redactor, cards, iban, keys
from tests.sources.tenants import GmailTenant, GongTenant
from tests.workbench import Bench

VISA, AMEX, LONG = "4111 1111 1111 1111", "378282246310005", "6011000990139424"
ACCOUNT = "DE89 3704 0044 0532 0130 00"
TOKEN = "xox" + "b-123456789012-abcdefABCDEF"  # in two: what looks for secrets in sources would find it
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKC==\n-----END RSA PRIVATE KEY-----"
EVERYTHING = "cards,keys,iban"


@pytest.mark.parametrize(
    ("said", "stored"),
    [
        (f"It is {VISA}, until 12/26.", "It is [card number], until 12/26."),
        (f"{VISA.replace(' ', '-')} 12 26 123", "[card number] 12 26 123"),
        (f"{VISA.replace(' ', '')}", "[card number]"),
        (f"{VISA} 5555 5555 5555 4444", "[card number] [card number]"),
        (f"1: {AMEX}; 2: 3782 822463 10005; {LONG}", "1: [card number]; 2: [card number]; [card number]"),
        (" ".join(VISA.replace(" ", "")), "[card number]"),
        (VISA.replace(" ", "\u00a0"), "[card number]"),
        (VISA.replace(" ", "\u200b"), "[card number]"),  # what nobody sees
        (f"2026 {VISA}", "2026 [card number]"),
    ],
)
def test_a_card_number_is_found(said: str, stored: str) -> None:
    assert cards.replaced(said) == stored
    assert cards.replaced(stored) is stored


@pytest.mark.parametrize(
    "said",
    [
        "4111 1111 1111 1112",  # the check digit
        "1111 1111 1111 1117",  # no network
        f"1{VISA.replace(' ', '')}23",  # a longer number
        "7782342274025937895 1762000000.000100 1762000000000",  # an id and moments
        "+49 1512 3456789 01",
        "0.4111111111111111",
        f"order_{VISA.replace(' ', '')} {VISA.replace(' ', '')}@example.com",
        "2026-11-27 10:00:00 2026-11-28",
        "8000 8080 8888 9999",
    ],
)
def test_another_number_is_no_card(said: str) -> None:
    assert cards.replaced(said) is said


@pytest.mark.parametrize(
    ("said", "stored"),
    [
        (f"to {ACCOUNT}, BIC COBADEFF", "to [IBAN], BIC COBADEFF"),
        ("gb29nwbk60161331926819", "[IBAN]"),
        ("NO93-8601-1117-947.", "[IBAN]."),
        ("NO93\u200b8601\u2060111\u00ad7947", "[IBAN]"),
        ("DE89 3704 0044 0532 0130 01 and DE00 and ZZ89370400440532013000", None),
        ("XDE89370400440532013000 DE893704004405320130001", None),
    ],
)
def test_an_iban_is_found_by_its_checksum(said: str, stored: str | None) -> None:
    assert iban.replaced(said) == (stored or said)


@pytest.mark.parametrize(
    ("said", "stored"),
    [
        (f"use {TOKEN}!", "use [API key]!"),
        ("AKIA" + "ABCDEFGHIJKLMNOP and gh" + "p_" + "a" * 36, "[API key] and [API key]"),
        (f"a {PEM} b {PEM}", "a [private key] b [private key]"),
        (PEM.partition("-----END")[0] + "! the rest", "[private key]! the rest"),
        ("-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----", None),
        ("task-sk-and-ask-for-a-desk-that-is-long, xoxb-, AKIA", None),
    ],
)
def test_keys_are_found(said: str, stored: str | None) -> None:
    assert keys.replaced(said) == (stored or said)


def test_ids_addresses_and_numbers_stay_and_depth_is_bounded() -> None:
    number = VISA.replace(" ", "")
    item: Any = {"id": number, "callId": number, "thread_ts": number, "url": f"https://x.example/{number}", "n": 4}
    redactor = Redactor(PATTERNS)
    values = {"raw": item | {"said": [number, {"deep": VISA}]}, "history_id": number, "text": VISA}
    redactor.record(values, ["history_id", "text"])
    assert values["raw"] == item | {"said": ["[card number]", {"deep": "[card number]"}]}
    assert (values["history_id"], values["text"], dict(redactor.counts)) == (number, "[card number]", {"cards": 1})
    untouched = {"raw": item, "text": "nothing to see"}
    redactor.record(untouched, ["text"])
    assert untouched["raw"] is item
    deep: Any = VISA
    for _ in range(5000):
        deep = [deep]
    redactor.payload(deep)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "piece",
    [
        "4",
        "4 ",
        "444 ",
        "4444-",
        "DE89 ",
        "DE89",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN ",
        "sk-",
        "gh",
        "SG.",
        "A",
    ],
)
def test_a_hostile_text_is_soon_looked_through(kind: str, piece: str) -> None:
    text = piece * (400_000 // len(piece))
    began = process_time()
    KINDS[kind](text)
    assert process_time() - began < 10  # half a second where nothing else runs; what is quadratic takes hours


class TestStored:
    def test_nothing_is_replaced_unless_it_is_asked_for(self, bench: Bench) -> None:
        acme = bench.workspace("acme", "general")
        ts = acme.say("general", VISA)
        acme.reads()
        assert acme.rows[ts].text == VISA
        bench.configure(INGEST_REDACT="cards")  # counts when a row is read the next time
        result = acme.reads()
        assert (acme.rows[ts].text, result.counts.changed, result.redacted) == ("[card number]", 1, {"cards": 1})

    def test_no_column_of_any_table_holds_it_and_syncs_rewrite_nothing(self, bench: Bench) -> None:
        bench.configure(INGEST_REDACT=EVERYTHING)
        slack = bench.workspace("acme", "general")
        said = f"{VISA} {TOKEN} {ACCOUNT}"
        slack.say("general", said)
        slack.say("general", said, extra={"edited": said})  # is set aside
        gong = GongTenant(bench, "globex").connected()
        gong.order("call", title=said, lines=[said, said], hours_ago=1)
        gmail = GmailTenant(bench, "initech")
        gmail.connect()
        gmail.message(subject=said, text=said)
        gmail.message(html=f"<p>4111 <b>1111</b> 1111 1111 {TOKEN} {ACCOUNT}</p>")
        gmail.add_malformed()
        first = [slack.sync(), gong.reads(), gmail.sync()]
        assert [bool(result.redacted["cards"]) for result in first] == [True] * 3
        asked = gong.calls()["calls.transcript"]
        again = [slack.sync(), gong.reads(), gmail.sync()]
        assert [(one.counts.new, one.counts.changed) for one in again] == [(0, 0)] * 3
        assert gong.calls()["calls.transcript"] == asked
        dumped = everything(bench)
        for secret in (VISA, TOKEN, ACCOUNT, "<b>1111</b>"):
            assert secret not in dumped
        for what in ("[card number]", "[API key]", "[IBAN]"):
            assert what in dumped

    def test_replay_and_a_new_parser_replace_it_too(self, bench: Bench) -> None:
        acme = bench.workspace("acme", "general")
        acme.say("general", VISA, extra={"edited": "yes"})
        acme.reads()
        bench.execute("update ingest.rejected_records set payload = payload - 'edited'")
        assert VISA in everything(bench)
        bench.run("rejected", "replay", "--workspace", "acme", INGEST_REDACT="cards")
        assert VISA not in everything(bench)


def everything(bench: Bench) -> str:
    """All rows of all our tables, as text."""
    with bench.engine.connect() as conn:
        tables = conn.execute(
            text("select schemaname || '.' || tablename from pg_tables where schemaname in ('raw', 'ingest')")
        ).scalars()
        return "\n".join(
            str(row)
            for table in tables
            for row in conn.execute(text(f"select t::text from {table} as t")).scalars()
        )


def test_a_pattern_that_is_none_is_told(bench: Bench) -> None:
    done = bench.run("status", INGEST_REDACT="cards,phones")
    assert (done.returncode, done.stderr) == (
        2,
        "INGEST_REDACT is not usable: is not a list of cards, iban, keys, separated by commas.\n",
    )
    assert set(KINDS) == PATTERNS
