"""Write the generated tables into docs/."""

from pathlib import Path

from cli.reference import rendered

for _page in sorted(Path("docs").glob("*.md")):
    _page.write_text(rendered(_page.read_text()))
