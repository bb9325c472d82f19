"""Models that mean harm by all that they are called, say and take: each text would run where it became markup."""

from __future__ import annotations

from typing import Any

from contract.answers import Answers
from contract.manifest import Run, Runtime
from contract.signature import Field, Output, Signature
from contract.store import Store
from tests.gallery import GATE, LINE
from tests.live import Says, Unpickled, X, publish
from tests.promoting import promotion

TEXTS = [
    "<script>pwned=1</script>",
    "</script><script>pwned=1</script>",
    "<img src=x onerror=pwned=1>",
    "<svg onload=pwned=1>",
    "<svg><script>pwned=1</script></svg>",
    '"><img src=x onerror="pwned=1">',
    "'><img src=x onerror='pwned=1'>",
    '" autofocus onfocus="pwned=1',
    "' autofocus onfocus='pwned=1",
    "` onmouseover=pwned=1 x=`",
    "javascript:pwned=1",
    '<a href="javascript:pwned=1">Predict</a>',
    "data:text/html,<script>parent.pwned=1</script>",
    "{{7*7}}",
    "{% raw %}{{ self.__init__ }}",
    "${7*7} #{7*7} <%= 7*7 %>",
    "{0.__class__} %(name)s %s",
    "</title><script>pwned=1</script>",
    "</textarea><script>pwned=1</script>",
    "</option></select><script>pwned=1</script>",
    "<!-- <script>pwned=1</script>",
    "--><script>pwned=1</script>",
    "&lt;script&gt;pwned=1&lt;/script&gt;",
    "&#60;img src=x onerror=pwned=1&#62;",
    "a\u2028pwned=1\u2029b",
    "__proto__",
    "constructor",
    "null",
    "undefined",
    "x:expression(pwned=1)",
    "url(javascript:pwned=1)",
    "</style><style>*{display:none!important}</style>",
    '<iframe srcdoc="<script>parent.pwned=1</script>">',
    '<meta http-equiv="refresh" content="0;url=http://192.0.2.1/">',
    '<base href="http://192.0.2.1/">',
    '<form action="http://192.0.2.1/"><button>Predict</button></form>',
    '<object data="data:text/html,<script>parent.pwned=1</script>">',
    "[link](javascript:pwned=1)",
    "![picture](http://192.0.2.1/x.png)",
    "\x1b[31mred\x1b[0m \x07",
    "\u202eright to left\u202c",
    '=HYPERLINK("http://192.0.2.1/")',
    '\\");pwned=1;//',
    "';pwned=1;//",
    "\\u003cscript\\u003epwned=1",
]
NAMED = dict(zip(TEXTS, reversed(TEXTS), strict=True))
PREDICTED = TEXTS[2]


def fields() -> tuple[Field, ...]:
    """A field for each text: its name; its levels, unit and example are others."""
    kinds: list[dict[str, Any]] = [
        {"type": "string", "dtype": "str"},
        {"type": "category", "dtype": "object", "levels": (*TEXTS, 1, 2.5)},
        {"type": "string", "dtype": "str", "levels": tuple(TEXTS)},
        {"type": "float", "dtype": "float64", "observed": (0, 1), "unit": TEXTS[5]},
    ]
    return tuple(
        Field(name=name, **kinds[n % 4], example=0.5 if n % 4 == 3 else example)
        for n, (name, example) in enumerate(NAMED.items())
    )


def fill(store: Store) -> None:
    """Make models that are hostile wherever they can be: in what describes them, what they take and what they say."""
    one = Signature(
        container="frame",
        inputs=fields(),
        output=Output(task="classification", labels=tuple(TEXTS), classes=tuple(TEXTS), scores="probabilities"),
    )
    count, chosen = len(TEXTS), PREDICTED
    classifier = Says(
        predict=lambda rows: [chosen] * len(rows), predict_proba=lambda rows: [[1 / count] * count] * len(rows)
    )
    for number in (1.0, 2.0):
        publish(
            store,
            "classes",
            classifier,
            signature=one,
            description=" ".join(TEXTS),
            metrics=dict.fromkeys(TEXTS, number),
            parameters={**NAMED, "lists": TEXTS[:3], "number": number},
            environment={**NAMED, "python": f"3.9.{TEXTS[2]}", "number": f"{number}"},
            run=Run(kind="papermill", notebook=TEXTS[1]),
            runtime=Runtime(format="joblib", reason=TEXTS[3]),
        )
    wide = Output(task="regression", width=count, names=tuple(TEXTS))
    several = X.model_copy(update={"output": wide})
    publish(store, "numbers", Says(predict=lambda rows: [[1.5] * count] * len(rows)), signature=several)
    taken = Field(name=TEXTS[5], type="string", dtype="str", levels=("seen",), example="seen")
    says = Signature(container="frame", inputs=(taken,), output=Output(task="classification", type="string"))
    for suffix in ("", "!"):
        publish(store, "texts", Says(predict=lambda rows, end=suffix: list(rows.iloc[:, 0] + end)), signature=says)  # type: ignore[misc]
    fails = Unpickled(exec, f"raise ModuleNotFoundError(name={' '.join(TEXTS)!r})")
    publish(store, "broken", fails, answers=Answers([1.0, 1.0]))
    log = store.promotions("classes")
    log.append(promotion(version=1), after=log.read())
    for text in TEXTS:
        gate = GATE | {
            "reason": text,
            "rows_of": text,
            "metric": text,
            "table": [LINE | {"metric": text, "rows": text}],
        }
        log.append(promotion("keep", 2, before=1, by=text, reason=f"{text}.", gate=gate), after=log.read())
    log = store.promotions("texts")
    log.append(promotion(version=1), after=log.read())
    log.append(promotion("alias", 2, alias="challenger"), after=log.read())
    log.append(promotion("traffic", None, shadow=True), after=log.read())
