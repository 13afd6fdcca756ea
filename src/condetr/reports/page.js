// Tables are sorted by a click on a header, and one dialog shows an enlarged image or whatever else a page opens.
"use strict";
document.addEventListener("click", event => {
  const head = event.target.closest("thead th");
  if (!head) return;
  const body = head.closest("table").tBodies[0], column = head.cellIndex;
  const sign = head.ariaSort === "ascending" ? -1 : 1;
  for (const other of head.parentNode.children) other.ariaSort = null;
  head.ariaSort = sign > 0 ? "ascending" : "descending";
  const key = row => row.cells[column].dataset.key ?? null, words = row => row.cells[column].textContent;
  const compare = (a, b) => {
    if (![...body.rows].some(row => key(row) !== null)) return sign * words(a).localeCompare(words(b));
    if (key(a) === null || key(b) === null) return (key(a) === null) - (key(b) === null);
    return sign * (key(a) - key(b) || words(a).localeCompare(words(b)));
  };
  body.append(...[...body.rows].sort(compare));
});

// An element with attributes (true: without a value; false: left out), event handlers (onclick …) and children.
const make = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    name.startsWith("on") ? made.addEventListener(name.slice(2), value)
      : value !== false && made.setAttribute(name, value === true ? "" : value);
  made.append(...children);
  return made;
};

// An SVG element with attributes and a text.
const makeSvg = (name, attributes = {}, text = "") => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) if (value !== false) made.setAttribute(key, value);
  made.textContent = text;
  return made;
};

// Show `parts` under a title. `step(±1)`, if there is one, shows the previous or next content; the arrow keys do, too.
// When the dialog closes, `opener` has the focus again.
const showDialog = (title, parts, step, opener) => {
  const dialog = document.querySelector("dialog");
  const button = (text, label, act) => make("button", { type: "button", "aria-label": label, onclick: act }, text);
  const steps = step ? [button("←", "previous", () => step(-1)), button("→", "next", () => step(1))] : [];
  const before = [...dialog.querySelectorAll("button")].indexOf(document.activeElement);
  dialog.replaceChildren(make("div", { class: "title" }, make("span", {}, title), ...steps,
    button("×", "close", () => dialog.close())), ...parts);
  dialog.onkeydown = event => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step && by && !event.target.matches("input")) step(by);
  };
  dialog.onclick = event => { if (event.target === dialog) dialog.close(); };
  dialog.onclose = () => opener.focus();
  if (!dialog.open) dialog.showModal();
  dialog.querySelectorAll("button")[Math.max(before, 0)].focus();
};
