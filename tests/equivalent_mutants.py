"""Mutants that are the same program for whoever looks at it, by module: what stands there, what would, and why."""

HOUR = "whether a moment of exactly an hour is long ago"
NAME = "a name that nobody else has, with more or fewer letters"
BYTES = "two bytes that should not be there are as many as one"
SHOWN = "what nobody shows"
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
    },
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
    "serving/access/key_file.py": {
        ("first = error.errors(include_url=False, include_input=False)[0]", f"first = error.errors({flags})[0]"): SHOWN
        for flags in ("include_url=True, include_input=False", "include_url=False, include_input=True")
    },
    "serving/access/tokens.py": {
        (
            'options={"require": ["exp", "aud", "iss"], "enforce_minimum_key_length": True},',
            'options={"require": ["exp", "aud", "iss"], "enforce_minimum_key_length": False},',
        ): "a second look: keys that are too short are refused when they are read"
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
            "if isinstance(loaded, Graph) and not predictor.cheap and threads > 0:",
        ): "the same graph once more, with the one thread that it has"
    },
}
