"""What is documented is what there is: commands, settings, endpoints, failpoints, and the README's own commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
from pydantic import BaseModel

from service import failpoint
from service.cli import app
from service.config import Settings
from service.documents import parse_yaml

ROOT = Path(__file__).parent.parent
DOCS = {path.name: path.read_text(encoding="utf-8") for path in [*ROOT.glob("docs/*.md"), ROOT / "README.md"]}
OPERATIONS = DOCS["operations.md"]


def commands() -> list[str]:
    root = typer.main.get_command(app)
    found = []
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        found += [f"{name} {sub}" for sub in getattr(command, "commands", {})] or [name]
    return found


@pytest.mark.parametrize("command", commands())
def test_every_command_is_documented(command: str) -> None:
    assert re.search(rf"[`, ]{re.escape(command)}\b", OPERATIONS)


def settings(model: type[BaseModel] = Settings, prefix: str = "") -> list[str]:
    found = []
    for name, field in model.model_fields.items():
        default = field.get_default()
        inner = isinstance(default, BaseModel)
        found += settings(type(default), f"{prefix}{name}.") if inner else [f"{prefix}{name}"]
    return found


@pytest.mark.parametrize("setting", settings())
def test_every_setting_is_in_the_example_with_a_line_of_why(setting: str) -> None:
    root = parse_yaml((ROOT / "config.example.yaml").read_bytes(), shown="config.example.yaml")
    node = root.at(setting.split("."))
    lines = (ROOT / "config.example.yaml").read_text(encoding="utf-8").splitlines()
    place = int(node.where.split(":")[1])
    assert lines[place - 1].strip().startswith(setting.split(".")[-1] + ":")
    assert lines[place - 2].strip().startswith("# ")


@pytest.mark.parametrize("point", failpoint.POINTS)
def test_every_failpoint_is_in_the_promises(point: str) -> None:
    assert point in DOCS["promises.md"]


@pytest.mark.parametrize("name", sorted(DOCS))
def test_links_between_documents_lead_somewhere(name: str) -> None:
    folder = ROOT if name == "README.md" else ROOT / "docs"
    for target in re.findall(r"\]\(([^)#:]+)\)", DOCS[name]):
        assert (folder / target).exists(), target


def test_the_readme_has_two_commands() -> None:
    found = re.findall(r"<!-- command (\w+) -->\n```sh\n(.+?)\n```", DOCS["README.md"], re.DOTALL)
    assert [name for name, _ in found] == ["one", "two"]
    assert all("\n" not in command for _, command in found)


@pytest.mark.parametrize("name", sorted(DOCS))
def test_yaml_examples_are_valid(name: str) -> None:
    for number, text in enumerate(re.findall(r"```yaml\n(.*?)```", DOCS[name], re.DOTALL)):
        lines = text.splitlines()
        margin = len(lines[0]) - len(lines[0].lstrip())
        parse_yaml("\n".join(line[margin:] for line in lines).encode(), shown=f"{name} example {number + 1}")
