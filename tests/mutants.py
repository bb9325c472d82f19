"""Mutants: a module with one small change, by the operators of cosmic-ray and two of our own."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import parso
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator
from parso.python.tree import Keyword

CHANGED = "AddNot ExceptionReplacer NumberReplacer RemoveDecorator ZeroIterationForLoop"
REPLACED = "AndWithOr OrWithAnd BreakWithContinue ContinueWithBreak TrueWithFalse FalseWithTrue"
COMPARED = "Eq_NotEq NotEq_Eq Is_IsNot IsNot_Is Lt_LtE Lt_GtE LtE_Lt LtE_Gt Gt_GtE Gt_LtE GtE_Gt GtE_Lt"
COMPUTED = "Add_Sub Sub_Add Mul_Div FloorDiv_Mul Mod_Mul Pow_Mul BitOr_BitAnd BitAnd_BitOr LShift_RShift"
SIGNED = "Delete_Not Delete_USub Delete_Invert"
NAMES = (
    *CHANGED.split(),
    *(f"Replace{name}" for name in REPLACED.split()),
    *(f"ReplaceComparisonOperator_{name}" for name in COMPARED.split()),
    *(f"ReplaceBinaryOperator_{name}" for name in COMPUTED.split()),
    *(f"ReplaceUnaryOperator_{name}" for name in SIGNED.split()),
)
"""Of cosmic-ray's, one or two for each sign, and none for `/`, which joins paths."""
TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
}
DECLARED = {"frozen", "slots"}
"""What a data class is told for the type checker, and to be small."""


@dataclass(frozen=True)
class Mutant:
    """A change, and where it is."""

    module: str
    line: int
    before: str
    after: str
    code: str

    def __str__(self) -> str:
        return f"{self.module}:{self.line}: {self.before!r} -> {self.after!r}"


def mutants_of(module: str, code: str) -> Iterator[Mutant]:
    """Every mutant of a module that is another program."""
    seen = {_meaning(code)}
    for operator in [*(get_operator(f"core/{name}")() for name in NAMES), CallDropped(), MembershipTurned()]:
        for number in range(len(code)):
            try:
                found = mutate_code(code, operator, number)
            except AttributeError:  # ExceptionReplacer knows no names with a dot
                continue
            if found is None:
                break
            meaning = _meaning(found)
            if meaning and meaning not in seen:
                seen.add(meaning)
                yield _placed(module, code, found)


def _placed(module: str, code: str, changed: str) -> Mutant:
    one, other = code.splitlines(), changed.splitlines()
    blocks = difflib.SequenceMatcher(None, one, other, autojunk=False).get_opcodes()
    places = [place for place in blocks if place[0] != "equal"]
    _, start, _, begin, _ = places[0]
    _, _, end, _, stop = places[-1]
    before, after = (
        " ".join(line.partition("  # ")[0].strip() for line in lines) for lines in (one[start:end], other[begin:stop])
    )
    return Mutant(module, start + 1, before, after, changed)


def _meaning(code: str) -> str:
    """What a module does, without what is there for a type checker; empty if it is no Python."""
    try:
        return ast.dump(_Bare().visit(ast.parse(code)))
    except SyntaxError:
        return ""


class _Bare(ast.NodeTransformer):
    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_arguments(self, node: ast.arguments) -> ast.AST:
        """Where the signs `/` and `*` stand among them."""
        node.args = [*node.posonlyargs, *node.args, *node.kwonlyargs]
        node.defaults = [*node.defaults, *filter(None, node.kw_defaults)]
        node.posonlyargs, node.kwonlyargs, node.kw_defaults = [], [], []
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        for call in (one for one in node.decorator_list if isinstance(one, ast.Call)):
            call.keywords = [keyword for keyword in call.keywords if keyword.arg not in DECLARED]
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | None:
        return None if "TYPE_CHECKING" in ast.unparse(node.test) else self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        match node:
            case ast.UnaryOp(ast.Not(), ast.Compare(left, [sign], others)) if type(sign) in TURNED:
                return ast.Compare(left, [TURNED[type(sign)]()], others)
            case ast.UnaryOp(ast.Not(), ast.UnaryOp(ast.Not(), inner)):
                return inner
        return node


class CallDropped(Operator):  # type: ignore[misc]  # cosmic-ray has no types
    """Leaves out a statement that only calls something."""

    def mutation_positions(self, node: Any) -> Iterable[tuple[Any, Any]]:
        """Where such a statement is."""
        inner = node.children[0] if node.type == "simple_stmt" else None
        if inner is not None and inner.type in ("atom_expr", "power") and inner.children[-1].type == "trailer":
            return [(inner.start_pos, inner.end_pos)]
        return []

    def mutate(self, node: Any, index: int) -> Any:
        """Put `pass` there."""
        prefix = node.get_first_leaf().prefix
        node.children[0] = Keyword("pass", node.start_pos, prefix)
        return node

    @classmethod
    def examples(cls) -> Iterable[Any]:
        """None: they are for cosmic-ray's own tests."""
        return ()


class MembershipTurned(Operator):  # type: ignore[misc]  # cosmic-ray has no types
    """Turns `in` to `not in`, and back."""

    def mutation_positions(self, node: Any) -> Iterable[tuple[Any, Any]]:
        """Where one is."""
        if node.type == "comparison" and _sign(node) in ("in", "not in"):
            return [(node.start_pos, node.end_pos)]
        return []

    def mutate(self, node: Any, index: int) -> Any:
        """Put the other one there."""
        sign = node.children[1]
        node.children[1] = Keyword({"in": "not in", "not in": "in"}[_sign(node)], sign.start_pos, " ")
        return node

    @classmethod
    def examples(cls) -> Iterable[Any]:
        """None: they are for cosmic-ray's own tests."""
        return ()


def _sign(node: parso.tree.NodeOrLeaf) -> str:
    return " ".join(node.children[1].get_code().split())  # type: ignore[attr-defined]
