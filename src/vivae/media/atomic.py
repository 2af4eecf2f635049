"""Outputs that are whole or absent: write beside the target, rename at the end, remove on any failure.

Removal covers exceptions and Ctrl-C. After SIGKILL or a power cut a hidden `.NAME.*.part*` may be left; never a half
file under the target's own name.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vivae.errors import OutputError

_REASONS = {
    errno.ENOSPC: "the disk is full: free some space or choose another place",
    errno.EDQUOT: "the disk quota is used up: free some space or choose another place",
    errno.EFBIG: "the file grew larger than allowed here",
    errno.EACCES: "no permission to write there",
    errno.EPERM: "no permission to write there",
    errno.EROFS: "the file system is read-only",
    errno.ENOENT: "the folder does not exist",
    errno.ENOTDIR: "a part of the path is not a folder",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EIO: "the device reported an error",
}


def output_error(error: OSError, path: Path) -> OutputError:
    """The typed error for a failed write to `path`."""
    reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
    return OutputError(f"cannot write '{path}': {reason}")


@contextmanager
def atomic_path(dst: str | os.PathLike[str], force: bool = False) -> Iterator[Path]:
    """Yield a path in the folder of `dst` to write a file to; it becomes `dst` when the block ends well.

    The name ends like the target's, because FFmpeg chooses formats by suffix. A symbolic link is followed: its target
    is replaced, the link stays. Raises OutputError if `dst` exists and not `force`, and for every OSError of the kind
    that a disk causes.
    """
    target = check_target(dst, force)
    part = _beside(target)
    try:
        yield part
        _publish(part, target, force)
    except OSError as error:
        if error.errno in _REASONS:
            raise output_error(error, Path(dst)) from error
        raise
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def atomic_dir(dst: str | os.PathLike[str], force: bool = False) -> Iterator[Path]:
    """As `atomic_path` for a folder: yield a fresh empty folder that becomes `dst` when the block ends well.

    An empty folder may be replaced. With `force` so may one that holds only files of the kinds just written; it is
    replaced as a whole, so that nothing of an older, longer run stays behind. A folder with anything else in it is
    never touched: a mistyped name must not cost a user's files.
    """
    target = check_target(dst, force, folder=True)
    part, old = _beside(target), _beside(target)
    try:
        part.mkdir()
        yield part
        if target.exists():
            _refuse_foreign(target, {path.suffix for path in part.iterdir()})
            target.rename(old)
        try:
            part.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise
    except OSError as error:
        if error.errno in _REASONS:
            raise output_error(error, Path(dst)) from error
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def check_target(dst: str | os.PathLike[str], force: bool, *, folder: bool = False) -> Path:
    """The real path behind `dst`, if it may be written. Raises OutputError, naming what to do."""
    target = Path(os.path.realpath(dst))
    if target.exists():
        if target.is_dir() != folder:
            kinds = ("a file", "a folder") if folder else ("a folder", "a file")
            raise OutputError(f"cannot write '{dst}': it is {kinds[0]}, and {kinds[1]} is to be written")
        if not force and not (folder and not any(target.iterdir())):
            raise OutputError(f"'{dst}' exists: choose another name, or allow replacing it with --force")
    if not target.parent.is_dir():
        raise OutputError(f"cannot write '{dst}': the folder '{target.parent}' does not exist")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write '{dst}': no permission to write to the folder '{target.parent}'")
    return target


def refuse_overwrite(dst: str | os.PathLike[str], *inputs: str | os.PathLike[str]) -> None:
    """Raise OutputError if writing `dst` would destroy an input, also behind links or as a folder around it."""
    target = Path(os.path.realpath(dst))
    for source in inputs:
        real = Path(os.path.realpath(source))
        same = target.exists() and real.exists() and target.samefile(real)
        if same or target == real or target in real.parents:
            raise OutputError(
                f"'{dst}' is the input itself or contains it: choose another name for the output"
            )


def _refuse_foreign(folder: Path, suffixes: set[str]) -> None:
    for path in folder.iterdir():
        if path.suffix not in suffixes or not path.is_file():
            raise OutputError(
                f"'{folder}' holds other things ('{path.name}'): it is not replaced; choose a new folder"
            )


def _beside(target: Path) -> Path:
    # The stem is cut because the whole must stay below the 255 bytes of a file name.
    stem = target.name.removesuffix(target.suffix)[:80]
    return target.with_name(f".{stem}.{secrets.token_hex(4)}.part{target.suffix}")


def _publish(part: Path, target: Path, force: bool) -> None:
    if force:
        part.replace(target)
        return
    try:
        os.link(part, target)  # unlike a rename, refuses to replace what has appeared meanwhile
    except FileExistsError:
        raise OutputError(f"'{target}' has appeared meanwhile: it is left as it is") from None
    except OSError:  # file systems without hard links
        part.rename(target)
