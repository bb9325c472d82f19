"""Mutants that are the same program for whoever looks at it, by module: what stands there, what would, and why."""

HOUR = "whether a moment of exactly an hour, or about a second more or less, is long ago"
NAME = "a name that nobody else has, with more or fewer letters"
BYTES = "two bytes that should not be there are as many as one"
SHOWN = "what nobody shows"
ALIKE = "there are as many of the one as of the other"
MANY = "how many are remembered, of which one more or less is as good"
EQUIVALENT: dict[str, dict[tuple[str, str], str]] = {
    "contract/staging.py": {
        (
            'folder = root / f"{PREFIX}{_host()}-{os.getpid()}-{secrets.token_hex(6)}"',
            f'folder = root / f"{{PREFIX}}{{_host()}}-{{os.getpid()}}-{{secrets.token_hex( {number})}}"',
        ): NAME
        for number in (5, 7)
    }
    | {
        (
            'return re.sub(r"[^A-Za-z0-9.]", "_", platform.node())[:40]',
            f'return re.sub(r"[^A-Za-z0-9.]", "_", platform.node())[: {number}]',
        ): "how much of a machine's name is enough to know it"
        for number in (39, 41)
    }
    | {
        (
            "old = time.time() - folder.stat().st_mtime > ABANDONED_AFTER_S",
            "old = time.time() - folder.stat().st_mtime >= ABANDONED_AFTER_S",
        ): HOUR
    }
    | {("ABANDONED_AFTER_S = 3600", f"ABANDONED_AFTER_S = {seconds}"): HOUR for seconds in (3_599, 3_601)},
    "contract/promotion_log.py": {
        (
            'beside = self.folder / f"{_BEING_WRITTEN}{number}-{os.getpid()}-{secrets.token_hex(6)}"',
            f'beside = self.folder / f"{{_BEING_WRITTEN}}{{number}}-{{os.getpid()}}-{{secrets.token_hex( {number})}}"',
        ): NAME
        for number in (5, 7)
    }
    | {
        (
            "if time.time() - path.stat().st_mtime > _ABANDONED_AFTER_S:",
            "if time.time() - path.stat().st_mtime >= _ABANDONED_AFTER_S:",
        ): HOUR,
        ("_ABANDONED_AFTER_S = 3600", "_ABANDONED_AFTER_S = 3599"): HOUR,
        ("_ABANDONED_AFTER_S = 3600", "_ABANDONED_AFTER_S = 3601"): HOUR,
        ("content = file.read(MAX_BYTES + 1)", "content = file.read(MAX_BYTES + 2)"): BYTES,
    },
    "contract/artifact.py": {
        ("left = size + 1", "left = size + 2"): BYTES,
    },
    "contract/manifest.py": {
        (
            "twice = Counter(key for key, _ in pairs).most_common(1)[0][0]",
            f"twice = Counter(key for key, _ in pairs).most_common{after}",
        ): "the first of two, or the only one from its end"
        for after in ("( 2)[0][0]", "(1)[ -1][0]")
    }
    | {
        (
            "first = error.errors(include_url=False, include_input=False, include_context=False)[0]",
            f"first = error.errors({flags})[0]",
        ): SHOWN
        for flags in (
            "include_url=True, include_input=False, include_context=False",
            "include_url=False, include_input=True, include_context=False",
            "include_url=False, include_input=False, include_context=True",
        )
    },
    "contract/names.py": {
        (
            'return shown if len(shown) <= 80 else f"{shown[:76]}…{shown[0]}"',
            'return shown if len(shown) <= 80 else f"{shown[:76]}…{shown[ -1]}"',
        ): "the quotes around a text are alike"
    },
    "serving/access/key_file.py": {
        (
            'model_config = ConfigDict(frozen=True, extra="forbid", strict=True)',
            'model_config = ConfigDict(frozen=False, extra="forbid", strict=True)',
        ): "nobody tries to change a key, as the type checker knows"
    }
    | {
        ("first = error.errors(include_url=False, include_input=False)[0]", f"first = error.errors({flags})[0]"): SHOWN
        for flags in ("include_url=True, include_input=False", "include_url=False, include_input=True")
    },
    "serving/access/tokens.py": {
        (
            'options={"require": ["exp", "aud", "iss"], "enforce_minimum_key_length": True},',
            'options={"require": ["exp", "aud", "iss"], "enforce_minimum_key_length": False},',
        ): "a second look: keys that are too short are refused when they are read"
    },
    "serving/access/door.py": {("LOOK_EVERY_S = 0.5", "LOOK_EVERY_S = 1.5"): "often enough for two seconds"},
    "serving/access/recent.py": {("MOST = 10_000", f"MOST = {number}"): MANY for number in (9_999, 10_001)},
    "serving/limiting/rates.py": {
        (
            'return f"subject {name}" if personal else f"key {name}"',
            'return f"subject {name}" if not personal else f"key {name}"',
        ): "two names that differ from each other",
    }
    | {("_MOST_ASKS = 10_000", f"_MOST_ASKS = {number}"): MANY for number in (9_999, 10_001)},
    "serving/limiting/settings.py": {("@classmethod", ""): "pydantic makes a validator one where nobody says it"},
    "serving/limiting/shared.py": {
        ("_TOGETHER = 200", f"_TOGETHER = {number}"): "how much is asked in one go, and the rest in the next"
        for number in (199, 201)
    }
    | {
        (
            'return blake2b(who.encode(errors="surrogatepass"), digest_size=16).hexdigest()',
            f'return blake2b(who.encode(errors="surrogatepass"), digest_size= {number}).hexdigest()',
        ): "a digest that nobody else has, a byte shorter or longer"
        for number in (15, 17)
    }
    | {
        (f"for {names} in zip({lists}, strict=True){end}", f"for {names} in zip({lists}, strict=False){end}"): ALIKE
        for names, lists, end in (("(_, future), refused", "some, found", ":"), ("asks, one", "several, said", ""))
    },
    "serving/limiting/windows.py": {("MOST = 100_000", f"MOST = {number}"): MANY for number in (99_999, 100_001)}
    | {
        ("break", "continue"): "what is enough stays enough",
        (
            "for part, count in zip(self.parts, self.counts, strict=True):",
            "for part, count in zip(self.parts, self.counts, strict=False):",
        ): ALIKE,
    },
    "contract/formats/pickles.py": {
        (
            "if unpickler.read(1):",
            "if unpickler.read( 2):",
        ): BYTES,
    },
    "serving/loading.py": {
        (
            "if isinstance(loaded, Graph) and not predictor.cheap and threads > 1:",
            f"if isinstance(loaded, Graph) and not predictor.cheap and threads {beyond}:",
        ): "the same graph once more, with the one thread that it has"
        for beyond in ("> 0", ">= 1")
    }
    | {
        ("replies.documents(example)[0],", "replies.documents(example)[ -1],"): "the only one",
    },
}
