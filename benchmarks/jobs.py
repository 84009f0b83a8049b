"""What is measured of Gong, Fathom and Gmail."""

from benchmarks import mail
from benchmarks.source import Job
from benchmarks.stage import Simulator
from ingest_assets.sources.fathom import FATHOM
from ingest_assets.sources.gmail import GMAIL
from ingest_assets.sources.gong import GONG

SPAN_HOURS = 25 * 24
MAILBOX = "bench@vendor.example"
BODY_BYTES = 4000  # of plain text; some messages have as much HTML beside it
UNITS_A_THREAD, UNITS_A_MINUTE = 40, 6000
HEAVY_A_MINUTE = 30
GONG_A_SECOND = 3
MINUTE = 60.0


def _company(simulator: Simulator, calls: int) -> dict[str, str]:
    simulator.order("/reset")
    made = simulator.order(
        "/gong/company",
        access_key="bench-key",
        access_key_secret="bench-secret",  # noqa: S106  of the simulator
        calls=calls,
        sentences=200,
        span_hours=SPAN_HOURS,
    )
    return {"company": made["company"]}


def _org(simulator: Simulator, meetings: int) -> dict[str, str]:
    simulator.order("/reset")
    made = simulator.order(
        "/fathom/org",
        api_key="bench-key",
        meetings=meetings,
        segments=200,
        span_hours=SPAN_HOURS,
        ends_hours_ago=2,
    )
    return {"org": made["org"]}


def _mailbox(simulator: Simulator, threads: int) -> dict[str, str]:
    simulator.order("/reset")
    simulator.order(
        "/gmail/mailbox",
        email=MAILBOX,
        refresh_token="bench-refresh",  # noqa: S106  of the simulator
        client_secret="bench-secret",  # noqa: S106  of the simulator
        threads=threads,
        messages=3,
        body_bytes=BODY_BYTES,
        span_hours=SPAN_HOURS,
    )
    return {"mailbox": MAILBOX}


JOBS = {
    "gong": Job(
        source=GONG,
        yardstick="bare_gong",
        found=_company,
        environ=lambda simulator: {
            "GONG_API_URL": f"{simulator.url}/gong/us-1",
            "GONG_PACING": "false",
        },
        secrets={"BENCH_GONG_KEY": "bench-key", "BENCH_GONG_SECRET": "bench-secret"},
        given={"access_key": "env:BENCH_GONG_KEY", "access_key_secret": "env:BENCH_GONG_SECRET"},
        items="calls",
        few=50,
        first_calls=3,
        next_calls=2,
        many=500,
        count_bare="select count(*) from calls",
        paced=1000,
        least_seconds=lambda requests: (requests - GONG_A_SECOND) / GONG_A_SECOND,
    ),
    "fathom": Job(
        source=FATHOM,
        yardstick="bare_fathom",
        found=_org,
        environ=lambda simulator: {
            "FATHOM_API_URL": f"{simulator.url}/fathom/external/v1",
            "FATHOM_PACING": "false",
        },
        secrets={"BENCH_FATHOM_KEY": "bench-key"},
        given={"api_key": "env:BENCH_FATHOM_KEY"},
        items="sessions",
        few=50,
        # pages but the last are read twice (`paging.numbered_pages`): five take 9 calls, thirty 59, of which the
        # 29 that the yardstick does not make are 18 % of the CPU
        first_calls=9,
        cpu_limit=3.5,
        next_calls=2,
        many=300,
        count_bare="select count(*) from sessions",
        paced=400,
        least_seconds=lambda requests: (requests - 1) // HEAVY_A_MINUTE * MINUTE,
    ),
    "gmail": Job(
        source=GMAIL,
        yardstick="bare_gmail",
        found=_mailbox,
        environ=lambda simulator: {
            "GMAIL_API_URL": f"{simulator.url}/gmail/",
            "GOOGLE_TOKEN_URL": f"{simulator.url}/gmail/token",
            "GMAIL_PACING": "false",
        },
        secrets={"BENCH_GMAIL_SECRET": "bench-secret", "BENCH_GMAIL_REFRESH": "bench-refresh"},
        given={
            "client_id": "client",
            "client_secret": "env:BENCH_GMAIL_SECRET",
            "refresh_token": "env:BENCH_GMAIL_REFRESH",
        },
        items="threads",
        few=200,
        parts="parts_gmail",
        first_calls=7,
        next_calls=1,
        many=1000,
        count_bare="select count(*) from threads",
        paced=200,
        least_seconds=lambda _requests: 200 * UNITS_A_THREAD // UNITS_A_MINUTE * MINUTE,
        more=mail.figures,
    ),
}
