// Drawing for the page of `condetr explain`: an image on a canvas, an attention map over it, and boxes and points.
"use strict";
// An attention map (values from 0 to 255) as a canvas of one pixel per cell; `colormap` holds 256 RGB triples.
const heatmap = (image, { values, opacity, colormap }) => {
  const canvas = make("canvas", { width: image.columns, height: image.rows });
  const context = canvas.getContext("2d"), pixels = context.createImageData(image.columns, image.rows);
  values.forEach((value, i) => {
    const level = Math.round(38 + value * 217 / 255);
    pixels.data.set([colormap[3 * level], colormap[3 * level + 1], colormap[3 * level + 2],
      255 * opacity * (value / 255) ** 0.75], 4 * i);
  });
  context.putImageData(pixels, 0, 0);
  return canvas;
};

// The text above a box, or inside it at the top of the image.
const drawLabel = (context, text, x1, y1) => {
  context.font = `${13 * devicePixelRatio}px system-ui, sans-serif`;
  const width = context.measureText(text).width + 8 * devicePixelRatio, height = 19 * devicePixelRatio;
  const left = Math.max(0, Math.min(x1, context.canvas.width - width)), top = Math.max(0, y1 - height);
  context.fillStyle = "#000b"; context.fillRect(left, top, width, height);
  context.fillStyle = "#fff"; context.fillText(text, left + 4 * devicePixelRatio, top + 14 * devicePixelRatio);
};

// Draw an image `width` CSS pixels wide. `map` is { values, opacity, smooth, colormap } or null;
// `marks` has boxes, dots (the extremities), a reference point and a given point, all optional.
const paint = (canvas, image, map, marks, width) => {
  const scale = width * devicePixelRatio / image.width, context = canvas.getContext("2d");
  canvas.width = Math.max(1, Math.round(image.width * scale));
  canvas.height = Math.max(1, Math.round(image.height * scale));
  context.drawImage(map ? image.grey : image.bitmap, 0, 0, canvas.width, canvas.height);
  if (map) {
    context.imageSmoothingEnabled = map.smooth;
    context.imageSmoothingQuality = "high";
    context.drawImage(heatmap(image, map), 0, 0, canvas.width, canvas.height);
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
  for (const { box, color, dash, thin, text } of marks.boxes ?? []) {
    const [x1, y1, x2, y2] = box.map(value => value * scale);
    stroke(() => context.rect(x1, y1, x2 - x1, y2 - y1), color, thin ? line / 2 : line, dash ? [5 * line, 4 * line] : []);
    if (text && width >= 300) drawLabel(context, text, x1, y1);
  }
  for (const [x, y] of marks.dots ?? []) {
    context.beginPath(); context.arc(x * scale, y * scale, 2.2 * line, 0, 7);
    context.fillStyle = "#fff"; context.fill();
    context.strokeStyle = "#000"; context.lineWidth = line / 2; context.stroke();
  }
  for (const [point, color] of [[marks.reference, "#38e1ff"], [marks.point, "#ff5ad0"]]) {
    if (!point) continue;
    const [x, y] = point.map(value => value * scale), arm = 5 * line;
    stroke(() => {
      context.moveTo(x - arm, y); context.lineTo(x + arm, y);
      context.moveTo(x, y - arm); context.lineTo(x, y + arm);
    }, color, line);
  }
};
