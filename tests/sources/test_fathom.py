"""Fathom's quirks: keys that see different things, pages that shift, late parts, limits told by headers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest

from ingest_assets.errors import SourceError
from ingest_assets.sources.fathom.transcript import of_fathom
from ingest_assets.storage.accounts import find_accounts, set_state
from ingest_assets.storage.schema import DISCONNECTED
from ingest_assets.storage.sightings import sightings
from tests.sources.tenants import FathomTenant
from tests.workbench import Bench

HOUR = timedelta(hours=1)
OAUTH = {"client_id": "app", "client_secret": "app-secret", "refresh_token": "refresh-0"}


@pytest.fixture
def acme(bench: Bench) -> FathomTenant:
    tenant = FathomTenant(bench, "acme")
    tenant.connect()
    return tenant


def meeting(acme: FathomTenant, **fields: Any) -> str:
    return str(acme.order("meeting", **{"hours_ago": 0.5, **fields})["recording"])


class TestSessions:
    def test_that_are_shared_weeks_later_are_read_within_a_week(self, acme: FathomTenant) -> None:
        meeting(acme)
        acme.reads()
        shared = meeting(acme, hours_ago=24 * 12)  # it begins to be listed
        acme.reads()
        assert shared not in acme.rows
        acme.bench.clock.advance(timedelta(days=7))
        acme.reads()
        assert acme.rows[shared].transcript_state == "ready"

    def test_whose_transcript_comes_36_hours_late_end_complete(self, acme: FathomTenant) -> None:
        late = meeting(acme, lines=["I was there all along."], transcript_after_seconds=36 * 3600)
        acme.reads()
        assert acme.rows[late].transcript_state == "pending"
        for _ in range(48):
            acme.bench.clock.advance(HOUR)
            acme.reads()
        assert acme.rows[late].transcript_state == "ready"
        assert "I was there all along." in acme.rows[late].text

    def test_may_hold_nulls_in_their_transcript(self, acme: FathomTenant) -> None:
        said, silent = meeting(acme), meeting(acme)
        utterances = [
            None,
            {"speaker": None, "text": None},
            {"speaker": {"display_name": "Ann"}, "text": "Hello."},
        ]
        acme.order("transcript", recording=int(said), utterances=utterances)
        acme.order("transcript", recording=int(silent), utterances=utterances[:2])
        acme.reads()
        assert (acme.rows[said].transcript_state, acme.rows[said].text) == ("ready", "Ann: Hello.")
        assert (acme.rows[silent].transcript_state, acme.rows[silent].text) == ("pending", None)
        assert [one.text for one in of_fathom(acme.rows[said].raw).segments] == ["Hello."]

    def test_bring_summary_and_action_items(self, acme: FathomTenant) -> None:
        made = meeting(acme, action_items=3)
        acme.reads()
        row = acme.rows[made]
        assert row.summary.startswith("## Summary")
        assert row.action_items == 3

    def test_of_the_last_week_are_read_anew_daily(self, acme: FathomTenant) -> None:
        made = meeting(acme, hours_ago=5 * 24)
        acme.reads()
        acme.order("summary", recording=int(made), markdown="## Corrected")
        acme.order("complete", recording=int(made))
        acme.bench.clock.advance(timedelta(hours=25))
        acme.reads()
        row = acme.rows[made]
        assert row.summary == "## Corrected"
        assert row.raw["action_items"][0]["completed"] is True

    def test_without_promised_fields_are_stored(self, acme: FathomTenant) -> None:
        raw = {"scheduled_start_time": None, "calendar_invitees_domains_type": "galaxy_wide", "new2030": [1]}
        odd = meeting(acme, raw=raw | {"recording_start_time": None, "recorded_by": None})
        acme.reads()
        assert odd in acme.living

    def test_that_begin_while_pages_are_read_do_not_shift_them(self, acme: FathomTenant) -> None:
        made = {meeting(acme, hours_ago=1 + place) for place in range(9)}
        acme.fault("slow", method="meetings.list", seconds=0.3, times=3)
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(acme.sync)
            while not acme.calls().get("meetings.list"):
                pass  # until the first page is asked for: the range's end is pinned by then
            meanwhile = [meeting(acme, hours_ago=-0.01) for _ in range(4)]
            assert running.result().status == "success"
        assert made <= acme.living
        acme.calm()
        acme.bench.clock.advance(HOUR)
        acme.reads()
        assert acme.living == made | set(meanwhile)

    def test_that_are_no_longer_shared_are_tombstoned(self, acme: FathomTenant) -> None:
        made = meeting(acme)
        acme.reads()
        acme.order("hide", recording=int(made), email="bob@vendor.example")
        assert acme.reads().counts.deleted == 1

    def test_that_are_listed_no_more_and_refused_are_not_taken_for_deleted(self, acme: FathomTenant) -> None:
        made = meeting(acme)
        acme.reads()
        acme.order("withhold", recording=int(made), part="transcript", status=403)
        acme.order("raw", recording=int(made), payload={"recording_id": 1, "created_at": "2026-01-01T00:00:00Z"})
        result = acme.sync()
        assert (result.status, result.counts.deleted) == ("partial", 0)
        assert result.reason == f"not readable: recording {made} (forbidden)"
        assert made in acme.living

    def test_that_were_deleted_before_their_transcript_came_are_not_looked_for_again(
        self, acme: FathomTenant
    ) -> None:
        late = meeting(acme, hours_ago=10, transcript_after_seconds=None)
        acme.reads()
        acme.order("delete", recording=int(late))
        acme.bench.clock.advance(timedelta(hours=12))
        acme.reads()
        assert acme.living == set()

    def test_may_be_limited_to_the_newest(self, bench: Bench) -> None:
        acme = FathomTenant(bench, "acme")
        acme.connect(newest_sessions=2, last_hours=24)
        made = [meeting(acme, hours_ago=hours) for hours in (30, 8, 6, 4, 2)]
        acme.reads()
        assert acme.living == set(made[-2:])

    def test_in_great_numbers_are_read_in_windows(
        self, acme: FathomTenant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # how many pages make a window too large is a constant; eight pages have to do here
        monkeypatch.setattr(import_module("ingest_assets.sources.fathom.extract"), "PAGES_A_WINDOW", 2)
        made = {meeting(acme, hours_ago=24 * day + 1, segments=1) for day in range(24)}
        acme.reads()
        assert acme.living == made


def utterance(name: Any, text: Any, email: Any = None, **more: Any) -> dict[str, Any]:
    speaker = {"display_name": name, "matched_calendar_invitee_email": email}
    return {"speaker": speaker, "text": text, "timestamp": "00:00:07"} | more


class TestOneOddElement:
    """Costs that element: the session and its other words are stored and can be read by the language model."""

    def shown(self, acme: FathomTenant, *utterances: Any, **fields: Any) -> str:
        made = meeting(acme, raw=fields)
        acme.order("transcript", recording=int(made), utterances=list(utterances))
        return made

    @pytest.mark.parametrize(
        "odd",
        [
            {"speaker": {"display_name": "Cy"}, "timestamp": "00:00:09"},
            {"speaker": {"display_name": "Cy"}, "text": ["Hello"]},
            {"text": "\t"},
            "Cy: Hello",
            [],
        ],
    )
    def test_of_a_transcript(self, acme: FathomTenant, odd: Any) -> None:
        made = self.shown(acme, utterance("Ann", "We start."), odd, utterance("Bo", "Gladly."))
        acme.reads()
        assert (acme.rows[made].transcript_state, acme.rows[made].text) == ("ready", "Ann: We start.\nBo: Gladly.")
        assert [turn[0].speaker for turn in of_fathom(acme.rows[made].raw).turns()] == ["Ann", "Bo"]

    @pytest.mark.parametrize("speaker", [None, 5, ["Ann"], {"display_name": ["Ann"]}, {}])
    def test_in_place_of_a_speaker(self, acme: FathomTenant, speaker: Any) -> None:
        made = self.shown(acme, utterance("Ann", "We start.", speaker=speaker), utterance("Bo", "Gladly."))
        acme.reads()
        assert acme.rows[made].text == "Unknown speaker: We start.\nBo: Gladly."
        assert len(of_fathom(acme.rows[made].raw).turns()) == 2

    @pytest.mark.parametrize("stamp", ["--:--", "", None, "soon", "1:2:3:4", -5, ["00:01"]])
    def test_of_a_time(self, acme: FathomTenant, stamp: Any) -> None:
        made = self.shown(acme, utterance("Ann", "We start."), utterance("Bo", "Gladly.", timestamp=stamp))
        acme.reads()
        assert [one.start for one in of_fathom(acme.rows[made].raw).segments] == [7000, 0]

    @pytest.mark.parametrize(
        ("stamp", "start"), [("01:02", 62_000), ("01:00:02.500", 3_602_000), (62, 62_000), ("62", 62_000)]
    )
    def test_of_a_time_may_be_written_otherwise(self, acme: FathomTenant, stamp: Any, start: int) -> None:
        made = self.shown(acme, utterance("Ann", "We start.", timestamp=stamp))
        acme.reads()
        assert [one.start for one in of_fathom(acme.rows[made].raw).segments] == [start]

    @pytest.mark.parametrize("odd", [None, "Bo", ["bo@them.example"], {"email": 7, "is_external": "perhaps"}])
    def test_among_the_invitees(self, acme: FathomTenant, odd: Any) -> None:
        bo = {"name": "Bo", "email": "bo@them.example", "is_external": True}
        made = self.shown(acme, utterance("Bo", "Gladly."), calendar_invitees=[odd, bo])
        acme.reads()
        assert [one.side for one in of_fathom(acme.rows[made].raw).segments] == ["customer"]

    @pytest.mark.parametrize(
        ("recorder", "stored"),
        [("eve@vendor.example", "eve@vendor.example"), ("Eve", None), (["eve@vendor.example"], None), (5, None)],
    )
    def test_in_place_of_who_recorded_it(self, acme: FathomTenant, recorder: Any, stored: str | None) -> None:
        made = self.shown(acme, utterance("Ann", "We start."), recorded_by=recorder)
        acme.reads()
        assert (acme.rows[made].recorded_by, acme.rows[made].text) == (stored, "Ann: We start.")
        assert len(of_fathom(acme.rows[made].raw).segments) == 1

    def test_of_a_time_of_creation_is_utc(self, acme: FathomTenant) -> None:
        moment = acme.bench.clock.now().replace(microsecond=0) - HOUR
        made = self.shown(acme, utterance("Ann", "We start."), created_at=moment.replace(tzinfo=None).isoformat())
        acme.reads()
        assert acme.rows[made].created_at == moment

    @pytest.mark.parametrize("odd", [5, {"at": 1}, "soon", None])
    def test_in_place_of_the_time_of_creation_is_that_of_the_recording(self, acme: FathomTenant, odd: Any) -> None:
        moment = acme.bench.clock.now().replace(microsecond=0) - HOUR
        made = self.shown(acme, utterance("Ann", "."), created_at=odd, recording_start_time=moment.isoformat())
        acme.reads()
        assert acme.rows[made].created_at == moment

    def test_of_the_session_itself(self, acme: FathomTenant) -> None:
        odd = {"title": 2027, "meeting_type": ["a"], "url": 5, "calendar_invitees": {"0": "Bo"}}
        made = self.shown(acme, utterance("Ann", "We start."), **odd)
        acme.reads()
        row = acme.rows[made]
        assert (row.title, row.meeting_type, row.url) == ("2027", None, "5")
        assert of_fathom(row.raw).title == "2027"

    @pytest.mark.parametrize("shape", [{"0": "Ann"}, "Ann: We start.", 5])
    def test_in_place_of_a_whole_part(self, acme: FathomTenant, shape: Any) -> None:
        made = meeting(acme)
        started = acme.bench.clock.now().isoformat()
        payload = {"recording_id": int(made), "created_at": started, "transcript": shape, "action_items": shape}
        acme.order("raw", recording=int(made), payload=payload | {"default_summary": ["## Summary"]})
        acme.reads()
        row = acme.rows[made]
        assert (row.transcript_state, row.summary, row.action_items) == ("pending", None, 0)


class TestSpeakers:
    """Are told apart by mail address, and by shown name only where nothing else is there."""

    def turns(self, acme: FathomTenant, *utterances: Any, invitees: Any = ()) -> list[tuple[str, str, str]]:
        made = meeting(acme, raw={"calendar_invitees": list(invitees)})
        acme.order("transcript", recording=int(made), utterances=list(utterances))
        acme.reads()
        turns = of_fathom(acme.rows[made].raw).turns()
        return [(turn[0].speaker, turn[0].side, " ".join(one.text for one in turn)) for turn in turns]

    def test_of_one_name_are_two_where_their_addresses_differ(self, acme: FathomTenant) -> None:
        said = [utterance("Alex", "Do you plan to", "a@x.example"), utterance("Alex", "cancel it?", "b@x.example")]
        assert [text for _, _, text in self.turns(acme, *said)] == ["Do you plan to", "cancel it?"]

    def test_of_one_address_are_one_whatever_they_are_called(self, acme: FathomTenant) -> None:
        said = [utterance("Ann", "Do you", "Ann@x.example"), utterance("Ann Lee", "plan it?", "ann@x.example")]
        assert [text for _, _, text in self.turns(acme, *said)] == ["Do you plan it?"]

    def test_without_a_name_are_shown_by_address(self, acme: FathomTenant) -> None:
        [(name, _, _)] = self.turns(acme, utterance(None, "Hello.", "a@x.example"))
        assert name == "a@x.example"

    def test_without_anything_never_share_a_turn(self, acme: FathomTenant) -> None:
        said = [utterance(None, "Do you plan to"), utterance("", "cancel it?")]
        assert [text for _, _, text in self.turns(acme, *said)] == ["Do you plan to", "cancel it?"]

    def test_of_a_name_that_two_invitees_have_may_be_either(self, acme: FathomTenant) -> None:
        invitees = [
            {"name": "Alex", "email": "alex@vendor.example", "is_external": False},
            {"name": "Alex", "email": "alex@acme.example", "is_external": True},
        ]
        said = [utterance("Alex", "Do you plan to"), utterance("Alex", "cancel it?")]
        assert self.turns(acme, *said, invitees=invitees) == [
            ("Alex", "unknown", "Do you plan to"),
            ("Alex", "unknown", "cancel it?"),
        ]

    def test_of_a_name_that_one_invitee_has_are_that_invitee(self, acme: FathomTenant) -> None:
        invitees = [{"matched_speaker_display_name": "Bo", "email": "bo@them.example", "is_external": True}]
        said = [utterance("Bo", "Do you"), utterance("Bo", "plan it?", "bo@them.example")]
        assert self.turns(acme, *said, invitees=invitees) == [("Bo", "customer", "Do you plan it?")]


class TestTwoKeys:
    def test_under_one_name_are_one_account_with_a_new_key(self, acme: FathomTenant) -> None:
        acme.order("user", api_key="another", email="eve@vendor.example", sees="all")
        done = acme.bench.run(
            "connect", "fathom", "--workspace", "acme", "--api-key", "env:ANOTHER", ANOTHER="another"
        )
        assert "Gave Fathom 'default' (default) of workspace acme a new login" in done.stdout
        assert acme.account.credential == {"api_key": {"env": "ANOTHER"}}

    def test_that_see_the_same_recording_store_it_once(self, acme: FathomTenant) -> None:
        made = {meeting(acme) for _ in range(3)}
        acme.order("user", api_key="another", email="eve@vendor.example", sees="all")
        acme.secrets = {"api_key": "another"}
        acme.connect(name="eve")
        with acme.bench.engine.connect() as conn:
            first, second = find_accounts(conn, source="fathom")
        acme.sync(first)
        result = acme.sync(second)
        assert acme.living == made
        assert result.counts.new == 0
        assert result.left_out == {"held by another account": 3}
        changed = min(made)
        acme.order("edit", recording=int(changed), fields={"title": "Another title"})
        acme.sync(second)
        assert acme.rows[changed].title != "Another title"
        with acme.bench.engine.begin() as conn:
            set_state(conn, [first.account_id], DISCONNECTED)
        acme.sync(second)  # what nobody else can keep in step is taken over
        assert acme.rows[changed].title == "Another title"
        assert acme.living == made

    def test_hand_a_session_to_the_one_that_still_sees_it(self, acme: FathomTenant) -> None:
        """And it is deleted once neither is shown it, within one sync of each."""
        kept, gone = meeting(acme), meeting(acme)
        acme.order("user", api_key="another", email="eve@vendor.example", sees="all")
        acme.secrets = {"api_key": "another"}
        acme.connect(name="eve")
        with acme.bench.engine.connect() as conn:
            first, second = find_accounts(conn, source="fathom")
        held = acme.bench.ask("fathom/state", org=acme.vendor_id)["meetings"][0]["visible_to"]
        [owner] = set(held) - {"eve@vendor.example"}
        for account in (first, second):
            acme.sync(account)
        for made in (kept, gone):
            acme.order("hide", recording=int(made), email=owner)
        assert acme.sync(first).counts.deleted == 0
        assert {acme.rows[made].account_id for made in (kept, gone)} == {second.account_id}
        acme.order("hide", recording=int(gone), email="eve@vendor.example")
        acme.bench.clock.advance(timedelta(days=2))  # beyond what each sync lists
        since = acme.bench.requests()
        acme.sync(second)
        assert acme.living == {kept}
        assert acme.stored(sightings) == []
        listed = acme.calls(since)["meetings.list"]
        since = acme.bench.requests()
        acme.sync(second)
        assert acme.calls(since)["meetings.list"] < listed  # it has looked
        acme.bench.clock.advance(timedelta(days=8))
        for account in (first, second):
            acme.sync(account)
        assert acme.living == {kept}


class TestAnApp:
    @pytest.fixture
    def acme(self, bench: Bench) -> FathomTenant:
        tenant = FathomTenant(bench, "acme")
        tenant.vendor_id = bench.order("fathom/org", id="apps", **OAUTH)["org"]
        tenant.secrets = {name: OAUTH[name] for name in ("client_secret", "refresh_token")}
        tenant.given = lambda: {"client_id": "app", "client_secret": "-", "refresh_token": "-"}  # type: ignore[method-assign]
        tenant.connect()
        return tenant

    def test_fetches_transcripts_and_summaries_apart(self, acme: FathomTenant) -> None:
        made = {meeting(acme) for _ in range(3)}
        acme.reads()
        assert acme.living == made
        assert all(row.text and row.summary for row in acme.rows.values())
        calls = acme.calls()
        assert (calls["recordings.transcript"], calls["recordings.summary"]) == (3, 3)
        acme.reads()
        assert acme.calls()["recordings.transcript"] == 3

    def test_keeps_a_transcript_without_a_summary_and_the_other_way_round(self, acme: FathomTenant) -> None:
        heard, summed_up = meeting(acme), meeting(acme)
        acme.order("withhold", recording=int(heard), part="summary", status=404)
        acme.order("withhold", recording=int(summed_up), part="transcript", status=404)
        assert acme.sync().reason == (
            f"not readable: summary of recording {heard} (not_found), "
            f"transcript of recording {summed_up} (not_found)"
        )
        assert (acme.rows[heard].transcript_state, acme.rows[heard].summary) == ("ready", None)
        assert (acme.rows[summed_up].transcript_state, acme.rows[summed_up].text) == ("pending", None)
        assert acme.rows[summed_up].summary

    def test_goes_on_past_a_recording_that_it_may_not_read(self, acme: FathomTenant) -> None:
        refused, other = meeting(acme), meeting(acme)
        for part in ("transcript", "summary"):
            acme.order("withhold", recording=int(refused), part=part, status=403)
        result = acme.sync()
        assert (result.status, acme.account.state) == ("partial", "active")
        assert result.reason == (
            f"not readable: summary of recording {refused} (forbidden), "
            f"transcript of recording {refused} (forbidden)"
        )
        assert {key: row.transcript_state for key, row in acme.rows.items()} == {
            refused: "pending",
            other: "ready",
        }
        acme.order("withhold", recording=int(refused), part="transcript", status=None)
        acme.order("withhold", recording=int(refused), part="summary", status=None)
        acme.bench.clock.advance(HOUR)
        acme.reads()
        assert acme.rows[refused].transcript_state == "ready"

    def test_keeps_what_it_holds_of_a_recording_that_it_may_no_longer_read(self, acme: FathomTenant) -> None:
        made = meeting(acme, hours_ago=5 * 24)
        acme.reads()
        before = acme.rows[made]
        for part in ("transcript", "summary"):
            acme.order("withhold", recording=int(made), part=part, status=403)
        acme.order("edit", recording=int(made), fields={"title": "Another title"})
        acme.bench.clock.advance(timedelta(hours=25))
        assert acme.sync().status == "partial"
        row = acme.rows[made]
        assert (row.title, row.transcript_state) == ("Another title", "ready")
        assert (row.text, row.summary) == (before.text, before.summary)

    def test_fetches_no_transcript_twice(self, acme: FathomTenant) -> None:
        meeting(acme, hours_ago=3 * 24)
        acme.reads()
        since = acme.bench.requests()
        acme.bench.clock.advance(timedelta(hours=25))
        acme.reads()
        counts = acme.calls(since)
        assert (counts.get("recordings.transcript", 0), counts["recordings.summary"]) == (0, 1)

    def test_reads_a_late_transcript(self, acme: FathomTenant) -> None:
        late = meeting(acme, transcript_after_seconds=3600 * 5)
        acme.reads()
        for _ in range(8):
            acme.bench.clock.advance(HOUR)
            acme.reads()
        assert acme.rows[late].transcript_state == "ready"


class TestLimits:
    @pytest.fixture
    def acme(self, bench: Bench) -> FathomTenant:
        bench.configure(FATHOM_PACING="true")
        tenant = FathomTenant(bench, "acme")
        tenant.connect()
        tenant.order("settings", enforce_limits=True)
        return tenant

    @pytest.mark.parametrize("heavy", [30, 5])
    def test_are_taken_from_the_headers(self, acme: FathomTenant, heavy: int) -> None:
        for place in range(30):
            meeting(acme, hours_ago=place + 1, segments=1)
        acme.order("settings", heavy_limit=heavy)
        since = acme.bench.requests()
        acme.reads()
        counts = acme.bench.ask("ledger/counts", since=since)
        # one refusal may come before the first header that tells of the lower limit
        assert counts["throttled"] <= (heavy < 30)
        assert len(acme.living) == 30


class TestAKey:
    def test_that_sees_nothing_is_told_by_every_sync_until_it_does(self, bench: Bench) -> None:
        acme = FathomTenant(bench, "acme")
        meeting(acme, visible_to=["somebody@vendor.example"])
        acme.connect()
        for _ in range(2):
            assert acme.sync().status == "partial"
            assert acme.account.reason.startswith("not readable: sessions (sees_none")
            covered = acme.bench.run("coverage", "--workspace", "acme")
            assert covered.returncode == 1
            assert "This login sees no session of the last 30 days." in covered.stdout
            acme.bench.clock.advance(HOUR)
        seen = meeting(acme, hours_ago=0.1)
        acme.reads()
        assert acme.living == {seen}
        assert acme.bench.run("coverage", "--workspace", "acme").returncode == 0

    def test_that_begins_with_a_quiet_day_is_looked_at_for_longer(self, bench: Bench) -> None:
        acme = FathomTenant(bench, "acme")
        meeting(acme, hours_ago=24 * 10)
        acme.connect(last_hours=24)
        acme.reads()
        assert acme.living == set()

    def test_that_saw_sessions_has_quiet_weeks(self, acme: FathomTenant) -> None:
        meeting(acme)
        acme.reads()
        for _ in range(2):
            acme.bench.clock.advance(timedelta(days=15))
            acme.reads()
        acme.bench.clock.advance(timedelta(days=16))
        assert acme.sync().reason == "not readable: sessions (sees_none)"

    def test_that_may_not_list_is_to_be_replaced(self, acme: FathomTenant) -> None:
        acme.fault("error", method="meetings.list", status=403, error="forbidden", times=-1)
        acme.sync()
        assert acme.account.state == "needs_reconnect"
        assert "Use the key of a user who may see the sessions" in acme.account.reason

    def test_that_is_answered_503_is_suspected(self, bench: Bench) -> None:
        acme = FathomTenant(bench, "acme")
        acme.fault("status", status=503, times=-1)
        with pytest.raises(SourceError, match="check the key"):
            acme.connect()

    @pytest.mark.parametrize(("status", "suspected"), [(503, True), (500, False)])
    def test_that_is_answered_503_later_is_suspected_too(
        self, acme: FathomTenant, status: int, suspected: bool
    ) -> None:
        acme.fault("status", status=status, times=-1)
        acme.sync()
        assert ("check the key" in acme.account.reason) == suspected
