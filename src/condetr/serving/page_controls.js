// The controls beside the image: the threshold, the classes and the list of detections.
import { visible } from "./page_filter.js";

const byId = id => document.getElementById(id);
const FEW = 12;  // classes: more of them are listed only where the image has them

const swatch = color => {
  const made = make("i", { class: "swatch", "aria-hidden": "true" });
  made.style.background = color;
  return made;
};

// Replace the children of an element; what had the focus, by its data-key, has it again.
export const refill = (root, ...children) => {
  const focused = root.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  root.replaceChildren(...children);
  if (focused) root.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
};

// Arrow keys, Home and End move the focus between the buttons of a group.
export const withArrows = root => root.addEventListener("keydown", event => {
  const buttons = [...root.querySelectorAll("button, input")], at = buttons.indexOf(event.target);
  const to = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1 };
  if (at < 0 || !(event.key in to) || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  buttons[Math.min(Math.max(to[event.key], 0), buttons.length - 1)].focus();
});

export class Controls {
  // `on`: filter({ threshold } or { hidden }), pick(number) and point(number or null), the detection to be marked.
  constructor(on) {
    this.on = on;
    const list = byId("list");
    withArrows(list);
    withArrows(byId("class-list"));
    byId("slider").addEventListener("input", event => on.filter({ threshold: Number(event.target.value) }));
    byId("own-box").addEventListener("change", event =>
      on.filter({ threshold: event.target.checked ? null : Number(byId("slider").value) }));
    byId("classes").addEventListener("click", event => {
      const all = event.target.dataset?.all;
      if (all !== undefined) on.filter({ hidden: new Set(all ? [] : this.model.classes.map(one => one.category_id)) });
    });
    list.addEventListener("click", event => {
      const number = event.target.closest("button")?.dataset.number;
      if (number !== undefined) on.pick(Number(number));
    });
    for (const [enter, leave] of [["mouseover", "mouseleave"], ["focusin", "focusout"]]) {
      list.addEventListener(enter, event => {
        const number = event.target.closest("button")?.dataset.number;
        if (number !== undefined) on.point(Number(number));
      });
      list.addEventListener(leave, () => on.point(null));
    }
  }

  // `all` are the detections of the image at any threshold, `shown` those that the filter keeps, or null without image.
  draw(model, filter, all, shown, picked) {
    this.model = model;
    this.#drawThreshold(model, filter);
    this.#drawClasses(model, filter, all, shown);
    const count = shown?.length ?? 0;
    byId("count").textContent = shown === null ? "Detections" : `${count} detection${count === 1 ? "" : "s"}`;
    byId("hint").hidden = !shown || !model.attention;
    refill(byId("list"), ...(shown ?? []).map(one => make("button", { type: "button", "data-number": one.number,
      "data-key": one.number, "aria-pressed": String(one.number === picked) },
    swatch(model.colors.get(one.category_id)), make("span", {}, visible(one.category)),
    make("b", {}, one.score.toFixed(2)))));
  }

  #drawThreshold(model, filter) {
    const slider = byId("slider"), own = filter.threshold === null;
    byId("own").hidden = !model.thresholds;
    byId("own-box").checked = own;
    if (!own && Number(slider.value) !== filter.threshold) slider.value = filter.threshold;
    const values = model.classes.map(one => one.threshold), text = own
      ? [...new Set([Math.min(...values), Math.max(...values)].map(value => value.toFixed(2)))].join("–")
      : filter.threshold.toFixed(2);
    if (own) slider.value = values.reduce((a, b) => a + b, 0) / values.length;
    slider.classList.toggle("unused", own);
    slider.setAttribute("aria-valuetext", own ? `${text}, of the weights` : text);
    byId("shown-threshold").textContent = text;
  }

  #drawClasses(model, filter, all, shown) {
    const counts = new Map();
    for (const one of shown ?? []) counts.set(one.category_id, (counts.get(one.category_id) ?? 0) + 1);
    const found = new Set((all ?? []).map(one => one.category_id));
    const listed = model.classes.length <= FEW ? model.classes
      : model.classes.filter(({ category_id: id }) => found.has(id) || filter.hidden.has(id));
    const toggle = (id, on) => {
      const hidden = new Set(filter.hidden);
      hidden[on ? "delete" : "add"](id);
      this.on.filter({ hidden });
    };
    refill(byId("class-list"), ...listed.map(({ category_id: id, category, color }) => make("label", {},
      make("input", { type: "checkbox", checked: !filter.hidden.has(id), "data-key": id,
        onchange: event => toggle(id, event.target.checked) }),
      swatch(color), make("span", {}, visible(category)), make("small", {}, shown ? String(counts.get(id) ?? 0) : ""))));
    byId("class-note").hidden = listed.length === model.classes.length;
  }
}
