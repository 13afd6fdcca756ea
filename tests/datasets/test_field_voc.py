"""Pascal VOC folders as the tools of the field write them: found, matched and read, or refused by name."""

import re
from pathlib import Path

import pytest

from tests.datasets.field import Cases, H, W, image, outcome, voc, write

CASES = Cases()
case = CASES.case
THREE = "voc cat,dog train 3"


def pairs(images: Path, labels: Path, count: int = 3, first: int = 0, suffix: str = ".xml") -> None:
    for i in range(first, first + count):
        image(images / f"img{i}.png", i)
        write(labels / f"img{i}{suffix}", voc(f"img{i}.png", i))


@case("voc cat,dog train 2 valid 1")
def annots_and_images_under_each_split(root):
    pairs(root / "train" / "images", root / "train" / "annots", 2)
    pairs(root / "validation" / "images", root / "validation" / "annots", 1, 2)


@case("voc cat,dog train 2 valid 1")
def annotations_and_images_with_subfolders_of_splits(root):
    pairs(root / "images" / "train", root / "annotations" / "train", 2)
    pairs(root / "images" / "val", root / "annotations" / "val", 1, 2)


@case("voc cat,dog train 2 test 1")
def split_folders_with_other_words(root):
    pairs(root / "train" / "JPEGImages", root / "train" / "Annotations", 2)
    pairs(root / "test" / "imgs", root / "test" / "xml", 1, 2)


@case(THREE)
def folders_in_capitals(root):
    pairs(root / "JPEGIMAGES", root / "ANNOTATIONS")


@case(THREE)
def folders_in_lower_case(root):
    pairs(root / "jpegimages", root / "Annotation")


@case("voc cat,dog train 2 valid 1")
def lists_in_lower_case(root):
    pairs(root / "jpegimages", root / "annotations")
    write(root / "imagesets" / "main" / "Train.txt", "img0\nimg1\n")
    write(root / "imagesets" / "main" / "Val.txt", "img2\n")


@case("voc cat,dog train 2 valid 1")
def lists_of_paths(root):
    pairs(root / "JPEGImages", root / "Annotations")
    write(root / "ImageSets" / "Main" / "train.txt", "JPEGImages/img0.png\n/home/me/VOC/JPEGImages/img1.png\n")
    write(root / "ImageSets" / "Main" / "val.txt", "D:\\VOC\\JPEGImages\\img2.png\n")


@case("voc cat,dog train 2 valid 1")
def lists_in_utf_16(root):
    pairs(root / "JPEGImages", root / "Annotations")
    write(root / "ImageSets" / "Main" / "train.txt", "img0\nimg1\n", "utf-16")
    write(root / "ImageSets" / "Main" / "val.txt", "img2\n", "utf-8-sig")


@case("voc cat,dog train 2 valid 1")
def lists_of_images_and_labels_with_commas(root):
    pairs(root / "images", root / "annotations")
    write(root / "train.txt", "images/img0.png,annotations/img0.xml\nimages/img1.png,annotations/img1.xml\n")
    write(root / "val.txt", "images/img2.png\tannotations/img2.xml\n")


@case("voc cat,dog train 2 (and 1 wrong)", "malformed_file")
def a_list_with_a_label_file_that_is_missing(root):
    pairs(root / "JPEGImages", root / "Annotations", 2)
    write(root / "ImageSets" / "Main" / "train.txt", "img0\nimg1\nimg7\n")


CASES["a list with a label file that is missing"] = (
    CASES["a list with a label file that is missing"][0], "voc cat,dog train 2", {"malformed_file"},
)  # fmt: skip


@case(THREE)
def suffixes_in_capitals(root):
    pairs(root / "JPEGImages", root / "Annotations", suffix=".XML")


@case(THREE)
def tags_in_other_cases(root):
    pairs(root / "images", root / "annotations")
    for i, change in enumerate((str.lower, str.upper, str.title)):
        text = voc(f"img{i}.png", i)
        write(root / "annotations" / f"img{i}.xml", re.sub(r"<(/?)(\w+)>", lambda m: f"<{m[1]}{change(m[2])}>", text))  # noqa: B023


@case(THREE)
def a_namespace(root):
    pairs(root / "images", root / "annotations")
    text = voc("img0.png", 0).replace("<annotation>", '<annotation xmlns="http://x/voc">', 1)
    write(root / "annotations" / "img0.xml", text)


@case(THREE)
def float_corners_and_sizes(root):
    pairs(root / "images", root / "annotations")
    for i in range(3):
        text = voc(f"img{i}.png", i, first=0.25).replace("<width>64", "<width>64.0")
        write(root / "annotations" / f"img{i}.xml", text)


@case(THREE, "size_missing")
def no_sizes(root):
    pairs(root / "images", root / "annotations")
    for i in range(3):
        write(root / "annotations" / f"img{i}.xml", voc(f"img{i}.png", i, size=False))


@case("voc big cat,dog train 3")
def names_with_spaces_and_line_breaks(root):
    pairs(root / "images", root / "annotations")
    for i in range(3):
        text = voc(f"img{i}.png", i).replace("<name>cat<", "<name>\n  big\n  cat\t<")
        write(root / "annotations" / f"img{i}.xml", text)


@case("voc cat,dog train 2 (and 1 wrong)", "malformed_entry")
def an_object_without_a_name(root):
    pairs(root / "images", root / "annotations")
    write(root / "annotations" / "img0.xml", voc("img0.png", 0).replace("<name>cat</name>", ""))


@case("voc cat,dog train 2 (and 1 wrong)", "malformed_entry")
def an_oriented_box(root):
    pairs(root / "images", root / "annotations")
    robust = "<robndbox><cx>9</cx><cy>9</cy><w>4</w><h>4</h><angle>0.3</angle></robndbox>"
    text = re.sub("<bndbox>.*</bndbox>", robust, voc("img0.png", 0))
    write(root / "annotations" / "img0.xml", text)


@case(THREE)
def decimal_commas(root):
    pairs(root / "images", root / "annotations")
    text = re.sub(r"<(xmin|ymin|xmax|ymax)>(\d+)<", r"<\1>\2,25<", voc("img0.png", 0))
    write(root / "annotations" / "img0.xml", text)


@case(THREE, "fraction_boxes")
def corners_as_fractions(root):
    pairs(root / "images", root / "annotations")
    for i in range(3):
        text = voc(f"img{i}.png", i)
        for key, side in (("xmin", W), ("ymin", H), ("xmax", W), ("ymax", H)):
            text = re.sub(rf"<{key}>([\d.]+)<", lambda m: f"<{key}>{float(m[1]) / side}<", text)  # noqa: B023
        write(root / "annotations" / f"img{i}.xml", text)


@case(THREE)
def parts_inside_an_object_are_no_objects(root):
    pairs(root / "images", root / "annotations")
    part = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></part>"
    write(root / "annotations" / "img0.xml", voc("img0.png", 0).replace("</object>", f"{part}</object>"))


@case("voc dog,狗 train 3")
def encodings(root):
    pairs(root / "images", root / "annotations")
    for i, encoding in ((0, "gbk"), (2, "utf-16")):
        text = voc(f"img{i}.png", i).replace("cat", "狗")
        write(root / "annotations" / f"img{i}.xml", f'<?xml version="1.0" encoding="{encoding}"?>\n{text}', encoding)


@case("voc dog,狗 train 2 (and 1 wrong)")
def an_encoding_that_is_not_declared(root):
    pairs(root / "images", root / "annotations")
    write(root / "annotations" / "img0.xml", voc("img0.png", 0).replace("cat", "狗"), "gbk")
    write(root / "annotations" / "img2.xml", voc("img2.png", 2).replace("cat", "狗"))


CASES["an encoding that is not declared"] = (
    CASES["an encoding that is not declared"][0], "voc dog,狗 train 2", {"malformed_file"},
)  # fmt: skip


@case(THREE)
def file_names_of_another_machine(root):
    pairs(root / "images", root / "annotations")
    for i, name in enumerate(("C:\\set\\img0.png", "/home/me/img1.png", "img2")):
        write(root / "annotations" / f"img{i}.xml", voc(name, i))


@case(THREE)
def images_in_another_case(root):
    for i in range(3):
        image(root / "images" / f"IMG{i}.PNG", i)
        write(root / "annotations" / f"img{i}.xml", voc(f"img{i}.png", i))


@case(THREE)
def label_files_with_other_names_than_their_images(root):
    for i in range(3):
        image(root / "images" / f"img{i}.png", i)
        write(root / "annotations" / f"{i:06}.xml", voc(f"img{i}.png", i))


@case(THREE)
def label_files_named_with_the_suffix_of_the_image(root):
    for i in range(3):
        image(root / "images" / f"img{i}.png", i)
        write(root / "annotations" / f"img{i}.png.xml", voc("", i))


@case("voc dog,cat train 3")
def a_class_file_with_a_mark(root):
    pairs(root / "JPEGImages", root / "Annotations")
    write(root / "classes.txt", "dog\r\ncat\r\n", "utf-16")


@case("voc cat train 2 (and 1 wrong)", "unknown_category")
def a_class_file_that_lacks_a_class(root):
    pairs(root / "JPEGImages", root / "Annotations")
    write(root / "labels.txt", "cat\n")


@case("voc cat,dog train 2 valid 1")
def devkits_two_folders_down(root):
    pairs(root / "VOCdevkit" / "VOC2007" / "JPEGImages", root / "VOCdevkit" / "VOC2007" / "Annotations")
    write(root / "VOCdevkit" / "VOC2007" / "ImageSets" / "Main" / "train.txt", "img0\nimg1\n")
    write(root / "VOCdevkit" / "VOC2007" / "ImageSets" / "Main" / "val.txt", "img2\n")


@case(THREE)
def images_and_labels_in_one_folder(root):
    pairs(root, root)


@case("voc cat,dog train 3")
def hidden_copies_of_macos(root):
    pairs(root / "images", root / "annotations")
    write(root / "annotations" / "._img0.xml", "\0\0\0")
    image(root / "images" / "._img0.png", 9)


@case("DataError: .*two data sets in one folder: .*data.yaml.* and .*Annotations")
def voc_beside_yolo(root):
    pairs(root / "images", root / "Annotations")
    write(root / "labels" / "img0.txt", "0 0.5 0.5 0.1 0.1\n")
    write(root / "data.yaml", "names: [cat, dog]\ntrain: images\n")


@case(THREE)
def declarations_that_a_parser_refuses(root):
    """As .NET writes them, and after an empty line."""
    pairs(root / "images", root / "annotations")
    for i, start in enumerate(('<?xml version="1.0" encoding="utf-16"?>', '<?xml encoding="unicode"?>', "\n <?xml?>")):
        write(root / "annotations" / f"img{i}.xml", start + voc(f"img{i}.png", i))


@case(THREE)
def names_with_escapes(root):
    for i in range(3):
        image(root / "images" / f"img {i}.png", i)
        write(root / "annotations" / f"img%20{i}.xml", voc(f"img%20{i}.png", i))


@case("DataError: .*Annotations: a part of the data set in .*set. Give that folder")
def the_folder_of_the_labels(root):
    pairs(root / "JPEGImages", root / "Annotations")
    return root / "Annotations"


@case(THREE)
def a_folder_of_labels_with_the_images(root):
    pairs(root / "annotations", root / "annotations")
    return root / "annotations"


@case("DataError: .*none of its XML files can be read")
def broken_files_only(root):
    pairs(root / "images", root / "annotations")
    for i in range(3):
        write(root / "annotations" / f"img{i}.xml", "<annotation><object>")


@case(THREE, "malformed_file")
def another_root_element(root):
    pairs(root / "images", root / "annotations")
    one = root / "annotations" / "img1.xml"
    write(one, f"<data>{one.read_text(encoding='utf-8')}</data>")
    write(root / "annotations" / "img1.png.aux.xml", "<PAMDataset></PAMDataset>")


@case("DataError: .*all.xml: <annotations> with 2 annotations, which belong into a file each")
def all_annotations_in_one_file(root):
    image(root / "images" / "img0.png", 0)
    write(root / "all.xml", f"<annotations>{voc('img0.png', 0)}{voc('img1.png', 1)}</annotations>")


@case("DataError: .*no object that could be learned .annotations/img0.xml, object 1: .*<xmin>, <ymin>")
def boxes_in_another_form(root):
    pairs(root / "images", root / "annotations")
    for file in (root / "annotations").iterdir():
        write(file, file.read_text(encoding="utf-8").replace("xmin", "x"))


@case("DataError: .*img0.xml: declares entities")
def entities(root):
    image(root / "images" / "img0.png", 0)
    write(root / "annotations" / "img0.xml", f'<!DOCTYPE a [<!ENTITY x "y">]>{voc("img0.png", 0)}')


@case("DataError: .*labels without images are in .*my_xml. Rename it to .*Annotations .Pascal VOC.")
def a_folder_of_labels_with_an_unusual_name(root):
    pairs(root / "photos", root / "my_xml")


@case(THREE)
def images_in_subfolders_and_labels_in_one(root):
    for i in range(3):
        image(root / "JPEGImages" / f"cam{i}" / f"img{i}.png", i)
        write(root / "Annotations" / f"img{i}.xml", voc(f"img{i}.png", i))


@case("voc cat,dog train 2")
def images_with_one_name_in_the_folders_that_the_labels_name(root):
    for i, tag in enumerate(("<folder>cam0</folder>", "<path>C:\\rec\\cam1\\img.png</path>")):
        image(root / "JPEGImages" / f"cam{i}" / "img.png", i)
        write(root / "Annotations" / f"a{i}.xml", voc("img.png", i).replace("<filename>", f"{tag}<filename>"))


@case("voc cat,dog train 2 test 1")
def images_in_folders_of_splits_and_labels_in_one(root):
    for i in range(3):
        image(root / "images" / ("test" if i == 2 else "train") / f"img{i}.png", i)
        write(root / "annotations" / f"img{i}.xml", voc(f"img{i}.png", i))


@case("voc cat,dog train 2 valid 1")
def labels_in_xmls_in_annotations_of_each_split(root):
    pairs(root / "train" / "images", root / "train" / "annotations" / "xmls", 2)
    pairs(root / "valid" / "images", root / "valid" / "annotations" / "xmls", 1, 2)


@case("voc cat,dog train 2 valid 1")
def lists_in_capitals(root):
    pairs(root / "JPEGImages", root / "Annotations")
    write(root / "ImageSets" / "Main" / "TRAIN.TXT", "img0\nimg1\n")
    write(root / "ImageSets" / "Main" / "VAL.TXT", "img2\n")


@case("voc cat,dog train 2 valid 1")
def lists_of_each_class_only(root):
    pairs(root / "JPEGImages", root / "Annotations")
    for name in ("cat", "dog"):
        write(root / "ImageSets" / "Main" / f"{name}_train.txt", "img0  1\nimg1 -1\n")
        write(root / "ImageSets" / "Main" / f"{name}_val.txt", "img2 1\n")


@case("voc cat,dog train 2", "unlisted_images")
def an_image_without_a_label_file(root):
    pairs(root / "JPEGImages", root / "Annotations")
    (root / "Annotations" / "img2.xml").unlink()


@case(THREE, "crowd_box")
def difficult_in_words(root):
    pairs(root / "JPEGImages", root / "Annotations")
    text = voc("img0.png", 0).replace("<bndbox>", "<difficult>True</difficult><bndbox>")
    write(root / "Annotations" / "img0.xml", text)


@case("voc cat,dog train 2 valid 1")
def folders_of_splits_in_the_only_folder_of_labels(root):
    """ImageNet's."""
    for i in range(3):
        place = Path("CLS-LOC", "val" if i == 2 else "train/n01")
        image(root / "Data" / place / f"img{i}.png", i)
        write(root / "Annotations" / place / f"img{i}.xml", voc(f"img{i}", i))


@case("voc cat,dog train 3")
def a_list_of_the_only_split_among_the_labels(root):
    """Labels that are in no list are not left out."""
    pairs(root / "images", root / "annotations" / "xmls")
    write(root / "annotations" / "trainval.txt", "img0 1 1 1\n")


@case("voc cat,dog train 3 test 1")
def lists_among_the_labels(root):
    """The Oxford-IIIT Pets', where some images that are listed have no labels."""
    pairs(root / "images", root / "annotations" / "xmls", 4)
    write(root / "annotations" / "list.txt", "#Image CLASS-ID\nimg0 1\n")
    write(root / "annotations" / "trainval.txt", "img0 1 1 1\nimg1 2 1 1\n")
    write(root / "annotations" / "test.txt", "img2 1 1 1\nimg9 1 1 1\n")


@case(THREE)
def objects_inside_another_element(root):
    pairs(root / "images", root / "annotations")
    text = voc("img0.png", 0).replace("<object>", "<objects><object>").replace("</object>", "</object></objects>")
    write(root / "annotations" / "img0.xml", text)


@case("voc cat,dog train 2 test 1")
def folders_of_archives(root):
    pairs(root / "train_zip" / "train", root / "train_zip" / "train", 2)
    pairs(root / "test_zip" / "test", root / "test_zip" / "test", 1, 2)


@case("voc cat,dog train 2 valid 1")
def folders_of_images_and_labels_of_each_split(root):
    pairs(root / "train_images", root / "train_annotations", 2)
    pairs(root / "val_images", root / "val_annotations", 1, 2)


@case("voc cat,dog train 2 valid 1")
def lists_in_a_folder_of_their_own(root):
    pairs(root / "images", root / "annotations")
    write(root / "splits" / "train.txt", "# two of three\nimg0\nimg1\n")
    write(root / "splits" / "val.txt", "img2\n")


@pytest.mark.parametrize(
    ("declared", "written", "name"),
    [("gb2312", "gbk", "镕"), ("Shift_JIS", "cp932", "①"), ("EUC-KR", "cp949", "똠"), ("ISO-8859-1", "cp1252", "€"),
     ("us-ascii", "utf-8", "cät"), ("gb2312", "utf-8", "猫!"), ("utf-16", "utf-8-sig", "cät"), ("gbk", "gbk", "联通")],
)  # fmt: skip
def test_encodings_are_what_programs_mean_by_their_names(
    declared: str, written: str, name: str, tmp_path: Path
) -> None:
    pairs(tmp_path / "images", tmp_path / "annotations")
    text = f'<?xml version="1.0" encoding="{declared}"?>\n{voc("img0.png", 0).replace("cat", name)}'
    write(tmp_path / "annotations" / "img0.xml", text, written)
    assert outcome(tmp_path)[0] == f"voc {','.join(sorted(('cat', 'dog', name)))} train 3"


@case("voc cat,dog train 2 (and 1 wrong)", "unreadable_image")
def an_image_of_a_format_that_is_not_read(root):
    pairs(root / "images", root / "annotations")
    for i in range(2):  # img0.png is there too
        (root / "images" / f"img{i}.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    (root / "images" / "img1.png").unlink()


@pytest.mark.parametrize("name", CASES)
def test_voc_folders_of_the_field(name: str, tmp_path: Path) -> None:
    CASES.check(name, tmp_path)
