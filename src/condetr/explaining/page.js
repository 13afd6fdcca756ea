// The page of `condetr explain`. Its state is kept in the address, and every change of the state draws everything again.
"use strict";
(async () => {
  const data = JSON.parse(document.getElementById("explanation").textContent);
  const root = document.getElementById("explain");
  const bytes = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const inflate = async text => new Uint8Array(await new Response(
    new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer());
  const colormap = bytes(data.colors);
  const percent = value => `${value}\u00a0%`;
  const MODES = { detection: "Detections", encoder: "Encoder", why: "Why nothing here?" };
  const HINTS = {
    detection: "Click a box. Arrow keys: left and right change the head, up and down the layer; n and p the detection.",
    encoder: "Click a point to see the encoder's self-attention from there, mean of the heads. Arrow keys move the point.",
    why: "Click a point to list the queries nearest to it, and why they are not detections. Arrow keys move the point.",
  };

  // --- state: always complete and valid ------------------------------------------------------------------------------
  const first = data.start;
  const state = {};
  const integer = (value, low, high, otherwise) => {
    const number = Number.parseInt(value ?? "", 10);
    return number >= low && number <= high ? number : otherwise;
  };
  const read = () => {
    const address = new URLSearchParams(location.hash.slice(1));
    state.p = integer(address.get("p"), 0, data.images.length - 1, first.p);
    const image = data.images[state.p];
    state.m = Object.hasOwn(MODES, address.get("m")) ? address.get("m") : image.shown.length ? first.m : "why";
    if (state.m === "detection" && !image.shown.length) state.m = "why";
    if (state.m === "encoder" && !image.encoder_layers) state.m = "why";
    state.d = integer(address.get("d"), 0, image.shown.length - 1, Math.min(first.d, image.shown.length - 1));
    state.l = integer(address.get("l"), 0, image.layers - 1, first.l);
    state.e = integer(address.get("e"), 0, image.encoder_layers - 1, image.encoder_layers - 1);
    state.h = address.get("h") === "all" ? "all" : integer(address.get("h"), 0, image.heads - 1, "all");
    state.t = image.parts.includes(address.get("t")) ? address.get("t") : image.parts.at(-1);
    state.o = integer(address.get("o"), 0, 100, 85);
    state.c = address.get("c") === "1" ? 1 : 0;
    const inside = first.x <= image.width && first.y <= image.height;  // also false where no point was given
    state.x = integer(address.get("x"), 0, image.width, inside ? first.x : Math.round(image.width / 2));
    state.y = integer(address.get("y"), 0, image.height, inside ? first.y : Math.round(image.height / 2));
    state.q = integer(address.get("q"), 0, image.queries - 1, -1);
  };
  const write = () => history.replaceState(null, "", "#" + new URLSearchParams(Object.entries(state)));
  const change = changes => {
    Object.assign(state, changes);
    write();
    read();
    write();  // the values that reading has corrected
    draw();
  };

  // --- numbers -------------------------------------------------------------------------------------------------------
  const crossMap = (image, d, l, t, h) => {
    const size = image.rows * image.columns, parts = image.parts.length;
    const at = (((image.shown[d].maps * image.layers + l) * parts + image.parts.indexOf(t)) * image.heads + h) * size;
    return image.maps.subarray(at, at + size);
  };
  const meanMap = (image, d, l, t) => {  // of the heads, each first rescaled from its own maximum to a sum of one
    const sum = new Float32Array(image.rows * image.columns);
    for (let h = 0; h < image.heads; h++) {
      const one = crossMap(image, d, l, t, h), total = one.reduce((a, b) => a + b, 0) || 1;
      one.forEach((value, i) => { sum[i] += value / total; });
    }
    const peak = Math.max(...sum) || 1;
    return sum.map(value => value / peak * 255);
  };
  const encoderMap = (image, x, y) => {  // of the nearest point whose attention is stored
    const [across, down] = image.points;
    const column = Math.min(Math.floor(x / image.width * across), across - 1);
    const row = Math.min(Math.floor(y / image.height * down), down - 1);
    const size = image.rows * image.columns, at = (state.e * across * down + row * across + column) * size;
    return {
      values: image.encoder.subarray(at, at + size),
      x: (column + 0.5) / across * image.width, y: (row + 0.5) / down * image.height,
    };
  };
  const prediction = (image, query, layer) => ({
    query, box: image.boxes[layer][query], score: image.scores[layer][query],
    name: data.names[image.labels[layer][query]], threshold: data.thresholds[image.labels[layer][query]],
    reference: image.references[layer][query],
  });
  const excluded = (image, query, suppressed) => image.beyond.includes(query) ? `not among the best ${image.kept}`
    : suppressed ? "overlaps a better one" : "below the threshold";
  const outcome = (image, query) => {  // the query's detection, otherwise its best class
    const one = prediction(image, query, image.layers - 1), detection = image.detected[query];
    if (!detection) return { ...one, status: excluded(image, query, image.suppressed.includes(query)) };
    const [label, score] = detection;
    return { ...one, score, name: data.names[label], threshold: data.thresholds[label], status: "a detection" };
  };
  const nearest = (image, x, y) => Array.from({ length: image.queries }, (_, query) => {
    const one = outcome(image, query), [x1, y1, x2, y2] = one.box;
    return { ...one, distance: Math.hypot(Math.max(x1 - x, x - x2, 0), Math.max(y1 - y, y - y2, 0)) };
  }).sort((a, b) => a.distance - b.distance || b.score - a.score).slice(0, 8);
  const caption = one => `${one.name} ${one.score.toFixed(2)}`;
  const selected = image => state.m === "detection" ? image.shown[state.d]
    : state.m === "why" ? { query: state.q >= 0 ? state.q : nearest(image, state.x, state.y)[0].query } : null;

  // --- drawing -------------------------------------------------------------------------------------------------------
  const shownMap = values => values && { values, opacity: state.o / 100, smooth: !state.c, colormap };
  const marksOf = (image, query, text) => {  // with the boxes of earlier layers where there is a text
    const last = image.layers - 1, one = prediction(image, query, last), [x1, y1, x2, y2] = one.box;
    const boxes = [{ box: one.box, key: "prediction", color: "#ffffff", text }];
    for (let layer = 0; text && layer < last; layer++)
      boxes.unshift({ box: image.boxes[layer][query], key: "earlier", color: "#ffd34d", dash: true,
        note: `after layer ${layer}: ${caption(prediction(image, query, layer))}` });
    const [x, y] = [(x1 + x2) / 2, (y1 + y2) / 2];
    return { boxes, dots: [[x1, y], [x, y1], [x2, y], [x, y2]],
      reference: image.parts.includes("spatial")
        ? prediction(image, query, state.m === "detection" ? state.l : last).reference : null };
  };
  const draw = () => {
    const image = data.images[state.p], pick = selected(image);
    let values = null, marks = {};
    if (pick) marks = marksOf(image, pick.query,
      caption(state.m === "detection" ? pick : outcome(image, pick.query)));
    if (state.m === "detection") marks.boxes.unshift(...image.shown.filter((_, d) => d !== state.d).map(one =>
      ({ box: image.boxes[image.layers - 1][one.query], key: "others", color: "#c8ccd4", note: caption(one) })));
    if (state.m === "detection")
      values = state.h === "all" ? meanMap(image, state.d, state.l, state.t)
        : crossMap(image, state.d, state.l, state.t, state.h);
    if (state.m === "encoder") {
      const one = encoderMap(image, state.x, state.y);
      values = one.values; marks = { point: [one.x, one.y] };
    }
    if (state.m === "why") marks.point = [state.x, state.y];
    drawControls(image);
    drawLegend(image, values);
    const width = Math.max(1, Math.min(viewer.clientWidth, 75 / 100 * innerHeight * image.width / image.height));
    stage.style.width = `${width}px`;
    paint(view, image, shownMap(values), {}, width);
    paintOverlay(overlay, image, marks, width);
    view.setAttribute("aria-label", `${image.name}, ${MODES[state.m]}`);
    drawHeads(image);
    drawLayerTable(image, pick);
    drawNearestTable(image);
  };

  // --- controls ------------------------------------------------------------------------------------------------------
  const view = make("canvas", { tabindex: 0, role: "img" });
  const overlay = makeSvg("svg", { class: "overlay", preserveAspectRatio: "none" });
  const stage = make("div", { class: "stage", onclick: event => {
    view.focus({ preventScroll: true });
    const image = data.images[state.p], frame = view.getBoundingClientRect();
    const x = Math.round((event.clientX - frame.left) / frame.width * image.width);
    const y = Math.round((event.clientY - frame.top) / frame.height * image.height);
    if (state.m !== "detection") return change({ x, y, q: -1 });
    const size = box => (box[2] - box[0]) * (box[3] - box[1]);
    const hit = image.shown.map((one, d) => ({ d, box: image.boxes[image.layers - 1][one.query] }))
      .filter(({ box }) => box[0] <= x && x <= box[2] && box[1] <= y && y <= box[3])
      .sort((a, b) => size(a.box) - size(b.box));
    change(hit.length ? { d: hit[0].d } : { m: "why", x, y, q: -1 });
  } }, view, overlay);
  const viewer = make("div", { class: "viewer" }, stage), panel = make("div", { class: "panel" });
  const legend = make("div", { class: "legend" });
  const strip = make("div", { class: "strip" }), notes = make("div", { class: "notes" });
  root.replaceChildren(make("div", { class: "columns" }, viewer, make("div", {}, panel, legend)), strip, notes);
  const group = (title, options, now, choose) => make("div", { class: "group", role: "group", "aria-label": title },
    make("span", {}, title), ...options.map(([value, text, hover]) => make("button", { type: "button",
      "aria-pressed": String(value === now), title: hover ?? "", "data-key": `${title}:${value}`,
      onclick: () => choose(value) }, text)));
  const count = n => Array.from({ length: n }, (_, i) => [i, String(i)]);
  const drawControls = image => {
    const focus = document.activeElement?.dataset?.key, rows = [];
    if (data.images.length > 1) rows.push(make("label", { class: "group" }, make("span", {}, "Image"),
      make("select", { "data-key": "image", onchange: event =>
        change({ p: Number(event.target.value), d: 0, q: -1, x: -1, y: -1 }) },
        ...data.images.map((one, i) => make("option", { value: i, selected: i === state.p }, one.name)))));
    if (image.no_detection)
      rows.push(make("p", { class: "no-detection" }, `In this image, ${image.no_detection}.`));
    const modes = Object.entries(MODES).filter(([mode]) => mode === "why" ||
      (mode === "detection" ? image.shown.length : image.encoder_layers));
    rows.push(group("Show", modes, state.m, m => change({ m })));
    if (state.m === "detection") rows.push(
      group("Detection", image.shown.map((one, d) => [d,
        caption(one) + (one.number === null ? `, ${excluded(image, one.query, one.suppressed)}` : ""),
        `${one.number === null ? "" : `detection ${one.number}, `}query ${one.query}`]), state.d, d => change({ d })),
      group("Layer", count(image.layers), state.l, l => change({ l })),
      group("Part", image.parts.map((part, i) => [part, part, `key ${i + 1}`]), state.t, t => change({ t })),
      group("Head", [...count(image.heads), ["all", "all heads"]], state.h, h => change({ h })));
    if (state.m === "encoder") rows.push(group("Layer", count(image.encoder_layers), state.e, e => change({ e })));
    if (state.m !== "why") rows.push(make("label", { class: "group" }, make("span", {}, "Opacity"),
      make("input", { type: "range", min: 0, max: 100, value: state.o, "data-key": "opacity",
        oninput: event => change({ o: Number(event.target.value) }) })),
    make("label", { class: "group" }, make("span", {}, "Cells"), make("input", { type: "checkbox", checked: !!state.c,
      "data-key": "cells", onchange: event => change({ c: event.target.checked ? 1 : 0 }) }), "not smoothed"));
    rows.push(make("p", { class: "hint" }, HINTS[state.m]));
    if (image.left_out && state.m === "detection") rows.push(make("p", { class: "hint" },
      `${image.left_out} more detections are not in this page, to keep it small.`));
    panel.replaceChildren(...rows);
    if (focus) panel.querySelector(`[data-key="${CSS.escape(focus)}"]`)?.focus();
  };
  const swatch = (...shapes) => {
    const svg = makeSvg("svg", { class: "overlay", viewBox: "0 0 22 16", "aria-hidden": "true" });
    svg.append(...shapes);
    return svg;
  };
  const drawLegend = (image, values) => {
    const frame = (color, dashed) => swatch(makeSvg("rect", { x: 2, y: 2, width: 18, height: 12, stroke: color,
      class: dashed ? "dashed" : false }));
    const cross = color => swatch(makeSvg("path", { stroke: color, d: "M4 8h14M11 1v14" }));
    const spatial = image.parts.includes("spatial");
    const rows = [
      ...(state.m === "encoder" ? [] : [["prediction", frame("#ffffff"), "the prediction and its score"],
        ["earlier", frame("#ffd34d", true), "its boxes after earlier layers"],
        ["points", swatch(makeSvg("circle", { cx: 4, cy: 8, r: 3 }), ...(spatial
          ? [makeSvg("path", { stroke: "#38e1ff", d: "M9 8h12M15 2v12" })] : [])),
        spatial ? "its extremities; reference point" : "its extremities"]]),
      ...(state.m === "detection" ? [["others", frame("#c8ccd4"), "other detections"]]
        : [["point", cross("#ff5ad0"), "the point"]]),
    ];
    const focus = document.activeElement?.dataset?.switch;
    const parts = rows.map(([key, mark, text]) => make("label", {}, make("input", { type: "checkbox",
      "data-switch": key, checked: !hiddenLayers.has(key) }), mark, text));
    if (values) parts.push(scaleOf(colormap, contrast(values).ratio));
    legend.replaceChildren(make("fieldset", { class: "layers" }, make("legend", {}, "Legend"), ...parts));
    if (focus) legend.querySelector(`[data-switch="${CSS.escape(focus)}"]`)?.focus();
  };
  const drawHeads = image => {
    strip.replaceChildren();
    if (state.m !== "detection") return;
    const { query, maps } = image.shown[state.d], marks = marksOf(image, query, "");
    const wide = Math.max(120, Math.min(290, strip.clientWidth / Math.min(image.heads, 8)));
    for (const part of image.parts) {
      const row = make("div", { class: "heads", style: `--heads:${image.heads}`, role: "group", "aria-label": part });
      for (let h = 0; h < image.heads; h++) {
        const small = make("canvas", {});
        paint(small, image, shownMap(crossMap(image, state.d, state.l, part, h)), marks, wide);
        const [region, inside] = image.measured[maps][state.l][image.parts.indexOf(part)][h];
        const flat = contrast(crossMap(image, state.d, state.l, part, h)).ratio < 1.5;
        row.append(make("button", { type: "button", onclick: () => change({ t: part, h }), "aria-pressed":
          String(state.t === part && state.h === h) }, small, make("small", {},
          make("span", {}, `head ${h} · ${flat ? "nearly uniform" : data.regions[region]}`), " ",
          make("span", {}, `${percent(inside)} in box`))));
      }
      const note = part === "content" && state.l === 0
        ? " (in the first layer including object query and key position)" : "";
      strip.append(make("h2", {}, part + note), row);
    }
  };
  const table = (headers, rows) => {
    for (const row of rows) [...row.children].forEach((cell, i) => { cell.dataset.label = headers[i]; });
    return make("table", {}, make("thead", {}, make("tr", {}, ...headers.map(text =>
      make("th", {}, text)))), make("tbody", {}, ...rows));
  };
  const drawLayerTable = (image, pick) => {
    notes.replaceChildren();
    if (!pick) return;
    const rows = Array.from({ length: image.layers }, (_, l) => {
      const one = prediction(image, pick.query, l), [x1, y1, x2, y2] = one.box;
      const cells = [l, one.name, one.score.toFixed(3), `${((x1 + x2) / 2).toFixed(1)}, ${((y1 + y2) / 2).toFixed(1)}`,
        `${(x2 - x1).toFixed(1)} × ${(y2 - y1).toFixed(1)}`];
      return make("tr", {}, ...cells.map(cell => make("td", {}, String(cell))));
    });
    const which = state.m !== "detection" ? "" : ` (${pick.number === null ? "not a detection"
      : `detection ${pick.number}`}: ${caption(pick)})`;
    notes.append(make("h2", {}, `Query ${pick.query}${which} from layer to layer`),
      table(["after layer", "best class", "score", "centre", "size in pixels"], rows));
  };
  const drawNearestTable = image => {
    if (state.m !== "why") return;
    const query = selected(image).query, conditional = image.parts.includes("spatial");
    const rows = nearest(image, state.x, state.y).map(one => make("tr", { "aria-selected": String(one.query === query) },
      ...[make("button", { type: "button", onclick: () => change({ q: one.query }), "aria-label": `query ${one.query}` },
        String(one.query)),
        one.status, one.name, one.score.toFixed(3), one.threshold.toFixed(3),
        one.distance ? `${one.distance.toFixed(0)} px away` : "contains the point",
        ...(conditional ? [`${one.reference[0].toFixed(0)}, ${one.reference[1].toFixed(0)}`] : [])]
        .map(cell => make("td", {}, cell))));
    notes.prepend(make("h2", {}, `Nearest to ${state.x}, ${state.y}`),
      table(["query", "status", "class", "score", "threshold", "its box", ...(conditional ? ["reference point"] : [])], rows));
  };
  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select")) return;
    const image = data.images[state.p];
    const cells = state.m === "encoder" ? image.points : [image.columns, image.rows];
    const move = (position, by, of, side) => {  // to the middle of the next cell, or in the encoder of the next point
      const cell = Math.min(Math.floor(position / side * of), of - 1) + by;
      return by ? Math.round((Math.min(Math.max(cell, 0), of - 1) + 0.5) / of * side) : position;
    };
    const wrap = (value, by, of) => (value + by + of) % of;
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const step = steps[event.key];
    if (step && state.m !== "detection") change({ q: -1,
      x: move(state.x, step[0], cells[0], image.width), y: move(state.y, step[1], cells[1], image.height) });
    else if (step && step[0]) change({ h: state.h === "all" ? (step[0] > 0 ? 0 : image.heads - 1)
      : wrap(state.h, step[0], image.heads) });
    else if (step) change({ l: wrap(state.l, -step[1], image.layers) });
    else if ("np".includes(event.key) && state.m === "detection")
      change({ d: wrap(state.d, event.key === "n" ? 1 : -1, image.shown.length) });
    else if (event.key === "a" && state.m === "detection") change({ h: "all" });
    else if (image.parts[event.key - 1] && state.m === "detection") change({ t: image.parts[event.key - 1] });
    else return;
    event.preventDefault();
  });

  // --- start ---------------------------------------------------------------------------------------------------------
  await Promise.all(data.images.map(async image => {
    [image.maps, image.encoder] = await Promise.all([inflate(image.maps), inflate(image.encoder)]);
    image.bitmap = new Image();
    image.bitmap.src = image.source;
    await image.bitmap.decode();
    image.grey = greyOf(image.bitmap);
  }));
  addEventListener("hashchange", () => {  // a link of the page's contents does not change the state
    if (location.hash && !location.hash.includes("=")) return;
    read();
    draw();
  });
  addEventListener("resize", draw);
  read();
  draw();
  document.documentElement.dataset.ready = "1";
})();
