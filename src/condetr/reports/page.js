// Tables are sorted by a click on a header, which Enter does, too.
"use strict";
document.addEventListener("click", event => {
  const head = event.target.closest("thead th");
  if (!head) return;
  const body = head.closest("table").tBodies[0], column = head.cellIndex;
  const sign = head.ariaSort === "descending" ? 1 : -1;
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
