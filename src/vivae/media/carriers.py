"""How one track travels: its packets unchanged, its sound re-encoded, or its text in another container's format.

A carrier takes the source's packets in order, then None, and returns packets ready for the output.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Protocol

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.packet import Packet
from av.stream import Stream
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import AssSubtitle, SubtitleSet

_OPUS_RATE = 48000
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}  # what all encoders take; others are mixed to stereo


class Carrier(Protocol):
    """See the module."""

    def send(self, packet: Packet | None) -> Iterator[Packet]: ...


class PacketCarrier:
    """Copies packets; only their time stamps move, by `shift` seconds to the past."""

    def __init__(self, target: Stream, shift: Fraction) -> None:
        self._target = target
        self._shift = shift

    def send(self, packet: Packet | None) -> Iterator[Packet]:
        if packet is None or packet.pts is None:
            return
        ticks = round(self._shift / packet.time_base)
        packet.pts -= ticks
        packet.dts = packet.pts if packet.dts is None else packet.dts - ticks
        packet.stream = self._target
        yield packet


class SoundCarrier:
    """Decodes and encodes again. Sound before zero on the output's clock is left out."""

    def __init__(self, source: AudioStream, target: AudioStream, shift: Fraction) -> None:
        self._source = source
        self._target = target
        self._shift = shift
        context = target.codec_context
        opus = context.codec.canonical_name == "opus"
        context.sample_rate = _OPUS_RATE if opus else source.codec_context.sample_rate
        context.layout = _LAYOUTS.get(source.codec_context.layout.nb_channels, "stereo")
        context.time_base = Fraction(1, context.sample_rate)
        if context.codec.audio_formats:
            context.format = context.codec.audio_formats[0]
        context.bit_rate = 64_000 * context.layout.nb_channels  # transparent for Opus, good for AAC

    def send(self, packet: Packet | None) -> Iterator[Packet]:
        try:
            frames: list[AudioFrame] = self._source.decode(packet)
        except av.error.InvalidDataError:  # a damaged packet leaves a gap
            return
        for frame in frames:
            if frame.pts is None or frame.time_base is None:
                continue
            frame.pts -= round(self._shift / frame.time_base)
            if frame.pts >= 0:
                yield from self._target.encode(frame)
        if packet is None:
            yield from self._target.encode(None)


class TextCarrier:
    """Decodes text subtitles to FFmpeg's common form (ASS events) and writes them in the target's."""

    def __init__(self, source: SubtitleStream, target: SubtitleStream, shift: Fraction) -> None:
        self._source = source
        self._target = target
        self._shift = shift
        source.codec_context.open(strict=False)  # which makes the header that the encoder needs
        target.codec_context.subtitle_header = source.codec_context.subtitle_header

    def send(self, packet: Packet | None) -> Iterator[Packet]:
        if packet is None or packet.pts is None:
            return
        events = [event.ass for event in self._source.decode(packet) if isinstance(event, AssSubtitle)]
        base, pts, length = packet.time_base, packet.pts, packet.duration or 0
        for text in filter(None, events):
            milliseconds = round(length * base * 1000)
            encoded = self._target.codec_context.encode_subtitle(SubtitleSet.create(text, 0, milliseconds))
            encoded.time_base = base
            encoded.pts = encoded.dts = pts - round(self._shift / base)
            encoded.duration = length
            encoded.stream = self._target
            yield encoded
