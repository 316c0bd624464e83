"""Give misspelt keys of a tree their right name, and tell of them, so that what stands under them is read.

Without it one wrong letter in `nodes` would hide all that is wrong with the nodes, and make every name
that a link gives unknown.
"""

from collections.abc import Iterator
from typing import Any

from msgspec import inspect

from qstrata.network.document import MAX_PROBLEMS, Mapping, Problem, Scalar, Sequence, Tree
from qstrata.network.suggestion import asked, did_you_mean, nearest


def mend(tree: Tree, wanted: inspect.Type) -> tuple[Tree, list[Problem]]:
    """Return the tree with the keys that were meant, without those that mean nothing, and what was wrong.

    At most MAX_PROBLEMS problems are returned; what comes after them is left as it is.
    """
    mender = _Mender()
    return mender.mend(tree, wanted, "the file"), mender.problems


def plain_type(tree: Tree, wanted: inspect.Type) -> inspect.Type:
    """Return the type without its notes; of a union the member that the tree is to be held against."""
    while isinstance(wanted, inspect.Metadata | inspect.UnionType):
        wanted = wanted.type if isinstance(wanted, inspect.Metadata) else alternative(tree, wanted)
    return wanted


def alternative(tree: Tree, wanted: inspect.UnionType) -> inspect.Type:
    """Return the member of a union that a tree is held against: for a scalar a word, if there is one."""
    kinds = [kind for kind in wanted.types if not isinstance(kind, inspect.NoneType)]
    words = [kind for kind in kinds if isinstance(kind, inspect.LiteralType)]
    others = [kind for kind in kinds if not isinstance(kind, inspect.LiteralType)]
    return words[0] if words and (isinstance(tree, Scalar) or not others) else others[0]


class _Mender:
    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def mend(self, tree: Tree, wanted: inspect.Type, what: str) -> Tree:
        if len(self.problems) >= MAX_PROBLEMS:
            return tree
        kind = plain_type(tree, wanted)
        if isinstance(tree, Mapping) and isinstance(kind, inspect.StructType):
            return Mapping(tree.place, tuple(self.entries(tree, kind, what)))
        if isinstance(tree, Mapping) and isinstance(kind, inspect.DictType):
            values = (
                (key, self.mend(value, kind.value_type, f"`{key.text}`")) for key, value in tree.entries
            )
            return Mapping(tree.place, tuple(values))
        if isinstance(tree, Sequence) and isinstance(kind, inspect.VarTupleType):
            item = kind.item_type
            return Sequence(tree.place, tuple(self.mend(at, item, f"an item of {what}") for at in tree.items))
        return tree

    def entries(self, tree: Mapping, wanted: inspect.StructType, what: str) -> Iterator[tuple[Scalar, Tree]]:
        fields = {field.encode_name: field.type for field in wanted.fields}
        given = {key.text for key, _ in tree.entries if key.text in fields}
        for key, value in tree.entries:
            name = key.text
            if name not in fields and len(self.problems) < MAX_PROBLEMS:
                meant = nearest(name, fields)
                self.refuse(key, fields, what, meant)
                if not meant or meant in given:
                    continue
                given.add(meant)
                key = Scalar(key.place, meant, key.plain)
            elif name not in fields:
                continue
            yield key, self.mend(value, fields[key.text], f"`{key.text}`")

    def refuse(self, key: Scalar, fields: dict[str, inspect.Type], what: str, meant: str) -> None:
        hint = did_you_mean(key.text, fields)
        if not meant and (table := _table_with(key.text, fields)):
            meant = f"{table}: {{{key.text}: ...}}"
            hint = asked(meant)
        self.problems.append(Problem(key.place, f"unknown key `{key.text}` in {what}{hint}", meant))


def _table_with(name: str, fields: dict[str, Any]) -> str:
    for field, wanted in fields.items():
        kind = wanted
        while isinstance(kind, inspect.Metadata | inspect.UnionType):
            kind = kind.type if isinstance(kind, inspect.Metadata) else _struct_of(kind)
        if isinstance(kind, inspect.StructType) and any(name == inner.encode_name for inner in kind.fields):
            return str(field)
    return ""


def _struct_of(wanted: inspect.UnionType) -> inspect.Type:
    structs = (kind for kind in wanted.types if not isinstance(kind, inspect.NoneType | inspect.LiteralType))
    return next(structs, wanted.types[0])
