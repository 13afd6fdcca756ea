"""The page of a server in a real browser: images, threshold, classes, attention, keyboard, phone, hostile names."""

import base64
import io
import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from condetr.checkpoint import Weights
from condetr.config import Config, Data
from condetr.explaining.explain import explain
from condetr.predicting.exported import hash_of
from condetr.predicting.predictor import Predictor
from condetr.predicting.tiling import Tiling
from condetr.serving.limits import Limits
from condetr.serving.models import Model
from condetr.types import Categories
from tests.browser import chromium
from tests.serving.served import Client, exported_model, model, picture, serving, spread_weights
from tests.tiny import TINY, shaken

sync_api = pytest.importorskip("playwright.sync_api", reason="the tests of pages need playwright")

HOSTILE = '<img src=x onerror="window.hacked=1">\u202e'
CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
IMAGE = picture(3, (60, 90))
WEIGHTS = spread_weights((HOSTILE, None, "dog"))
BRIGHTEST = """() => {  // the place of the brightest pixel, as a fraction of the image's sides
    const view = document.getElementById("view"), { width, height } = view;
    const pixels = view.getContext("2d").getImageData(0, 0, width, height).data;
    const light = i => pixels[i] + pixels[i + 1] + pixels[i + 2];
    let best = 0;
    for (let i = 0; i < pixels.length; i += 4) if (light(i) > light(best)) best = i;
    return [best / 4 % width / width, Math.floor(best / 4 / width) / height];
}"""
SAME_BOXES = """() => {  // the ranks of two detections of one box, first of the one that is drawn first
    const rects = [...document.querySelectorAll("#overlay > rect")], sides = ["x", "y", "width", "height"];
    const key = rect => sides.map(side => rect.getAttribute(side)).join();
    return rects.flatMap((a, i) => rects.slice(i + 1).filter(b => key(a) === key(b))
        .map(b => [Number(a.dataset.rank), Number(b.dataset.rank)]));
}"""
CUT = """() => {  // the part of the last visible row of a longer list of classes that is visible
    const list = document.getElementById("class-list"), row = list.lastElementChild.getBoundingClientRect().height;
    list.append(...Array.from({ length: 12 }, () => list.lastElementChild.cloneNode(true)));
    return list.clientHeight / row % 1;
}"""
HOSTILE_MODEL = Model("first", hash_of(WEIGHTS), Predictor(WEIGHTS))


def black(width: int = 90, height: int = 60) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    sync_api.expect.set_options(timeout=20_000)
    with chromium(*CAMERA) as opened:
        yield opened


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with serving(HOSTILE_MODEL, exported_model(), limits=Limits(pixels=1_000_000)) as client:
        yield client


@pytest.fixture
def page(browser: sync_api.Browser, client: Client) -> Iterator[sync_api.Page]:
    """A page that is ready. No request may leave the server, and nothing may be reported in the console."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, permissions=["camera"])
    opened = context.new_page()
    opened.set_default_timeout(20_000)
    requests, messages = [], []
    opened.on("request", lambda request: requests.append(request.url))
    opened.on("console", lambda message: messages.append(message.text))
    opened.on("pageerror", lambda error: messages.append(str(error)))
    opened.goto(f"http://127.0.0.1:{client.port}/")
    opened.wait_for_selector("html[data-ready]")
    yield opened
    assert requests
    assert [url for url in requests if not url.startswith((f"http://127.0.0.1:{client.port}/", "blob:"))] == []
    assert [text for text in messages if "413" not in text and "ERR_FAILED" not in text] == []
    assert opened.evaluate("window.hacked") is None
    context.close()


def drop(page: sync_api.Page, *images: bytes) -> None:
    """Ends when a time is shown."""
    drop_only(page, *images)
    sync_api.expect(page.locator("#status")).to_contain_text(" ms")


def drop_only(page: sync_api.Page, *images: bytes) -> None:
    texts = [base64.b64encode(image).decode() for image in images]
    transfer = page.evaluate_handle(
        """texts => {
            const transfer = new DataTransfer();
            texts.forEach((text, i) => transfer.items.add(
                new File([Uint8Array.from(atob(text), c => c.charCodeAt(0))], `image ${i}.png`)));
            return transfer;
        }""",
        texts,
    )
    page.dispatch_event("body", "drop", {"dataTransfer": transfer})


def expected(threshold: float | None, of: Model = HOSTILE_MODEL, image: bytes = IMAGE, classes=None) -> int:
    return len(of.predictor(image, threshold, classes=classes, max_detections=21))


def has_count(page: sync_api.Page, count: int) -> None:
    sync_api.expect(page.locator("#count")).to_have_text(f"{count} detection{'' if count == 1 else 's'}")
    assert page.locator("#list button").count() == page.locator("#overlay > rect").count() == count


def fits(page: sync_api.Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_dropped_images_show_their_detections_and_the_threshold_and_classes_filter_them(page: sync_api.Page):
    drop(page, IMAGE, black())
    has_count(page, expected(None))
    assert page.locator("#images button").count() == 2
    counts = set()
    for threshold in (0.01, 0.3, 0.45, 0.6):
        page.locator("#slider").fill(str(threshold))
        has_count(page, expected(threshold))
        counts.add(expected(threshold))
    assert len(counts) > 2
    page.locator("#slider").fill("0.01")
    page.locator("#class-list input").nth(1).uncheck()
    has_count(page, expected(0.01, classes=[HOSTILE]))
    page.get_by_role("button", name="none").click()
    has_count(page, 0)
    page.get_by_role("button", name="all", exact=True).click()
    page.locator("#own-box").check()
    has_count(page, expected(None))
    page.locator("#slider").fill("0.01")
    same = page.evaluate(SAME_BOXES)
    assert len(same) > 0
    assert all(below > above for below, above in same)
    page.locator("#own-box").check()
    page.locator("#images button").nth(1).click()
    has_count(page, expected(None, image=black()))


def test_a_detection_shows_the_maps_of_its_heads(page: sync_api.Page):
    image = black()
    drop(page, image)
    page.locator("#slider").fill("0.01")
    page.locator("#list button").nth(1).click()
    heads = page.locator(".heads button")
    sync_api.expect(heads).to_have_count(4)
    assert re.fullmatch(r"head 0 · [a-z ]+\n\d+\xa0% in box", heads.first.inner_text().strip())
    legend = page.locator("#attention .legend p")
    assert [text.split(":")[0] for text in legend.all_text_contents()] == ["mean of heads", "each head"]
    peaks = [float(head.get_attribute("data-peak")) for head in heads.all()]
    one = explain(HOSTILE_MODEL.predictor, image, detection=1, threshold=0.01)
    combined = one.maps[one.parts.index("combined")]
    assert np.allclose(peaks, combined.max((1, 2)) * combined[0].size, atol=1e-3)
    mean = combined.mean(0)  # which is drawn on its own scale
    assert legend.first.text_content().endswith(f" {mean.max() * mean.size:.1f} times that")
    assert legend.last.text_content().endswith(f" {max(peaks):.1f} times that")
    highest = int(np.argmax(peaks))
    heads.nth(highest).click()
    sync_api.expect(heads.nth(highest)).to_have_attribute("aria-pressed", "true")
    x, y = page.evaluate(BRIGHTEST)
    rows, columns = combined.shape[1:]
    row, column = divmod(int(combined[highest].argmax()), columns)
    assert abs(x * columns - column - 0.5) <= 1
    assert abs(y * rows - row - 0.5) <= 1
    for name in ("spatial", "content"):
        page.locator("#attention").get_by_role("button", name=name).click()
    page.locator("[data-key=enlarged]").uncheck()
    page.locator("[data-key='Layer:0']").click()
    content = explain(HOSTILE_MODEL.predictor, image, detection=1, threshold=0.01, layer=0).maps[1]
    assert np.allclose(
        [float(head.get_attribute("data-peak")) for head in heads.all()],
        content.max((1, 2)) * content[0].size, atol=1e-3,
    )  # fmt: skip
    page.keyboard.press("Escape")
    sync_api.expect(page.locator("#attention")).to_be_hidden()


def test_a_detection_of_a_tile_shows_maps_in_the_tile(browser: sync_api.Browser):
    model, image = Model("tiles", "0" * 64, Predictor(WEIGHTS, tiling=Tiling(48))), black()
    with serving(model) as client:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"http://127.0.0.1:{client.port}/")
        page.wait_for_selector("html[data-ready]")
        drop(page, image)
        page.locator("#slider").fill("0.01")
        for number in range(page.locator("#list button").count()):
            reply = client("POST", f"/explain?threshold=0.01&detection={number}", image).json
            left, top, right, bottom = reply["attention"]["region"]
            if right - left < 90:
                break
        assert right - left < 90
        page.locator("#list button").nth(number).click()
        sync_api.expect(page.locator("#attention .hint")).to_contain_text("found in a tile")
        x, y = page.evaluate(BRIGHTEST)
        assert left <= x * 90 <= right
        assert top <= y * 60 <= bottom
        page.close()


def test_an_empty_spot_says_why_nothing_was_found_there(page: sync_api.Page):
    drop(page, IMAGE)
    page.locator("#slider").fill("1")
    has_count(page, 0)
    page.locator("#view").click(position={"x": 100, "y": 100}, force=True)
    text = page.locator("#reason").text_content()
    assert "below the threshold 1.00." in text
    near = page.locator(".near button")
    assert near.count() == 7
    near.nth(2).click()
    sync_api.expect(near.nth(2)).to_have_attribute("aria-pressed", "true")
    assert page.locator(".heads canvas").count() == 4
    page.locator("#slider").fill("0.01")
    assert "below the threshold" not in page.locator("#reason").text_content()


def test_a_query_that_suppression_leaves_out_is_never_said_to_be_a_detection(browser: sync_api.Browser):
    config = WEIGHTS.config.model_copy(update={"model": WEIGHTS.config.model.model_copy(update={"nms": 0.1})})
    with serving(Model("nms", "0" * 64, Predictor(replace(WEIGHTS, config=config)))) as client:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"http://127.0.0.1:{client.port}/")
        page.wait_for_selector("html[data-ready]")
        drop(page, IMAGE)
        page.locator("#slider").fill("1")
        with page.expect_response("**/explain*") as reply:
            page.locator("#view").click(position={"x": 100, "y": 100}, force=True)
        suppressed = [one["suppressed"] for one in reply.value.json()["nearest"]]
        page.locator("#reason").wait_for()
        page.locator("#slider").fill("0.01")  # after the explanation was computed
        near = page.locator(".near button").all_text_contents()
        assert any(suppressed)
        assert ["overlaps a better one" in text for text in near] == suppressed
        assert ["a detection" in text for text in near] == [not one for one in suppressed]
        page.close()


def test_names_of_classes_stay_text_and_an_exported_file_has_no_maps(page: sync_api.Page):
    drop(page, IMAGE)
    shown = HOSTILE.replace("\u202e", "\ufffd")
    assert page.locator("#class-list label span").first.text_content() == shown
    page.locator("#slider").fill("0.01")
    page.locator("#list button", has_text="onerror").first.click()
    sync_api.expect(page.locator("#attention h2")).to_contain_text(shown)
    assert page.locator("main img").count() == 0
    page.locator("#model").select_option("fixed")
    has_count(page, 2)
    page.locator("#list button").first.click()
    sync_api.expect(page.locator("#attention .note")).to_contain_text("exported file")
    assert page.locator(".heads").count() == 0


def test_everything_can_be_done_with_the_keyboard(page: sync_api.Page):
    drop(page, IMAGE)
    page.locator("#slider").focus()
    page.keyboard.press("Home")
    has_count(page, expected(0.01))
    for _ in range(20):
        if page.evaluate("document.activeElement.parentElement.id") == "list":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    focused = "document.activeElement.dataset.number"
    assert page.evaluate(focused) == "2"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert page.locator("#overlay > rect.strong").count() == 1
    page.keyboard.press("Enter")
    page.wait_for_selector(".heads canvas")
    assert "attention maps" in page.locator("[role=status]").text_content()
    assert page.evaluate(focused) == "2"
    page.keyboard.press("Escape")
    page.locator("#view").focus()
    page.locator("#slider").fill("1")
    page.locator("#view").focus()
    for key in ("ArrowLeft", "ArrowUp", "Enter"):
        page.keyboard.press(key)
    page.wait_for_selector("#reason")
    assert page.locator("#overlay > path[data-layer=point]").count() == 1
    unnamed = """[...document.querySelectorAll("button, input, select, canvas[tabindex]")].filter(one => !one.hidden &&
        !one.textContent.trim() && !one.labels?.length && !one.getAttribute("aria-label")).length"""
    assert page.evaluate(unnamed) == 0


def test_a_phone_has_no_horizontal_scroll_and_the_dark_scheme_is_dark(page: sync_api.Page):
    page.set_viewport_size({"width": 390, "height": 844})
    assert fits(page)
    drop(page, IMAGE, black())
    assert fits(page)
    assert page.locator("#view").bounding_box()["width"] > 340
    page.locator("#list button").first.click()
    page.wait_for_selector(".heads canvas")
    assert page.locator(".heads canvas").first.bounding_box()["width"] > 140
    assert 0.25 < page.evaluate(CUT) < 0.75
    page.locator(".heads button").last.scroll_into_view_if_needed()
    page.evaluate("scrollBy(0, 600)")
    assert page.locator("#view").bounding_box()["y"] < 0
    page.locator(".heads button").last.click()
    assert page.locator("#view").bounding_box()["y"] > -1, "a head that is chosen is shown over the image"
    sections = "[...document.querySelectorAll('#work > section')]"
    tops = page.evaluate(f"{sections}.map(one => one.getBoundingClientRect().top)")
    assert tops == sorted(tops), "Tab goes from top to bottom"
    page.set_viewport_size({"width": 1280, "height": 844})
    page.wait_for_selector("#work > section#attention:last-of-type", state="attached")
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_selector("#work > section.panel:last-of-type", state="attached")
    page.locator(".layers-table summary").click()
    assert fits(page)
    page.keyboard.press("Escape")
    page.locator("#slider").fill("1")
    page.locator("#view").click(force=True)
    page.wait_for_selector("#reason")
    assert fits(page)
    background = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    assert min(page.evaluate(background)) > 200
    page.emulate_media(color_scheme="dark")
    assert max(page.evaluate(background)) < 60


def test_the_camera_shows_frames_with_detections_and_what_fails_is_said(page: sync_api.Page):
    page.locator("#camera").click()
    sync_api.expect(page.locator("#status")).to_contain_text("images/s")
    page.locator("#camera").click()
    assert page.locator("#view").is_visible()
    sync_api.expect(page.locator("#status")).to_have_text(re.compile(r"^\d+ ms$"))
    drop(page, IMAGE)
    page.set_input_files("#files", [{"name": "a.txt", "mimeType": "text/plain", "buffer": b"hello"}])
    sync_api.expect(page.locator("#status")).to_contain_text("cannot show")
    page.set_input_files("#files", [{"name": "a.png", "mimeType": "image/png", "buffer": black(1001, 1000)}])
    sync_api.expect(page.locator("#status")).to_contain_text("a.png: 1001 x 1000 pixels")
    assert page.locator("#again").is_hidden()  # the server would refuse it again


def test_files_that_are_left_out_are_named_and_a_server_that_is_back_is_asked_again(page: sync_api.Page):
    status = page.locator("#status")
    drop(page, IMAGE, b"hello", b"hello", black())
    sync_api.expect(status).to_contain_text("cannot show as an image: image 1.png and 1 more.")
    sync_api.expect(status).to_contain_text(" ms")
    assert page.locator("#images button").count() == 2
    drop(page, *[b"hello"] * 51)
    sync_api.expect(status).to_contain_text("Only the first 50 of 51 files are shown.")
    sync_api.expect(status).to_contain_text("and 49 more.")
    page.locator("#images button").last.click()
    sync_api.expect(status).not_to_contain_text("Only")
    page.locator("#list button").first.click()
    sync_api.expect(status).to_contain_text("attention maps are below")
    drop_only(page, b"hello")  # the message is not hidden by that about the explanation
    sync_api.expect(status).to_contain_text("cannot show as an image: image 0.png.")
    page.locator("#images button").last.click()
    page.route("**/predict?*", lambda route: route.abort())
    drop_only(page, IMAGE)
    sync_api.expect(status).to_have_text("The server does not respond.")
    sync_api.expect(page.locator("#count")).to_have_text("Detections")  # not 0
    page.unroute("**/predict?*")
    page.locator("#again").click()
    has_count(page, expected(None))
    assert page.locator("#again").is_hidden()
    page.route("**/explain?*", lambda route: route.abort())
    page.locator("#list button").first.click()
    sync_api.expect(status).to_have_text("The server does not respond.")
    sync_api.expect(page.locator("#attention .note")).to_have_text("The server does not respond.")


def test_on_a_phone_a_busy_server_is_asked_again_and_of_many_classes_those_of_the_image_are_listed(
    browser: sync_api.Browser,
):
    categories = Categories(tuple(range(20)), tuple(f"a long name {i}" for i in range(20)))
    predictor = Predictor(Weights(shaken(TINY, 20), Config(model=TINY, data=Data(size=64)), categories, None))
    name, busy = "microsoft/a-model-whose-name-is-as-long-as-this-one", [True]
    with serving(Model(name, "0" * 64, predictor), model()) as client:
        context = browser.new_context(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True)
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{client.port}/")
        page.wait_for_selector("html[data-ready]")
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        assert "Drop" not in page.locator("#empty").inner_text()  # nothing can be dropped there
        answer = {"status": 429, "headers": {"Retry-After": "1"}, "body": "{}"}
        page.route("**/predict?*", lambda route: route.fulfill(**answer) if busy.pop() else route.continue_())
        busy.insert(0, False)
        drop_only(page, IMAGE)
        sync_api.expect(page.locator("#status")).to_have_text("The server is busy. Trying again in 1 s.")
        sync_api.expect(page.locator("#status")).to_have_text(re.compile(r"^\d+ ms$"))
        found = predictor(IMAGE, 0.01, max_detections=300).labels
        assert page.locator("#class-list label").count() == len(set(found.tolist())) < 20
        assert page.locator("#class-note").is_visible()
        context.close()


def test_long_names_do_not_cover_each_other_on_a_phone(page: sync_api.Page):
    page.set_viewport_size({"width": 390, "height": 800})
    drop(page, IMAGE)
    has_count(page, expected(None))
    page.evaluate("document.querySelectorAll('#list span').forEach(one => one.textContent += ' very long'.repeat(30))")
    assert page.evaluate(
        "[...document.querySelectorAll('#list button')].every(one => one.scrollHeight <= one.clientHeight)"
    )
    assert fits(page)


def test_a_token_is_asked_for_and_kept_in_memory_only(browser: sync_api.Browser):
    with serving(model(), token="s3cret") as client:
        context = browser.new_context()
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.goto(f"http://127.0.0.1:{client.port}/")
        for token, words in (("wrong", "did not accept"), ("zwei worte", "one word")):
            page.locator("#token-text").fill(token)
            page.keyboard.press("Enter")
            sync_api.expect(page.locator("#token-error")).to_contain_text(words)
            assert page.locator("#work").is_hidden()
        page.locator("#token-text").fill("s3cret")
        page.keyboard.press("Enter")
        page.wait_for_selector("html[data-ready]")
        drop(page, IMAGE)
        assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
        page.reload()
        page.wait_for_selector("#token-text")
        context.close()


def test_the_files_of_the_page_have_a_strict_policy_and_can_be_left_out(client: Client):
    for path in ("/", "/page/page.js", "/page/page.css", "/page/colormap"):
        reply = client("GET", path)
        assert reply.status == 200
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
    assert client("GET", "/page/page.py").status == client("GET", "/page/../page.py").status == 404
    with serving(model(), page=False) as other:
        assert other("GET", "/").status == other("GET", "/page/page.js").status == 404
