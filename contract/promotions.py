"""Promotions: what was made live, when, by whom and why. What is live is the fold over them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BeforeValidator, Field, JsonValue, model_validator

from contract import showing
from contract.signature import Record

CHAMPION, CHALLENGER = "champion", "challenger"
ALIAS = "[a-z](?:[a-z0-9_-]{0,30}[a-z0-9])?"
_LONGEST = 1000


def one_line(text: Any) -> Any:
    """A text as a log may show it: on one line, without what a terminal would obey."""
    return showing.one_line(text)[:_LONGEST] if isinstance(text, str) else text


Line = Annotated[str, BeforeValidator(one_line)]
Version = Annotated[int, Field(ge=1, lt=10**9)]


class Promotion(Record):
    """One entry of the log."""

    promotion_format: Literal[1] = 1
    kind: Literal["promote", "rollback", "alias", "traffic", "keep", "prune"]
    """`keep` moves nothing: a candidate was compared with the champion and not promoted."""
    at: Annotated[AwareDatetime, Field(strict=False)]
    by: Line = ""
    reason: Line = ""
    alias: Annotated[str, Field(pattern=f"^(?:{ALIAS})?$")] = ""
    version: Version | None = None
    """What the alias points at from then on (None: at nothing any more), or which candidate was kept back."""
    before: Version | None = None
    """What it pointed at until then, or what the candidate was compared with."""
    share: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Percent of the champion's requests that the challenger answers."""
    shadow: bool = False
    """Whether the challenger answers copies."""
    versions: tuple[Version, ...] = ()
    """Which versions were deleted."""
    manifest_sha256: str = ""
    """The manifest of `version`, when it was tried: it loaded, and reproduced its golden rows."""
    gate: dict[str, JsonValue] | None = None
    """The comparison that decided."""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.kind in ("promote", "rollback") and (self.alias != CHAMPION or self.version is None):
            raise ValueError("promoting and rolling back make a version champion")
        if self.kind == "alias" and self.alias in ("", CHAMPION):
            raise ValueError("an alias has a name, and is not the champion")
        return self


@dataclass(frozen=True, slots=True)
class Deployment:
    """What is live of one model after some promotions."""

    number: int = 0
    """The last promotion; 0 where there is none, and the newest version is the champion."""
    aliases: Mapping[str, int] = field(default_factory=dict)
    champions: tuple[int, ...] = ()
    """Every version that rolling back leads to, the champion last."""
    share: float = 0.0
    shadow: bool = False
    pruned: frozenset[int] = frozenset()
    tried: Mapping[int, str] = field(default_factory=dict)
    """The SHA-256 of the manifest of each version that was tried when it was promoted."""
    damaged: tuple[int, ...] = ()
    """Promotions that cannot be read, or are gone (of several in a row the last one)."""

    def champion(self, versions: Iterable[int]) -> int | None:
        """The version that answers; the newest of `versions` where there is no log."""
        return self.aliases.get(CHAMPION) if self.number else max(versions, default=None)

    def after(self, promotion: Promotion) -> Deployment:
        """What is live once one more promotion has been made."""
        following = replace(self, number=self.number + 1)
        version, alias = promotion.version, promotion.alias
        match promotion.kind:
            case "keep":
                return following
            case "prune":
                gone = frozenset(promotion.versions)
                kept = [number for number in self.champions if number not in gone]
                champions = tuple(number for number, _ in groupby(kept))
                tried = {number: digest for number, digest in self.tried.items() if number not in gone}
                return replace(following, pruned=self.pruned | gone, champions=champions, tried=tried)
            case "traffic":
                return replace(following, share=promotion.share, shadow=promotion.shadow)
        aliases = {name: number for name, number in self.aliases.items() if name != alias}
        if version is not None:
            aliases[alias] = version
            if promotion.manifest_sha256:
                following = replace(following, tried={**self.tried, version: promotion.manifest_sha256})
        if alias == CHALLENGER:  # who was compared is another one
            return replace(following, aliases=aliases, share=0.0, shadow=False)
        if alias != CHAMPION or version is None:
            return replace(following, aliases=aliases)
        if aliases.get(CHALLENGER) == version:
            del aliases[CHALLENGER]
        following = replace(following, aliases=aliases, share=0.0, shadow=False)
        return replace(following, champions=_led_to(self.champions, promotion))


def _led_to(champions: tuple[int, ...], promotion: Promotion) -> tuple[int, ...]:
    """The champions so far, once `promotion.version` is the last of them."""
    version, before = promotion.version, promotion.before
    assert version is not None  # the champion moved
    if promotion.kind == "rollback" and version in champions:
        at = len(champions) - 1 - champions[::-1].index(version)
        return champions[: at + 1]
    earlier = champions or ((before,) if before is not None and promotion.kind == "promote" else ())
    return earlier if earlier[-1:] == (version,) else (*earlier, version)


def told(promotion: Promotion) -> str:
    """A promotion in one line: what it changed, who made it, when and why."""
    why = f": {promotion.reason}" if promotion.reason else ""
    when = f"{promotion.at:%Y-%m-%d %H:%M:%S %Z}"
    return f"{changed(promotion)}, by {promotion.by or 'somebody'} at {when}{why}"


def changed(promotion: Promotion) -> str:
    """What a promotion changed."""
    version, alias, before = promotion.version, promotion.alias, promotion.before
    instead = f" instead of {before}" if before is not None else ""
    match promotion.kind:
        case "keep":
            return f"version {version} was not promoted{' over ' + str(before) if before is not None else ''}"
        case "prune":
            return f"deleted {_listed(promotion.versions)}"
        case "traffic":
            return f"the challenger answers {_parts(promotion)}"
        case "rollback":
            return f"rolled back to version {version}{instead}"
    return (
        f"{alias} points at nothing any more{instead}" if version is None else f"{alias} is version {version}{instead}"
    )


def _parts(promotion: Promotion) -> str:
    """What the challenger answers."""
    if not promotion.share:
        return "copies of the requests" if promotion.shadow else "no requests any more"
    return f"{promotion.share:g} % of the requests{', and copies of the others' if promotion.shadow else ''}"


def _listed(versions: Iterable[int]) -> str:
    found = sorted(versions)
    return f"version {found[0]}" if len(found) == 1 else f"versions {', '.join(map(str, found))}"
