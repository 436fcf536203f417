"""What systems are: a line on each, what they read, and the settings that they share or have alone."""

from sercli import plugins
from sercli.evaluation.facts import first_line, flat
from sercli.evaluation.report.numbers import listed
from sercli.evaluation.results import Evaluation, SystemResult, Training
from sercli.model import spec
from sercli.runs.settings import reads
from sercli.types import HUMAN


def described(evaluation: Evaluation) -> dict[str, str]:
    """A line on what each system is, and in which settings it differs from its preset, with names between backticks."""
    full = _full(evaluation)
    return {s.name: _described(s.training, full) for s in evaluation.systems if s.training}


def _described(made: Training, systems: dict[str, dict[str, str]]) -> str:
    if rule := made.settings.get("rule"):
        own = _with_members(made.settings, systems)
        members = _members(made.settings)
        named = [f"`{own[name]}`" if name in own else f"a model of {reads(name)}" for name in members]
        found = [first_line(plugins.fusion_rule(rule)), f"Members: {listed(named)}."]
    else:
        about = spec.described_presets().get(made.name, "").partition(";")[0]  # what follows says for what it is good
        found = [
            f"{about[0].upper()}{about[1:]}."
            if about
            else first_line(plugins.architecture(made.settings["model.architecture"]))
        ]
        if changed := _changed(made) if about else []:
            found += [f"Unlike the preset: {listed(changed)}."]
    if made.words and not (rule and all(name in own for name in members)):
        found += ["It reads the corpus' transcripts." if made.words == HUMAN else f"It reads words by `{made.words}`."]
    return " ".join(found)


def _changed(made: Training) -> list[str]:
    """The settings that differ from the preset."""
    default = flat(spec.resolve(made.name, None, {}).to_dict())
    return [f"`{key}` {value}" for key, value in made.settings.items() if default.get(key) != value]


def inputs(system: SystemResult) -> str:
    """What a system reads, such as "audio, text and motion"; of an ensemble what its members read."""
    members = [name.partition("-")[0] for name in _members(system.training.settings if system.training else {})]
    return listed([reads(name) for name in dict.fromkeys(members or [system.modality])])


def settings_apart(evaluation: Evaluation) -> dict[str, dict[str, str]]:
    """The settings that systems share, then the others of each; a member that is one of the systems by its name."""
    full = _full(evaluation)
    each = {name: _with_members(settings, full) for name, settings in full.items()}
    values: dict[str, list[str]] = {}
    for settings in each.values():
        for key, value in settings.items():
            values.setdefault(key, []).append(value)
    shared = {key: v[0] for key, v in values.items() if len(v) > 1 and len(set(v)) == 1 and "." in key}
    apart = {name: {key: v for key, v in one.items() if key not in shared} for name, one in each.items()}
    return {name: found for name, found in {"All that have it": shared, **apart}.items() if found}


def _full(evaluation: Evaluation) -> dict[str, dict[str, str]]:
    """The settings of each system that is known to have been trained."""
    return {system.name: system.training.settings for system in evaluation.systems if system.training}


def _members(settings: dict[str, str]) -> list[str]:
    """The members of an ensemble, whose names stand before their settings; none of a single model."""
    return list(dict.fromkeys(key.split(": ")[0] for key in settings if ": " in key))


def _with_members(settings: dict[str, str], systems: dict[str, dict[str, str]]) -> dict[str, str]:
    """The settings of an ensemble with the name of a member in place of its settings, if it is one of the systems."""
    found = dict(settings)
    for member in _members(settings):
        own = {key.removeprefix(f"{member}: "): v for key, v in settings.items() if key.startswith(f"{member}: ")}
        if names := [name for name, of_system in systems.items() if of_system == own]:
            found = {key: v for key, v in found.items() if not key.startswith(f"{member}: ")} | {member: names[0]}
    return found
