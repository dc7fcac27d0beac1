"""The checks on a paper file's text; none of them runs it."""

from __future__ import annotations

import ast
import inspect
import re
import sys

from .. import catalogue
from ..data import sets
from .subject import CheckFailed, Function, Subject, methods, names_read, parameters

SIGNATURES = {"treatment": ["train", "budget", "seed"], "control": ["train", "budget", "seed"], "score": ["model", "test"],
              "draw": ["model", "test"]}
ORDER = ("the docstring", "imports", "PAPER", "CLAIM", "__all__", "the method", *SIGNATURES)

PACKAGES = {"numpy", "scipy", "torch", "sklearn"}
FLOORS = re.compile(r"bakeoff\.(claim|errors|data\.kinds(\.\w+)?|(parts|baselines)(\.\w+)*)")

FORBIDDEN_NAMES = {"print", "open", "input", "eval", "exec", "compile", "__import__", "breakpoint"}
FORBIDDEN_MODULES = {"asyncio", "atexit", "builtins", "concurrent", "ctypes", "datetime", "gc", "glob", "http", "importlib", "io", "joblib",
                     "logging", "multiprocessing", "os", "pathlib", "pickle", "requests", "shutil", "signal", "socket", "sqlite3",
                     "subprocess", "sys", "tempfile", "threading", "time", "urllib"}
FORBIDDEN = re.compile(r"random\.(?!Random$).*|numpy\.random\.(?!(default_rng|Generator|SeedSequence|PCG64|RandomState)$).*"
                       r"|numpy\.(save\w*|load\w*|fromfile|memmap|genfromtxt|seterr\w*|set_printoptions)"
                       r"|torch\.(save|load|seed|manual_seed|set_rng_state|set_default_\w+|set_num_\w+|set_printoptions)"
                       r"|torch\.(use_deterministic_algorithms|hub\..*|random\.(?!fork_rng$).*|cuda\.manual_seed\w*)"
                       r"|warnings\.(filterwarnings|simplefilter)")
FORBIDDEN_METHODS = {"read_text", "read_bytes", "write_text", "write_bytes", "savefig", "tofile", "to_csv", "to_parquet", "urlopen"}
ALLOWED_WITHIN = {"torch.manual_seed": "fork_rng", "warnings.filterwarnings": "catch_warnings", "warnings.simplefilter": "catch_warnings"}

COMPARISONS = {"allclose", "approx", "array_equal", "assert_allclose", "assert_almost_equal", "assert_array_equal", "assert_array_less",
               "assert_close", "assert_equal", "equal", "gradcheck", "gradgradcheck", "isclose", "raises"}
SHAPES = {"shape", "ndim", "dtype", "size"}


def expect(good, message: str, hint: str) -> None:
    if not good:
        raise CheckFailed(message, hint)


def check_header(subject: Subject) -> None:
    """PAPER, CLAIM and `__all__` are literal and complete."""
    entry, paper, claim = subject.entry, subject.entry.paper, subject.entry.claim
    for record, names in ((paper, ("title", "venue")), (claim, ("says", "data", "metric", "unit"))):
        for name in names:
            value = getattr(record, name)
            expect(isinstance(value, str) and value.strip(), f"{type(record).__name__}.{name} is {value!r}", "Say it in words.")
    for name in ("authors", "also"):
        value = getattr(paper, name)
        expect(isinstance(value, tuple) and value and all(isinstance(one, str) and one.strip() for one in value),
               f"PAPER.{name} is {value!r}", "Give a tuple of at least one text: the authors' last names; what people call the paper.")
    expect(isinstance(paper.year, int) and 1900 < paper.year < 2100, f"PAPER.year is {paper.year!r}", "Give the year, such as 2019.")
    expect(paper.arxiv is None or re.fullmatch(r"\d{4}\.\d{4,5}|[a-z-]+(\.[A-Z]{2})?/\d{7}", paper.arxiv),
           f"PAPER.arxiv is {paper.arxiv!r}", 'Give the number alone, such as "1906.00949", or None.')
    expect(re.search(r"\d", claim.says), f"CLAIM.says names no figure: {claim.says!r}", "Say how much better, in the paper's own figure.")
    expect(claim.data in sets.SETS, f"CLAIM.data is {claim.data!r}", f"Name one of the sets: {', '.join(sets.SETS)}.")
    grants = list(claim.steps.values())
    expect(all(isinstance(one, int) and one > 0 for one in grants) and grants == sorted(grants),
           f"CLAIM.steps grants {grants}", "Give whole numbers that do not fall from smoke to full.")
    expect(1 <= len(entry.names) <= 3, f"__all__ has {len(entry.names)} names", "Name the one to three things that a user imports.")
    for name in entry.names:
        expect(name in subject.top and not name.startswith("_"), f"__all__ names {name!r}, no public function or class of this file",
               "Name what is defined here.")


def check_card(subject: Subject) -> None:
    """The docstring holds the idea, the citation, and the paragraphs Method, Departures and Out of reach."""
    card, paper = subject.entry.card, subject.entry.paper
    lines = [*card.splitlines(), "", "", ""]
    expect(re.fullmatch(r"[^:]+: .+\.", lines[0]), f"line 1 of the card is {lines[0]!r}", 'Begin with "Name: the idea in one sentence."')
    expect(not lines[1] and lines[2], "line 3 of the card is not the citation", "Leave line 2 empty and give the citation on line 3.")
    cited = [str(paper.year)] + ([f"arXiv:{paper.arxiv}"] if paper.arxiv else [])
    missing = [one for one in cited if one not in lines[2]]
    expect(not missing, f"the citation on line 3 lacks {' and '.join(missing)}", "Cite as: Authors. Venue Year. arXiv:number.")
    heads = [(match[1], match.start()) for match in re.finditer(r"^(Method|Departures|Out of reach):", card, re.M)]
    expect([name for name, _ in heads] == ["Method", "Departures", "Out of reach"],
           f"the card has the paragraphs {[name for name, _ in heads]}",
           'Begin three paragraphs with "Method:", "Departures:", "Out of reach:".')
    method = [line for line in card[heads[0][1]:heads[1][1]].splitlines() if line.strip()]
    expect(6 <= len(method) <= 15, f"Method has {len(method)} lines", "Tell the method with its equations in 6 to 15 lines.")


def check_order(subject: Subject) -> None:
    """Docstring, imports, PAPER, CLAIM, `__all__`, the method, treatment, control, score and perhaps draw; nothing after."""
    before = -1
    for node in subject.tree.body:
        place = _place(node)
        expect(place >= before, f"line {node.lineno}: {ORDER[place]} after {ORDER[before]}", f"Order the file as {', '.join(ORDER)}.")
        before = place
    places = [_place(node) for node in subject.tree.body]
    for name in ("PAPER", "CLAIM", "__all__", *SIGNATURES):
        found = places.count(ORDER.index(name))
        expect(found == 1 or (name == "draw" and not found), f"{name} is there {found} times", f"Write {name} once.")
    for name, words in SIGNATURES.items():
        if name in subject.top:
            found = parameters(subject.top[name])
            expect(found == words, f"{name} takes ({', '.join(found)})", f"Write def {name}({', '.join(words)}).")


def _place(node: ast.stmt) -> int:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return 0
    if isinstance(node, ast.Import | ast.ImportFrom):
        return 1
    name = node.targets[0].id if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) else getattr(node, "name", "")
    return ORDER.index(name) if name in ORDER else ORDER.index("the method")


def check_imports(subject: Subject) -> None:
    """Only lower floors of bakeoff; above, only packages that are always there; optional ones guarded, where they are needed."""
    package = ("bakeoff", *subject.path.relative_to(catalogue.ROOT).parent.parts) if subject.in_library else ()
    for node in ast.walk(subject.tree):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        words = [one.name for one in node.names]
        expect("*" not in words, f"line {node.lineno}: a star import", "Name what is imported.")
        stem = ""
        if isinstance(node, ast.ImportFrom):
            above = package[:len(package) - node.level + 1] if node.level else ()
            stem = ".".join((*above, *filter(None, [node.module])))
            expect(above or not node.level, f"line {node.lineno}: a relative import outside the package", "Write from bakeoff... import.")
        for module, name in [(stem, word) if stem else (word, "") for word in words]:
            root = module.partition(".")[0]
            if root == "bakeoff":
                expect(_may_import(module, name), f"line {node.lineno}: {name or module} of {module} is not for papers to import",
                       "Papers import claim, errors, data.kinds, parts, baselines, and the __all__ names of other papers.")
            elif root not in PACKAGES | sys.stdlib_module_names:
                expect(node.col_offset, f"line {node.lineno}: {root} is imported for the whole file",
                       "Import an optional package where it is needed.")
                expect(re.search(rf"MissingPackage\(\s*[\"']{root}[\"']", subject.text),
                       f"line {node.lineno}: {root} may be missing, and nothing says so",
                       f'Catch ImportError and raise MissingPackage("{root}", "its extra").')


def _may_import(module: str, name: str) -> bool:
    if FLOORS.fullmatch(module) or FLOORS.fullmatch(f"{module}.{name}"):
        return True
    other = catalogue.ROOT.joinpath(*module.split(".")[1:]).with_suffix(".py")
    return module.startswith("bakeoff.papers.") and other.is_file() and name in catalogue.read(other).names


def check_size(subject: Subject) -> None:
    """At most 350 lines of at most 140 characters; arms and score at most 15 lines each."""
    lines = subject.text.splitlines()
    expect(len(lines) <= 350, f"the file has {len(lines)} lines", "A paper has at most 350: move what two papers use to parts/.")
    for number, line in enumerate(lines, 1):
        expect(len(line) <= 140, f"line {number} has {len(line)} characters", "A line has at most 140.")
    for name in ("treatment", "control", "score"):
        if node := subject.top.get(name):
            size = node.end_lineno - node.lineno + 1
            expect(size <= 15, f"line {node.lineno}: {name} has {size} lines", "An arm and score have at most 15: move the method up.")


def check_docstrings(subject: Subject) -> None:
    """What a user meets is described: its parameters by their names, its use by an example."""
    for name, node in subject.public:
        if name.endswith(".forward"):  # of a layer, which is called: its class says how
            continue
        text = ast.get_docstring(node) or ""
        expect(text, f"line {node.lineno}: {name} has no docstring", "Say what it does, takes, returns and raises.")
        signature, told = _signature(node), _arguments(text)
        if told or ("." not in name and signature):
            expect(set(told) == set(signature),
                   f"line {node.lineno}: {name} takes ({', '.join(signature)}), its docstring tells of ({', '.join(told)})",
                   "List every parameter under Args:, by its name, and no other.")
        silent = [one for one in signature if not re.search(rf"\b{one}\b", text)]
        expect(not silent, f"line {node.lineno}: the docstring of {name} does not mention {', '.join(silent)}",
               "Say what each parameter means.")
        if "." not in name:
            expect(re.search(r"^Example:\n+\s+>>> ", text, re.M), f"line {node.lineno}: {name} has no example",
                   "End its docstring with Example: and lines that begin with >>>.")


def _signature(node: Function | ast.ClassDef) -> list[str]:
    if isinstance(node, Function):
        return parameters(node)
    for method in methods(node):
        if method.name == "__init__":
            return parameters(method)
    return _fields(node)


def _fields(node: ast.ClassDef) -> list[str]:
    """The fields of a dataclass that its constructor takes; none for another class."""
    if not any("dataclass" in ast.unparse(one) for one in node.decorator_list):
        return []
    return [one.target.id for one in node.body
            if isinstance(one, ast.AnnAssign) and not (one.value and "init=False" in ast.unparse(one.value))]


def _arguments(docstring: str) -> list[str]:
    section = re.search(r"^Args:\n((?: +.*\n?|\n)+)", inspect.cleandoc(docstring), re.M)
    lines = section[1].splitlines() if section else []
    entries = [match[1] for line in lines if (match := re.match(r" {4}(\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: \([^)]*\))?:", line))]
    return [name.lstrip("*") for entry in entries for name in entry.split(", ")]


def check_parameters_are_read(subject: Subject) -> None:
    """No dead parameter: each is read by its function; what a constructor stores is read somewhere in the file."""
    loaded = {node.attr for node in ast.walk(subject.tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)}
    for owner in subject.tree.body:
        for function in [owner] if isinstance(owner, Function) else methods(owner):
            if _is_empty(function) or function.name in ("__exit__", "score", "draw"):
                continue
            excused = {"seed"} if function.name in ("treatment", "control") and not _passes_seed(function) else set()
            dead = [one for one in parameters(function) if one not in names_read(function) | excused and not one.startswith("_")]
            expect(not dead, f"line {function.lineno}: {function.name} never reads {', '.join(dead)}", "Use every parameter, or drop it.")
        stored = [] if not isinstance(owner, ast.ClassDef) else _fields(owner) if any(_is_plain(one) for one in methods(owner)) else []
        for method in methods(owner):
            if method.name == "__init__":
                stored += [node.attr for node in ast.walk(method) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)]
        dead = [one for one in stored if one not in loaded]
        expect(not dead, f"line {owner.lineno}: nothing reads the stored {', '.join(dead)}", "Use what is stored, or store less.")


def _is_plain(method: Function) -> bool:
    return not method.name.startswith("__")


def _is_empty(function: Function) -> bool:
    return all(isinstance(part, ast.Pass | ast.Raise) or (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))
               for part in function.body)


def _passes_seed(arm: Function) -> bool:
    words = {word.arg for node in ast.walk(arm) if isinstance(node, ast.Call) for word in node.keywords}
    return bool(words & {"seed", "rng", "generator", "random_state"})


def check_nothing_is_swallowed(subject: Subject) -> None:
    """No `**kwargs` that takes a misspelt word in silence, no except that hides every error."""
    functions = [*(node for _, node in subject.public), *(one for name in subject.entry.names for one in methods(subject.top.get(name)))]
    for node in functions:
        if isinstance(node, Function) and node.args.kwarg:
            raise CheckFailed(f"line {node.lineno}: {node.name} takes **{node.args.kwarg.arg}",
                              "Name every parameter: a misspelt one must raise TypeError.")
    for node in ast.walk(subject.tree):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "everything"
            wide = node.type is None or re.search(r"\b(Base)?Exception\b", caught)
            expect(not wide or any(isinstance(one, ast.Raise) for one in ast.walk(node)),
                   f"line {node.lineno}: except {caught} hides every error", "Catch the one error that is expected, or raise again.")
        elif isinstance(node, ast.Call) and re.fullmatch(r"(contextlib\.)?suppress\(.*\b(Base)?Exception\b.*\)", ast.unparse(node)):
            raise CheckFailed(f"line {node.lineno}: {ast.unparse(node)} hides every error", "Suppress the one error that is expected.")


def check_no_side_channel(subject: Subject) -> None:
    """No printing, files, network or clock, no global seeds and settings: an arm knows what it is given, and returns what it made."""
    aliases, within = _aliases(subject.tree), _enclosing_withs(subject.tree)
    for node in ast.walk(subject.tree):
        for word in _words(node, aliases):
            settled = ALLOWED_WITHIN.get(word)
            if word == "torch.load" and any(word.arg == "weights_only" for word in getattr(within.get(node), "keywords", [])):
                continue
            bad = word in FORBIDDEN_NAMES or word.partition(".")[0] in FORBIDDEN_MODULES or FORBIDDEN.fullmatch(word)
            excused = settled and any(settled in one for one in within.get(node, ()))
            expect(not bad or excused, f"line {node.lineno}: {word}",
                   "A paper file prints nothing and touches no file, network, clock or global generator; "
                   "build networks inside parts.seeding.seeded(seed), draw from a torch.Generator.")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            expect(node.func.attr not in FORBIDDEN_METHODS, f"line {node.lineno}: .{node.func.attr}(...)",
                   "A paper file reads and writes no files.")


def _words(node: ast.AST, aliases: dict[str, str]) -> list[str]:
    """The dotted names that a node uses or imports, in full."""
    if isinstance(node, ast.Import):
        return [one.name for one in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}.{one.name}" for one in node.names] if not node.level else []
    parts, at = [], node
    while isinstance(at, ast.Attribute):
        parts, at = [at.attr, *parts], at.value
    if not isinstance(at, ast.Name) or not isinstance(getattr(node, "ctx", None), ast.Load):
        return []
    return [".".join([aliases[at.id], *parts])] if at.id in aliases else [at.id] if not parts else []


def _aliases(tree: ast.Module) -> dict[str, str]:
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            roots = [one.name if one.asname else one.name.partition(".")[0] for one in node.names]
            found |= {one.asname or root: root for one, root in zip(node.names, roots, strict=True)}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
    return found


def _enclosing_withs(tree: ast.Module) -> dict[ast.AST, list[str]]:
    """For every node, the text of the with blocks around it."""
    found: dict[ast.AST, list[str]] = {}

    def visit(node: ast.AST, around: list[str]) -> None:
        found[node] = around
        inside = around + [ast.unparse(item) for item in node.items] if isinstance(node, ast.With) else around
        for child in ast.iter_child_nodes(node):
            visit(child, inside)

    visit(tree, [])
    return found


def check_has_invariants(subject: Subject) -> None:
    """Its test file is there: 2 to 12 tests, each comparing values with something known."""
    path, entry = subject.path, subject.entry
    file = path.with_name(f"test_{path.name}")
    if subject.in_library:
        tests = catalogue.ROOT.parent.parent / "tests"
        if not tests.is_dir():  # installed from a wheel, which brings no tests
            return
        file = tests / "papers" / entry.area / f"test_{entry.slug}.py"
    expect(file.is_file(), f"there is no {file}",
           "Write its tests there: closed form, limit case, invariance, gradient, parity with a library.")
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = {node.name: node for node in tree.body if isinstance(node, Function)}
    tests = [node for name, node in functions.items() if name.startswith("test_")]
    expect(2 <= len(tests) <= 12, f"{file.name} has {len(tests)} tests", "Write 2 to 12.")
    expect({node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} & set(entry.names),
           f"{file.name} uses none of {', '.join(entry.names)}", "Test what a user imports.")
    for test in tests:
        helpers = [functions[name] for name in names_read(test) if name in functions]
        expect(any(_compares_values(one) for one in (test, *helpers)), f"{file.name}, line {test.lineno}: {test.name} compares no values",
               "Compare numbers with known ones; a shape, a length or a type is not enough.")


def _compares_values(test: ast.AST) -> bool:
    for node in ast.walk(test):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in COMPARISONS:
            return True
        if isinstance(node, ast.Assert) and any(isinstance(one, ast.Compare) and not _is_weak(one) for one in ast.walk(node.test)):
            return True
    return False


def _is_weak(comparison: ast.Compare) -> bool:
    sides = [side.value if isinstance(side, ast.Subscript) else side for side in (comparison.left, *comparison.comparators)]
    return (all(isinstance(one, ast.Is | ast.IsNot) for one in comparison.ops)
            or any(isinstance(side, ast.Attribute) and side.attr in SHAPES for side in sides)
            or any(isinstance(side, ast.Call) and getattr(side.func, "id", "") in ("len", "type", "isinstance") for side in sides))
