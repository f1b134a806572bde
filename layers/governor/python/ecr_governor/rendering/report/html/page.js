"use strict";
(() => {
  const FEW = 200;
  const list = document.getElementById("list");
  const form = document.getElementById("filter");
  const find = document.getElementById("find");
  const show = document.getElementById("show");
  const told = document.getElementById("told");
  const rest = document.getElementById("rest");
  const rows = [...list.tBodies];
  const byName = new Map(rows.map((row) => [row.querySelector("a").textContent, row]));
  const text = new Map();
  let matching = rows;
  let all = false;

  const textOf = (row) => {
    if (!text.has(row)) text.set(row, row.textContent.toLowerCase());
    return text.get(row);
  };

  // The header stays where it is: what has the focus keeps it.
  const put = (bodies) => {
    for (const body of [...list.tBodies]) body.remove();
    list.append(...bodies);
  };

  // Only what is shown is in the document, of much the beginning: a browser lays out a few hundred rows at once, not thousands.
  const refresh = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const flag = show.value;
    matching = rows.filter((row) => row.dataset.f.includes(flag) && words.every((word) => textOf(row).includes(word)));
    const visible = all ? matching : matching.slice(0, FEW);
    put(visible);
    const number = (count) => count.toLocaleString("en");
    told.textContent = matching.length === rows.length ? `${number(rows.length)} repositories` : `${number(matching.length)} of ${number(rows.length)} repositories`;
    rest.hidden = visible.length === matching.length;
    rest.firstElementChild.textContent = `Show all ${number(matching.length)}`;
  };

  const narrow = (query, flag) => {
    find.value = query;
    show.value = flag;
    all = false;
    refresh();
  };

  const keyOf = (row, column) => {
    const cell = row.rows ? row.rows[0].cells[column] : row.cells[column];
    if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
    const words = cell.textContent.trim();
    return /^[\d,]+$/.test(words) ? Number(words.replaceAll(",", "")) : words.toLowerCase();
  };

  const compare = (one, other) => {
    if (one === other) return 0;
    // What is not known comes last, whichever way the rest is sorted.
    if (one === "") return null;
    if (other === "") return undefined;
    return typeof one === typeof other ? (one < other ? -1 : 1) : typeof one === "number" ? -1 : 1;
  };

  const sort = (table, column, header) => {
    const before = header.getAttribute("aria-sort");
    // Numbers and times begin with the greatest, words with the first.
    const first = header.classList.contains("n") || header.textContent.trim().startsWith("Findings") || header.textContent.trim().startsWith("Open") ? "descending" : "ascending";
    const way = before === null ? first : before === "ascending" ? "descending" : "ascending";
    for (const each of header.parentElement.cells) each.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", way);
    const sign = way === "ascending" ? 1 : -1;
    const items = table === list ? rows : [...table.tBodies[0].rows];
    const keys = new Map(items.map((item, place) => [item, [keyOf(item, column), place]]));
    const order = (one, other) => {
      const [a, place] = keys.get(one);
      const [b, next] = keys.get(other);
      const result = compare(a, b);
      if (result === null) return 1;
      if (result === undefined) return -1;
      return sign * result || place - next;
    };
    items.sort(order);
    if (table === list) refresh();
    else table.tBodies[0].append(...items);
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((header, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => sort(table, column, header));
    });
  }

  const go = () => {
    let id = location.hash.slice(1);
    try {
      id = decodeURIComponent(id);
    } catch {
      return;
    }
    const name = id.startsWith("repository=") ? id.slice("repository=".length) : "";
    const row = byName.get(name);
    if (!row) return;
    if (!row.isConnected) narrow(name, "");
    for (const each of list.querySelectorAll(".found")) each.classList.remove("found");
    row.classList.add("found");
    const details = row.querySelector("details");
    if (details) details.open = true;
    row.scrollIntoView();
    row.querySelector("a").focus({ preventScroll: true });
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-find], a[data-show]");
    if (link) narrow(link.dataset.find ?? "", link.dataset.show ?? "");
    // The same address again is no change of address.
    const again = event.target.closest('a[href^="#repository="]');
    if (again && again.hash === location.hash) go();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  find.addEventListener("input", () => {
    all = false;
    refresh();
  });
  show.addEventListener("change", () => {
    all = false;
    refresh();
  });
  rest.firstElementChild.addEventListener("click", () => {
    all = true;
    refresh();
  });
  addEventListener("hashchange", go);

  let closed = [];
  addEventListener("beforeprint", () => {
    put(matching);
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const each of closed) each.open = true;
  });
  addEventListener("afterprint", () => {
    for (const each of closed) each.open = false;
    refresh();
  });

  form.hidden = false;
  refresh();
  document.documentElement.classList.remove("js");
  // The browser goes to the fragment by itself when all is loaded: only after that does the focus stay where it is put.
  addEventListener("load", go);
})();
