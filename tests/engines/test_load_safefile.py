"""Safetensors headers that lie, files that are something else, and the ones that are sound."""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fantascope.engines.compact import GROUP, SCALE, compact, expand
from fantascope.engines.safefile import MAX_HEADER, SafeFile, read_header, read_tensor
from fantascope.errors import BrokenModelFile, ModelNotFound, UnsafeModelFile, Unsupported

ENTRY = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}


def write(path: Path, header: Any, data: bytes = b"\0" * 16) -> Path:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + data)
    return path


def test_a_sound_file_reads_as_safetensors_does(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    arrays = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": np.array([1, -2], np.int8),
        "c": np.array(3.5, np.float16),
        "d": np.zeros((0, 4), np.int64),
    }
    path = tmp_path / "x.safetensors"
    save_file(arrays, path, metadata={"format": "pt"})
    file = SafeFile.open(path)
    assert file.metadata == {"format": "pt"}
    for name, array in file.read_all().items():
        assert array.dtype == arrays[name].dtype and array.shape == arrays[name].shape
        assert (array == arrays[name]).all()
    with pytest.raises(BrokenModelFile, match="holds no tensor 'e'"):
        file.read("e")


def test_bfloat16_becomes_float32_exactly(tmp_path: Path) -> None:
    entry = {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]}
    path = write(tmp_path / "b.safetensors", {"x": entry}, struct.pack("<3H", 0x3F80, 0xC040, 0x7F80))
    assert read_tensor(path, "x").tolist() == [1.0, -3.0, float("inf")]


def test_eight_bit_floats_are_listed_but_not_read(tmp_path: Path) -> None:
    path = write(tmp_path / "f.safetensors", {"x": {"dtype": "F8_E4M3", "shape": [1], "data_offsets": [0, 1]}}, b"\0")
    with pytest.raises(Unsupported, match="F8_E4M3"):
        read_tensor(path, "x")


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ({"x": ENTRY | {"shape": [2, 3]}}, "says F32"),
        ({"x": ENTRY | {"data_offsets": [0, 12]}}, "says F32"),
        ({"x": ENTRY | {"data_offsets": [4, 20]}}, "gap"),
        ({"x": ENTRY | {"data_offsets": [16, 0]}}, "impossible data_offsets"),
        ({"x": ENTRY | {"data_offsets": [0]}}, "impossible data_offsets"),
        ({"x": ENTRY | {"data_offsets": [-16, 0]}}, "impossible data_offsets"),
        ({"x": ENTRY | {"shape": [-2, -2]}}, "impossible shape"),
        ({"x": ENTRY | {"shape": [2, True]}}, "impossible shape"),
        ({"x": ENTRY | {"shape": [2.0, 2]}}, "impossible shape"),
        ({"x": ENTRY | {"shape": [1] * 9}}, "impossible shape"),
        ({"x": ENTRY | {"shape": [2**62, 2**62]}}, "says F32"),
        ({"x": ENTRY | {"dtype": "F99"}}, "unknown dtype"),
        ({"x": ENTRY | {"dtype": ["F32"]}}, "unknown dtype"),
        ({"x": ENTRY | {"more": 1}}, "or has more"),
        ({"x": {"dtype": "F32"}}, "lacks"),
        ({"x": [1]}, "lacks"),
        ({"x": ENTRY, "y": ENTRY}, "overlaps"),
        ({"x": ENTRY | {"shape": [1, 2], "data_offsets": [0, 8]}}, "end at byte"),
        ({"x": ENTRY, "__metadata__": {"a": 1}}, "metadata"),
        ({"x": ENTRY, "__metadata__": "a"}, "metadata"),
        ({}, "end at byte"),
        (b'{"x": %s, "x": %s}' % ((json.dumps(ENTRY).encode(),) * 2), "twice"),
        (b'{"x": {"dtype": "F32", "dtype": "F32"}}', "twice"),
        (b'{"x": ', "not the JSON"),
        (b'{"x": ' + b"[" * 100_000 + b"}", "not the JSON"),
        (b'{"x": ' + b"9" * 10_000 + b"}", "not the JSON"),
        (b'{"\xff": 1}', "not the JSON"),
        (b"[1, 2]", "does not begin"),
    ],
)
def test_lies_are_found(header: Any, why: str, tmp_path: Path) -> None:
    with pytest.raises(BrokenModelFile, match=why):
        SafeFile.open(write(tmp_path / "x.safetensors", header))


@pytest.mark.parametrize(("length", "why"), [(2**63, "claims a header"), (MAX_HEADER + 1, "claims"), (500, "only")])
def test_header_length_is_not_believed(length: int, why: str, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", length) + b"{}" + b"\0" * 100)
    with pytest.raises(BrokenModelFile, match=why):
        SafeFile.open(path)


@pytest.mark.parametrize("cut", [0, 3, 8, 9, 40, -1])
def test_truncated_files(cut: int, tmp_path: Path) -> None:
    path = write(tmp_path / "x.safetensors", {"x": ENTRY})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(BrokenModelFile):
        SafeFile.open(path)


def test_file_that_shrinks_after_the_check(tmp_path: Path) -> None:
    path = write(tmp_path / "x.safetensors", {"x": ENTRY})
    file = SafeFile.open(path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(BrokenModelFile, match="changed while it was read"):
        file.read("x")


class Bomb:
    def __reduce__(self) -> Any:
        return (Path("never").touch, ())


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_under_another_name(protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(pickle.dumps(Bomb(), protocol=protocol))
    with pytest.raises(UnsafeModelFile, match="run any code") as caught:
        SafeFile.open(path)
    assert "weights_only=True" in str(caught.value.hint)


@pytest.mark.parametrize("legacy", [True, False])
def test_torch_files_under_another_name(legacy: bool, tmp_path: Path) -> None:
    import torch

    path = tmp_path / "x.safetensors"
    torch.save({"w": torch.zeros(2)}, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(UnsafeModelFile):
        SafeFile.open(path)


def test_archives_and_folders_and_nothing(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z.safetensors", "w") as archive:
        archive.writestr("data.pkl", b"x" * 100)
    with pytest.raises(UnsafeModelFile):
        SafeFile.open(tmp_path / "z.safetensors")
    for place in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(ModelNotFound):
            SafeFile.open(place)


@given(st.binary(max_size=300))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_bytes_are_read_or_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "any.safetensors"
    path.write_bytes(data)
    try:
        read_header(path)
    except (BrokenModelFile, UnsafeModelFile):
        return


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
entries = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "I8", "BOOL", "X"]) | json_values,
        "shape": st.lists(st.integers(-1, 5), max_size=3) | json_values,
        "data_offsets": st.lists(st.integers(-1, 40), max_size=3) | json_values,
    }
)


@given(st.dictionaries(st.text(max_size=4), entries | json_values, max_size=4), st.integers(0, 64))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_header_that_is_accepted_can_be_read_whole(tmp_path: Path, header: dict[str, Any], size: int) -> None:
    path = write(tmp_path / "any.safetensors", header, b"\0" * size)
    try:
        file = SafeFile.open(path)
    except BrokenModelFile:
        return
    assert sum(array.nbytes for array in file.read_all().values()) == size


def test_compact_form_comes_back_within_half_a_step(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    random = np.random.default_rng(0)
    weights = {
        "w": random.normal(size=(5, 7)).astype(np.float32),
        "b": np.array([0.5, 2.0], np.float32),
        "ids": np.arange(3),
        "zero": np.zeros((2, 2), np.float32),
    }
    packed = compact(weights)
    assert packed["w"].dtype == np.int8 and packed["b"].dtype == np.float16 and packed[f"w{SCALE}"].shape == (5,)
    save_file(packed, tmp_path / "c.safetensors")
    back = expand(tmp_path / "c.safetensors")
    assert back.keys() == weights.keys() and (back["ids"] == weights["ids"]).all() and not back["zero"].any()
    assert (np.abs(back["w"] - weights["w"]) <= packed[f"w{SCALE}"][:, None] / 2 + 1e-7).all()


@given(st.integers(1, 4), st.integers(1, 3), st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3))
def test_a_table_is_packed_into_four_bits_within_its_step(
    tmp_path_factory: pytest.TempPathFactory, rows: int, groups: int, seed: int, spread: float
) -> None:
    from safetensors.numpy import save_file

    table = (np.random.default_rng(seed).normal(size=(rows, groups * 2 * GROUP)) * spread).astype(np.float32)
    table[0, :GROUP] = 0
    packed = compact({"t": table}, ["t"])
    assert packed["t"].dtype == np.uint8 and packed["t"].shape == (rows, groups * GROUP)
    assert packed[f"t{SCALE}"].shape == (rows, groups * 2) and packed[f"t{SCALE}"].dtype == np.float16
    path = tmp_path_factory.mktemp("table") / "c.safetensors"
    save_file(packed, path)
    back = expand(path)["t"]
    most = np.abs(table.reshape(rows, -1, GROUP)).max(axis=2, keepdims=True)
    away = np.abs(back - table).reshape(rows, -1, GROUP)
    assert not back[0, :GROUP].any()
    assert (np.square(away).sum(2) <= GROUP * np.square(most[:, :, 0] / 7 / 2) * 1.01).all()


def test_compact_form_with_a_scale_that_does_not_fit(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    wrong = {"w": np.zeros((5, 7), np.int8), f"w{SCALE}": np.ones(4, np.float32)}
    save_file(wrong, tmp_path / "c.safetensors")
    with pytest.raises(BrokenModelFile, match="one scale a row"):
        expand(tmp_path / "c.safetensors")
    save_file({"w": np.zeros((5, 7), np.int8)}, tmp_path / "d.safetensors")
    with pytest.raises(BrokenModelFile, match="no tensor"):
        expand(tmp_path / "d.safetensors")
    wrong = {"w": np.zeros((5, 32), np.uint8), f"w{SCALE}": np.ones((5, 1), np.float16)}
    save_file(wrong, tmp_path / "e.safetensors")
    with pytest.raises(BrokenModelFile, match="one scale a group"):
        expand(tmp_path / "e.safetensors")
