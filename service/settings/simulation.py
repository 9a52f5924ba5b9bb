"""The TOML file of ``countersign simulate --model``, checked whole."""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from service.domain.plan import SenderKind
from service.settings.sources import SettingsError, explain, read_toml
from service.simulation.model import (
    Behaviour,
    Carrier,
    Country,
    Incident,
    Model,
    People,
    Reports,
    Spread,
)

_Share = Annotated[float, Field(ge=0, le=1)]
_Spread = tuple[
    Annotated[float, Field(gt=0, le=86_400)],
    Annotated[float, Field(ge=0, le=3)],
]
_ALL_SHARES = 1e-6


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Reports(_Table):
    delivered: _Share
    failed: _Share
    unconfirmed: _Share

    @model_validator(mode="after")
    def _at_most_all(self) -> "_Reports":
        if self.delivered + self.failed + self.unconfirmed > 1 + _ALL_SHARES:
            raise ValueError("delivered, failed and unconfirmed are more than 1 together")
        return self

    def value(self) -> Reports:
        return Reports(self.delivered, self.failed, self.unconfirmed)


class _Changes(_Table):
    """Some fields of a behaviour."""

    refused: _Share | None = None
    arrives: _Share | None = None
    takes: _Spread | None = None
    reported: _Reports | None = None
    lost_reported: _Reports | None = None
    report_takes: _Spread | None = None
    cost: Annotated[float, Field(ge=0, le=1_000)] | None = None

    def values(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in _Changes.model_fields:
            value = getattr(self, name)
            if isinstance(value, _Reports):
                value = value.value()
            elif isinstance(value, tuple):
                value = Spread(*value)
            if value is not None:
                found[name] = value
        return found


class _Behaviour(_Changes):
    @model_validator(mode="after")
    def _is_whole(self) -> "_Behaviour":
        missing = set(_Changes.model_fields) - self.values().keys()
        if missing:
            raise ValueError(f"lacks {', '.join(sorted(missing))}")
        return self


class _Carrier(_Table):
    share: _Share
    lost: Annotated[float, Field(ge=0, le=100)] = 1
    slow: Annotated[float, Field(gt=0, le=100)] = 1


class _Country(_Table):
    share: _Share
    carriers: Annotated[dict[str, _Carrier], Field(min_length=1)]
    kinds: dict[SenderKind, _Changes] = {}
    senders: dict[str, _Changes] = {}

    @model_validator(mode="after")
    def _carriers_are_all(self) -> "_Country":
        if sum(carrier.share for carrier in self.carriers.values()) <= 0:
            raise ValueError("carriers: the shares are all 0")
        return self


class _Incident(_Changes):
    begins: Annotated[float, Field(ge=0)]
    ends: Annotated[float, Field(ge=0)]
    country: str | None = None
    kind: SenderKind | None = None
    sender: str | None = None


class _People(_Table):
    logins: Annotated[float, Field(ge=1, le=100)]
    hours: Annotated[float, Field(gt=0, le=24 * 31)]
    types: _Share
    mistypes: _Share
    reads: _Spread
    patience: _Spread
    resends: Annotated[int, Field(ge=0, le=9)]
    no_sms: _Share


class _Model(_Table):
    people: _People
    kinds: dict[SenderKind, _Behaviour]
    countries: Annotated[
        dict[Annotated[str, Field(pattern=r"^[A-Z]{2}$")], _Country], Field(min_length=1)
    ]
    incidents: list[_Incident] = []

    @model_validator(mode="after")
    def _is_whole(self) -> "_Model":
        if missing := set(SenderKind) - self.kinds.keys():
            raise ValueError(f"kinds lacks {', '.join(sorted(missing))}")
        if sum(country.share for country in self.countries.values()) <= 0:
            raise ValueError("countries: the shares are all 0")
        return self


def load_model(path: Path | None) -> Model:
    """The model in a file, or the one that comes with Countersign.

    Raises:
        SettingsError: naming every fault.
    """
    if path is None:
        with resources.as_file(resources.files("service.simulation") / "model.toml") as shipped:
            values = read_toml(shipped)
    else:
        values = read_toml(path)
    try:
        return _model(_Model.model_validate(values))
    except ValidationError as error:
        raise SettingsError(explain(error, path)) from None


def _model(found: _Model) -> Model:
    people = found.people.model_dump() | {
        "reads": Spread(*found.people.reads),
        "patience": Spread(*found.people.patience),
    }
    return Model(
        people=People(**people),
        kinds={kind: Behaviour(**one.values()) for kind, one in found.kinds.items()},
        countries=[_country(code, one, found.kinds) for code, one in found.countries.items()],
        incidents=[
            Incident(i.begins, i.ends, i.values(), i.country, i.kind, i.sender)
            for i in found.incidents
        ],
    )


def _country(code: str, found: _Country, kinds: Mapping[SenderKind, _Behaviour]) -> Country:
    here = {
        kind: Behaviour(
            **{**one.values(), **(found.kinds[kind].values() if kind in found.kinds else {})}
        )
        for kind, one in kinds.items()
    }
    return Country(
        code,
        found.share,
        [Carrier(name, c.share, c.lost, c.slow) for name, c in found.carriers.items()],
        here,
        {name: one.values() for name, one in found.senders.items()},
    )
