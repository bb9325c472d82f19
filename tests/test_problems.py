"""serving.problems: which error becomes which answer, and that no answer is long or says what was sent."""

import json
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import errors
from contract.errors import LecternError
from serving.problems import MAX_BYTES, MAX_ERRORS, FieldError, Problem, ProblemDocument

AN_ID = "0123456789ab00000001"


def read(problem: Problem) -> ProblemDocument:
    return ProblemDocument.model_validate_json(problem.body(AN_ID), strict=True)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.ModelNotFound("iris", ["cardio"]), 404, "model_not_found"),
        (errors.VersionNotFound("iris", 7, [1, 2]), 404, "version_not_found"),
        (errors.ArtifactError("It is being loaded."), 503, "version_failed"),
        (errors.ChecksumMismatch("It is another file."), 503, "version_failed"),
        (errors.LoadFailed("It was not loaded."), 503, "version_failed"),
        (errors.PredictionFailed("The model raised ValueError."), 500, "prediction_failed"),
        (errors.ModelCrashed("The process died."), 500, "model_crashed"),
        (errors.DeadlineExceeded("No answer within 1 s."), 504, "deadline_exceeded"),
    ],
)
def test_an_error_of_the_domain_has_a_status_and_keeps_its_words(error: LecternError, status: int, code: str) -> None:
    problem = Problem.of(error)
    document = read(problem)
    assert (problem.status, document.status, document.code) == (status, status, code)
    assert (document.title, document.detail) == (HTTPStatus(status).phrase, str(error))
    assert document.request_id == AN_ID


@pytest.mark.parametrize("error", [ValueError("secret"), errors.PublishFailed("secret"), KeyError("secret")], ids=repr)
def test_an_error_that_nobody_foresaw_says_nothing(error: Exception) -> None:
    problem = Problem.of(error)
    assert read(problem).model_dump(exclude={"request_id"}) == {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "code": "internal_error",
        "detail": "The service failed to answer this request.",
        "errors": [],
    }


def test_a_problem_stands_for_itself() -> None:
    problem = Problem(404, "no_notebook", "It has none.", headers={"x": "y"})
    assert Problem.of(problem) is problem
    assert (str(problem), problem.headers) == ("It has none.", {"x": "y"})


def test_it_says_which_fields_are_wrong() -> None:
    problem = Problem(
        422, "invalid_rows", "Two.", errors=[FieldError(field="a", code="missing", message="Missing.")] * 2
    )
    assert json.loads(problem.body(AN_ID))["errors"] == [{"field": "a", "code": "missing", "message": "Missing."}] * 2


@given(
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=80).map(lambda text: text * 5),
    count=st.sampled_from([0, 1, 19, 20, 21, 1000]),
)
def test_it_is_never_long(text: str, count: int) -> None:
    wrong = [FieldError(field=text[:80], code="unknown_field", message=text[:300], row=row) for row in range(count)]
    document = Problem(422, "invalid_rows", text * 10, errors=wrong).body(AN_ID)
    found = ProblemDocument.model_validate_json(document)
    assert len(document) <= MAX_BYTES
    assert len(found.errors) == min(count, MAX_ERRORS) or len(document) > MAX_BYTES - 5000
    assert len(found.detail) <= 300
    assert found.errors == wrong[: len(found.errors)]


def test_what_is_left_out_is_what_comes_last() -> None:
    wrong = [FieldError(field="\0" * 80, code="unknown_field", message="\0" * 300, row=row) for row in range(20)]
    found = read(Problem(422, "invalid_rows", "Twenty.", errors=wrong))
    assert 1 < len(found.errors) < 20
    assert found.errors == wrong[: len(found.errors)]
