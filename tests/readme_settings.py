"""`python -m tests.readme_settings`: the README's table of settings, made from the settings themselves."""

from pydantic_core import PydanticUndefined

from ingest_assets.app import setting_groups


def table() -> str:
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for group in setting_groups():
        for variable, name in group.variables().items():
            field = group.model_fields[name]
            default = "" if field.default in (None, "", PydanticUndefined) else f"`{field.default}`"
            lines.append(f"| `{variable}` | {default} | {field.description} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())  # noqa: T201  (its purpose)
