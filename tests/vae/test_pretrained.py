"""A model as a folder in the Hugging Face layout: what is saved is what is loaded."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

import vivae
from tests.vae.conftest import SMALL, randomised
from vivae.errors import FormatError, InputError, OutputError
from vivae.vae.config import VAEConfig
from vivae.vae.zoo import load_model


@pytest.fixture
def folder(tmp_path):
    model = randomised(VAEConfig.model_validate(SMALL | {"name": "small"}))
    model.save_pretrained(tmp_path / "small")
    return tmp_path / "small"


def test_the_folder_holds_the_model(folder):
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    model = vivae.VideoVAE.from_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["widths"] == list(model.config.widths)
    assert model.hash in (folder / "README.md").read_text()
    assert load_model(folder).hash == model.hash  # what `--model` takes


def test_a_shipped_model_keeps_its_hash(tmp_path):
    base = load_model("base")
    base.save_pretrained(tmp_path / "base")
    again = vivae.VideoVAE.from_pretrained(str(tmp_path / "base"))
    assert again.hash == base.hash
    assert again.notes == base.notes
    assert "license: apache-2.0" in (tmp_path / "base" / "README.md").read_text()


def test_weights_that_other_software_has_saved(folder):
    model = vivae.VideoVAE.from_pretrained(folder)
    save_file(
        load_file(folder / "model.safetensors"), folder / "model.safetensors", metadata={"format": "pt"}
    )
    again = vivae.VideoVAE.from_pretrained(folder)
    assert again.config == model.config
    for key, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[key])


@pytest.mark.parametrize("text", ["no json", "[]", '{"stride": 3}', '{"widths": [9, 9, 9]}'])
def test_a_wrong_configuration_says_so(folder, text):
    save_file(load_file(folder / "model.safetensors"), folder / "model.safetensors")
    (folder / "config.json").write_text(text)
    with pytest.raises(FormatError, match=r"config\.json"):
        vivae.VideoVAE.from_pretrained(folder)
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match=r"config\.json"):
        vivae.VideoVAE.from_pretrained(folder)


def test_no_folder_is_replaced_unasked(folder):
    model = vivae.VideoVAE.from_pretrained(folder)
    with pytest.raises(OutputError, match="--force"):
        model.save_pretrained(folder)
    model.save_pretrained(folder, force=True)
    assert vivae.VideoVAE.from_pretrained(folder).hash == model.hash
