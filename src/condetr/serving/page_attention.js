// What one query attends to: the maps of its heads on one common scale, its way from layer to layer, and its neighbours.
import { refill, withArrows } from "./page_controls.js";
import { reason, relation, visible } from "./page_filter.js";

const WIDE = 160;  // CSS pixels of the map of a head
const AROUND = 1.7;  // sides of the box that an enlarged map shows
const LEAST_SHARE = 0.2;  // of the image's sides that an enlarged map shows
const FLAT = 1.5;  // times the uniform attention: below, the place of the highest cell means little
const MEANING = {
  spatial: "where the query looks (softmax of p_q·p_k alone)",
  content: "what it looks for (softmax of c_q·c_k alone)",
  combined: "what the layer uses",
};

export const inflate = async text => {
  const packed = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  return new Uint8Array(await new Response(
    new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer());
};

// The view of an explanation by the server: layer, part, head ("all" or its number), whether the scale is common to all
// heads, and whether their maps are enlarged around the box.
export const viewOf = async explanation => ({
  explanation, maps: await inflate(explanation.attention.maps), layer: explanation.attention.layers - 1,
  part: explanation.attention.parts.at(-1), head: "all", common: true, enlarged: true,
});

// The values of a head from 0 to 255, and how many times uniform attention 255 is.
const headMap = ({ explanation: { attention }, maps, layer, part, common }, head) => {
  const { parts, heads, rows, columns, peaks } = attention, size = rows * columns, p = parts.indexOf(part);
  const at = ((layer * parts.length + p) * heads + head) * size, of = peaks[layer][p];
  const top = common ? Math.max(...of) : of[head], factor = of[head] / top;
  return { values: Float32Array.from(maps.subarray(at, at + size), value => value * factor), ratio: top };
};

// That of the chosen head, or of the mean of all, which is drawn on its own scale: on that of the heads it would be faint.
export const chosenMap = view => {
  const { heads, rows, columns } = view.explanation.attention;
  if (view.head !== "all") return headMap(view, view.head);
  const sum = new Float32Array(rows * columns);
  for (let h = 0; h < heads; h++) {
    const { values, ratio } = headMap(view, h);
    values.forEach((value, i) => { sum[i] += value * ratio / 255 / heads; });
  }
  const top = Math.max(...sum);
  return { values: sum.map(value => value / top * 255), ratio: top };
};

// The part of the image, [left, top, share of its sides], that holds the box and the highest cells of all heads.
const closeUp = (view, image) => {
  const { box, attention: { heads, rows, columns, region: [west, north, east, south] } } = view.explanation;
  const whole = [0, 0, 1];
  const [x1, y1, x2, y2] = box.map((side, i) => side / (i % 2 ? image.height : image.width));
  const share = Math.min(1, Math.max(LEAST_SHARE, AROUND * (x2 - x1), AROUND * (y2 - y1)));
  const [left, top] = [(x1 + x2 - share) / 2, (y1 + y2 - share) / 2].map(low => Math.min(Math.max(low, 0), 1 - share));
  for (let h = 0; h < heads; h++) {
    const { values } = headMap(view, h), cell = values.indexOf(Math.max(...values));
    const x = (west + (cell % columns + 0.5) / columns * (east - west)) / image.width;
    const y = (north + (Math.floor(cell / columns) + 0.5) / rows * (south - north)) / image.height;
    if (x < left || x > left + share || y < top || y > top + share) return whole;
  }
  return [left, top, share];
};

// Box, extremities and reference point of a view's query.
export const marksOf = ({ explanation, layer }, text) => {
  const [x1, y1, x2, y2] = explanation.box, [x, y] = [(x1 + x2) / 2, (y1 + y2) / 2];
  return {
    boxes: [{ box: explanation.box, key: "prediction", color: "#ffffff", text }],
    dots: [[x1, y], [x, y1], [x2, y], [x, y2]],
    reference: explanation.attention.parts.includes("spatial") ? explanation.predictions[layer].reference : null,
  };
};

const group = (title, options, now, choose) => {
  const made = make("div", { class: "group", role: "group", "aria-label": title }, make("span", {}, title),
    ...options.map(([value, text]) => make("button", { type: "button", "aria-pressed": String(value === now),
      "data-key": `${title}:${value}`, onclick: () => choose(value) }, text)));
  withArrows(made);
  return made;
};

export class Attention {
  // `on`: change(changes of the view), query(number), close()
  constructor(root, colormap, on) {
    [this.root, this.colormap, this.on] = [root, colormap, on];
  }

  shown({ values }) {
    return { values, opacity: 0.85, smooth: true, colormap: this.colormap };
  }

  // `explained`: { title, note, view, at }; a note is shown instead of maps.
  draw(image, model, filter, explained) {
    this.root.hidden = !explained;
    if (!explained) return this.root.replaceChildren();
    const { title, note, view, at } = explained;
    const close = make("button", { type: "button", "data-key": "close", onclick: this.on.close,
      "aria-label": "close the explanation" }, "×");
    const head = make("div", { class: "row head" }, make("h2", {}, title), close);
    const near = at && view ? this.#near(model, filter, view, at) : [];
    const rest = view ? this.#maps(image, view) : [];
    refill(this.root, head, ...(note ? [make("p", { class: "note" }, note)] : []), ...near, ...rest);
  }

  #near(model, filter, { explanation }, at) {
    const rows = explanation.nearest.map(one => {
      const { where, status } = relation(one, model, filter, at);
      return make("button", { type: "button", "data-key": `query:${one.query}`, onclick: () => this.on.query(one.query),
        "aria-pressed": String(one.query === explanation.query) },
      make("span", {}, `${visible(one.category)} `, make("b", {}, one.score.toFixed(2))),
      make("small", {}, status), make("small", {}, where));
    });
    const list = make("div", { class: "near", role: "group", "aria-label": "Queries near the point" }, ...rows);
    withArrows(list);
    return [make("p", { class: "note", id: "reason" }, reason(explanation.nearest, model, filter, at)),
      make("p", { class: "hint" }, "The queries nearest to this point. Select one to see what it attends to."), list];
  }

  #maps(image, view) {
    const { attention, predictions } = view.explanation, change = this.on.change, count = n =>
      Array.from({ length: n }, (_, i) => [i, String(i)]);
    const controls = make("div", { class: "choices" },
      group("Layer", count(attention.layers), view.layer, layer => change({ layer })),
      ...(attention.parts.length > 1
        ? [group("Part", attention.parts.map(part => [part, part]), view.part, part => change({ part }))] : []),
      group("Head", [["all", "all"], ...count(attention.heads)], view.head, h => change({ head: h })),
      ...[["common", "one scale for all heads"], ["enlarged", "enlarge around the box"]].map(([key, text]) =>
        make("label", { class: "group" }, make("input", { type: "checkbox", "data-key": key, checked: view[key],
          onchange: event => change({ [key]: event.target.checked }) }), text)));
    const first = view.part === "content" && view.layer === 0
      ? "; in the first layer it includes the object query and the key's position" : "";
    const mean = view.head === "all" ? [scaleOf(this.colormap, chosenMap(view).ratio, "mean of heads")] : [];
    const each = view.common || view.head !== "all"
      ? [scaleOf(this.colormap, headMap(view, view.head === "all" ? 0 : view.head).ratio,
        view.common ? "each head" : `head ${view.head}`)] : [];
    const strip = make("div", { class: "heads" });
    strip.style.setProperty("--heads", attention.heads);
    const part = view.enlarged ? closeUp(view, image) : [0, 0, 1];
    strip.append(...Array.from({ length: attention.heads }, (_, h) => this.#head(image, view, h, part)));
    withArrows(strip);
    const rows = predictions.map((one, layer) => make("tr", {}, ...[String(layer), visible(one.category),
      one.score.toFixed(3), one.box.map(side => side.toFixed(0)).join(", ")].map(cell => make("td", {}, cell))));
    const headers = ["after layer", "best class", "score", "box"];
    const table = make("details", { class: "layers-table" },
      make("summary", { "data-key": "layers" }, "From layer to layer"),
      make("div", { class: "scroll" }, make("table", {},
        make("thead", {}, make("tr", {}, ...headers.map(text => make("th", {}, text)))),
        make("tbody", {}, ...rows))));
    table.open = this.open ?? false;
    table.addEventListener("toggle", () => { this.open = table.open; });
    const [west, north, east, south] = attention.region;
    const tile = east - west < image.width || south - north < image.height
      ? " The object was found in a tile of the image, which the maps cover." : "";
    const blue = attention.parts.includes("spatial") ? " The blue cross is the point from which the layer starts." : "";
    return [controls, make("p", { class: "hint" }, `${view.part}: ${MEANING[view.part]}${first}.${tile}${blue}`), strip,
      make("div", { class: "legend" }, ...mean, ...each), table];
  }

  #head(image, view, h, [left, top, share]) {
    const { attention, box } = view.explanation, p = attention.parts.indexOf(view.part);
    const map = headMap(view, h), whole = make("canvas"), canvas = make("canvas");
    paint(whole, image.drawn(attention), this.shown(map), { boxes: [{ box, color: "#ffffff" }] }, WIDE / share);
    const [width, height] = [whole.width, whole.height].map(side => Math.max(1, Math.round(side * share)));
    Object.assign(canvas, { width, height });
    canvas.getContext("2d").drawImage(whole, -Math.round(left * whole.width), -Math.round(top * whole.height));
    const peak = attention.peaks[view.layer][p][h], inside = Math.round(100 * attention.inside[view.layer][p][h]);
    const where = peak < FLAT ? "nearly uniform" : attention.regions[view.layer][p][h];
    return make("button", { type: "button", "data-key": `map:${h}`, "data-peak": peak,
      "aria-pressed": String(view.head === h),
      title: `at most ${peak.toFixed(1)} times uniform attention`,
      onclick: () => this.on.change({ head: view.head === h ? "all" : h }) }, canvas,
    make("small", {}, make("span", {}, `head ${h} · ${where}`), " ", make("span", {}, `${inside}\u00a0% in box`)));
  }
}
