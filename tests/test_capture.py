"""pipeline.running.capture: what is kept of the messages of a kernel."""

from __future__ import annotations

from typing import Any

import nbformat
from nbformat import NotebookNode

from pipeline.running.capture import Capture, join, merge

SAID = "… output was cut here: a run keeps 10 bytes (LECTERN_TRAIN_MAX_OUTPUT_BYTES)\n"


def cell() -> NotebookNode:
    made: NotebookNode = nbformat.v4.new_code_cell("1")  # type: ignore[no-untyped-call]
    return made


def message(kind: str, **content: Any) -> dict[str, Any]:
    return {"msg_type": kind, "header": {"msg_type": kind}, "content": content}


def printed(text: str, name: str = "stdout") -> dict[str, Any]:
    return message("stream", name=name, text=text)


def displayed(size: int) -> dict[str, Any]:
    return message("display_data", data={"text/html": "x" * size}, metadata={})


def capture(kept: int = 10, most: int = 100) -> Capture:
    return Capture(kept, most, lambda text: text.replace("secret", "***"))


def text_of(found: dict[str, Any] | None) -> Any:
    return found and found["content"]["text"]


def test_what_fits_is_left_as_it_is() -> None:
    whole = printed("0123456789")
    assert capture().admit(whole, cell()) is whole


def test_what_is_printed_is_cut_once_in_a_cell() -> None:
    found, first, second = capture(), cell(), cell()
    assert text_of(found.admit(printed("01234567"), first)) == "01234567"
    assert text_of(found.admit(printed("89ab"), first)) == f"89\n{SAID}"
    assert found.admit(printed("c"), first) is None
    assert text_of(found.admit(printed("d"), second)) == SAID
    assert found.admit(printed("e"), second) is None


def test_a_cut_leaves_no_part_of_a_secret_or_of_a_character() -> None:
    assert text_of(capture().admit(printed("12345 secret"), cell())) == f"12345 ***\n{SAID}"
    assert text_of(capture().admit(printed("123456789é"), cell())) == f"123456789\n{SAID}"


def test_displays_have_a_share_of_their_own() -> None:
    found, one = capture(), cell()
    assert text_of(found.admit(printed("x" * 50), one)) == "x" * 10 + f"\n{SAID}"
    assert found.admit(displayed(10), one) is not None
    other = cell()
    cut = found.admit(displayed(1), other)
    assert (cut or {})["msg_type"] == (cut or {})["header"]["msg_type"] == "stream"
    assert text_of(cut) == SAID
    assert found.admit(message("update_display_data", data={"text/plain": "x"}), other) is None


def test_too_much_is_a_flood() -> None:
    found, one = capture(), cell()
    for _ in range(10):
        found.admit(printed("0123456789"), one)
    assert not found.flooded
    found.admit(displayed(1), one)
    assert found.flooded


def test_room_comes_back_when_a_cell_clears_its_output() -> None:
    found, one = capture(), cell()
    one.outputs = [nbformat.v4.new_output("stream", name="stdout", text="0123456789")]  # type: ignore[no-untyped-call]
    found.admit(printed("0123456789"), one)
    found.admit(message("clear_output", wait=False), one)
    assert text_of(found.admit(printed("abc"), one)) == "abc"


def test_errors_are_kept_and_bounded() -> None:
    found = capture()
    error = message("error", ename="E", evalue="x" * 10**6, traceback=["y" * 10**6] * 5000)
    kept = found.admit(error, cell())
    assert kept is not None
    assert len(kept["content"]["evalue"]) == 20_000
    assert (len(kept["content"]["traceback"]), len(kept["content"]["traceback"][0])) == (1000, 20_000)


def test_a_cell_whose_last_word_never_came_says_so() -> None:
    found, whole, part, idle = capture(), cell(), cell(), cell()
    for one in (whole, part):
        found.admit(message("status", execution_state="busy"), one)
    found.admit(message("status", execution_state="idle"), whole)
    for one in (whole, part, idle):
        found.close(one)
    assert [len(one.outputs) for one in (whole, part, idle)] == [0, 1, 0]
    assert part.outputs[0].text == "… output is missing here: it came late, or was one of more than 64 MiB\n"


def test_pieces_of_a_stream_become_one() -> None:
    def stream(text: str, name: str = "stdout") -> Any:
        return nbformat.v4.new_output("stream", name=name, text=text)  # type: ignore[no-untyped-call]

    picture = nbformat.v4.new_output("display_data", data={"text/plain": "p"})  # type: ignore[no-untyped-call]
    outputs = [stream("a"), stream("b")]
    merge(outputs)
    assert [output.text for output in outputs] == ["ab"]
    large = [stream("x" * 70_000), stream("b")]
    merge(large)
    assert len(large) == 2
    joined = join([*large, stream("c"), stream("e", "stderr"), stream("f", "stderr"), picture, stream("g")])
    assert [output.get("text", "p")[-2:] for output in joined] == ["bc", "ef", "p", "g"]
