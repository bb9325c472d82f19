"""contract.errors: what the errors that carry facts say of them."""

import pytest

from contract import errors
from contract.errors import ArtifactError, LecternError, ModelNotFound, VersionNotFound


def test_a_missing_model_is_answered_with_those_there_are() -> None:
    error = ModelNotFound("wine", ["cardio", "iris"])
    assert str(error) == "There is no model 'wine'; the store holds cardio, iris."
    assert (error.model, error.known) == ("wine", ("cardio", "iris"))
    assert str(ModelNotFound("wine", [])) == "There is no model 'wine'; the store is empty."


def test_a_missing_version_is_answered_with_those_there_are() -> None:
    error = VersionNotFound("iris", 7, [1, 2])
    assert str(error) == "Model 'iris' has no version 7; the store holds 1, 2."
    assert (error.model, error.version, error.known) == ("iris", 7, (1, 2))
    assert str(VersionNotFound("iris", 7, [])) == "Model 'iris' has no version 7; it has none yet."


@pytest.mark.parametrize("known", [range(1, 22), range(1, 10_001)])
def test_of_many_only_the_last_are_shown(known: range) -> None:
    shown = ", ".join(map(str, known[-20:]))
    assert str(VersionNotFound("iris", 0, known)) == f"Model 'iris' has no version 0; the store holds …, {shown}."
    assert str(ModelNotFound("x", [str(n) for n in known])) == f"There is no model 'x'; the store holds …, {shown}."


def test_each_artifact_error_has_a_short_name_of_its_own() -> None:
    kinds: list[type[ArtifactError]] = [ArtifactError, *ArtifactError.__subclasses__()]
    assert len({kind.code for kind in kinds}) == len(kinds) == 18


def test_the_tree_at_the_top_names_every_error() -> None:
    def below(kind: type[LecternError]) -> set[str]:
        return {kind.__name__}.union(*map(below, kind.__subclasses__()))

    ours = {name for name in below(LecternError) if getattr(errors, name, None) is not None}
    drawn = (errors.__doc__ or "").split("LecternError", 1)[1]
    assert [
        name for name in sorted(ours - {"LecternError"}) if f"─ {name} " not in f"{drawn} ".replace("\n", " ")
    ] == []
