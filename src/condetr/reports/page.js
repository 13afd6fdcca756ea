document.addEventListener("click", event => {
  const dialog = document.querySelector("dialog"), target = event.target;
  if (target.closest("dialog")) return dialog.close();
  if (target.matches(".image img")) { dialog.replaceChildren(target.cloneNode()); return dialog.showModal(); }
  const head = target.closest("th");
  if (!head || !head.closest("thead")) return;
  const body = head.closest("table").tBodies[0], column = head.cellIndex;
  const order = head.dataset.order === "down" ? "up" : "down", sign = order === "up" ? 1 : -1;
  for (const other of head.parentNode.children) delete other.dataset.order;
  head.dataset.order = order;
  const key = row => row.cells[column].dataset.key ?? null, words = row => row.cells[column].textContent;
  const compare = (a, b) => {
    if (![...body.rows].some(row => key(row) !== null)) return sign * words(a).localeCompare(words(b));
    if (key(a) === null || key(b) === null) return (key(a) === null) - (key(b) === null);
    return sign * (key(a) - key(b) || words(a).localeCompare(words(b)));
  };
  body.append(...[...body.rows].sort(compare));
});
