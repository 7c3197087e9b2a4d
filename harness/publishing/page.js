"use strict";
// The page is whole without this script, which adds filters, a search, and the sorting of tables.
// Texts of the report are read and moved, and never written as markup.
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// Opens what a link of the page leads to.
function reveal() {
  const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  if (!target) return;
  if (target.hidden || target.closest("[hidden]")) showEverything();
  for (let each = target; each; each = each.parentElement) {
    if (each.tagName === "DETAILS") each.open = true;
  }
  target.scrollIntoView({ block: target.tagName === "TR" ? "center" : "start" });
}

// The number that a cell begins with; a failure is beyond all numbers.
function readNumber(text) {
  if (text.startsWith("✗")) return Infinity;
  return parseFloat(text.replace(/[,<]/g, "").replaceAll("−", "-"));
}

// Compares two cells; a cell without a number stands last, whatever the sign.
function compareCells(one, other, sign) {
  const [a, b] = [one, other].map((cell) => (cell ? cell.textContent.trim() : ""));
  const [x, y] = [readNumber(a), readNumber(b)];
  if (x === y) return 0;
  if (!isNaN(x) && !isNaN(y)) return sign * (x - y);
  if (isNaN(x) !== isNaN(y)) return isNaN(x) ? 1 : -1;
  return sign * a.localeCompare(b);
}

// Sorts the rows of each body of a table; a row that heads its body stays first.
function sortTable(table, column, sign) {
  for (const body of table.tBodies) {
    const rows = [...body.rows].filter((row) => row.cells.length > 1);
    rows.sort((one, other) => compareCells(one.cells[column], other.cells[column], sign));
    body.append(...rows);
  }
}

for (const table of all("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    if (!head.textContent.trim()) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const rises = head.getAttribute("aria-sort") !== "ascending";
      for (const each of heads) each.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", rises ? "ascending" : "descending");
      sortTable(table, column, rises ? 1 : -1);
    });
  });
}

// The filter of all checks.
const tools = document.querySelector(".tools");
const search = tools && tools.querySelector("input[type=search]");
const boxes = tools ? all("input[type=checkbox]", tools) : [];
const groups = all("#trials .question").map((element) => ({
  element,
  details: element.querySelector("details"),
  opened: false,
  text: element.querySelector("h3").textContent,
  bodies: all("table.trials tbody", element).map((body) => ({
    body,
    text: body.rows[0].textContent,
    rows: [...body.rows].slice(1),
  })),
}));

// The kind of a check, by the class of the cell that shows its result.
function findKind(row) {
  return row.cells[4].className.replace(/\d/, "");
}

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const kinds = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
  const filters = words.length > 0 || kinds.size < boxes.length;
  let [shown, total] = [0, 0];
  for (const group of groups) {
    let inGroup = 0;
    for (const { body, text, rows } of group.bodies) {
      let inBody = 0;
      for (const row of rows) {
        const whole = [group.text, text, row.textContent].join(" ").toLowerCase();
        row.hidden = !(kinds.has(findKind(row)) && words.every((word) => whole.includes(word)));
        inBody += row.hidden ? 0 : 1;
      }
      body.hidden = inBody === 0;
      inGroup += inBody;
      total += rows.length;
    }
    group.element.hidden = inGroup === 0;
    if (filters && inGroup > 0 && !group.details.open) group.details.open = group.opened = true;
    if (!filters && group.opened) group.details.open = group.opened = false;
    shown += inGroup;
  }
  const said = `${shown.toLocaleString("en")} of ${total.toLocaleString("en")} rows are shown`;
  tools.querySelector("output").textContent = filters ? said : "";
}

function showEverything() {
  search.value = "";
  for (const box of boxes) box.checked = true;
  filter();
}

if (tools && groups.length > 0) {
  tools.hidden = false;
  let waiting = 0;
  tools.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, 100);
  });
}
addEventListener("hashchange", reveal);
reveal();
