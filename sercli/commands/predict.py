"""`ser predict`: recordings become labels with probabilities."""

import csv as csv_format
import io
from collections.abc import Sequence
from dataclasses import asdict
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sercli.commands import _options

if TYPE_CHECKING:
    from sercli.model.answering import Answer


def predict(
    paths: Annotated[list[Path], typer.Argument(help="Recordings, or folders of them.")],
    *,
    model: Annotated[Path, typer.Option("--model", "-m", help="Run directory, of a model or an ensemble.")],
    text: Annotated[str | None, typer.Option("--text", help="What is said in the recording.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line on stdout.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="CSV on stdout.")] = False,
    device: _options.Device = "auto",
) -> None:
    """Recognise the emotion in recordings."""
    from sercli.commands import _render
    from sercli.dataset import audio
    from sercli.errors import AudioError, SerError

    if json and csv:
        raise SerError("--json and --csv exclude each other; give one.")
    found = audio.find(paths)
    if text is not None and len(found) > 1:
        raise SerError(f"--text says what one recording holds, and there are {len(found)}; give one recording.")
    from sercli.model import answering, systems, training

    system = systems.load(model, training.pick_device(device))
    if csv:
        typer.echo(_csv_line(["path", "label", "confidence", *system.labels, "text", "reason"]))
    answers: list[Answer] = []
    failures: list[str] = []
    with _render.progress("Listening", len(found)) as advance:
        for path in found:
            try:
                answer = answering.answer(system, path, text)
            except AudioError as error:
                if len(found) == 1:
                    raise
                _render.warn(str(error))
                failures.append(str(path))
            else:
                if json:
                    typer.echo(dumps(_plain(answer), ensure_ascii=False))
                elif csv:
                    typer.echo(_csv_line(_cells(answer, system.labels)))
                else:
                    answers.append(answer)
            advance(1)
    if answers:
        _render.prediction_rows([_plain(answer) for answer in answers])
    if failures:
        raise SerError(f"{len(failures)} of {len(found)} recordings failed: {', '.join(failures)}")


def _plain(answer: "Answer") -> dict[str, Any]:
    """The answer as JSON has it: `reason` only where there is one."""
    return {key: value for key, value in asdict(answer).items() if key != "reason" or value is not None}


def _cells(answer: "Answer", labels: Sequence[str]) -> list[str]:
    probs = [repr(answer.probs[label]) if label in answer.probs else "" for label in labels]
    confidence = "" if answer.confidence is None else repr(answer.confidence)
    return [answer.path, answer.label or "", confidence, *probs, answer.text or "", answer.reason or ""]


def _csv_line(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv_format.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()
