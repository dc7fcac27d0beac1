"""How many mentions and papers are read from a folder of digests, and how fast: BAKEOFF_DIGESTS=FOLDER python benchmarks/digests.py"""

import os
import sys
import time
from pathlib import Path

from bakeoff import digests, recognise


def main() -> int:
    folder = os.environ.get("BAKEOFF_DIGESTS")
    if not folder:
        print("Name a folder of digests: BAKEOFF_DIGESTS=FOLDER python benchmarks/digests.py", file=sys.stderr)
        return 2
    started = time.perf_counter()
    read = []
    for file in sorted(path for path in Path(folder).iterdir() if path.is_file()):
        begun = time.perf_counter()
        read.append(digests.read(file))
        print(f"{file.name:32} {read[-1].form:14} {len(read[-1].mentions):6} mentions {time.perf_counter() - begun:8.3f} s")
    papers = recognise.as_json(read)["papers"]
    known = sum(paper["slug"] is not None for paper in papers)
    print(f"{len(papers)} distinct papers of {sum(len(one.mentions) for one in read)} mentions, {known} in the library, "
          f"{time.perf_counter() - started:.3f} s in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
