"""`ser export`: a run as ONNX, for other programs."""

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from sercli.cli import options


def export(
    run: Annotated[
        Path | None,
        typer.Argument(
            metavar="RUN", help="Run directory of an acoustic model. Default: audio part of the model that ships."
        ),
    ] = None,
    *,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FOLDER", help="Folder to write to.")],
    int8: Annotated[
        bool, typer.Option("--int8", help="Also write the model with weights of 8 bits: smaller, a little less exact.")
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Write a run as ONNX, with its labels and settings in JSON and examples in Python and JavaScript.

    ser export work/run -o work/onnx

    The model reads 16 kHz samples of an utterance and returns probabilities.

    Of a run on a feature that is not from Whisper only the network is written, which reads the feature.
    """
    from sercli import pipeline
    from sercli.cli import render
    from sercli.model.export import export as write

    chosen = run or pipeline.model_folder(None) / "members" / "acoustic"
    with render.progress("Exporting", None):
        names = write(chosen, out, int8=int8)
    render.note(f"{out}: {', '.join(names)}")
    if "example.py" in names:
        render.note(f"Next: python {quote(str(out / 'example.py'))} CLIP.wav")
