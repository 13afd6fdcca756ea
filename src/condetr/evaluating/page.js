// A click on the name of a class shows its precision–recall curves, its numbers and what it is confused with.
"use strict";
(() => {
  const { classes, mean } = JSON.parse(document.getElementById("classes").textContent);
  const [left, top, width, height] = [42, 10, 330, 250];
  const x = recall => left + recall * width, y = precision => top + (1 - precision) * height;
  const line = (curve, attributes) => makeSvg("polyline", { fill: "none", "stroke-width": 2, ...attributes,
    points: curve.map((precision, i) => `${x(i / 100)},${y(precision / 1000).toFixed(1)}`).join(" ") });
  const plot = one => {
    const svg = makeSvg("svg", { viewBox: "0 0 390 305", role: "img", class: "curve",
      "aria-label": `precision–recall curves of ${one.name}` });
    for (let i = 0; i <= 5; i++) {
      const at = i / 5, grid = { stroke: "var(--line)" };
      svg.append(makeSvg("line", { x1: x(at), x2: x(at), y1: top, y2: top + height, ...grid }),
        makeSvg("line", { x1: left, x2: left + width, y1: y(at), y2: y(at), ...grid }),
        makeSvg("text", { x: x(at), y: top + height + 16, "text-anchor": "middle" }, at.toFixed(1)),
        makeSvg("text", { x: left - 6, y: y(at) + 4, "text-anchor": "end" }, at.toFixed(1)));
    }
    svg.append(makeSvg("text", { x: left + width / 2, y: top + height + 35, "text-anchor": "middle" }, "recall"),
      makeSvg("text", { transform: `translate(11 ${top + height / 2}) rotate(-90)`, "text-anchor": "middle" }, "precision"),
      line(mean, { stroke: "var(--soft)", "stroke-dasharray": "1 3" }));
    if (one.curve50) svg.append(line(one.curve75, { stroke: "var(--accent)", "stroke-dasharray": "6 4" }),
      line(one.curve50, { stroke: "var(--accent)" }));
    if (one.recall && one.precision)
      svg.append(makeSvg("circle", { cx: x(one.recall), cy: y(one.precision), r: 5, fill: "var(--warn)" }));
    return svg;
  };
  const key = (attributes, text) => {
    const svg = makeSvg("svg", { viewBox: "0 0 26 12", "aria-hidden": "true" });
    svg.append(attributes.r ? makeSvg("circle", { cx: 13, cy: 6, ...attributes })
      : makeSvg("line", { x1: 1, x2: 25, y1: 6, y2: 6, "stroke-width": 2, ...attributes }));
    return make("li", {}, svg, text);
  };
  const number = value => value === null ? "–" : value.toFixed(3);
  const show = at => {
    const one = classes[at];
    const rows = [["objects", one.objects.toLocaleString("en")], ["AP", number(one.ap)], ["AP50", number(one.ap50)],
      ["AP75", number(one.ap75)], ["AR", number(one.ar)], ["best threshold", number(one.threshold)],
      ["found there", one.found.toLocaleString("en")], ["missed there", one.missed.toLocaleString("en")],
      ["false there", one.false.toLocaleString("en")], ["precision, recall", `${number(one.precision)}, ${number(one.recall)}`]];
    const numbers = make("table", {}, make("tbody", {}, ...rows.map(([name, value]) =>
      make("tr", {}, make("th", { scope: "row" }, name), make("td", { class: "number" }, value)))));
    const legend = make("ul", { class: "keys" }, key({ stroke: "var(--accent)" }, "IoU 0.50"),
      key({ stroke: "var(--accent)", "stroke-dasharray": "6 4" }, "IoU 0.75"),
      key({ stroke: "var(--soft)", "stroke-dasharray": "1 3" }, "mean of classes, IoU 0.50"),
      key({ r: 5, fill: "var(--warn)" }, "the best threshold"));
    const confused = make("p", {}, one.confused.length ? `Objects of ${one.name} taken for another class: ${one.confused
      .map(([name, count]) => `${count}\u00a0× ${name}`).join(", ")}.` : `No object of ${one.name} is taken for another class.`);
    showDialog(one.name, [make("div", { class: "class" }, make("div", {}, plot(one), legend), numbers), confused],
      classes.length > 1 ? by => show((at + by + classes.length) % classes.length) : null,
      document.querySelector(`button[data-key="class-${at}"]`));
  };
  document.addEventListener("click", event => {
    const button = event.target.closest('button[data-key^="class-"]');
    if (button) show(Number(button.dataset.key.slice(6)));
  });
})();
