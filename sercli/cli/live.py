"""`ser predict mic`, and raw samples on stdin: utterances are predicted as they are spoken."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from sercli._system import ctrl_c
from sercli.cli import render
from sercli.cli.recordings import Recordings
from sercli.pipeline import PipelineConfig, RecordingResult
from sercli.types import Array, Prediction, Recording

if TYPE_CHECKING:
    from sercli.audio.live import LiveSound


class Live(Recordings):
    """Sound that comes in, as the only recording of a command. Ctrl-C is its end."""

    def __init__(self, sound: "LiveSound", recordings: Sequence[Recording], config: PipelineConfig) -> None:
        super().__init__(recordings, config, jobs=1, keep=False)
        self._sound = sound

    def _predicted(self) -> Iterator[RecordingResult]:
        sound, (recording,), remarks = self._sound, self.all, list[str]()
        pipeline = self.pipeline
        with (
            closing(ctrl_c.until_pressed(sound.blocks, sound.end)) as blocks,
            render.live_view(sound.described) as view,
        ):

            def heard() -> Iterator[Array]:
                for block in blocks:
                    view.heard(block, sound.rate_hz, sound.remarks)
                    yield block

            def predicted() -> Iterator[Prediction]:
                for one in pipeline.stream(heard(), sound.rate_hz, min_confidence=recording.min_confidence):
                    view.predicted(one)
                    remarks[:] = one.remarks
                    yield replace(one, path=sound.name, remarks=(*one.remarks, *sound.remarks))
                remarks.extend(sound.remarks)

            result = RecordingResult(recording, False, predicted(), remarks)
            yield result
        self.remark(result)
