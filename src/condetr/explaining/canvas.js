// Drawing for the page of `condetr explain`: an image on a canvas, an attention map over it, and boxes and points.
"use strict";
// How a map (values from 0 to 255) differs from uniform attention: the level of its mean, at which its color begins, and
// how clearly it is drawn, faintly where the maximum is below twice the mean.
const contrast = values => {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return { mean, ratio: 255 / mean, strength: Math.min(1, Math.max(0.1, 255 / mean - 1)) };
};

// A map as a canvas of one pixel per cell; `colormap` holds 256 RGB triples.
const heatmap = (image, { values, opacity, colormap }) => {
  const canvas = make("canvas", { width: image.columns, height: image.rows });
  const context = canvas.getContext("2d"), pixels = context.createImageData(image.columns, image.rows);
  const { mean, strength } = contrast(values);
  values.forEach((value, i) => {
    const above = Math.max(0, (value - mean) / Math.max(1, 255 - mean)), level = Math.round(38 + above * 217);
    pixels.data.set([colormap[3 * level], colormap[3 * level + 1], colormap[3 * level + 2],
      255 * opacity * strength * above ** 0.75], 4 * i);
  });
  context.putImageData(pixels, 0, 0);
  return canvas;
};

// A bitmap in grey on a canvas, over which the colors of a map are visible.
const greyOf = bitmap => {
  const grey = make("canvas", { width: bitmap.naturalWidth ?? bitmap.width, height: bitmap.naturalHeight ?? bitmap.height });
  const context = grey.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  const pixels = context.getImageData(0, 0, grey.width, grey.height), values = pixels.data;
  for (let i = 0; i < values.length; i += 4)
    values.fill((0.299 * values[i] + 0.587 * values[i + 1] + 0.114 * values[i + 2]) * 0.75 + 24, i, i + 3);
  context.putImageData(pixels, 0, 0);
  return grey;
};

// The colors of the map of `what` from uniform attention to its maximum, which is `ratio` times that.
const scaleOf = (colormap, ratio, what = "attention") => {
  const bar = make("span", { class: "scale", "aria-hidden": "true" });
  bar.style.background = `linear-gradient(to right, ${[0, 1, 2, 3, 4].map(i => {
    const level = Math.round(38 + i / 4 * 217);
    return `rgb(${colormap.subarray(3 * level, 3 * level + 3).join(" ")} / ${Math.round(100 * (i / 4) ** 0.75)}%)`;
  }).join(", ")}), #777`;
  return make("p", {}, `${what}: uniform `, bar, ` ${ratio.toFixed(1)} times that`);
};

// Draw an image `width` CSS pixels wide; its `region`, or else all of it, is what the map covers. `map` is { values, opacity, smooth, colormap } or null;
// `marks` has boxes, dots (the extremities) and a reference point, all optional.
const paint = (canvas, image, map, marks, width) => {
  const scale = width * devicePixelRatio / image.width, context = canvas.getContext("2d");
  canvas.width = Math.max(1, Math.round(image.width * scale));
  canvas.height = Math.max(1, Math.round(image.height * scale));
  context.drawImage(map ? image.grey : image.bitmap, 0, 0, canvas.width, canvas.height);
  if (map) {
    context.imageSmoothingEnabled = map.smooth;
    context.imageSmoothingQuality = "high";
    const [left, top, right, bottom] = image.region ?? [0, 0, image.width, image.height];
    const [across, down] = [canvas.width / image.width, canvas.height / image.height];
    context.drawImage(heatmap(image, map), left * across, top * down, (right - left) * across, (bottom - top) * down);
  }
  const line = devicePixelRatio * (width > 300 ? 2 : 1);
  const stroke = (path, color, thickness, dash = []) => {
    for (const [style, extra] of [["#000a", 2 * thickness], [color, 0]]) {
      context.setLineDash(dash);
      context.strokeStyle = style;
      context.lineWidth = thickness + (dash.length ? 0 : extra);
      context.beginPath(); path(); context.stroke();
    }
    context.setLineDash([]);
  };
  for (const { box, color, dash } of marks.boxes ?? []) {
    const [x1, y1, x2, y2] = box.map(value => value * scale);
    stroke(() => context.rect(x1, y1, x2 - x1, y2 - y1), color, line, dash ? [5 * line, 4 * line] : []);
  }
  for (const [x, y] of marks.dots ?? []) {
    context.beginPath(); context.arc(x * scale, y * scale, 2.2 * line, 0, 7);
    context.fillStyle = "#fff"; context.fill();
    context.strokeStyle = "#000"; context.lineWidth = line / 2; context.stroke();
  }
  if (!marks.reference) return;
  const [x, y] = marks.reference.map(value => value * scale), arm = 5 * line;
  stroke(() => {
    context.moveTo(x - arm, y); context.lineTo(x + arm, y);
    context.moveTo(x, y - arm); context.lineTo(x, y + arm);
  }, "#38e1ff", line);
};

// Draw the marks as the SVG overlay of an image that is `width` CSS pixels wide, in layers that can be switched off.
const paintOverlay = (svg, image, marks, width) => {
  const unit = image.width / width, layer = key => ({ "data-layer": key, hidden: hiddenLayers.has(key) ? "" : false });
  svg.setAttribute("viewBox", `0 0 ${image.width} ${image.height}`);
  const boxes = (marks.boxes ?? []).map(({ box: [x1, y1, x2, y2], key, color, dash, strong, text = "", note, rank }, at) => {
    const rect = makeSvg("rect", { x: x1, y: y1, width: Math.max(0, x2 - x1), height: Math.max(0, y2 - y1),
      stroke: color, class: dash ? "dashed" : strong ? "strong" : false, "data-ink": "#000", "data-rank": rank ?? at, "data-caption": text,
      ...layer(key) });
    rect.append(makeSvg("title", {}, note ?? text));
    return rect;
  });
  const dots = (marks.dots ?? []).map(([x, y]) => makeSvg("circle", { cx: x, cy: y, r: 4 * unit, ...layer("points") }));
  const crosses = [[marks.reference, "#38e1ff", "points"], [marks.point, "#ff5ad0", "point"]].filter(([at]) => at)
    .map(([[x, y], color, key]) => makeSvg("path", { stroke: color, ...layer(key),
      d: `M${x - 8 * unit} ${y}h${16 * unit}M${x} ${y - 8 * unit}v${16 * unit}` }));
  svg.replaceChildren(...boxes, ...dots, ...crosses);
  drawLabels(svg);
};
