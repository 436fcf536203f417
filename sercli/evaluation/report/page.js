"use strict";
// The page is whole without this: here its tables learn to sort, and closed parts open when they are printed or named.
const number = (text) => parseFloat(text.trim().replace("−", "-").replace(/^<\s*/, "").replaceAll(",", ""));
const said = (row, column) => row.cells[column].textContent.trim();

for (const table of document.querySelectorAll("table.sorts")) {
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  heads.forEach((head, column) => {
    if (head.classList.contains("fixed")) return;
    const numeric = head.classList.contains("n");
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-label", `Sort by ${head.textContent.trim()}`);
    head.append(button);
    head.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const down = before ? before === "ascending" : numeric;
      const compare = (a, b) => {
        const [left, right] = [said(a, column), said(b, column)];
        if (!numeric) return left.localeCompare(right, "en", { numeric: true }) * (down ? -1 : 1);
        const [x, y] = [number(left), number(right)];
        if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y); // what is not known comes last either way
        return down ? y - x : x - y;
      };
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      for (const body of table.tBodies) body.append(...[...body.rows].filter((row) => !row.matches(".group")).sort(compare));
    });
  });
}

const closed = () => [...document.querySelectorAll("details:not([open])")];
let opened = [];
addEventListener("beforeprint", () => {
  opened = closed();
  for (const part of opened) part.open = true;
});
addEventListener("afterprint", () => {
  for (const part of opened) part.open = false;
});

const show = () => {
  const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const part = named && named.closest("details");
  if (part) part.open = true;
};
addEventListener("hashchange", show);
show();
