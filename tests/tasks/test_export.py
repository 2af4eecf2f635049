"""`export`: what other programs read of models and clips."""

import cv2
import numpy as np
import pytest
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkIOXML import vtkXMLImageDataReader

import vivae
from vivae.errors import InputError, OutputError
from vivae.media import open_video


def read(path):
    """The grid's size (x, y, t), its spacing, and arrays (t, y downward, x, components)."""
    reader = vtkXMLImageDataReader()
    reader.SetFileName(str(path))
    reader.Update()
    image = reader.GetOutput()
    columns, rows, times = image.GetDimensions()
    data = image.GetPointData()
    arrays = {
        data.GetArrayName(index): vtk_to_numpy(data.GetArray(index)).reshape(times, rows, columns, -1)[
            :, ::-1
        ]
        for index in range(data.GetNumberOfArrays())
    }
    seconds = vtk_to_numpy(image.GetFieldData().GetArray("times_s"))
    return (columns, rows, times), image.GetSpacing(), arrays, seconds


def test_a_clip_is_a_volume(bikes, tmp_path):
    told = vivae.export(bikes, vti=tmp_path / "v.vti", width=160, end=0.2)
    size, spacing, arrays, seconds = read(tmp_path / "v.vti")
    assert size == (160, 68, 5) == (told["columns"], told["rows"], told["frames"])
    assert spacing == (4, 4, 1)
    with open_video(bikes, end=0.2) as reader:
        frames = list(reader)
    assert np.allclose(seconds, [float(frame.time) for frame in frames])
    for shown, frame in zip(arrays["video"], frames, strict=True):
        wanted = cv2.resize(frame.to_rgb(), (160, 68), interpolation=cv2.INTER_AREA)
        assert np.array_equal(shown, wanted)
    picture = cv2.imread(str(tmp_path / "v.png"))
    assert picture.std() > 20
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 1000


def test_surprise_masks_and_latents(bikes, small_model, tmp_path):
    (tmp_path / "masks").mkdir()
    for index in range(3):
        mask = np.zeros((272, 640), np.uint8)
        mask[:, 320:] = 255
        cv2.imwrite(str(tmp_path / "masks" / f"{index:05d}.png"), mask)
    options = {"masks": tmp_path / "masks", "model": small_model, "end": 0.12}
    vivae.export(bikes, vti=tmp_path / "a.vti", content=["video", "surprise"], width=80, **options)
    size, _, arrays, _ = read(tmp_path / "a.vti")
    assert size == (80, 34, 3)
    assert arrays["masks"][:, :, 40:].all()
    assert not arrays["masks"][:, :, :40].any()
    assert (arrays["surprise"] >= 0).all()
    vivae.export(bikes, vti=tmp_path / "b.vti", content=["latents", "surprise"], model=small_model, end=0.12)
    size, _, fine, _ = read(tmp_path / "b.vti")
    assert fine["latents"].shape == (3, size[1], size[0], fine["latents"].shape[3])
    # The same bits, on a grid as fine as the latent's and on another one.
    one, other = fine["surprise"].mean(), arrays["surprise"].mean()
    assert one == pytest.approx(other, rel=0.1)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"onnx": "a.onnx", "vti": "a.vti"},
        {"vti": "a.mp4"},
        {"vti": "a.vti", "content": ["sound"]},
        {"vti": "a.vti", "content": []},
        {"vti": "a.vti", "content": ["masks"]},
        {"vti": "a.vti", "width": 1},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_and_leaves_nothing(bikes, tmp_path, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError):
        vivae.export(bikes, **options)
    assert not any(tmp_path.iterdir())


def test_a_volume_that_would_not_fit_is_refused(bikes, tmp_path, monkeypatch):
    monkeypatch.setattr("vivae.tasks.volume.LARGEST_BYTES", 1 << 20)
    with pytest.raises(InputError, match="--width"):
        vivae.export(bikes, vti=tmp_path / "v.vti")


def test_a_model_as_graphs(small_model, tmp_path):
    told = vivae.export(small_model, onnx=tmp_path / "m.onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "m-decoder.onnx", "m-encoder.onnx", "m-prior.onnx",
    ]  # fmt: skip
    assert all(told[part]["largest_difference"] <= 1e-4 for part in ("encoder", "decoder", "prior"))
    with pytest.raises(OutputError, match="--force"):
        vivae.export(small_model, onnx=tmp_path / "m.onnx")


def test_a_graph_that_is_too_far_from_torch_is_not_written(small_model, tmp_path, monkeypatch):
    monkeypatch.setattr("vivae.tasks.export.TOLERANCE", 1e-12)
    with pytest.raises(vivae.VivaeError, match="not exported"):
        vivae.export(small_model, onnx=tmp_path / "m.onnx")
    assert not any(tmp_path.iterdir())


def test_an_enhancer_has_no_such_graphs(tmp_path):
    with pytest.raises(InputError, match="VAE"):
        vivae.export("upscale", onnx=tmp_path / "m.onnx")


def test_reconstruct_in_onnxruntime(bikes, small_model, tmp_path):
    options = {"model": small_model, "end": 0.2}
    one = vivae.reconstruct(bikes, tmp_path / "a.y4m", **options)
    other = vivae.reconstruct(bikes, tmp_path / "b.y4m", runtime="onnx", **options)
    assert other["psnr_yuv"] == pytest.approx(one["psnr_yuv"], abs=0.01)
    assert other["bits_per_pixel"] == pytest.approx(one["bits_per_pixel"], rel=1e-3)
    with open_video(tmp_path / "a.y4m") as ours, open_video(tmp_path / "b.y4m") as theirs:
        for a, b in zip(ours, theirs, strict=True):
            assert np.abs(a.y.astype(int) - b.y).max() <= 1
