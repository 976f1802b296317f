"""Policies as YAML: what is exported can be imported, and means the same. Pure."""

from __future__ import annotations

from typing import Any

import yaml

from compliance.exceptions import PolicyError
from compliance.policy import Content, read

LARGEST = 64 * 1024  # bytes; every override of every rule takes a tenth of it


class _Loader(yaml.SafeLoader):
    """Reads plain values, each key once, and nothing that stands for something else."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]  # PyYAML's stubs
            raise yaml.composer.ComposerError(
                None, None, "a policy has no aliases", event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"“{key.value}” is there twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def to_yaml(content: Content, *, about: str) -> str:
    """Return a file that people can read and `from_yaml` understands."""
    told = yaml.safe_dump(content.to_json(), sort_keys=False, allow_unicode=True)
    lines = "".join(f"# {line}\n" for line in about.splitlines())
    return f"{lines}{told}"


def from_yaml(text: str | bytes) -> Content:
    """Understand an exported policy, or one written by hand.

    Raises PolicyError, at no place, where it is too long, no text or no YAML; and as
    `read` does where it says what a policy cannot say.
    """
    if len(text if isinstance(text, bytes) else text.encode()) > LARGEST:
        raise PolicyError(
            {"": f"The file is longer than {LARGEST // 1024} kB: that is no policy."}
        )
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        raw = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader, made stricter
    except UnicodeDecodeError:
        raise PolicyError({"": "The file is no text in UTF-8."}) from None
    except RecursionError:
        raise PolicyError({"": "The file is nested too deep to be a policy."}) from None
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise PolicyError({"": f"The file is no YAML: {_place(error)}"}) from error
    return read(raw)


def _place(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    where = f" in line {mark.line + 1}" if mark else ""
    return f"{' '.join(problem.split())[:200]}{where}."
