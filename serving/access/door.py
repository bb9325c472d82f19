"""The door: every request that is not open to all goes through it, and says who asks, or goes no further.

where only this machine gets in, and nothing is set → no door; elsewhere → keys, tokens, or `LECTERN_INSECURE` in so
many words
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from starlette.types import Scope

from contract.errors import SettingsRefused
from serving.access.caller import ALL, CALLER, Caller, Right, granted
from serving.access.credentials import credential_of, header_of
from serving.access.keys import PREFIX, find
from serving.access.recent import Recent
from serving.limiting.charging import RATES
from serving.negotiation import prefers
from serving.problems import Problem

if TYPE_CHECKING:
    from serving.access.followed import Followed
    from serving.access.keys import Keyring, Known
    from serving.access.rules import Asked
    from serving.access.tokens import Subject, Tokens
    from serving.limiting.rates import Rates
    from serving.metrics import Sheet
    from serving.settings import ServeSettings

LOOK_EVERY_S = 0.5
"""How often the files are looked at, so that what is revoked opens nothing two seconds later."""
_ANYBODY = granted({ALL: ("admin",)})
_WAYS = (
    "Make a key for each caller with `lectern keys add NAME --scope predict`, or say that anybody may ask: "
    "`--insecure` (LECTERN_INSECURE=true)."
)
_UNKNOWN = (
    "This service answers callers that it knows. Send a key as `Authorization: Bearer KEY`; "
    "who runs the service makes one with `lectern keys add`."
)


class _Way(NamedTuple):
    """A way to say who asks: what it is checked with, and how."""

    file: Followed[Any]
    finds: Callable[[bytes, Any, float], Known | Subject | None]


class Door:
    """Finds out who asks, and whether they may. Only the event loop goes through."""

    def __init__(
        self, keys: Followed[Keyring] | None = None, tokens: Tokens | None = None, rates: Rates | None = None
    ) -> None:
        """Hang a door.

        Args:
            keys: those of callers.
            tokens: what checks those of callers.
            rates: how often somebody may ask.
        """
        self._ways: dict[str, _Way] = {}
        if keys is not None:
            self._ways["key"] = _Way(keys, find)
        if tokens is not None:
            self._ways["token"] = _Way(tokens.keys, tokens.find)
        self.locked = bool(self._ways)
        """Whether who asks has to say who that is."""
        self._rates = rates
        self._counting = rates if rates and rates.of_requests else None
        self._recent = Recent()
        self._stopping = threading.Event()

    @classmethod
    def of(cls, settings: ServeSettings, sheet: Sheet | None = None) -> Door | None:
        """The door that the settings ask for; None where everybody may do everything as often as they like.

        What asks too often is counted on a `sheet`.

        Raises:
            SettingsRefused: they ask for none where there has to be one, or contradict each other.
            AccessRefused: what they name cannot be used.
        """
        from serving.limiting.rates import Rates

        keys, tokens = _keys(settings), _tokens(settings)
        rates = Rates.of(settings, sheet, keyed=keys is not None or tokens is not None)
        return cls(keys, tokens, rates) if rates else None  # with keys or tokens there are: wrong ones are counted

    @property
    def trouble(self) -> str:
        """What an operator should know."""
        told = [way.file.trouble for way in self._ways.values()] + [self._rates.trouble if self._rates else ""]
        return " ".join(filter(None, told))

    def start(self) -> None:
        """Begin to follow the files."""
        if self._ways:
            threading.Thread(target=self._follow, name="lectern-keys", daemon=True).start()

    async def stop(self) -> None:
        """Follow them no more, and let go of who counts with others."""
        self._stopping.set()
        if self._rates is not None:
            await self._rates.close()

    async def enter(self, scope: Scope, right: Right, model: str) -> Caller:
        """Let a caller in who may do something with a model, and keep in the scope who it is.

        Raises:
            Problem: it is not known who asks (401), they may not (403), or ask too often (429).
        """
        caller = self._caller(scope) or await self._turn_away(scope)
        if not caller.may(right, model):
            raise _forbidden(right, model)
        scope[CALLER] = caller
        if self._counting is not None:
            scope[RATES] = self._counting
            await self._counting.enter(caller, model)
        return caller

    def passes(self, scope: Scope, model: str) -> bool:
        """Let a caller in who may have rows of a model answered, if that takes no waiting; else nothing happens."""
        caller = self._caller(scope)
        if caller is None or not caller.may("predict", model):
            return False
        if self._counting is not None:
            if not self._counting.admits(caller):
                return False
            scope[RATES] = self._counting
        scope[CALLER] = caller
        return True

    async def admit(self, scope: Scope, asked: Asked) -> Caller:
        """The same for a request of any kind.

        Raises:
            Problem: it is not known who asks (401), they may not (403), or ask too often (429).
        """
        caller = self._caller(scope) or await self._turn_away(scope)
        if not asked.allows(caller):
            raise _forbidden(asked.right, asked.model)
        scope[CALLER] = caller
        if self._counting is not None:
            scope[RATES] = self._counting
            await self._counting.enter(caller, asked.model, rows=int(asked.predicts))
        return caller

    async def _turn_away(self, scope: Scope) -> NoReturn:
        """Count who showed something that is nobody's.

        Raises:
            Problem: always; 429 from somebody who tried too often, else 401.
        """
        if self._rates is not None and any(name == b"authorization" for name, _ in scope["headers"]):
            await self._rates.failed(_address(scope))
        raise _unknown(scope)

    def _caller(self, scope: Scope) -> Caller | None:
        """Who asks; None where it is nobody who is known."""
        address = _address(scope)
        if not self.locked:
            return Caller("", address, _ANYBODY)
        header, now = header_of(scope["headers"]), time.time()
        if header is None:
            return None
        return self._recent.find(header, address, now) or self._looked_up(header, address, now)

    def _looked_up(self, header: bytes, address: str, now: float) -> Caller | None:
        credential = credential_of(header) or b""
        kind = "key" if credential.startswith(PREFIX) else "token"
        if not credential or kind not in self._ways:
            return None
        file, finds = self._ways[kind]
        held = file.value  # the same to the end, whatever is read meanwhile
        known = finds(credential, held, now)
        if known is None:
            return None
        caller = Caller(known.name, address, known.rights, personal=kind == "token")
        self._recent.keep(header, caller, known.until, file, held)
        return caller

    def _follow(self) -> None:
        while not self._stopping.wait(LOOK_EVERY_S):
            for way in self._ways.values():
                way.file.look()


def _keys(settings: ServeSettings) -> Followed[Keyring] | None:
    if settings.insecure and (settings.keys or settings.tokens):
        raise SettingsRefused("LECTERN_INSECURE lets anybody ask, and keys or tokens are set: leave out one of them.")
    if not settings.locked or (settings.keys is None and settings.tokens):
        return None
    from serving.access.followed import Followed
    from serving.access.key_file import keyring, usual_file

    path = settings.keys or usual_file()
    if not path.exists() and not settings.local:
        raise SettingsRefused(f"On {settings.host} others reach this service, and nobody has a key yet. {_WAYS}")
    found: Followed[Keyring] = Followed(path, keyring, {})
    if not any(time.time() < key.until for key in found.value.values()) and not settings.tokens:
        raise SettingsRefused(f"{path} has no key that is valid, so nobody could ask. {_WAYS}")
    return found


def _tokens(settings: ServeSettings) -> Tokens | None:
    if settings.token_secret and settings.token_keys:
        raise SettingsRefused(
            "LECTERN_TOKEN_SECRET and LECTERN_TOKEN_KEYS are both set: tokens are of one family, leave out the other."
        )
    path = settings.token_secret or settings.token_keys
    if path is None:
        return None
    if not settings.token_audience or not settings.token_issuer:
        raise SettingsRefused(
            "Tokens say by whom and for whom they are: set LECTERN_TOKEN_ISSUER and LECTERN_TOKEN_AUDIENCE."
        )
    from serving.access.followed import Followed
    from serving.access.token_keys import read_public, read_secret
    from serving.access.tokens import Tokens, need_jwt

    need_jwt()
    read = read_secret if settings.token_secret else read_public
    return Tokens(Followed(path, read, ()), settings.token_audience, settings.token_issuer)


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


def _unknown(scope: Scope) -> Problem:
    """The same for whatever is wrong; a page makes the browser ask for the key."""
    accept = b",".join(value for name, value in scope["headers"] if name == b"accept").decode("latin-1")
    page = scope["method"] == "GET" and prefers(accept, "text/html", "application/json")
    asks = 'Basic realm="lectern", charset="UTF-8"' if page else 'Bearer realm="lectern"'
    return Problem(401, "unknown_caller", _UNKNOWN, headers={"www-authenticate": asks, "cache-control": "no-store"})


def _forbidden(right: Right, model: str) -> Problem:
    """The same whether there is such a model or not."""
    which = "all models" if model == ALL else "this model"
    told = f"Your key or token does not give the right to {right} {which}; who runs the service can change that."
    return Problem(403, "forbidden", told)
