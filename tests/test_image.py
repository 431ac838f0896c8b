"""Pictures in and out: every kind of source, what numbers mean, and what is refused."""

import contextlib
import doctest
import importlib
import io
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pyconvx import image
from pyconvx.errors import DTypeError, ImageError, OptionError, ShapeError


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encode(array_or_picture, kind="PNG", **options):
    picture = array_or_picture if isinstance(array_or_picture, Image.Image) else Image.fromarray(array_or_picture)
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


# Sources


def test_every_kind_of_source_gives_the_same_picture(tmp_path):
    rgb = noise(5, 7, 3)
    path = tmp_path / "a.png"
    path.write_bytes(encode(rgb))
    with path.open("rb") as stream:
        sources = [str(path), path, os.fsencode(path).decode(), path.read_bytes(), bytearray(path.read_bytes())]
        sources += [memoryview(path.read_bytes()), stream, Image.fromarray(rgb), Image.open(path), rgb]
        for source in sources:
            loaded = image.load(source)
            np.testing.assert_array_equal(loaded, rgb)
            assert loaded.dtype == np.uint8
            assert loaded.flags.c_contiguous
            assert loaded.flags.writeable
            assert not np.shares_memory(loaded, rgb)


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("BMP", {}), ("TIFF", {})])
def test_lossless_formats(kind, options):
    rgb = noise(9, 4, 3)
    np.testing.assert_array_equal(image.load(encode(rgb, kind, **options)), rgb)


def test_jpeg_of_a_flat_colour():
    loaded = image.load(encode(np.full((16, 16, 3), (200, 100, 50), np.uint8), "JPEG", quality=95))
    assert np.abs(loaded.astype(int) - (200, 100, 50)).max() <= 3


def test_strided_and_reversed_arrays():
    rgb = noise(6, 8, 3)
    np.testing.assert_array_equal(image.load(rgb[::2, ::-1]), rgb[::2, ::-1])


def test_the_first_frame_of_an_animation():
    frames = [Image.fromarray(np.full((4, 4), level, np.uint8)) for level in (10, 200)]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (image.load(data) == 10).all()


# What numbers mean


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        (np.array([[False, True]]), [0, 255]),
        (np.array([[0, 7, 255]], np.uint8), [0, 7, 255]),
        (np.array([[0, 128, 129, 257, 65535]], np.uint16), [0, 0, 1, 1, 255]),  # 128 / 257 < 1/2 < 129 / 257
        (np.array([[257, 65535]], ">u2"), [1, 255]),
        (np.array([[0, 7, 255]], np.int64), [0, 7, 255]),
        (np.array([[0, 7, 127]], np.int8), [0, 7, 127]),
        (np.array([[0, 255]], np.uint64), [0, 255]),
        (np.array([[0, 0.2, 1]], np.float16), [0, 51, 255]),
        (np.array([[0, 0.2, 1]], np.float32), [0, 51, 255]),
        (np.array([[0, 0.2, 1]], np.float64), [0, 51, 255]),
        (np.array([[-1e-6, 1 + 1e-6]]), [0, 255]),  # somebody's rounding
    ],
)
def test_element_types(values, levels):
    loaded = image.load(values)
    assert loaded.dtype == np.uint8
    np.testing.assert_array_equal(loaded[0, :, 0], levels)
    np.testing.assert_array_equal(loaded[..., 0], loaded[..., 2])
    unit = image.load(values, dtype=np.float32)
    assert unit.dtype == np.float32
    assert np.abs(unit[0, :, 1] - np.array(levels) / 255).max() <= 0.5 / 255 + 1e-6
    assert unit.min() >= 0
    assert unit.max() <= 1


def test_float_output_keeps_what_a_16_bit_source_knows():
    assert image.load(np.array([[1]], np.uint16), dtype=np.float32)[0, 0, 0] == np.float32(1 / 65535)


@pytest.mark.parametrize(
    "values",
    [
        np.array([[0.0, 255.0]]),
        np.array([[-0.1]]),
        np.array([[np.nan, 0.5]]),
        np.array([[np.inf]]),
        np.array([[256]]),
        np.array([[-1]]),
        np.array([[1j]]),
        np.array([["a"]]),
        np.array([[None]]),
        np.zeros((0, 4, 3)),
        np.zeros(5),
        np.zeros((2, 2, 2)),
        np.zeros((1, 2, 2, 3)),
    ],
    ids=repr,
)
def test_arrays_that_are_not_pictures(values):
    with pytest.raises(ImageError, match="array"):
        image.load(values)


@pytest.mark.parametrize("source", [None, 5, [[1, 2]], object()])
def test_sources_that_are_not_pictures(source):
    with pytest.raises(ImageError, match=type(source).__name__):
        image.load(source)


# Shapes and modes


def test_grey_arrays_and_alpha():
    grey = noise(3, 5)
    rgb = np.repeat(grey[:, :, None], 3, axis=2)
    np.testing.assert_array_equal(image.load(grey), rgb)
    np.testing.assert_array_equal(image.load(grey[:, :, None]), rgb)
    opaque = np.concatenate([rgb, np.full((3, 5, 1), 255, np.uint8)], axis=2)
    np.testing.assert_array_equal(image.load(opaque), rgb)


@pytest.mark.parametrize("background", [(255, 255, 255), (0, 0, 0), (10, 200, 30)])
def test_alpha_is_composited_exactly(background):
    rgba = noise(40, 40, 4)
    alpha = rgba[..., 3:] / 255
    expected = rgba[..., :3] * alpha + (1 - alpha) * np.array(background)
    for source in (rgba, encode(rgba), Image.fromarray(rgba)):
        assert np.abs(image.load(source, background=background) - expected).max() <= 0.5 + 1e-9
    unit = image.load(rgba, background=background, dtype=np.float32)
    np.testing.assert_allclose(unit, expected / 255, atol=1e-6)


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "RGBX", "RGBa", "La", "PA"]
)
def test_pillow_modes(mode):
    opaque = Image.fromarray(np.dstack([noise(6, 6, 3) // 64 * 64, np.full((6, 6), 255, np.uint8)]), "RGBA")
    steps = {"La": ["LA", "La"], "PA": ["P", "PA"], "HSV": ["RGB", "HSV"], "YCbCr": ["RGB", "YCbCr"]}.get(mode, [mode])
    picture = opaque
    for step in steps:
        picture = picture.convert(step)
    back = picture.convert({"La": "LA", "RGBa": "RGBA"}.get(mode, mode)).convert("RGB")
    np.testing.assert_array_equal(image.load(picture), np.asarray(back))


def test_palette_with_a_transparent_colour():
    picture = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    picture.putpalette([255, 0, 0, 0, 0, 255])
    data = encode(picture, transparency=1)
    np.testing.assert_array_equal(image.load(data, background=(1, 2, 3)), [[[255, 0, 0], [1, 2, 3]]])


def test_cmyk_jpeg():
    picture = Image.new("CMYK", (8, 8), (255, 0, 0, 0))  # full cyan
    red, green, blue = image.load(encode(picture, "JPEG"))[0, 0]
    assert red < 10
    assert min(green, blue) > 245


def test_16_bit_grey_png_and_tiff():
    levels = np.array([[0, 129, 65535]], np.uint16)
    for kind in ("PNG", "TIFF"):
        data = encode(levels, kind)
        np.testing.assert_array_equal(image.load(data)[0, :, 0], [0, 1, 255])
        np.testing.assert_allclose(image.load(data, dtype=np.float32)[..., 0], levels / 65535, atol=1e-7)


def test_32_bit_and_float_pictures():
    np.testing.assert_array_equal(image.load(Image.fromarray(np.array([[257, 65535]], np.int32)))[0, :, 0], [1, 255])
    np.testing.assert_array_equal(image.load(Image.fromarray(np.array([[0.2, 1]], np.float32)))[0, :, 0], [51, 255])
    with pytest.raises(ImageError, match="32-bit"):
        image.load(Image.fromarray(np.array([[65536]], np.int32)))
    with pytest.raises(ImageError, match="float"):
        image.load(encode(np.array([[2.0]], np.float32), "TIFF"))


# EXIF


UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90,
    9: lambda a: a,  # not in the standard
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_exif_orientation(kind, orientation):
    rgb = noise(3, 5, 3)
    picture = Image.fromarray(rgb)
    exif = picture.getexif()
    exif[0x0112] = orientation
    data = encode(picture, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    np.testing.assert_array_equal(image.load(data), UPRIGHT[orientation](rgb))
    np.testing.assert_array_equal(image.load(Image.open(io.BytesIO(data))), UPRIGHT[orientation](rgb))


def test_damaged_exif_does_not_damage_the_picture():
    rgb = noise(3, 5, 3)
    data = encode(rgb, exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x7f")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about the EXIF
        np.testing.assert_array_equal(image.load(data), rgb)


# Refusals


def test_files_that_are_no_pictures(tmp_path):
    text = tmp_path / "text.png"
    text.write_text("not a picture")
    cases = [(text, "not a picture"), (tmp_path / "none.png", "No such file"), (tmp_path, "regular"), ("a\0b", "null")]
    for path, why in cases:
        with pytest.raises(ImageError, match=why) as caught:
            image.load(path)
        assert str(path) in str(caught.value)
    with pytest.raises(ImageError, match="0 bytes"):
        image.load(b"")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ImageError, match="regular"):
        image.load(tmp_path / "pipe.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
def test_truncated_files_name_the_file(tmp_path, kind):
    data = encode(noise(40, 40, 3), kind)
    path = tmp_path / f"cut.{kind.lower()}"
    for length in (4, len(data) // 4, len(data) // 2):
        path.write_bytes(data[:length])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, about what is missing
            with pytest.raises(ImageError, match=path.name):
                image.load(path)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF"])
@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_damaged_files_are_refused_or_read(kind, data):
    damaged = bytearray(encode(noise(12, 12, 3), kind))
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(ImageError):
            assert image.load(bytes(damaged), max_pixels=10_000).dtype == np.uint8


def test_bombs_are_refused_before_they_are_decoded():
    bomb = encode(Image.new("1", (20_000, 5_000)))  # 100 million pixels in 13 kB
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ImageError, match="20000 x 5000"):
            image.load(bomb)
    with pytest.raises(ImageError, match="large"):  # where warnings are errors, Pillow is first
        image.load(bomb)
    small = encode(noise(10, 10, 3))
    with pytest.raises(ImageError, match="max_pixels"):
        image.load(small, max_pixels=99)
    with pytest.raises(ImageError, match="max_pixels"):
        image.load(Image.open(io.BytesIO(small)), max_pixels=99)
    assert image.load(small, max_pixels=100).shape == (10, 10, 3)


def test_a_caller_may_allow_more_without_a_warning(monkeypatch):
    data = encode(noise(10, 10, 3))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60)
    assert image.load(data, max_pixels=100).shape == (10, 10, 3)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    with pytest.raises(ImageError, match="MAX_IMAGE_PIXELS"):
        image.load(data, max_pixels=100)


def test_rare_formats_are_not_tried():
    with pytest.raises(ImageError, match="format"):
        image.load(encode(noise(4, 4, 3), "EPS"))


@pytest.mark.parametrize(
    "options",
    [
        {"dtype": np.float64},
        {"background": (0, 0)},
        {"background": (0, 0, 256)},
        {"background": (0.5, 0.5, 0.5)},
        {"size": 0},
        {"size": (4, 0)},
        {"size": (4.0, 4)},
        {"size": "512"},
    ],
    ids=str,
)
def test_wrong_options(options):
    with pytest.raises(OptionError):
        image.load(noise(4, 4, 3), **options)


# Sizes


def test_load_to_a_size():
    rgb = noise(30, 60, 3)
    assert image.load(rgb, size=20).shape == (10, 20, 3)
    assert image.load(rgb, size=120).shape == (60, 120, 3)
    assert image.load(rgb, size=(7, 8)).shape == (7, 8, 3)
    unit = image.load(rgb, size=20, dtype=np.float32)
    assert unit.min() >= 0
    assert unit.max() <= 1
    assert image.scaled_size((1000, 1), 10) == (10, 1)


def test_resize_is_antialiased_and_keeps_types():
    stripes = np.zeros((64, 64), np.float32)
    stripes[:, ::2] = 1
    np.testing.assert_allclose(image.resize(stripes, (64, 8))[:, 2:-2], 0.5, atol=0.02)
    for dtype in (np.uint8, np.float32, np.float64):
        for shape in ((6, 8), (6, 8, 1), (6, 8, 3), (6, 8, 5)):
            flat = np.full(shape, 7, dtype)
            resized = image.resize(flat, (3, 11))
            assert resized.shape == (3, 11, *shape[2:])
            assert resized.dtype == dtype
            assert resized.flags.writeable
            np.testing.assert_allclose(resized, 7, rtol=1e-6)
    same = noise(4, 4, 3)
    assert not np.shares_memory(image.resize(same, (4, 4)), same)


def test_resize_channels_do_not_mix():
    maps = noise(8, 8, 3).astype(np.float32)
    resized = image.resize(maps, (5, 5))
    for channel in range(3):
        np.testing.assert_array_equal(resized[..., channel], image.resize(maps[..., channel], (5, 5)))


def test_resize_refuses():
    with pytest.raises(ShapeError):
        image.resize(np.zeros((0, 3)), (2, 2))
    with pytest.raises(DTypeError):
        image.resize(np.zeros((3, 3), int), (2, 2))
    with pytest.raises(OptionError, match="lanczos"):
        image.resize(np.zeros((3, 3)), (2, 2), resample="cubic")


# Colour


def test_luminance_and_colour_apart():
    rgb = np.random.default_rng(0).random((5, 6, 3))
    ycbcr = image.rgb_to_ycbcr(rgb)
    np.testing.assert_array_equal(ycbcr[..., 0], image.luminance(rgb))
    np.testing.assert_allclose(image.ycbcr_to_rgb(ycbcr), rgb, atol=1e-14)
    grey = np.full((2, 2, 3), 0.3)
    np.testing.assert_allclose(image.rgb_to_ycbcr(grey)[..., 1:], 0, atol=1e-15)
    pillow = np.asarray(Image.fromarray((rgb * 255).astype(np.uint8)).convert("YCbCr")).astype(float)
    ours = image.rgb_to_ycbcr((rgb * 255).astype(np.uint8)) + np.array([0, 128, 128])
    assert np.abs(pillow - ours).max() <= 1
    with pytest.raises(ShapeError):
        image.luminance(np.zeros((2, 2)))


# Writing


@pytest.mark.parametrize("name", ["a.png", "a.PNG", "a.jpg", "a.jpeg", "a.webp"])
@pytest.mark.parametrize("shape", [(20, 30, 3), (20, 30)])
def test_save_and_load(tmp_path, name, shape):
    few = noise(4, 4, *shape[2:]) // 4 + 96  # soft colours: WebP keeps a quarter of the colour samples
    smooth = image.resize(few, shape[:2])
    image.save(tmp_path / name, smooth)
    loaded = image.load(tmp_path / name)
    expected = image.load(smooth)
    assert np.abs(loaded.astype(int) - expected).max() <= (0 if name.lower().endswith("png") else 12)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_save_floats(tmp_path):
    image.save(tmp_path / "a.png", np.full((2, 2), 0.2))
    assert (image.load(tmp_path / "a.png") == 51).all()
    with pytest.raises(ImageError, match=r"0\.\.1"):
        image.save(tmp_path / "b.png", np.full((2, 2), 2.0))
    with pytest.raises(ImageError, match="shape"):
        image.save(tmp_path / "b.png", np.zeros((2, 2, 4)))
    with pytest.raises(OptionError, match="quality"):
        image.save(tmp_path / "b.jpg", np.zeros((2, 2)), quality=0)
    assert not (tmp_path / "b.png").exists()


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    image.save(path, noise(4, 4, 3))
    before = path.read_bytes()

    def full_disk(self, stream, *args, **options):
        stream.write(b"half a pict")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full_disk)
    with pytest.raises(ImageError, match="No space left"):
        image.save(path, noise(4, 4, 3, seed=1))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_too_large_for_the_format(tmp_path):
    with pytest.raises(ImageError, match=r"a\.webp"):
        image.save(tmp_path / "a.webp", np.zeros((1, 16384), np.uint8))  # one more than WebP holds
    assert not list(tmp_path.iterdir())


def test_check_writable(tmp_path):
    image.check_writable(tmp_path / "a.png")
    assert not list(tmp_path.iterdir())
    (tmp_path / "folder.png").mkdir()
    cases = [("a", "extension"), ("a.gif", "extension"), ("no/a.png", "does not exist"), ("folder.png", "folder")]
    for name, why in cases:
        with pytest.raises(ImageError, match=why):
            image.check_writable(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_check_writable_asks_for_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ImageError, match="may not be written"):
        image.check_writable(tmp_path / "a.png")


@pytest.mark.skipif(not hasattr(os, "symlink") or os.name == "nt", reason="no symbolic links")
def test_save_follows_a_link(tmp_path):
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    image.save(tmp_path / "link.png", noise(2, 2, 3))
    assert (tmp_path / "link.png").is_symlink()
    assert (tmp_path / "real.png").is_file()


def test_packaged_pictures():
    paths = [image.packaged(name) for name in ("chelsea", "starry_night")]
    assert [max(image.load(path).shape) for path in paths] == [384, 384]
    assert sum(path.stat().st_size for path in paths) < 250_000
    with pytest.raises(OptionError, match="starry_night"):
        image.packaged("mona_lisa")


@pytest.mark.parametrize("room", ["_color", "_packaged", "_read", "_resize"])
def test_examples_in_docstrings(room):
    result = doctest.testmod(importlib.import_module(f"pyconvx.image.{room}"))
    assert result.attempted > 0
    assert result.failed == 0


def test_pillow_is_loaded_only_when_needed():
    code = "import sys, pyconvx.image; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
