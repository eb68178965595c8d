"""`python -m bench` runs every benchmark; `python -m bench deliveries restore` the named ones."""

import subprocess
import sys

BENCHES = ("ingress", "deliveries", "restore", "fetch", "fhir")


def main(names: list[str]) -> int:
    """Run benchmarks one after another, each in a process of its own; 1 if one of them misses its goal."""
    if unknown := sorted(set(names) - set(BENCHES)):
        print(f"There is no benchmark {unknown[0]}. There are: {', '.join(BENCHES)}.", file=sys.stderr)
        return 2
    results = [subprocess.call([sys.executable, "-m", f"bench.{name}"]) for name in names or BENCHES]
    return int(any(results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
