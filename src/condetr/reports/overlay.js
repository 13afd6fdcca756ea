// Boxes over images: their labels, the switches of their layers, and the enlarged image.
"use strict";
// The positions of labels in an image of `width` × `height` CSS pixels. An item is { box, sizes }: a box (x1, y1, x2, y2)
// and the [width, height] of its label, of shorter ones next; the most important item is first. A label never overlaps
// another one and never hides more than a fifth of any box, and all labels together hide at most a share of the image.
// Returns { x, y, size } for each item, `size` being the index of the size that fits, or null where none does.
const placeLabels = (items, width, height, share) => {
  const common = (a, b) => Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0]))
    * Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
  const area = box => Math.max(1, (box[2] - box[0]) * (box[3] - box[1]));
  const placed = [];
  let left = share * width * height;
  return items.map(({ box: [x1, y1, x2, y2], sizes }) => {
    let best = null;
    for (const [size, [w, h]] of sizes.entries()) {
      if (w > width || h > height || w * h > left) continue;
      const inner = 2, positions = [[x1, y1 - h], [x2 - w, y1 - h], [x1, y2], [x2 - w, y2],
        [x1 + inner, y1 + inner], [x2 - w - inner, y1 + inner], [x1 + inner, y2 - h - inner],
        [x2 + inner, y1], [x1 - w - inner, y1]];
      for (const [rank, [left_, top]] of positions.entries()) {
        const x = Math.min(Math.max(left_, 0), width - w), spot = [x, top, x + w, top + h];
        if (top < 0 || top + h > height || placed.some(other => common(spot, other) > 0)) continue;
        const hidden = items.map(({ box }) => common(spot, box) / area(box)), most = Math.max(...hidden);
        if (most > 0.2) continue;
        const cost = hidden.reduce((a, b) => a + b, 0) + 0.02 * rank + 0.3 * size;
        if (!best || cost < best.cost) best = { cost, x, y: top, size, spot };
      }
    }
    if (!best) return null;
    placed.push(best.spot);
    left -= area(best.spot);
    return { x: best.x, y: best.y, size: best.size };
  });
};

// The keys of the layers that are switched off; "labels" stands for all labels.
const hiddenLayers = new Set();

// Draw the labels of the boxes of an SVG overlay that are shown, for the size at which it is shown.
const drawLabels = svg => {
  for (const old of svg.querySelectorAll(".label")) old.remove();
  const frame = svg.getBoundingClientRect(), whole = svg.viewBox.baseVal;
  if (!frame.width || hiddenLayers.has("labels")) return;
  const font = frame.width < 500 ? 11 : 13, across = frame.width / whole.width, down = frame.height / whole.height;
  const pen = drawLabels.pen ??= document.createElement("canvas").getContext("2d");
  pen.font = `600 ${font}px system-ui, sans-serif`;
  const short = (text, most) => text.length > most ? text.slice(0, most - 1) + "…" : text;
  const size = text => [Math.ceil(pen.measureText(text).width) + 8, font + 5];
  const rects = [...svg.querySelectorAll(":scope > rect:not([hidden])")].filter(rect => rect.dataset.caption)
    .sort((a, b) => a.dataset.rank - b.dataset.rank);
  const items = rects.map(rect => {
    const [x, y, w, h] = ["x", "y", "width", "height"].map(name => rect[name].baseVal.value);
    const [, name, score] = /^(.*?)( \d\.\d+)?$/s.exec(rect.dataset.caption);
    const texts = [short(name, 20) + (score ?? ""), short(name, 10)];
    return { rect, texts: texts.slice(0, texts[1].length < texts[0].length - 1 ? 2 : 1),
      box: [x * across, y * down, (x + w) * across, (y + h) * down] };
  });
  for (const item of items) item.sizes = item.texts.map(size);
  const share = frame.width < 500 ? 0.12 : 0.2;  // a small image shows the most important ones only
  for (const [i, at] of placeLabels(items, frame.width, frame.height, share).entries()) {
    if (!at) continue;
    const { rect, texts, sizes } = items[i], [w, h] = sizes[at.size];
    const label = makeSvg("g", { class: "label",
      transform: `scale(${1 / across} ${1 / down}) translate(${at.x} ${at.y})` });
    const text = makeSvg("text", { x: 4, y: h - 5, fill: rect.dataset.ink }, texts[at.size]);
    text.style.font = pen.font;  // not an attribute, which a strict policy of a server forbids
    label.append(makeSvg("rect", { width: w, height: h, rx: 3, fill: rect.getAttribute("stroke") }), text);
    svg.append(label);
  }
};

(() => {
  const stages = () => document.querySelectorAll(".stage > .overlay");
  const observer = new ResizeObserver(entries => { for (const entry of entries) drawLabels(entry.target); });
  for (const svg of stages()) observer.observe(svg);
  for (const { dataset } of document.querySelectorAll("[data-switch]:not(:checked)")) hiddenLayers.add(dataset.switch);

  document.addEventListener("change", event => {  // the same switch may stand at several galleries and in the dialog
    const { switch: key } = event.target.dataset ?? {}, on = event.target.checked;
    if (!key) return;
    for (const other of document.querySelectorAll("[data-switch]")) {
      if (other.dataset.switch !== key) continue;
      other.checked = on;
      other.toggleAttribute("checked", on);
    }
    hiddenLayers[on ? "delete" : "add"](key);
    for (const shape of document.querySelectorAll(".overlay [data-layer]"))
      if (shape.dataset.layer === key) shape.toggleAttribute("hidden", !on);
    for (const svg of stages()) drawLabels(svg);
  });

  const show = stage => {
    const gallery = stage.closest(".gallery"), all = [...(gallery ?? stage.parentNode).querySelectorAll(".stage")];
    const large = stage.cloneNode(true), switches = gallery?.previousElementSibling;
    for (const name of ["role", "tabindex", "aria-label"]) large.removeAttribute(name);
    large.onclick = () => large.closest("dialog").close();
    showDialog(stage.querySelector("img").alt,
      [large, ...(switches?.matches(".layers") ? [switches.cloneNode(true)] : [])],
      all.length > 1 ? by => show(all[(all.indexOf(stage) + by + all.length) % all.length]) : null, stage);
    const svg = large.querySelector(".overlay");
    if (svg) observer.observe(svg);
  };
  const open = event => {
    const stage = event.target.closest?.("main .stage[role=button]");
    if (stage) show(stage);
    return !!stage;
  };
  document.addEventListener("click", open);
  document.addEventListener("keydown", event => {
    if ("Enter ".includes(event.key) && event.target.matches(".stage") && open(event)) event.preventDefault();
  });
})();
