"""Write the schemas next to this file."""

from pathlib import Path

from models import schemas

for _name, _text in schemas.files().items():
    Path(__file__).with_name(_name).write_text(_text)
