"""Names and colors of masks from the lists and tables that lie beside them."""

from __future__ import annotations

import numpy as np
import pytest
from builders import opened, read_all, rejected, write_picture
from command_line import call
from PIL import Image

RED, BLUE, BLACK, WHITE = (200, 0, 0), (0, 0, 200), (0, 0, 0), (255, 255, 255)
PIXELS = np.array([[BLACK, RED, RED], [BLACK, BLUE, WHITE]], np.uint8)
TABLES = {
    "class_dict.csv": "name,r,g,b\nVoid,255,255,255\nroad,0,0,200\nBackground,0,0,0\ncar,200,0,0\n",
    "label_colors.txt": "255 255 255\tVoid\n0 0 200\troad\n0 0 0\tbackground\n200 0 0\tcar\n",
    "labelmap.txt": "# label:color_rgb:parts:actions\nbackground:0,0,0::\nroad:0,0,200::\ncar:200,0,0::\n"
    "ignored:255,255,255::\n",
}


def colored(root, file: str, text: str, pixels: np.ndarray = PIXELS):
    write_picture(root / "images" / "a.png", (3, 2))
    (root / "masks").mkdir()
    Image.fromarray(pixels).save(root / "masks" / "a.png")
    (root / file).write_text(text, "utf-8")
    return root


def names(source) -> list[tuple[int, str]]:
    return [(c.id, c.name) for c in source.categories]


@pytest.mark.parametrize("file", list(TABLES))
def test_colors_are_classes_by_a_table(tmp_path, file):
    source = opened(colored(tmp_path, file, TABLES[file]))
    assert names(source) == [(1, "road"), (2, "car")]
    assert read_all(source)[0].semantic.tolist() == [[0, 2, 2], [0, 1, 255]]
    assert source.remarks == ()


def test_a_color_that_is_in_no_table_is_named(tmp_path):
    pixels = PIXELS.copy()
    pixels[0, 0] = (1, 2, 3)
    source = opened(colored(tmp_path, "class_dict.csv", TABLES["class_dict.csv"], pixels))
    assert rejected(source, "a.png").message == (
        "masks/a.png: the mask has the color (1, 2, 3), which is no class; "
        "a line of the table of colors can name it, as background too"
    )


def test_a_conversion_that_fails_says_why_the_table_is_not_used(tmp_path):
    colored(tmp_path / "set", "class_dict.csv", "name;r;g;b\nroad;0;0;200\n")
    made = call("convert", "masks-to-coco", tmp_path / "set", tmp_path / "coco", "--instances", "components")
    assert made.exit_code == 1
    assert "class_dict.csv is not used: no rows of a name and a color" in made.output


def test_gray_numbers_saved_as_rgb_are_numbers_beside_a_table(tmp_path):
    pixels = np.repeat(np.array([[1, 2], [0, 2]], np.uint8)[..., None], 3, axis=2)
    source = opened(colored(tmp_path, "labelmap.txt", TABLES["labelmap.txt"], pixels))
    assert read_all(source)[0].semantic.tolist() == [[1, 2], [0, 2]]
    assert names(source) == [(1, "road"), (2, "car")]


def numbered(root, values, file: str, text: str):
    return colored(root, file, text, np.array(values, np.uint8))


@pytest.mark.parametrize("file", ["classes.txt", "class_names.txt"])
def test_a_list_that_begins_with_background_names_the_values(tmp_path, file):
    source = opened(numbered(tmp_path, [[0, 1], [3, 255]], file, "background\nroad\ncar\ntree\n"))
    assert (names(source), source.remarks) == ([(1, "road"), (2, "car"), (3, "tree")], ())


def test_a_list_that_does_not_is_not_used_and_says_the_way_out(tmp_path):
    root = numbered(tmp_path, [[0, 1], [2, 2]], "classes.txt", "road\ncar\n")
    source = opened(root)
    assert names(source) == [(1, "class_1"), (2, "class_2")]
    why = "its first line is not 'background'; --classes FILE takes its lines for the values from 1"
    assert source.remarks == (f"classes.txt is not used: {why}",)
    source = opened(root, classes=root / "classes.txt")
    assert (names(source), source.remarks) == ([(1, "road"), (2, "car")], ())


def test_a_value_that_is_not_listed_is_told(tmp_path):
    source = opened(numbered(tmp_path, [[0, 1], [4, 4]], "classes.txt", "background\nroad\n"))
    assert names(source) == [(1, "road"), (4, "class_4")]
    assert source.remarks == ("classes.txt does not list the value 4 of the masks: it is 'class_4'",)


def test_black_and_white_beside_a_list_of_one_class(tmp_path):
    source = opened(numbered(tmp_path, [[0, 255]], "classes.txt", "background\ncell\n"))
    assert names(source) == [(1, "cell")]
    assert read_all(source)[0].semantic.tolist() == [[0, 1]]
    assert "255 is read as a class, 'cell' (id 1), not as void" in source.remarks[0]


def test_a_table_of_colors_says_nothing_of_numbers(tmp_path):
    source = opened(numbered(tmp_path, [[0, 5]], "class_dict.csv", TABLES["class_dict.csv"]))
    assert names(source) == [(5, "class_5")]
    assert source.remarks == ("class_dict.csv is not used: the masks hold numbers and no colors",)


@pytest.mark.parametrize(
    ("file", "text", "why"),
    [
        ("class_dict.csv", "name,r,g,b\nroad,0,0,300\n", "'road': expected three numbers from 0 to 255"),
        ("class_dict.csv", "name,r,g,b\nroad,1,1,1\ncar,1,1,1\n", "'car' has the color of another class"),
        ("class_dict.csv", "name,r,g,b\n", "no rows of a name and a color"),
        ("label_colors.txt", "1 1 1 road\n2 2 2 road\n", "lists 'road' twice"),
        ("labelmap.txt", "".join(f"c{i}:::\n" for i in range(300)), "300 lines; expected at most 255"),
        ("class_dict.csv", "name,r,g,b\n" + "".join(f"c{i},{i % 256},{i // 256},9\n" for i in range(300)),
         "more than 254 classes"),
        ("classes.txt", "background\nroad\nroad\n", "lists 'road' twice"),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_used_are_told(tmp_path, file, text, why):
    source = opened(numbered(tmp_path, [[0, 1]], file, text))
    assert names(source) == [(1, "class_1")]
    (remark,) = source.remarks
    assert remark.startswith(f"{file} is not used: ")
    assert why in remark


def test_tables_of_bytes_that_are_no_text(tmp_path):
    root = numbered(tmp_path, [[0, 1]], "class_dict.csv", "")
    for data in (b"\0\xff\xfe,1,2,3\n", b'"' * 1000, b"a,\xc2\xb2,1,1\n", b"\n" * (2 << 20)):
        (root / "class_dict.csv").write_bytes(data)
        assert names(opened(root)) == [(1, "class_1")]
