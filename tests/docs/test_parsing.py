"""Every command in the documents is one that the command line takes: its verb, its options and their values."""

import pytest

from tests.docs.reading import PAGES, Command, commands, mentions


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_parses(page, refusal):
    found = commands(page)
    wrong = [f"{command}: {said}" for command in found if (said := refusal(command.words))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_is_spoken_of_exists(page, refusal):
    """Sentences may leave out files, but name no verb and no option that is not there."""
    wrong = []
    for command in mentions(page):
        said = "" if any(map(str.isupper, command.words[:2])) else refusal(command.words)
        unsaid = said.startswith(("Missing", "Invalid value")) or said.endswith("requires an argument.")
        if said and not unsaid:
            wrong.append(f"{command}: {said}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "words",
    [
        ("nothing",),
        ("compress", "clip.mp4"),
        ("compress", "clip.mp4", "-o", "small.mp4", "--no-such-option"),
        ("compress", "clip.mp4", "-o", "small.mp4", "--quality", "110"),
        ("bench", "nothing"),
    ],
    ids=" ".join,
)
def test_wrong_commands_are_found(words, refusal):
    assert refusal(words)


def test_commands_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "Text `vivae info FILE` and `vivae`.\n\n"
        "    vivae encode a.mp4 -o z.safetensors  # why\n"
        "    make test\n\n"
        "```bash\n$ vivae decode z.safetensors -o b.mp4 ; vivae doctor\n"
        "torchrun --nproc-per-node 2 -m vivae train base --data d\n```\n\n"
        "```python\nvivae.doctor()\n```\n"
    )
    found = [(command.line, command.words[0]) for command in commands(page)]
    assert found == [(3, "encode"), (7, "decode"), (7, "doctor"), (8, "train")]
    assert mentions(page) == [Command(page, 1, ("info", "FILE"), False)]
