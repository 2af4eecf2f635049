"""VTK's part of a volume: the .vti file, and a picture of the block of space and time, rendered off screen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vivae.errors import OutputError, UnsupportedError

if TYPE_CHECKING:
    from vivae.tasks.volume import Volume

CUT = (0.86, 0.86)
"""Columns and rows, as a share, that the picture shows: the faces of the block then run through what it holds."""
DEPTH = 1.4
"""Depth of the block in the picture over its width, however long the clip is."""
PANEL = (880, 720)
BACKGROUND = (0.985, 0.985, 0.98)
INK = (0.16, 0.18, 0.2)
PERCENTILE = 99.5
"""Of an array's values, that the brightest colour stands for."""


def write_vti(volume: Volume, path: Path) -> None:
    """Write a volume as VTK XML image data, compressed. Raises OutputError, UnsupportedError."""
    vtk, to_vtk = _vtk()
    times, rows, columns = next(iter(volume.arrays.values())).shape[:3]
    image = vtk.vtkImageData()
    image.SetDimensions(columns, rows, times)
    image.SetSpacing(*volume.spacing)
    keep = []
    for name, values in volume.arrays.items():
        upright = values[:, ::-1]
        flat = np.ascontiguousarray(upright).reshape(times * rows * columns, -1)
        keep.append(flat)  # VTK does not copy it
        array = to_vtk(flat)
        array.SetName(name)
        image.GetPointData().AddArray(array)
    image.GetPointData().SetActiveScalars(next(iter(volume.arrays)))
    field = image.GetFieldData()
    seconds = np.asarray(volume.times)
    keep.append(seconds)
    array = to_vtk(seconds)
    array.SetName("times_s")
    field.AddArray(array)
    for name, text in (("source", volume.name), ("model", volume.model)):
        if text is not None:
            words = vtk.vtkStringArray()
            words.SetName(name)
            words.InsertNextValue(text)
            field.AddArray(words)
    writer = vtk.vtkXMLImageDataWriter()
    writer.SetFileName(str(path))
    writer.SetInputData(image)
    writer.SetCompressorTypeToZLib()
    if not writer.Write() or writer.GetErrorCode():
        raise OutputError(f"cannot write '{path}': VTK's writer failed, perhaps the disk is full")


def render(volume: Volume, path: Path) -> None:
    """Render the block of every array, side by side, as a PNG. Raises OutputError, UnsupportedError."""
    vtk, to_vtk = _vtk()
    window = vtk.vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetMultiSamples(8)
    count = len(volume.arrays)
    window.SetSize(PANEL[0] * count, PANEL[1])
    for index, (name, values) in enumerate(volume.arrays.items()):
        renderer = vtk.vtkRenderer()
        renderer.SetBackground(*BACKGROUND)
        renderer.SetViewport(index / count, 0, (index + 1) / count, 1)
        _block(vtk, to_vtk, renderer, _colours(values))
        _caption(vtk, renderer, f"{name}: {values.shape[2]} x {values.shape[1]}, {_span(volume)}")
        window.AddRenderer(renderer)
        _look(renderer)
    window.Render()
    grab = vtk.vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.ReadFrontBufferOff()
    grab.Update()
    writer = vtk.vtkPNGWriter()
    writer.SetFileName(str(path))
    writer.SetInputConnection(grab.GetOutputPort())
    writer.Write()
    window.Finalize()
    if writer.GetErrorCode():
        raise OutputError(f"cannot write '{path}': VTK's writer failed, perhaps the disk is full")


def _vtk() -> tuple[Any, Any]:
    try:
        import vtkmodules.all as vtk
        from vtkmodules.util.numpy_support import numpy_to_vtk
    except ImportError as error:
        raise UnsupportedError("VTK is not installed: pip install 'vivae[export]'") from error
    # Without a screen it says so before it finds another way.
    vtk.vtkLogger.SetStderrVerbosity(vtk.vtkLogger.VERBOSITY_OFF)
    return vtk, numpy_to_vtk


def _colours(values: NDArray[Any]) -> NDArray[np.uint8]:
    """(T, rows, columns, 3): pictures as they are, figures from dark to bright, of several channels their size."""
    if values.dtype == np.uint8 and values.ndim == 4:
        return values
    if values.ndim == 4:
        values = np.sqrt((values.astype(np.float32) ** 2).mean(-1))
    top = float(np.percentile(values, PERCENTILE)) or float(values.max()) or 1.0
    levels = (np.clip(values / top, 0, 1) * 255).astype(np.uint8)
    coloured = cv2.applyColorMap(levels.reshape(-1, 1), cv2.COLORMAP_INFERNO)
    return np.asarray(coloured.reshape(*values.shape, 3)[..., ::-1])


def _block(vtk: Any, to_vtk: Any, renderer: Any, colours: NDArray[np.uint8]) -> None:
    """Three faces through the volume: the first frame, and what one row and one column saw over time."""
    rows, columns = colours.shape[1:3]
    right = max(1, round(CUT[0] * columns))
    top = rows - max(1, round(CUT[1] * rows))
    w, h, d = right / columns, (rows - top) / columns, DEPTH
    front = colours[0, top:, :right]
    side = colours[:, top:, right - 1].swapaxes(0, 1)
    above = colours[::-1, top, :right]
    faces = [
        (front, (0, 0, 0), (w, 0, 0), (0, h, 0)),
        (side, (w, 0, 0), (w, 0, -d), (w, h, 0)),
        (above, (0, h, 0), (w, h, 0), (0, h, -d)),
    ]
    for picture, origin, along, up in faces:
        plane = vtk.vtkPlaneSource()
        plane.SetOrigin(*origin)
        plane.SetPoint1(*along)
        plane.SetPoint2(*up)
        texture = vtk.vtkTexture()
        texture.SetInputData(_texture(vtk, to_vtk, picture))
        texture.InterpolateOn()
        mapper = vtk.vtkPolyDataMapper()
        mapper.SetInputConnection(plane.GetOutputPort())
        actor = vtk.vtkActor()
        actor.SetMapper(mapper)
        actor.SetTexture(texture)
        actor.GetProperty().LightingOff()
        renderer.AddActor(actor)
    outline = vtk.vtkCubeSource()
    outline.SetBounds(0, w, 0, h, -d, 0)
    edges = vtk.vtkFeatureEdges()
    edges.SetInputConnection(outline.GetOutputPort())
    mapper = vtk.vtkPolyDataMapper()
    mapper.SetInputConnection(edges.GetOutputPort())
    mapper.ScalarVisibilityOff()
    actor = vtk.vtkActor()
    actor.SetMapper(mapper)
    actor.GetProperty().SetColor(*INK)
    renderer.AddActor(actor)


def _texture(vtk: Any, to_vtk: Any, picture: NDArray[np.uint8]) -> Any:
    """An image (rows, columns, 3), first row on top, as what a texture takes; small ones enlarged, to stay sharp."""
    rows, columns = picture.shape[:2]
    factor = max(1, 256 // max(1, min(rows, columns)))
    large = np.repeat(np.repeat(picture, factor, 0), factor, 1)
    image = vtk.vtkImageData()
    image.SetDimensions(large.shape[1], large.shape[0], 1)
    array = to_vtk(np.ascontiguousarray(large[::-1]).reshape(-1, 3), deep=True)
    image.GetPointData().SetScalars(array)
    return image


def _caption(vtk: Any, renderer: Any, text: str) -> None:
    caption = vtk.vtkTextActor()
    caption.SetInput(text)
    caption.SetPosition(28, 24)
    caption.GetTextProperty().SetFontSize(22)
    caption.GetTextProperty().SetColor(*INK)
    renderer.AddViewProp(caption)


def _span(volume: Volume) -> str:
    seconds = volume.times[-1] - volume.times[0]
    return f"{len(volume.times)} frames, {seconds:.1f} s from front to back"


def _look(renderer: Any) -> None:
    """From in front, the right and above, with all of the block in view."""
    camera = renderer.GetActiveCamera()
    camera.SetViewAngle(24)
    camera.SetFocalPoint(0, 0, 0)
    camera.SetPosition(1.05, 0.8, 1.5)
    renderer.ResetCamera()
    camera.Zoom(1.12)
    camera.SetWindowCenter(0, -0.07)  # room for the caption
    renderer.ResetCameraClippingRange()
