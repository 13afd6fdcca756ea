// The page of `condetr serve`. Its state is in one object, and every change of it draws what depends on it.
import { Attention, chosenMap, marksOf, viewOf } from "./page_attention.js";
import { Camera } from "./page_camera.js";
import { Controls } from "./page_controls.js";
import { hit, kept, lowestOf, MOST, visible } from "./page_filter.js";
import { ShownImage } from "./page_images.js";
import { Refused, Server } from "./page_server.js";

const MOST_IMAGES = 50;  // that the page keeps; the oldest are dropped
const EDGE = 40;  // CSS pixels of the next thumbnail that stay visible beside the one that is shown
const STEP = 1 / 40;  // of the image's longer side: how far an arrow key moves the cross
const NO_ATTENTION = "These weights are an exported file, which returns detections only. To see attention maps, serve the "
  + "folder of weights that it was exported from.";
const byId = id => document.getElementById(id);
const state = {
  models: [], model: null, images: [], current: null, filter: { threshold: 0.5, hidden: new Set() },
  picked: null, pointed: null, cross: null, explained: null, notice: "", busy: "", left: "",
};

// --- the server ----------------------------------------------------------------------------------------------------
let asked = null;
const askToken = wrong => asked ??= new Promise(done => {
  const form = byId("token"), input = byId("token-text");
  byId("token-error").textContent = wrong ? "The server did not accept this token." : "";
  form.hidden = false;
  input.focus();
  form.onsubmit = event => {
    event.preventDefault();
    const token = input.value.trim();
    if (!/^[\x21-\x7e]+$/.test(token)) {
      byId("token-error").textContent = "A token is one word of ASCII characters.";
      return;
    }
    input.value = "";
    form.hidden = true;
    asked = null;
    done(token);
  };
});
const notice = text => {
  state.notice = text;
  drawStatus();
};
const server = new Server(askToken, text => {
  state.busy = text;
  drawStatus();
});
const captionOf = one => `${visible(one.category)} ${one.score.toFixed(2)}`;
const resultOf = image => image?.results.get(state.model.name) ?? null;

// An error of the server about an image that was sent alone, as "image 1", names the file.
const errorOf = (error, image) => visible(error.message).replace(/^image 1: /, `${image.name}: `);

const predict = async image => {
  const model = state.model, result = { detections: [], error: "", passing: false, time: 0 };
  try {
    const reply = await server.predict(model.name, image.file, lowestOf(model), Math.min(MOST, model.max_detections));
    const [predicted] = reply.images;
    Object.assign(result, { detections: predicted.detections, time: reply.time });
    [image.width, image.height] = [predicted.width, predicted.height];
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    Object.assign(result, { error: errorOf(error, image), passing: error.passing });
  }
  image.results.set(model.name, result);
};

let predicting = false;
const predictAll = async () => {  // one image after the other, first the one that is shown
  if (predicting) return;
  predicting = true;
  try {
    for (;;) {
      const next = [state.current, ...state.images].find(one => one?.bitmap && !resultOf(one));
      if (!next) break;
      await predict(next);
      draw();
    }
  } finally {
    predicting = false;
  }
};

let explaining = null;
const explain = async (title, what, at, message) => {
  explaining?.abort();
  const mine = explaining = new AbortController(), image = state.current, model = state.model;
  state.explained = { title, at, note: model.attention ? "Computing …" : NO_ATTENTION, view: null };
  draw();
  if (!model.attention) return notice("These weights have no attention maps.");
  try {
    const { threshold } = state.filter;
    const least = what.detection !== undefined ? lowestOf(model) : threshold ?? (model.thresholds ? "best" : 0.5);
    const explanation = await server.explain(model.name, image.file, least, what, mine.signal);
    const before = state.lastView ?? {}, view = await viewOf(explanation);
    Object.assign(view, { common: before.common ?? true, enlarged: before.enlarged ?? true });
    if (mine.signal.aborted) return;
    if (before.part && view.explanation.attention.parts.includes(before.part)) view.part = before.part;
    if (before.layer < explanation.attention.layers) view.layer = before.layer;
    if (at && what.query !== undefined) view.explanation.nearest = message.nearest;
    state.explained = { title, at, note: "", view };
    notice(at ? "Why nothing was found here is explained below the image."
      : `${title}: attention maps are below the image.`);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof Refused)) throw error;
    state.explained = { title, at, note: errorOf(error, image), view: null };
    state.notice = state.explained.note;
  }
  draw();
};

// --- what the user does --------------------------------------------------------------------------------------------
const close = () => {
  explaining?.abort();
  Object.assign(state, { picked: null, explained: null, cross: null, notice: "" });
  draw();
};
const show = image => {
  state.current = image;
  if (resultOf(image)?.error) image.results.delete(state.model.name);  // it is sent again
  close();
  predictAll();
};
const shownDetections = () => {
  const result = resultOf(state.current);
  return result && !result.error ? kept(result.detections, state.model, state.filter) : null;
};
const pick = number => {
  stopCamera();
  const one = resultOf(state.current).detections[number];
  Object.assign(state, { picked: number, cross: null });
  bringIntoView();  // on a phone the list is far below it
  explain(captionOf(one), { detection: number }, null);
};
const ask = (x, y) => {  // what is at a point of the image
  if (!shownDetections()) return;
  const found = hit(shownDetections(), x, y);
  if (found) return pick(found.number);
  stopCamera();
  Object.assign(state, { picked: null, cross: [x, y] });
  explain("Why nothing here?", { at: `${x},${y}` }, [x, y]);
};
const add = async files => {
  stopCamera();
  let first = null;
  const unshown = [], more = files.length - MOST_IMAGES;
  const all = more > 0 ? `Only the first ${MOST_IMAGES} of ${files.length} files are shown. ` : "";
  state.left = all;
  for (const file of [...files].slice(0, MOST_IMAGES)) {
    const image = new ShownImage(file, file.name || "pasted image");
    try {
      await image.open();
    } catch {
      unshown.push(image.name);
      const others = unshown.length > 1 ? ` and ${unshown.length - 1} more` : "";
      state.left = `${all}This browser cannot show as an image: ${unshown[0]}${others}. `;
      drawStatus();
      continue;
    }
    state.images.push(image);
    if (state.images.length > MOST_IMAGES) state.images.shift().close();
    if (!first) show(first = image);
    drawImages();
  }
  predictAll();
};

const camera = new Camera();
const stopCamera = () => {
  if (!camera.on) return;
  camera.stop();
  byId("camera").textContent = "Camera";
  if (state.current) state.images.push(state.current);  // the last frame stays
  state.notice = "";
  drawImages();
  drawStatus();
};
const runCamera = async () => {
  byId("camera").disabled = true;
  try {
    await camera.start();
  } catch (error) {
    return notice(error.message);
  } finally {
    byId("camera").disabled = false;
  }
  byId("camera").textContent = "Stop camera";
  state.current = null;
  state.left = "";
  close();
  let last = performance.now();
  for (;;) {
    const frame = await camera.frame();
    if (!frame) return stopCamera();
    const image = new ShownImage(frame, `camera ${new Date().toLocaleTimeString()}`);
    await image.open();
    await predict(image);
    if (!camera.on) return image.close();  // an image was chosen, or a detection of the last frame, in the meantime
    state.current?.close();
    state.current = image;
    const now = performance.now();
    state.notice = resultOf(image).error || `Camera: ${(1000 / (now - last)).toFixed(1)} images/s`;
    last = now;
    draw();
    if (resultOf(image).error) return stopCamera();
  }
};

// --- drawing -------------------------------------------------------------------------------------------------------
const view = byId("view"), stage = view.parentElement, viewer = document.querySelector(".viewer");
const bringIntoView = () => stage.scrollIntoView({ block: "nearest" });
let attention = null;
const controls = new Controls({
  filter: changes => {
    state.filter = { ...state.filter, ...changes };
    draw();
  },
  pick,
  point: number => {
    state.pointed = number;
    drawStage();
  },
});

const drawStatus = () => {
  const result = resultOf(state.current), told = state.busy || state.notice, failed = Boolean(result?.error) && !told;
  const text = result?.error || (result ? `${Math.round(1000 * result.time)} ms` : state.current ? "Detecting …" : "");
  byId("status").replaceChildren(make("span", { class: "error" }, state.left),
    make("span", { class: failed && "error" }, told || text));
  byId("again").hidden = !failed || !result.passing;
};
const areaOf = ({ box: [x1, y1, x2, y2] }) => (x2 - x1) * (y2 - y1);
const onTop = (a, b) =>  // small boxes, which a click finds; of equal ones the marked one or the best
  areaOf(b) - areaOf(a) || a.strong - b.strong || b.rank - a.rank;
const drawStage = () => {
  const image = state.current;
  stage.hidden = !image;
  byId("empty").hidden = Boolean(image);
  if (!image) return;
  const shown = shownDetections() ?? [], explained = state.explained?.view;
  const marks = explained ? marksOf(explained, captionOf(explained.explanation)) : { boxes: [] };
  const others = shown.map((one, rank) => {
    const text = captionOf(one), marked = [state.pointed, state.picked].includes(one.number);
    return { rank, box: one.box, key: "detection", color: explained ? "#c8ccd4" : state.model.colors.get(one.category_id),
      text: explained ? "" : text, note: text, strong: marked };
  });
  const below = explained ? others.filter((_, i) => shown[i].number !== state.picked) : others;
  marks.boxes = [...below.sort(onTop), ...marks.boxes];
  if (state.cross) marks.point = state.cross;
  const width = Math.max(1, Math.min(viewer.clientWidth, 0.72 * innerHeight * image.width / image.height));
  stage.style.width = `${width}px`;
  const drawn = image.drawn(explained?.explanation.attention);
  paint(view, drawn, explained ? attention.shown(chosenMap(explained)) : null, {}, width);
  paintOverlay(byId("overlay"), drawn, marks, width);
  view.setAttribute("aria-label",
    `${image.name}: ${shown.length} detections. Arrow keys move a cross, Enter explains what is there.`);
};
let lastShown = null;
const drawImages = () => {
  const several = state.images.length > 1, row = byId("images");
  row.hidden = !several;
  row.replaceChildren(...(several ? state.images : []).map(image => {
    const thumbnail = image.small ??= image.thumbnail();
    return make("button", { type: "button", "aria-label": image.name, title: image.name,
      "aria-pressed": String(image === state.current), onclick: () => {
        stopCamera();
        state.left = "";
        show(image);
        row.children[state.images.indexOf(image)]?.focus();
      } }, thumbnail);
  }));
  const shown = row.querySelector("[aria-pressed=true]");
  if (shown && state.current !== lastShown)
    row.scrollLeft = Math.min(Math.max(row.scrollLeft, shown.offsetLeft + shown.offsetWidth + EDGE - row.clientWidth),
      shown.offsetLeft - EDGE);
  if (shown) lastShown = state.current;
};
const draw = () => {
  const shown = shownDetections(), result = shown && resultOf(state.current);
  drawStage();
  controls.draw(state.model, state.filter, result?.detections ?? null, shown, state.picked);
  attention.draw(state.current, state.model, state.filter, state.explained);
  drawImages();
  drawStatus();
};

// --- events --------------------------------------------------------------------------------------------------------
stage.addEventListener("click", event => {
  const frame = view.getBoundingClientRect(), { width, height } = state.current;
  const at = (position, low, size, side) => Math.round(Math.min(Math.max((position - low) / size, 0), 1) * side);
  view.focus({ preventScroll: true });
  ask(at(event.clientX, frame.left, frame.width, width), at(event.clientY, frame.top, frame.height, height));
});
view.addEventListener("keydown", event => {
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  const { width, height } = state.current, by = STEP * Math.max(width, height);
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (step) {
    const [x, y] = state.cross ?? [width / 2, height / 2];
    const within = (value, side) => Math.round(Math.min(Math.max(value, 0), side));
    state.cross = [within(x + step[0] * by, width), within(y + step[1] * by, height)];
    drawStage();
  } else if (["Enter", " "].includes(event.key)) ask(...state.cross ?? [Math.round(width / 2), Math.round(height / 2)]);
  else return;
  event.preventDefault();
});
document.addEventListener("keydown", event => {
  if (event.key !== "Escape" || !state.explained) return;
  const number = state.picked, inside = byId("attention").contains(document.activeElement);
  close();
  if (inside) (byId("list").querySelector(`[data-number="${number}"]`) ?? view).focus();
});
for (const one of [byId("choose"), byId("empty")]) one.addEventListener("click", () => byId("files").click());
byId("files").addEventListener("change", event => {
  add(event.target.files);
  event.target.value = "";
});
byId("again").addEventListener("click", () => show(state.current));
byId("camera").addEventListener("click", () => camera.on ? stopCamera() : runCamera());
byId("model").addEventListener("change", event => useModel(event.target.value));
document.addEventListener("paste", event => {
  if (event.clipboardData.files.length) add(event.clipboardData.files);
});
for (const name of ["dragover", "dragleave", "drop"])
  document.addEventListener(name, event => {
    event.preventDefault();
    document.body.classList.toggle("dropping", name === "dragover");
    if (name === "drop" && state.model && event.dataTransfer.files.length) add(event.dataTransfer.files);
  });
addEventListener("resize", () => state.model && drawStage());

const narrow = matchMedia("(max-width: 52rem)");  // as in page.css
const arrange = () =>  // there, the explanation follows the image, also for the Tab key
  byId("work").append(narrow.matches ? document.querySelector(".panel") : byId("attention"));
narrow.addEventListener("change", arrange);
arrange();

// --- start ---------------------------------------------------------------------------------------------------------
const useModel = name => {
  state.model = state.models.find(one => one.name === name);
  state.model.colors ??= new Map(state.model.classes.map(one => [one.category_id, one.color]));
  state.filter = { threshold: state.model.thresholds ? null : 0.5, hidden: new Set() };
  const classes = state.model.classes.length;
  const alone = state.models.length > 1 ? "" : `${visible(name)} · `;
  byId("about").textContent = `${alone}${classes} class${classes === 1 ? "" : "es"}`;
  close();
  predictAll();
};
try {
  state.models = (await server.models()).models;
  const colormap = new Uint8Array(await (await fetch("page/colormap")).arrayBuffer());
  attention = new Attention(byId("attention"), colormap, {
    change: changes => {
      Object.assign(state.explained.view, changes);
      state.lastView = { ...state.lastView, ...changes };  // what was chosen, and no more: models have other layers
      draw();
      if ("head" in changes && narrow.matches) bringIntoView();  // its map is over the image
    },
    query: number => {
      bringIntoView();
      const { title, at, view: { explanation } } = state.explained;
      explain(title, { query: number }, at, explanation);
    },
    close,
  });
  byId("model").replaceChildren(...state.models.map(one => make("option", { value: one.name }, visible(one.name))));
  document.querySelector(".models").hidden = state.models.length < 2;
  byId("work").hidden = false;
  useModel(state.models[0].name);
  document.documentElement.dataset.ready = "1";
} catch (error) {
  byId("work").hidden = true;
  document.querySelector("main").prepend(make("p", { class: "error", role: "alert" }, error.message));
}
