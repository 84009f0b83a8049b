"""Gong's quirks: late transcripts, private calls, hosts, empty ranges, limits."""

from __future__ import annotations

from datetime import timedelta, timezone
from importlib import import_module
from typing import Any

import pytest
from sqlalchemy import text

from ingest_assets.app import App
from ingest_assets.errors import CredentialRejected
from ingest_assets.settings import SettingsError
from ingest_assets.sources.gong.hosts import checked
from ingest_assets.sources.gong.methods import SCOPES
from ingest_assets.sources.gong.records import GongUser, GongWorkspace
from ingest_assets.sources.gong.transcript import of_gong
from ingest_assets.storage.schema import syncs
from tests.sources.tenants import GongTenant
from tests.workbench import Bench

HOUR = timedelta(hours=1)


@pytest.fixture
def acme(bench: Bench) -> GongTenant:
    tenant = GongTenant(bench, "acme")
    tenant.connect()
    return tenant


def call(acme: GongTenant, **fields: Any) -> str:
    return str(acme.order("call", **fields)["call"])


def test_a_call_that_is_deleted_after_weeks_goes_within_a_week(acme: GongTenant) -> None:
    old, kept = call(acme, hours_ago=24 * 12), call(acme, hours_ago=24 * 12)
    acme.reads()
    acme.order("delete", call=old)
    acme.reads()
    assert acme.rows[old].deleted_at is None
    acme.bench.clock.advance(timedelta(days=7))
    acme.reads()
    assert acme.rows[old].deleted_at is not None
    assert acme.rows[kept].deleted_at is None


class TestTranscripts:
    def test_that_come_36_hours_late_are_read(self, acme: GongTenant) -> None:
        late = call(acme, lines=["I was there all along."], transcript_after_seconds=36 * 3600)
        acme.reads()
        assert (acme.rows[late].transcript_state, acme.rows[late].text) == ("pending", None)
        for _ in range(48):
            acme.bench.clock.advance(HOUR)
            acme.reads()
        assert acme.rows[late].transcript_state == "ready"
        assert "I was there all along." in acme.rows[late].text

    def test_are_looked_for_ever_more_rarely(self, acme: GongTenant) -> None:
        silent = call(acme, transcript_after_seconds=None)
        acme.reads()
        looked = []
        hourly_on_the_first_and_the_last_day = [*range(1, 25), *range(30, 9 * 24 + 1, 6), *range(9 * 24 + 1, 240)]
        passed = 0
        for hour in hourly_on_the_first_and_the_last_day:
            before = acme.calls().get("calls.transcript", 0)
            acme.bench.clock.advance((hour - passed) * HOUR)
            passed = hour
            acme.reads()
            looked += [hour] if acme.calls()["calls.transcript"] > before else []
        first_day = sum(hour <= 24 for hour in looked)
        last_day = sum(hour > 9 * 24 for hour in looked)
        assert first_day >= 20
        assert last_day <= 4
        assert acme.rows[silent].transcript_state == "none"

    def test_that_come_after_all_are_read_even_weeks_later(self, acme: GongTenant) -> None:
        silent = call(acme, transcript_after_seconds=None)
        acme.reads()
        acme.bench.clock.advance(timedelta(days=8))
        acme.reads()
        assert acme.rows[silent].transcript_state == "none"
        acme.order("transcript", call=silent, lines=["Better late than never."])
        acme.bench.clock.advance(timedelta(days=4))
        acme.reads()
        assert acme.rows[silent].transcript_state == "ready"

    def test_that_are_withdrawn_are_forgotten(self, acme: GongTenant) -> None:
        said = call(acme)
        acme.reads()
        acme.order("transcript", call=said, ready=False)
        acme.order("edit", call=said, fields={"title": "Redacted"})
        acme.reads()
        row = acme.rows[said]
        assert (row.transcript_state, row.text) == ("withdrawn", None)
        assert "transcript" not in row.raw

    def test_may_precede_the_details(self, acme: GongTenant) -> None:
        bare = call(acme, details_after_seconds=7200)
        acme.reads()
        assert "parties" not in acme.rows[bare].raw
        acme.bench.clock.advance(timedelta(hours=3))
        acme.reads()
        assert {"parties", "content", "transcript"} <= set(acme.rows[bare].raw)

    def test_may_hold_nulls(self, acme: GongTenant) -> None:
        said, silent = call(acme), call(acme)
        sentences = [None, {"start": 0, "end": 9, "text": "Hello."}, {"start": 9, "end": 9, "text": None}]
        turns = [None, {"speakerId": None, "sentences": None}, {"speakerId": "1", "sentences": sentences}]
        acme.order("transcript", call=said, monologues=turns)
        acme.order("transcript", call=silent, monologues=turns[:2])
        acme.reads()
        assert (acme.rows[said].transcript_state, acme.rows[said].text) == ("ready", "Unknown speaker: Hello.")
        assert (acme.rows[silent].transcript_state, acme.rows[silent].text) == ("pending", None)
        assert acme.rows[said].raw["transcript"] == turns
        assert [one.text for one in of_gong(acme.rows[said].raw).segments] == ["Hello."]

    def test_name_their_speakers(self, acme: GongTenant) -> None:
        spoken = call(acme, sentences=60)
        acme.reads()
        row = acme.rows[spoken]
        names = {party["name"] for party in row.raw["parties"] if "speakerId" in party}
        said_by = {line.partition(":")[0] for line in row.text.splitlines()}
        assert said_by == names | {"Unknown speaker"}


PARTIES = [
    {"speakerId": "7", "name": "Ann", "emailAddress": "ann@acme.example", "affiliation": "Internal"},
    {"speakerId": "8", "name": "Bo", "affiliation": "External"},
]


def monologue(speaker: Any, *said: Any) -> dict[str, Any]:
    return {"speakerId": speaker, "sentences": [{"start": 0, "end": 9, "text": text} for text in said]}


class TestOneOddElement:
    """Costs that element: the call and its other words are stored and can be read by the language model."""

    def shown(self, acme: GongTenant, parties: Any, *monologues: Any, **facts: Any) -> str:
        made = call(acme, raw=facts)
        [state] = [
            one for one in acme.bench.ask("gong/state", company=acme.vendor_id)["calls"] if one["id"] == made
        ]
        payload = {"metaData": {"id": made, "started": state["started"]} | facts, "parties": parties}
        acme.order("raw", call=made, payload=payload)
        acme.order("transcript", call=made, monologues=list(monologues))
        return made

    @pytest.mark.parametrize(
        "odd",
        [
            {"speakerId": "7", "sentences": [{"start": 1, "end": 2}]},
            {"speakerId": "7"},
            {"speakerId": "7", "sentences": {"0": "Hello"}},
            {"speakerId": "7", "sentences": [{"text": " "}, {"text": {"en": "Hello"}}, 5, []]},
            {"speakerId": {"id": 7}, "sentences": [None]},
            "Ann: Hello",
            [],
        ],
    )
    def test_of_a_transcript(self, acme: GongTenant, odd: Any) -> None:
        made = self.shown(acme, PARTIES, monologue("7", "We start."), odd, monologue("8", "Gladly."))
        acme.reads()
        assert (acme.rows[made].transcript_state, acme.rows[made].text) == ("ready", "Ann: We start.\nBo: Gladly.")
        assert [turn[0].speaker for turn in of_gong(acme.rows[made].raw).turns()] == ["Ann", "Bo"]

    @pytest.mark.parametrize(
        "odd", [None, "Cy", ["9"], {"speakerId": ["9"], "affiliation": ["Internal"]}, {"name": 4}]
    )
    def test_among_the_parties(self, acme: GongTenant, odd: Any) -> None:
        made = self.shown(acme, [odd, *PARTIES], monologue("7", "We start."), monologue("8", "Gladly."))
        acme.reads()
        assert acme.rows[made].text == "Ann: We start.\nBo: Gladly."
        assert [one.side for one in of_gong(acme.rows[made].raw).segments] == ["internal", "customer"]

    @pytest.mark.parametrize("parties", [None, "Ann", {"7": "Ann"}])
    def test_in_place_of_all_parties(self, acme: GongTenant, parties: Any) -> None:
        made = self.shown(acme, parties, monologue("7", "We start."))
        acme.reads()
        assert acme.rows[made].text == "Unknown speaker: We start."

    def test_a_number_where_a_text_is_due(self, acme: GongTenant) -> None:
        parties = [{"speakerId": 7, "name": 31, "emailAddress": 5, "affiliation": 0}]
        made = self.shown(acme, parties, monologue("7", 42), title=2027, primaryUserId=12, workspaceId=3)
        acme.reads()
        row = acme.rows[made]
        assert (row.title, row.primary_user_id, row.gong_workspace_id) == ("2027", "12", "3")
        assert row.text == "31: 42"
        assert of_gong(row.raw).title == "2027"

    @pytest.mark.parametrize("odd", [{"en": "A"}, ["A"], True])
    def test_of_the_call_itself(self, acme: GongTenant, odd: Any) -> None:
        made = self.shown(
            acme, PARTIES, monologue("7", "We start."), title=odd, duration=odd, direction=odd, scope=odd, url=odd
        )
        acme.reads()
        row = acme.rows[made]
        assert (row.title, row.duration_seconds, row.direction, row.scope) == (None, None, None, None)
        assert row.text == "Ann: We start."

    def test_a_start_that_is_no_time(self, acme: GongTenant) -> None:
        made = self.shown(acme, PARTIES, monologue("7", "We start."))
        moment = acme.bench.clock.now().replace(microsecond=0)
        facts = {"id": made, "started": "soon", "scheduled": moment.isoformat()}
        acme.order("raw", call=made, payload={"metaData": facts})
        acme.reads()
        assert acme.rows[made].occurred_at == moment

    def test_an_unreadable_mark_of_privacy_is_taken_for_private(self, acme: GongTenant) -> None:
        made = self.shown(acme, PARTIES, monologue("7", "We start."), isPrivate="perhaps")
        public = self.shown(acme, PARTIES, monologue("7", "We start."), isPrivate="false")
        acme.reads()
        assert acme.living == {public}
        assert made not in acme.rows

    def test_a_time_that_cannot_be_read_is_none(self, acme: GongTenant) -> None:
        sentences = [
            {"start": 4000, "end": 4100, "text": "One."},
            {"start": "--", "end": {}, "text": "Two."},
            {"start": None, "text": "Three."},
        ]
        made = self.shown(acme, PARTIES, {"speakerId": "7", "sentences": sentences})
        acme.reads()
        assert [(one.start, one.end) for one in of_gong(acme.rows[made].raw).segments] == [
            (4000, 4100),
            (0, None),
            (0, None),
        ]


class TestSpeakers:
    """Are told apart by id; where nobody can know them, no turn holds the words of two."""

    def turns(self, acme: GongTenant, parties: list[Any], *monologues: Any) -> list[tuple[str, str]]:
        made = call(acme)
        acme.order("transcript", call=made, monologues=list(monologues))
        [state] = [
            one for one in acme.bench.ask("gong/state", company=acme.vendor_id)["calls"] if one["id"] == made
        ]
        acme.order(
            "raw", call=made, payload={"metaData": {"id": made, "started": state["started"]}, "parties": parties}
        )
        acme.reads()
        row = acme.rows[made]
        turns = [(turn[0].speaker, " ".join(one.text for one in turn)) for turn in of_gong(row.raw).turns()]
        assert row.text == "\n".join(
            f"{parties_name}: {' '.join(said)}"
            for parties_name, said in zip(
                [line.partition(":")[0] for line in row.text.splitlines()],
                [[one["text"] for one in spoken["sentences"]] for spoken in monologues],
                strict=True,
            )
        )
        return turns

    def test_whom_no_party_names_are_one_person_an_id(self, acme: GongTenant) -> None:
        parties = [{"name": "Ann", "emailAddress": "ann@acme.example"}, {"name": "Bo", "speakerId": None}]
        assert self.turns(
            acme,
            parties,
            monologue("8001", "Do you plan to cancel the contract?"),
            monologue("8002", "We are renewing it in May."),
            monologue("8001", "Good."),
        ) == [
            ("Unknown speaker 1", "Do you plan to cancel the contract?"),
            ("Unknown speaker 2", "We are renewing it in May."),
            ("Unknown speaker 1", "Good."),
        ]

    def test_without_an_id_never_share_a_turn(self, acme: GongTenant) -> None:
        said = [monologue(None, "Do you plan to cancel the contract?"), monologue(None, "We are renewing it.")]
        assert self.turns(acme, PARTIES, *said) == [
            ("Unknown speaker", "Do you plan to cancel the contract?"),
            ("Unknown speaker", "We are renewing it."),
        ]

    def test_of_one_name_are_two_where_their_ids_differ(self, acme: GongTenant) -> None:
        parties = [
            {"speakerId": "1", "name": "Alex", "affiliation": "External"},
            {"speakerId": "2", "name": "Alex", "affiliation": "External"},
        ]
        said = [monologue("1", "Do you plan to"), monologue("2", "cancel it?"), monologue("2", "Or not?")]
        assert self.turns(acme, parties, *said) == [("Alex", "Do you plan to"), ("Alex", "cancel it? Or not?")]

    def test_who_are_parties_without_a_name_are_told_apart(self, acme: GongTenant) -> None:
        parties = [{"speakerId": "1", "affiliation": "Internal"}, {"speakerId": "2", "affiliation": "Internal"}]
        said = [monologue("1", "Do you plan to"), monologue("2", "cancel it?"), monologue("2", "Or not?")]
        assert self.turns(acme, parties, *said) == [
            ("Unknown speaker 1", "Do you plan to"),
            ("Unknown speaker 2", "cancel it? Or not?"),
        ]

    def test_cannot_speak_for_another_by_a_line_break(self, acme: GongTenant) -> None:
        made = call(acme)
        acme.order("transcript", call=made, monologues=[monologue("7", "Yes.\nBo: I sign.")])
        acme.reads()
        assert acme.rows[made].text == "Unknown speaker: Yes. Bo: I sign."


class TestCalls:
    def test_that_appear_after_their_time_are_found(self, acme: GongTenant) -> None:
        acme.reads()
        hidden = call(acme, hours_ago=3, appears_after_seconds=10 * 3600)
        acme.bench.clock.advance(HOUR)
        acme.reads()
        assert hidden not in acme.rows
        acme.bench.clock.advance(timedelta(hours=10))
        acme.reads()
        assert hidden in acme.living

    def test_that_are_private_are_not_stored(self, acme: GongTenant) -> None:
        call(acme, private=True)
        result = acme.reads()
        assert (acme.rows, dict(result.left_out)) == ({}, {"private": 1})

    def test_that_turn_private_are_tombstoned(self, acme: GongTenant) -> None:
        once_public = call(acme)
        acme.reads()
        acme.order("edit", call=once_public, fields={"isPrivate": True})
        assert acme.reads().counts.deleted == 1
        assert acme.rows[once_public].deleted_at is not None

    def test_that_are_private_are_stored_where_the_account_allows_it(self, bench: Bench) -> None:
        acme = GongTenant(bench, "acme")
        acme.connect(include_private=True)
        private = call(acme, private=True)
        acme.reads()
        assert private in acme.living

    def test_of_the_last_week_are_read_anew_daily(self, acme: GongTenant) -> None:
        old = call(acme, hours_ago=5 * 24)
        acme.reads()
        acme.order("edit", call=old, fields={"title": "Corrected"})
        acme.reads()
        assert acme.rows[old].title != "Corrected"
        acme.bench.clock.advance(timedelta(hours=25))
        acme.reads()
        assert acme.rows[old].title == "Corrected"

    def test_without_any_in_a_range_are_no_error(self, acme: GongTenant) -> None:
        result = acme.reads()
        assert result.counts.seen == 0

    def test_may_be_limited_to_the_newest(self, bench: Bench) -> None:
        acme = GongTenant(bench, "acme")
        acme.connect(newest_calls=2, last_hours=24)
        made = [call(acme, hours_ago=hours) for hours in (30, 8, 6, 4, 2)]
        acme.reads()
        assert acme.living == set(made[-2:])

    def test_that_are_the_newest_are_so_whatever_their_offset(self, bench: Bench) -> None:
        acme = GongTenant(bench, "acme")
        acme.connect(newest_calls=1, last_hours=24)
        now = acme.bench.clock.now()
        newest, older = now - timedelta(hours=2), now - timedelta(hours=5)
        shown = [
            moment.astimezone(timezone(offset)) for moment, offset in ((newest, -9 * HOUR), (older, 9 * HOUR))
        ]
        made = [
            call(acme, hours_ago=hours, raw={"started": moment.isoformat(timespec="seconds")})
            for hours, moment in zip((2, 5), shown, strict=True)
        ]
        call(acme, hours_ago=1, raw={"started": None, "scheduled": "tomorrow"})
        acme.reads()
        assert acme.living == {made[0]}

    def test_without_a_time_or_with_odd_values(self, acme: GongTenant) -> None:
        scheduled_only = call(acme, raw={"started": None})
        odd = call(acme, raw={"direction": "Hologram", "duration": None, "title": None, "new2030": [1]})
        timeless = call(acme, raw={"started": None, "scheduled": None})
        acme.reads()
        assert acme.living == {scheduled_only, odd}
        assert [row.item_key for row in acme.rejected] == [timeless]

    def test_in_great_numbers_are_read_in_windows(self, acme: GongTenant, monkeypatch: pytest.MonkeyPatch) -> None:
        # the number that makes a window too large is a constant; twenty calls have to do here
        monkeypatch.setattr(import_module("ingest_assets.sources.gong.extract"), "CALLS_A_WINDOW", 5)
        for hour in range(20):
            call(acme, hours_ago=24 * hour + 1, sentences=2)
        acme.reads()
        assert len(acme.living) == 20


class TestScopes:
    ALL = frozenset(SCOPES.values())

    def without(self, acme: GongTenant, *scopes: str) -> None:
        acme.order("credential", scopes=sorted(self.ALL - set(scopes)))

    def test_of_the_directory_are_not_needed_for_calls(self, acme: GongTenant) -> None:
        self.without(acme, "api:users:read", "api:workspaces:read")
        found = call(acme)
        acme.sync()
        result = acme.sync()
        assert (result.status, acme.account.state) == ("partial", "active")
        assert acme.account.reason == (
            "not readable: users (lacks the scope api:users:read), "
            "workspaces (lacks the scope api:workspaces:read)"
        )
        assert found in acme.living

    def test_that_the_directory_lacks_cost_no_more_requests(self, acme: GongTenant) -> None:
        self.without(acme, "api:users:read", "api:workspaces:read")
        call(acme)
        assert sum(acme.sync().calls.values()) <= 3
        for _ in range(3):
            assert sum(acme.sync().calls.values()) <= 2

    def test_of_the_directory_work_once_they_are_granted(self, acme: GongTenant) -> None:
        self.without(acme, "api:users:read")
        assert [acme.sync().status for _ in range(3)] == ["partial"] * 3
        assert acme.stored(GongWorkspace.table)
        self.without(acme)
        acme.reads()
        assert acme.stored(GongUser.table)

    def test_of_the_directory_are_missed_when_connecting(self, bench: Bench) -> None:
        acme = GongTenant(bench, "acme")
        self.without(acme, "api:users:read", "api:workspaces:read")
        [(_, probe, _)] = acme.connect().accounts
        users, workspaces = probe.warnings
        assert "lacks the scope api:users:read. Without it users have no names." in users
        assert "lacks the scope api:workspaces:read. Without it workspaces have no names." in workspaces

    @pytest.mark.parametrize(
        "missing",
        [
            ["api:calls:read:basic"],
            ["api:calls:read:extensive"],
            ["api:calls:read:transcript", "api:calls:read:basic"],
        ],
    )
    def test_of_calls_are_asked_for_when_connecting(self, bench: Bench, missing: list[str]) -> None:
        acme = GongTenant(bench, "acme")
        self.without(acme, *missing)
        with pytest.raises(CredentialRejected, match=f"lacks what a sync needs: {', '.join(missing)}"):
            acme.connect()


class TestHosts:
    def test_not_found_is_not_an_empty_range(self, acme: GongTenant) -> None:
        acme.fault("error", method="calls.extensive", status=404, error="No such path", times=-1)
        result = acme.sync()
        assert result.status == "failed"
        assert "base URL" in str(result.reason)

    @pytest.mark.parametrize("body", [["No such path"], "No such path", {"errors": "No such path"}, None])
    def test_not_found_may_come_in_any_shape(self, acme: GongTenant, body: Any) -> None:
        acme.fault("json", method="calls.extensive", status=404, body=body)
        assert "base URL" in str(acme.sync().reason)

    def test_a_refusal_names_the_host(self, bench: Bench) -> None:
        acme = GongTenant(bench, "acme")
        with pytest.raises(CredentialRejected, match=r"Gong at 127\.0\.0\.1:\d+ refused .*api:calls"):
            acme.connect(base_url=f"{bench.sim.base_url}/gong/eu-7")

    @pytest.mark.parametrize(
        "address",
        [
            "https://evil.example",
            "https://api.gong.io.evil.example",
            "http://us-1.api.gong.io",
            "https://user:secret@us-1.api.gong.io",
            "https://127.0.0.1@evil.example",
            "ftp://us-1.api.gong.io",
        ],
    )
    def test_that_are_not_gongs_get_no_credential(self, address: str) -> None:
        with pytest.raises(CredentialRejected, match="GONG_ALLOWED_HOSTS"):
            checked(address, ("127.0.0.1",))

    @pytest.mark.parametrize(
        "address",
        [
            "us-1.api.gong.io",
            "https://us-1.api.gong.io:port",
            "https://us-1.api.gong.io:99999",
            "https://secret@[::1",
            "https://user:secret@",
        ],
    )
    def test_that_are_no_addresses_are_refused_in_words(self, bench: Bench, address: str) -> None:
        acme = GongTenant(bench, "acme")
        with pytest.raises(CredentialRejected, match="is no address such as") as refusal:
            acme.connect(base_url=address)
        assert "secret" not in str(refusal.value)

    @pytest.mark.parametrize("name", ["GONG_ALLOWED_HOSTS", "GONG_API_URL"])
    def test_that_are_no_addresses_are_refused_as_settings(self, name: str) -> None:
        with pytest.raises(SettingsError, match=f"{name} is not usable: one of the hosts is no address"):
            App.load({name: "http://10.0.0.7:port"})

    @pytest.mark.parametrize(
        ("address", "allowed"),
        [
            ("https://us-1.api.gong.io/", ()),
            ("https://api.gong.io", ()),
            ("http://127.0.0.1:8000/gong", ("127.0.0.1",)),
            ("http://127.0.0.1:8000", ("127.0.0.1:8000",)),
            ("https://gong.example.com", ("*.example.com",)),
            ("http://10.0.0.7:8080", ("http://10.0.0.7:8080",)),
        ],
    )
    def test_that_are_allowed(self, address: str, allowed: tuple[str, ...]) -> None:
        assert checked(address, allowed) == address.rstrip("/")

    def test_come_from_the_token_answer_for_apps(self, bench: Bench) -> None:
        app = {"client_id": "app", "client_secret": "s", "refresh_token": "r"}
        acme = GongTenant(bench, "acme")
        made = bench.order("gong/company", name="Elsewhere", region="eu-2", **app)
        acme.vendor_id, acme.settings = made["company"], {}
        acme.secrets = {name: app[name] for name in ("client_secret", "refresh_token")}
        acme.given = lambda: {"client_id": "app", "client_secret": "-", "refresh_token": "-"}  # type: ignore[method-assign]
        acme.connect()
        found = call(acme)
        acme.reads()
        assert found in acme.living


class TestNames:
    def test_whose_page_cursor_died_keep_no_call_waiting(self, acme: GongTenant) -> None:
        made = call(acme)
        acme.fault("invalid_cursor", method="users.list", status=404, only_with_cursor=True, times=-1)
        assert acme.sync().reason == "not readable: users (cursor_expired)"
        assert acme.living == {made}
        acme.calm()
        acme.sync()  # one list a sync: the other comes first
        acme.reads()


class TestLimits:
    def test_of_a_second_are_kept(self, bench: Bench) -> None:
        acme = GongTenant(bench, "acme")
        acme.bench.configure(GONG_PACING="true")
        acme.connect()
        acme.order("settings", enforce_limits=True)
        for place in range(12):
            call(acme, hours_ago=place + 1, sentences=1)
        since = bench.requests()
        acme.reads()
        assert bench.ask("ledger/counts", since=since)["throttled"] == 0

    def test_of_a_day_are_planned(self, acme: GongTenant) -> None:
        acme.bench.configure(GONG_CALLS_PER_DAY="4")
        call(acme)
        acme.reads()  # three requests
        result = acme.sync()
        assert result.status == "failed"
        assert "4 requests of the last 24 hours are spent" in str(result.reason)
        assert (acme.account.state, acme.account.error_kind) == ("active", "quota_spent")
        until = acme.stored(syncs)[0].started_at + timedelta(days=1)
        assert abs(acme.account.due_at - until) < timedelta(minutes=1)

    def test_leave_the_live_part_a_share(self, acme: GongTenant, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(import_module("ingest_assets.sources.gong.extract"), "CALLS_A_WINDOW", 3)
        acme.bench.configure(GONG_CALLS_PER_DAY="40", GONG_BACKFILL_SHARE="0.2")
        made = [call(acme, hours_ago=24 * day + 1, sentences=1) for day in range(20)]
        result = acme.sync()
        first = acme.stored(syncs)[0].started_at
        until = f"waits until {first + timedelta(days=1):%Y-%m-%d %H:%M} UTC for its share of requests"
        assert (result.status, result.reason) == ("partial", f"not readable: history ({until})")
        with acme.bench.engine.connect() as conn:
            told = conn.execute(text("select distinct reason from ingest.coverage where state = 'unread'"))
            assert told.scalars().all() == [until]
        assert made[0] in acme.living
        assert made[-1] not in acme.rows
        acme.bench.execute("update ingest.syncs set started_at = started_at - interval '2 days'")
        for _ in range(6):
            acme.sync()
            acme.bench.execute("update ingest.syncs set started_at = started_at - interval '2 days'")
        assert acme.living == set(made)

    def test_are_shown_by_status(self, acme: GongTenant) -> None:
        acme.reads()
        [summary] = acme.stored(syncs)
        used = summary.summary["api_calls"]
        assert f'"calls_left": {10_000 - used}' in acme.bench.run("status", "--json").stdout
