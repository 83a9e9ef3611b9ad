"""Defects of what benchmarks/structure.py counts."""

from __future__ import annotations

from planted.defect import Defect

_UP = "test_an_import_of_a_higher_layer_or_of_the_package_itself_runs_up"
_CIRCLES = "test_circles_are_whole_and_types_alone_close_none"
_FORMS = "test_every_form_of_import_is_read"
_LINES = "test_lines_and_annotations"
_ENTERED = "test_a_file_counts_where_a_function_of_it_is_entered_not_where_it_is_imported"


def _of(old: str, new: str, claim: str, name: str) -> Defect:
    test = f"tests/test_structure.py::{name}"
    return Defect("benchmarks/structure.py", old, new, claim, (test,))


DEFECTS = [
    _of("inside = deferred or isinstance(node, Function | ast.Lambda)", "inside = deferred",
        "imports inside functions are told", _FORMS),
    _of('_called(node.func) == "import_module"', "False", "import_module imports", _FORMS),
    _of("[: len(package.split(\".\")) - node.level + 1]", "[: -node.level]",
        "relative names start at the package",
        "test_of_a_folder_its_init_is_a_module_and_relative_names_start_there"),
    _of("level[other] < level[own]", "level[other] <= level[own]", "the same layer is no lower one",
        "test_parts_of_one_layer_that_do_not_share_it_run_up_beside_each_other"),
    _of('level[""] = len(layers) - 1.5', 'level[""] = -1', "the package's names are above", _UP),
    _of('level[""] = len(layers) - 1.5', 'level[""] = len(layers)',
        "the command line may use the public names", _UP),
    _of("if types or not each.typing:", "if True:", "types alone close no circle", _CIRCLES),
    _of("            if middle in others:\n", "            if False:\n",
        "circles of more than two are found", _CIRCLES),
    _of("for_types = isinstance(node, ast.If) and child in node.body",
        "for_types = isinstance(node, ast.If)", "what stands under else is no type", _CIRCLES),
    _of("*a.kwonlyargs, a.vararg, a.kwarg]", "*a.kwonlyargs]", "starred arguments have types too",
        _LINES),
    _of("places[1 if method and not static else 0 :]", "places[1 if method else 0 :]",
        "a static method has no self", _LINES),
    _of("return typed and function.returns is not None", "return typed", "results have types",
        _LINES),
    _of("- f.lineno + 1 for", "- f.lineno for", "a function's first line counts", _LINES),
    _of("bool(code.co_flags & inspect.CO_OPTIMIZED)", "True", "what an import runs is not entered",
        _ENTERED),
    _of("if event == \"return\" and inside and frame is inside[-1]:", "if False:",
        "a run ends where it returns",
        "test_within_a_function_each_of_its_runs_is_counted_apart"),
]  # fmt: skip
