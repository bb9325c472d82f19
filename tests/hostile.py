"""Pickles that do what no model should: each only touches one file, if whoever reads it lets it."""

from __future__ import annotations

import copy
import functools
import io
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import numpy as np
from joblib.numpy_pickle import NumpyArrayWrapper

from tests.live import Unpickled

HEAD, STOP, REDUCE, MEMOIZED = b"\x80\x04", b".", b"R", b"h\x2a"
Payload = Callable[[Path], bytes]


def thing(value: Any) -> bytes:
    """The opcodes that put a plain value on the stack."""
    return pickle.dumps(value, protocol=2)[2:-1]


def found(module: str, name: str) -> bytes:
    """The opcodes that look a name up."""
    return thing(module) + thing(name) + pickle.STACK_GLOBAL


def called(function: bytes, *arguments: bytes) -> bytes:
    """The opcodes that call what those of `function` find."""
    return function + b"(" + b"".join(arguments) + b"t" + REDUCE


def calls(module: str, name: str, *arguments: Any) -> bytes:
    """A pickle that calls a function by its name."""
    return HEAD + called(found(module, name), *map(thing, arguments)) + STOP


def shell(marker: Path) -> str:
    return f"touch {marker}"


def code(marker: Path) -> str:
    return f"open({str(marker)!r}, 'w').close()"


def system(marker: Path) -> Unpickled:
    return Unpickled(os.system, shell(marker))


def script(marker: Path) -> str:
    """The path of a module that touches the marker."""
    path = marker.with_name("touches.py")
    path.write_text(code(marker))
    return str(path)


def _dumped(value: Any) -> bytes:
    file = io.BytesIO()
    joblib.dump(value, file)
    return file.getvalue()


def _wrapper(marker: Path) -> bytes:
    wrapper = NumpyArrayWrapper(np.ndarray, (1,), "C", np.dtype(object))
    wrapper.shape = system(marker)
    return pickle.dumps(wrapper)


def _distribution(marker: Path) -> bytes:
    """A distribution keeps source code in its state, and runs it when it is given it."""
    from scipy.stats import norm

    forged = copy.copy(norm)
    forged._parse_arg_template = code(marker)
    return pickle.dumps(forged)


def _imported(module: str) -> bytes:
    return called(found("importlib", "import_module"), thing(module))


def _attribute(owner: bytes, name: str) -> bytes:
    return called(found("builtins", "getattr"), owner, thing(name))


def _pickled(opcodes: bytes, head: bytes = HEAD) -> bytes:
    return head + opcodes + STOP


_SYSTEM = found("os", "system")
ALIVE: dict[str, Payload] = {
    "os.system": lambda m: calls("os", "system", shell(m)),
    "posix.system": lambda m: calls("posix", "system", shell(m)),
    "os.popen": lambda m: calls("os", "popen", shell(m)),
    "os.spawnvp": lambda m: calls("os", "spawnvp", 0, "touch", ["touch", str(m)]),
    "os.mkdir": lambda m: calls("os", "mkdir", str(m)),
    "subprocess.call": lambda m: calls("subprocess", "call", ["touch", str(m)]),
    "subprocess.check_output": lambda m: calls("subprocess", "check_output", ["touch", str(m)]),
    "subprocess.getoutput": lambda m: calls("subprocess", "getoutput", shell(m)),
    "builtins.eval": lambda m: calls("builtins", "eval", code(m)),
    "builtins.exec": lambda m: calls("builtins", "exec", code(m)),
    "builtins.open": lambda m: calls("builtins", "open", str(m), "w"),
    "compile, then exec": lambda m: _pickled(
        called(
            found("builtins", "exec"), called(found("builtins", "compile"), thing(code(m)), thing("x"), thing("exec"))
        )
    ),
    "the names of Python 2": lambda m: _pickled(b"c__builtin__\neval\n" + b"(" + thing(code(m)) + b"tR", b"\x80\x02"),
    "getattr of an imported module": lambda m: _pickled(called(_attribute(_imported("os"), "system"), thing(shell(m)))),
    "operator.attrgetter": lambda m: _pickled(
        called(called(called(found("operator", "attrgetter"), thing("system")), _imported("os")), thing(shell(m)))
    ),
    "operator.methodcaller": lambda m: _pickled(
        called(called(found("operator", "methodcaller"), thing("system"), thing(shell(m))), _imported("os"))
    ),
    "functools.partial": lambda m: pickle.dumps(Unpickled(functools.partial(os.system, shell(m)))),
    "functools.reduce": lambda m: _pickled(
        called(found("functools", "reduce"), found("operator", "call"), b"]" + _SYSTEM + b"a" + thing(shell(m)) + b"a")
    ),
    "a list of a map": lambda m: _pickled(
        called(found("builtins", "list"), called(found("builtins", "map"), _SYSTEM, thing([shell(m)])))
    ),
    "a pickle in a pickle": lambda m: calls("pickle", "loads", calls("os", "system", shell(m))),
    "a pickle in a pickle, in C": lambda m: calls("_pickle", "loads", calls("os", "system", shell(m))),
    "pickle.load of a file": lambda m: (
        (m.with_name("other").write_bytes(calls("os", "system", shell(m))) and b"")
        or _pickled(
            called(found("pickle", "load"), called(found("io", "open"), thing(str(m.with_name("other"))), thing("rb")))
        )
    ),
    "an estimator's name, memoized over": lambda m: _pickled(
        found("sklearn.linear_model._ridge", "Ridge")
        + b"q\x2a0"
        + _SYSTEM
        + b"q\x2a0"
        + called(MEMOIZED, thing(shell(m)))
    ),
    "duplicated and dropped": lambda m: _pickled(_SYSTEM + b"220" + b"(" + thing(shell(m)) + b"tR"),
    "strings of the stack, from the memo": lambda m: _pickled(
        thing("system") + b"q\x2a0" + called(thing("os") + MEMOIZED + pickle.STACK_GLOBAL, thing(shell(m)))
    ),
    "a path through a module": lambda m: calls("shutil", "os.system", shell(m)),
    "a path through a known class": lambda m: _pickled(
        called(found("sklearn.linear_model._ridge", "Ridge.fit.__globals__.__class__.get"), b"}", thing("x"))
        + b"0"
        + called(_SYSTEM, thing(shell(m)))
    ),
    "pathlib's method": lambda m: _pickled(
        called(found("pathlib", "Path.touch"), called(found("pathlib", "Path"), thing(str(m))))
    ),
    "INST": lambda m: _pickled(b"(" + thing(shell(m)) + b"ios\nsystem\n", b"\x80\x02"),
    "OBJ": lambda m: _pickled(b"(c_io\nFileIO\n" + thing(str(m)) + thing("w") + b"o", b"\x80\x02"),
    "NEWOBJ": lambda m: _pickled(
        found("builtins", "map")
        + b"("
        + _SYSTEM
        + thing([shell(m)])
        + b"t\x81"
        + b"q\x2a0"
        + called(found("builtins", "set"), MEMOIZED)
    ),
    "an extension registered by itself": lambda m: _pickled(
        called(found("copyreg", "add_extension"), thing("os"), thing("system"), thing(77))
        + b"0"
        + called(b"\x82\x4d", thing(shell(m)))
    ),
    "runpy": lambda m: calls("runpy", "run_path", script(m)),
    "pkgutil.resolve_name": lambda m: _pickled(
        called(called(found("pkgutil", "resolve_name"), thing("os:system")), thing(shell(m)))
    ),
    "a loader of modules": lambda m: _pickled(
        called(
            _attribute(
                called(found("importlib.machinery", "SourceFileLoader"), thing("touches"), thing(script(m))),
                "load_module",
            )
        )
    ),
    "an interpreter": lambda m: _pickled(
        called(_attribute(called(found("code", "InteractiveInterpreter")), "runsource"), thing(code(m)))
    ),
    "timeit": lambda m: calls("timeit", "timeit", code(m), "pass", time.perf_counter, 1),
    "cProfile.run": lambda m: calls("cProfile", "run", code(m)),
    "profile.runctx": lambda m: calls("profile", "runctx", code(m), {}, {}),
    "bdb": lambda m: _pickled(called(_attribute(called(found("bdb", "Bdb")), "runeval"), thing(code(m)))),
    "pydoc": lambda m: calls("pydoc", "pipepager", "x", shell(m)),
    "asyncio": lambda m: _pickled(
        called(found("asyncio", "run"), called(found("asyncio", "create_subprocess_shell"), thing(shell(m))))
    ),
    "ctypes": lambda m: _pickled(
        called(_attribute(called(found("ctypes", "CDLL"), thing(None)), "system"), thing(shell(m).encode()))
    ),
    "a log file": lambda m: calls("logging", "FileHandler", str(m)),
    "a database": lambda m: calls("sqlite3", "connect", str(m)),
    "an archive": lambda m: calls("zipfile", "ZipFile", str(m), "w"),
    "a copied file": lambda m: calls("shutil", "copyfile", "/dev/null", str(m)),
    "setuptools": lambda m: calls("setuptools._distutils.file_util", "write_file", str(m), ["x"]),
    "numpy.f2py": lambda m: calls("numpy.f2py.crackfortran", "myeval", code(m), {}, {}),
    "numpy.testing": lambda m: calls("numpy.testing", "runstring", code(m), {}),
    "numpy.memmap": lambda m: calls("numpy", "memmap", str(m), "uint8", "w+", 0, (1,)),
    "numpy.savetxt": lambda m: calls("numpy", "savetxt", str(m), [1.0]),
    "pandas.io": lambda m: calls("pandas.io.common", "get_handle", str(m), "w"),
    "scipy.stats": _distribution,
    "sklearn.datasets": lambda m: calls("sklearn.datasets", "dump_svmlight_file", [[1.0]], [1.0], str(m)),
    "joblib.Memory": lambda m: calls("joblib.memory", "Memory", str(m)),
    "cloudpickle": lambda m: cloudpickle.dumps(Unpickled(lambda path: open(path, "w").close(), str(m))),  # noqa: PTH123
    "in an array of objects": lambda m: _dumped(np.array([system(m)], dtype=object)),
    "in an array of objects, in a model": lambda m: _dumped({"model": [np.array([1, {"a": system(m)}], dtype=object)]}),
    "in joblib's wrapper of an array": _wrapper,
}
"""These do their deed under the policy `any`."""
UNLIVED: dict[str, Payload] = {
    "pip": lambda m: calls("pip", "main", ["download", str(m)]),
    "pip's inside": lambda m: calls("pip._internal.cli.main", "main", ["--log", str(m)]),
    "distutils": lambda m: calls("distutils.file_util", "write_file", str(m), ["x"]),
    "idlelib": lambda m: calls("idlelib.calltip", "get_entity", code(m)),
    "doctest": lambda m: calls("doctest", "debug_script", code(m)),
    "at the end": lambda m: _pickled(
        called(found("atexit", "register"), _SYSTEM, thing(shell(m))) + b"0" + called(found("sys", "exit"))
    ),
    "numpy 1's ufuncs": lambda m: _pickled(
        called(called(found("numpy.core", "_ufunc_reconstruct"), thing("os"), thing("system")), thing(shell(m)))
    ),
    "Windows": lambda m: calls("nt", "system", shell(m)),
    "webbrowser": lambda m: calls("webbrowser", "open", m.as_uri()),
    "lib2to3": lambda m: calls("lib2to3.pgen2.pgen", "ParserGenerator", str(m)),
    "torch": lambda m: calls("torch", "load", str(m)),
    "torch's profiler": lambda m: calls("torch.utils.bottleneck.__main__", "run_cprofile", code(m), {}),
    "tensorflow": lambda m: calls("keras.models", "load_model", str(m)),
    "the debugger": lambda m: calls("pdb", "run", code(m)),
    "a shell of its own": lambda m: calls("pty", "spawn", ["touch", str(m)]),
    "joblib's old arrays": lambda m: calls("joblib.numpy_pickle_compat", "NDArrayWrapper", str(m), None),
    "no such module": lambda m: calls("no.such\nmodule", "\u202ename"),
    "a name with a space before it": lambda m: calls(" os", "system", shell(m)),
    "a name with a NUL": lambda m: calls("os\0", "system", shell(m)),
    "an empty name": lambda m: calls("", "", shell(m)),
    "half a character": lambda m: calls("os", "\ud800", shell(m)),
    "a long name": lambda m: calls("a" * 100_000, "b" * 100_000),
    "an unknown name beside known ones": lambda m: calls("sklearn.linear_model._ridge", "os", shell(m)),
    "what the notebook defined": lambda m: calls("__main__", "Model", shell(m)),
}
"""These need what is not installed, a screen, or another end of the process."""
