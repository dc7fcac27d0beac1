"""Write the generated parts: the README's table of verdicts, docs/papers.md and docs/command.md. `--check` only compares."""

import argparse
import re
import sys
from pathlib import Path

from bakeoff import catalogue, cli, profiles

ROOT = Path(__file__).parent.parent


def verdict_table() -> str:
    """The README's table: a line a paper, from the evidence."""
    results = {one["slug"]: one for one in catalogue.evidence()}
    lines = ["| paper | it says | verdict here | effect, with its interval | pairs | cost |", "|---|---|---|---|---|---|"]
    for slug, one in catalogue.entries().items():
        name = f"[{one.paper.title}](docs/papers.md#{slug.replace('_', '-')})"
        if result := results.get(slug):
            low, high = ("?" if end is None else f"{end:+.3g}" for end in result["interval"])
            effect = "" if result["estimate"] is None else f"{result['estimate']:+.3g} {result['unit']} [{low}, {high}]"
            stale = "" if result["code"] == catalogue.code_hash(slug) else " (of older code)"
            cells = [f"**{result['decision']}**{stale}", effect, str(result["pairs"]), f"{result['seconds']:.0f} s"]
        else:
            cells = ["not run", "", "", ""]
        lines.append(f"| {' | '.join([name, one.claim.says, *cells])} |")
    return "\n".join(lines)


def paper_pages() -> str:
    """docs/papers.md: card, claim and use of every paper."""
    parts = ["# The papers\n\nGenerated from the paper files by `make docs`."]
    for slug, one in catalogue.entries().items():
        claim = one.claim
        parts.append(f"""## {slug.replace('_', '-')}

*{one.paper.title}*, {', '.join(one.paper.authors)}, {one.paper.venue} {one.paper.year}, arXiv {one.paper.arxiv}. Area: {one.area}.

```python
from bakeoff.papers.{one.area}.{slug} import {', '.join(one.names)}
```

**Claim.** {claim.says} Measured: {claim.metric} ({claim.unit}, {claim.better} is better, margin {claim.margin:g}) on `{claim.data}`;
equal for both arms: {claim.equal}, {', '.join(f'{count:,} ({name})' for name, count in claim.steps.items())}.

```text
{one.card}
```""")
    missing = [one for one in profiles.profiles().values() if not one.written]
    listed = "\n".join(f"- `{one.slug}` ({one.area}): *{one.title}*. {one.says}" for one in missing)
    parts.append(f"## Still to come\n\n{len(missing)} papers are wanted and not here yet.\n\n{listed}")
    return "\n\n".join(parts) + "\n"


def command_reference() -> str:
    """docs/command.md: the help of every verb."""
    parser = cli._parser()
    verbs = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction)).choices
    parts = ["# The command\n\nGenerated from the command's own help by `make docs`."]
    for name, verb in verbs.items():
        verb.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=110)
        parts.append(f"## {name}\n\n```text\n{verb.format_help()}```")
    return "\n\n".join(parts) + "\n"


def generated() -> dict[Path, str]:
    """What every generated file should hold."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = re.sub(r"(<!-- verdicts -->\n).*?(<!-- end -->)", lambda found: f"{found[1]}{verdict_table()}\n{found[2]}", readme, flags=re.S)
    return {ROOT / "README.md": table, ROOT / "docs/papers.md": paper_pages(), ROOT / "docs/command.md": command_reference()}


if __name__ == "__main__":
    stale = []
    for file, text in generated().items():
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            stale.append(str(file.relative_to(ROOT)))
            if "--check" not in sys.argv:
                file.write_text(text, encoding="utf-8")
    if stale and "--check" in sys.argv:
        sys.exit(f"not in step with the code: {', '.join(stale)}\nRun: make docs")
    print("\n".join(f"wrote {file}" for file in stale) or "generated pages are in step with the code")
