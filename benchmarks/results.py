"""What was measured, against what it has to be."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Result:
    """One figure; without a target it is only shown."""

    name: str
    value: float
    unit: str
    target: str | None = None
    ok: bool | None = None

    def public(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def shown(self) -> str:
        exact = isinstance(self.value, int) or self.value.is_integer()
        return f"{self.value:,.0f}" if exact else f"{self.value:,.2f}"


def at_most(name: str, value: float, unit: str, limit: float) -> Result:
    return Result(name, value, unit, f"<= {limit:g}", value <= limit)


def at_least(name: str, value: float, unit: str, limit: float) -> Result:
    return Result(name, value, unit, f">= {limit:g}", value >= limit)


def below(name: str, value: float, unit: str, limit: float) -> Result:
    return Result(name, value, unit, f"< {limit:g}", value < limit)


def exactly(name: str, value: int, unit: str, wanted: int) -> Result:
    return Result(name, value, unit, f"= {wanted}", value == wanted)
